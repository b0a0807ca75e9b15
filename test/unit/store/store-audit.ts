/** Looks at a closed store from outside: does the database agree with itself and with the files? */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openDatabase, readRange } from '../../../src/store/database.js';
import { countReferences, lostBytes } from '../../../src/store/extent-map.js';
import * as keys from '../../../src/store/keys.js';
import { DEFAULT_LIMITS } from '../../../src/store/limits.js';
import { decodeObject, decodeTombstone, extentsOf } from '../../../src/store/records.js';
import { fragmentBytes } from '../../../src/store/segment-format.js';
import * as values from '../../../src/store/small-values.js';

/** The ids of the files of one kind. */
async function listFiles(folder: string, kind: 'blob' | 'segment'): Promise<number[]> {
  if (!existsSync(join(folder, `${kind}s`))) return [];
  const names = await readdir(join(folder, `${kind}s`), { recursive: true });
  return names
    .filter((name) => name.endsWith(`.${kind}`))
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
    const marks = await readSpace(keys.KEY_SPACE.lost, (key) => key.toString('hex', 1));
    const marked = await readSpace(keys.KEY_SPACE.object, (key, value) =>
      lostBytes(decodeObject(key, value).map) > 0 ? key.toString('hex', 1) : null,
    );
    if (marks.join() !== marked.filter((id) => id !== null).join())
      faults.push('what is marked is not what has lost bytes');
    const rows = await readSpace(keys.KEY_SPACE.row, values.decodeRow);
    const blobs = await readSpace(keys.KEY_SPACE.blob, (key, value) => ({
      blobId: keys.blobIdOfKey(key),
      ...values.decodeBlobRow(key, value),
    }));
    const dead = await readSpace(keys.KEY_SPACE.deadBlob, (key) => keys.blobIdOfKey(key));
    const references = new Map<number, number>();
    for (const object of objects) {
      for (const [blobId, count] of countReferences(extentsOf(object)))
        references.set(blobId, (references.get(blobId) ?? 0) + count);
    }
    for (const { blobId, references: counted } of blobs) {
      const found = references.get(blobId) ?? 0;
      if (found !== counted) faults.push(`blob ${blobId} has ${found} references, the table says ${counted}`);
      references.delete(blobId);
    }
    for (const blobId of references.keys()) faults.push(`blob ${blobId} is referenced and not in the table`);
    const files = await listFiles(folder, 'blob');
    const expected = blobs
      .filter(({ location }) => location.kind === 'file')
      .map(({ blobId }) => Number(blobId));
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
    const segments = await readSpace(keys.KEY_SPACE.segment, (key, value) => ({
      segmentId: keys.segmentIdOfKey(key),
      ...values.decodeSegmentRow(key, value),
    }));
    const residents = await readSpace(keys.KEY_SPACE.resident, (key) => key.toString('hex'));
    faults.push(...auditSegments(blobs, segments, residents, await listFiles(folder, 'segment')));
    if (dead.some((blobId) => files.includes(blobId))) faults.push('a dead blob has a file');
    return faults;
  } finally {
    await database.close();
  }
}

interface AuditedBlob {
  readonly blobId: keys.BlobId;
  readonly location: values.BlobLocation;
  readonly length: number;
}

type AuditedSegment = values.SegmentRow & { readonly segmentId: keys.SegmentId };

function auditSegments(
  blobs: readonly AuditedBlob[],
  segments: readonly AuditedSegment[],
  residents: readonly string[],
  files: readonly number[],
): string[] {
  const faults: string[] = [];
  const live = new Map<number, number>();
  const expectedResidents = new Set<string>();
  const places: { segmentId: number; start: number; end: number }[] = [];
  for (const { blobId, location, length } of blobs) {
    if (location.kind === 'file') continue;
    const total = location.fragments.reduce((sum, fragment) => sum + fragment.length, 0);
    if (total !== length) faults.push(`blob ${blobId} has ${length} bytes, its fragments ${total}`);
    for (const fragment of location.fragments) {
      const bytes = fragmentBytes(fragment.length);
      live.set(fragment.segmentId, (live.get(fragment.segmentId) ?? 0) + bytes);
      expectedResidents.add(keys.residentKey(fragment.segmentId, blobId).toString('hex'));
      places.push({ segmentId: fragment.segmentId, start: fragment.offset, end: fragment.offset + bytes });
    }
  }
  places.sort((left, right) => left.segmentId - right.segmentId || left.start - right.start);
  places.forEach((place, index) => {
    const next = places[index + 1];
    if (next?.segmentId === place.segmentId && next.start < place.end)
      faults.push(`two fragments share bytes of segment ${place.segmentId} at ${next.start}`);
  });
  for (const { segmentId, liveBytes } of segments) {
    const found = live.get(segmentId) ?? 0;
    if (found !== liveBytes)
      faults.push(`segment ${segmentId} has ${found} bytes alive, the table says ${liveBytes}`);
    // The file of a dead one may be gone already.
    if (liveBytes > 0 && !files.includes(segmentId)) faults.push(`segment ${segmentId} has no file`);
    live.delete(segmentId);
  }
  for (const segmentId of live.keys()) faults.push(`segment ${segmentId} is not in the segment table`);
  for (const segmentId of files)
    if (!segments.some((segment) => segment.segmentId === segmentId))
      faults.push(`the file of segment ${segmentId} has no row`);
  if ([...expectedResidents].sort().join() !== [...residents].sort().join())
    faults.push('what is in which segment is not what the blobs say');
  return faults;
}

/** The rows of the segment table of a closed store. */
export async function readSegmentTable(folder: string): Promise<AuditedSegment[]> {
  const database = await openDatabase(folder, { createIfMissing: false, limits: DEFAULT_LIMITS });
  const segments: AuditedSegment[] = [];
  for await (const [key, value] of readRange(database, keys.spaceBounds(keys.KEY_SPACE.segment)))
    segments.push({ segmentId: keys.segmentIdOfKey(key), ...values.decodeSegmentRow(key, value) });
  await database.close();
  return segments;
}
