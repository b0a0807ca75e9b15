/**
 * The commit ring: the last RING_SLOTS commit sequences, each in the slot of its number modulo RING_SLOTS, written in
 * the batch that it counts. LevelDB drops a damaged piece from the middle of its log and opens all the same (F19); then
 * a slot still holds the number of one round before, and the store knows that it lost something.
 */
import type { CommitBatch } from './group-commit.js';
import { type Database, readRange } from './database.js';
import { KEY_SPACE, ringKey, spaceBounds } from './keys.js';
import { decodeSequence, encodeSequence } from './small-values.js';

const RING_SLOTS = 4096;

export function ringOperation(batch: CommitBatch, sequence: number): void {
  const key = ringKey(sequence % RING_SLOTS);
  batch.put(key, encodeSequence(key, sequence));
}

/** Says what is missing from the ring of a store that has come to `lastSequence`, or null when nothing is. */
export async function findRingHole(database: Database, lastSequence: number): Promise<string | null> {
  const found = new Set<number>();
  for await (const [key, value] of readRange(database, spaceBounds(KEY_SPACE.ring))) {
    found.add(decodeSequence(key, value));
  }
  for (let sequence = lastSequence; sequence > 0 && sequence > lastSequence - RING_SLOTS; sequence -= 1) {
    if (!found.has(sequence)) return `commit ${sequence} of ${lastSequence} is missing from the database`;
  }
  const beyond = [...found].find((sequence) => sequence > lastSequence);
  return beyond === undefined ? null : `commit ${beyond} is there, but the store is at ${lastSequence}`;
}
