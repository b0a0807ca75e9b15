/**
 * Extent maps: which bytes make up an object. Pure functions; an object's map is an array of extents that follow one
 * another from offset 0 to its size, with no gap, no overlap and no empty member.
 */
import { invariant, unreachable } from '../protocol/invariant.js';
import type { BlobId } from './keys.js';
import type { StoreLimits } from './limits.js';

/**
 * Where the bytes of an extent are: in the record itself, or from `blobOffset` on in an immutable blob. Lost: a reconciliation found
 * them intact nowhere, and whoever reads them is told so.
 */
export type ExtentSource =
  | { readonly kind: 'inline'; readonly bytes: Buffer }
  | { readonly kind: 'blob'; readonly blobId: BlobId; readonly blobOffset: number }
  | { readonly kind: 'lost' };

/** Offset and length are bytes of the object. */
export interface StoredExtent {
  readonly offset: number;
  readonly length: number;
  readonly source: ExtentSource;
}

export type ExtentMap = readonly StoredExtent[];

function endOf(extent: StoredExtent): number {
  return extent.offset + extent.length;
}

export function mapBytes(map: ExtentMap): number {
  const last = map.at(-1);
  return last === undefined ? 0 : endOf(last);
}

/** True when the members follow one another from 0 to `sizeBytes`. */
export function covers(map: ExtentMap, sizeBytes: number): boolean {
  let position = 0;
  for (const extent of map) {
    if (extent.offset !== position || extent.length <= 0) return false;
    position = endOf(extent);
  }
  return position === sizeBytes;
}

function cutSource(source: ExtentSource, skip: number, length: number): ExtentSource {
  switch (source.kind) {
    case 'inline':
      return { kind: 'inline', bytes: source.bytes.subarray(skip, skip + length) };
    case 'blob':
      return { kind: 'blob', blobId: source.blobId, blobOffset: source.blobOffset + skip };
    case 'lost':
      return source;
    default:
      return unreachable(source);
  }
}

/** The part of an extent between two offsets of the object; null when that is empty. */
function cutExtent(extent: StoredExtent, from: number, to: number): StoredExtent | null {
  const start = Math.max(extent.offset, from);
  const length = Math.min(endOf(extent), to) - start;
  if (length <= 0) return null;
  if (length === extent.length) return extent;
  return { offset: start, length, source: cutSource(extent.source, start - extent.offset, length) };
}

function extentAt(map: ExtentMap, index: number): StoredExtent {
  const extent = map[index];
  invariant(extent !== undefined, 'an index is inside its map', { index });
  return extent;
}

/** The parts of a map between two offsets of the object. */
export function sliceMap(map: ExtentMap, from: number, to: number): StoredExtent[] {
  const slice: StoredExtent[] = [];
  for (let index = indexAt(map, from); index < map.length; index += 1) {
    const part = cutExtent(extentAt(map, index), from, to);
    if (part === null) break;
    slice.push(part);
  }
  return slice;
}

