/**
 * The web console as an operator uses it, in a browser, on a system of real processes.
 *
 * README's pictures come from here: SCREENSHOTS=docs npx vitest run test/browser/console.test.ts
 */
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchChromium } from '../support/chromium.js';
import { TallySystem } from '../support/tally-system.js';

const WITHIN_MS = 60_000;

let system: TallySystem;
let browser: Browser;
let page: Page;
/** What the page complained of: script errors, and what its policy refused. */
const complaints: string[] = [];

beforeAll(async () => {
  [system, browser] = await Promise.all([TallySystem.start(), launchChromium()]);
  await system.s3.createBucket('photos');
  for (let index = 0; index < 3; index += 1) {
    await system.s3.put('photos', `2026/june/sea-${index}.jpg`, Buffer.alloc(40_000 * (index + 1), index));
  }
  await system.s3.put('photos', 'readme.txt', Buffer.from('hello'));
  const context = await browser.newContext({
    viewport: { width: 1120, height: 1000 },
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  page = await context.newPage();
  page.setDefaultTimeout(WITHIN_MS);
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    const isRefusedLogin = message.text().includes('401');
    if (message.type() === 'error' && !isRefusedLogin) complaints.push(message.text());
  });
  page.on('dialog', (dialog) => void dialog.accept());
});

afterAll(async () => {
  await browser.close();
  await system.dispose();
});

async function picture(name: string): Promise<void> {
  const folder = process.env['SCREENSHOTS'];
  if (folder !== undefined) await page.screenshot({ path: join(folder, `console-${name}.png`) });
}

function headline(text: string | RegExp): Promise<void> {
  return page.getByRole('heading', { level: 1, name: text }).waitFor();
}

async function open(name: string): Promise<void> {
  await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name }).click();
}

