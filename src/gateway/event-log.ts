/** What happened to a mirror set since its gateway started, in words: the latest events, and how many there were of each kind. */
import type { MirrorSetEvent } from './mirror-set-status.js';

const EVENTS_KEPT_MAX = 200;

export class EventLog {
  /** Unix ms. */
  readonly #clock: () => number;
  readonly #events: MirrorSetEvent[] = [];
  readonly #counts = new Map<MirrorSetEvent['kind'], number>();

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** Newest first. */
  get events(): readonly MirrorSetEvent[] {
    return this.#events;
  }

  /** Also of those that are not kept any more. */
  countOf(kind: MirrorSetEvent['kind']): number {
    return this.#counts.get(kind) ?? 0;
  }

  note(kind: MirrorSetEvent['kind'], message: string): void {
    this.add({ atMs: this.#clock(), kind, message });
  }

  add(event: MirrorSetEvent): void {
    this.#events.unshift(event);
    this.#counts.set(event.kind, this.countOf(event.kind) + 1);
    if (this.#events.length > EVENTS_KEPT_MAX) this.#events.pop();
  }
}
