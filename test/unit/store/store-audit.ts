/** Looks at a closed store from outside: does the database agree with itself and with the files? */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openDatabase, readRange } from '../../../src/store/database.js';
import { countReferences } from '../../../src/store/extent-map.js';
import * as keys from '../../../src/store/keys.js';
import { DEFAULT_LIMITS } from '../../../src/store/limits.js';
import { decodeObject, decodeTombstone } from '../../../src/store/records.js';
import * as values from '../../../src/store/small-values.js';

async function listBlobFiles(folder: string): Promise<number[]> {
  const names = await readdir(join(folder, 'blobs'), { recursive: true });
  return names
    .filter((name) => name.endsWith('.blob'))
    .map((name) => Number.parseInt(name.split('/').at(-1) ?? '', 16))
    .sort((left, right) => left - right);
}

/** Every way in which the store in `folder` does not add up; empty when it does. */
export async function auditStore(folder: string): Promise<string[]> {
  const faults: string[] = [];
  const database = await openDatabase(folder, { createIfMissing: false, limits: DEFAULT_LIMITS });
  const readSpace = async <T>(space: number, decode: (key: Buffer, value: Buffer) => T): Promise<T[]> => {
    const found: T[] = [];
    for await (const [key, value] of readRange(database, keys.spaceBounds(space)))
      found.push(decode(key, value));
    return found;
  };
  try {
    const head = values.decodeHead(keys.HEAD_KEY, (await database.get(keys.HEAD_KEY))!);
    const objects = await readSpace(keys.KEY_SPACE.object, decodeObject);
    const tombstones = await readSpace(keys.KEY_SPACE.tombstone, decodeTombstone);
    const rows = await readSpace(keys.KEY_SPACE.row, values.decodeRow);
    const blobs = await readSpace(keys.KEY_SPACE.blob, (key, value) => ({
      blobId: keys.blobIdOfKey(key),
      ...values.decodeBlobRow(key, value),
    }));
    const dead = await readSpace(keys.KEY_SPACE.deadBlob, (key) => keys.blobIdOfKey(key));
    const references = new Map<number, number>();
    for (const { map } of objects) {
      for (const [blobId, count] of countReferences(map))
        references.set(blobId, (references.get(blobId) ?? 0) + count);
    }
    for (const { blobId, references: counted } of blobs) {
      const found = references.get(blobId) ?? 0;
      if (found !== counted) faults.push(`blob ${blobId} has ${found} references, the table says ${counted}`);
      references.delete(blobId);
    }
    for (const blobId of references.keys()) faults.push(`blob ${blobId} is referenced and not in the table`);
    const files = await listBlobFiles(folder);
    const expected = blobs.map(({ blobId }) => Number(blobId));
    if (String(files) !== String(expected))
      faults.push(`files ${String(files)} for blobs ${String(expected)}`);
    const counts = {
      objectCount: objects.length,
      tombstoneCount: tombstones.length,
      rowCount: rows.length,
      rowBytes: rows.reduce((sum, { length }) => sum + length, 0),
      blobBytes: blobs.reduce((sum, { length }) => sum + length, 0),
    };
    for (const [name, count] of Object.entries(counts)) {
      const stated = head[name as keyof typeof counts];
      if (stated !== count) faults.push(`${name} is ${count}, the head says ${stated}`);
    }
    if (dead.some((blobId) => files.includes(blobId))) faults.push('a dead blob has a file');
    return faults;
  } finally {
    await database.close();
  }
}
