/**
 * What reconciliation lands on this store: one object's state, content and rows, in one synced batch.
 *
 * Commit order: as for a write (writes.ts): content in a synced blob first, then everything in one synchronous step.
 */
import { crc32c } from '@node-rs/crc32';
import { decidePush } from '../protocol/fence.js';
import { complementExtents, type Extent, extentBytes, extentEnd } from '../protocol/extent.js';
import type { Tag } from '../protocol/tag.js';
import { pointsTo, ContentEdit, placeContent } from './content-edit.js';
import { covers, cutMap, type ExtentMap, mapBytes, spliceExtent, type StoredExtent } from './extent-map.js';
import type { CommitBatch } from './group-commit.js';
import type { Push, PushReply } from './object-store.js';
import type { ObjectEntry } from './object-entry.js';
import { type Attempt, waitFor } from './object-turn.js';
import { hasLostBytes, mapOf, type StoredObject } from './records.js';
import { discardContent, type Stages, type StoredContent } from './stages.js';
import type { StoreCore } from './store-core.js';

type RefusalCode = Extract<PushReply, { kind: 'refused' }>['code'];

const NO_BYTES = Buffer.alloc(0);

/** Throws RangeError for a push that contradicts itself: its last tag is not its state's, or it has rows and no state. */
export async function performPush(core: StoreCore, stages: Stages, push: Push): Promise<PushReply> {
  const stateTag: Tag | null = push.state?.lastTag ?? null;
  if (push.lastTag !== stateTag) throw new RangeError('the last tag of a push is that of its state');
  if (push.state === null && push.rows.length > 0)
    throw new RangeError('an object that nobody knows has no rows');
  if (push.rows.some((row) => row.objectId !== push.objectId))
    throw new RangeError('a push has rows of its object');
  if (push.lost !== undefined && !lieWithin(push.lost, coveredExtents(push)))
    throw new RangeError('what is lost of a push is part of it');
  const pushing = new Pushing(core, stages, push);
  try {
    return await core.table.perform(push.objectId, (entry) => pushing.attempt(entry));
  } finally {
    pushing.cleanUp();
  }
}

/** The extents of the object that a push says something of. */
function coveredExtents({ state, content }: Push): readonly Extent[] {
  if (state?.kind !== 'present') return [];
  return content.kind === 'whole' ? [{ offset: 0, length: state.sizeBytes }] : content.extents;
}

function lieWithin(parts: readonly Extent[], extents: readonly Extent[]): boolean {
  return parts.every((part) =>
    extents.some((extent) => extent.offset <= part.offset && extentEnd(part) <= extentEnd(extent)),
  );
}

class Pushing {
  readonly #core: StoreCore;
  readonly #stages: Stages;
  readonly #push: Push;
  readonly #edit: ContentEdit;
  #admittedMap: ExtentMap = [];
  /** What came inside the push, once it was looked at: its checksum is computed once. */
  #inline: StoredContent | null = null;

  constructor(core: StoreCore, stages: Stages, push: Push) {
    this.#core = core;
    this.#stages = stages;
    this.#push = push;
    this.#edit = new ContentEdit(core);
  }

  cleanUp(): void {
    this.#edit.cleanUp(this.#admittedMap);
  }

