import { expect, test } from 'vitest';
import { runCampaign } from './campaign-run.js';

/** The long ones run by `npm run test:crash -- --cycles N --seed S`. */
const CYCLES = 9;
const SEED = 20_261_123;

test('no acknowledged write is lost, nothing removed is back and the mirrors are byte-identical, whoever is killed', async () => {
  const lines: string[] = [];
  const { findings, folder, cyclesRun } = await runCampaign({
    seed: SEED,
    cycles: CYCLES,
    faults: [],
    keep: false,
    report: (line) => lines.push(line),
  });
  expect(findings, `${lines.join('\n')}\nkept: ${folder ?? ''}`).toEqual([]);
  expect(cyclesRun).toBe(CYCLES);
}, 170_000);
