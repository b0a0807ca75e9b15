/** A broken invariant is our bug, never the caller's or the world's: the process that sees one logs it and stops. */
export class InvariantViolation extends Error {
  readonly code = 'InvariantViolation';
  readonly details: Readonly<Record<string, unknown>>;

  constructor(claim: string, details: Readonly<Record<string, unknown>> = {}) {
    super(`broken invariant: ${claim} ${JSON.stringify(details)}`);
    this.name = 'InvariantViolation';
    this.details = details;
  }
}

/** Asserts one condition, in production too. `claim` states what holds, in the present tense. */
export function invariant(
  condition: boolean,
  claim: string,
  details?: Readonly<Record<string, unknown>>,
): asserts condition {
  if (!condition) throw new InvariantViolation(claim, details);
}

/** Ends a switch over a closed union: a case that nobody handles does not compile. */
export function unreachable(value: never): never {
  throw new InvariantViolation('every case of a closed union is handled', { value });
}
