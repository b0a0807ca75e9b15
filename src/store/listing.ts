/**
 * Ordered listing of objects, the summaries of a full copy, and the objects with lost bytes. All read LevelDB alone, so they see what is committed.
 *
 * A listing seeks past everything that it rolls up into a common prefix, so its cost follows the entries that it returns,
 * not the objects that lie under them. Names are compared by their UTF-8 bytes, which is the order of the keys.
 */
import { compareUtf8, makeObjectId, type ObjectId, parseObjectId } from '../protocol/object-id.js';
import type { ObjectSummary } from '../protocol/reconcile-plan.js';
import { asReadError, type Database, nextPage, readRange } from './database.js';
import { lostBytes } from './extent-map.js';
import { idOfKey, KEY_SPACE, lostKey, objectKey, spaceBounds, tombstoneKey } from './keys.js';
import type { LostObject, StoreListEntry, StoreListPage, StoreListRequest } from './object-store.js';
import { decodeObject, decodeObjectState, decodeTombstone } from './records.js';
import { keyAfter } from './tag-table.js';

const NAME_END = 0x00;

/** The first key behind all keys that begin with this one, whose last byte is not ff. */
function prefixEnd(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix);
  end[end.length - 1] = (end.at(-1) ?? 0) + 1;
  return end;
}

/** The keys of all objects of a container whose names begin with `prefix` are those that begin with this one. */
function namesKey(container: string, prefix: string): Buffer {
  return Buffer.concat([Buffer.of(KEY_SPACE.object), Buffer.from(`${container}\u0000${prefix}`)]);
}

/** What a name is rolled up into, or null. */
function commonPrefixOf(name: string, { prefix, delimiter }: StoreListRequest): string | null {
  if (delimiter === '') return null;
  const at = name.indexOf(delimiter, prefix.length);
  return at < 0 ? null : name.slice(0, at + delimiter.length);
}

/** The first key behind all versions of a name, or behind one of them. */
function behindName(container: string, name: string, version: string | undefined): Buffer {
  if (version === undefined)
    return prefixEnd(Buffer.concat([namesKey(container, name), Buffer.of(NAME_END)]));
  return keyAfter(objectKey(makeObjectId(container, name, version)));
}

/** The first key whose entry sorts after `request.after`. */
function startKey(request: StoreListRequest): Buffer {
  const { container, prefix, after, afterVersion } = request;
  const first = namesKey(container, prefix);
  if (after === '') return first;
  const rolledUp = after.startsWith(prefix) ? commonPrefixOf(after, request) : null;
  // What lies in the same common prefix as `after` would be listed as that prefix, which is not after `after`.
  const behind =
    rolledUp === null ? behindName(container, after, afterVersion) : prefixEnd(namesKey(container, rolledUp));
  return Buffer.compare(behind, first) > 0 ? behind : first;
}

export async function listObjects(database: Database, request: StoreListRequest): Promise<StoreListPage> {
  const lt = prefixEnd(namesKey(request.container, request.prefix));
  const gte = startKey(request);
  const entries: StoreListEntry[] = [];
  if (request.limit <= 0 || Buffer.compare(gte, lt) >= 0) return { entries, truncated: false };
  const pageEntries = Math.min(request.limit + 1, PAGE_ENTRIES_MAX);
  const iterator = database.iterator({ gte, lt, highWaterMarkBytes: PAGE_BYTES });
  try {
    for (;;) {
      const page = await nextPage(iterator, pageEntries);
      if (page.length === 0) return { entries, truncated: false };
      const target = takePage(page, request, entries);
      if (entries.length > request.limit)
        return { entries: entries.slice(0, request.limit), truncated: true };
      if (target === null) continue;
      if (Buffer.compare(target, lt) >= 0) return { entries, truncated: false };
      iterator.seek(target);
    }
  } finally {
    await iterator.close();
  }
}

const PAGE_ENTRIES_MAX = 256;
const PAGE_BYTES = 256 * 1024;

