/**
 * One simulated OSD: the rules over a simulated disk. What it decides, the protocol decided; what it keeps is here.
 *
 * Commit order of a write under the real rules: one synced commit of content, state and row, then the reply.
 */
import type { AuthorityState, MirrorId } from '../../src/protocol/authority-state.js';
import type { FenceState, FenceVerdict } from '../../src/protocol/fence.js';
import type { AuthorityWitness } from '../../src/protocol/lost-authority.js';
import type { ObjectId } from '../../src/protocol/object-id.js';
import { FULL_COPY_DOUBT, type MirrorReport } from '../../src/protocol/recovery-plan.js';
import { type Epoch, EPOCH_NONE, type GeneratorId, type Tag, tagGenerator } from '../../src/protocol/tag.js';
import { makeToken, parseToken, type Witness } from '../../src/protocol/token.js';
import { rowOfWrite, type WriteEffect, type WriteTransaction } from '../../src/protocol/write.js';
import type { ClearBatch, MirrorRequest, MirrorResponse, ObjectCopy, PushRequest } from './messages.js';
import type { Rules } from './rules.js';
import {
  type DiskImage,
  isRotten,
  rotten,
  rowKey,
  rowsOf,
  SimulatedDisk,
  storeObject,
  type StoredObject,
} from './simulated-disk.js';
import { holds, mergePush, spliceBytes } from './content.js';

export const SET_ID = 'set-0';

export interface AppliedWrite {
  readonly mirror: MirrorId;
  readonly incarnation: string;
  readonly fencedEpoch: Epoch;
  readonly transaction: WriteTransaction;
  readonly previousTag: Tag | null;
}

export interface LandedPush {
  readonly target: MirrorId;
  readonly push: PushRequest;
  readonly targetLastTag: Tag | null;
  /** Bytes that travelled. */
  readonly byteCount: number;
  /** What the target had. */
  readonly before: StoredObject | null;
}

/** Tells the checkers what happened, as it happens. */
export interface MirrorObserver {
  onApplied(applied: AppliedWrite): void;
  onLanded(landed: LandedPush): void;
}

function laterOf(left: ReadonlyMap<ObjectId, Tag>, right: ReadonlyMap<ObjectId, Tag>): Map<ObjectId, Tag> {
  const latest = new Map(left);
  for (const [objectId, tag] of right) {
    const known = latest.get(objectId);
    if (known === undefined || known < tag) latest.set(objectId, tag);
  }
  return latest;
}

/** Where content is rotten once a write has gone over it. */
function rotAfter(stored: StoredObject | undefined, { edit }: WriteEffect): number | null {
  const rottenAt = stored?.rottenAt ?? null;
  if (rottenAt === null || edit.kind === 'replace-all' || edit.kind === 'drop') return null;
  return edit.kind === 'splice' && holds(edit.extent, rottenAt) ? null : rottenAt;
}

function isRottenWithin({ rottenAt }: StoredObject, content: PushRequest['content']): boolean {
  if (rottenAt === null) return false;
  return content.kind === 'whole' || content.extents.some((extent) => holds(extent, rottenAt));
}

/** Power fails in the middle of a write: the disk keeps what was committed so far. */
export class PowerFailure extends Error {}

export class SimulatedMirror {
  readonly id: MirrorId;
  readonly disk: SimulatedDisk;
  readonly #rules: Rules;
  readonly #observer: MirrorObserver;
  isUp = true;
  /** The clock of this host; nothing may depend on it (F25). */
  clockMs = 0;
  /** Power fails after this many more commits of a write; null: it does not. */
  commitsToPowerFailure: number | null = null;
  /** The disk has no room for content; what makes none bigger goes on. */
  isFull = false;
  #run = 1;
  #fence: FenceState;
  #floors = new Map<GeneratorId, Tag>();

  constructor(id: MirrorId, image: DiskImage, context: { rules: Rules; observer: MirrorObserver }) {
    this.id = id;
    this.disk = new SimulatedDisk(image);
    this.#rules = context.rules;
    this.#observer = context.observer;
    this.#fence = context.rules.reopenFence(image.fencedEpoch);
  }