  attempt(entry: ObjectEntry): Attempt<PushReply> {
    this.#core.assertUsable();
    const targetLastTag = entry.pending?.state.lastTag ?? null;
    const verdict = decidePush({ fence: this.#core.fence, targetLastTag }, this.#push);
    if (verdict.kind === 'refuse') return this.#refuse(entry, verdict.code);
    if (!entry.knowsAllRows) return { kind: 'wait', until: waitFor(() => this.#core.loadRows(entry)) };
    const content = this.#contentAtHand();
    if (content === null) return this.#refuse(entry, 'unknown-stage');
    if (
      content.contentChecksum !== this.#push.contentChecksum ||
      content.lengthBytes !== this.#statedBytes()
    ) {
      return this.#refuse(entry, 'checksum-mismatch');
    }
    const { state } = this.#push;
    if (state === null) return this.#admit(entry, null);
    if (state.kind === 'tombstone') return this.#admit(entry, { kind: 'tombstone', state });
    if (this.#edit.isOutOfSpace || !this.#hasRoom()) return this.#refuse(entry, 'no-space');
    const needStored = this.#edit.needStored(content);
    if (needStored !== null) return { kind: 'wait', until: needStored };
    const needFormat = (this.#push.lost ?? []).length === 0 ? null : this.#core.parts.format.needLostBytes();
    if (needFormat !== null) return { kind: 'wait', until: waitFor(needFormat) };
    const map = this.#newMap(entry, this.#edit.placed(content));
    if (map === null) return this.#refuse(entry, 'no-base');
    const needRewritten = this.#edit.needRewritten(map);
    if (needRewritten !== null) return { kind: 'wait', until: needRewritten };
    const next = { kind: 'present', state, map: this.#edit.rewritten(map) } as const;
    return this.#admit(entry, this.#keeping(entry, next));
  }

  #refuse(entry: ObjectEntry, code: RefusalCode): Attempt<PushReply> {
    const reply: PushReply = { kind: 'refused', code };
    const batch = entry.pendingBatch;
    return { kind: 'done', result: batch === null ? reply : batch.written.then(() => reply) };
  }

  #contentAtHand(): StoredContent | null {
    const { bytes: pushed } = this.#push;
    if (pushed.kind === 'stage') return this.#stages.peek(pushed.stageId);
    if (this.#inline === null) {
      const bytes = pushed.kind === 'bytes' ? pushed.bytes : NO_BYTES;
      const contentChecksum = crc32c(bytes);
      this.#inline = { source: { kind: 'inline', bytes }, lengthBytes: bytes.length, contentChecksum };
    }
    return this.#inline;
  }

  /** What was staged has its room already. */
  #hasRoom(): boolean {
    const { bytes } = this.#push;
    return bytes.kind !== 'bytes' || this.#core.parts.freeSpace.hasRoomFor(bytes.bytes.length);
  }

  /** How many bytes of content the push says that it has. */
  #statedBytes(): number {
    return extentBytes(coveredExtents(this.#push)) - extentBytes(this.#push.lost ?? []);
  }

  /** The target's own bytes with the pushed ones in place; null when they don't make a whole object. */
  #newMap(entry: ObjectEntry, content: StoredContent): ExtentMap | null {
    const { state, content: pushed } = this.#push;
    const sizeBytes = state?.kind === 'present' ? state.sizeBytes : 0;
    const isBased = pushed.kind === 'extents';
    if (isBased && entry.pending?.kind !== 'present') return null;
    let map: ExtentMap = isBased ? cutMap(mapOf(entry.pending), sizeBytes) : [];
    for (const part of this.#parts(content)) {
      if (part.offset > mapBytes(map)) return null;
      map = spliceExtent(map, part);
    }
    return covers(map, sizeBytes) ? map : null;
  }

  /** The pushed bytes where they belong, and what is lost, in order. */
  #parts(content: StoredContent): StoredExtent[] {
    const { lost = [] } = this.#push;
    const parts: StoredExtent[] = lost.map((extent) => ({ ...extent, source: { kind: 'lost' } }));
    let contentOffset = 0;
    for (const covered of coveredExtents(this.#push)) {
      for (const extent of complementExtents(lost, covered)) {
        parts.push(placeContent(content, contentOffset, extent));
        contentOffset += extent.length;
      }
    }
    return parts.sort((left, right) => left.offset - right.offset);
  }

  /** What there was before, beside bytes that are lost: the last of it that may be intact. */
  #keeping(entry: ObjectEntry, next: StoredObject & { kind: 'present' }): StoredObject {
    const before = entry.pending;
    if (before?.kind !== 'present' || hasLostBytes(before) || !hasLostBytes(next)) return next;
    // The same state once more: then only its bytes are worse than they were known to be.
    if (before.state.lastTag === next.state.lastTag) return next;
    return { ...next, kept: { state: before.state, map: before.map } };
  }

  #admit(entry: ObjectEntry, next: StoredObject | null): Attempt<PushReply> {
    const needReferences = this.#edit.needReferences(entry, next);
    if (needReferences !== null) return { kind: 'wait', until: needReferences };
    const { bytes } = this.#push;
    if (bytes.kind === 'bytes') this.#core.parts.freeSpace.admit(bytes.bytes.length);
    const batch = this.#core.commit.open();
    batch.countTransaction();
    this.#core.changeObject(batch, entry, next);
    this.#replaceRows(batch, entry);
    this.#admittedMap = mapOf(next);
    if (bytes.kind === 'stage') this.#useStage(bytes.stageId);
    return { kind: 'done', result: batch.written.then((): PushReply => ({ kind: 'landed' })) };
  }

  /** The source's rows take the place of the target's (F37), as rows that this store made durable now. */
  #replaceRows(batch: CommitBatch, entry: ObjectEntry): void {
    for (const row of entry.presentRows()) this.#core.deleteRow(batch, entry, row);
    const writtenMs = this.#core.parts.clock();
    for (const row of this.#push.rows) {
      this.#core.putRow(batch, entry, { ...row, commitSequence: batch.sequence, writtenMs });
    }
    this.#core.onRowsCleared(entry);
  }

  #useStage(stageId: string): void {
    const content = this.#stages.use(stageId);
    if (content.source.kind !== 'blob' || pointsTo(this.#admittedMap, content.source.blobId)) return;
    discardContent(this.#core, content);
  }
}
