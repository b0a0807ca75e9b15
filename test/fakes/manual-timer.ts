import type { PacerTimer } from '../../src/osd/reconcile/copy-pacer.js';

/** A clock that stands still until a test turns it. */
export class ManualTimer implements PacerTimer {
  #nowMs = 0;
  readonly #alarms = new Set<{ readonly atMs: number; readonly wake: () => void }>();

  now(): number {
    return this.#nowMs;
  }

  after(ms: number, wake: () => void): () => void {
    const alarm = { atMs: this.#nowMs + ms, wake };
    this.#alarms.add(alarm);
    return () => {
      this.#alarms.delete(alarm);
    };
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.after(ms, resolve));
  }

  /** Lets so much time go by. */
  async turn(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    for (;;) {
      await settle();
      const next = this.#nextAlarm();
      if (next === null || next.atMs > endMs) break;
      this.#ring(next);
    }
    this.#nowMs = endMs;
  }

  /** Lets as much time go by as `work` takes. */
  async turnUntil<Result>(work: Promise<Result>): Promise<Result> {
    const ended = new AbortController();
    const mark = (): void => {
      ended.abort();
    };
    work.then(mark, mark);
    for (;;) {
      await settle();
      if (ended.signal.aborted) return work;
      const next = this.#nextAlarm();
      if (next !== null) this.#ring(next);
    }
  }

  #nextAlarm() {
    let next: { readonly atMs: number; readonly wake: () => void } | null = null;
    for (const alarm of this.#alarms) if (next === null || alarm.atMs < next.atMs) next = alarm;
    return next;
  }

  #ring(alarm: { readonly atMs: number; readonly wake: () => void }): void {
    this.#alarms.delete(alarm);
    this.#nowMs = Math.max(this.#nowMs, alarm.atMs);
    alarm.wake();
  }
}

/** Everything that needs no time has happened. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
