/**
 * The one place where a new current version of an object comes into being: PutObject, CopyObject, CompleteMultipartUpload and the
 * form upload end here. Call it under `buckets.withBucket`, once all of the content is staged and verified.
 */
import type { Decide, StagedContent } from '../../gateway/object-storage.js';
import { decodeObjectAttributes, encodeObjectAttributes, type ObjectAttributes } from '../attributes.js';
import type { Bucket } from '../buckets.js';
import { checkWrite, type Conditions } from '../conditions.js';
import { contentBytes } from '../encryption/sealing.js';
import type { HeaderList } from '../response.js';
import { withDefaultRetention } from '../versions/object-lock.js';
import { versionIdOf } from '../versions/version-ids.js';
import type { Place } from '../versions/versioned-objects.js';
import { objectId, type ObjectContext } from './context.js';

export interface ObjectCommit {
  /** Stays the caller's: it discards it afterwards, whatever came of this. */
  readonly content: StagedContent;
  /** With the tags, retention and legal hold of the new version. Which version it is is decided here, and the bucket's default retention added. */
  readonly attributes: ObjectAttributes;
  /** Judged against the present current version; null: none. */
  readonly conditions: Conditions | null;
  /** May throw to refuse too. It gets the current version, null where that is a delete marker or there is none. */
  readonly judge?: (current: ObjectAttributes | null) => void;
}

export interface CommittedObject {
  readonly attributes: ObjectAttributes;
  /** Of its content, however that is stored. */
  readonly sizeBytes: number;
  /** What x-amz-version-id says; null for a null version, of which AWS says nothing either. */
  readonly versionId: string | null;
}

/** A delete marker is no object. */
function checkCommit(
  { conditions, judge }: ObjectCommit,
  key: string,
  current: ObjectAttributes | null,
): void {
  const visible = current?.isDeleteMarker === true ? null : current;
  if (conditions !== null) checkWrite(conditions, key, visible);
  judge?.(visible);
}

function commitPlain(context: ObjectContext, commit: ObjectCommit): Promise<CommittedObject> {
  const { content, conditions, judge } = commit;
  const { attributes: wanted } = commit;
  const isPlain = wanted.version === null && !wanted.isDeleteMarker;
  const attributes: ObjectAttributes = isPlain ? wanted : { ...wanted, version: null, isDeleteMarker: false };
  const text = encodeObjectAttributes(attributes);
  const isFree = conditions === null && judge === undefined;
  const id = objectId(context);
  const replacing = context.services.storage.replace({
    id,
    content,
    attributes: isFree ? text : checkedText(context.key, commit, text),
  });
  const sizeBytes = contentBytes(content.sizeBytes, attributes);
  return replacing.then(() => ({ attributes, sizeBytes, versionId: null }));
}

/** The text, once it is known that the commit may be. */
function checkedText(key: string, commit: ObjectCommit, text: string): Decide<string> {
  return (current) => {
    checkCommit(commit, key, current === null ? null : decodeObjectAttributes(current.attributes));
    return text;
  };
}

function commitVersion(context: ObjectContext, place: Place, commit: ObjectCommit): Promise<CommittedObject> {
  const { storage, versions } = context.services;
  const { content } = commit;
  return versions.succeed(
    place,
    (current) => {
      checkCommit(commit, place.key, current?.attributes ?? null);
    },
    async ({ version, check }) => {
      const written: ObjectAttributes = { ...commit.attributes, version, isDeleteMarker: false };
      const attributes = withDefaultRetention(written, place.bucket.configuration);
      const text = encodeObjectAttributes(attributes);
      await storage.replace({
        id: objectId(context),
        content,
        attributes: (stored) => {
          check(stored);
          return text;
        },
      });
      const versionId = version.isNull ? null : versionIdOf(attributes);
      return { attributes, sizeBytes: contentBytes(content.sizeBytes, attributes), versionId };
    },
  );
}

/** Throws S3Error PreconditionFailed or NoSuchKey, ObjectStorageError. */
export function commitObject(context: ObjectContext, commit: ObjectCommit): Promise<CommittedObject> {
  const held = context.services.buckets.heldBucket(context.bucket);
  return held instanceof Promise
    ? held.then((bucket) => commitInto(bucket, context, commit))
    : commitInto(held, context, commit);
}

function commitInto(bucket: Bucket, context: ObjectContext, commit: ObjectCommit): Promise<CommittedObject> {
  return bucket.configuration.versioning === 'unversioned'
    ? commitPlain(context, commit)
    : commitVersion(context, { bucket, key: context.key }, commit);
}

/** The headers by which an answer names the version that it made. */
export function versionHeaders(committed: CommittedObject): HeaderList {
  return committed.versionId === null ? [] : ['x-amz-version-id', committed.versionId];
}
