import { expect, test } from 'vitest';
import { isRoot } from '../support/small-disk.js';
import { type CampaignOptions, replayCommand, runCampaign } from './campaign-run.js';

/** The long ones run by `npm run test:crash -- --cycles N --seed S`. */
const CYCLES = 7;
const CYCLES_WITH_WORKERS = 3;
const CYCLES_FORWARDED = 2;
const SEED = 20_261_123;

async function expectNoFindings(cycles: number, how: Partial<CampaignOptions>): Promise<void> {
  const lines: string[] = [];
  const { findings, folder, cyclesRun } = await runCampaign({
    ...{ seed: SEED, cycles },
    ...how,
    faults: [],
    hasDisks: isRoot(),
    keep: false,
    report: (line) => lines.push(line),
  });
  expect(findings, `${lines.join('\n')}\nkept: ${folder ?? ''}`).toEqual([]);
  expect(cyclesRun).toBe(cycles);
}

test('the command that replays a campaign says all that its choices depend on', () => {
  const plain = { seed: 7, faults: [], hasDisks: true };
  expect(replayCommand(plain, 40)).toBe('npm run test:crash -- --cycles 40 --seed 7');
  const special = {
    ...({ seed: 7, hasDisks: false, suspendsWrites: true, workers: 2, writes: 'forwarded' } as const),
    faults: ['cut-link', 'kill-osd'],
  } as const;
  expect(replayCommand(special, 3)).toBe(
    'npm run test:crash -- --cycles 3 --seed 7 --fault cut-link --fault kill-osd --suspended --forwarded --workers 2 --no-disks',
  );
});

test('no acknowledged write is lost, nothing removed is back and the mirrors are byte-identical, whoever is killed', async () => {
  await expectNoFindings(CYCLES, {});
}, 170_000);

test('the same with two workers, one of which is killed again and again', async () => {
  await expectNoFindings(CYCLES_WITH_WORKERS, { workers: 2 });
}, 170_000);

test('the same where writes are forwarded to an OSD that issues their tags', async () => {
  await expectNoFindings(CYCLES_FORWARDED, { writes: 'forwarded' });
}, 170_000);
