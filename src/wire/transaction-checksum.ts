/**
 * The checksum that a write transaction states of itself: CRC32C of its fields, seeded with the CRC32C of its content.
 * The OSD recomputes it before anything is committed, and rows and objects keep it: the same tag with another checksum is
 * another write (F24).
 *
 * The canonical text, fields of free length preceded by their length in UTF-16 code units, attributes last:
 *
 *   tag SP kind SP mode SP offset SP length SP (previousTag | "-") SP setId.length SP setId
 *       objectId.length SP objectId ("-" | "+" attributes)
 */
import { crc32c } from '@node-rs/crc32';
import type { WriteTransaction } from '../protocol/write.js';
import type { ForwardedWrite } from './osd-connection.js';

export type TransactionFields = Omit<WriteTransaction, 'checksum'>;

/** `contentChecksum`: CRC32C of the content, 0 when there is none. The epoch is within the tag. */
export function transactionChecksum(fields: TransactionFields, contentChecksum: number): number {
  return crc32c(textOf(fields.tag, fields), contentChecksum);
}

function textOf(name: string, fields: Omit<TransactionFields, 'tag' | 'epoch'>): string {
  const { kind, mode, offset, length, setId, objectId } = fields;
  const previousTag = fields.previousTag ?? '-';
  const attributes = fields.attributes === null ? '-' : `+${fields.attributes}`;
  return (
    `${name} ${kind} ${mode} ${offset} ${length} ${previousTag} ${setId.length} ${setId}` +
    `${objectId.length} ${objectId}${attributes}`
  );
}

/** The same of a write that is forwarded, and has no tag yet: in the place of the tag stands the number of the request. */
export function forwardedChecksum(
  setId: string,
  fields: Omit<ForwardedWrite, 'checksum' | 'content' | 'contentChecksum' | 'traceparent'>,
  contentChecksum: number,
): number {
  const { request, ...rest } = fields;
  return crc32c(textOf(`request ${request}`, { ...rest, setId }), contentChecksum);
}
