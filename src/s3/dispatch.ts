/** The way of a request: detect the operation, authenticate the caller, decide on access, screen what is asked, act. */
import { ObjectStorageError } from '../gateway/object-storage.js';
import { invariant, unreachable } from '../protocol/invariant.js';
import { type Soon, whenKnown } from '../protocol/soon.js';
import { authorize, hidingAbsence, wishOf, type AccessWish } from './access/authorize.js';
import { exceedsKey } from './access/decide.js';
import { ACCESS_RULES } from './access/rules.js';
import { authenticate, type AuthenticationOptions } from './auth/authenticate.js';
import { corsHeaders } from './cors-headers.js';
import { S3Error } from './errors.js';
import type { ObjectContext, ServiceContext, Services } from './operations/context.js';
import type { OperationDetector } from './operations/detect.js';
import type { OperationName } from './operations/names.js';
import type { SignedOperation } from './operations/operation.js';
import { screen } from './operations/screen.js';
import { OPERATIONS } from './operations/table.js';
import type { S3Request } from './request.js';
import { type HeaderList, NO_HEADERS, type S3Response } from './response.js';

export interface Dispatch {
  readonly services: Services;
  readonly authentication: AuthenticationOptions;
  readonly detector: OperationDetector;
}

/** What is known of a request on its way, whether it ends well or not. */
export class RequestTrail {
  /** Null: not detected yet. */
  operation: OperationName | null = null;
  /** Null: not authenticated (yet). */
  accessKeyId: string | null = null;
  /** For the answer, be it an error. */
  headers: readonly string[] = NO_HEADERS;
}

function checkExpectedOwner(context: ServiceContext, ownerId: string): void {
  const expected = context.request.headers.get('x-amz-expected-bucket-owner');
  if (expected !== undefined && expected !== ownerId) throw new S3Error('AccessDenied');
}

/** Opens the target's bucket, and decides on access to the target. */
function openTarget(
  context: ServiceContext,
  name: OperationName,
  target: { readonly bucket: string; readonly key: string | null },
): Soon<AccessWish> {
  return whenKnown(context.services.buckets.get(target.bucket), (bucket) => {
    checkExpectedOwner(context, bucket.ownerId);
    const wish = wishOf(name, bucket, target.key, context.request.query.get('versionId') ?? null);
    return ACCESS_RULES[name].isPerKey ? wish : whenKnown(authorize(context, wish), () => wish);
  });
}

/** Buckets are made by accounts. */
function authorizeNewBucket({ identity }: ServiceContext, bucketName: string): void {
  if (identity.isAnonymous || exceedsKey(identity, bucketName, true)) throw new S3Error('AccessDenied');
}

function actOnObject(
  name: OperationName,
  operation: Extract<SignedOperation, { kind: 'object' }>,
  context: ServiceContext,
): Soon<S3Response> {
  const { services, request, identity, payload, signature } = context;
  const { target } = request;
  invariant(target.level === 'object', 'an object operation is at object level');
  const { key } = target;
  return whenKnown(openTarget(context, name, target), (wish) => {
    screen(request, operation.match, operation.honours);
    const { bucket } = wish;
    // Field by field: a spread with further fields costs V8 a slow path for each of them (bench/README.md).
    const object: ObjectContext = { services, request, identity, payload, signature, bucket, key };
    return hidingAbsence(context, wish, () => operation.act(object));
  });
}

async function act(
  name: OperationName,
  operation: Exclude<SignedOperation, { kind: 'object' }>,
  context: ServiceContext,
): Promise<S3Response> {
  const { request } = context;
  const { target } = request;
  const check = (): void => {
    screen(request, operation.match, operation.honours);
  };
  switch (operation.kind) {
    case 'service':
      checkExpectedOwner(context, context.identity.ownerId);
      check();
      return operation.act(context);
    case 'new-bucket':
      invariant(target.level === 'bucket', 'a bucket is made at bucket level');
      checkExpectedOwner(context, context.identity.ownerId);
      authorizeNewBucket(context, target.bucket);
      check();
      return operation.act({ ...context, bucketName: target.bucket });
    case 'bucket': {
      invariant(target.level === 'bucket', 'a bucket operation is at bucket level');
      const { bucket } = await openTarget(context, name, { bucket: target.bucket, key: null });
      check();
      return operation.act({ ...context, bucket });
    }
    default:
      return unreachable(operation);
  }
}

/** A browser's script may read answers only with these, refusals included. That they can't be had is no refusal. */
async function findCorsHeaders(services: Services, request: S3Request): Promise<HeaderList> {
  try {
    return await corsHeaders(services, request);
  } catch (error) {
    if (error instanceof S3Error || error instanceof ObjectStorageError) return [];
    throw error;
  }
}

/** Throws S3Error, ObjectStorageError, ClientGoneError or what is our own fault. */
export function dispatch(request: S3Request, way: Dispatch, trail: RequestTrail): Soon<S3Response> {
  const name = way.detector.detect(request);
  trail.operation = name;
  const isOfScript = name !== 'PreflightRequest' && request.headers.has('origin');
  return whenKnown(isOfScript ? findCorsHeaders(way.services, request) : NO_HEADERS, (headers) => {
    trail.headers = headers;
    return perform(name, request, way, trail);
  });
}

function perform(
  name: OperationName,
  request: S3Request,
  { services, authentication }: Dispatch,
  trail: RequestTrail,
): Soon<S3Response> {
  const operation = OPERATIONS[name];
  if (operation.kind === 'unsigned') return operation.act({ services, request, authentication });
  return whenKnown(authenticate(request, authentication), ({ identity, payload, signature }) => {
    trail.accessKeyId = identity.accessKeyId;
    if (operation.kind === 'not-implemented') {
      if (identity.isAnonymous) throw new S3Error('AccessDenied');
      throw new S3Error('NotImplemented', {
        message: `${name} is not implemented.`,
        details: { Operation: name },
      });
    }
    const context: ServiceContext = { services, request, identity, payload, signature };
    return operation.kind === 'object'
      ? actOnObject(name, operation, context)
      : act(name, operation, context);
  });
}
