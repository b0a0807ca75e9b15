/**
 * The one place where access is decided: every operation on a bucket or an object comes through `authorize` before it acts, with what
 * rules.ts says that it needs. Operations that touch more than their target (the source of a copy, each key of DeleteObjects) ask again.
 */
import type { Bucket } from '../buckets.js';
import { S3Error } from '../errors.js';
import { type Soon, whenKnown } from '../../protocol/soon.js';
import type { OperationName } from '../operations/names.js';
import type { ServiceContext } from '../operations/context.js';
import { findObjectAttributes } from '../operations/find-object.js';
import { POLICY_DOCUMENT } from './policy-document.js';
import { conditionValues, tagValues } from './condition-values.js';
import { decide, decideByObject, type AccessQuestion } from './decide.js';
import { type BucketPolicy, judge, readsObjectTags } from './policy.js';
import { isPublicPolicy } from './public-policy.js';
import { ACCESS_RULES, type AccessRule } from './rules.js';
import type { ObjectAttributes } from '../attributes.js';

/** What somebody wants to do, and with what. */
export interface AccessWish {
  readonly rule: AccessRule;
  readonly bucket: Bucket;
  /** Null: the bucket itself. */
  readonly key: string | null;
  /** As the client named it; null: the current version. */
  readonly versionId: string | null;
  /** Condition values beside those of the request; these win. */
  readonly values?: readonly (readonly [string, readonly string[]])[];
}

export function wishOf(
  name: OperationName,
  bucket: Bucket,
  key: string | null,
  versionId: string | null,
): AccessWish {
  return { rule: ACCESS_RULES[name], bucket, key, versionId };
}

async function find(context: ServiceContext, wish: AccessWish): Promise<ObjectAttributes | null> {
  return wish.key === null
    ? null
    : findObjectAttributes(context.services, wish.bucket, wish.key, wish.versionId);
}

function actionOf({ rule, versionId }: AccessWish): string {
  return versionId !== null && rule.versionAction !== null ? rule.versionAction : rule.action;
}

/** What the policy says; `object` as far as the policy has to know it. */
function judgeBy(
  policy: BucketPolicy,
  { services, identity, request, signature }: ServiceContext,
  wish: AccessWish,
  object: ObjectAttributes | null | undefined,
): AccessQuestion['verdict'] {
  const { bucket, key } = wish;
  return judge(policy, {
    caller: identity.isAnonymous ? null : identity,
    action: actionOf(wish),
    resource: key === null ? bucket.name : `${bucket.name}/${key}`,
    values: conditionValues({ request, identity, signature, nowMs: services.clock() }, [
      ...tagValues('existing', object?.tags ?? []),
      ...(wish.values ?? []),
    ]),
  });
}

/** `policy` null: the bucket has none. */
function questionOf(
  context: ServiceContext,
  wish: AccessWish,
  policy: BucketPolicy | null,
  object: ObjectAttributes | null | undefined,
): AccessQuestion {
  const { rule, bucket } = wish;
  return {
    caller: context.identity,
    bucketName: bucket.name,
    bucketOwnerId: bucket.ownerId,
    access: bucket.configuration.access,
    action: actionOf(wish),
    acl: rule.acl,
    isWrite: rule.isWrite,
    verdict: policy === null ? 'silent' : judgeBy(policy, context, wish, object),
    isPolicyPublic: policy !== null && isPublicPolicy(policy),
  };
}

/** Whether the caller may see that there is no such key. */
function mayList(context: ServiceContext, bucket: Bucket, key: string): Soon<boolean> {
  const listing = wishOf('ListObjectsV2', bucket, null, null);
  return isAllowed(context, { ...listing, values: [['s3:prefix', [key]]] });
}

function isAllowed(context: ServiceContext, wish: AccessWish): Soon<boolean> {
  return whenKnown(context.services.buckets.document(wish.bucket, POLICY_DOCUMENT), (policy) => {
    const readsObject = policy !== null && readsObjectTags(policy);
    return whenKnown(readsObject ? find(context, wish) : undefined, (object) =>
      decideAbout(context, wish, questionOf(context, wish, policy, object), object),
    );
  });
}

/** `found` undefined: nobody has looked yet whether there is such an object. */
function decideAbout(
  context: ServiceContext,
  wish: AccessWish,
  question: AccessQuestion,
  found: ObjectAttributes | null | undefined,
): Soon<boolean> {
  const { bucket, key, rule } = wish;
  const { acl } = rule;
  const decision = decide(question);
  if (decision !== 'look' || key === null || acl === null) return decision === 'allow';
  return whenKnown(found === undefined ? find(context, wish) : found, (object) =>
    object === null
      ? mayList(context, bucket, key)
      : decideByObject(question, acl.permission, object.access) === 'allow',
  );
}

/** What getting round a retention needs besides (UserGuide "Bypassing governance mode"). */
const BYPASS: AccessRule = {
  action: 's3:BypassGovernanceRetention',
  versionAction: null,
  acl: null,
  isWrite: true,
  isPerKey: false,
};

function demand(isGiven: boolean): void {
  if (!isGiven) throw new S3Error('AccessDenied');
}

/** Throws S3Error AccessDenied. */
export function authorize(context: ServiceContext, wish: AccessWish): Soon<void> {
  return whenKnown(isAllowed(context, wish), (isGiven) => {
    demand(isGiven);
    const bypasses =
      context.request.headers.get('x-amz-bypass-governance-retention')?.toLowerCase() === 'true';
    return bypasses ? whenKnown(isAllowed(context, { ...wish, rule: BYPASS }), demand) : undefined;
  });
}

const ABSENCES: readonly string[] = ['NoSuchKey', 'NoSuchVersion'];

/**
 * Runs what was authorized. Who may not list a bucket learns nothing of which keys it lacks (S3 API reference "GetObject":
 * 404 with s3:ListBucket, else 403).
 */
export function hidingAbsence<Result>(
  context: ServiceContext,
  wish: AccessWish,
  act: () => Promise<Result>,
): Promise<Result> {
  const { bucket, key } = wish;
  const mayKnow = key === null || context.identity.ownerId === bucket.ownerId;
  return mayKnow ? act() : hideFrom(context, bucket, key, act);
}

async function hideFrom<Result>(
  context: ServiceContext,
  bucket: Bucket,
  key: string,
  act: () => Promise<Result>,
): Promise<Result> {
  try {
    return await act();
  } catch (error) {
    const isAbsence = error instanceof S3Error && ABSENCES.includes(error.code);
    if (!isAbsence || (await mayList(context, bucket, key))) throw error;
    throw new S3Error('AccessDenied', { cause: error });
  }
}
