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
import { ContentEdit, placeContent, pointsTo } from './content-edit.js';
import { type ExtentMap, spliceExtent } from './extent-map.js';
import type { BatchListener, CommitBatch } from './group-commit.js';
import type { ObjectEntry } from './object-entry.js';
import type { WriteOutcome, WriteReply, WriteRequest } from './object-store.js';
import { asError, type ObjectTask, type Wait, waitFor } from './object-turn.js';
import { mapOf, type StoredObject } from './records.js';
import { discardContent, type Stages, type StoredContent } from './stages.js';
import type { StoreCore } from './store-core.js';

const NO_BYTES = Buffer.alloc(0);
const NO_EXTENTS: ExtentMap = [];

type RefusalCode = Extract<WriteReply, { kind: 'refused' }>['code'];

/** Starts all of them, in order, and resolves once each has its outcome. Never rejects. */
export function performWrites(
  core: StoreCore,
  stages: Stages,
  requests: readonly WriteRequest[],
): Promise<readonly WriteOutcome[]> {
  return new Promise((resolve) => {
    const outcomes = new GatheredOutcomes(requests.length, resolve);
    // All are let in first: how content is stored goes by how many write at once.
    const isIn = requests.map((_, index) => isLetIn(core, outcomes, index));
    requests.forEach((request, index) => {
      if (isIn[index] !== true) return;
      const writing = new Writing(core, stages, request, (outcome) => {
        core.leave();
        outcomes.settle(index, outcome);
      });
      core.table.run(request.transaction.objectId, writing);
    });
  });
}

function isLetIn(core: StoreCore, outcomes: GatheredOutcomes, index: number): boolean {
  try {
    core.enter();
    return true;
  } catch (error) {
    outcomes.settle(index, { kind: 'failed', failure: asError(error) });
    return false;
  }
}

/** The outcomes of writes that came together. */
class GatheredOutcomes {
  readonly #outcomes: WriteOutcome[];
  readonly #whenAll: (outcomes: readonly WriteOutcome[]) => void;
  #missingCount: number;

  constructor(count: number, whenAll: (outcomes: readonly WriteOutcome[]) => void) {
    this.#outcomes = new Array<WriteOutcome>(count);
    this.#missingCount = count;
    this.#whenAll = whenAll;
    if (count === 0) whenAll([]);
  }

  settle(index: number, outcome: WriteOutcome): void {
    invariant(this.#outcomes[index] === undefined, 'a write has one outcome', { index });
    this.#outcomes[index] = outcome;
    this.#missingCount -= 1;
    if (this.#missingCount === 0) this.#whenAll(this.#outcomes);
  }
}

class Writing implements ObjectTask<ObjectEntry>, BatchListener {
  readonly #core: StoreCore;
  readonly #stages: Stages;
  readonly #request: WriteRequest;
  readonly #edit: ContentEdit;
  /** What the content is composed of, once it is looked up. */
  #composition: Composition | null = null;
  /** What came inside the transaction, once it was looked at: its checksum is computed once. */
  #inline: StoredContent | null = null;
  /** What was admitted; empty before that. */
  #admittedMap: ExtentMap = NO_EXTENTS;
  /** What is told once a batch is on disk. Null: that this store has the write already, by all that is committed then. */
  #reply: WriteReply | null = null;
  /** Called once. */
  readonly #settle: (outcome: WriteOutcome) => void;

  constructor(
    core: StoreCore,
    stages: Stages,
    request: WriteRequest,
    settle: (outcome: WriteOutcome) => void,
  ) {
    this.#core = core;
    this.#stages = stages;
    this.#request = request;
    this.#edit = new ContentEdit(core);
    this.#settle = settle;
  }

  #end(outcome: WriteOutcome): void {
    this.#edit.cleanUp(this.#admittedMap);
    this.#settle(outcome);
  }

  /** The batch that the reply waits for is on disk. */
  written(): void {
    this.#end(this.#reply ?? this.#committed(this.#core.commit.committedSequence, true));
  }

  fail(failure: Error): void {
    this.#end({ kind: 'failed', failure });
  }

  /** Ends the turn: the reply is told once that batch is on disk, or now. */
  #answer(batch: CommitBatch | null, reply: WriteReply | null): null {
    this.#reply = reply;
    if (batch === null) this.written();
    else batch.tell(this);
    return null;
  }

