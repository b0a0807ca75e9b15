/**
 * Is there an order in which several clients' operations on one object could have happened one after the other?
 *
 * The search of Wing and Gong ("Testing and verifying concurrent objects", 1993) with Lowe's memory of what was tried: an
 * operation may come next when no other one that is still to come had ended before it began. One of unknown outcome may
 * come at any time after it began, or never.
 */

export type RegisterValue = string | null;

export type RegisterOperation =
  | { readonly kind: 'put'; readonly value: string }
  | { readonly kind: 'delete' }
  | { readonly kind: 'append'; readonly offset: number; readonly value: string }
  /** An append that was refused because the offset was not the size. */
  | { readonly kind: 'append-refused'; readonly offset: number }
  | { readonly kind: 'get'; readonly value: RegisterValue };

export interface RegisterEvent {
  readonly operation: RegisterOperation;
  /** Positions in the order in which the test process saw things happen. */
  readonly began: number;
  /** Infinity: it may still happen. */
  readonly ended: number;
  /** False: nobody knows whether it happened. */
  readonly isCertain: boolean;
}

export type RegisterVerdict =
  | { readonly kind: 'explained' }
  | { readonly kind: 'impossible' }
  /** The search was given up at STATES_MAX. */
  | { readonly kind: 'undecided' };

const STATES_MAX = 400_000;

/** The value after an operation, or undefined when the value before it does not admit that operation. */
function step(value: RegisterValue, operation: RegisterOperation): RegisterValue | undefined {
  switch (operation.kind) {
    case 'put':
      return operation.value;
    case 'delete':
      return null;
    case 'append':
      return (value?.length ?? 0) === operation.offset ? (value ?? '') + operation.value : undefined;
    case 'append-refused':
      return (value?.length ?? 0) === operation.offset ? undefined : value;
    case 'get':
      return value === operation.value ? value : undefined;
  }
}

interface Place {
  readonly done: bigint;
  readonly value: RegisterValue;
}

/** The operations that may come next at a place of the search. */
function candidates(events: readonly RegisterEvent[], done: bigint): number[] {
  let firstEnd = Infinity;
  events.forEach(({ ended, isCertain }, index) => {
    if ((done & (1n << BigInt(index))) === 0n && isCertain && ended < firstEnd) firstEnd = ended;
  });
  const found: number[] = [];
  events.forEach(({ began, ended, isCertain }, index) => {
    if ((done & (1n << BigInt(index))) !== 0n || began > firstEnd) return;
    // What may or may not have happened has had its chance once something that began after its end is done.
    if (!isCertain && endedBeforeDone(events, done, ended)) return;
    found.push(index);
  });
  return found;
}

function endedBeforeDone(events: readonly RegisterEvent[], done: bigint, ended: number): boolean {
  return events.some(({ began }, index) => (done & (1n << BigInt(index))) !== 0n && began > ended);
}

/** `initial`: the value before the first event. */
export function explainRegister(initial: RegisterValue, events: readonly RegisterEvent[]): RegisterVerdict {
  const certain = events.reduce(
    (mask, { isCertain }, index) => (isCertain ? mask | (1n << BigInt(index)) : mask),
    0n,
  );
  const tried = new Set<string>();
  const stack: Place[] = [{ done: 0n, value: initial }];
  for (let place = stack.pop(); place !== undefined; place = stack.pop()) {
    if ((place.done & certain) === certain) return { kind: 'explained' };
    if (tried.size > STATES_MAX) return { kind: 'undecided' };
    for (const index of candidates(events, place.done).reverse()) {
      const event = events[index];
      if (event === undefined) continue;
      const value = step(place.value, event.operation);
      if (value === undefined) continue;
      const done = place.done | (1n << BigInt(index));
      const name = `${done.toString(36)} ${JSON.stringify(value)}`;
      if (tried.has(name)) continue;
      tried.add(name);
      stack.push({ done, value });
    }
  }
  return { kind: 'impossible' };
}

/** Collects what several clients do to one object, and judges it. */
export class RegisterHistory {
  readonly key: string;
  #initial: RegisterValue = null;
  #events: RegisterEvent[] = [];

  constructor(key: string) {
    this.key = key;
  }

  get events(): readonly RegisterEvent[] {
    return this.#events;
  }

  add(event: RegisterEvent): void {
    this.#events.push(event);
  }

  /** Ends every operation of unknown outcome that is still open: from here on it can't happen any more. */
  closeOpen(position: number): void {
    this.#events = this.#events.map((event) =>
      !event.isCertain && event.ended === Infinity ? { ...event, ended: position } : event,
    );
  }

  /** Judges all since the last settlement, the final value included; then starts anew from that value. */
  settle(finalValue: RegisterValue, position: number): RegisterVerdict {
    this.closeOpen(position);
    const last: RegisterEvent = {
      operation: { kind: 'get', value: finalValue },
      began: position,
      ended: position,
      isCertain: true,
    };
    const events = [...this.#events, last].sort((left, right) => left.began - right.began);
    const verdict = explainRegister(this.#initial, events);
    if (verdict.kind !== 'impossible') {
      this.#initial = finalValue;
      this.#events = [];
    }
    return verdict;
  }
}
