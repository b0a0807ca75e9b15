/** A real browser on a page of another origin: HTML forms with a signed policy, and scripts under CORS. */
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { existsSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Browser, chromium, type Page, type Response } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SigningKeys } from '../../src/s3/auth/signing-key.js';
import { sign } from '../../src/s3/auth/sigv4.js';
import { connectSdk } from '../clients/sdk.js';
import { SeededRandom } from '../support/seeded-random.js';
import { TallySystem } from '../support/tally-system.js';

const CHROMIUM = '/usr/bin/chromium';
const BUCKET = 'from-browsers';
const FILE_BYTES = 300_000;
const CORS = `<CORSConfiguration><CORSRule><AllowedOrigin>ORIGIN</AllowedOrigin><AllowedMethod>PUT</AllowedMethod><AllowedMethod>GET</AllowedMethod><AllowedHeader>*</AllowedHeader><ExposeHeader>ETag</ExposeHeader></CORSRule></CORSConfiguration>`;

let system: TallySystem;
let browser: Browser;
let pages: Server;
let origin: string;
/** What the other origin serves at the moment. */
let html = '';

beforeAll(async () => {
  if (!existsSync(CHROMIUM)) throw new Error(`${CHROMIUM} is not installed: apt-get install chromium`);
  system = await TallySystem.start();
  pages = createServer((_request, response) => response.setHeader('content-type', 'text/html').end(html));
  await new Promise<void>((resolve) => pages.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(pages.address() as AddressInfo).port}`;
  await system.s3.createBucket(BUCKET);
  const body = Buffer.from(CORS.replace('ORIGIN', origin));
  await system.s3.request({ method: 'PUT', path: `/${BUCKET}`, query: { cors: '' }, body });
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
});

afterAll(async () => {
  await browser.close();
  await new Promise((resolve) => pages.close(resolve));
  await system.dispose();
});

/** A policy is held against the key with the file's name in it. */
function condition(name: string, value: string): unknown {
  const [before = '', after] = value.split('${filename}');
  return after === undefined ? { [name]: value } : ['starts-with', `$${name}`, before];
}

/** The hidden fields of a form: what the policy binds, and the policy with its signature. */
function signedFields(fields: Readonly<Record<string, string>>): Record<string, string> {
  const { accessKeyId, secretAccessKey, region } = system.access;
  const timestamp = new Date().toISOString().replace(/[-:]|\.\d{3}/g, '');
  const scope = { date: timestamp.slice(0, 8), region, service: 's3' };
  const bound = {
    ...fields,
    'x-amz-algorithm': 'AWS4-HMAC-SHA256',
    'x-amz-credential': `${accessKeyId}/${scope.date}/${region}/s3/aws4_request`,
    'x-amz-date': timestamp,
  };
  const conditions = [
    { bucket: BUCKET },
    ['content-length-range', 0, 2 * FILE_BYTES],
    ...Object.entries(bound).map(([name, value]) => condition(name, value)),
  ];
  const expiration = new Date(Date.now() + 60_000).toISOString();
  const policy = Buffer.from(JSON.stringify({ expiration, conditions })).toString('base64');
  const signature = sign(new SigningKeys().get(secretAccessKey, scope), policy);
  return { ...bound, policy, 'x-amz-signature': signature };
}

function formPage(fields: Readonly<Record<string, string>>): string {
  const inputs = Object.entries(fields).map(
    ([name, value]) => `<input type="hidden" name="${name}" value="${value}">`,
  );
  const action = `${system.access.endpoint}/${BUCKET}`;
  return `<!DOCTYPE html><form action="${action}" method="post" enctype="multipart/form-data">${inputs.join('')}<input type="file" name="file"><button>send</button></form>`;
}

async function openPage(content: string): Promise<Page> {
  html = content;
  const page = await browser.newPage();
  await page.goto(origin);
  return page;
}

/** Chooses the file and presses the button; the gateway's answer to the form. */
async function submit(page: Page, bytes: Buffer): Promise<Response> {
  await page.setInputFiles('input[type=file]', {
    name: 'a photo.jpg',
    mimeType: 'image/jpeg',
    buffer: bytes,
  });
  const [answer] = await Promise.all([
    page.waitForResponse((response) => response.request().method() === 'POST'),
    page.click('button'),
  ]);
  await page.waitForLoadState();
  return answer;
}

describe('a form in a browser', () => {
  test('uploads a file, and the browser is sent on to where the form says', async () => {
    const bytes = new SeededRandom(1).bytes(FILE_BYTES);
    const redirect = `${origin}/thanks`;
    const page = await openPage(
      formPage(signedFields({ key: 'redirected', success_action_redirect: redirect })),
    );
    expect((await submit(page, bytes)).status()).toBe(303);
    const arrived = new URL(page.url());
    expect(arrived.origin + arrived.pathname).toBe(redirect);
    expect(arrived.searchParams.get('key')).toBe('redirected');
    expect((await system.s3.get(BUCKET, 'redirected'))?.equals(bytes)).toBe(true);
    await page.close();
  });

  test('uploads a file, and shows what was made when the form asks for 201', async () => {
    const page = await openPage(
      formPage(signedFields({ key: 'created/${filename}', success_action_status: '201' })),
    );
    const answer = await submit(page, Buffer.from('small'));
    expect(answer.status()).toBe(201);
    expect(await answer.text()).toContain('<Key>created/a photo.jpg</Key>');
    expect((await system.s3.get(BUCKET, 'created/a photo.jpg'))?.toString()).toBe('small');
    await page.close();
  });

  test('is refused in XML when its policy does not allow what it sends', async () => {
    const page = await openPage(formPage({ ...signedFields({ key: 'allowed' }), key: 'refused' }));
    const answer = await submit(page, Buffer.from('small'));
    expect(answer.status()).toBe(403);
    expect(await answer.text()).toContain('<Code>AccessDenied</Code>');
    expect(await system.s3.get(BUCKET, 'refused')).toBeNull();
    await page.close();
  });
});

describe('a script in a browser', () => {
  async function put(page: Page, url: string): Promise<string> {
    return page.evaluate(async (target) => {
      try {
        const headers = { 'content-type': 'text/x-script' };
        const reply = await fetch(target, { method: 'PUT', body: 'by script', headers });
        return `${reply.status} ${reply.headers.get('etag') ?? 'no ETag'}`;
      } catch {
        return 'refused by the browser';
      }
    }, url);
  }

  test('puts with a presigned URL after a preflight, and reads the headers that it may', async () => {
    const { client } = connectSdk({ system, bucket: BUCKET, folder: '' });
    const target = { Bucket: BUCKET, Key: 'scripted', ContentType: 'text/x-script' };
    const url = await getSignedUrl(client, new PutObjectCommand(target), { expiresIn: 60 });
    const page = await openPage('<!DOCTYPE html>');
    expect(await put(page, url)).toMatch(/^200 "[0-9a-f]{32}"$/);
    expect((await system.s3.get(BUCKET, 'scripted'))?.toString()).toBe('by script');
    await page.close();
    await system.s3.request({ method: 'DELETE', path: `/${BUCKET}`, query: { cors: '' } });
    const other = await openPage('<!DOCTYPE html>');
    expect(await put(other, url)).toBe('refused by the browser');
    await other.close();
    client.destroy();
  });
});
