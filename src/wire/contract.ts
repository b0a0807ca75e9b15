/**
 * The OSD's HTTP contract, spelled once: paths, headers, media types, limits. `openapi/osd.yaml` says the same in words,
 * and a test compares the two.
 */

export const OSD_PATHS = {
  live: '/health/live',
  ready: '/health/ready',
  metrics: '/metrics',
  identity: '/v1/identity',
  fence: '/v1/fence',
  activation: '/v1/activation',
  advance: '/v1/advance',
  rebuilding: '/v1/rebuilding',
  transactions: '/v1/transactions',
  byteTransactions: '/v2/transactions',
  writer: '/v1/writer',
  writerDismissal: '/v1/writer/dismissal',
  forwardedWrites: '/v1/forwarded-writes',
  stages: '/v1/stages',
  stage: '/v1/stages/{stageId}',
  object: '/v1/object',
  objectState: '/v1/object/state',
  reads: '/v1/reads',
  keptObject: '/v1/kept-object',
  lostObjects: '/v1/lost-objects',
  objects: '/v1/objects',
  tagTable: '/v1/tag-table',
  summaries: '/v1/summaries',
  states: '/v1/states',
  evidence: '/v1/evidence',
  pushes: '/v1/pushes',
  pushBatches: '/v1/push-batches',
  rowDrops: '/v1/row-drops',
  selfDoubt: '/v1/self-doubt',
  authorityRecord: '/v1/authority-record',
  fullCopy: '/v1/full-copy',
  fullCopyEnd: '/v1/full-copy-end',
  fullCopyCursor: '/v1/full-copy-cursor',
  examinations: '/v1/examinations',
  heals: '/v1/heals',
  scrub: '/v1/scrub',
  reconciliations: '/v1/reconciliations',
  reconciliation: '/v1/reconciliations/{epoch}',
  reconciliationPace: '/v1/reconciliations/{epoch}/pace',
} as const;

/** Everything but the health of the process needs the set's secret, or for metrics their own token. */
export const OSD_PATHS_WITHOUT_SECRET: readonly string[] = [OSD_PATHS.live, OSD_PATHS.ready];

export const HEADER_AUTHORIZATION = 'authorization';
/** The scheme of RFC 6750; the credential is the mirror set's shared secret. */
const AUTHORIZATION_PREFIX = 'Bearer ';
/** Which versions of the contract a side speaks; see `contract-version.ts`. */
export const HEADER_CONTRACT = 'tally-contract';
/** W3C Trace Context, on what has a request of its own (a stage); writes carry theirs in their batch. */
export const HEADER_TRACEPARENT = 'traceparent';
/** The epoch of a read: an OSD that was fenced higher refuses it. */
export const HEADER_EPOCH = 'tally-epoch';
/** Trailer of a streamed read that ended early: the error code. */
export const TRAILER_ERROR = 'tally-error';

export const MEDIA_JSON = 'application/json';
/** u32 length, JSON header, bytes; see `frame.ts`. */
export const MEDIA_FRAME = 'application/vnd.tally.frame';
/** Fields in bytes; see `transaction-bytes.ts`. */
export const MEDIA_TRANSACTIONS = 'application/vnd.tally.transactions';
export const MEDIA_BYTES = 'application/octet-stream';

/**
 * The secrets of a mirror set as they are now: the first is shown to others, and each is accepted, so that one can be changed at one part after
 * the other. One alone never changes.
 */
export type SetSecrets = string | (() => readonly [string, ...string[]]);

export function secretsNow(secrets: SetSecrets): readonly [string, ...string[]] {
  return typeof secrets === 'string' ? [secrets] : secrets();
}

/** A secret travels in a header: visible ASCII, and long enough not to be guessed. */
const SECRET_PATTERN = /^[\x21-\x7e]{16,256}$/;

/** The value of the authorization header. Throws RangeError for a secret that is too short or no visible ASCII. */
export function authorizationOf(secret: string): string {
  if (!SECRET_PATTERN.test(secret)) {
    throw new RangeError('a shared secret has 16 to 256 characters of visible ASCII');
  }
  return AUTHORIZATION_PREFIX + secret;
}

/** The JSON header of a frame. The largest is a batch of BATCH_WRITES_MAX writes with attributes of full length. */
export const FRAME_HEADER_BYTES_MAX = 32 * 1024 * 1024;
/** A request with a JSON body. The largest is a drop of ROWS_PAGE_MAX rows with keys of full length. */
export const JSON_REQUEST_BYTES_MAX = 16 * 1024 * 1024;
/** Any answer that is not a streamed read. The largest are states and listings with long attributes. */
export const ANSWER_BYTES_MAX = 128 * 1024 * 1024;
/** The copy of the authority's state that a mirror keeps, in characters. The largest has a hundred decisions of operators. */
export const AUTHORITY_RECORD_LENGTH_MAX = 1024 * 1024;
/** Rows of one object that a push brings along. */
export const PUSH_ROWS_MAX = 4096;
export const PUSH_EXTENTS_MAX = 4096;
/** Idle connections: the client lets go first, so that no request races with a close by the server. */
export const CLIENT_KEEP_ALIVE_MS = 30_000;
export const SERVER_KEEP_ALIVE_MS = 75_000;
