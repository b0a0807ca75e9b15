/**
 * Compares the mirrors in sync object by object while clients write, at a bounded rate, and says or repairs what differs.
 *
 * - The walk goes through the mirrors' summaries in key order, a page at a time, and reads the content of what looks the same. Whatever looks
 *   different is looked at again by itself, between the mutations of that object: then no write of it is in flight, and a
 *   difference is one. It is told when two such looks have shown the same (no false alarm).
 * - The place in the walk is on disk after every page. After a restart of the gateway it goes on from there by itself.
 * - Every look is within one epoch; while fewer than two mirrors are in sync, or the gate is shut, it waits.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { InvariantViolation } from '../../protocol/invariant.js';
import { compareUtf8, type ObjectId } from '../../protocol/object-id.js';
import { takePace } from '../../protocol/pace.js';
import type { ObjectSummary } from '../../protocol/reconcile-plan.js';
import type { Epoch } from '../../protocol/tag.js';
import { EXAMINED_WINDOW_BYTES } from '../../wire/osd-connection.js';
import type { Logger } from '../logger.js';
import type { MirrorSet } from '../mirror-set.js';
import type { MirroredObjectStorage } from '../mirrored-object-storage.js';
import {
  type ComparedMirror,
  compareContent,
  compareStates,
  examineAll,
  fingerprintOf,
  isDamage,
  isWindowSame,
  type Look,
  type Pace,
  requestsFor,
  type StateSeen,
  statesOf,
} from './object-comparison.js';
import { type Patient, repairObject } from './object-repair.js';
import { mergeSummaries, type SummaryPage } from './summary-page.js';
import {
  type Difference,
  DIFFERENCES_TOLD_MAX,
  type Verification,
  type VerificationOrder,
} from './verification.js';
import type { VerificationRecord, VerificationStorage } from './verification-storage.js';

const PAGE_OBJECTS = 256;
/** How long a page may take by its content, so that a walk through large objects notes its place too. */
const PAGE_SECONDS = 4;
/** Failures in a row, with the same mirrors in sync, before the walk gives up. */
const PAGE_ATTEMPTS_MAX = 20;
const PAGE_RETRY_DELAY_MS = 500;
/** Looks at one object whose mirrors seem to differ. */
const LOOKS_MAX = 8;
const LOOK_DELAY_MS = 10;
/** Content up to this is read while clients' writes to the object wait; so a small one is always compared. */
const HELD_CONTENT_BYTES_MAX = EXAMINED_WINDOW_BYTES;
const COMPARABLE_POLL_MS = 100;
/** What an object costs besides its bytes: its record. */
const OBJECT_COST_BYTES = 512;

export interface VerifierOptions {
  readonly set: MirrorSet;
  readonly storage: MirroredObjectStorage;
  readonly record: VerificationStorage;
  readonly logger: Logger;
  /** Unix ms; for display. */
  readonly clock: () => number;
  /** Called when a verification is over. */
  readonly onEnded: (verification: Verification) => void;
  readonly onFatal: (error: unknown) => void;
}

interface Comparison {
  readonly epoch: Epoch;
  readonly mirrors: readonly ComparedMirror[];
}

/** The epoch changed under a look, so it says nothing. */
class Interrupted extends Error {}

type Confirmed =
  | { readonly kind: 'same' }
  | { readonly kind: 'changing' }
  | { readonly kind: 'differs'; readonly patient: Patient };

export class Verifier {
  readonly #options: VerifierOptions;
  #record: VerificationRecord | null = null;
  #isWaiting = false;
  #running: Promise<void> | null = null;
  #freeAtMs = 0;
  /** Objects of the present page that were looked at by themselves and counted. */
  readonly #settled = new Set<ObjectId>();
  #stopping = new AbortController();
  /** An operator wants no more of it. */
  #isCancelled = false;

  constructor(options: VerifierOptions) {
    this.#options = options;
  }

