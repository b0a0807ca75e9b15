/**
 * Hand-written checks for the hot path: one message is taken apart field by field, and every field becomes typed on the way.
 * All throw MalformedMessage.
 */
import { type ObjectId, toObjectId } from '../protocol/object-id.js';
import { isTag, type Tag, toEpoch, type Epoch } from '../protocol/tag.js';
import { type StoreId, toStoreId, type Witness } from '../protocol/token.js';
import { MalformedMessage, malformedOnRangeError } from './malformed-message.js';

export type JsonRecord = Readonly<Record<string, unknown>>;

function isRecord(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function asRecord(value: unknown, name: string): JsonRecord {
  if (!isRecord(value)) throw new MalformedMessage(`${name} is no object`);
  return value;
}

/** Of a request: a member that is not among these is refused (contract-version.ts). */
export function refuseUnknown(record: JsonRecord, name: string, known: ReadonlySet<string>): void {
  for (const member in record) {
    if (!known.has(member))
      throw new MalformedMessage(`${name} has an unknown member ${member.slice(0, 64)}`);
  }
}

/** An array of any length: of an answer, the bytes of which have a limit. */
export function asList(value: unknown, name: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new MalformedMessage(`${name} is no array`);
  return value;
}

/** An array of at most `countMax` members. */
export function asArray(value: unknown, name: string, countMax: number): readonly unknown[] {
  const list = asList(value, name);
  if (list.length > countMax) throw new MalformedMessage(`${name} has over ${countMax} members`);
  return list;
}

export function asText(value: unknown, name: string): string {
  if (typeof value !== 'string') throw new MalformedMessage(`${name} is no text`);
  return value;
}

/** An integer from 0 to 2^53 - 1. */
export function asCount(value: unknown, name: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw new MalformedMessage(`${name} is no count`);
  }
  return value;
}

/** An integer from 0 to 2^32 - 1. */
export function asChecksum(value: unknown, name: string): number {
  const checksum = asCount(value, name);
  if (checksum > 0xffffffff) throw new MalformedMessage(`${name} is no 32-bit checksum`);
  return checksum;
}

export function asFlag(value: unknown, name: string): boolean {
  if (typeof value !== 'boolean') throw new MalformedMessage(`${name} is neither true nor false`);
  return value;
}

/** One member of a closed set of words. */
export function asWord<Word extends string>(value: unknown, name: string, words: readonly Word[]): Word {
  const word = words.find((candidate) => candidate === value);
  if (word === undefined) throw new MalformedMessage(`${name} is none of ${words.join(', ')}`);
  return word;
}

export function asTag(value: unknown, name: string): Tag {
  if (!isTag(value)) throw new MalformedMessage(`${name} is no tag`);
  return value;
}

export function asTagOrNull(value: unknown, name: string): Tag | null {
  return value === null ? null : asTag(value, name);
}

export function asEpoch(value: unknown, name: string): Epoch {
  const count = asCount(value, name);
  return malformedOnRangeError(() => toEpoch(count));
}

export function asObjectId(value: unknown, name: string): ObjectId {
  const text = asText(value, name);
  return malformedOnRangeError(() => toObjectId(text));
}

export function asStoreId(value: unknown, name: string): StoreId {
  const text = asText(value, name);
  return malformedOnRangeError(() => toStoreId(text));
}

export function asWitness(value: unknown): Witness {
  const record = asRecord(value, 'witness');
  return {
    storeId: asStoreId(record['storeId'], 'storeId'),
    commitSequence: asCount(record['commitSequence'], 'commitSequence'),
  };
}
