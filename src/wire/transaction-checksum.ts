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

export type TransactionFields = Omit<WriteTransaction, 'checksum'>;

/** `contentChecksum`: CRC32C of the content, 0 when there is none. The epoch is within the tag. */
export function transactionChecksum(fields: TransactionFields, contentChecksum: number): number {
  const { tag, kind, mode, offset, length, setId, objectId } = fields;
  const previousTag = fields.previousTag ?? '-';
  const attributes = fields.attributes === null ? '-' : `+${fields.attributes}`;
  const text =
    `${tag} ${kind} ${mode} ${offset} ${length} ${previousTag} ${setId.length} ${setId}` +
    `${objectId.length} ${objectId}${attributes}`;
  return crc32c(text, contentChecksum);
}
