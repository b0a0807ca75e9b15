/**
 * What a client may ask a listing for, in terms that every name of the store obeys: no NUL, at most 1,024 bytes. Exact: the answer
 * is the one that the client's own words would give.
 */
import { OBJECT_NAME_BYTES_MAX } from '../../protocol/object-id.js';
import { S3Error } from '../errors.js';

const NUL = '\u0000';

interface ListBounds {
  readonly prefix: string;
  readonly after: string;
  readonly delimiter: string;
}

function isTooLong(text: string): boolean {
  return text.length * 3 > OBJECT_NAME_BYTES_MAX && Buffer.byteLength(text, 'utf8') > OBJECT_NAME_BYTES_MAX;
}

/** Null when no name can have the prefix. Throws S3Error InvalidArgument when `after` is longer than a key can be. */
export function toListBounds(asked: ListBounds): ListBounds | null {
  const { prefix, after, delimiter } = asked;
  if (prefix.includes(NUL) || isTooLong(prefix)) return null;
  if (isTooLong(after)) {
    throw new S3Error('InvalidArgument', {
      message: 'The place to begin after is longer than a key can be.',
    });
  }
  const nul = after.indexOf(NUL);
  return {
    prefix,
    // Names have no NUL, so those behind "a NUL …" are those behind "a".
    after: nul < 0 ? after : after.slice(0, nul),
    delimiter: delimiter.includes(NUL) || isTooLong(delimiter) ? '' : delimiter,
  };
}
