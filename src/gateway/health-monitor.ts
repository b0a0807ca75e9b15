/**
 * Looks at every OSD again and again, and says what follows: a lost mirror is left out, a restarted one gets a new epoch
 * (F29), one that is back is reconciled, one whose disk failed is left out before a client finds out.
 */
import type { MirrorId } from '../protocol/authority-state.js';
import { unreachable } from '../protocol/invariant.js';
import type { OsdIdentity } from '../wire/osd-connection.js';
import type { MirrorSet } from './mirror-set.js';
import { monotonicMs } from './monotonic-clock.js';
import type { GatewayTimings } from './timings.js';

export interface MirrorHealth {
  readonly identity: OsdIdentity | null;
  /** Unix ms of the last answer; null: none yet. */
  readonly lastSeenMs: number | null;
  readonly isReachable: boolean;
}

export type HealthFinding =
  | { readonly kind: 'fine' }
  | { readonly kind: 'lost' }
  /** In sync with a disk that takes no writes, while somebody else can go on. */
  | { readonly kind: 'failed' }
  | { readonly kind: 'restarted' }
  | { readonly kind: 'returned' };

export interface HealthMonitorOptions {
  readonly set: MirrorSet;
  readonly timings: GatewayTimings;
  /** Unix ms; for display. */
  readonly clock: () => number;
  readonly onFinding: (mirror: MirrorId, finding: Exclude<HealthFinding, { kind: 'fine' }>) => void;
  /** Called after each round. */
  readonly onLooked: () => void;
}

interface Watch {
  health: MirrorHealth;
  /** On the monotonic clock, in ms. */
  unreachableSinceMs: number | null;
  /** The look that has no answer yet. */
  looking: Promise<void> | null;
}

export class HealthMonitor {
  readonly #options: HealthMonitorOptions;
  readonly #watches = new Map<MirrorId, Watch>();
  #timer: NodeJS.Timeout | null = null;
  #round: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(options: HealthMonitorOptions) {
    this.#options = options;
    for (const { mirror } of options.set.members) {
      const health: MirrorHealth = { identity: null, lastSeenMs: null, isReachable: false };
      this.#watches.set(mirror, { health, unreachableSinceMs: null, looking: null });
    }
  }

  healthOf(mirror: MirrorId): MirrorHealth {
    return this.#watches.get(mirror)?.health ?? { identity: null, lastSeenMs: null, isReachable: false };
  }

  start(): void {
    this.#schedule();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#round;
    await Promise.all([...this.#watches.values()].flatMap(({ looking }) => looking ?? []));
  }

  /** Looks at everyone now, and waits for those in sync: one that is out and hangs must not keep reads from being confirmed. */
  async #look(): Promise<void> {
    const looks = [...this.#watches].flatMap(([mirror, watch]) => {
      watch.looking ??= this.#lookAt(mirror, watch).finally(() => (watch.looking = null));
      return this.#options.set.inSync.includes(mirror) ? [watch.looking] : [];
    });
    await Promise.all(looks);
    if (!this.#isStopped) this.#options.onLooked();
  }

  /** After it nothing that a mirror said before this call counts any more. Concludes nothing from it; the next round does. */
  async refresh(mirror: MirrorId): Promise<void> {
    const watch = this.#watches.get(mirror);
    // A look that is on its way brings what was so before.
    await watch?.looking;
    if (watch !== undefined) await this.#ask(mirror, watch);
  }

  #schedule(): void {
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => {
      this.#round = this.#look().finally(() => {
        this.#schedule();
      });
    }, this.#options.timings.healthPollMs);
  }

  async #lookAt(mirror: MirrorId, watch: Watch): Promise<void> {
    const { set } = this.#options;
    const epochBefore = set.epoch;
    const askedMs = monotonicMs();
    const identity = await this.#ask(mirror, watch);
    // What was seen while the epoch changed says nothing of the present.
    if (this.#isStopped || set.isInTransition || set.epoch !== epochBefore) return;
    const finding = this.#judge(mirror, identity, watch);
    switch (finding.kind) {
      case 'fine':
        if (this.#servesReads(mirror, identity)) set.confirm(mirror, askedMs);
        return;
      case 'lost':
      case 'failed':
      case 'restarted':
      case 'returned':
        this.#options.onFinding(mirror, finding);
        return;
      default:
        unreachable(finding);
    }
  }

  /** Null: it is not there for us, whatever kept it from answering. */
  async #ask(mirror: MirrorId, watch: Watch): Promise<OsdIdentity | null> {
    const { set, clock } = this.#options;
    try {
      const identity = await set.connectionOf(mirror).identity();
      watch.unreachableSinceMs = null;
      watch.health = { identity, lastSeenMs: clock(), isReachable: true };
      return identity;
    } catch {
      watch.unreachableSinceMs ??= performance.now();
      watch.health = { ...watch.health, isReachable: false };
      return null;
    }
  }

  #judge(mirror: MirrorId, identity: OsdIdentity | null, watch: Watch): HealthFinding {
    const { set, timings } = this.#options;
    const isInSync = set.inSync.includes(mirror);
    if (identity === null) {
      const silentMs = performance.now() - (watch.unreachableSinceMs ?? performance.now());
      return isInSync && silentMs >= timings.mirrorLostMs ? { kind: 'lost' } : { kind: 'fine' };
    }
    // One that can take no writes is not taken back: the attempt would only hold up the others.
    const isRebuilding = set.rebuilding.includes(mirror) && identity.activeEpoch === set.epoch;
    if (isRebuilding) return { kind: 'fine' };
    if (!isInSync) return this.#mayBeWritten(identity) ? { kind: 'returned' } : { kind: 'fine' };
    const isTheSameRun = set.state.incarnations[mirror] === identity.incarnation;
    const isSound = identity.selfDoubt === null && identity.activeEpoch === set.epoch;
    if (!isTheSameRun || !isSound) return { kind: 'restarted' };
    const hasFailed = identity.fault?.kind === 'disk-failed';
    return hasFailed && this.#hasSoundPeer(mirror) ? { kind: 'failed' } : { kind: 'fine' };
  }

  #servesReads(mirror: MirrorId, identity: OsdIdentity | null): boolean {
    const { set } = this.#options;
    return set.inSync.includes(mirror) && identity !== null && identity.activeEpoch === set.epoch;
  }

  /** A full disk too, when objects were removed meanwhile: then the reconciliation itself makes room. */
  #mayBeWritten({ fault, blobBytes }: OsdIdentity): boolean {
    if (fault?.kind !== 'no-space') return fault === null;
    return this.#options.set.inSync.some((other) => {
      const source = this.healthOf(other).identity;
      return source !== null && source.blobBytes < blobBytes;
    });
  }

  #hasSoundPeer(mirror: MirrorId): boolean {
    return this.#options.set.inSync.some((other) => {
      const { identity, isReachable } = this.healthOf(other);
      return other !== mirror && isReachable && identity?.fault?.kind !== 'disk-failed';
    });
  }
}
