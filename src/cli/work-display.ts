/**
 * Long work that goes on in the gateway, shown to people while a command waits for it: on a terminal a bar, elsewhere a line now and then.
 * It is on standard error, so that standard output holds the result alone. Ctrl-C ends the look, not the work, and says so.
 */
import { Presets, SingleBar } from 'cli-progress';
import { EXIT } from './exit-codes.js';
import { formatDuration } from '../gateway/figures.js';

export interface WorkDisplayOptions {
  /** With --json there is nothing to look at. */
  readonly isSilent: boolean;
  /** What Ctrl-C answers: that the work goes on, and what would end it. */
  readonly whenLeft: string;
}

/** Between two lines where there is no terminal. */
const TOLD_EVERY_MS = 5000;

/** Null: too early to say. */
function describeTimeLeft(doneShare: number, elapsedMs: number): string | null {
  if (doneShare <= 0 || doneShare >= 1 || elapsedMs < 1000) return null;
  return `${formatDuration((elapsedMs * (1 - doneShare)) / doneShare)} left`;
}

export class WorkDisplay {
  readonly #options: WorkDisplayOptions;
  readonly #bar: SingleBar | null;
  readonly #startMs = performance.now();
  #toldMs = performance.now();
  #firstDone: number | null = null;

  constructor(options: WorkDisplayOptions) {
    this.#options = options;
    const isTerminal = !options.isSilent && process.stderr.isTTY;
    this.#bar = isTerminal
      ? new SingleBar(
          {
            format: '{bar} {percentage}%  {detail}',
            hideCursor: true,
            clearOnComplete: true,
            gracefulExit: false,
          },
          Presets.shades_classic,
        )
      : null;
    this.#bar?.start(1, 0, { detail: '' });
    process.on('SIGINT', this.#leave);
  }

  /** `done` of `total`, and in words. */
  show(done: number, total: number, detail: string): void {
    if (this.#options.isSilent) return;
    this.#firstDone ??= done;
    const nowMs = performance.now();
    // What was done before this look began took somebody else's time.
    const share = (done - this.#firstDone) / Math.max(1, total - this.#firstDone);
    const left = describeTimeLeft(share, nowMs - this.#startMs);
    const words = left === null ? detail : `${detail}, ${left}`;
    if (this.#bar !== null) {
      this.#bar.setTotal(Math.max(1, total));
      this.#bar.update(Math.min(done, Math.max(1, total)), { detail: words });
    } else if (nowMs - this.#toldMs >= TOLD_EVERY_MS) {
      process.stderr.write(`${words}\n`);
      this.#toldMs = nowMs;
    }
  }

  end(): void {
    process.off('SIGINT', this.#leave);
    this.#bar?.stop();
  }

  readonly #leave = (): void => {
    this.end();
    process.stderr.write(`\n${this.#options.whenLeft}\n`);
    process.exit(EXIT.interrupted);
  };
}
