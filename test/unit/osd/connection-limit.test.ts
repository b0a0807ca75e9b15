import { expect, it } from 'vitest';
import { OSD_PATHS } from '../../../src/wire/contract.js';
import { MemoryOsdStore } from '../../fakes/memory-osd-store.js';
import { expectConnectionLimit } from '../../support/raw-connection.js';
import { startOsd } from './osd-harness.js';
import { SET_ID } from './osd-writer.js';

it('an OSD serves so many connections at once, turns one more away, and has room when one is gone', async () => {
  const osd = await startOsd(new MemoryOsdStore(SET_ID, 1), { limits: { connectionsMax: 3 } });
  const request = `GET ${OSD_PATHS.live} HTTP/1.1\r\nhost: a\r\n\r\n`;
  await expectConnectionLimit(Number(new URL(osd.url).port), 3, request);
  expect(osd.violations).toEqual([]);
  await osd.close();
});