describe('the web console', () => {
  it('lets nobody in without the token, and remembers it for this tab alone', async () => {
    await page.goto(`${system.adminUrl}/`);
    expect(page.url()).toBe(`${system.adminUrl}/console/`);
    await page.getByLabel('Admin token').fill('not-the-token-of-anybody');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').getByText('not the token').waitFor();
    await page.getByLabel('Admin token').fill(system.adminToken);
    await page.keyboard.press('Enter');
    await headline('Both mirrors are in sync');
    await page.reload();
    await headline('Both mirrors are in sync');
    const other = await page.context().newPage();
    await other.goto(`${system.adminUrl}/console/`);
    await other.getByLabel('Admin token').waitFor();
    await other.close();
  });

  it('shows everything to a token that may only look, and switches off what would change something', async () => {
    const context = await browser.newContext();
    const other = await context.newPage();
    await other.goto(`${system.adminUrl}/console/`);
    await other.getByLabel('Admin token').fill(system.readToken);
    await other.keyboard.press('Enter');
    await other.getByText('The token "read" may look, and change nothing.').waitFor();
    await other.getByRole('heading', { level: 1, name: 'Both mirrors are in sync' }).waitFor();
    for (const name of ['Reconcile now', 'Pause copying', 'Compare now']) {
      const button = other.getByRole('button', { name });
      expect(await button.isDisabled(), name).toBe(true);
      expect(await button.getAttribute('title')).toContain('may look, and change nothing');
    }
    expect(await other.getByRole('slider').isDisabled()).toBe(true);
    await other.goto(`${system.adminUrl}/console/#objects`);
    await other.getByRole('rowheader', { name: 'readme.txt' }).waitFor();
    expect(await other.getByRole('button', { name: 'Delete readme.txt' }).isDisabled()).toBe(true);
    expect(await other.locator('input[type=file]').count()).toBe(0);
    await context.close();
  });

  it('browses, uploads, shares, downloads and deletes objects', async () => {
    await open('Objects');
    await page.getByRole('button', { name: '2026/' }).click();
    await page.getByRole('button', { name: 'june/' }).click();
    await page.getByRole('rowheader', { name: 'sea-2.jpg' }).waitFor();
    await picture('objects');
    const bytes = Buffer.alloc(300_000, 7);
    await page
      .locator('input[type=file]')
      .setInputFiles({ name: 'ä new+file.bin', mimeType: 'application/x-test', buffer: bytes });
    await page.getByText('293 KiB, stored').waitFor();
    const key = '2026/june/ä new+file.bin';
    expect(await system.s3.get('photos', key)).toEqual(bytes);
    await page.getByRole('button', { name: `Copy a link to ${key}` }).click();
    await page.getByText('is in the clipboard').waitFor();
    const link = String(await page.evaluate('navigator.clipboard.readText()'));
    const shared = await fetch(link);
    expect(Buffer.from(await shared.arrayBuffer())).toEqual(bytes);
    const downloading = page.waitForEvent('download');
    await page.getByRole('button', { name: `Download ${key}` }).click();
    expect((await downloading).suggestedFilename()).toBe('ä new+file.bin');
    await page.getByRole('button', { name: `Delete ${key}` }).click();
    await page.getByText('is deleted').waitFor();
    expect(await system.s3.get('photos', key)).toBeNull();
  });

  it('shows keys without their secrets', async () => {
    await open('Keys and buckets');
    await page.getByText(system.access.accessKeyId).waitFor();
    expect(await page.content()).not.toContain(system.access.secretAccessKey);
  });

  it('says that an OSD was killed, how much waits for it, and that it has caught up', async () => {
    await open('Mirrors');
    await headline('Both mirrors are in sync');
    const [, osd] = system.osds;
    await osd.process.kill();
    await headline('osd-1 is away');
    for (let index = 0; index < 25; index += 1) {
      await system.s3.put('photos', `while-away-${index}`, Buffer.alloc(80_000, index));
    }
    await page.getByRole('status').getByText('25 writes, 1.9 MiB to copy').waitFor();
    await page.getByRole('listitem').filter({ hasText: 'osd-1 left out' }).first().waitFor();
    await page.locator('[data-mirror="osd-1"]').getByText('away', { exact: true }).waitFor();
    await page.locator('[data-mirror="osd-1"]').getByText('tally osd --name osd-1').waitFor();
    await page.locator('.value strong', { hasText: /^25$/ }).first().waitFor();
    await picture('away');
    await page.emulateMedia({ colorScheme: 'dark' });
    await picture('away-dark');
    await page.setViewportSize({ width: 390, height: 844 });
    const overflow = Number(await page.evaluate('document.documentElement.scrollWidth - innerWidth'));
    expect(overflow, 'a phone need not scroll sideways').toBeLessThanOrEqual(0);
    await picture('phone');
    await page.emulateMedia({ colorScheme: 'light' });
    await page.setViewportSize({ width: 1120, height: 1000 });
    osd.process.start();
    await headline('Both mirrors are in sync');
    await page.getByText('Recovery done: osd-0, osd-1 in sync; 25 objects, 1.9 MiB copied').waitFor();
    await picture('in-sync');
  });

  it('starts a reconciliation, by keyboard alone', async () => {
    const operations = (await system.admin.operations()).length;
    await page.getByRole('button', { name: 'Reconcile now' }).focus();
    await page.keyboard.press('Enter');
    await expect
      .poll(async () => (await system.admin.operations()).length, { timeout: WITHIN_MS })
      .toBe(operations + 1);
    await page.getByText('an operator asked for it').first().waitFor();
    await headline('Both mirrors are in sync');
  });

  it('compares the mirrors, and stops doing so', async () => {
    await page.getByRole('button', { name: 'Compare now' }).click();
    await page.getByText('none differs').waitFor();
    await system.admin.call('POST', '/verify?bytesPerSecond=1024');
    await page.getByRole('progressbar', { name: 'Progress of the comparison' }).waitFor();
    await page.getByRole('button', { name: 'Stop comparing' }).click();
    await page.getByText('The last one was stopped').waitFor();
  });

  it('pauses copying, and changes its share, by keyboard alone', async () => {
    const pace = async () => (await system.admin.status()).pace;
    await page.getByRole('slider', { name: 'of the time' }).focus();
    await page.keyboard.press('End');
    await expect.poll(pace, { timeout: WITHIN_MS }).toMatchObject({ sharePercent: 100 });
    await page.getByRole('button', { name: 'Pause copying' }).focus();
    await page.keyboard.press('Enter');
    await page.getByText('is paused by an operator').waitFor();
    expect(await pace()).toMatchObject({ isPaused: true });
    await page.getByRole('button', { name: 'Resume copying' }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Pause copying' }).waitFor();
    expect(await pace()).toMatchObject({ isPaused: false });
  });

  it('never did what its security policy forbids', () => {
    expect(complaints).toEqual([]);
  });
});
