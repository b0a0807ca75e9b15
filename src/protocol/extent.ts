/**
 * Extents: half-open byte ranges [offset, offset + length) of a stored object, and sets of them.
 *
 * A set is an array that is sorted by offset, with no empty, overlapping or touching members. Every function here takes
 * and returns sets in that form (`uniteExtents` also takes any order), in time linear in their members.
 */

/** Offset and length are bytes, integers from 0 to 2^53 - 1. */
export interface Extent {
  readonly offset: number;
  readonly length: number;
}

export function extentEnd(extent: Extent): number {
  return extent.offset + extent.length;
}

/** The bytes in a set. */
export function extentBytes(set: readonly Extent[]): number {
  let total = 0;
  for (const extent of set) total += extent.length;
  return total;
}

/** The union of any extents, in any order, overlapping or not. */
export function uniteExtents(extents: readonly Extent[]): Extent[] {
  const sorted = extents
    .filter((extent) => extent.length > 0)
    .sort((left, right) => left.offset - right.offset);
  const united: Extent[] = [];
  for (const extent of sorted) {
    const last = united.at(-1);
    if (last === undefined || extent.offset > extentEnd(last)) {
      united.push({ offset: extent.offset, length: extent.length });
    } else if (extentEnd(extent) > extentEnd(last)) {
      united[united.length - 1] = { offset: last.offset, length: extentEnd(extent) - last.offset };
    }
  }
  return united;
}

/** The part of a set below `sizeBytes`. */
export function clipExtents(set: readonly Extent[], sizeBytes: number): Extent[] {
  const clipped: Extent[] = [];
  for (const extent of set) {
    if (extent.offset >= sizeBytes) break;
    clipped.push({ offset: extent.offset, length: Math.min(extent.length, sizeBytes - extent.offset) });
  }
  return clipped;
}

/** The parts of `whole` that are in no member of `set`. */
export function complementExtents(set: readonly Extent[], whole: Extent): Extent[] {
  const gaps: Extent[] = [];
  let position = whole.offset;
  const end = extentEnd(whole);
  for (const extent of set) {
    if (extentEnd(extent) <= position) continue;
    if (extent.offset >= end) break;
    if (extent.offset > position) gaps.push({ offset: position, length: extent.offset - position });
    position = extentEnd(extent);
  }
  if (position < end) gaps.push({ offset: position, length: end - position });
  return gaps;
}
