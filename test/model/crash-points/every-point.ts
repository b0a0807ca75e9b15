/** Every point of one scenario at which power may fail, and of each recovery from it. */
import type { CrashPoint } from './crash-rig.js';
import { type CrashBase, recoverAgain, type RunOutcome, runScenario } from './crash-run.js';
import type { CrashKind } from './simulated-store-disk.js';

export interface Variant {
  readonly kind: CrashKind;
  readonly isOfAll: boolean;
}

export const VARIANTS: readonly Variant[] = [
  { kind: 'dropped', isOfAll: true },
  { kind: 'torn', isOfAll: true },
  { kind: 'kept', isOfAll: true },
  { kind: 'dropped', isOfAll: false },
  { kind: 'torn', isOfAll: false },
  { kind: 'kept', isOfAll: false },
];

export interface Points {
  readonly points: number;
  readonly secondPoints: number;
  /** What went wrong where. */
  readonly failures: readonly string[];
}

function pointsIn(counts: RunOutcome['calls']): CrashPoint[] {
  return counts.flatMap(({ place, calls }) =>
    Array.from({ length: calls }, (_, index) => index + 1).flatMap((call) =>
      (['before', 'after'] as const).map((when) => ({ place, call, when })),
    ),
  );
}

/**
 * `secondEvery`: power fails again in every so many of the states that the recoveries come by; 0: in none. A state that was recovered from
 * once, with clients that know the same, is not recovered from again: `seen` holds those, and may be shared by variants and scenarios.
 */
export async function everyPoint(
  base: CrashBase,
  scenario: string,
  variant: Variant,
  { secondEvery, seen }: { readonly secondEvery: number; readonly seen: Set<string> },
): Promise<Points> {
  const failures: string[] = [];
  const attempt = async <Result>(where: object, run: () => Promise<Result>): Promise<Result | null> => {
    try {
      return await run();
    } catch (error) {
      const place = JSON.stringify({ scenario, ...variant, ...where });
      failures.push(`${place}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      return null;
    }
  };
  const run = (point: CrashPoint | null): Promise<RunOutcome | null> =>
    attempt({ point }, () => runScenario(base, scenario, { ...variant, point }));
  const calm = await run(null);
  let points = 0;
  let secondPoints = 0;
  let turn = 0;
  for (const point of pointsIn(calm?.calls ?? [])) {
    points += 1;
    const outcome = await run(point);
    for (const [second, crash] of (outcome?.again ?? []).entries()) {
      if (secondEvery === 0 || seen.has(crash.fingerprint)) continue;
      turn += 1;
      if (turn % secondEvery !== 0) continue;
      seen.add(crash.fingerprint);
      secondPoints += 1;
      await attempt({ point, second }, () => recoverAgain(base, crash));
    }
  }
  return { points, secondPoints, failures };
}
