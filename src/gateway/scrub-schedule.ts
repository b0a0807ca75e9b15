/**
 * Scrubs: each mirror in sync reads everything that it has, on an operator's order or when the last time was too long ago. One that was
 * interrupted goes on. The interval is looked at with the wall clock; nothing but the start of a scrub hangs on it.
 */
import type { MirrorId } from '../protocol/authority-state.js';
import type { OsdIdentity } from '../wire/osd-connection.js';
import type { Logger } from './logger.js';
import type { MirrorSet } from './mirror-set.js';
import { healSourcesFor } from './read-repair.js';

export interface ScrubSettings {
  /** From the end of one scrub to the start of the next; null: only when an operator asks. */
  readonly intervalMs: number | null;
  /** What each OSD reads at the most. */
  readonly bytesPerSecond: number;
}

export interface ScrubScheduleOptions {
  readonly set: MirrorSet;
  readonly settings: ScrubSettings;
  readonly logger: Logger;
  /** Unix ms. */
  readonly clock: () => number;
  readonly identityOf: (mirror: MirrorId) => OsdIdentity | null;
}

export class ScrubSchedule {
  readonly #options: ScrubScheduleOptions;
  readonly #ordering = new Set<MirrorId>();

  constructor(options: ScrubScheduleOptions) {
    this.#options = options;
  }

  /** Starts what is due, as the mirrors were seen last. */
  review(): void {
    const { set } = this.#options;
    if (!set.gate.isOpen) return;
    for (const mirror of set.inSync) if (this.#isDue(mirror)) void this.#orderQuietly(mirror);
  }

  #isDue(mirror: MirrorId): boolean {
    const { settings, clock, identityOf } = this.#options;
    const identity = identityOf(mirror);
    if (identity === null || this.#ordering.has(mirror)) return false;
    const { scrub } = identity.care;
    // An operator's order counts until it is carried out, whatever the schedule says.
    if (scrub?.state === 'stopped') return true;
    if (settings.intervalMs === null || scrub?.state === 'running') return false;
    return scrub === null || clock() - (scrub.endedMs ?? scrub.startedMs) >= settings.intervalMs;
  }

  async #orderQuietly(mirror: MirrorId): Promise<void> {
    this.#ordering.add(mirror);
    try {
      await this.start(mirror);
    } catch (error) {
      this.#options.logger.warn({ err: error, mirror }, 'a scrub could not be started');
    } finally {
      this.#ordering.delete(mirror);
    }
  }

  /** Starts the scrub of one mirror, or lets the one that runs go on. */
  async start(mirror: MirrorId): Promise<void> {
    const { set, settings } = this.#options;
    const { bytesPerSecond } = settings;
    await set.connectionOf(mirror).startScrub({ bytesPerSecond, sources: healSourcesFor(set, mirror) });
  }
}
