/**
 * Shards: which writer of a mirror set writes an object (DESIGN.md section 7).
 *
 * Every object has one writer per epoch. All that belongs to one name (its versions, the parts of its uploads, in containers of their
 * own) has the same one, so that a change of a key mostly stays with one writer.
 */
import { invariant } from './invariant.js';
import { type ObjectId, parseObjectId } from './object-id.js';

/** FNV-1a over UTF-16 code units, then mixed so that the low bits depend on all of them. */
function hashOfName(name: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < name.length; index += 1) {
    hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}

/** The index of the writer of an object, from 0 to `writers - 1`. */
export function writerOf(id: ObjectId, writers: number): number {
  invariant(writers > 0, 'an object has a writer', { id });
  return hashOfName(parseObjectId(id).name) % writers;
}
