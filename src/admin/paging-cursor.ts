/** The place in a tag table at which the next page goes on, as text that means nothing to clients. */
import { toObjectId } from '../protocol/object-id.js';
import { TAG_LENGTH, toTag } from '../protocol/tag.js';
import type { RowCursor } from '../wire/osd-connection.js';
import { AdminError } from './admin-errors.js';

export function formatCursor({ objectId, tag }: RowCursor): string {
  return Buffer.from(tag + objectId).toString('base64url');
}

/** Throws AdminError `bad-cursor`. */
export function parseCursor(text: string): RowCursor {
  const decoded = Buffer.from(text, 'base64url').toString('utf8');
  try {
    return { tag: toTag(decoded.slice(0, TAG_LENGTH)), objectId: toObjectId(decoded.slice(TAG_LENGTH)) };
  } catch (error) {
    throw new AdminError('bad-cursor', undefined, { cause: error });
  }
}
