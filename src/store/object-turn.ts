/**
 * Turns at an object: whoever changes it tries when nobody is before him, and keeps the turn while something must be fetched or
 * written first. By callbacks, because nearly all work of an OSD passes through here: a promise for each step was a third of
 * what a small write allocated (bench/README.md).
 */

/** Called once, when what was waited for is there (null), or will not come. */
export type Resume = (failure: Error | null) => void;

/** Starts what is to be waited for. Never throws. */
export type Wait = (resume: Resume) => void;

/** Work on one object. */
export interface ObjectTask<Entry> {
  /** One try, in the object's turn: null when it is over, else what to wait for before the next one. What it throws ends the turn. */
  attempt(entry: Entry): Wait | null;
  /** The turn ended by a failure: of an attempt, of what it waited for, or of loading the object. */
  fail(failure: Error): void;
}

/** What one try comes to for those that want a promise of the result. */
export type Attempt<T> =
  | { readonly kind: 'done'; readonly result: T | Promise<T> }
  | { readonly kind: 'wait'; readonly until: Wait };

/** A task whose result is a promise. */
export class PromisedTask<Entry, T> implements ObjectTask<Entry> {
  readonly result: Promise<T>;
  readonly #attempt: (entry: Entry) => Attempt<T>;
  #resolve: (result: T | Promise<T>) => void = () => undefined;
  #reject: (failure: Error) => void = () => undefined;

  constructor(attempt: (entry: Entry) => Attempt<T>) {
    this.#attempt = attempt;
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  attempt(entry: Entry): Wait | null {
    const outcome = this.#attempt(entry);
    if (outcome.kind === 'wait') return outcome.until;
    this.#resolve(outcome.result);
    return null;
  }

  fail(failure: Error): void {
    this.#reject(failure);
  }
}

/** To wait for a promise. */
export function waitFor(start: () => Promise<void>): Wait {
  return (resume) => {
    start().then(
      () => resume(null),
      (error: unknown) => resume(asError(error)),
    );
  };
}

export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error('not an error', { cause: error });
}
