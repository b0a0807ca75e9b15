/**
 * RenameObject (S3 API reference "RenameObject"), as S3 has it for directory buckets, here for any bucket that never had versioning. What a crash can leave, and who
 * clears it, is told in ../renames.ts.
 */
import { authorize, hidingAbsence, wishOf } from '../access/authorize.js';
import type { ObjectAttributes } from '../attributes.js';
import { checkWrite, evaluateRead, readConditions, type Conditions } from '../conditions.js';
import { S3Error } from '../errors.js';
import { checkKey } from '../keys.js';
import type { S3Request } from '../request.js';
import { NO_BODY, type S3Response } from '../response.js';
import { decodePercent } from '../uri.js';
import type { ObjectContext } from './context.js';

const SOURCE_HEADER = 'x-amz-rename-source';
const TOKEN_HEADER = 'x-amz-client-token';
export const RENAME_HEADERS = [
  SOURCE_HEADER,
  TOKEN_HEADER,
  `${SOURCE_HEADER}-if-match`,
  `${SOURCE_HEADER}-if-modified-since`,
  `${SOURCE_HEADER}-if-none-match`,
  `${SOURCE_HEADER}-if-unmodified-since`,
];
const TOKEN = /^[\x21-\x7e]{1,64}$/;

/** The old key, percent-encoded; SDKs send it bare, others as `/bucket/key`. Throws S3Error InvalidArgument, InvalidURI, KeyTooLongError. */
function readSource({ request, bucket }: ObjectContext): string {
  const text = decodePercent(request.headers.get(SOURCE_HEADER) ?? '');
  const prefix = `/${bucket.name}/`;
  const key = text.startsWith(prefix) ? text.slice(prefix.length) : text;
  if (key === '') {
    throw new S3Error('InvalidArgument', {
      message: 'Rename source must name the key of an object.',
      details: { ArgumentName: SOURCE_HEADER },
    });
  }
  checkKey(key);
  return key;
}

function readToken({ headers }: S3Request): string | null {
  const token = headers.get(TOKEN_HEADER);
  if (token === undefined) return null;
  if (TOKEN.test(token)) return token;
  throw new S3Error('InvalidArgument', { details: { ArgumentName: TOKEN_HEADER } });
}

function readSourceConditions(request: S3Request): Conditions | null {
  const headers = new Map<string, string>();
  for (const [name, value] of request.headers) {
    if (name.startsWith(`${SOURCE_HEADER}-if-`)) headers.set(name.slice(SOURCE_HEADER.length + 1), value);
  }
  return readConditions({ ...request, headers });
}

function checkHolds(conditions: Conditions | null, attributes: ObjectAttributes): void {
  if (conditions === null || evaluateRead(conditions, attributes) === 'proceed') return;
  const condition = conditions.ifNoneMatch === null ? 'If-Modified-Since' : 'If-None-Match';
  throw new S3Error('PreconditionFailed', { details: { Condition: condition } });
}

export async function renameObject(context: ObjectContext): Promise<S3Response> {
  const { services, request, bucket, key: target } = context;
  const source = readSource(context);
  const token = readToken(request);
  if (source === target) {
    throw new S3Error('InvalidRequest', {
      message: 'Source and destination of a rename are the same object.',
    });
  }
  const reading = wishOf('GetObject', bucket, source, null);
  await authorize(context, reading);
  await authorize(context, wishOf('DeleteObject', bucket, source, null));
  const sourceConditions = readSourceConditions(request);
  const conditions = readConditions(request);
  await hidingAbsence(context, reading, () =>
    services.buckets.withBucket(bucket, (present) => {
      if (present.configuration.versioning !== 'unversioned') {
        throw new S3Error('NotImplemented', {
          message: 'Objects of buckets with versioning can not be renamed.',
        });
      }
      return services.renames.rename({
        bucket: present,
        source,
        target,
        token,
        judgeSource: (attributes) => {
          if (attributes === null) throw new S3Error('NoSuchKey', { details: { Key: source } });
          checkHolds(sourceConditions, attributes);
        },
        judgeTarget: (attributes) => {
          if (attributes !== null) checkHolds(conditions, attributes);
          else if (conditions !== null) checkWrite(conditions, target, null);
        },
      });
    }),
  );
  return { status: 200, headers: [], body: NO_BODY };
}
