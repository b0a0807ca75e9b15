/** Range and Content-Range headers (RFC 9110 section 14). S3 serves one range; several, or nonsense, get the whole object. */
import type { ReadRange } from '../gateway/object-storage.js';
import type { Extent } from '../protocol/extent.js';
import { S3Error } from './errors.js';

const RANGE = /^bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*$/i;
const CONTENT_RANGE = /^bytes (\d+)-(\d+)\/\*$/;

export const WHOLE: ReadRange = { kind: 'whole' };

export function parseRange(header: string | undefined): ReadRange {
  if (header === undefined) return WHOLE;
  const match = RANGE.exec(header);
  const [, firstText = '', lastText = ''] = match ?? [];
  if (match === null || (firstText === '' && lastText === '')) return WHOLE;
  const last = lastText === '' ? null : Number(lastText);
  if (firstText === '') return last === null ? WHOLE : { kind: 'suffix', lengthBytes: clampCount(last) };
  const first = Number(firstText);
  if (last !== null && last < first) return WHOLE;
  return { kind: 'between', first: clampCount(first), last: last === null ? null : clampCount(last) };
}

function clampCount(count: number): number {
  return Math.min(count, Number.MAX_SAFE_INTEGER);
}

/** The bytes that a range takes of an object, null when it is not satisfiable. */
export function resolveRange(range: ReadRange, sizeBytes: number): Extent | null {
  switch (range.kind) {
    case 'whole':
      return { offset: 0, length: sizeBytes };
    case 'suffix': {
      const length = Math.min(range.lengthBytes, sizeBytes);
      return length === 0 ? null : { offset: sizeBytes - length, length };
    }
    case 'between': {
      if (range.first >= sizeBytes) return null;
      const last = Math.min(range.last ?? sizeBytes - 1, sizeBytes - 1);
      return { offset: range.first, length: last - range.first + 1 };
    }
  }
}

export function contentRange(extent: Extent, sizeBytes: number): string {
  return `bytes ${extent.offset}-${extent.offset + extent.length - 1}/${sizeBytes}`;
}

export function unsatisfiable(header: string | undefined, sizeBytes: number): S3Error {
  return new S3Error('InvalidRange', {
    details: { RangeRequested: header ?? '', ActualObjectSize: String(sizeBytes) },
    headers: [['Content-Range', `bytes */${sizeBytes}`]],
  });
}

/** Where a PATCH writes: `bytes <first>-<last>/*`. Throws S3Error MissingContentRange or InvalidArgument. */
export function parseContentRange(header: string | undefined): Extent {
  if (header === undefined) throw new S3Error('MissingContentRange');
  const match = CONTENT_RANGE.exec(header);
  const first = Number(match?.[1]);
  const last = Number(match?.[2]);
  if (match === null || last < first || !Number.isSafeInteger(last + 1)) {
    throw new S3Error('InvalidArgument', {
      message: 'Content-Range must be bytes <first>-<last>/*, where last is not less than first.',
      details: { ArgumentName: 'Content-Range', ArgumentValue: header.slice(0, 128) },
    });
  }
  return { offset: first, length: last - first + 1 };
}
