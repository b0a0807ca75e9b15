/** AbortMultipartUpload (S3 API reference "AbortMultipartUpload"). The sweeper frees the space of the parts right behind it. */
import { S3Error } from '../errors.js';
import { parseHttpDate } from '../http-date.js';
import { NO_BODY, type S3Response } from '../response.js';
import type { ObjectContext } from './context.js';
import { uploadName } from './upload-target.js';

/** Directory buckets' condition, cheap enough to have for all. */
function checkInitiated(header: string | undefined, initiatedMs: number): void {
  const expectedMs = header === undefined ? null : parseHttpDate(header);
  if (expectedMs === null || Math.floor(expectedMs / 1000) === Math.floor(initiatedMs / 1000)) return;
  throw new S3Error('PreconditionFailed', { details: { Condition: 'x-amz-if-match-initiated-time' } });
}

export async function abortMultipartUpload(context: ObjectContext): Promise<S3Response> {
  const { uploads } = context.services;
  const name = uploadName(context);
  await uploads.alone(name.uploadId, async () => {
    const { initiatedMs } = await uploads.get(name);
    checkInitiated(context.request.headers.get('x-amz-if-match-initiated-time'), initiatedMs);
    await uploads.end(name.bucket.name, name.key, name.uploadId);
  });
  return { status: 204, headers: [], body: NO_BODY };
}
