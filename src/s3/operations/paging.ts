/** Page sizes and continuation tokens. A token is opaque to clients: a version, then where the last page ended. */
import { S3Error } from '../errors.js';

const TOKEN_VERSION = '1';
const TOKEN_LENGTH_MAX = 4096;
const DECIMAL = /^\d{1,10}$/;
const COUNT_MAX = 2 ** 31 - 1;

export function encodeToken(after: string): string {
  return Buffer.from(TOKEN_VERSION + after, 'utf8').toString('base64url');
}

/** Throws S3Error InvalidArgument for a token that this server did not make. */
export function decodeToken(token: string): string {
  const bytes = token.length > TOKEN_LENGTH_MAX ? Buffer.alloc(0) : Buffer.from(token, 'base64url');
  const text = bytes.toString('utf8');
  if (!text.startsWith(TOKEN_VERSION) || encodeToken(text.slice(1)) !== token) {
    throw new S3Error('InvalidArgument', {
      message: 'The continuation token provided is incorrect',
      details: { ArgumentName: 'continuation-token' },
    });
  }
  return text.slice(1);
}

/** A page size: more than `max` counts as `max`. Throws S3Error InvalidArgument. */
export function readCount(query: ReadonlyMap<string, string>, name: string, max: number): number {
  const text = query.get(name);
  if (text === undefined || text === '') return max;
  const count = Number(text);
  if (!DECIMAL.test(text) || count > COUNT_MAX) {
    throw new S3Error('InvalidArgument', {
      message: `Provided ${name} not an integer or within integer range`,
      details: { ArgumentName: name, ArgumentValue: text.slice(0, 64) },
    });
  }
  return Math.min(count, max);
}
