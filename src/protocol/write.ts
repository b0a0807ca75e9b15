/**
 * Write transactions and what one does to one object (DESIGN.md sections 3 and 4).
 *
 * `decideWrite` is the whole of what an OSD may refuse, and `applyWrite` the whole of what it changes; the store keeps
 * them durable, the simulation runs the same two functions on byte arrays.
 */
import { type Extent, extentEnd } from './extent.js';
import { invariant, unreachable } from './invariant.js';
import type { ObjectId } from './object-id.js';
import { type Epoch, EPOCH_NONE, type Tag, tagEpoch } from './tag.js';

/** What a transaction does to its object. */
export type WriteKind = 'replace' | 'range-write' | 'extend' | 'set-attributes' | 'remove';

/** Inside the object's present size, or growing it. */
export type WriteMode = 'overwrite' | 'extend';

/** One write, the same for every mirror. Offsets and lengths are bytes. */
export interface WriteTransaction {
  readonly setId: string;
  readonly epoch: Epoch;
  readonly tag: Tag;
  readonly objectId: ObjectId;
  readonly kind: WriteKind;
  /** The object's last tag as the writer knows it. Binding for range-write, extend and set-attributes; null otherwise. */
  readonly previousTag: Tag | null;
  /** Where the content goes; 0 for replace, set-attributes and remove. */
  readonly offset: number;
  /** Bytes of content; 0 for set-attributes and remove. */
  readonly length: number;
  readonly mode: WriteMode;
  /** The new attributes, or null to keep (range-write, extend) or to have none (remove). */
  readonly attributes: string | null;
  /** CRC32C of the content and of everything else that the transaction states; see `wire/`. */
  readonly checksum: number;
}

/** A row of the tag table: what some configured mirror may lack. */
export interface TagRow {
  readonly tag: Tag;
  readonly objectId: ObjectId;
  readonly kind: WriteKind;
  readonly mode: WriteMode;
  readonly offset: number;
  readonly length: number;
  readonly checksum: number;
  /** The commit sequence at which this store made the row durable. */
  readonly commitSequence: number;
  /** Unix time in ms at which this store made the row; shown to operators, used in no decision (F25). */
  readonly writtenMs: number;
}

/** What a mirror knows of an object, content aside. Null (see `ObjectState | null`) means that it knows of none. */
export type ObjectState =
  | {
      readonly kind: 'present';
      readonly sizeBytes: number;
      readonly lastTag: Tag;
      readonly lastChecksum: number;
      readonly attributes: string;
    }
  | { readonly kind: 'tombstone'; readonly lastTag: Tag; readonly lastChecksum: number };

/** Stable codes of what an OSD refuses (DESIGN.md section 4). */
export type WriteRefusalCode =
  'wrong-set' | 'stale-epoch' | 'not-active' | 'settled' | 'gap' | 'tag-conflict' | 'bad-transaction';

export type WriteVerdict =
  | { readonly kind: 'apply' }
  | { readonly kind: 'duplicate' }
  | { readonly kind: 'refuse'; readonly code: WriteRefusalCode; readonly lastTag: Tag | null };

/** Everything that `decideWrite` looks at. */
export interface WriteContext {
  readonly setId: string;
  /** The highest epoch that this store was fenced at; durable. */
  readonly fencedEpoch: Epoch;
  /** The epoch that was activated in this run of the OSD process; EPOCH_NONE after a restart and between fence and activation. */
  readonly activeEpoch: Epoch;
  /** The lowest tag that this tag's generator still has in flight, as far as this store was told; null: not told yet. */
  readonly floor: Tag | null;
  /** This tag's own row, if it is in the tag table. */
  readonly row: TagRow | null;
  readonly object: ObjectState | null;
}

function refuse(code: WriteRefusalCode, lastTag: Tag | null): WriteVerdict {
  return { kind: 'refuse', code, lastTag };
}

function isWellFormed(write: WriteTransaction): boolean {
  if (tagEpoch(write.tag) !== write.epoch) return false;
  if (!Number.isSafeInteger(write.offset) || !Number.isSafeInteger(write.length)) return false;
  if (!Number.isSafeInteger(extentEnd(write)) || write.offset < 0 || write.length < 0) return false;
  switch (write.kind) {
    case 'replace':
      return write.offset === 0 && write.attributes !== null;
    case 'range-write':
    case 'extend':
      return write.previousTag !== null;
    case 'set-attributes':
      return (
        write.previousTag !== null && write.length === 0 && write.offset === 0 && write.attributes !== null
      );
    case 'remove':
      return write.length === 0 && write.offset === 0 && write.attributes === null;
    default:
      return unreachable(write.kind);
  }
}

