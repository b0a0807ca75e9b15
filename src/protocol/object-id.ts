/**
 * Object ids: what a write transaction names.
 *
 *   container NUL name NUL version
 *
 * The container is an S3 bucket, or one of Tally's own (their names start with a dot, which no bucket name may). The
 * name is the S3 key, the version is empty for the only ("null") version. NUL is in none of the three, so ids sort by
 * container, then by the UTF-8 bytes of the name (as S3 lists), then by version.
 */

declare const objectIdBrand: unique symbol;
export type ObjectId = string & { readonly [objectIdBrand]: 'ObjectId' };

/** UTF-8 bytes of a name: S3's limit for a key (UserGuide "object-keys"). */
export const OBJECT_NAME_BYTES_MAX = 1024;
export const CONTAINER_BYTES_MAX = 128;
export const VERSION_BYTES_MAX = 64;

const SEPARATOR = '\u0000';

export interface ObjectIdParts {
  readonly container: string;
  readonly name: string;
  readonly version: string;
}

/** A UTF-16 code unit is at most 3 bytes of UTF-8. */
const CODE_UNIT_BYTES_MAX = 3;

function isLongerThan(text: string, bytesMax: number): boolean {
  if (text.length * CODE_UNIT_BYTES_MAX <= bytesMax) return false;
  return text.length > bytesMax || new TextEncoder().encode(text).length > bytesMax;
}

/** Says why the parts make no object id, or null when they do. */
function objectIdFault(parts: ObjectIdParts): string | null {
  if (parts.container.length === 0 || parts.name.length === 0) return 'container and name must not be empty';
  for (const part of [parts.container, parts.name, parts.version]) {
    if (part.includes(SEPARATOR)) return 'NUL is not allowed';
    if (!part.isWellFormed()) return 'not well-formed Unicode';
  }
  if (isLongerThan(parts.container, CONTAINER_BYTES_MAX))
    return `container longer than ${CONTAINER_BYTES_MAX} bytes`;
  if (isLongerThan(parts.name, OBJECT_NAME_BYTES_MAX))
    return `name longer than ${OBJECT_NAME_BYTES_MAX} bytes`;
  if (isLongerThan(parts.version, VERSION_BYTES_MAX)) return `version longer than ${VERSION_BYTES_MAX} bytes`;
  return null;
}

/** Makes an object id. Throws RangeError when a part breaks a rule of `objectIdFault`. */
export function makeObjectId(container: string, name: string, version = ''): ObjectId {
  const fault = objectIdFault({ container, name, version });
  if (fault !== null) throw new RangeError(`not an object id: ${fault}`);
  return (container + SEPARATOR + name + SEPARATOR + version) as ObjectId;
}

/** Splits an object id into its parts. */
export function parseObjectId(id: ObjectId): ObjectIdParts {
  const first = id.indexOf(SEPARATOR);
  const second = id.indexOf(SEPARATOR, first + 1);
  return { container: id.slice(0, first), name: id.slice(first + 1, second), version: id.slice(second + 1) };
}

/** Types text from outside as an object id. Throws RangeError when it is none. */
export function toObjectId(text: string): ObjectId {
  const first = text.indexOf(SEPARATOR);
  const second = text.indexOf(SEPARATOR, first + 1);
  if (first < 0 || second < 0 || text.includes(SEPARATOR, second + 1)) {
    throw new RangeError('not an object id: it has not three fields');
  }
  const fault = objectIdFault(parseObjectId(text as ObjectId));
  if (fault !== null) throw new RangeError(`not an object id: ${fault}`);
  return text as ObjectId;
}

/**
 * Orders two ids (or names) by their UTF-8 bytes, as LevelDB and S3 do; JavaScript's `<` orders UTF-16 code units, which
 * differs where one side has a surrogate pair and the other a code unit from U+E000 up.
 */
export function compareUtf8(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  for (let index = 0; index < length; index += 1) {
    const a = left.charCodeAt(index);
    const b = right.charCodeAt(index);
    if (a === b) continue;
    const aIsSurrogate = (a & 0xf800) === 0xd800;
    const bIsSurrogate = (b & 0xf800) === 0xd800;
    if (aIsSurrogate !== bIsSurrogate) return aIsSurrogate ? 1 : -1;
    return a - b;
  }
  return left.length - right.length;
}

/** An object as an operator knows it. */
export function describeObject(id: ObjectId): string {
  const { container, name, version } = parseObjectId(id);
  return JSON.stringify(version === '' ? `${container}/${name}` : `${container}/${name} (${version})`);
}
