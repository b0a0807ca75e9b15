/** Every limit of the S3 edge, with its default. Times are milliseconds, sizes bytes. */

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
const DAY_MS = 24 * 60 * 60 * 1000;

export interface S3Limits {
  /** Request line and headers together. */
  readonly headerBytesMax: number;
  readonly headersMax: number;
  /** From the first byte of a request (or the connection) to the end of its headers. */
  readonly headersTimeoutMs: number;
  /** A body that brings less than BODY_PROGRESS_BYTES_MIN in this time is given up with RequestTimeout. */
  readonly bodyIdleTimeoutMs: number;
  /** A client that takes no response bytes for this long loses its connection. */
  readonly responseIdleTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
  /** Open connections; further ones are dropped at once. */
  readonly connectionsMax: number;
  /** One PutObject, append or PATCH (UserGuide "Uploading objects": 5 GB). */
  readonly singlePutBytesMax: number;
  /** One object, after appends. */
  readonly objectBytesMax: number;
  /** A request body that is XML. */
  readonly xmlBytesMax: number;
  /** A body that is buffered to check a signature which states no payload hash (see auth/authenticate.ts). */
  readonly unstatedPayloadBytesMax: number;
  /** How much of an unwanted request body is read so that the client sees the answer instead of a reset. */
  readonly drainBytesMax: number;
  readonly drainTimeMs: number;
  /** Buckets whose record is remembered. */
  readonly bucketCacheMax: number;
  /** A part of a multipart upload that is not its last (UserGuide "qfacts": 5 MiB). */
  readonly partBytesMin: number;
  /** A multipart upload to which nothing came for this long is aborted. */
  readonly uploadAgeMsMax: number;
  /** From one look for abandoned uploads to the next. */
  readonly uploadSweepIntervalMs: number;
  /** From one look for renames that were cut short to the next. */
  readonly renameSweepIntervalMs: number;
}

export const DEFAULT_S3_LIMITS: S3Limits = {
  headerBytesMax: 32 * KIB,
  headersMax: 200,
  headersTimeoutMs: 20_000,
  bodyIdleTimeoutMs: 20_000,
  responseIdleTimeoutMs: 60_000,
  keepAliveTimeoutMs: 65_000,
  connectionsMax: 10_000,
  singlePutBytesMax: 5 * GIB,
  objectBytesMax: 5 * 1024 * GIB,
  xmlBytesMax: 4 * MIB,
  unstatedPayloadBytesMax: 1 * MIB,
  drainBytesMax: 16 * MIB,
  drainTimeMs: 2_000,
  bucketCacheMax: 10_000,
  partBytesMin: 5 * MIB,
  uploadAgeMsMax: 7 * DAY_MS,
  uploadSweepIntervalMs: 60 * 60 * 1000,
  renameSweepIntervalMs: 60 * 1000,
};

/** Less than this in `bodyIdleTimeoutMs` is no progress. */
export const BODY_PROGRESS_BYTES_MIN = 1024;
/** x-amz-meta-* names (without that prefix) and values together (UserGuide "Working with object metadata": 2 KB). */
export const USER_METADATA_BYTES_MAX = 2 * KIB;
/** Cache-Control, Content-Type and the like, each. */
export const SYSTEM_METADATA_BYTES_MAX = 4 * KIB;
/** How often a read that met a change of the object is begun, and an append that met its creation or removal. */
export const READ_ATTEMPTS_MAX = 5;
/** Parts of one upload, and their numbers (UserGuide "qfacts"). */
export const PARTS_MAX = 10_000;
/** Bodies up to this are answered as one buffer. */
export const RESPONSE_BUFFER_BYTES_MAX = 64 * KIB;
