/** What is encrypted lies in neither OSD's folder as it was sent: small or large, whole or in parts, by whosever key. */
import { createHash, randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MasterKeys } from '../../src/s3/encryption/master-keys.js';
import { TallySystem } from '../support/tally-system.js';

const BUCKET = 'at-rest';
const PART_BYTES = 5 * 1024 * 1024;
const CUSTOMER_KEY = randomBytes(32);
const WITH_CUSTOMER_KEY = {
  'x-amz-server-side-encryption-customer-algorithm': 'AES256',
  'x-amz-server-side-encryption-customer-key': CUSTOMER_KEY.toString('base64'),
  'x-amz-server-side-encryption-customer-key-md5': createHash('md5').update(CUSTOMER_KEY).digest('base64'),
};
const BY_SERVER = { 'x-amz-server-side-encryption': 'AES256' };

/** Random, so that no compression on the way to the disk changes it. */
function makeMarker(): Buffer {
  return randomBytes(24);
}

let system: TallySystem;

beforeAll(async () => {
  system = await TallySystem.start();
  await system.s3.createBucket(BUCKET);
});

afterAll(async () => {
  await system.dispose();
});

async function filesUnder(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** How many OSDs have these bytes somewhere in their folders. */
async function osdsWith(bytes: Buffer): Promise<number> {
  let count = 0;
  for (const { storeFolder } of system.osds) {
    const contents = await Promise.all((await filesUnder(storeFolder)).map((path) => readFile(path)));
    if (contents.some((content) => content.includes(bytes))) count += 1;
  }
  return count;
}

async function put(key: string, body: Buffer, headers: Record<string, string>): Promise<void> {
  const reply = await system.s3.request({ method: 'PUT', path: `/${BUCKET}/${key}`, body, headers });
  expect(reply.status, reply.body.toString()).toBe(200);
}

async function putInParts(
  key: string,
  parts: readonly Buffer[],
  headers: { readonly create: Record<string, string>; readonly part: Record<string, string> },
): Promise<void> {
  const path = `/${BUCKET}/${key}`;
  const created = await system.s3.request({
    method: 'POST',
    path,
    query: { uploads: '' },
    headers: headers.create,
  });
  const uploadId = /<UploadId>(\w+)</.exec(created.body.toString())?.[1] ?? '';
  const items: string[] = [];
  for (const [index, body] of parts.entries()) {
    const query = { partNumber: String(index + 1), uploadId };
    const reply = await system.s3.request({ method: 'PUT', path, query, body, headers: headers.part });
    expect(reply.status, reply.body.toString()).toBe(200);
    items.push(
      `<Part><PartNumber>${index + 1}</PartNumber><ETag>${String(reply.headers['etag'])}</ETag></Part>`,
    );
  }
  const body = Buffer.from(`<CompleteMultipartUpload>${items.join('')}</CompleteMultipartUpload>`);
  const completed = await system.s3.request({ method: 'POST', path, query: { uploadId }, body });
  expect(completed.status, completed.body.toString()).toBe(200);
}

async function get(key: string, headers: Record<string, string>): Promise<Buffer> {
  const reply = await system.s3.request({ method: 'GET', path: `/${BUCKET}/${key}`, headers });
  expect(reply.status).toBe(200);
  return reply.body;
}

describe('encryption at rest', () => {
  test('this search finds what is not encrypted, on both OSDs', async () => {
    const small = makeMarker();
    const large = makeMarker();
    await put('plain-small', small, {});
    await put('plain-large', Buffer.concat([randomBytes(300_000), large]), {});
    expect([await osdsWith(small), await osdsWith(large)]).toEqual([2, 2]);
  });

  test.each([
    ['a key of the server', BY_SERVER, {}],
    ["a customer's key", WITH_CUSTOMER_KEY, WITH_CUSTOMER_KEY],
  ])('with %s no OSD has the plain bytes', async (_by, write, read) => {
    const marker = makeMarker();
    const large = Buffer.concat([marker, randomBytes(300_000), marker]);
    const part = Buffer.concat([marker, randomBytes(PART_BYTES), marker]);
    await put('small', marker, write);
    await put('large', large, write);
    await putInParts('parts', [part, marker], { create: write, part: read });
    expect((await get('small', read)).equals(marker)).toBe(true);
    expect((await get('large', read)).equals(large)).toBe(true);
    expect((await get('parts', read)).equals(Buffer.concat([part, marker]))).toBe(true);
    expect(await osdsWith(marker)).toBe(0);
  });

  test('no key lies in an OSD, nor in a log', async () => {
    const text = await readFile(join(system.folder, 'secrets', 'master-keys'), 'utf8');
    const { key } = MasterKeys.parse(text).current;
    for (const secret of [key, CUSTOMER_KEY]) {
      for (const form of [
        secret,
        Buffer.from(secret.toString('base64')),
        Buffer.from(secret.toString('hex')),
      ]) {
        expect(await osdsWith(form)).toBe(0);
        const logs = (await filesUnder(system.folder)).filter((path) => path.endsWith('.log'));
        expect(logs.length).toBeGreaterThan(0);
        for (const log of logs) expect((await readFile(log)).includes(form), log).toBe(false);
      }
    }
  });
});
