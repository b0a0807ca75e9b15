/** What the admin API says of buckets, objects and keys. Times are Unix ms, sizes bytes. */
import Type, { type Static } from 'typebox';
import { HISTORY_SAMPLES_MAX } from './history.js';
import { LINK_SECONDS_MAX, OBJECT_PAGE_MAX } from './admin-limits.js';
import { count, list, object, orNull, timeMs } from './schemas.js';

const bucketName = Type.String({ minLength: 3, maxLength: 63 });
const objectKey = Type.String({ minLength: 1, maxLength: 1024 });

export const bucketsSchema = object({ buckets: list(object({ name: Type.String(), createdMs: timeMs })) });

export const keysSchema = object({
  keys: list(
    object({
      accessKeyId: Type.String(),
      account: Type.String(),
      isReadOnly: Type.Boolean(),
      buckets: orNull(list(Type.String())),
    }),
  ),
});

export const objectsSchema = object({
  folders: list(Type.String()),
  objects: list(object({ key: Type.String(), sizeBytes: count, modifiedMs: timeMs })),
  next: orNull(Type.String()),
});

export const objectQuerySchema = object({ bucket: bucketName, key: objectKey });

export const objectsQuerySchema = object({
  bucket: bucketName,
  prefix: Type.Optional(Type.String({ maxLength: 1024 })),
  after: Type.Optional(Type.String({ maxLength: 4096 })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: OBJECT_PAGE_MAX })),
});

export const linkRequestSchema = object({
  bucket: bucketName,
  key: objectKey,
  expiresSeconds: Type.Integer({ minimum: 1, maximum: LINK_SECONDS_MAX }),
});

export const linkSchema = object({ url: Type.String() });

export const historyQuerySchema = object({ after: Type.Optional(timeMs) });

export const historySchema = object({
  samples: Type.Array(
    object({
      atMs: timeMs,
      unmatchedWrites: count,
      unmatchedBytes: count,
      oldestAgeMs: count,
      mirrors: list(object({ mirror: Type.String(), rowCount: count })),
    }),
    { maxItems: HISTORY_SAMPLES_MAX },
  ),
});

export type AdminBuckets = Static<typeof bucketsSchema>;
