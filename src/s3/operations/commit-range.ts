/**
 * The common end of append and PATCH: bytes written into an object that is there. In a bucket with versioning the result is a new version, and
 * the one before stays as it was; none of its bytes is moved. Call it under `buckets.withBucket`.
 */
import type { ObjectHead, StagedContent } from '../../gateway/object-storage.js';
import { decodeObjectAttributes, encodeObjectAttributes, type ObjectAttributes } from '../attributes.js';
import type { HeaderList } from '../response.js';
import { versionIdOf } from '../versions/version-ids.js';
import { objectId, type ObjectContext } from './context.js';

/** The object before, and after, the write. */
export interface RangeTarget {
  readonly sizeBytes: number;
  readonly attributes: ObjectAttributes;
}

/** Where the content goes and what the object is then. May throw to refuse; null: there is no object, and it must. */
export type DecideRange = (target: RangeTarget | null) => {
  readonly offset: number;
  readonly attributes: ObjectAttributes;
};

function fromHead({ sizeBytes, attributes }: ObjectHead): RangeTarget {
  return { sizeBytes, attributes: decodeObjectAttributes(attributes) };
}

function toTarget(head: ObjectHead | null): RangeTarget | null {
  const target = head === null ? null : fromHead(head);
  return target?.attributes.isDeleteMarker === true ? null : target;
}

export async function commitRange(
  context: ObjectContext,
  content: StagedContent,
  decide: DecideRange,
): Promise<RangeTarget> {
  return fromHead(await writeRange(context, content, decide));
}

async function writeRange(
  context: ObjectContext,
  content: StagedContent,
  decide: DecideRange,
): Promise<ObjectHead> {
  const { storage, versions, buckets } = context.services;
  const bucket = await buckets.heldBucket(context.bucket);
  const id = objectId(context);
  if (bucket.configuration.versioning === 'unversioned') {
    return storage.writeRange({
      id,
      content,
      decide: (current) => {
        const { offset, attributes } = decide(toTarget(current));
        return { offset, attributes: encodeObjectAttributes(attributes) };
      },
    });
  }
  return versions.succeed(
    { bucket, key: context.key },
    (current) => {
      decide(toTarget(current?.head ?? null));
    },
    ({ version, check }) =>
      storage.writeRange({
        id,
        content,
        decide: (current) => {
          check(current);
          const { offset, attributes } = decide(toTarget(current));
          return { offset, attributes: encodeObjectAttributes({ ...attributes, version }) };
        },
      }),
  );
}

/** The version that a range write made. */
export function rangeVersionHeaders({ version, ...rest }: ObjectAttributes): HeaderList {
  return version === null || version.isNull ? [] : ['x-amz-version-id', versionIdOf({ version, ...rest })];
}
