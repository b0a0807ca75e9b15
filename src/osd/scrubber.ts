/**
 * Reads everything that this OSD has, at a bounded rate, and has what is rotten healed from a peer.
 *
 * Where it is, is on disk after every page: after a restart, or when it was stopped, the next order goes on from there. It reads
 * whatever the state of the OSD; it waits while the OSD is not active, because then nothing can be healed.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { InvariantViolation } from '../protocol/invariant.js';
import { type ObjectId, toObjectId } from '../protocol/object-id.js';
import { takePace } from '../protocol/pace.js';
import { EPOCH_NONE } from '../protocol/tag.js';
import { type ObjectStore, StoreError } from '../store/object-store.js';
import type { ScrubOrder, ScrubProgress } from '../wire/osd-connection.js';
import { findDamage } from './examination.js';
import type { Healer } from './healer.js';
import type { OsdLogger } from './osd-logger.js';

/** Objects between two notes of where it is. */
const SCRUB_PAGE_OBJECTS = 64;
const ACTIVE_POLL_MS = 500;
/** What an object costs besides its bytes: its record. */
const OBJECT_COST_BYTES = 512;

export interface ScrubberOptions {
  readonly store: ObjectStore;
  readonly healer: Healer;
  readonly logger: OsdLogger;
  /** Unix time in ms; for display. */
  readonly clock: () => number;
  readonly onInvariantViolation: (violation: InvariantViolation) => void;
}

/** What is on disk of a scrub. */
interface ScrubRecord extends Omit<ScrubProgress, 'state'> {
  readonly state: 'begun' | 'done' | 'failed';
  /** The last object that was looked at. */
  readonly after: ObjectId | null;
}

function freshRecord(startedMs: number): ScrubRecord {
  const counts = { objectsExamined: 0, bytesExamined: 0, objectsDamaged: 0, objectsHealed: 0 };
  return { state: 'begun', startedMs, endedMs: null, ...counts, failure: null, after: null };
}

function parseRecord(text: string | null): ScrubRecord | null {
  if (text === null) return null;
  const record = JSON.parse(text) as ScrubRecord;
  return { ...record, after: record.after === null ? null : toObjectId(record.after) };
}

export class Scrubber {
  readonly #options: ScrubberOptions;
  #record: ScrubRecord | null = null;
  #isLoaded = false;
  #running: Promise<void> | null = null;
  #stopping = new AbortController();

  constructor(options: ScrubberOptions) {
    this.#options = options;
  }

  /** The scrub that runs, or the latest one; null: there never was one. */
  async progress(): Promise<ScrubProgress | null> {
    await this.#load();
    if (this.#record === null) return null;
    const { after: _after, state, ...figures } = this.#record;
    const isRunning = this.#running !== null;
    return { ...figures, state: state === 'begun' ? (isRunning ? 'running' : 'stopped') : state };
  }

  /** Begins, or goes on where the last one was left. One that runs goes on as it is. */
  async start(order: ScrubOrder): Promise<ScrubProgress | null> {
    await this.#load();
    if (this.#running === null) {
      if (this.#record?.state !== 'begun') this.#record = freshRecord(this.#options.clock());
      this.#stopping = new AbortController();
      this.#running = this.#run(order, this.#record, this.#stopping.signal).finally(() => {
        this.#running = null;
      });
    }
    return this.progress();
  }

  /** Resolves when it has stopped. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #load(): Promise<void> {
    if (this.#isLoaded) return;
    this.#takeLoaded(parseRecord(await this.#options.store.scrubRecord()));
  }

  /** Whoever else loaded meanwhile came first. */
  #takeLoaded(record: ScrubRecord | null): void {
    if (this.#isLoaded) return;
    this.#record = record;
    this.#isLoaded = true;
  }

  async #save(record: ScrubRecord): Promise<void> {
    this.#record = record;
    await this.#options.store.setScrubRecord(JSON.stringify(record));
  }

  /** Never rejects. */
  async #run(order: ScrubOrder, begun: ScrubRecord, signal: AbortSignal): Promise<void> {
    const { logger, clock, onInvariantViolation } = this.#options;
    try {
      await this.#save(begun);
      await this.#walk(order, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof InvariantViolation) onInvariantViolation(error);
      logger.error({ err: error }, 'a scrub failed');
      const failure = error instanceof Error ? error.message : String(error);
      this.#record = { ...(this.#record ?? begun), state: 'failed', endedMs: clock(), failure };
    }
  }

  async #walk(order: ScrubOrder, signal: AbortSignal): Promise<void> {
    const { store, logger, clock } = this.#options;
    const pace = this.#makePace(order, signal);
    for (;;) {
      const record = this.#record ?? freshRecord(clock());
      const page = await store.summaries(record.after, SCRUB_PAGE_OBJECTS);
      const last = page.at(-1);
      if (last === undefined) {
        await this.#save({ ...record, state: 'done', endedMs: clock(), after: null });
        logger.info({ scrub: this.#record }, 'a scrub is done');
        return;
      }
      const counts = { ...record, after: last.objectId };
      for (const { objectId, sizeBytes } of page) {
        await pace(OBJECT_COST_BYTES);
        if (sizeBytes === null) continue;
        await this.#untilActive(signal);
        counts.objectsExamined += 1;
        counts.bytesExamined += sizeBytes;
        const damage = await findDamage(store, objectId, pace);
        if (damage === null || damage.extents.length === 0) continue;
        counts.objectsDamaged += 1;
        const epoch = store.report().fence.activeEpoch;
        const { extents } = damage;
        const outcome = await this.#options.healer.heal({ epoch, objectId, extents, sources: order.sources });
        if (outcome === 'healed') counts.objectsHealed += 1;
      }
      await this.#save(counts);
    }
  }

  #makePace({ bytesPerSecond }: ScrubOrder, signal: AbortSignal): (bytes: number) => Promise<void> {
    let freeAtMs = 0;
    return async (bytes) => {
      signal.throwIfAborted();
      const taken = takePace(freeAtMs, performance.now(), bytes, bytesPerSecond);
      freeAtMs = taken.freeAtMs;
      if (taken.waitMs >= 1) await sleep(taken.waitMs, undefined, { signal });
    };
  }

  async #untilActive(signal: AbortSignal): Promise<void> {
    const { store } = this.#options;
    while (store.report().fence.activeEpoch === EPOCH_NONE) {
      if (store.report().fault?.kind === 'disk-failed') throw new StoreError('io-error', 'the disk failed');
      await sleep(ACTIVE_POLL_MS, undefined, { signal });
    }
  }
}
