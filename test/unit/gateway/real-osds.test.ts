/** The gateway over real parts: OSD services on loopback, each with a store on disk. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect } from 'vitest';
import { describeObjectStorage, type StorageUnderTest } from '../../conformance/object-storage.js';
import { VerificationFile } from '../../../src/gateway/verification/verification-storage.js';
import { AuthorityFile } from '../../../src/gateway/authority-storage.js';
import { Gateway } from '../../../src/gateway/gateway.js';
import { defaultTimings } from '../../../src/gateway/timings.js';
import { createOsdServer } from '../../../src/osd/osd-server.js';
import { toMirrorId } from '../../../src/protocol/authority-state.js';
import type { WritesMode } from '../../../src/protocol/forwarding.js';
import { toGeneratorId } from '../../../src/protocol/tag.js';
import { openStore } from '../../../src/store/disk-object-store.js';
import { formatStore } from '../../../src/store/format-store.js';
import { HttpOsdConnection } from '../../../src/wire/http-osd-connection.js';

const setId = 'real-set';
const secret = 'a-secret-of-the-mirror-set';
const timeouts = { connectMs: 2000, answerMs: 10_000, bodyIdleMs: 10_000 };

function connect(url: string): HttpOsdConnection {
  return new HttpOsdConnection({ url, secret, timeouts });
}

async function startOsd(
  folder: string,
): Promise<{ readonly url: string; readonly stop: () => Promise<void> }> {
  const logger = pino({ level: 'silent' });
  await formatStore(folder, { setId });
  const store = await openStore(folder, { setId, clock: Date.now, logger });
  const server = createOsdServer({
    store,
    secret,
    incarnation: randomUUID(),
    softwareVersion: 'test',
    logger,
    clock: Date.now,
    connect,
    onInvariantViolation: (violation) => {
      throw violation;
    },
  });
  const url = await server.listen({ host: '127.0.0.1', port: 0 });
  return {
    url,
    stop: async () => {
      await server.close();
      await store.close();
    },
  };
}

async function startSystem(writes: WritesMode): Promise<StorageUnderTest> {
  const folder = await mkdtemp(join(tmpdir(), 'tally-real-'));
  const osds = await Promise.all(['osd-0', 'osd-1'].map((name) => startOsd(join(folder, name))));
  const fatal: unknown[] = [];
  const gateway = await Gateway.start({
    setId,
    members: osds.map(({ url }, index) => ({ mirror: toMirrorId(`osd-${index}`), connection: connect(url) })),
    generator: toGeneratorId(0),
    authority: new AuthorityFile(join(folder, 'authority.json')),
    verificationRecord: new VerificationFile(join(folder, 'verification.json')),
    timings: defaultTimings,
    reconcilesByItself: true,
    suspendsWrites: false,
    writes,
    tagTableRowsMax: 1_000_000,
    catchUpPace: { bytesPerSecond: null, sharePercent: 100 },
    scrub: { intervalMs: null, bytesPerSecond: 100_000_000 },
    logger: pino({ level: 'silent' }),
    clock: Date.now,
    onFatal: (error) => fatal.push(error),
  });
  return {
    storage: gateway.storage,
    close: async () => {
      await gateway.stop();
      for (const osd of osds) await osd.stop();
      await rm(folder, { recursive: true });
      expect(fatal).toEqual([]);
    },
  };
}

describeObjectStorage('MirroredObjectStorage over two real OSDs', () => startSystem('direct'));
describeObjectStorage('MirroredObjectStorage over two real OSDs, one of which issues the tags', () =>
  startSystem('forwarded'),
);
