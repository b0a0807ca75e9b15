/**
 * What an object's attributes say of its encryption:
 *
 *   "sealing":{"masterKeyId":"...","isNamed":true,"key":"<wrapped data key>","pieces":[5242880,3,17,1]}
 *
 * Without `masterKeyId` the data key is wrapped by the customer's key; `isNamed` when the writer named the master key. `pieces` are runs of plain sizes: a size, how many pieces in a row have it, and so on;
 * left out when there is one piece. Only the content is encrypted: name, metadata, tags, and checksums stand in the clear.
 */
import { invariant } from '../../protocol/invariant.js';
import { fromRuns } from '../runs.js';
import { asFields, listField, optionalText, textField } from '../stored-fields.js';
import { plainSize } from './sealed-pieces.js';

export interface Sealing {
  /** Null: the customer keeps the key. */
  readonly masterKeyId: string | null;
  /** The writer asked for this master key by its name (SSE-KMS). */
  readonly isNamed: boolean;
  readonly wrappedKey: string;
  /** Runs of plain sizes; null: one piece. */
  readonly pieces: readonly number[] | null;
}

export function encodeSealing({ masterKeyId, isNamed, wrappedKey, pieces }: Sealing): object {
  return {
    ...(masterKeyId !== null && { masterKeyId }),
    ...(isNamed && { isNamed }),
    key: wrappedKey,
    ...(pieces !== null && { pieces }),
  };
}

function decodePieces(value: unknown): number {
  invariant(
    typeof value === 'number' && Number.isSafeInteger(value),
    'the sizes of sealed pieces are integers',
  );
  return value;
}

export function decodeSealing(value: unknown): Sealing | null {
  if (value === undefined) return null;
  const fields = asFields(value);
  return {
    masterKeyId: optionalText(fields, 'masterKeyId'),
    isNamed: fields['isNamed'] === true,
    wrappedKey: textField(fields, 'key'),
    pieces: fields['pieces'] === undefined ? null : listField(fields, 'pieces').map(decodePieces),
  };
}

/** Plain sizes of the pieces, in order. `storedBytes` is what all of them take in the store. */
export function pieceSizes({ pieces }: Sealing, storedBytes: number): readonly number[] {
  return pieces === null ? [plainSize(storedBytes)] : fromRuns(pieces);
}

/** What clients know as the size of an object that takes so many bytes in the store. */
export function contentBytes(storedBytes: number, { sealing }: { readonly sealing: Sealing | null }): number {
  if (sealing === null) return storedBytes;
  const { pieces } = sealing;
  if (pieces === null) return plainSize(storedBytes);
  let sizeBytes = 0;
  for (let index = 0; index + 1 < pieces.length; index += 2) {
    sizeBytes += (pieces[index] ?? 0) * (pieces[index + 1] ?? 0);
  }
  return sizeBytes;
}
