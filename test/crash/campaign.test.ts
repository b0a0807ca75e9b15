import { expect, test } from 'vitest';
import { runCampaign } from './campaign-run.js';

/** The long ones run by `npm run test:crash -- --cycles N --seed S`. */
const CYCLES = 9;
const CYCLES_WITH_WORKERS = 5;
const SEED = 20_261_123;

async function expectNoFindings(seed: number, cycles: number, workers: number): Promise<void> {
  const lines: string[] = [];
  const { findings, folder, cyclesRun } = await runCampaign({
    ...{ seed, cycles, workers },
    faults: [],
    keep: false,
    report: (line) => lines.push(line),
  });
  expect(findings, `${lines.join('\n')}\nkept: ${folder ?? ''}`).toEqual([]);
  expect(cyclesRun).toBe(cycles);
}

test('no acknowledged write is lost, nothing removed is back and the mirrors are byte-identical, whoever is killed', async () => {
  await expectNoFindings(SEED, CYCLES, 1);
}, 170_000);

test('the same with two workers, one of which is killed again and again', async () => {
  await expectNoFindings(SEED, CYCLES_WITH_WORKERS, 2);
}, 170_000);
