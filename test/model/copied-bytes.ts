/**
 * What was copied by rows, against what rows said was missing: each object of each mirror once, as long as that mirror runs and is not
 * taken back. A recovery that trusts another mirror than the one before it may give a stale one an older history, and the next one the newer again.
 */
import { clipExtents, uniteExtents, extentBytes } from '../../src/protocol/extent.js';
import type { MirrorId } from '../../src/protocol/authority-state.js';
import type { ObjectId } from '../../src/protocol/object-id.js';
import type { ObjectEvidence } from '../../src/protocol/reconcile-plan.js';
import type { Tag } from '../../src/protocol/tag.js';
import type { TagRow } from '../../src/protocol/write.js';

/** What may be copied in all, in parts of what was unmatched. */
const SHARE_MAX = 1.05;

interface Missing {
  readonly unmatchedBytes: number;
  copiedBytes: number;
}

export class CopiedBytes {
  readonly #byPlace = new Map<string, Missing>();
  /** How often an object of a mirror was taken back, by mirror's run and object. */
  readonly #returns = new Map<string, number>();

  /** So much of an object is unmatched between what a mirror has and what it is to get. `run` names the mirror's process. */
  notePlan(place: Place, unmatchedBytes: number): void {
    const key = this.#keyOf(place);
    const known = this.#byPlace.get(key);
    const most = Math.max(known?.unmatchedBytes ?? 0, unmatchedBytes);
    this.#byPlace.set(key, { unmatchedBytes: most, copiedBytes: known?.copiedBytes ?? 0 });
  }

  /** Returns what is wrong with it, or null. */
  noteCopy(place: Place, byteCount: number): string | null {
    const known = this.#byPlace.get(this.#keyOf(place));
    if (isReturn(place)) this.#returns.set(objectOf(place), this.#returnsOf(place) + 1);
    if (byteCount === 0) return null;
    if (known === undefined) return `${place.target} gets ${byteCount} bytes that no row told of`;
    known.copiedBytes += byteCount;
    if (known.copiedBytes <= known.unmatchedBytes) return null;
    return `${place.target} gets ${known.copiedBytes} bytes where ${known.unmatchedBytes} were unmatched`;
  }

  #returnsOf(place: Place): number {
    return this.#returns.get(objectOf(place)) ?? 0;
  }

  #keyOf(place: Place): string {
    return `${objectOf(place)} ${this.#returnsOf(place)} ${String(place.from)} ${String(place.to)}`;
  }

  get unmatchedBytes(): number {
    return [...this.#byPlace.values()].reduce((sum, { unmatchedBytes }) => sum + unmatchedBytes, 0);
  }

  get copiedBytes(): number {
    return [...this.#byPlace.values()].reduce((sum, { copiedBytes }) => sum + copiedBytes, 0);
  }

  get isWithinShare(): boolean {
    return this.copiedBytes <= SHARE_MAX * this.unmatchedBytes;
  }
}

export interface Place {
  readonly target: MirrorId;
  readonly run: string;
  readonly objectId: ObjectId;
  /** The last tag that it has, and the one that it is to get. */
  readonly from: Tag | null;
  readonly to: Tag | null;
}

function objectOf({ run, objectId }: Place): string {
  return `${run} ${objectId}`;
}

function isReturn({ from, to }: Place): boolean {
  return from !== null && (to === null || to < from);
}

function nameOf({ tag, kind, offset, length }: TagRow): string {
  return `${tag} ${kind} ${offset} ${length}`;
}

/** The rows that not every mirror has. */
export function unmatchedOf({ mirrors }: ObjectEvidence): TagRow[] {
  const tables = mirrors.map(({ rows }) => rows);
  const names = tables.map((rows) => new Set(rows.map(nameOf)));
  return tables.flat().filter((row) => !names.every((table) => table.has(nameOf(row))));
}

/** The bytes of the source's content that those rows stand for. */
export function bytesOf(unmatched: readonly TagRow[], sizeBytes: number): number {
  if (unmatched.some(({ kind }) => kind === 'replace' || kind === 'remove')) return sizeBytes;
  return extentBytes(
    clipExtents(uniteExtents(unmatched.map(({ offset, length }) => ({ offset, length }))), sizeBytes),
  );
}