  get incarnation(): string {
    return `${this.id}-run-${this.#run}`;
  }

  get fence(): FenceState {
    return this.#fence;
  }

  get floors(): ReadonlyMap<GeneratorId, Tag> {
    return this.#floors;
  }

  get #image(): DiskImage {
    return this.disk.image;
  }

  /** True when something is gone that the disk had promised to keep. */
  crash(survivors = 0, isTorn = false): boolean {
    this.isUp = false;
    this.commitsToPowerFailure = null;
    return this.disk.crash(survivors, isTorn);
  }

  restart(): void {
    this.isUp = true;
    this.#run += 1;
    this.#floors = new Map();
    this.#fence = this.#rules.reopenFence(this.#image.fencedEpoch);
  }

  /** The disk's medium changes a byte of an object's content by itself (F30). */
  rot(objectId: ObjectId): void {
    const stored = this.#image.objects.get(objectId);
    if (stored === undefined || stored.bytes.length === 0) throw new Error('nothing to rot');
    this.disk.decay(this.#withObject(objectId, rotten(stored)));
  }

  handle(request: MirrorRequest): MirrorResponse {
    switch (request.kind) {
      case 'write':
        return this.#write(request);
      case 'clear':
        return this.#clear(request.batch);
      case 'fence':
        if (!this.#rules.isMeantForRun(this.incarnation, request.run))
          return { kind: 'refused', code: 'stale-order' };
        return this.#moveFence(this.#rules.decideFence(this.#fence, request.epoch));
      case 'activate':
        return this.#moveFence(this.#rules.decideActivate(this.#fence, request.epoch));
      case 'advance':
        return this.#moveFence(this.#rules.decideAdvance(this.#fence, request.from, request.to));
      case 'rebuild':
        return this.#moveFence(this.#rules.decideRebuild(this.#fence, request.epoch));
      case 'report':
        return { kind: 'report', report: this.report(), witness: this.witness() };
      case 'keep-record':
        if (!this.#rules.isComparableAt(this.#fence, request.epoch))
          return { kind: 'refused', code: 'not-active' };
        // Within an epoch the authority gives them one after the other, each answered before the next, and nobody repeats one: none is late.
        if (!this.#hasLaterRecord(request.record))
          this.#commit({ authorityRecord: request.record }, { sync: true });
        return { kind: 'done' };
      case 'survey':
        if (!this.#mayBeCompared(request.epoch)) return { kind: 'refused', code: 'not-fenced' };
        return {
          kind: 'survey',
          survey: {
            copyCursor: this.#image.copyCursor,
            rows: [...this.#image.rows.values()],
            objects: this.#image.objects,
            forgotten: this.#image.forgotten,
          },
        };
      case 'copy-out':
        if (!this.#mayBeCompared(request.epoch)) return { kind: 'refused', code: 'not-fenced' };
        return this.#copyOut(request);
      case 'read':
        return this.#read(request.epoch, request.objectId);
      case 'heal':
        return this.#heal(request);
      case 'push':
        return this.#push(request.push);
      case 'begin-full-copy':
        if (!this.#rules.isRecoveringAt(this.#fence, request.epoch))
          return { kind: 'refused', code: 'not-fenced' };
        return this.#setFullCopy(request.epoch, {
          selfDoubt: FULL_COPY_DOUBT,
          storeId: request.storeId,
          copyCursor: null,
          authorityRecord: null,
        });
      case 'copy-cursor':
        return this.#setFullCopy(request.epoch, { copyCursor: request.cursor });
      case 'end-full-copy':
        return this.#setFullCopy(request.epoch, {
          selfDoubt: null,
          copyCursor: null,
          forgotten: laterOf(this.#image.forgotten, request.forgotten),
        });
      case 'drop-rows':
        return this.#dropRows(request);
    }
  }

  #hasLaterRecord({ epoch, revision = 0 }: AuthorityState): boolean {
    const kept = this.#image.authorityRecord;
    return kept !== null && kept.epoch === epoch && (kept.revision ?? 0) > revision;
  }

  /** What it knows of the authority (F31). */
  witness(): AuthorityWitness {
    const { fencedEpoch, blank, authorityRecord } = this.#image;
    return { mirror: this.id, fencedEpoch, blank, record: authorityRecord };
  }

  report(): MirrorReport {
    const { storeId, commitSequence, selfDoubt, blank, witnesses } = this.#image;
    return {
      mirror: this.id,
      storeId,
      incarnation: this.incarnation,
      commitSequence,
      selfDoubt,
      blank,
      witnesses: [...witnesses].map(([id, sequence]) => ({ storeId: id, commitSequence: sequence })),
    };
  }

  #commit(change: Partial<DiskImage>, options: { readonly sync: boolean }): void {
    if (this.commitsToPowerFailure === 0) {
      this.crash();
      throw new PowerFailure();
    }
    if (this.commitsToPowerFailure !== null) this.commitsToPowerFailure -= 1;
    this.disk.commit(change, options);
  }

  #withObject(objectId: ObjectId, object: StoredObject | null): Partial<DiskImage> {
    const objects = new Map(this.#image.objects);
    if (object === null) objects.delete(objectId);
    else objects.set(objectId, object);
    return { objects };
  }

  #write(request: Extract<MirrorRequest, { kind: 'write' }>): MirrorResponse {
    const { transaction, bytes, floor } = request;
    this.#clear({ epoch: transaction.epoch, clears: request.clears, floor });
    const { objectId, tag } = transaction;
    const stored = this.#image.objects.get(objectId);
    const row = this.#image.rows.get(rowKey(transaction)) ?? null;
    const verdict = this.#rules.decideWrite(
      {
        setId: SET_ID,
        fencedEpoch: this.#fence.fencedEpoch,
        activeEpoch: this.#fence.activeEpoch,
        floor: this.#floors.get(tagGenerator(tag)) ?? null,
        row,
        object: stored?.state ?? null,
      },
      transaction,
    );
    if (verdict.kind === 'refuse') return { kind: 'refused', code: verdict.code };
    const { selfDoubt } = this.#image;
    const isCopied = selfDoubt === FULL_COPY_DOUBT && !this.#rules.copiedTakeNoWrites;
    if (selfDoubt !== null && !isCopied) return { kind: 'refused', code: 'self-doubt' };
    if (this.isFull && verdict.kind === 'apply' && bytes.length > 0)
      return { kind: 'refused', code: 'no-space' };
    if (verdict.kind === 'apply') this.#apply(transaction, bytes, stored);
    return this.#committed(transaction);
  }

  #committed({ objectId, tag }: WriteTransaction): MirrorResponse {
    const { storeId, commitSequence, rows } = this.#image;
    const rowSequence = rows.get(rowKey({ objectId, tag }))?.commitSequence ?? commitSequence;
    return {
      kind: 'committed',
      token: makeToken({ storeId, commitSequence: rowSequence, tag, objectId }),
      witness: { storeId, commitSequence: rowSequence },
    };
  }

  #apply(transaction: WriteTransaction, bytes: Uint8Array, stored: StoredObject | undefined): void {
    const { objectId } = transaction;
    const effect = this.#rules.applyWrite(stored?.state ?? null, transaction);
    const commitSequence = this.#image.commitSequence + 1;
    const content = spliceBytes(stored?.bytes ?? new Uint8Array(), bytes, effect);
    const row = rowOfWrite(transaction, commitSequence, this.clockMs);
    const rows = new Map(this.#image.rows).set(rowKey(row), row);
    const rottenAt = rotAfter(stored, effect);
    const kept = rottenAt === null || stored?.kept === undefined ? {} : { kept: stored.kept };
    const after = { ...storeObject(effect.object, content), rottenAt, ...kept };
    const half = content.slice();
    const torn = stored?.bytes.slice(Math.ceil(content.length / 2)) ?? new Uint8Array();
    half.set(torn.subarray(0, Math.floor(content.length / 2)), Math.ceil(content.length / 2));
    const sync = { sync: this.#rules.syncsBeforeReply };
    const whole = { ...this.#withObject(objectId, after), rows, commitSequence, blank: false };
    switch (this.#rules.commitOrder) {
      case 'batch':
        this.#commit(whole, sync);
        break;
      case 'row-first': {
        const before = storeObject(effect.object, stored?.bytes ?? new Uint8Array());
        this.#commit({ ...whole, ...this.#withObject(objectId, before) }, sync);
        this.#commit(this.#withObject(objectId, storeObject(effect.object, half)), sync);
        this.#commit(this.#withObject(objectId, after), sync);
        break;
      }
      case 'data-first': {
        const early = stored === undefined ? null : storeObject(stored.state, content);
        this.#commit({ ...this.#withObject(objectId, early), blank: false }, sync);
        this.#commit(whole, sync);
        break;
      }
    }
    this.#observer.onApplied({
      mirror: this.id,
      incarnation: this.incarnation,
      fencedEpoch: this.#fence.fencedEpoch,
      transaction,
      previousTag: stored?.state.lastTag ?? null,
    });
  }

  #clear(batch: ClearBatch): MirrorResponse {
    let refusal: MirrorResponse | null = null;
    for (const { token: text, witnesses } of batch.clears) {
      const token = parseToken(text);
      const { commitSequence } = this.#image;
      const verdict = this.#rules.decideClear(
        { setId: SET_ID, storeId: this.#image.storeId, commitSequence, ...this.#fence },
        { setId: SET_ID, epoch: batch.epoch, token, witnesses },
      );
      if (verdict.kind === 'clear') this.#forgetRows([rowKey(token)], witnesses);
      else refusal = { kind: 'refused', code: verdict.code };
      if (verdict.kind === 'refuse' && verdict.code === 'state-lost') this.#doubt(verdict.code);
    }
    this.#floors.set(tagGenerator(batch.floor), this.#rules.raiseFloor(this.#floors, batch.floor));
    this.#dropTombstones();
    return refusal ?? { kind: 'done' };
  }

  /** This store has lost state: it takes no more writes, and says so for ever. */
  #doubt(reason: string): void {
    this.#fence = { ...this.#fence, activeEpoch: EPOCH_NONE };
    this.#commit({ selfDoubt: reason }, { sync: true });
  }

  #forgetRows(keys: readonly string[], witnesses: readonly Witness[]): void {
    const rows = new Map(this.#image.rows);
    for (const key of keys) rows.delete(key);
    const known = new Map(this.#image.witnesses);
    for (const { storeId, commitSequence } of witnesses) {
      known.set(storeId, Math.max(commitSequence, known.get(storeId) ?? 0));
    }
    this.#commit({ rows, witnesses: known }, { sync: false });
  }

  #dropTombstones(): void {
    for (const [objectId, { state }] of this.#image.objects) {
      if (state.kind !== 'tombstone') continue;
      const mayDrop = this.#rules.mayDropTombstone({
        lastTag: state.lastTag,
        hasRow: this.#image.rows.has(rowKey({ objectId, tag: state.lastTag })),
        floor: this.#floors.get(tagGenerator(state.lastTag)) ?? null,
        fencedEpoch: this.#fence.fencedEpoch,
        rebuilding: this.#fence.isRebuilding === true,
      });
      if (!mayDrop) continue;
      const forgotten = new Map(this.#image.forgotten).set(objectId, state.lastTag);
      this.#commit({ ...this.#withObject(objectId, null), forgotten }, { sync: false });
    }
  }

  #moveFence(verdict: FenceVerdict): MirrorResponse {
    if (verdict.kind === 'move') {
      const { fencedEpoch } = verdict.state;
      const commitSequence = this.#image.commitSequence + (this.#rules.countsFencesAsCommits ? 1 : 0);
      this.#commit({ fencedEpoch, commitSequence }, { sync: true });
      this.#fence = verdict.state;
    }
    return { kind: 'fence', verdict };
  }

  /** A source that was restarted since it was matched is another source: it may have been rolled back. */
  #mayBeCompared(epoch: Epoch): boolean {
    return !this.#rules.fencesSources || this.#rules.isComparableAt(this.#fence, epoch);
  }

  #copyOut({ objectId, content, isLossy }: Extract<MirrorRequest, { kind: 'copy-out' }>): MirrorResponse {
    const object = this.#image.objects.get(objectId) ?? null;
    const isDamaged = object !== null && isRottenWithin(object, content);
    if (isDamaged && isLossy !== true && this.#rules.checksPushedContent) return { kind: 'damaged' };
    const rows = rowsOf(this.#image, objectId);
    return {
      kind: 'copy',
      copy: { objectId, object, rows, forgotten: this.#image.forgotten.get(objectId) ?? null },
    };
  }

  #read(epoch: Epoch, objectId: ObjectId): MirrorResponse {
    if (!this.#rules.isReadableAt(this.#fence, epoch)) return { kind: 'refused', code: 'not-active' };
    const object = this.#image.objects.get(objectId) ?? null;
    if (object !== null && isRotten(object)) return { kind: 'damaged' };
    return { kind: 'content', object, forgotten: this.#image.forgotten.get(objectId) ?? null };
  }

  #heal({ heal, object }: Extract<MirrorRequest, { kind: 'heal' }>): MirrorResponse {
    const stored = this.#image.objects.get(object.objectId);
    const targetLastTag = stored?.state.kind === 'present' ? stored.state.lastTag : null;
    const verdict = this.#rules.decideHeal({ fence: this.#fence, targetLastTag }, heal);
    if (verdict.kind === 'refuse') return { kind: 'refused', code: verdict.code };
    if (stored === undefined || !isRotten(stored)) return { kind: 'done' };
    const healed = storeObject(stored.state, object.bytes);
    this.#commit(this.#withObject(object.objectId, healed), { sync: true });
    return { kind: 'done' };
  }

  #push(push: PushRequest): MirrorResponse {
    const { objectId } = push.copy;
    const present = this.#image.objects.get(objectId) ?? null;
    const targetLastTag = present?.state.lastTag ?? null;
    const verdict = this.#rules.decidePush({ fence: this.#fence, targetLastTag }, push);
    if (verdict.kind === 'refuse') return { kind: 'refused', code: verdict.code };
    const keeps = this.#rules.keepsWhatWasBefore ? undefined : (_: unknown, next: StoredObject) => next;
    const merged = mergePush(present, push, keeps);
    if (merged === 'no-base') return { kind: 'refused', code: merged };
    if (this.isFull && merged.byteCount > 0) return { kind: 'refused', code: 'no-space' };
    this.#land(push.copy, merged.object);
    const { byteCount } = merged;
    this.#observer.onLanded({ target: this.id, push, targetLastTag, byteCount, before: present });
    return { kind: 'done' };
  }

  #land(copy: ObjectCopy, object: StoredObject | null): void {
    const { objectId } = copy;
    const commitSequence = this.#image.commitSequence + 1;
    const rows = new Map(this.#image.rows);
    const present = rowsOf(this.#image, objectId);
    const lastTag = copy.object?.state.lastTag ?? null;
    for (const row of present) rows.delete(rowKey(row));
    for (const row of this.#rules.rowsAfterPush(present, { rows: copy.rows, lastTag })) {
      const isOwn = present.some(({ tag }) => tag === row.tag);
      rows.set(rowKey(row), isOwn ? row : { ...row, commitSequence });
    }
    const forgotten = new Map(this.#image.forgotten);
    if (copy.forgotten !== null) forgotten.set(objectId, copy.forgotten);
    this.#commit(
      { ...this.#withObject(objectId, object), rows, commitSequence, forgotten, blank: false },
      { sync: true },
    );
  }

  #setFullCopy(epoch: Epoch, change: Partial<DiskImage>): MirrorResponse {
    if (!this.#rules.isComparableAt(this.#fence, epoch)) return { kind: 'refused', code: 'not-fenced' };
    this.#commit(change, { sync: true });
    return { kind: 'done' };
  }

  #dropRows(request: Extract<MirrorRequest, { kind: 'drop-rows' }>): MirrorResponse {
    if (!this.#rules.mayDropRows(this.#fence, request.epoch)) return { kind: 'refused', code: 'not-fenced' };
    this.#forgetRows(request.rows.map(rowKey), request.witnesses);
    this.#commit({}, { sync: true });
    this.#dropTombstones();
    return { kind: 'done' };
  }
}
