/** The figures of a running reconciliation, and what must hold between them (I7). */
import { invariant } from '../../protocol/invariant.js';
import type { Epoch } from '../../protocol/tag.js';
import type { ReconcileProgress } from '../../wire/osd-connection.js';
import type { PacerTimer } from './copy-pacer.js';

type Writable<Type> = { -readonly [Key in keyof Type]: Type[Key] };

export class ProgressTracker {
  readonly #figures: Writable<ReconcileProgress>;
  readonly #timer: PacerTimer;
  /** Where the full copy that runs began. */
  #fullCopyStart = { atMs: 0, objectsCompared: 0 };

  constructor(epoch: Epoch, timer: PacerTimer) {
    this.#timer = timer;
    this.#figures = {
      epoch,
      phase: 'matching',
      isScanned: false,
      rowsMatched: 0,
      rowsUnmatched: 0,
      rowsDropped: 0,
      objectsToDo: 0,
      objectsDone: 0,
      rangesDone: 0,
      bytesUnmatched: 0,
      bytesCopied: 0,
      objectsCompared: 0,
      objectsToCompare: 0,
      objectsDeleted: 0,
      leftMs: null,
      failure: null,
    };
  }

  snapshot(): ReconcileProgress {
    return { ...this.#figures, leftMs: this.#leftMs() };
  }

  #leftMs(): number | null {
    const { phase, objectsCompared, objectsToCompare } = this.#figures;
    const compared = objectsCompared - this.#fullCopyStart.objectsCompared;
    if (phase !== 'full-copy' || compared <= 0) return null;
    const tookMs = this.#timer.now() - this.#fullCopyStart.atMs;
    return Math.round((tookMs / compared) * Math.max(0, objectsToCompare - objectsCompared));
  }

  /** One more full copy, of about so many objects; as many are compared already when it goes on where it was. */
  fullCopyBegins(compared: number, toCompare: number): void {
    this.#figures.objectsCompared += compared;
    this.#figures.objectsToCompare += Math.max(compared, toCompare);
    this.#fullCopyStart = { atMs: this.#timer.now(), objectsCompared: this.#figures.objectsCompared };
  }

  enter(phase: 'matching' | 'copying' | 'full-copy' | 'clearing' | 'done'): void {
    this.#figures.phase = phase;
  }

  fail(failure: string): void {
    this.#figures.phase = 'failed';
    this.#figures.failure = failure;
  }

  /** Nothing more is found: the to-do figures are final. */
  scanned(): void {
    this.#figures.isScanned = true;
  }

  rowsCompared(matched: number, unmatched: number): void {
    this.#figures.rowsMatched += matched;
    this.#figures.rowsUnmatched += unmatched;
  }

  rowsDropped(count: number): void {
    this.#figures.rowsDropped += count;
  }

  objectsCompared(count: number): void {
    this.#figures.objectsCompared += count;
  }

  objectDeleted(): void {
    this.#figures.objectsDeleted += 1;
  }

  /** One more object to repair, of which the targets lack so many bytes, all together. */
  objectToDo(bytesUnmatched: number): void {
    this.#figures.objectsToDo += 1;
    this.#figures.bytesUnmatched += bytesUnmatched;
  }

  objectDone(): void {
    this.#figures.objectsDone += 1;
    invariant(this.#figures.objectsDone <= this.#figures.objectsToDo, 'what is done was to do');
  }

  /** A target lacks more (or less) of an object than was planned. */
  plannedAgain(bytesMore: number): void {
    this.#figures.bytesUnmatched += bytesMore;
  }

  /** Content that landed on one target. */
  landed(bytes: number, ranges: number): void {
    this.#figures.bytesCopied += bytes;
    this.#figures.rangesDone += ranges;
    const { bytesCopied, bytesUnmatched } = this.#figures;
    invariant(bytesCopied <= bytesUnmatched, 'I7: no more is copied than was unmatched', {
      bytesCopied,
      bytesUnmatched,
    });
  }
}
