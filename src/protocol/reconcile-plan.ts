/**
 * Recovery, steps 4 and 5: what to copy (DESIGN.md section 5).
 *
 * Tag tables are read in order of object id, then tag, from every mirror that takes part; `ObjectEvidence` gathers what
 * they say of one object.
 */
import type { MirrorId } from './authority-state.js';
import { type Extent, uniteExtents } from './extent.js';
import { invariant } from './invariant.js';
import type { ObjectId } from './object-id.js';
import { isLater, type Tag } from './tag.js';
import type { TagRow } from './write.js';

/** One mirror's word on one object. */
export interface MirrorEvidence {
  readonly mirror: MirrorId;
  /** This mirror's rows for the object, by tag. */
  readonly rows: readonly TagRow[];
  /** The object's last tag there (a tombstone's included), null when the mirror knows nothing of it. */
  readonly lastTag: Tag | null;
  /** Present size in bytes; 0 when there is none. */
  readonly sizeBytes: number;
}

export interface ObjectEvidence {
  readonly objectId: ObjectId;
  /** One entry for every mirror that takes part. */
  readonly mirrors: readonly MirrorEvidence[];
}

function sameRow(left: TagRow, right: TagRow): boolean {
  return (
    left.tag === right.tag &&
    left.offset === right.offset &&
    left.length === right.length &&
    left.kind === right.kind
  );
}

/** The rows that are not on every participating mirror with the same tag and range (F3, F6), one of each tag and range. */
export function unmatchedRows(evidence: readonly (readonly TagRow[])[]): TagRow[] {
  const unmatched: TagRow[] = [];
  for (const rows of evidence) {
    for (const row of rows) {
      const onAll = evidence.every((others) => others.some((other) => sameRow(row, other)));
      if (!onAll && !unmatched.some((known) => sameRow(known, row))) unmatched.push(row);
    }
  }
  return unmatched;
}

export interface ObjectRepair {
  readonly objectId: ObjectId;
  readonly source: MirrorId;
  /** The targets with the last tag that each had when the rows were matched: a push lands by compare-and-set on it (F36). */
  readonly targets: readonly { readonly mirror: MirrorId; readonly lastTag: Tag | null }[];
  /** All content and attributes, or just those extents of the source's content, not yet clipped to its size. */
  readonly content:
    { readonly kind: 'whole' } | { readonly kind: 'extents'; readonly extents: readonly Extent[] };
}

/** The trusted mirror with the highest last tag (F6); the first of several equal ones. */
export function chooseSource<Evidence extends MirrorEvidence>(
  mirrors: readonly Evidence[],
  trusted: readonly MirrorId[],
): Evidence {
  const [first, ...others] = mirrors.filter((evidence) => trusted.includes(evidence.mirror));
  invariant(first !== undefined, 'I5: bytes flow from a trusted mirror', { trusted });
  let source = first;
  for (const candidate of others) if (isLater(candidate.lastTag, source.lastTag)) source = candidate;
  return source;
}

/**
 * What to copy for one object, or null when nothing differs. The source is the trusted mirror with the highest last tag, whoever holds rows
 * (F1, F2). A mirror with the same last tag has the same content. Everyone else gets the union of all unmatched ranges
 * from that one source, with its last tag, in one batch (F5).
 */
export function planObject(evidence: ObjectEvidence, trusted: readonly MirrorId[]): ObjectRepair | null {
  const unmatched = unmatchedRows(evidence.mirrors.map((mirror) => mirror.rows));
  if (unmatched.length === 0) return null;
  const source = chooseSource(evidence.mirrors, trusted);
  const targets = evidence.mirrors
    .filter((mirror) => mirror.lastTag !== source.lastTag)
    .map(({ mirror, lastTag }) => ({ mirror, lastTag }));
  if (targets.length === 0) return null;
  const { objectId } = evidence;
  if (unmatched.some((row) => row.kind === 'replace' || row.kind === 'remove')) {
    return { objectId, source: source.mirror, targets, content: { kind: 'whole' } };
  }
  const extents = uniteExtents(unmatched.map(({ offset, length }) => ({ offset, length })));
  return { objectId, source: source.mirror, targets, content: { kind: 'extents', extents } };
}

/** One side's rows of an object, and its last tag of it. */
export interface ObjectRows {
  readonly rows: readonly TagRow[];
  readonly lastTag: Tag | null;
}

/**
 * A row that the target had and the source has not. Either the source had that write and cleared its row, or it never had
 * it and the push has undone it; nobody can tell. So it says "somebody may lack all of this object", and equals no row that a
 * write makes (a replace begins at 0): beside the very row of that write on a third mirror, which has its content, it would pass
 * for the content here, and what is copied would be too little.
 */
function uncertain(row: TagRow): TagRow {
  return { ...row, kind: 'replace', mode: 'overwrite', offset: UNCERTAIN_OFFSET, length: 0 };
}

const UNCERTAIN_OFFSET = 1;

/**
 * The rows that a target has for an object once a push has landed: the source's (F37), and its own as far as they may
 * name writes that the source has too. Its own are **not** dropped because the source has none: the source cleared that
 * row with a witness of its peers, which the target does not have, so a peer's later rollback would go unnoticed (F17).
 * They stay as rows that match none. What is later than the source's last tag the push has undone, and all of it when the
 * source knows nothing of the object.
 */
export function rowsAfterPush(target: readonly TagRow[], source: ObjectRows): TagRow[] {
  const kept = target.filter(
    (row) => !isLater(row.tag, source.lastTag) && !source.rows.some(({ tag }) => tag === row.tag),
  );
  return [...kept.map(uncertain), ...source.rows].sort((left, right) => (left.tag < right.tag ? -1 : 1));
}

/** How one object stands on one side of a full copy. */
export interface ObjectSummary {
  readonly objectId: ObjectId;
  readonly lastTag: Tag;
  /** Null for a tombstone. */
  readonly sizeBytes: number | null;
  readonly lastChecksum: number;
}

/** How far a full copy has come, as its target has it on disk. */
export interface FullCopyCursor {
  /** Every object up to this one is what some source had since the copy began. */
  readonly objectId: ObjectId;
  /** Objects and tombstones that were compared since it began. */
  readonly objectsCompared: number;
}

/** True when a full copy has nothing to do for an object that both sides have (section 5.5). */
export function sameSummary(left: ObjectSummary, right: ObjectSummary): boolean {
  return (
    left.lastTag === right.lastTag &&
    left.sizeBytes === right.sizeBytes &&
    left.lastChecksum === right.lastChecksum
  );
}
