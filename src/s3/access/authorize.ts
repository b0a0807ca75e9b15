/**
 * The one place where access is decided: every operation on a bucket or an object comes through `authorize` before it acts, with what
 * rules.ts says that it needs. Operations that touch more than their target (the source of a copy, each key of DeleteObjects) ask again.
 */
import type { Bucket } from '../buckets.js';
import { S3Error } from '../errors.js';
import type { OperationName } from '../operations/names.js';
import type { ServiceContext } from '../operations/context.js';
import { findObjectAttributes } from '../operations/find-object.js';
import { POLICY_DOCUMENT } from './policy-document.js';
import { conditionValues, tagValues } from './condition-values.js';
import { decide, decideByObject, type AccessQuestion } from './decide.js';
import { judge, readsObjectTags } from './policy.js';
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

async function ask(
  context: ServiceContext,
  wish: AccessWish,
): Promise<{ question: AccessQuestion; object: ObjectAttributes | null | undefined }> {
  const { services, identity, request, signature } = context;
  const { rule, bucket, key, versionId } = wish;
  const known = services.buckets.knownDocument(bucket, POLICY_DOCUMENT);
  const policy = known === undefined ? await services.buckets.document(bucket, POLICY_DOCUMENT) : known;
  const action = versionId !== null && rule.versionAction !== null ? rule.versionAction : rule.action;
  const object = policy !== null && readsObjectTags(policy) ? await find(context, wish) : undefined;
  const verdict =
    policy === null
      ? 'silent'
      : judge(policy, {
          caller: identity.isAnonymous ? null : identity,
          action,
          resource: key === null ? bucket.name : `${bucket.name}/${key}`,
          values: conditionValues({ request, identity, signature, nowMs: services.clock() }, [
            ...tagValues('existing', object?.tags ?? []),
            ...(wish.values ?? []),
          ]),
        });
  return {
    object,
    question: {
      caller: identity,
      bucketName: bucket.name,
      bucketOwnerId: bucket.ownerId,
      access: bucket.configuration.access,
      action,
      acl: rule.acl,
      isWrite: rule.isWrite,
      verdict,
      isPolicyPublic: policy !== null && isPublicPolicy(policy),
    },
  };
}

/** Whether the caller may see that there is no such key. */
async function mayList(context: ServiceContext, bucket: Bucket, key: string): Promise<boolean> {
  const listing = wishOf('ListObjectsV2', bucket, null, null);
  return isAllowed(context, { ...listing, values: [['s3:prefix', [key]]] });
}

async function isAllowed(context: ServiceContext, wish: AccessWish): Promise<boolean> {
  const { question, object: found } = await ask(context, wish);
  const decision = decide(question);
  if (decision !== 'look' || wish.key === null || wish.rule.acl === null) return decision === 'allow';
  const object = found === undefined ? await find(context, wish) : found;
  if (object === null) return mayList(context, wish.bucket, wish.key);
  return decideByObject(question, wish.rule.acl.permission, object.access) === 'allow';
}

/** What getting round a retention needs besides (UserGuide "Bypassing governance mode"). */
const BYPASS: AccessRule = {
  action: 's3:BypassGovernanceRetention',
  versionAction: null,
  acl: null,
  isWrite: true,
  isPerKey: false,
};

/** Throws S3Error AccessDenied. */
export async function authorize(context: ServiceContext, wish: AccessWish): Promise<void> {
  if (!(await isAllowed(context, wish))) throw new S3Error('AccessDenied');
  const bypasses = context.request.headers.get('x-amz-bypass-governance-retention')?.toLowerCase() === 'true';
  if (bypasses && !(await isAllowed(context, { ...wish, rule: BYPASS }))) throw new S3Error('AccessDenied');
}

const ABSENCES: readonly string[] = ['NoSuchKey', 'NoSuchVersion'];

/**
 * Runs what was authorized. Who may not list a bucket learns nothing of which keys it lacks (S3 API reference "GetObject":
 * 404 with s3:ListBucket, else 403).
 */
export async function hidingAbsence<Result>(
  context: ServiceContext,
  wish: AccessWish,
  act: () => Promise<Result>,
): Promise<Result> {
  try {
    return await act();
  } catch (error) {
    const { bucket, key } = wish;
    const isAbsence = error instanceof S3Error && ABSENCES.includes(error.code);
    if (!isAbsence || key === null || context.identity.ownerId === bucket.ownerId) throw error;
    if (await mayList(context, bucket, key)) throw error;
    throw new S3Error('AccessDenied', { cause: error });
  }
}
