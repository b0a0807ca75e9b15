/** A gateway over memory OSDs with faulty links, and what its tests do to it. */
import { expect } from 'vitest';
import { FaultyOsd } from '../../fakes/faulty-osd.js';
import { type PacerTimer, systemTimer } from '../../../src/osd/reconcile/copy-pacer.js';
import {
  assertNotSuperseded,
  type AuthorityStorage,
  type StateVersion,
} from '../../../src/gateway/authority-storage.js';
import type { WorkerFleet } from '../../../src/gateway/workers/worker-fleet.js';
import { Gateway } from '../../../src/gateway/gateway.js';
import type { ObjectHead, ObjectStorage } from '../../../src/gateway/object-storage.js';
import type { ScrubSettings } from '../../../src/gateway/scrub-schedule.js';
import type { GatewayTimings } from '../../../src/gateway/timings.js';
import type { WritesMode } from '../../../src/protocol/forwarding.js';
import type { CopyPace } from '../../../src/protocol/pace.js';
import type {
  VerificationRecord,
  VerificationStorage,
} from '../../../src/gateway/verification/verification-storage.js';
import type { AuthorityState } from '../../../src/protocol/authority-state.js';
import { makeObjectId, type ObjectId } from '../../../src/protocol/object-id.js';
import { toGeneratorId } from '../../../src/protocol/tag.js';
import type { OsdConnection } from '../../../src/wire/osd-connection.js';

export const SET_ID = 'test-set';

const timings: GatewayTimings = {
  healthPollMs: 20,
  mirrorLostMs: 100,
  startupWaitMs: 200,
  gateWaitMs: 3000,
  readLeaseMs: 300,
  rejoinBackoffMs: 50,
  rejoinBackoffMaxMs: 200,
  progressPollMs: 5,
  lostObjectsPauseMs: 100,
};

/** The authority's disk: survives gateways, and remembers everything that was put on it. */
class MemoryAuthority implements AuthorityStorage {
  readonly saved: AuthorityState[] = [];
  /** Called before a state is on disk. */
  onSave: (state: AuthorityState) => void = () => undefined;

  async load(): Promise<AuthorityState | null> {
    return this.saved.at(-1) ?? null;
  }

  async save(state: AuthorityState, expected: StateVersion): Promise<void> {
    assertNotSuperseded(expected, this.saved.at(-1) ?? null);
    this.onSave(state);
    this.saved.push(state);
  }
}

class MemoryVerificationRecord implements VerificationStorage {
  readonly saved: VerificationRecord[] = [];

  async load(): Promise<VerificationRecord | null> {
    return this.saved.at(-1) ?? null;
  }

  async save(record: VerificationRecord): Promise<void> {
    this.saved.push(record);
  }
}

export class GatewayRig {
  readonly osds: FaultyOsd[];
  readonly authority = new MemoryAuthority();
  readonly verificationRecord = new MemoryVerificationRecord();
  readonly fatal: unknown[] = [];
  clock: () => number = Date.now;
  suspendsWrites = false;
  writes: WritesMode = 'direct';
  tagTableRowsMax = 1_000_000;
  generator = toGeneratorId(0);
  scrub: ScrubSettings = { intervalMs: null, bytesPerSecond: 1_000_000_000 };
  catchUpPace: Omit<CopyPace, 'isPaused'> = { bytesPerSecond: null, sharePercent: 100 };
  /** The processes that write; none: the gateway does. */
  fleet: WorkerFleet | null = null;
  /** How the gateway that is started next reaches an OSD. */
  linkTo: (osd: FaultyOsd) => OsdConnection = ({ connection }) => connection;
  gateway!: Gateway;

  constructor(mirrorCount = 2, timer: PacerTimer = systemTimer) {
    const peers = new Map<string, FaultyOsd>();
    this.osds = Array.from({ length: mirrorCount }, (_, index) => new FaultyOsd(index, SET_ID, peers, timer));
  }

  get storage(): ObjectStorage {
    return this.gateway.storage;
  }

  osd(index: number): FaultyOsd {
    const osd = this.osds[index];
    if (osd === undefined) throw new RangeError(`no OSD ${index}`);
    return osd;
  }

  async start(overrides: Partial<GatewayTimings> = {}): Promise<this> {
    const logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
    this.gateway = await Gateway.start({
      setId: SET_ID,
      members: this.osds.map((osd) => ({ mirror: osd.mirror, connection: this.linkTo(osd) })),
      generator: this.generator,
      authority: this.authority,
      verificationRecord: this.verificationRecord,
      timings: { ...timings, ...overrides },
      reconcilesByItself: true,
      suspendsWrites: this.suspendsWrites,
      writes: this.writes,
      tagTableRowsMax: this.tagTableRowsMax,
      scrub: this.scrub,
      catchUpPace: this.catchUpPace,
      ...(this.fleet !== null && { fleet: this.fleet }),
      logger,
      clock: this.clock,
      onFatal: (error) => this.fatal.push(error),
    });
    return this;
  }

  async startAndWait(): Promise<this> {
    await this.start();
    await this.untilInSync(...this.osds.keys());
    return this;
  }

  async untilInSync(...indexes: number[]): Promise<void> {
    const wanted = indexes.map((index) => this.osd(index).mirror);
    await expect
      .poll(() => (this.gateway.isReady ? this.gateway.status().inSync : []), {
        timeout: 20_000,
        interval: 5,
      })
      .toEqual(wanted);
  }

  async untilTablesAreEmpty(): Promise<void> {
    await expect
      .poll(() => this.osds.map(({ store }) => store.report().tagTable.rowCount), {
        timeout: 20_000,
        interval: 5,
      })
      .toEqual(this.osds.map(() => 0));
  }

  async put(name: string, content: string | Buffer): Promise<ObjectHead> {
    const sink = this.storage.openContent(idOf(name), null);
    const bytes = Buffer.from(content);
    for (let offset = 0; offset < bytes.length; offset += 65_536) {
      await sink.write(bytes.subarray(offset, offset + 65_536));
    }
    return this.storage.replace({
      id: idOf(name),
      content: await sink.finish(),
      attributes: `{"of":"${name}"}`,
    });
  }

  async append(name: string, content: string): Promise<ObjectHead> {
    const sink = this.storage.openContent(idOf(name), null);
    await sink.write(Buffer.from(content));
    const staged = await sink.finish();
    return this.storage.writeRange({
      id: idOf(name),
      content: staged,
      decide: (current) => ({ offset: current?.sizeBytes ?? 0, attributes: 'appended' }),
    });
  }

  async get(name: string): Promise<string | null> {
    const read = await this.storage.read(idOf(name), { kind: 'whole' });
    if (read === null) return null;
    const pieces: Buffer[] = [];
    for await (const piece of read.body) pieces.push(piece);
    return Buffer.concat(pieces).toString('latin1');
  }

  /** I7: what the mirrors hold, each as text. */
  contents(): string[] {
    return this.osds.map(({ store }) => {
      const lines = [...store.objects]
        .filter(([, { state }]) => state.kind === 'present')
        .map(([id, { state, bytes }]) => `${id} ${JSON.stringify(state)} ${bytes.toString('hex')}`);
      return lines.sort().join('\n');
    });
  }

  expectIdenticalMirrors(): void {
    const [first, ...others] = this.contents();
    for (const other of others) expect(other).toBe(first);
  }
}

export function idOf(name: string): ObjectId {
  return makeObjectId('bucket', name);
}
