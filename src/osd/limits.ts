/** Every bound of the OSD service in one place; a caller overrides what it has measured. */
export interface OsdLimits {
  /** Connections at once; more are turned away by closing them. */
  readonly connectionsMax: number;
  /** Request line and headers, in bytes. The longest is a listing with three keys of 1024 bytes, percent-encoded. */
  readonly requestHeaderBytesMax: number;
  /** From the first byte of a request to the end of its headers. */
  readonly requestHeadersMs: number;
  /** A connection on which nothing moves for so long, in a body or in between, is closed. */
  readonly connectionIdleMs: number;
  /** Content of one stage. */
  readonly stageBytesMax: number;
  /** Stages that take content, and stages that wait to be named, together. */
  readonly stagesMax: number;
  /** A stage that nobody named for so long is discarded. */
  readonly stageIdleMs: number;
  /** A page of a listing ends early when its attributes come to this. */
  readonly listPageBytesMax: number;
  /** Pushes of one page of a reconciliation in flight at once. Small ones travel together, and share a commit of the target. */
  readonly reconcileObjectsInFlight: number;
  /** What small ones hold of memory, all together. */
  readonly reconcileSmallBytesInFlight: number;
  /** Those whose content streams through a stage. */
  readonly reconcileLargeInFlight: number;
  /** Pages of a catch-up beside clients in flight at once, of EVIDENCE_PAGE_MAX objects. */
  readonly reconcilePagesInFlight: number;
  /** Rows of one object that a reconciliation looks at one by one; an object with more is copied whole. */
  readonly reconcileObjectRowsMax: number;
  /** Rows (of all mirrors together) and objects on one page of a reconciliation; and bytes to copy, for a full copy. */
  readonly reconcilePageRowsMax: number;
  readonly reconcilePageObjectsMax: number;
  readonly reconcilePageBytesMax: number;
}

const KIBI = 1024;
const MEBI = 1024 * KIBI;
const TEBI = 1024 * 1024 * MEBI;

export const DEFAULT_OSD_LIMITS: OsdLimits = {
  connectionsMax: 4096,
  requestHeaderBytesMax: 32 * KIBI,
  requestHeadersMs: 10_000,
  connectionIdleMs: 300_000,
  stageBytesMax: 5 * TEBI,
  stagesMax: 8192,
  stageIdleMs: 300_000,
  listPageBytesMax: 8 * MEBI,
  reconcileObjectsInFlight: 256,
  reconcileSmallBytesInFlight: 8 * MEBI,
  reconcileLargeInFlight: 4,
  reconcilePagesInFlight: 4,
  reconcileObjectRowsMax: 1024,
  reconcilePageRowsMax: 4096,
  reconcilePageObjectsMax: 512,
  reconcilePageBytesMax: 64 * MEBI,
};
