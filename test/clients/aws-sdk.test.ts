import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { S3Client } from '@aws-sdk/client-s3';
import { TallySystem } from '../support/tally-system.js';
import { connectSdk, sdkClaims } from './sdk-claims.js';

let system: TallySystem;
let client: S3Client;

beforeAll(async () => {
  system = await TallySystem.start();
  client = connectSdk(system.access);
});

afterAll(async () => {
  client.destroy();
  await system.dispose();
});

describe('the AWS SDK for JavaScript v3 with default settings', () => {
  for (const { name, show } of sdkClaims) test(name, () => show(client));

  test('leaves two identical mirrors behind', async () => {
    await system.untilTablesEmpty(2500);
    expect((await system.compare()).differences).toEqual([]);
  });
});

describe('the same with one mirror killed in the middle', () => {
  const middle = Math.floor(sdkClaims.length / 2);

  for (const { name, show } of sdkClaims.slice(0, middle)) test(name, () => show(client));

  test('one OSD is killed', async () => {
    await system.osds[1].process.kill();
  });

  for (const { name, show } of sdkClaims.slice(middle)) test(`${name}, with one mirror`, () => show(client));

  test('the OSD comes back, and the mirrors are identical', async () => {
    system.osds[1].process.start();
    await system.untilInSync();
    await system.untilTablesEmpty(2500);
    expect((await system.compare()).differences).toEqual([]);
  });
});
