/** Listing of what is there to those who know nothing of versions: current versions that are no delete markers. */
import {
  LIST_LIMIT_MAX,
  type ListEntry,
  type ListRequest,
  type ObjectStorage,
} from '../../gateway/object-storage.js';
import { decodeListedAttributes } from '../attributes.js';

/** Pages that are read in search of something visible, before an answer says "more follow" without it. */
const SEARCH_PAGES_MAX = 100;
/** Common prefixes that are looked into at once. */
const CONCURRENT_PROBES_MAX = 16;
const PROBE_ENTRIES = 8;

export interface VisiblePage {
  readonly entries: readonly ListEntry[];
  /** Where the next page begins; null: nothing more follows. */
  readonly next: string | null;
}

export function entryName(entry: ListEntry): string {
  return entry.kind === 'object' ? entry.name : entry.prefix;
}

/** True when something under the prefix is visible, or when that is not known after a long search. */
async function hasVisible(storage: ObjectStorage, container: string, prefix: string): Promise<boolean> {
  let after = '';
  for (let pages = 0; pages < SEARCH_PAGES_MAX; pages += 1) {
    const limit = pages === 0 ? PROBE_ENTRIES : LIST_LIMIT_MAX;
    const page = await storage.list({ container, prefix, after, delimiter: '', limit });
    if (page.entries.some((entry) => entry.kind === 'object' && isVisibleObject(entry))) return true;
    const last = page.entries.at(-1);
    if (!page.truncated || last === undefined) return false;
    after = entryName(last);
  }
  return true;
}

function isVisibleObject(entry: ListEntry & { kind: 'object' }): boolean {
  return !decodeListedAttributes(entry.head.attributes).isDeleteMarker;
}

async function filterVisible(
  storage: ObjectStorage,
  container: string,
  entries: readonly ListEntry[],
): Promise<readonly ListEntry[]> {
  const visible: ListEntry[] = [];
  for (let start = 0; start < entries.length; start += CONCURRENT_PROBES_MAX) {
    const batch = entries.slice(start, start + CONCURRENT_PROBES_MAX);
    const verdicts = await Promise.all(
      batch.map(async (entry) =>
        entry.kind === 'object' ? isVisibleObject(entry) : hasVisible(storage, container, entry.prefix),
      ),
    );
    visible.push(...batch.filter((_entry, index) => verdicts[index] === true));
  }
  return visible;
}

export async function listVisible(storage: ObjectStorage, request: ListRequest): Promise<VisiblePage> {
  const found: ListEntry[] = [];
  let { after } = request;
  for (let pages = 0; pages < SEARCH_PAGES_MAX; pages += 1) {
    const wanted = request.limit + 1 - found.length;
    const page = await storage.list({ ...request, after, limit: Math.min(wanted, LIST_LIMIT_MAX) });
    found.push(...(await filterVisible(storage, request.container, page.entries)));
    const last = page.entries.at(-1);
    if (found.length > request.limit) {
      const entries = found.slice(0, request.limit);
      const lastShown = entries.at(-1);
      return { entries, next: lastShown === undefined ? null : entryName(lastShown) };
    }
    if (!page.truncated || last === undefined) return { entries: found, next: null };
    after = entryName(last);
  }
  return { entries: found, next: after };
}
