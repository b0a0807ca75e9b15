/**
 * What is kept of the parts that an object was uploaded in: for GET and HEAD by part number, and GetObjectAttributes.
 *
 *   {"count":3,"sizes":[5242880,2,100,1],"checksums":"<base64 of the raw digests, one after another>"}
 *
 * `sizes` are runs: a size, how many parts have it, and so on. Attributes are small, so of an object of very many parts
 * the checksums are left out first (more than about 1,000 SHA-256, 6,000 CRC32), then the sizes (thousands of different
 * ones in turn). The count always stays.
 */
import { invariant } from '../protocol/invariant.js';
import type { Extent } from '../protocol/extent.js';
import { toRuns } from './runs.js';

/** JSON bytes that the parts may take of an object's attributes, and what they leave free for the rest. */
const PARTS_BYTES_MAX = 32 * 1024;
const ATTRIBUTES_FULL_BYTES = 48 * 1024;

export interface ObjectParts {
  readonly count: number;
  readonly sizes?: readonly number[];
  readonly checksums?: string;
}

/** `digests` are base64, null when the parts have no checksum; `otherBytes` is what the object's other attributes take. */
export function makeObjectParts(
  sizes: readonly number[],
  digests: readonly string[] | null,
  otherBytes: number,
): ObjectParts {
  const bytesMax = Math.min(PARTS_BYTES_MAX, ATTRIBUTES_FULL_BYTES - otherBytes);
  const count = sizes.length;
  const sized: ObjectParts = { count, sizes: toRuns(sizes) };
  const full: ObjectParts = {
    ...sized,
    ...(digests !== null && {
      checksums: Buffer.concat(digests.map((digest) => Buffer.from(digest, 'base64'))).toString('base64'),
    }),
  };
  return [full, sized].find((parts) => JSON.stringify(parts).length <= bytesMax) ?? { count };
}

export function decodeObjectParts(value: unknown): ObjectParts | null {
  if (value === undefined) return null;
  invariant(isRecord(value), 'stored parts are an object');
  const { count, sizes, checksums } = value;
  invariant(typeof count === 'number', 'stored parts have a count');
  invariant(sizes === undefined || isNumbers(sizes), 'stored part sizes are numbers');
  invariant(checksums === undefined || typeof checksums === 'string', 'stored part checksums are text');
  return { count, ...(sizes !== undefined && { sizes }), ...(checksums !== undefined && { checksums }) };
}

function isRecord(value: unknown): value is Readonly<Record<'count' | 'sizes' | 'checksums', unknown>> {
  return typeof value === 'object' && value !== null;
}

function isNumbers(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'number');
}

/** Where part `number` (from 1) lies; null when there is none, or its place is not kept. */
export function partExtent(parts: ObjectParts, number: number): Extent | null {
  let offset = 0;
  let before = 0;
  const runs = parts.sizes ?? [];
  for (let index = 0; index + 1 < runs.length; index += 2) {
    const length = runs[index] ?? 0;
    const count = runs[index + 1] ?? 0;
    if (number <= before + count) return { offset: offset + (number - before - 1) * length, length };
    before += count;
    offset += length * count;
  }
  return null;
}

/** The checksum of part `number` (from 1) in base64; null when it is not kept. */
export function partChecksum(parts: ObjectParts, number: number, digestBytes: number): string | null {
  if (parts.checksums === undefined) return null;
  const all = Buffer.from(parts.checksums, 'base64');
  return all.subarray((number - 1) * digestBytes, number * digestBytes).toString('base64');
}