  /** Goes on with what was left. A note that can't be read is lost: the verification is begun again by whoever wants it. */
  async resume(): Promise<void> {
    const { record, logger } = this.#options;
    try {
      this.#record = await record.load();
    } catch (error) {
      logger.error({ err: error }, 'what was noted of the last verification can not be read');
    }
    if (this.#record?.state === 'begun') this.#launch();
  }

  /** The one that runs, or the latest one; null: there never was one. */
  get latest(): Verification | null {
    if (this.#record === null) return null;
    const { after: _after, formatVersion: _formatVersion, state, ...figures } = this.#record;
    return { ...figures, state: state === 'begun' ? (this.#isWaiting ? 'waiting' : 'running') : state };
  }

  /** Begins one, or says which one runs. */
  start(
    order: VerificationOrder,
    objectsExpected: number,
  ): { readonly verification: Verification; readonly isNew: boolean } {
    const isNew = this.#running === null;
    if (isNew) {
      this.#record = {
        formatVersion: 1,
        id: randomUUID(),
        ...order,
        state: 'begun',
        startedMs: this.#options.clock(),
        endedMs: null,
        objectsCompared: 0,
        objectsChanging: 0,
        objectsExpected,
        bytesCompared: 0,
        differenceCount: 0,
        repairedCount: 0,
        differences: [],
        failure: null,
        after: null,
      };
      this.#launch();
    }
    return { verification: this.latest ?? notStarted(), isNew };
  }

  /** Ends the one that runs, for good. Null: none runs. */
  async cancel(): Promise<Verification | null> {
    if (this.#running === null) return null;
    this.#isCancelled = true;
    this.#stopping.abort();
    await this.#running;
    return this.latest;
  }

  /** Resolves when nothing of it runs any more. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  #launch(): void {
    this.#stopping = new AbortController();
    this.#isCancelled = false;
    this.#running = this.#run().finally(() => {
      this.#running = null;
    });
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const { logger, clock, onEnded, onFatal } = this.#options;
    try {
      await this.#save({});
      let attempt = 1;
      for (;;) {
        const { epoch } = await this.#comparison();
        try {
          if (await this.#walkPage()) break;
          attempt = 1;
        } catch (error) {
          this.#signal.throwIfAborted();
          if (error instanceof InvariantViolation) throw error;
          // The mirrors came or went: that is the recovery's business, and no failure of this.
          const isOurs = this.#options.set.epoch === epoch && !(error instanceof Interrupted);
          if (isOurs && attempt === PAGE_ATTEMPTS_MAX) throw error;
          if (isOurs) attempt += 1;
          logger.warn({ err: error, attempt }, 'a page could not be verified; it is tried again');
          await sleep(PAGE_RETRY_DELAY_MS, undefined, { signal: this.#signal });
        }
      }
      await this.#save({ state: 'done', endedMs: clock(), after: null });
    } catch (error) {
      if (this.#signal.aborted && !this.#isCancelled) return;
      if (error instanceof InvariantViolation) onFatal(error);
      await this.#end(error);
    }
    onEnded(this.latest ?? notStarted());
  }

  /** It was stopped by an operator, or has failed. */
  async #end(error: unknown): Promise<void> {
    const { logger, clock } = this.#options;
    if (this.#isCancelled) this.#change({ state: 'stopped', endedMs: clock() });
    else {
      logger.error({ err: error }, 'a verification failed');
      const failure = error instanceof Error ? error.message : String(error);
      this.#change({ state: 'failed', endedMs: clock(), failure });
    }
    await this.#save({}).catch((cause: unknown) => {
      logger.error({ err: cause }, 'the end of a verification could not be noted');
    });
  }

  get #signal(): AbortSignal {
    return this.#stopping.signal;
  }

  get #now(): VerificationRecord {
    return this.#record ?? notStarted();
  }

