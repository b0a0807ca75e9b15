/**
 * Write transactions on the store. `decideWrite` and `applyWrite` are the rules; here they are made durable.
 *
 * Commit order: content that is too large for a record is in a synced blob first (stages.ts, content-edit.ts); then the
 * verdict, the new record, the row and the blob counts go into the open batch in one synchronous step; the answer
 * follows when that batch is on disk. A write that has to fetch or copy something keeps its turn at the object
 * meanwhile, and is judged anew afterwards, because a fence may have come between.
 */
import { crc32c } from '@node-rs/crc32';
import { composedBytes, type ComposeSource, composeText } from '../protocol/compose.js';
import { invariant, unreachable } from '../protocol/invariant.js';
import { makeToken } from '../protocol/token.js';
import {
  applyWrite,
  type ContentEdit as EditKind,
  decideWrite,
  rowOfWrite,
  type WriteVerdict,
} from '../protocol/write.js';
import { composeMap, type Composition } from './composition.js';
import { blobsOf, ContentEdit, placeContent } from './content-edit.js';
import { type ExtentMap, spliceExtent } from './extent-map.js';
import type { Attempt, ObjectEntry } from './object-table.js';
import type { WriteReply, WriteRequest } from './object-store.js';
import { mapOf, type StoredObject } from './records.js';
import { discardContent, type Stages, type StoredContent } from './stages.js';
import type { StoreCore } from './store-core.js';

const NO_BYTES = Buffer.alloc(0);

type RefusalCode = Extract<WriteReply, { kind: 'refused' }>['code'];

export function performWrite(core: StoreCore, stages: Stages, request: WriteRequest): Promise<WriteReply> {
  const writing = new Writing(core, stages, request);
  return core.table
    .perform(request.transaction.objectId, (entry) => writing.attempt(entry))
    .then(
      (reply) => {
        writing.cleanUp();
        return reply;
      },
      (error: unknown) => {
        writing.cleanUp();
        throw error;
      },
    );
}

class Writing {
  readonly #core: StoreCore;
  readonly #stages: Stages;
  readonly #request: WriteRequest;
  readonly #edit: ContentEdit;
  /** What the content is composed of, once it is looked up. */
  #composition: Composition | null = null;
  /** What came inside the transaction, once it was looked at: its checksum is computed once. */
  #inline: StoredContent | null = null;
  /** What was admitted; empty before that. */
  #admittedMap: ExtentMap = [];

  constructor(core: StoreCore, stages: Stages, request: WriteRequest) {
    this.#core = core;
    this.#stages = stages;
    this.#request = request;
    this.#edit = new ContentEdit(core);
  }

  cleanUp(): void {
    this.#edit.cleanUp(this.#admittedMap);
  }

  attempt(entry: ObjectEntry): Attempt<WriteReply> {
    const { transaction, floor, content } = this.#request;
    this.#core.assertUsable();
    this.#core.hearFloor(transaction.setId, transaction.epoch, floor);
    const row = entry.row(transaction.tag);
    if (row === 'unknown') return { kind: 'wait', until: () => this.#core.loadRow(entry, transaction.tag) };
    const verdict = this.#judge(entry, row);
    if (verdict.kind === 'refuse') return this.#refuse(entry, verdict.code);
    if (this.#core.selfDoubt !== null) return this.#refuse(entry, 'self-doubt');
    if (verdict.kind === 'apply') return this.#apply(entry);
    if (content.kind === 'stage') this.#stages.discard(content.stageId);
    return this.#answerDuplicate(entry, row?.commitSequence ?? null);
  }

  #judge(entry: ObjectEntry, row: ReturnType<ObjectEntry['row']> & (object | null)): WriteVerdict {
    const { transaction } = this.#request;
    const { fence, identity } = this.#core;
    const object = entry.pending?.state ?? null;
    const floor = this.#core.floorOf(transaction.tag);
    const { fencedEpoch, activeEpoch } = fence;
    return decideWrite({ setId: identity.setId, fencedEpoch, activeEpoch, floor, row, object }, transaction);
  }

  /** What was decided from a state is told once that state is on disk. */
  #refuse(entry: ObjectEntry, code: RefusalCode): Attempt<WriteReply> {
    const reply: WriteReply = { kind: 'refused', code, lastTag: entry.pending?.state.lastTag ?? null };
    const batch = entry.pendingBatch;
    return { kind: 'done', result: batch === null ? reply : batch.written.then(() => reply) };
  }