/** The index of the extent that holds `offset`, or the map's length. */
function indexAt(map: ExtentMap, offset: number): number {
  let low = 0;
  let high = map.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (endOf(extentAt(map, middle)) <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Puts an extent in the place of what was there, growing the map where it passes the end. Precondition: it leaves no gap. */
export function spliceExtent(map: ExtentMap, extent: StoredExtent): StoredExtent[] {
  invariant(extent.offset <= mapBytes(map), 'a write leaves no gap', { offset: extent.offset });
  if (extent.length === 0) return [...map];
  const before = sliceMap(map, 0, extent.offset);
  const after = sliceMap(map, endOf(extent), Number.MAX_SAFE_INTEGER);
  return mergeNeighbours([...before, extent, ...after]);
}

export function cutMap(map: ExtentMap, sizeBytes: number): StoredExtent[] {
  return sliceMap(map, 0, sizeBytes);
}

function mergeSources(left: StoredExtent, right: StoredExtent): ExtentSource | null {
  const [a, b] = [left.source, right.source];
  if (a.kind === 'blob' && b.kind === 'blob') {
    return a.blobId === b.blobId && a.blobOffset + left.length === b.blobOffset ? a : null;
  }
  if (a.kind === 'inline' && b.kind === 'inline')
    return { kind: 'inline', bytes: Buffer.concat([a.bytes, b.bytes]) };
  return a.kind === 'lost' && b.kind === 'lost' ? a : null;
}

/** Makes one extent of neighbours that are both inline, or both lost, or that follow one another in the same blob. */
function mergeNeighbours(map: readonly StoredExtent[]): StoredExtent[] {
  const merged: StoredExtent[] = [];
  for (const extent of map) {
    const last = merged.at(-1);
    const source = last === undefined ? null : mergeSources(last, extent);
    if (last === undefined || source === null) merged.push(extent);
    else merged[merged.length - 1] = { offset: last.offset, length: last.length + extent.length, source };
  }
  return merged;
}

export function inlineBytes(map: ExtentMap): number {
  let total = 0;
  for (const { source, length } of map) if (source.kind === 'inline') total += length;
  return total;
}

export function lostBytes(map: ExtentMap): number {
  let total = 0;
  for (const { source, length } of map) if (source.kind === 'lost') total += length;
  return total;
}

/** How many extents point into each blob: what the blob table counts. */
export function countReferences(map: ExtentMap): Map<BlobId, number> {
  const counts = new Map<BlobId, number>();
  for (const { source } of map) {
    if (source.kind === 'blob') counts.set(source.blobId, (counts.get(source.blobId) ?? 0) + 1);
  }
  return counts;
}

/** How many more extents, or fewer, point into a blob. */
export interface ReferenceChange {
  readonly blobId: BlobId;
  readonly change: number;
}

/** What a change of maps does to the reference counts, each blob once; blobs whose count stays are left out. */
export function referenceChanges(before: ExtentMap, after: ExtentMap): readonly ReferenceChange[] {
  if (before.length === 0 && after.length <= 1) return firstReference(after[0]); // what is new, and small
  const changes = countReferences(after);
  for (const [blobId, count] of countReferences(before))
    changes.set(blobId, (changes.get(blobId) ?? 0) - count);
  return [...changes].flatMap(([blobId, change]) => (change === 0 ? [] : [{ blobId, change }]));
}

function firstReference(extent: StoredExtent | undefined): readonly ReferenceChange[] {
  return extent?.source.kind === 'blob' ? [{ blobId: extent.source.blobId, change: 1 }] : NO_CHANGES;
}

const NO_CHANGES: readonly ReferenceChange[] = [];

/** Neighbours, by index from `start` up to but not including `end`, whose bytes are to be copied into a new blob. */
export interface RewriteRun {
  readonly start: number;
  readonly end: number;
}

export type RewriteLimits = Pick<
  StoreLimits,
  'inlineBytesMax' | 'extentCountMax' | 'smallExtentBytes' | 'consolidatedBytesMax'
>;

/**
 * What must be copied into a new blob before a map may be stored, in order and without overlap: small neighbours when there are too many
 * extents, and all inline bytes when there are too many of them. Empty for nearly every write, and each byte is copied
 * a bounded number of times: what was copied together is no longer small, or has no small neighbour.
 */
export function planRewrite(map: ExtentMap, limits: RewriteLimits): RewriteRun[] {
  const consolidated = map.length > limits.extentCountMax ? planConsolidation(map, limits) : [];
  if (inlineBytes(map) <= limits.inlineBytesMax) return consolidated;
  const spilled: RewriteRun[] = [];
  map.forEach(({ source }, index) => {
    const isPlanned = consolidated.some((run) => index >= run.start && index < run.end);
    if (source.kind === 'inline' && !isPlanned) spilled.push({ start: index, end: index + 1 });
  });
  return [...consolidated, ...spilled].sort((left, right) => left.start - right.start);
}

/** Consolidation is worth its copying only when it takes away this share of the extents that an object may have. */
const WORTHWHILE_SHARE = 4;

function planConsolidation(map: ExtentMap, limits: RewriteLimits): RewriteRun[] {
  const runs: RewriteRun[] = [];
  let start = 0;
  let runBytes = 0;
  const endRun = (end: number): void => {
    if (end - start > 1) runs.push({ start, end });
  };
  map.forEach((extent, index) => {
    // What is lost can't be copied.
    const isSmall = extent.length < limits.smallExtentBytes && extent.source.kind !== 'lost';
    if (isSmall && runBytes + extent.length <= limits.consolidatedBytesMax) {
      runBytes += extent.length;
      return;
    }
    endRun(index);
    start = isSmall ? index : index + 1;
    runBytes = isSmall ? extent.length : 0;
  });
  endRun(map.length);
  const saved = runs.reduce((sum, run) => sum + run.end - run.start - 1, 0);
  return saved * WORTHWHILE_SHARE >= limits.extentCountMax ? runs : [];
}

/** The map once the bytes of `runs` stand one after another in the new blob. */
export function applyRewrite(map: ExtentMap, runs: readonly RewriteRun[], blobId: BlobId): StoredExtent[] {
  const rewritten: StoredExtent[] = [];
  let position = 0;
  let blobOffset = 0;
  for (const { start, end } of runs) {
    rewritten.push(...map.slice(position, start));
    const copied = map.slice(start, end);
    const offset = copied[0]?.offset ?? 0;
    const length = mapBytes(copied) - offset;
    rewritten.push({ offset, length, source: { kind: 'blob', blobId, blobOffset } });
    blobOffset += length;
    position = end;
  }
  rewritten.push(...map.slice(position));
  return mergeNeighbours(rewritten);
}
