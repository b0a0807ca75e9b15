/** The web console of a system with two mirror sets: each has its picture, its recovery and its comparison. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Playground, RunningTally } from '../start/running-tally.js';
import { launchChromium } from '../support/chromium.js';
import { findFreePorts } from '../support/free-ports.js';

const WITHIN_MS = 60_000;

let playground: Playground;
let tally: RunningTally;
let browser: Browser;
let page: Page;

beforeAll(async () => {
  playground = await Playground.make();
  const file = join(playground.folder, 'tally.yaml');
  const [third, fourth] = await findFreePorts(2);
  await writeFile(
    file,
    `furtherSets:
  - id: second
    members:
      - { name: osd-2, url: "http://127.0.0.1:${third}" }
      - { name: osd-3, url: "http://127.0.0.1:${fourth}" }
`,
  );
  tally = RunningTally.start(['up', '--config', file, ...playground.flags]);
  [browser] = await Promise.all([launchChromium(), tally.waitFor('Ctrl-C stops everything.')]);
  page = await browser.newPage();
  page.setDefaultTimeout(WITHIN_MS);
  await page.goto(`http://127.0.0.1:${playground.ports.admin}/console/`);
  const token = await readFile(join(playground.dataFolder, 'secrets', 'admin-token'), 'utf8');
  await page.getByLabel('Admin token').fill(token.trim());
  await page.keyboard.press('Enter');
});

afterAll(async () => {
  await browser.close();
  await tally.end('SIGINT');
  await playground.remove();
});

function panelOf(set: string) {
  return page.locator(`[data-set="${set}"]`);
}

it('shows each set as a picture of its own', async () => {
  await panelOf('second').locator('[data-mirror="osd-3"]').waitFor();
  expect(await page.locator('.one-set').count()).toBe(2);
  for (const [set, mirrors] of [
    [0, ['osd-0', 'osd-1']],
    [1, ['osd-2', 'osd-3']],
  ] as const) {
    for (const mirror of mirrors) {
      expect(await page.locator('.one-set').nth(set).locator(`[data-mirror="${mirror}"]`).count()).toBe(1);
    }
  }
  expect(await page.getByRole('heading', { name: 'Both mirrors are in sync' }).count()).toBe(2);
});

it('says which set it is that lost a mirror', async () => {
  process.kill(tally.processIdOf('osd-3'), 'SIGKILL');
  await panelOf('second').getByRole('heading', { name: 'osd-3 is away' }).waitFor();
  const first = page.locator('.one-set').first();
  expect(await first.getByRole('heading', { name: 'Both mirrors are in sync' }).count()).toBe(1);
});

it('acts on the set that the button is of', async () => {
  await panelOf('second').getByRole('button', { name: 'Pause copying' }).click();
  await panelOf('second').getByText('is paused by an operator').waitFor();
  const first = page.locator('.one-set').first();
  expect(await first.getByRole('button', { name: 'Pause copying' }).count()).toBe(1);
  await first.getByRole('button', { name: 'Compare now' }).click();
  await first.getByText('none differs').waitFor();
  expect(await panelOf('second').getByText('none differs').count()).toBe(0);
});
