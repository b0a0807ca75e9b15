/**
 * Shards: which writer of a mirror set writes an object (DESIGN.md section 7).
 *
 * Every object has one writer per epoch. All that belongs to one name (its versions, the parts of its uploads, in containers of their
 * own) has the same one, so that a change of a key mostly stays with one writer.
 */
import { invariant } from './invariant.js';
import { type ObjectId, parseObjectId } from './object-id.js';
import { SETS_MAX } from './placement.js';
import { type GeneratorId, toGeneratorId } from './tag.js';

/** Writers of one mirror set. */
export const WRITERS_MAX = 64;

/** What the writers of a mirror set are told apart by. The set's own generator (placement-record.ts) is that of the process that holds its authority. */
export function generatorsOfWriters(set: GeneratorId, writers: number): readonly GeneratorId[] {
  return Array.from({ length: writers }, (_, index) => toGeneratorId(set + (index + 1) * SETS_MAX));
}

/** FNV-1a over UTF-16 code units, then mixed so that the low bits depend on all of them. */
export function hashOfName(name: string): number {
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
