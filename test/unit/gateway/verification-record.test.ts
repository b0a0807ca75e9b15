import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { mergeSummaries } from '../../../src/gateway/verification/summary-page.js';
import {
  VerificationFile,
  type VerificationRecord,
} from '../../../src/gateway/verification/verification-storage.js';
import type { ObjectSummary } from '../../../src/protocol/reconcile-plan.js';
import { makeTag, toEpoch, toGeneratorId } from '../../../src/protocol/tag.js';
import { idOf } from './gateway-rig.js';

const record: VerificationRecord = {
  formatVersion: 1,
  id: 'verification-1',
  state: 'begun',
  repairs: true,
  isQuick: false,
  bytesPerSecond: 1024,
  startedMs: 1,
  endedMs: null,
  objectsCompared: 2,
  objectsChanging: 0,
  objectsExpected: 3,
  bytesCompared: 4,
  differenceCount: 0,
  repairedCount: 0,
  differences: [],
  failure: null,
  after: idOf('key'),
};

describe("a verification's record", () => {
  let folder: string;
  let path: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tally-verification-'));
    path = join(folder, 'verification');
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('is read as it was written; there is none before', async () => {
    expect(await new VerificationFile(path).load()).toBe(null);
    await new VerificationFile(path).save(record);
    expect(await new VerificationFile(path).load()).toEqual(record);
  });

  it('is refused when it is damaged', async () => {
    await new VerificationFile(path).save(record);
    await writeFile(
      path,
      (await readFile(path, 'utf8')).replace('"objectsCompared":2', '"objectsCompared":3'),
    );
    await expect(new VerificationFile(path).load()).rejects.toThrow('checksum');
  });
});

describe('a page of summaries', () => {
  const summaryOf = (name: string, sizeBytes: number | null = 1, counter = 1): ObjectSummary => ({
    objectId: idOf(name),
    lastTag: makeTag({ epoch: toEpoch(1), counter, generator: toGeneratorId(0) }),
    sizeBytes,
    lastChecksum: 0,
  });
  const [a, b, c, d] = [summaryOf('a'), summaryOf('b'), summaryOf('c'), summaryOf('d')];

  it('ends where one of the lists may have more', () => {
    const page = mergeSummaries(
      [
        [a, c],
        [a, d],
      ],
      { objects: 2, bytes: 100 },
    );
    expect(page).toEqual({ alike: [a], suspects: [c.objectId], last: c.objectId });
  });

  it('is the last one when no list is full', () => {
    const page = mergeSummaries(
      [
        [a, b],
        [b, summaryOf('c', 1, 2)],
      ],
      { objects: 3, bytes: 100 },
    );
    expect(page).toEqual({ alike: [b], suspects: [a.objectId, idOf('c')], last: null });
  });

  it('takes tombstones for nothing, and misses no object for them', () => {
    const tombstone = summaryOf('a', null, 9);
    expect(mergeSummaries([[tombstone], []], { objects: 2, bytes: 100 })).toMatchObject({ suspects: [] });
    expect(mergeSummaries([[tombstone], [a]], { objects: 2, bytes: 100 }).suspects).toEqual([a.objectId]);
  });

  it('has no more content than it may, and at least one object', () => {
    const large = summaryOf('b', 1000);
    const lists = [
      [a, large, c],
      [a, large, c],
    ];
    const first = mergeSummaries(lists, { objects: 4, bytes: 100 });
    expect(first).toEqual({ alike: [a], suspects: [], last: a.objectId });
    const second = mergeSummaries(
      lists.map((list) => list.slice(1)),
      { objects: 4, bytes: 100 },
    );
    expect(second).toEqual({ alike: [large], suspects: [], last: large.objectId });
  });
});
