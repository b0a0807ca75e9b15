/** Every point of one scenario at which power may fail, and of each recovery from it. */
import type { CrashPoint } from './crash-rig.js';
import { type CrashBase, type RunOutcome, runScenario } from './crash-run.js';
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

/** `secondEvery`: of the points in recoveries every so many gets its second crash; 0: none does. */
export async function everyPoint(
  base: CrashBase,
  scenario: string,
  variant: Variant,
  { secondEvery }: { readonly secondEvery: number },
): Promise<Points> {
  const failures: string[] = [];
  const attempt = async (point: CrashPoint | null, second: CrashPoint | null): Promise<RunOutcome | null> => {
    try {
      return await runScenario(base, scenario, { ...variant, point, second });
    } catch (error) {
      const where = JSON.stringify({ scenario, ...variant, point, second });
      failures.push(`${where}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      return null;
    }
  };
  const calm = await attempt(null, null);
  let points = 0;
  let secondPoints = 0;
  let turn = 0;
  for (const point of pointsIn(calm?.calls ?? [])) {
    points += 1;
    const outcome = await attempt(point, null);
    for (const second of pointsIn(outcome?.recoveryCalls ?? [])) {
      turn += 1;
      if (secondEvery === 0 || turn % secondEvery !== 0) continue;
      secondPoints += 1;
      await attempt(point, second);
    }
  }
  return { points, secondPoints, failures };
}