  #change(change: Partial<VerificationRecord>): void {
    this.#record = { ...this.#now, ...change };
  }

  async #save(change: Partial<VerificationRecord>): Promise<void> {
    this.#change(change);
    await this.#options.record.save(this.#now);
  }

  /** Waits until there is something to compare. */
  async #comparison(): Promise<Comparison> {
    const { set } = this.#options;
    try {
      while (!set.gate.isOpen || set.inSync.length < 2) {
        this.#isWaiting = true;
        await sleep(COMPARABLE_POLL_MS, undefined, { signal: this.#signal });
      }
    } finally {
      this.#isWaiting = false;
    }
    this.#signal.throwIfAborted();
    const mirrors = set.inSync.map((mirror) => ({ mirror, connection: set.connectionOf(mirror) }));
    return { epoch: set.epoch, mirrors };
  }

  #isOver({ epoch }: Comparison): boolean {
    const { set } = this.#options;
    return set.epoch !== epoch || !set.gate.isOpen;
  }

  readonly #pace: Pace = async (bytes) => {
    this.#signal.throwIfAborted();
    const taken = takePace(this.#freeAtMs, performance.now(), bytes, this.#now.bytesPerSecond);
    this.#freeAtMs = taken.freeAtMs;
    if (taken.waitMs >= 1) await sleep(taken.waitMs, undefined, { signal: this.#signal });
  };

  /** True when it was the last one. A page that fails is begun again, without what was settled of it. */
  async #walkPage(): Promise<boolean> {
    const before = this.#now;
    try {
      const comparison = await this.#comparison();
      const page = await this.#readPage(comparison, before.after);
      const suspects = new Set(page.suspects);
      if (!before.isQuick) for (const id of await this.#examine(comparison, page.alike)) suspects.add(id);
      if (this.#isOver(comparison)) throw new Interrupted();
      const alike = page.alike.filter(
        ({ objectId }) => !suspects.has(objectId) && !this.#settled.has(objectId),
      );
      for (const id of [...suspects].sort(compareUtf8)) {
        if (this.#settled.has(id)) continue;
        await this.#settle(id);
        this.#settled.add(id);
      }
      this.#settled.clear();
      this.#change({ objectsCompared: this.#now.objectsCompared + alike.length });
      if (page.last === null) return true;
      await this.#save({ after: page.last });
      return false;
    } catch (error) {
      this.#change({ bytesCompared: before.bytesCompared });
      throw error;
    }
  }

  async #readPage({ mirrors }: Comparison, after: ObjectId | null): Promise<SummaryPage> {
    await this.#pace(PAGE_OBJECTS * OBJECT_COST_BYTES);
    const lists = await Promise.all(
      mirrors.map(({ connection }) => connection.summaries(after, PAGE_OBJECTS)),
    );
    const bytes = this.#now.bytesPerSecond * PAGE_SECONDS;
    return mergeSummaries(lists, { objects: PAGE_OBJECTS, bytes });
  }

  /** Reads the content of objects that look the same; returns those that have to be looked at by themselves. */
  async #examine({ mirrors }: Comparison, alike: readonly ObjectSummary[]): Promise<Set<ObjectId>> {
    const suspects = new Set<ObjectId>();
    const tags = new Map(alike.map(({ objectId, lastTag }) => [objectId, lastTag]));
    const sized = alike.map(({ objectId, sizeBytes }) => ({ objectId, sizeBytes: sizeBytes ?? 0 }));
    for (const requests of requestsFor(sized)) {
      try {
        const replies = await examineAll(mirrors, requests, this.#pace);
        for (const [index, { objectId, extent }] of requests.entries()) {
          const ofWindow = replies.map((ofMirror) => ofMirror[index]);
          const lastTag = tags.get(objectId);
          if (lastTag === undefined || !isWindowSame(ofWindow, lastTag)) suspects.add(objectId);
          this.#change({ bytesCompared: this.#now.bytesCompared + extent.length });
        }
      } catch (error) {
        // Not even the record of one of them can be read; which one, their own looks say.
        if (!isDamage(error)) throw error;
        for (const { objectId } of requests) suspects.add(objectId);
      }
    }
    return suspects;
  }

  /** Looks at an object until it is clear how it is, repairs it if that is wanted, and counts it. */
  async #settle(id: ObjectId): Promise<void> {
    const { set, storage, logger } = this.#options;
    const confirmed = await this.#confirm(id);
    if (confirmed.kind === 'changing') {
      this.#change({ objectsChanging: this.#now.objectsChanging + 1 });
      return;
    }
    this.#change({ objectsCompared: this.#now.objectsCompared + 1 });
    if (confirmed.kind === 'same') return;
    const { patient } = confirmed;
    const { kind, mirrors } = patient.finding;
    logger.error({ objectId: id, kind, mirrors }, 'the mirrors differ in an object');
    if (!this.#now.repairs) {
      this.#tell({ objectId: id, kind, mirrors, outcome: 'found', detail: 'nothing was changed' });
      return;
    }
    const context = { set, storage, pace: this.#pace, signal: this.#signal };
    const detail = await repairObject(context, patient);
    const after = await this.#confirm(id);
    const outcome = after.kind === 'differs' ? 'needs-operator' : 'repaired';
    logger.warn({ objectId: id, kind, outcome, detail }, 'a repair was tried');
    this.#tell({ objectId: id, kind, mirrors, outcome, detail });
  }

  #tell(difference: Difference): void {
    const { differences, differenceCount, repairedCount } = this.#now;
    this.#change({
      differenceCount: differenceCount + 1,
      repairedCount: repairedCount + (difference.outcome === 'repaired' ? 1 : 0),
      ...(differences.length < DIFFERENCES_TOLD_MAX && { differences: [...differences, difference] }),
    });
  }

  async #confirm(id: ObjectId): Promise<Confirmed> {
    let previous: string | null = null;
    for (let look = 1; look <= LOOKS_MAX; look += 1) {
      if (look > 1) await sleep(LOOK_DELAY_MS * (look - 1), undefined, { signal: this.#signal });
      const comparison = await this.#comparison();
      const { states, seen } = await this.#lookAt(id, comparison);
      if (this.#isOver(comparison)) continue;
      if (seen.kind === 'same') return seen;
      if (seen.kind === 'changing') {
        previous = null;
        continue;
      }
      const { finding } = seen;
      const present = JSON.stringify([finding.kind, fingerprintOf(states)]);
      if (present === previous) {
        return { kind: 'differs', patient: { objectId: id, finding, states, mirrors: comparison.mirrors } };
      }
      previous = present;
    }
    return { kind: 'changing' };
  }

  async #lookAt(
    id: ObjectId,
    { mirrors }: Comparison,
  ): Promise<{ readonly states: readonly StateSeen[]; readonly seen: Look }> {
    const { storage } = this.#options;
    const { isQuick } = this.#now;
    // What is read while writes wait is paid for before.
    await this.#pace(isQuick ? OBJECT_COST_BYTES : HELD_CONTENT_BYTES_MAX);
    const held = await storage.betweenMutations(id, async () => {
      const states = await statesOf(id, mirrors);
      const seen = compareStates(mirrors, states);
      const sizeBytes = seen.kind === 'same' && !isQuick ? presentSizeOf(states) : null;
      if (sizeBytes === null || sizeBytes > HELD_CONTENT_BYTES_MAX) return { states, seen, sizeBytes };
      const unpaced = async (): Promise<void> => undefined;
      return { states, seen: await compareContent(id, mirrors, states, unpaced), sizeBytes: null };
    });
    const { states, seen, sizeBytes } = held;
    if (sizeBytes === null) return { states, seen };
    return { states, seen: await compareContent(id, mirrors, states, this.#pace) };
  }
}

function presentSizeOf([state]: readonly StateSeen[]): number | null {
  return state !== undefined && state !== 'unreadable' && state?.kind === 'present' ? state.sizeBytes : null;
}

function notStarted(): never {
  throw new InvariantViolation('a verification has begun before it is asked for');
}
