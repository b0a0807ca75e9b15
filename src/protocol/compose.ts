/**
 * Content that is made of what is stored already: parts of other objects, named by id and state, in order. It moves
 * pointers, not bytes (DESIGN.md section 9): a server-side copy and the completion of a multipart upload are such writes.
 *
 * The same sources at the same tags have the same bytes on every mirror in sync, so the write is as good as one that
 * brings its bytes along. A mirror whose source is not at that tag refuses it.
 */
import { type Extent, extentEnd } from './extent.js';
import type { ObjectId } from './object-id.js';
import type { Tag } from './tag.js';
import type { ObjectState } from './write.js';

export interface ComposeSource {
  readonly objectId: ObjectId;
  /** The source's last tag as the writer knows it. */
  readonly expectedTag: Tag;
  /** Which of its bytes. */
  readonly extent: Extent;
}

/** Sources of one write: as many as an S3 multipart upload has parts (UserGuide "qfacts"). */
export const COMPOSE_SOURCES_MAX = 10_000;

/** What the checksum of a composed content is made over, in place of the bytes. */
export function composeText(sources: readonly ComposeSource[]): string {
  let text = 'compose';
  for (const { objectId, expectedTag, extent } of sources) {
    text += `\n${expectedTag} ${extent.offset} ${extent.length} ${objectId.length} ${objectId}`;
  }
  return text;
}

/** The bytes that the sources have together. */
export function composedBytes(sources: readonly ComposeSource[]): number {
  return sources.reduce((sum, { extent }) => sum + extent.length, 0);
}

/** True when a mirror's state of the source is the one that the writer meant. */
export function isSourceAsExpected(source: ComposeSource, state: ObjectState | null): boolean {
  if (state?.kind !== 'present' || state.lastTag !== source.expectedTag) return false;
  return (
    source.extent.offset >= 0 && source.extent.length >= 0 && extentEnd(source.extent) <= state.sizeBytes
  );
}
