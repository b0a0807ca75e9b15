/**
 * Where a verification notes how far it is, so that it goes on after a restart of the gateway. A crash leaves the old note or the new
 * one, whole (durable-file.ts); what was compared since the old one is compared again.
 *
 * Format: one JSON object, the `VerificationRecord`, and under `checksum` the SHA-256 of the rest.
 */
import { readFile } from 'node:fs/promises';
import { type ObjectId, toObjectId } from '../../protocol/object-id.js';
import { decodeChecksummed, encodeChecksummed, replaceDurably } from '../durable-file.js';
import type { Verification } from './verification.js';

export interface VerificationRecord extends Omit<Verification, 'state'> {
  readonly formatVersion: 1;
  readonly state: 'begun' | 'done' | 'failed' | 'stopped';
  /** Everything up to this object was compared. */
  readonly after: ObjectId | null;
}

export interface VerificationStorage {
  /** Null: there was none. Rejects when there is one that can't be read. */
  load(): Promise<VerificationRecord | null>;
  save(record: VerificationRecord): Promise<void>;
}

/** One file in a folder that exists. */
export class VerificationFile implements VerificationStorage {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  async load(): Promise<VerificationRecord | null> {
    let text: string;
    try {
      text = await readFile(this.#path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
    return decodeRecord(decodeChecksummed(text));
  }

  async save(record: VerificationRecord): Promise<void> {
    await replaceDurably(this.#path, encodeChecksummed(record));
  }
}

function decodeRecord(fields: Readonly<Record<string, unknown>>): VerificationRecord {
  if (fields['formatVersion'] !== 1) throw new RangeError('unknown format version');
  const { after } = fields;
  if (after !== null && typeof after !== 'string') throw new RangeError('after is no object id');
  // The checksum says that this version of the format wrote it.
  const record = fields as unknown as VerificationRecord;
  return { ...record, after: after === null ? null : toObjectId(after) };
}
