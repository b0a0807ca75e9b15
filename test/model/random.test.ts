/**
 * Random runs: I1 to I7 after every step, and at rest equal mirrors, empty tables, nothing acknowledged lost, nothing
 * that was settled as gone back.
 *
 *   TALLY_MODEL_RUNS=2000 TALLY_MODEL_SEED=7 npx vitest run --project model test/model/random.test.ts
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  anyoneVouches,
  duplicatesApply,
  firstTrustedIsSource,
  makeWritersTakeTurns,
  noWitnesses,
  presentIsComplete,
  rangesNotUnited,
  reopenActive,
  reopenWithoutMemory,
} from './mutations.js';
import { type Choice, choicesOf, runChoices, type Weather } from './random-run.js';
import { type Rules, withRules } from './rules.js';

const RUNS = Number(process.env['TALLY_MODEL_RUNS'] ?? 250);
const SEED = Number(process.env['TALLY_MODEL_SEED'] ?? 1);
const STEPS = 120;

const choices: fc.Arbitrary<Choice[]> = fc.array(
  fc.record({ step: fc.nat({ max: (1 << 20) - 1 }), detail: fc.nat({ max: (1 << 30) - 1 }) }),
  { minLength: STEPS / 2, maxLength: STEPS, size: 'max' },
);

function replayCommand(seed: number): string {
  return `TALLY_MODEL_RUNS=${RUNS} TALLY_MODEL_SEED=${seed} npx vitest run --project model test/model/random.test.ts`;
}

/** What a failing run says: what was found, and every step that led there. */
function expectSound(weather: Weather, list: readonly Choice[]): void {
  const { violations, trace } = runChoices(withRules(), weather, list);
  expect(violations, trace.join('\n')).toEqual([]);
}

/** How much of it is enough where the runs of one writer have shown the rest. */
const RUNS_OF_TWO_WRITERS = Math.ceil(RUNS / 5);

describe.each([2, 3])('random runs of %i mirrors', (mirrors) => {
  const holds = (writers: number, runs: number): void => {
    const property = fc.property(fc.constantFrom(1, 4, 12), fc.boolean(), choices, (calm, isOnline, list) => {
      expectSound({ mirrors, calm, isOnline, writers }, list);
    });
    fc.assert(property, {
      seed: SEED,
      numRuns: runs,
      reporter: (details) => {
        if (!details.failed) return;
        const said = details.errorInstance instanceof Error ? details.errorInstance.message : '';
        throw new Error(
          `${said}\n${fc.defaultReportMessage(details)}\n\nreplay: ${replayCommand(details.seed)}`,
        );
      },
    });
  };

  it('I1 to I7: whatever crashes, is lost, late or repeated, and whoever is cut off or loses state', () => {
    holds(1, RUNS);
  });

  it('I1 to I7 with two writers, each with its own tags and its own shard of the objects', () => {
    holds(2, RUNS_OF_TWO_WRITERS);
  });

  it('the same seed is the same run, to the last line', () => {
    for (let seed = SEED; seed < SEED + 10; seed += 1) {
      const [first, second] = [1, 2].map(() =>
        runChoices(withRules(), { mirrors, calm: 4, isOnline: true }, choicesOf(seed, STEPS)),
      );
      expect(second?.trace).toEqual(first?.trace);
    }
  });
});

/** Seeds that are tried before a rule counts as one that random runs can't miss. */
const SEEDS_MAX = 3_000;

/** The first seed that shows that a rule is missing. */
function firstFailingSeed(rules: Rules, mirrors: number, writers = 1): number | null {
  for (let seed = 1; seed <= SEEDS_MAX; seed += 1) {
    const weather = { mirrors, calm: seed % 2 === 0 ? 4 : 1, isOnline: seed % 3 > 0, writers };
    if (runChoices(rules, weather, choicesOf(seed, STEPS)).violations.length > 0) return seed;
  }
  return null;
}

describe('random runs without one of the rules', () => {
  const withoutOne: readonly (readonly [string, number, Partial<Rules>])[] = [
    ['nothing is answered before it is synced', 2, { syncsBeforeReply: false }],
    ['exclusions are on disk first', 2, { persistsExclusions: false }],
    ['a fence does not move the commit sequence', 2, { countsFencesAsCommits: true }],
    ['rows do not patch what needs a full copy', 2, { matchesFullCopyTargets: true }],
    ['witnesses are looked at', 2, { planRecovery: noWitnesses }],
    ['a restarted mirror does not vouch alone', 2, { planRecovery: anyoneVouches }],
    ['those who are present are not everyone', 3, { planRecovery: presentIsComplete }],
    ['rows come along with what is pushed', 3, { rowsAfterPush: (target) => [...target] }],
    ['a restarted store is not active', 2, { reopenFence: reopenActive }],
    ['a late activation does not hide a restart', 2, { reopenFence: reopenWithoutMemory }],
    ['a restarted store answers no reads', 3, { isReadableAt: () => true }],
    ['the source has the longest history', 3, { planObject: firstTrustedIsSource }],
    ['all unmatched ranges are copied', 3, { planObject: rangesNotUnited }],
    ['one object that is lost holds up no other', 2, { copiesWhatIsLost: false }],
    ['what a lost object was before is kept', 2, { keepsWhatWasBefore: false }],
    [
      'an old state of the authority is not acted on',
      2,
      { reviewAuthority: () => ({ kind: 'sound' }), contradicts: () => false },
    ],
    ['a repeated write changes nothing', 2, { decideWrite: duplicatesApply }],
  ];
  it.each(withoutOne)('it shows that it is missing: %s', (_rule, mirrors, off) => {
    expect(firstFailingSeed(withRules(off), mirrors)).not.toBeNull();
  });

  it('it shows that it is missing: every object has one writer', () => {
    expect(firstFailingSeed(withRules({ writerOf: makeWritersTakeTurns() }), 2, 2)).not.toBeNull();
  });
});
