/**
 * A writer in another process, as the process that holds the authority directs it; and the other end of that, in the
 * writer's process. Directions arrive in the order in which they were given.
 */
import type { AuthorityState, MirrorId } from '../../protocol/authority-state.js';
import type { Epoch, Tag } from '../../protocol/tag.js';
import type { DirectedWriter } from '../directed-writer.js';
import type { Confirmation } from '../read-lease.js';
import type { RecoveryCause, SetWriter } from '../set-writer.js';
import { type Peer, PeerGone } from './peer.js';

interface HaltBody {
  readonly reason: string;
  readonly leaving: readonly MirrorId[];
}

interface RebuildingBody {
  readonly mirror: MirrorId;
  readonly epoch: Epoch;
}

interface ExclusionBody {
  readonly mirrors: readonly MirrorId[];
  readonly reason: string;
}

interface RecoveryBody {
  readonly cause: RecoveryCause;
  readonly reason: string;
}

/** How a step ended: with so many writes left without an outcome. */
interface StepReply {
  readonly inFlightCount: number;
}

export interface RemoteWriterOptions {
  readonly onExclusionNeeded: (mirrors: readonly MirrorId[], reason: string) => void;
  readonly onRecoveryNeeded: (cause: RecoveryCause, reason: string) => void;
  /** It has not taken a step for this long. Whoever is told ends its process. */
  readonly stepWithinMs: number;
  readonly onStuck: () => void;
}

export class RemoteWriter implements DirectedWriter {
  readonly #peer: Peer;
  readonly #options: RemoteWriterOptions;
  #inFlightCount = 0;

  constructor(peer: Peer, options: RemoteWriterOptions) {
    this.#peer = peer;
    this.#options = options;
    peer.serve<ExclusionBody>('exclusion-needed', ({ mirrors, reason }) => {
      options.onExclusionNeeded(mirrors, reason);
    });
    peer.serve<RecoveryBody>('recovery-needed', ({ cause, reason }) => {
      options.onRecoveryNeeded(cause, reason);
    });
    peer.serve<StepReply>('in-flight', ({ inFlightCount }) => {
      this.#inFlightCount = inFlightCount;
    });
  }

  get inFlightCount(): number {
    return this.#inFlightCount;
  }

  async floorNow(): Promise<Tag | null> {
    try {
      return await this.#peer.call<Tag | null>('floor', null);
    } catch (error) {
      if (error instanceof PeerGone) return null;
      throw error;
    }
  }

  async #step(name: string, body: unknown): Promise<void> {
    const timer = setTimeout(this.#options.onStuck, this.#options.stepWithinMs);
    try {
      const { inFlightCount } = await this.#peer.call<StepReply>(name, body);
      this.#inFlightCount = inFlightCount;
    } catch (error) {
      if (!(error instanceof PeerGone)) throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  halt(reason: string, leaving: readonly MirrorId[]): Promise<void> {
    return this.#step('halt', { reason, leaving });
  }

  takeState(state: AuthorityState): Promise<void> {
    return this.#step('take-state', state);
  }

  beginEpoch(): Promise<void> {
    return this.#step('begin-epoch', null);
  }

  open(decidesAll: boolean): Promise<void> {
    return this.#step('open', decidesAll);
  }

  endEpoch(reason: string): Promise<void> {
    return this.#step('end-epoch', reason);
  }

  addRebuilding(mirror: MirrorId, epoch: Epoch): Promise<void> {
    return this.#step('add-rebuilding', { mirror, epoch });
  }

  drain(): Promise<void> {
    return this.#step('drain', null);
  }

  close(reason: string): void {
    this.#peer.note('close', reason);
  }

  openReads(source: MirrorId): void {
    this.#peer.note('open-reads', source);
  }

  confirm(confirmation: Confirmation): void {
    this.#peer.note('confirm', confirmation);
  }

  review(): void {
    this.#peer.note('review', null);
  }

  endRebuilding(reason: string): void {
    this.#peer.note('end-rebuilding', reason);
  }

  shut(reason: string): void {
    this.#peer.note('shut', reason);
  }
}

/** Between steps; it has joined. */
export function tellInFlight(authority: Peer, { inFlightCount }: SetWriter): void {
  authority.note('in-flight', { inFlightCount } satisfies StepReply);
}

/** Lets the process that holds the authority direct this writer. */
export function obeyDirections(authority: Peer, writer: SetWriter): void {
  const step = <Body>(name: string, take: (body: Body) => Promise<void>): void => {
    authority.serve<Body>(name, async (body): Promise<StepReply> => {
      await take(body);
      return { inFlightCount: writer.inFlightCount };
    });
  };
  step<HaltBody>('halt', ({ reason, leaving }) => writer.halt(reason, leaving));
  step<AuthorityState>('take-state', (state) => writer.takeState(state));
  step<null>('begin-epoch', () => writer.beginEpoch());
  step<boolean>('open', (decidesAll) => writer.open(decidesAll));
  step<string>('end-epoch', (reason) => writer.endEpoch(reason));
  step<RebuildingBody>('add-rebuilding', ({ mirror, epoch }) => writer.addRebuilding(mirror, epoch));
  step<null>('drain', () => writer.drain());
  authority.serve<null>('floor', () => writer.floorNow());
  authority.serve<string>('close', (reason) => {
    writer.close(reason);
  });
  authority.serve<MirrorId>('open-reads', (source) => {
    writer.openReads(source);
  });
  authority.serve<Confirmation>('confirm', (confirmation) => {
    writer.confirm(confirmation);
  });
  authority.serve<null>('review', () => {
    writer.review();
  });
  authority.serve<string>('end-rebuilding', (reason) => {
    writer.endRebuilding(reason);
  });
  authority.serve<string>('shut', (reason) => {
    writer.shut(reason);
  });
  writer.onExclusionNeeded = (mirrors, reason) => {
    authority.note('exclusion-needed', { mirrors, reason } satisfies ExclusionBody);
  };
  writer.onRecoveryNeeded = (cause, reason) => {
    authority.note('recovery-needed', { cause, reason } satisfies RecoveryBody);
  };
}
