/**
 * One page of a listing over several mirror sets: each set's page, merged in the order of names.
 *
 * It ends where a set that holds more back has nothing left to give: what follows there is not known. An object that two sets have, because it is just
 * being moved, is listed once, as its home has it.
 */
import { compareUtf8 } from '../../protocol/object-id.js';
import type { ListEntry, ListPage } from '../object-storage.js';

export interface SetPage<SetId> {
  readonly set: SetId;
  readonly page: ListPage;
}

function nameOf(entry: ListEntry): string {
  return entry.kind === 'object' ? entry.name : entry.prefix;
}

/** By name, then by version; a common prefix is a name of its own. */
function compareEntries(left: ListEntry, right: ListEntry): number {
  const byName = compareUtf8(nameOf(left), nameOf(right));
  if (byName !== 0) return byName;
  if (left.kind === 'object' && right.kind === 'object') return compareUtf8(left.version, right.version);
  return Number(left.kind === 'object') - Number(right.kind === 'object');
}

/** `prefers` says whether the first set's word counts more for an object that both have. */
export function mergePages<SetId>(
  pages: readonly SetPage<SetId>[],
  limit: number,
  prefers: (entry: ListEntry, set: SetId) => boolean,
): ListPage {
  const cursors = pages.map(({ set, page }) => ({
    set,
    entries: page.entries,
    isTruncated: page.truncated,
    next: 0,
  }));
  const entries: ListEntry[] = [];
  for (;;) {
    let least: ListEntry | null = null;
    for (const { set, entries: candidates, next } of cursors) {
      const candidate = candidates[next];
      if (candidate === undefined) continue;
      const order = least === null ? -1 : compareEntries(candidate, least);
      if (order < 0 || (order === 0 && prefers(candidate, set))) least = candidate;
    }
    if (least === null) return { entries, truncated: false };
    if (entries.length === limit) return { entries, truncated: true };
    entries.push(least);
    let isCutOff = false;
    for (const cursor of cursors) {
      const candidate = cursor.entries[cursor.next];
      if (candidate === undefined || compareEntries(candidate, least) !== 0) continue;
      cursor.next += 1;
      isCutOff ||= cursor.isTruncated && cursor.next === cursor.entries.length;
    }
    if (isCutOff) return { entries, truncated: true };
  }
}
