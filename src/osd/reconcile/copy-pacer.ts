/**
 * Copying beside clients yields to them: work is let in turn by turn, as the pace allows (DESIGN.md section 5).
 *
 * - Bytes: each turn is paid for, at so many bytes a second, before the next one is let in.
 * - Share: after a slice of work nobody is let in until all that is under way has ended, and then until the rest that
 *   belongs to the slice is over. What counts as work is measured: the time in which anybody is under way. The rest is for clients:
 *   there is none, and a rest that has begun ends, once none has been served for QUIET_MS.
 * - Pause: nobody is let in. Content in the middle of its way gives up with CopyPaused rather than hold a connection that its
 *   peer would take for stuck; it is sent again afterwards.
 *
 * The pace may change at any time; a new one begins with a clean slate. Whoever waits holds nothing that somebody under
 * way needs. Nobody waits for longer than it takes to say that the run is cancelled.
 */
import { invariant } from '../../protocol/invariant.js';
import { COPY_SHARE_PERCENT_MAX, type CopyPace, restAfter, takePace } from '../../protocol/pace.js';

/** Work between two rests: short, for clients feel its length. */
const SLICE_MS = 50;
/** One slice on a disk that hangs must not make a rest in which peers give up on content that is under way. */
const REST_MS_MAX = 5000;
/** When no client was served for so long, none waits. */
const QUIET_MS = 100;

/** Was told to stop in the middle of an object. */
export class CopyPaused extends Error {
  readonly code = 'copy-paused';

  constructor() {
    super('copying is paused');
    this.name = 'CopyPaused';
  }
}

export interface PacerTimer {
  /** Monotonic, in ms. */
  now(): number;
  /** Calls `wake` once after so many ms, unless the function that it returns is called before. */
  after(ms: number, wake: () => void): () => void;
}

export const systemTimer: PacerTimer = {
  now: () => performance.now(),
  after: (ms, wake) => {
    const timer = setTimeout(wake, ms);
    return () => {
      clearTimeout(timer);
    };
  },
};

/** Whom copying yields to. */
export interface ServedClients {
  /** Since when nobody is served, on the clock of the timer; null: somebody is. */
  readonly quietSinceMs: number | null;
}

interface Waiter {
  readonly bytes: number;
  readonly isMidway: boolean;
  readonly letIn: () => void;
  readonly turnAway: (reason: Error) => void;
}

export class CopyPacer {
  readonly #timer: PacerTimer;
  readonly #clients: ServedClients;
  #pace: CopyPace | null;
  /** At most as many as objects are in flight. */
  #waiting: Waiter[] = [];
  #cancelled: Error | null = null;
  #cancelTimer: (() => void) | null = null;
  /** When the bytes that were let in are paid for. */
  #freeAtMs = 0;
  #restUntilMs = 0;
  #underWayCount = 0;
  #underWaySinceMs = 0;
  /** In this slice, up to the last time that nobody was under way. */
  #workedMs = 0;

  /** Null: everything is let in at once, always. */
  constructor(pace: CopyPace | null, timer: PacerTimer, clients: ServedClients) {
    this.#pace = pace;
    this.#timer = timer;
    this.#clients = clients;
  }

  /** Has no effect on work that is not paced. */
  setPace(pace: CopyPace): void {
    if (this.#pace === null) return;
    this.#pace = pace;
    this.#freeAtMs = 0;
    this.#forgetWork(this.#timer.now());
    this.#letIn();
  }

  /** Turns everybody away who waits, or will. */
  cancel(reason: Error): void {
    this.#cancelled ??= reason;
    this.#letIn();
  }

  /** Does `work` when it is its turn, and counts it as under way. Rejects when the run is cancelled before. */
  async run<Result>(bytes: number, work: () => Promise<Result>): Promise<Result> {
    if (this.#pace === null) return work();
    await this.#turn(bytes, false);
    try {
      return await work();
    } finally {
      this.#leave();
    }
  }

  /** Within `run`: waits for the turn of so many bytes more. Rejects with CopyPaused, or when the run is cancelled. */
  async goOn(bytes: number): Promise<void> {
    if (this.#pace === null) return;
    this.#leave();
    try {
      await this.#turn(bytes, true);
    } catch (error) {
      this.#enter();
      throw error;
    }
  }

  #turn(bytes: number, isMidway: boolean): Promise<void> {
    return new Promise((letIn, turnAway) => {
      this.#waiting.push({ bytes, isMidway, letIn, turnAway });
      this.#letIn();
    });
  }

  #enter(): void {
    if (this.#underWayCount === 0) this.#underWaySinceMs = this.#timer.now();
    this.#underWayCount += 1;
  }

  #leave(): void {
    invariant(this.#underWayCount > 0, 'who leaves was under way');
    this.#underWayCount -= 1;
    if (this.#underWayCount > 0) return;
    this.#workedMs += this.#timer.now() - this.#underWaySinceMs;
    this.#letIn();
  }

  /** Lets in whoever may go now, and comes back when the next one may. */
  #letIn(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    const pace = this.#pace;
    if (this.#cancelled !== null) this.#turnAway(() => true, this.#cancelled);
    // Without a pace nobody ever waits.
    if (pace === null) return;
    if (pace.isPaused) {
      this.#turnAway(({ isMidway }) => isMidway, new CopyPaused());
      return;
    }
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const waitMs = this.#waitMs(pace);
      if (waitMs === null) return;
      if (waitMs > 0) {
        this.#cancelTimer = this.#timer.after(waitMs, () => {
          this.#letIn();
        });
        return;
      }
      this.#waiting.shift();
      this.#pay(pace, next.bytes);
      this.#enter();
      next.letIn();
    }
  }

  #turnAway(isMeant: (waiter: Waiter) => boolean, reason: Error): void {
    const meant = this.#waiting.filter(isMeant);
    this.#waiting = this.#waiting.filter((waiter) => !isMeant(waiter));
    for (const { turnAway } of meant) turnAway(reason);
  }

  /** Until the next one may go; null: not before everybody who is under way has ended. */
  #waitMs({ sharePercent }: CopyPace): number | null {
    const nowMs = this.#timer.now();
    const { quietSinceMs } = this.#clients;
    const quietAtMs = quietSinceMs === null ? Number.POSITIVE_INFINITY : quietSinceMs + QUIET_MS;
    if (quietAtMs <= nowMs) this.#forgetWork(nowMs);
    else if (sharePercent < COPY_SHARE_PERCENT_MAX) {
      const isWorking = this.#underWayCount > 0;
      const workedMs = this.#workedMs + (isWorking ? nowMs - this.#underWaySinceMs : 0);
      if (workedMs >= SLICE_MS) {
        if (isWorking) return null;
        this.#restUntilMs = nowMs + Math.min(REST_MS_MAX, restAfter(workedMs, sharePercent));
        this.#workedMs = 0;
      }
    }
    return Math.max(Math.min(this.#restUntilMs, quietAtMs), this.#freeAtMs) - nowMs;
  }

  /** What was worked so far is owed to nobody. */
  #forgetWork(nowMs: number): void {
    this.#restUntilMs = 0;
    this.#workedMs = 0;
    this.#underWaySinceMs = nowMs;
  }

  #pay({ bytesPerSecond }: CopyPace, bytes: number): void {
    if (bytesPerSecond === null) return;
    this.#freeAtMs = takePace(this.#freeAtMs, this.#timer.now(), bytes, bytesPerSecond).freeAtMs;
  }
}
