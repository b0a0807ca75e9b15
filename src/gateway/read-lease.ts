/** One writer's lease on reads (protocol/read-lease.ts): valid or not, and a place to wait in until it is renewed. */
import type { AuthorityState, MirrorId } from '../protocol/authority-state.js';
import { readableUntilMs } from '../protocol/read-lease.js';
import { type Epoch, EPOCH_NONE } from '../protocol/tag.js';
import { Gate } from './gate.js';
import { monotonicMs } from './monotonic-clock.js';

/** A mirror in sync was asked at `atMs`, and then said that it is active at this epoch. */
export interface Confirmation {
  readonly epoch: Epoch;
  readonly mirror: MirrorId;
  /** On the monotonic clock of the machine. */
  readonly atMs: number;
}

const LAPSED = 'a mirror has not said for a while that this gateway is still the one that serves';

export class ReadLease {
  readonly #leaseMs: number;
  readonly #renewed = new Gate();
  readonly #confirmedMs = new Map<MirrorId, number>();
  #epoch: Epoch = EPOCH_NONE;
  #inSync: readonly MirrorId[] = [];
  /** On the clock of `performance.now`, which is cheaper to look at for every read. */
  #untilMs = -Infinity;

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs;
  }

  get isValid(): boolean {
    return performance.now() < this.#untilMs;
  }

  follow({ epoch, inSync }: AuthorityState): void {
    if (epoch !== this.#epoch) this.#confirmedMs.clear();
    this.#epoch = epoch;
    this.#inSync = inSync;
    this.#review();
  }

  confirm({ epoch, mirror, atMs }: Confirmation): void {
    if (epoch !== this.#epoch) return;
    this.#confirmedMs.set(mirror, Math.max(atMs, this.#confirmedMs.get(mirror) ?? -Infinity));
    this.#review();
  }

  #review(): void {
    const untilMs = readableUntilMs(this.#inSync, this.#confirmedMs, this.#leaseMs);
    this.#untilMs = untilMs - (monotonicMs() - performance.now());
    if (this.isValid) this.#renewed.open();
  }

  /** Resolves when it has been renewed. Rejects with `unavailable` after `waitMs`. Precondition: it is not valid. */
  async pass(waitMs: number): Promise<void> {
    this.#renewed.close(LAPSED);
    await this.#renewed.pass(waitMs);
  }

  /** Whoever waits or comes later is turned away. */
  shut(reason: string): void {
    this.#renewed.shut(reason);
  }
}
