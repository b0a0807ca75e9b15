/**
 * Version ids: 30 characters,
 *
 *   <sequence, ten hex digits, inverted> <random, 20 of base64url>
 *
 * The sequence grows by one with each version of a key, so a newer version sorts first; no clock is in the order. The random part keeps an id from
 * coming back when a key begins anew. Every version has such an id; of the null version it is never told to clients.
 */
import { randomBytes } from 'node:crypto';
import { invariant } from '../../protocol/invariant.js';
import { makeObjectId, type ObjectId } from '../../protocol/object-id.js';
import type { ObjectAttributes } from '../attributes.js';

const SEQUENCE_DIGITS = 10;
const SEQUENCE_MAX = 16 ** SEQUENCE_DIGITS - 1;
const RANDOM_BYTES = 15;
const VERSION_ID = /^[0-9a-f]{10}[A-Za-z0-9_-]{20}$/;
export const NULL_VERSION_ID = 'null';

/** Of an object that was written while its bucket never had versioning: older than all that come later. */
const UNVERSIONED_ID = 'f'.repeat(SEQUENCE_DIGITS) + '-'.repeat(20);

/** What a client may call a version. */
export function isVersionId(text: string): boolean {
  return text === NULL_VERSION_ID || VERSION_ID.test(text);
}

/** The id of the version that comes after the one given; null: the first one. */
export function nextVersionId(latest: string | null): string {
  const inverted = latest === null ? SEQUENCE_MAX : Number.parseInt(latest.slice(0, SEQUENCE_DIGITS), 16);
  invariant(Number.isSafeInteger(inverted) && inverted > 0, 'a version id begins with its sequence', {
    latest,
  });
  const sequence = (inverted - 1).toString(16).padStart(SEQUENCE_DIGITS, '0');
  return sequence + randomBytes(RANDOM_BYTES).toString('base64url');
}

export function isNullVersion(attributes: ObjectAttributes): boolean {
  return attributes.version?.isNull ?? true;
}

/** By which versions of a key sort. */
export function sortIdOf(attributes: ObjectAttributes): string {
  return attributes.version?.id ?? UNVERSIONED_ID;
}

/** As clients call it. */
export function versionIdOf(attributes: ObjectAttributes): string {
  return isNullVersion(attributes) ? NULL_VERSION_ID : sortIdOf(attributes);
}

/** Where the older versions of a bucket's keys are. No bucket name begins with a dot. */
export function versionsContainer(bucketName: string): string {
  return `.versions.${bucketName}`;
}

export function olderVersionObjectId(bucketName: string, key: string, sortId: string): ObjectId {
  return makeObjectId(versionsContainer(bucketName), key, sortId);
}

/**
 * True when an object of the versions container is a version beside this current one. Otherwise a crash left it there: a copy
 * of the current version, made before that was to be replaced (or removed after it was promoted), or a null version that another took the place of.
 */
export function isOlderVersion(older: ObjectAttributes, current: ObjectAttributes): boolean {
  if (sortIdOf(older) <= sortIdOf(current)) return false;
  return !isNullVersion(older) || current.version?.olderNullId === sortIdOf(older);
}
