/** Every bound of the admin API. Times are milliseconds. */
export interface AdminLimits {
  readonly connectionsMax: number;
  /** Request line and headers, in bytes. */
  readonly headerBytesMax: number;
  /** From the first byte of a request to the end of its headers. */
  readonly headersTimeoutMs: number;
  /** A connection on which nothing moves for so long is closed: uploads take as long as they take. */
  readonly connectionIdleMs: number;
  /** Clients that follow reconciliations at once. */
  readonly streamsMax: number;
  /** Between two looks at the reconciliation that a client follows. */
  readonly streamPollMs: number;
  /** A comment after so long without news, so that nobody on the way takes the connection for dead. */
  readonly streamHeartbeatMs: number;
  /** A client that takes nothing for so long is disconnected. */
  readonly streamStalledMs: number;
}

export const DEFAULT_ADMIN_LIMITS: AdminLimits = {
  connectionsMax: 256,
  headerBytesMax: 16 * 1024,
  headersTimeoutMs: 10_000,
  connectionIdleMs: 60_000,
  streamsMax: 32,
  streamPollMs: 100,
  streamHeartbeatMs: 15_000,
  streamStalledMs: 30_000,
};

export const TAG_TABLE_PAGE_DEFAULT = 100;
export const TAG_TABLE_PAGE_MAX = 1000;
export const REQUEST_BODY_BYTES_MAX = 16 * 1024;

export const OBJECT_PAGE_DEFAULT = 200;
export const OBJECT_PAGE_MAX = 1000;
/** S3's limit for one PUT. */
export const UPLOAD_BYTES_MAX = 5 * 1024 ** 3;
/** S3's limit for presigned URLs: a week. */
export const LINK_SECONDS_MAX = 7 * 24 * 60 * 60;
