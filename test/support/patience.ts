/** Waiting for what other processes do. */
import { inspect } from 'node:util';

const POLL_MS = 25;

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** What was waited for did not come; `cause` is the last error that the look at it threw, if it did. */
class PatienceLost extends Error {
  readonly code = 'patience-lost';

  constructor(claim: string, withinMs: number, last: string, options?: ErrorOptions) {
    super(`after ${withinMs} ms it still does not hold that ${claim}; last seen: ${last}`, options);
    this.name = 'PatienceLost';
  }
}

export interface Patience {
  readonly withinMs: number;
  readonly pollMs?: number;
  /** Ends the wait at once, with this error. */
  readonly giveUp?: () => Error | null;
}

function describe(value: unknown): string {
  return inspect(value, { depth: 4, breakLength: Infinity }).slice(0, 2000);
}

/** Looks again and again until `holds` accepts what `look` returns; a look that throws counts as "not yet". */
export async function until<Seen>(
  claim: string,
  look: () => Promise<Seen> | Seen,
  holds: (seen: Seen) => boolean,
  patience: Patience,
): Promise<Seen> {
  const deadlineMs = performance.now() + patience.withinMs;
  for (;;) {
    let last: string;
    let cause: unknown;
    try {
      const seen = await look();
      if (holds(seen)) return seen;
      last = describe(seen);
    } catch (error) {
      cause = error;
      last = error instanceof Error ? error.message : String(error);
    }
    const hopeless = patience.giveUp?.() ?? null;
    if (hopeless !== null) throw hopeless;
    if (performance.now() >= deadlineMs) throw new PatienceLost(claim, patience.withinMs, last, { cause });
    await sleep(patience.pollMs ?? POLL_MS);
  }
}
