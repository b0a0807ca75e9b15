/**
 * What one object may be, as its only writer knows it: a set of possible states.
 *
 * It holds one state as long as every outcome is known. A write whose answer was lost adds the state that it would have
 * led to; the first answer that tells the states apart decides, and from then on it must stay decided. An answer that no
 * possible state explains is a finding: an acknowledged write is lost, a refused one happened, or a removed object is back.
 */

/** The content; null: there is no such object. */
export type Content = Buffer | null;

export type ObjectOperation =
  | { readonly kind: 'put'; readonly bytes: Buffer }
  | { readonly kind: 'append'; readonly offset: number; readonly bytes: Buffer }
  | { readonly kind: 'patch'; readonly offset: number; readonly bytes: Buffer }
  | { readonly kind: 'delete' };

export type OperationOutcome =
  | { readonly kind: 'acknowledged' }
  /** Certainly nothing happened. `code` is S3's, or says that the request was not sent. */
  | { readonly kind: 'refused'; readonly code: string }
  | { readonly kind: 'unknown'; readonly reason: string };

/** No state that the object may have explains what was seen. */
export class HistoryViolation extends Error {
  readonly code = 'history-violation';

  constructor(message: string) {
    super(message);
    this.name = 'HistoryViolation';
  }
}

const RECENT_MAX = 30;

/** What S3 answers to an operation that the object's state does not admit; null: it admits it. */
function expectedRefusal(content: Content, operation: ObjectOperation): string | null {
  switch (operation.kind) {
    case 'put':
    case 'delete':
      return null;
    case 'append':
      return operation.offset === (content?.length ?? 0) ? null : 'InvalidWriteOffset';
    case 'patch':
      if (content === null) return 'NoSuchKey';
      return operation.offset > content.length ? 'InvalidRange' : null;
  }
}

/** The state after an operation that the state before it admits. */
function applyOperation(content: Content, operation: ObjectOperation): Content {
  switch (operation.kind) {
    case 'put':
      return operation.bytes;
    case 'delete':
      return null;
    case 'append':
    case 'patch': {
      const before = content ?? Buffer.alloc(0);
      const end = operation.offset + operation.bytes.length;
      const after = Buffer.alloc(Math.max(before.length, end));
      before.copy(after);
      operation.bytes.copy(after, operation.offset);
      return after;
    }
  }
}

function isSame(left: Content, right: Content): boolean {
  return left === null || right === null ? left === right : left.equals(right);
}

function describeContent(content: Content): string {
  if (content === null) return 'absent';
  return `${content.length} bytes ${content.subarray(0, 8).toString('hex')}…${content.subarray(-4).toString('hex')}`;
}

function describeOperation(operation: ObjectOperation): string {
  switch (operation.kind) {
    case 'put':
      return `put ${describeContent(operation.bytes)}`;
    case 'delete':
      return 'delete';
    case 'append':
    case 'patch':
      return `${operation.kind} at ${operation.offset}: ${describeContent(operation.bytes)}`;
  }
}

function describeOutcome(outcome: OperationOutcome): string {
  switch (outcome.kind) {
    case 'acknowledged':
      return 'acknowledged';
    case 'refused':
      return `refused (${outcome.code})`;
    case 'unknown':
      return `unknown (${outcome.reason})`;
  }
}

export class ObjectHistory {
  readonly key: string;
  #possible: Content[] = [null];
  readonly #recent: string[] = [];

  constructor(key: string) {
    this.key = key;
  }

  get possible(): readonly Content[] {
    return this.#possible;
  }

  /** One that goes on by itself from here. */
  copy(): ObjectHistory {
    const copy = new ObjectHistory(this.key);
    copy.#possible = this.#possible;
    copy.#recent.push(...this.#recent);
    return copy;
  }

  /** What a writer should take the state to be. */
  get likely(): Content {
    return this.#possible.at(-1) ?? null;
  }

  /** The last few operations and what was seen of them, oldest first. */
  get recent(): readonly string[] {
    return this.#recent;
  }

  /** Takes the outcome of an operation. `refusals` are codes that say nothing of the object's state. Throws HistoryViolation. */
  record(operation: ObjectOperation, outcome: OperationOutcome, refusals: ReadonlySet<string>): void {
    this.#note(`${describeOperation(operation)} -> ${describeOutcome(outcome)}`);
    switch (outcome.kind) {
      case 'acknowledged': {
        const admitted = this.#possible.filter((state) => expectedRefusal(state, operation) === null);
        this.#keep(admitted.map((state) => applyOperation(state, operation)));
        return;
      }
      case 'refused':
        if (refusals.has(outcome.code)) return;
        this.#keep(this.#possible.filter((state) => expectedRefusal(state, operation) === outcome.code));
        return;
      case 'unknown': {
        const admitted = this.#possible.filter((state) => expectedRefusal(state, operation) === null);
        this.#keep([...this.#possible, ...admitted.map((state) => applyOperation(state, operation))]);
        return;
      }
    }
  }

  /** Takes what a read showed: it decides among the possible states. Throws HistoryViolation. */
  observe(content: Content): void {
    this.#note(`read ${describeContent(content)}`);
    this.#keep(this.#possible.filter((state) => isSame(state, content)));
  }

  /** As `observe`, for a read of the bytes from `first` to `last`, both included, `last` clipped to the size. */
  observeRange(first: number, last: number, bytes: Buffer): void {
    this.#note(`read ${first}-${last}: ${describeContent(bytes)}`);
    this.#keep(this.#possible.filter((state) => state?.subarray(first, last + 1).equals(bytes) === true));
  }

  observeSize(sizeBytes: number | null): void {
    this.#note(`size ${sizeBytes ?? 'absent'}`);
    this.#keep(this.#possible.filter((state) => (state?.length ?? null) === sizeBytes));
  }

  #keep(states: readonly Content[]): void {
    const before = this.#possible;
    const distinct: Content[] = [];
    for (const state of states) {
      if (!distinct.some((known) => isSame(known, state))) distinct.push(state);
    }
    if (distinct.length === 0) {
      const expected = before.map(describeContent).join(' or ');
      throw new HistoryViolation(
        `${this.key}: it should have been ${expected}\n  ${this.#recent.join('\n  ')}`,
      );
    }
    this.#possible = distinct;
  }

  #note(line: string): void {
    this.#recent.push(`${new Date().toISOString()} ${line}`);
    if (this.#recent.length > RECENT_MAX) this.#recent.shift();
  }
}