/** Adds a page's entries, one more than the limit at most. Returns where to go on reading, or null for "behind this page". */
function takePage(
  page: readonly (readonly [Buffer, Buffer])[],
  request: StoreListRequest,
  entries: StoreListEntry[],
): Buffer | null {
  let skipTo: Buffer | null = null;
  for (const [key, value] of page) {
    if (skipTo !== null && Buffer.compare(key, skipTo) < 0) continue;
    skipTo = null;
    if (entries.length > request.limit) return null;
    const id = idOfKey(key);
    const commonPrefix = request.delimiter === '' ? null : commonPrefixOf(parseObjectId(id).name, request);
    if (commonPrefix === null) {
      entries.push({ kind: 'object', id, state: decodeObjectState(key, value) });
    } else {
      entries.push({ kind: 'common-prefix', prefix: commonPrefix });
      skipTo = prefixEnd(namesKey(request.container, commonPrefix));
    }
  }
  return skipTo;
}

type Entries = AsyncGenerator<ObjectSummary, void, undefined>;

async function* objectSummaries(database: Database, after: ObjectId | null): Entries {
  const bounds = spaceBounds(KEY_SPACE.object);
  const gte = after === null ? bounds.gte : keyAfter(objectKey(after));
  for await (const [key, value] of readRange(database, { gte, lt: bounds.lt })) {
    const { lastTag, sizeBytes, lastChecksum } = decodeObjectState(key, value);
    yield { objectId: idOfKey(key), lastTag, sizeBytes, lastChecksum };
  }
}

async function* tombstoneSummaries(database: Database, after: ObjectId | null): Entries {
  const bounds = spaceBounds(KEY_SPACE.tombstone);
  const gte = after === null ? bounds.gte : keyAfter(tombstoneKey(after));
  for await (const [key, value] of readRange(database, { gte, lt: bounds.lt })) {
    const { lastTag, lastChecksum } = decodeTombstone(key, value).state;
    yield { objectId: idOfKey(key), lastTag, sizeBytes: null, lastChecksum };
  }
}

/** Objects with lost bytes, found by their marks. */
export async function readLostObjects(
  database: Database,
  after: ObjectId | null,
  limit: number,
): Promise<LostObject[]> {
  const bounds = spaceBounds(KEY_SPACE.lost);
  const gte = after === null ? bounds.gte : keyAfter(lostKey(after));
  const found: LostObject[] = [];
  for await (const [mark] of readRange(database, { gte, lt: bounds.lt })) {
    if (found.length === limit) break;
    const objectId = idOfKey(mark);
    const key = objectKey(objectId);
    const value = await database.get(key).catch((error: unknown) => {
      throw asReadError(error);
    });
    if (value === undefined) continue; // it was written again meanwhile
    const { state, map, kept } = decodeObject(key, value);
    found.push({ objectId, state, lostBytes: lostBytes(map), kept: kept?.state ?? null });
  }
  return found;
}

/** Objects and tombstones, merged in order of their ids. */
export async function readSummaries(
  database: Database,
  after: ObjectId | null,
  limit: number,
): Promise<ObjectSummary[]> {
  const objects = objectSummaries(database, after);
  const tombstones = tombstoneSummaries(database, after);
  const summaries: ObjectSummary[] = [];
  try {
    let [object, tombstone] = [await objects.next(), await tombstones.next()];
    while (summaries.length < limit) {
      const isObjectNext =
        object.done !== true &&
        (tombstone.done === true || compareUtf8(object.value.objectId, tombstone.value.objectId) <= 0);
      if (isObjectNext && object.done !== true) {
        summaries.push(object.value);
        object = await objects.next();
      } else if (tombstone.done !== true) {
        summaries.push(tombstone.value);
        tombstone = await tombstones.next();
      } else break;
    }
  } finally {
    await Promise.all([objects.return(), tombstones.return()]);
  }
  return summaries;
}
