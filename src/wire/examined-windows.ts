import type { Extent } from '../protocol/extent.js';
import { EXAMINED_WINDOW_BYTES } from './osd-connection.js';

/** The windows of an object of this size; one that is empty for an empty object. */
export function* windowsOf(sizeBytes: number): Generator<Extent, void, undefined> {
  let offset = 0;
  do {
    yield { offset, length: Math.min(EXAMINED_WINDOW_BYTES, sizeBytes - offset) };
    offset += EXAMINED_WINDOW_BYTES;
  } while (offset < sizeBytes);
}
