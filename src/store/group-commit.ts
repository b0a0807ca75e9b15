/**
 * Group commit: transactions that are admitted while a batch is being synced go together in the next one.
 *
 * Commit order: operations are gathered in the open batch in the order in which their transactions were admitted. Closing a batch adds the
 * head and, when it is to be synced, its slot of the commit ring; then LevelDB writes it whole. Batches are written one
 * at a time, in order. A batch that changes an object is synced and takes the next commit sequence. One that only holds a
 * fence or the like is synced but not counted: a fence must not carry a rolled-back store closer to what its peers
 * witnessed (F17). One of clears alone is neither, and LevelDB's log keeps it in order all the same; it waits for transactions whose
 * contents are being written just now, because it has all the time and they need a batch anyway (measured: bench/README.md).
 * After the first failure nothing is written any more: what a failed fsync left behind nobody knows.
 */
import { invariant } from '../protocol/invariant.js';
import type { Database, DatabaseBatch } from './database.js';
import type { StoreLimits } from './limits.js';
import { StoreError } from './object-store.js';
import type { StoreObserver } from './store-observer.js';

const OPERATION_OVERHEAD_BYTES = 16;

/** Hears, once, what became of a batch. */
export interface BatchListener {
  written(): void;
  fail(failure: StoreError): void;
}

/** One batch that is being filled or written. */
export class CommitBatch {
  /** The commit sequence that the store reaches with this batch, if it is counted. */
  readonly sequence: number;
  /** Resolves when the batch is written (and synced, if it is to be); rejects with StoreError `io-error`. */
  readonly written: Promise<void>;
  /** LevelDB takes copies of keys and values as they come: half the work of handing over an array of them (measured). */
  readonly #operations: DatabaseBatch;
  readonly #afterwards: (() => void)[] = [];
  readonly #listeners: BatchListener[] = [];
  readonly #resolve: () => void;
  readonly #reject: (error: StoreError) => void;
  #bytes = 0;
  #transactionCount = 0;
  #isSynced = false;
  #isCounted = false;
  #isClosed = false;
  /** It has let come along whom it could. */
  hasWaited = false;

  constructor(sequence: number, database: Database) {
    this.sequence = sequence;
    this.#operations = database.batch();
    const { promise, resolve, reject } = withResolvers();
    this.written = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    promise.catch(() => undefined); // a batch that nobody waits for may fail too
  }

  get transactionCount(): number {
    return this.#transactionCount;
  }

  get isSynced(): boolean {
    return this.#isSynced;
  }

  get isCounted(): boolean {
    return this.#isCounted;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  put(key: Buffer, value: Buffer): void {
    this.#take(key.length + value.length);
    this.#operations.put(key, value);
  }

  delete(key: Buffer): void {
    this.#take(key.length);
    this.#operations.del(key);
  }

  #take(lengthBytes: number): void {
    invariant(!this.#isClosed, 'a closed batch takes no more operations', { sequence: this.sequence });
    this.#bytes += lengthBytes + OPERATION_OVERHEAD_BYTES;
  }

