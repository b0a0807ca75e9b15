import { expect, test } from 'vitest';
import { replayCommand, runCampaign } from './campaign-run.js';

/** Long ones: `npm run test:fuzz -- --runs N --seed S`. */
const WISH = { runs: 250, seed: 20_261_127 };

test('whatever comes in, the gateway answers in XML or hangs up, fails nowhere, keeps nothing and spares other objects', async () => {
  const { requests, findings } = await runCampaign(WISH);
  expect(findings, replayCommand(WISH)).toEqual([]);
  expect(requests).toBeGreaterThan(WISH.runs);
});