function decideOrder(object: ObjectState | null, write: WriteTransaction): WriteVerdict {
  const lastTag = object?.lastTag ?? null;
  switch (write.kind) {
    case 'replace':
    case 'remove':
      // F4, F20: what a later write has covered already is as good as applied.
      return lastTag !== null && write.tag <= lastTag ? { kind: 'duplicate' } : { kind: 'apply' };
    case 'range-write':
    case 'extend':
    case 'set-attributes': {
      // F4, F23: a write that builds on a state needs exactly that state.
      if (object?.kind !== 'present' || write.previousTag !== lastTag) return refuse('gap', lastTag);
      if (write.tag <= object.lastTag) return refuse('bad-transaction', lastTag);
      if (write.kind === 'extend' && write.offset !== object.sizeBytes) return refuse('gap', lastTag);
      if (write.offset > object.sizeBytes) return refuse('gap', lastTag);
      return { kind: 'apply' };
    }
    default:
      return unreachable(write.kind);
  }
}

/** Decides what an OSD does with a write: apply it, answer that it has it, or refuse it. DESIGN.md section 4. */
export function decideWrite(context: WriteContext, write: WriteTransaction): WriteVerdict {
  const lastTag = context.object?.lastTag ?? null;
  if (write.setId !== context.setId) return refuse('wrong-set', lastTag);
  if (!isWellFormed(write)) return refuse('bad-transaction', lastTag);
  if (write.epoch < context.fencedEpoch) return refuse('stale-epoch', lastTag);
  if (context.activeEpoch === EPOCH_NONE || write.epoch !== context.activeEpoch)
    return refuse('not-active', lastTag);
  if (context.row !== null) {
    return context.row.checksum === write.checksum ? { kind: 'duplicate' } : refuse('tag-conflict', lastTag);
  }
  if (context.object?.lastTag === write.tag) {
    return context.object.lastChecksum === write.checksum
      ? { kind: 'duplicate' }
      : refuse('tag-conflict', lastTag);
  }
  if (context.floor !== null && write.tag < context.floor) return refuse('settled', lastTag);
  return decideOrder(context.object, write);
}

/** What happens to the stored bytes. */
export type ContentEdit =
  | { readonly kind: 'replace-all' }
  | { readonly kind: 'splice'; readonly extent: Extent }
  | { readonly kind: 'keep' }
  | { readonly kind: 'drop' };

export interface WriteEffect {
  readonly object: ObjectState;
  readonly edit: ContentEdit;
}

/** The state that an admitted write leaves behind. Precondition: `decideWrite` said apply. */
export function applyWrite(object: ObjectState | null, write: WriteTransaction): WriteEffect {
  const stamp = { lastTag: write.tag, lastChecksum: write.checksum };
  if (write.kind === 'remove') return { object: { kind: 'tombstone', ...stamp }, edit: { kind: 'drop' } };
  if (write.kind === 'replace') {
    const attributes = write.attributes ?? '';
    const { length: sizeBytes, tag: lastTag, checksum: lastChecksum } = write;
    return {
      object: { kind: 'present', sizeBytes, attributes, lastTag, lastChecksum },
      edit: { kind: 'replace-all' },
    };
  }
  invariant(object?.kind === 'present', 'a write that builds on a state is applied to a present object', {
    tag: write.tag,
  });
  const attributes = write.attributes ?? object.attributes;
  if (write.kind === 'set-attributes') {
    return { object: { ...object, attributes, ...stamp }, edit: { kind: 'keep' } };
  }
  const sizeBytes = Math.max(object.sizeBytes, extentEnd(write));
  return {
    object: { kind: 'present', sizeBytes, attributes, ...stamp },
    edit: { kind: 'splice', extent: { offset: write.offset, length: write.length } },
  };
}

/** The row that goes into the same batch as the write itself (F7, F8). */
export function rowOfWrite(write: WriteTransaction, commitSequence: number, writtenMs: number): TagRow {
  return {
    tag: write.tag,
    objectId: write.objectId,
    kind: write.kind,
    mode: write.mode,
    offset: write.offset,
    length: write.length,
    checksum: write.checksum,
    commitSequence,
    writtenMs,
  };
}
