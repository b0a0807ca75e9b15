/**
 * Refuses what an operation does not honour, before it acts: a parameter or header that S3 gives a meaning must never be
 * passed over in silence, or a client believes that its object is encrypted, tagged or locked.
 */
import { S3Error } from '../errors.js';
import type { S3Request } from '../request.js';
import { METADATA_PREFIX } from './object-headers.js';
import type { Honours, Match } from './operation.js';

/** Those that any operation may carry. `x-id` is the SDK's own name of the operation. */
const COMMON_QUERY = new Set(['x-id']);
const COMMON_HEADERS = new Set([
  'x-amz-content-sha256',
  'x-amz-date',
  'x-amz-expected-bucket-owner',
  'x-amz-request-payer',
  'x-amz-user-agent',
]);

/** Honoured names that are honoured in some values only. */
const HEADER_VALUES: Readonly<Record<string, readonly string[]>> = {
  'x-amz-bucket-object-lock-enabled': ['true', 'false', 'True', 'False'],
  'x-amz-checksum-mode': ['ENABLED', 'enabled'],
  'x-amz-request-payer': ['requester'],
  'x-amz-storage-class': ['STANDARD'],
};

function refuseHeader(name: string): never {
  throw new S3Error('NotImplemented', {
    message: 'A header you provided implies functionality that is not implemented',
    details: { Header: name },
  });
}

function refuseQuery(name: string): never {
  throw new S3Error('NotImplemented', {
    message: 'A query parameter you provided implies functionality that is not implemented',
    details: { Parameter: name.slice(0, 128) },
  });
}

function screenHeader(name: string, value: string, match: Match, honours: Honours): void {
  if (name.startsWith(METADATA_PREFIX)) {
    if (!honours.metadata) refuseHeader(name);
    return;
  }
  const isKnown = COMMON_HEADERS.has(name) || name === match.header || honours.headers.includes(name);
  if (!isKnown) refuseHeader(name);
  const values = HEADER_VALUES[name];
  if (values !== undefined && !values.includes(value.trim())) refuseHeader(name);
}

function screenQuery(name: string, match: Match, honours: Honours): void {
  const isKnown = COMMON_QUERY.has(name) || match.query.includes(name) || honours.query.includes(name);
  if (!isKnown) refuseQuery(name);
}

/** Throws S3Error NotImplemented. */
export function screen(request: S3Request, match: Match, honours: Honours): void {
  for (const name of request.query.keys()) screenQuery(name, match, honours);
  for (const name of request.headers.keys()) {
    if (name.startsWith('x-amz-')) screenHeader(name, request.headers.get(name) ?? '', match, honours);
  }
}