  attempt(entry: ObjectEntry): Wait | null {
    const { transaction, floor, content } = this.#request;
    this.#core.assertUsable();
    this.#core.hearFloor(transaction.setId, transaction.epoch, floor);
    const row = entry.row(transaction.tag);
    if (row === 'unknown') return waitFor(() => this.#core.loadRow(entry, transaction.tag));
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
  #refuse(entry: ObjectEntry, code: RefusalCode): null {
    const lastTag = entry.pending?.state.lastTag ?? null;
    return this.#answer(entry.pendingBatch, { kind: 'refused', code, lastTag });
  }

  /** A duplicate is durable too when it is answered. Without its row, it stands on all that is committed. */
  #answerDuplicate(entry: ObjectEntry, rowSequence: number | null): null {
    const reply = rowSequence === null ? null : this.#committed(rowSequence, true);
    return this.#answer(entry.pendingBatch, reply);
  }

  #committed(commitSequence: number, isDuplicate: boolean): WriteReply {
    const { tag, objectId } = this.#request.transaction;
    const token = makeToken({ storeId: this.#core.identity.storeId, commitSequence, tag, objectId });
    return { kind: 'committed', token, commitSequence, isDuplicate };
  }

  #apply(entry: ObjectEntry): Wait | null {
    const { transaction, content, contentChecksum } = this.#request;
    if (content.kind === 'compose') return this.#applyComposed(entry, content.sources);
    const arrived = this.#contentAtHand();
    if (arrived === null) return this.#refuse(entry, 'unknown-stage');
    if (arrived.lengthBytes !== transaction.length || arrived.contentChecksum !== contentChecksum) {
      return this.#refuse(entry, 'checksum-mismatch');
    }
    if (this.#edit.isOutOfSpace || !this.#hasRoom()) return this.#refuse(entry, 'no-space');
    const needStored = this.#edit.needStored(arrived);
    if (needStored !== null) return needStored;

    const effect = applyWrite(entry.pending?.state ?? null, transaction);
    if (effect.object.kind === 'tombstone')
      return this.#admit(entry, { kind: 'tombstone', state: effect.object });
    const map = editMap(mapOf(entry.pending), effect.edit, this.#edit.placed(arrived));
    const needRewritten = this.#edit.needRewritten(map);
    if (needRewritten !== null) return needRewritten;
    return this.#admit(entry, { kind: 'present', state: effect.object, map: this.#edit.rewritten(map) });
  }

  /** A copy shares the blobs of its sources. */
  #applyComposed(entry: ObjectEntry, sources: readonly ComposeSource[]): Wait | null {
    const { transaction, contentChecksum } = this.#request;
    if (transaction.kind !== 'replace') return this.#refuse(entry, 'bad-transaction');
    if (composedBytes(sources) !== transaction.length || crc32c(composeText(sources)) !== contentChecksum) {
      return this.#refuse(entry, 'checksum-mismatch');
    }
    if (this.#edit.isOutOfSpace) return this.#refuse(entry, 'no-space');
    if (this.#composition === null) {
      return waitFor(async () => {
        this.#composition = await composeMap(this.#core, sources);
      });
    }
    if (this.#composition.kind === 'source-changed') return this.#refuse(entry, 'source-changed');
    const { map } = this.#composition;
    const needRewritten = this.#edit.needRewritten(map);
    if (needRewritten !== null) return needRewritten;
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

  #admit(entry: ObjectEntry, next: StoredObject): Wait | null {
    const needReferences = this.#edit.needReferences(entry, next);
    if (needReferences !== null) return needReferences;
    const { transaction, content } = this.#request;
    if (content.kind === 'bytes') this.#core.parts.freeSpace.admit(content.bytes.length);
    const batch = this.#core.commit.open();
    batch.countTransaction();
    this.#core.changeObject(batch, entry, next);
    this.#core.putRow(batch, entry, rowOfWrite(transaction, batch.sequence, this.#core.parts.clock()));
    this.#admittedMap = mapOf(next);
    if (content.kind === 'stage') this.#useStage(content.stageId);
    return this.#answer(batch, this.#committed(batch.sequence, false));
  }

  #useStage(stageId: string): void {
    const content = this.#stages.use(stageId);
    if (content.source.kind !== 'blob' || pointsTo(this.#admittedMap, content.source.blobId)) return;
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
