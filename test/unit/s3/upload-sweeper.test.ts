/** What multipart uploads leave behind goes away by itself. */
import { beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_BUCKET_CONFIGURATION } from '../../../src/s3/bucket-configuration.js';
import { NO_ANNOTATIONS, type ObjectAttributes, encodeObjectAttributes } from '../../../src/s3/attributes.js';
import { BucketDirectory, type Bucket } from '../../../src/s3/buckets.js';
import { DEFAULT_S3_LIMITS } from '../../../src/s3/limits.js';
import { UploadDirectory } from '../../../src/s3/multipart/upload-directory.js';
import { partObjectId } from '../../../src/s3/multipart/upload-record.js';
import { UploadSweeper } from '../../../src/s3/multipart/upload-sweeper.js';
import { makeObjectId, type ObjectId } from '../../../src/protocol/object-id.js';
import { MemoryObjectStorage } from '../../fakes/memory-object-storage.js';

const AGE_MS = DEFAULT_S3_LIMITS.uploadAgeMsMax;
const START_MS = 1_700_000_000_000;

const OBJECT: ObjectAttributes = {
  ...NO_ANNOTATIONS,
  etag: 'd41d8cd98f00b204e9800998ecf8427e',
  modifiedMs: START_MS,
  writes: 1,
  headers: {},
  metadata: {},
  checksum: null,
  parts: null,
  uploadId: null,
  rename: null,
  sealing: null,
};

describe('the sweeper of multipart uploads', () => {
  let storage: MemoryObjectStorage;
  let buckets: BucketDirectory;
  let uploads: UploadDirectory;
  let sweeper: UploadSweeper;
  let bucket: Bucket;
  let nowMs = START_MS;
  const failures: unknown[] = [];

  beforeEach(async () => {
    nowMs = START_MS;
    storage = new MemoryObjectStorage();
    buckets = new BucketDirectory(storage, 10);
    uploads = new UploadDirectory(storage);
    sweeper = new UploadSweeper({
      storage,
      buckets,
      uploads,
      limits: DEFAULT_S3_LIMITS,
      clock: () => nowMs,
      onFailure: (error) => failures.push(error),
      onInvariantViolation: (violation) => failures.push(violation),
    });
    failures.length = 0;
    bucket = {
      name: 'photos',
      createdMs: START_MS,
      ownerId: 'owner',
      ownerName: 'Owner',
      region: 'us-east-1',
      configuration: DEFAULT_BUCKET_CONFIGURATION,
    };
    await buckets.create(bucket);
  });

  function begin(key: string): Promise<string> {
    return uploads.create(bucket, key, {
      initiatedMs: nowMs,
      initiatorId: 'owner',
      initiatorName: 'Owner',
      checksum: null,
      object: OBJECT,
    });
  }

  async function store(id: ObjectId, attributes: Partial<ObjectAttributes> = {}): Promise<void> {
    const content = await storage.openContent().finish();
    const text = encodeObjectAttributes({ ...OBJECT, modifiedMs: nowMs, ...attributes });
    await storage.replace({ id, content, attributes: text });
  }

  async function names(container: string): Promise<string[]> {
    const page = await storage.list({ container, prefix: '', after: '', delimiter: '', limit: 1000 });
    return page.entries.map((entry) => (entry.kind === 'object' ? entry.name : entry.prefix));
  }

  it('an upload to which nothing came for the age limit is aborted with its parts', async () => {
    const uploadId = await begin('old');
    await store(partObjectId({ bucket: 'photos', key: 'old', uploadId }, 1));
    nowMs += AGE_MS + 1;
    const young = await begin('young');
    await sweeper.round();
    expect(await names('.uploads')).toEqual([young]);
    expect(await names('.uploads.photos')).toEqual(['young']);
    expect(await names('.parts.photos')).toEqual([]);
  });

  it('an old upload to which a part came lately stays', async () => {
    const uploadId = await begin('slow');
    nowMs += AGE_MS;
    await store(partObjectId({ bucket: 'photos', key: 'slow', uploadId }, 1));
    nowMs += 1;
    await sweeper.round();
    expect(await names('.uploads.photos')).toEqual(['slow']);
  });

  it('an upload whose object is there was completed: only a crash kept it from being removed', async () => {
    const uploadId = await begin('done');
    await store(partObjectId({ bucket: 'photos', key: 'done', uploadId }, 1));
    await store(makeObjectId('photos', 'done'), { uploadId });
    await sweeper.round();
    expect([await names('.uploads'), await names('.uploads.photos'), await names('.parts.photos')]).toEqual([
      [],
      [],
      [],
    ]);
    expect(await names('photos')).toEqual(['done']);
  });

  it('parts of an upload that ended before they were removed go away', async () => {
    const uploadId = await begin('ended');
    await store(partObjectId({ bucket: 'photos', key: 'ended', uploadId }, 1));
    await storage.remove({ id: makeObjectId('.uploads.photos', 'ended', uploadId) });
    await sweeper.round();
    expect([await names('.uploads'), await names('.parts.photos')]).toEqual([[], []]);
  });

  it('uploads into a bucket that is gone go away', async () => {
    const uploadId = await begin('orphan');
    await store(partObjectId({ bucket: 'photos', key: 'orphan', uploadId }, 1));
    await buckets.remove('photos');
    await sweeper.round();
    expect([await names('.uploads'), await names('.uploads.photos'), await names('.parts.photos')]).toEqual([
      [],
      [],
      [],
    ]);
  });

  it('once started it removes the parts of an ended upload at once, and once stopped it does nothing more', async () => {
    const uploadId = await begin('ended');
    for (let number = 1; number <= 40; number += 1)
      await store(partObjectId({ bucket: 'photos', key: 'ended', uploadId }, number));
    sweeper.start();
    await uploads.alone(uploadId, () => uploads.end('photos', 'ended', uploadId));
    await expect.poll(() => names('.parts.photos')).toEqual([]);
    await sweeper.stop();
    const other = await begin('other');
    await uploads.alone(other, () => uploads.end('photos', 'other', other));
    expect(await names('.uploads')).toEqual([other]);
    expect(failures).toEqual([]);
  });
});
