/**
 * All versions of a bucket's keys: the listing of the current ones and that of the older ones, which have the same order, merged. All
 * versions of a key come in turn, newest first. A key that changes meanwhile may be listed as it was before or after.
 */
import type { ListEntry, ObjectStorage } from '../../gateway/object-storage.js';
import { compareUtf8 } from '../../protocol/object-id.js';
import { decodeObjectAttributes } from '../attributes.js';
import type { Bucket } from '../buckets.js';
import { isNullVersion, NULL_VERSION_ID, sortIdOf, versionsContainer } from './version-ids.js';
import { olderOfEntry, type StoredVersion, type VersionedObjects } from './versioned-objects.js';
import { entryName } from './visible-objects.js';

export type VersionEntry =
  | { readonly kind: 'version'; readonly key: string; readonly version: StoredVersion }
  | { readonly kind: 'common-prefix'; readonly prefix: string };

interface Bounds {
  readonly prefix: string;
  readonly after: string;
  readonly delimiter: string;
  /** Where to begin among the versions of `after`; null: behind all of them. */
  readonly afterVersion: string | null;
  readonly pageEntries: number;
}

async function* entriesOf(
  storage: ObjectStorage,
  container: string,
  bounds: Bounds,
): AsyncGenerator<ListEntry, void, undefined> {
  const { prefix, delimiter, pageEntries: limit } = bounds;
  let { after } = bounds;
  let afterVersion = bounds.afterVersion;
  for (;;) {
    const page = await storage.list({
      container,
      prefix,
      after,
      ...(afterVersion !== null && { afterVersion }),
      delimiter,
      limit,
    });
    yield* page.entries;
    const last = page.entries.at(-1);
    if (!page.truncated || last === undefined) return;
    after = entryName(last);
    afterVersion = last.kind === 'object' ? last.version : null;
  }
}

/** One look ahead in the older versions, which come in the order of their keys. */
class OlderVersions {
  readonly #entries: AsyncGenerator<ListEntry, void, undefined>;
  #next: ListEntry | null = null;
  #isAtEnd = false;

  constructor(entries: AsyncGenerator<ListEntry, void, undefined>) {
    this.#entries = entries;
  }

  /** Those of this key; what comes before it is passed over. */
  async *of(key: string, current: StoredVersion): AsyncGenerator<StoredVersion> {
    for (;;) {
      const entry = await this.#peek();
      if (entry === null) return;
      const order = compareUtf8(entryName(entry), key);
      if (order > 0) return;
      this.#next = null;
      if (order < 0 || entry.kind !== 'object') continue;
      const older = olderOfEntry(entry, current);
      if (older !== null) yield older;
    }
  }

  async #peek(): Promise<ListEntry | null> {
    if (this.#next !== null || this.#isAtEnd) return this.#next;
    const { value, done } = await this.#entries.next();
    this.#isAtEnd = done === true;
    this.#next = value ?? null;
    return this.#next;
  }
}

/** Behind which version of which key. */
export interface VersionMarker {
  readonly key: string;
  /** Null: behind all versions of the key. */
  readonly versionId: string | null;
}

export interface VersionListRequest {
  readonly prefix: string;
  readonly delimiter: string;
  readonly marker: VersionMarker;
  /** What is read at once. */
  readonly pageEntries: number;
}

export interface VersionSource {
  readonly storage: ObjectStorage;
  readonly versions: VersionedObjects;
  readonly bucket: Bucket;
}

/** The current version of the marker's key, where its versions are to be gone on with, and behind which of them. */
async function findMarked(
  { versions, bucket }: VersionSource,
  { key, versionId }: VersionMarker,
): Promise<{ current: StoredVersion; afterVersion: string } | null> {
  if (versionId === null || key === '') return null;
  const current = await versions.current({ bucket, key });
  if (current === null) return null;
  const { attributes } = current;
  if (versionId !== NULL_VERSION_ID) return { current, afterVersion: versionId };
  const sortId = isNullVersion(attributes) ? sortIdOf(attributes) : (attributes.version?.olderNullId ?? null);
  return sortId === null ? null : { current, afterVersion: sortId };
}

/** The versions of all keys in order, from behind the marker. */
export async function* listVersions(
  source: VersionSource,
  request: VersionListRequest,
): AsyncGenerator<VersionEntry, void, undefined> {
  const { prefix, delimiter, pageEntries } = request;
  const { storage } = source;
  const { key: after, versionId } = request.marker;
  const bounds = { prefix, delimiter, after, pageEntries };
  const { name, configuration } = source.bucket;
  const marked = await findMarked(source, { key: after, versionId });
  const afterVersion = marked?.afterVersion ?? null;
  // The current ones are read first: a version that leaves its place meanwhile is then among the older ones.
  const currents = entriesOf(storage, name, { ...bounds, afterVersion: null });
  const olders = new OlderVersions(entriesOf(storage, versionsContainer(name), { ...bounds, afterVersion }));
  if (marked !== null) {
    const { current } = marked;
    const key = after;
    if (sortIdOf(current.attributes) > marked.afterVersion) yield { kind: 'version', key, version: current };
    for await (const version of olders.of(key, current)) yield { kind: 'version', key, version };
  }
  for await (const entry of currents) {
    if (entry.kind === 'common-prefix') {
      yield entry;
      continue;
    }
    const { name: key, head } = entry;
    const current: StoredVersion = {
      head,
      attributes: decodeObjectAttributes(head.attributes),
      isCurrent: true,
    };
    yield { kind: 'version', key, version: current };
    if (configuration.versioning === 'unversioned') continue;
    for await (const version of olders.of(key, current)) yield { kind: 'version', key, version };
  }
}
