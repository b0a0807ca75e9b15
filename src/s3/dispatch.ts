/** The way of a request: detect the operation, authenticate the caller, screen what is asked, act. */
import { authenticate, type AuthenticationOptions } from './auth/authenticate.js';
import type { Identity } from './auth/credentials.js';
import type { Bucket } from './buckets.js';
import { S3Error } from './errors.js';
import { checkBucketName } from './keys.js';
import type { ServiceContext, Services } from './operations/context.js';
import type { OperationDetector } from './operations/detect.js';
import type { OperationName } from './operations/names.js';
import type { ImplementedOperation } from './operations/operation.js';
import { screen } from './operations/screen.js';
import { OPERATIONS } from './operations/table.js';
import { invariant, unreachable } from '../protocol/invariant.js';
import type { S3Request } from './request.js';
import type { S3Response } from './response.js';

export interface Dispatch {
  readonly services: Services;
  readonly authentication: AuthenticationOptions;
  readonly detector: OperationDetector;
}

/** The place where access is decided. So far a bucket is its owner's alone. */
function authorize(identity: Identity, bucket: Bucket): void {
  if (bucket.ownerId !== identity.ownerId) throw new S3Error('AccessDenied');
}

function checkExpectedOwner(context: ServiceContext, ownerId: string): void {
  const expected = context.request.headers.get('x-amz-expected-bucket-owner');
  if (expected !== undefined && expected !== ownerId) throw new S3Error('AccessDenied');
}

async function openBucket(context: ServiceContext, name: string): Promise<Bucket> {
  checkBucketName(name);
  const bucket = await context.services.buckets.get(name);
  checkExpectedOwner(context, bucket.ownerId);
  authorize(context.identity, bucket);
  return bucket;
}

async function act(operation: ImplementedOperation, context: ServiceContext): Promise<S3Response> {
  const { target } = context.request;
  switch (operation.kind) {
    case 'service':
      checkExpectedOwner(context, context.identity.ownerId);
      return operation.act(context);
    case 'new-bucket':
      invariant(target.level === 'bucket', 'a bucket is made at bucket level');
      checkExpectedOwner(context, context.identity.ownerId);
      return operation.act({ ...context, bucketName: target.bucket });
    case 'bucket':
      invariant(target.level === 'bucket', 'a bucket operation is at bucket level');
      return operation.act({ ...context, bucket: await openBucket(context, target.bucket) });
    case 'object': {
      invariant(target.level === 'object', 'an object operation is at object level');
      const { bucket, key } = target;
      return operation.act({ ...context, bucket: await openBucket(context, bucket), key });
    }
    default:
      return unreachable(operation);
  }
}

/** Rejects with S3Error, ObjectStorageError, ClientGoneError or what is our own fault. */
export async function dispatch(
  request: S3Request,
  { services, authentication, detector }: Dispatch,
  onDetected: (name: OperationName) => void,
): Promise<S3Response> {
  const name = detector.detect(request);
  onDetected(name);
  const { identity, payload } = await authenticate(request, authentication);
  const operation = OPERATIONS[name];
  if (operation.kind === 'not-implemented') {
    throw new S3Error('NotImplemented', {
      message: `${name} is not implemented.`,
      details: { Operation: name },
    });
  }
  screen(request, operation.match, operation.honours);
  return act(operation, { services, request, identity, payload });
}