  /** This batch must be on disk before anyone is told. */
  requireSync(): void {
    invariant(!this.#isClosed, 'a closed batch stays what it is', { sequence: this.sequence });
    this.#isSynced = true;
  }

  /** Takes in a transaction that changes an object: the batch is synced and counted. */
  countTransaction(): void {
    this.requireSync();
    this.#isCounted = true;
    this.#transactionCount += 1;
  }

  /** Calls back once the batch is written, before anybody is told. */
  afterwards(callback: () => void): void {
    this.#afterwards.push(callback);
  }

  /** The same as to wait for `written`, without a promise. */
  tell(listener: BatchListener): void {
    this.#listeners.push(listener);
  }

  isFull(limits: StoreLimits): boolean {
    return this.#transactionCount >= limits.batchTransactionsMax || this.#bytes >= limits.batchBytesMax;
  }

  close(): void {
    this.#isClosed = true;
  }

  async write(): Promise<void> {
    await this.#operations.write({ sync: this.#isSynced });
  }

  succeed(): void {
    for (const callback of this.#afterwards) callback();
    for (const listener of this.#listeners) listener.written();
    this.#resolve();
  }

  fail(error: StoreError): void {
    for (const listener of this.#listeners) listener.fail(error);
    this.#reject(error);
  }
}

function withResolvers(): {
  promise: Promise<void>;
  resolve: () => void;
  reject: (error: StoreError) => void;
} {
  let resolve: () => void = () => undefined;
  let reject: (error: StoreError) => void = () => undefined;
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

export interface GroupCommitSetup {
  readonly database: Database;
  readonly limits: StoreLimits;
  readonly lastSequence: number;
  readonly observer: StoreObserver | null;
  /** True while contents of transactions are being written; `goOn` is called when some of them are. */
  readonly isMoreComing: () => boolean;
  /** Adds to a batch that is about to be closed what every batch brings up to date. */
  readonly complete: (batch: CommitBatch) => void;
}

export class GroupCommit {
  readonly #setup: GroupCommitSetup;
  /** In order; the first may be on its way to the disk, the last may be open. */
  readonly #batches: CommitBatch[] = [];
  #closedSequence: number;
  #committedSequence: number;
  #pump: Promise<void> | null = null;
  #isDraining = false;
  #failure: StoreError | null = null;

  constructor(setup: GroupCommitSetup) {
    this.#setup = setup;
    this.#closedSequence = setup.lastSequence;
    this.#committedSequence = setup.lastSequence;
  }

  /** The last sequence that is on disk. */
  get committedSequence(): number {
    return this.#committedSequence;
  }

  get failure(): StoreError | null {
    return this.#failure;
  }

  /** The batch that takes the next operations. Precondition: no failure so far (throws it). */
  open(): CommitBatch {
    if (this.#failure !== null) throw this.#failure;
    const batch = this.#lastWithRoom() ?? this.#begin();
    this.#pump ??= this.#run();
    return batch;
  }

  #lastWithRoom(): CommitBatch | null {
    const last = this.#batches.at(-1);
    if (last === undefined || last.isClosed) return null;
    if (!last.isFull(this.#setup.limits)) return last;
    this.#close(last);
    return null;
  }

  #begin(): CommitBatch {
    const batch = new CommitBatch(this.#closedSequence + 1, this.#setup.database);
    this.#batches.push(batch);
    return batch;
  }

  /** Some contents were written, or will not be: what waited for their transactions waits no more. */
  goOn(): void {
    const [first] = this.#batches;
    if (first === undefined) return;
    first.hasWaited = true;
    this.#pump ??= this.#run();
  }

  #close(batch: CommitBatch): void {
    this.#setup.complete(batch);
    batch.close();
    if (batch.isCounted) this.#closedSequence = batch.sequence;
  }

  async #run(): Promise<void> {
    // Everything that arrived in this turn of the event loop shares the first batch.
    await new Promise((resolve) => setImmediate(resolve));
    for (;;) {
      const batch = this.#batches[0];
      if (batch === undefined || this.#failure !== null || this.#waitsForOthers(batch)) break;
      await this.#write(batch);
    }
    this.#pump = null;
  }

  /** True: the batch waits until `open` or `goOn`. */
  #waitsForOthers(batch: CommitBatch): boolean {
    const isUrgent = batch.isSynced || batch.isClosed || batch.hasWaited || this.#isDraining;
    return !isUrgent && this.#setup.isMoreComing();
  }

  async #write(batch: CommitBatch): Promise<void> {
    const { observer } = this.#setup;
    try {
      if (!batch.isClosed) this.#close(batch);
      const startMs = performance.now();
      await batch.write();
      const { transactionCount, isSynced } = batch;
      observer?.batchWritten({ transactionCount, isSynced, durationMs: performance.now() - startMs });
    } catch (cause) {
      this.fail(new StoreError('io-error', `batch ${batch.sequence} could not be committed`, { cause }));
      return;
    }
    this.#batches.shift();
    if (batch.isCounted) this.#committedSequence = batch.sequence;
    batch.succeed();
  }

  /** Takes no more operations in this run. What is waiting fails. */
  fail(error: StoreError): void {
    this.#failure ??= error;
    for (const batch of this.#batches.splice(0)) batch.fail(this.#failure);
  }

  /** Resolves when nothing is waiting or being written. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    this.goOn();
    while (this.#pump !== null) await this.#pump;
  }
}
