/**
 * Placement: which mirror set an object lives on (DESIGN.md section 7).
 *
 * An object's home is found by rendezvous hashing of its bucket and key: every set gets a score from the object and the set's name, and
 * the highest wins. So a set that is added takes an even share of the objects from each of the others, and moves no
 * object between those. A bucket can be pinned to a set. Whatever belongs to a key (its versions, its multipart uploads
 * and their parts) has the same home, so that copies among them move no bytes.
 *
 * The hash is part of the stored format: another one would look for every object in the wrong place.
 */
import { invariant } from './invariant.js';
import { type ObjectId, parseObjectId } from './object-id.js';

declare const setNameBrand: unique symbol;
/** Names a mirror set for good. It is what the stores of the set were formatted with. */
export type SetName = string & { readonly [setNameBrand]: 'SetName' };

export const SETS_MAX = 64;
const SET_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** Types text from outside as a set's name. Throws RangeError when it is none. */
export function toSetName(text: string): SetName {
  if (!SET_NAME.test(text))
    throw new RangeError(`not a name of a mirror set: ${JSON.stringify(text.slice(0, 80))}`);
  return text as SetName;
}

export interface Placement {
  /** Where objects may be placed; never empty. The order means nothing. */
  readonly sets: readonly SetName[];
  /** Buckets that live on one set, whatever the hash says. */
  readonly pins: ReadonlyMap<string, SetName>;
}

/** What is hashed: all that belongs to one key of a bucket has one of these. */
export interface PlacementKey {
  readonly bucket: string;
  readonly key: string;
}

/**
 * Containers of Tally's own are named `.word` or `.word.bucket`. Names in the former stand for themselves;
 * those in the latter belong to the bucket's key of that name.
 */
export function placementKeyOf(id: ObjectId): PlacementKey {
  const { container, name } = parseObjectId(id);
  if (!container.startsWith('.')) return { bucket: container, key: name };
  const dot = container.indexOf('.', 1);
  if (dot >= 0) return { bucket: container.slice(dot + 1), key: name };
  return { bucket: container, key: name };
}

/** The set where an object belongs. */
export function homeOf({ sets, pins }: Placement, id: ObjectId): SetName {
  const [first, ...others] = sets;
  invariant(first !== undefined, 'objects are placed on at least one set');
  if (others.length === 0) return first;
  const { bucket, key } = placementKeyOf(id);
  const pinned = pins.get(bucket);
  if (pinned !== undefined) return pinned;
  const text = `${bucket}\u0000${key}\u0000`;
  let home = first;
  let best = hash53(text + first);
  for (const candidate of others) {
    const score = hash53(text + candidate);
    // Between equal scores the name decides, not the order of the list.
    if (score < best || (score === best && candidate < home)) continue;
    home = candidate;
    best = score;
  }
  return home;
}

/**
 * 53 bits of a text's UTF-16 code units: two interleaved multiply-and-mix lanes (public-domain "cyrb53"). Not cryptographic: it spreads
 * names, it keeps nobody from choosing them.
 */
function hash53(text: string): number {
  let high = 0xdeadbeef;
  let low = 0x41c6ce57;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    high = Math.imul(high ^ unit, 2654435761);
    low = Math.imul(low ^ unit, 1597334677);
  }
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909);
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909);
  return 4294967296 * (2097151 & low) + (high >>> 0);
}