  /** A duplicate is durable too when it is answered. Without its row, it stands on all that is committed. */
  #answerDuplicate(entry: ObjectEntry, rowSequence: number | null): Attempt<WriteReply> {
    const answer = (): WriteReply =>
      this.#committed(rowSequence ?? this.#core.commit.committedSequence, true);
    const batch = entry.pendingBatch;
    return { kind: 'done', result: batch === null ? answer() : batch.written.then(answer) };
  }

  #committed(commitSequence: number, isDuplicate: boolean): WriteReply {
    const { tag, objectId } = this.#request.transaction;
    const token = makeToken({ storeId: this.#core.identity.storeId, commitSequence, tag, objectId });
    return { kind: 'committed', token, commitSequence, isDuplicate };
  }

  #apply(entry: ObjectEntry): Attempt<WriteReply> {
    const { transaction, content, contentChecksum } = this.#request;
    if (content.kind === 'compose') return this.#applyComposed(entry, content.sources);
    const arrived = this.#contentAtHand();
    if (arrived === null) return this.#refuse(entry, 'unknown-stage');
    if (arrived.lengthBytes !== transaction.length || arrived.contentChecksum !== contentChecksum) {
      return this.#refuse(entry, 'checksum-mismatch');
    }
    if (this.#edit.isOutOfSpace || !this.#hasRoom()) return this.#refuse(entry, 'no-space');
    const needStored = this.#edit.needStored(arrived);
    if (needStored !== null) return { kind: 'wait', until: needStored };

    const effect = applyWrite(entry.pending?.state ?? null, transaction);
    if (effect.object.kind === 'tombstone')
      return this.#admit(entry, { kind: 'tombstone', state: effect.object });
    const map = editMap(mapOf(entry.pending), effect.edit, this.#edit.stored(arrived));
    const needRewritten = this.#edit.needRewritten(map);
    if (needRewritten !== null) return { kind: 'wait', until: needRewritten };
    return this.#admit(entry, { kind: 'present', state: effect.object, map: this.#edit.rewritten(map) });
  }

  /** A copy shares the blobs of its sources. */
  #applyComposed(entry: ObjectEntry, sources: readonly ComposeSource[]): Attempt<WriteReply> {
    const { transaction, contentChecksum } = this.#request;
    if (transaction.kind !== 'replace') return this.#refuse(entry, 'bad-transaction');
    if (composedBytes(sources) !== transaction.length || crc32c(composeText(sources)) !== contentChecksum) {
      return this.#refuse(entry, 'checksum-mismatch');
    }
    if (this.#edit.isOutOfSpace) return this.#refuse(entry, 'no-space');
    if (this.#composition === null) {
      return {
        kind: 'wait',
        until: async () => {
          this.#composition = await composeMap(this.#core, sources);
        },
      };
    }
    if (this.#composition.kind === 'source-changed') return this.#refuse(entry, 'source-changed');
    const { map } = this.#composition;
    const needRewritten = this.#edit.needRewritten(map);
    if (needRewritten !== null) return { kind: 'wait', until: needRewritten };
    const effect = applyWrite(entry.pending?.state ?? null, transaction);
    invariant(effect.object.kind === 'present', 'a replacement leaves an object', { tag: transaction.tag });
    return this.#admit(entry, { kind: 'present', state: effect.object, map: this.#edit.rewritten(map) });
  }

  #contentAtHand(): StoredContent | null {
    const { content } = this.#request;
    if (content.kind === 'stage') return this.#stages.peek(content.stageId);
    if (this.#inline === null) {
      const bytes = content.kind === 'bytes' ? content.bytes : NO_BYTES;
      const contentChecksum = crc32c(bytes);
      this.#inline = { source: { kind: 'inline', bytes }, lengthBytes: bytes.length, contentChecksum };
    }
    return this.#inline;
  }

  #hasRoom(): boolean {
    const { transaction } = this.#request;
    return transaction.kind === 'remove' || this.#core.parts.freeSpace.hasRoomFor(transaction.length);
  }

  #admit(entry: ObjectEntry, next: StoredObject): Attempt<WriteReply> {
    const needReferences = this.#edit.needReferences(entry, next);
    if (needReferences !== null) return { kind: 'wait', until: needReferences };
    const { transaction, content } = this.#request;
    if (content.kind === 'bytes') this.#core.parts.freeSpace.admit(content.bytes.length);
    const batch = this.#core.commit.open();
    batch.countTransaction();
    this.#core.changeObject(batch, entry, next);
    this.#core.putRow(batch, entry, rowOfWrite(transaction, batch.sequence, this.#core.parts.clock()));
    this.#admittedMap = mapOf(next);
    if (content.kind === 'stage') this.#useStage(content.stageId);
    const reply = this.#committed(batch.sequence, false);
    return { kind: 'done', result: batch.written.then(() => reply) };
  }

  #useStage(stageId: string): void {
    const content = this.#stages.use(stageId);
    if (content.source.kind !== 'blob' || blobsOf(this.#admittedMap).has(content.source.blobId)) return;
    discardContent(this.#core, content); // copied together with its neighbours
  }
}

function editMap(map: ExtentMap, edit: EditKind, content: StoredContent): ExtentMap {
  switch (edit.kind) {
    case 'replace-all':
      if (content.lengthBytes === 0) return [];
      return [placeContent(content, 0, { offset: 0, length: content.lengthBytes })];
    case 'splice':
      return spliceExtent(map, placeContent(content, 0, edit.extent));
    case 'keep':
      return map;
    case 'drop':
      return [];
    default:
      return unreachable(edit);
  }
}
