/** The numbers of a state, and the names that the protocol gives them. */
import { type AuthorityState, type MirrorId, toMirrorId } from '../../../src/protocol/authority-state.js';
import type { FenceState } from '../../../src/protocol/fence.js';
import { makeObjectId } from '../../../src/protocol/object-id.js';
import { rowsAfterPush } from '../../../src/protocol/reconcile-plan.js';
import type { MirrorReport } from '../../../src/protocol/recovery-plan.js';
import {
  makeTag,
  type Tag,
  tagCounter,
  tagEpoch,
  toEpoch,
  toGeneratorId,
} from '../../../src/protocol/tag.js';
import { type StoreId, toStoreId } from '../../../src/protocol/token.js';
import type { ObjectState, TagRow, WriteKind, WriteTransaction } from '../../../src/protocol/write.js';
import { type Image, type Mirror, NONE, PRESENT, type State, TAGS_PER_EPOCH, type Write } from './state.js';

export const SET_ID = 'set';
export const OBJECT_ID = makeObjectId('bucket', 'a');
export const GENERATOR = toGeneratorId(1);
const TAGS_MAX = 256;
export const KINDS = ['replace', 'range-write', 'remove'] as const satisfies readonly WriteKind[];

const tags: readonly Tag[] = Array.from({ length: TAGS_MAX }, (_, number) =>
  makeTag({
    epoch: toEpoch(Math.floor(number / TAGS_PER_EPOCH)),
    counter: number % TAGS_PER_EPOCH,
    generator: GENERATOR,
  }),
);

export function tagOf(number: number): Tag {
  const tag = tags[number];
  if (tag === undefined) throw new RangeError(`no tag ${number}`);
  return tag;
}

export function tagOrNull(number: number): Tag | null {
  return number === 0 ? null : tagOf(number);
}

export function numberOfTag(tag: Tag | null): number {
  return tag === null ? 0 : tagEpoch(tag) * TAGS_PER_EPOCH + tagCounter(tag);
}

const ids: readonly MirrorId[] = [0, 1, 2].map((mirror) => toMirrorId(`M${mirror}`));
const stores: readonly StoreId[] = Array.from({ length: 32 }, (_, store) =>
  toStoreId(store.toString(16).padStart(32, '0')),
);

/** The member of a list that must be there. */
export function at<Item>(list: readonly Item[], index: number): Item {
  const item = list[index];
  if (item === undefined) throw new RangeError(`nothing at ${index}`);
  return item;
}

export function idOf(mirror: number): MirrorId {
  return at(ids, mirror);
}

export function numberOfMirror(id: MirrorId): number {
  return ids.indexOf(id);
}

export function storeIdOf(store: number): StoreId {
  return at(stores, store);
}

export function numberOfStore(id: StoreId): number {
  return Number.parseInt(id, 16);
}

export function membersOf(mask: number): number[] {
  return [0, 1, 2].filter((mirror) => (mask & (1 << mirror)) !== 0);
}

export function idsOf(mask: number): MirrorId[] {
  return membersOf(mask).map(idOf);
}

export function maskOf(mirrors: readonly MirrorId[]): number {
  return mirrors.reduce((mask, mirror) => mask | (1 << numberOfMirror(mirror)), 0);
}

function runOf(run: number): string {
  return `run-${run}`;
}

// --- protocol values of what a state has

export function fenceOf(mirror: Mirror): FenceState {
  const rebuilding = mirror.rebuilding === 1 ? { isRebuilding: true as const } : {};
  return {
    fencedEpoch: toEpoch(mirror.image.fenced),
    activeEpoch: toEpoch(mirror.active),
    ...(mirror.opened === 0 ? {} : { openedEpoch: toEpoch(mirror.opened) }),
    ...rebuilding,
  };
}

export function setFence(mirror: Mirror, fence: FenceState): void {
  mirror.image.fenced = fence.fencedEpoch;
  mirror.active = fence.activeEpoch;
  mirror.opened = fence.openedEpoch ?? 0;
  mirror.rebuilding = fence.isRebuilding === true ? 1 : 0;
}

/** Two halves of a byte each. A write's number is its checksum, but for a repetition it is never the same twice. */
export function objectOf(state: State, image: Image): ObjectState | null {
  if (image.object === NONE) return null;
  const lastTag = tagOf(image.lastTag);
  const lastChecksum = state.writes.findIndex(
    (write, number) => write.tag === image.lastTag && (image.right === number || image.left === number),
  );
  if (image.object === PRESENT)
    return {
      kind: 'present',
      sizeBytes: 2,
      lastTag,
      lastChecksum: Math.max(0, lastChecksum),
      attributes: '',
    };
  const removal = state.writes.findIndex((write) => write.tag === image.lastTag);
  return { kind: 'tombstone', lastTag, lastChecksum: removal };
}

export function transactionOf(write: Write, number: number): WriteTransaction {
  const kind = at(KINDS, write.kind);
  const lengths = { replace: 2, 'range-write': 1, remove: 0 };
  return {
    setId: SET_ID,
    epoch: toEpoch(write.epoch),
    tag: tagOf(write.tag),
    objectId: OBJECT_ID,
    kind,
    previousTag: kind === 'range-write' ? tagOrNull(write.previous) : null,
    offset: 0,
    length: lengths[kind],
    mode: 'overwrite',
    attributes: kind === 'replace' ? '' : null,
    checksum: number,
  };
}

export function rowOf(write: Write, number: number, commitSequence: number): TagRow {
  const { tag, objectId, kind, mode, offset, length, checksum } = transactionOf(write, number);
  return { tag, objectId, kind, mode, offset, length, checksum, commitSequence, writtenMs: 0 };
}

/** `uncertain`: the set of those that a push has left so, which the protocol says what is to become of. */
export function rowsOf(state: State, rows: readonly number[], uncertain: number): TagRow[] {
  return rows.flatMap((sequence, number) => {
    if (sequence === 0) return [];
    const row = rowOf(at(state.writes, number), number, sequence);
    return (uncertain & (1 << number)) === 0 ? [row] : rowsAfterPush([row], { rows: [], lastTag: row.tag });
  });
}

/** The set of those rows that are not what their writes made. */
export function uncertainOf(state: State, rows: readonly TagRow[]): number {
  return rows.reduce((set, row) => {
    const own = rowOf(at(state.writes, row.checksum), row.checksum, row.commitSequence);
    return own.offset === row.offset && own.kind === row.kind ? set : set | (1 << row.checksum);
  }, 0);
}

const DOUBTS = [null, 'full copy in progress', 'state-lost'];

export function reportOf(state: State, mirror: number): MirrorReport {
  const { image, run } = at(state.mirrors, mirror);
  return {
    mirror: idOf(mirror),
    storeId: storeIdOf(image.store),
    incarnation: runOf(run),
    commitSequence: image.sequence,
    selfDoubt: at(DOUBTS, image.doubt),
    blank: image.blank === 1,
    witnesses: image.witnesses.flatMap((sequence, store) =>
      sequence === 0 ? [] : [{ storeId: storeIdOf(store), commitSequence: sequence }],
    ),
  };
}

export function authorityOf({ authority }: State): AuthorityState {
  const { epoch, active, inSync, rebuilding, runs, sequences, stores: members } = authority;
  const byMirror = <Value>(valueOf: (mirror: number) => Value): Record<MirrorId, Value> =>
    Object.fromEntries(runs.map((_, mirror) => [idOf(mirror), valueOf(mirror)]));
  const known = Object.fromEntries(
    sequences.flatMap((sequence, mirror) => (sequence === 0 ? [] : [[idOf(mirror), sequence]])),
  );
  return {
    formatVersion: 1,
    setId: SET_ID,
    epoch: toEpoch(epoch),
    phase: active === 1 ? 'active' : 'recovering',
    members: members.map((store, mirror) => ({
      mirror: idOf(mirror),
      storeId: storeIdOf(store),
      fullCopyReason: at(authority.fullCopy, mirror) === 1 ? 'on record' : null,
      ...(at(authority.copyStores, mirror) === 0
        ? {}
        : { copyStoreId: storeIdOf(at(authority.copyStores, mirror)) }),
    })),
    inSync: idsOf(inSync),
    incarnations: byMirror((mirror) => runOf(at(runs, mirror))),
    cleanStop: null,
    sequences: known,
    ...(rebuilding === 0 ? {} : { rebuilding: idsOf(rebuilding) }),
  };
}

export function setAuthority(state: State, from: AuthorityState): void {
  const { authority } = state;
  authority.epoch = from.epoch;
  authority.active = from.phase === 'active' ? 1 : 0;
  authority.inSync = maskOf(from.inSync);
  authority.rebuilding = maskOf(from.rebuilding ?? []);
  from.members.forEach(({ storeId, fullCopyReason, copyStoreId }, mirror) => {
    authority.stores[mirror] = storeId === null ? 0 : numberOfStore(storeId);
    authority.fullCopy[mirror] = fullCopyReason === null ? 0 : 1;
    authority.copyStores[mirror] = copyStoreId === undefined ? 0 : numberOfStore(copyStoreId);
    authority.sequences[mirror] = from.sequences?.[idOf(mirror)] ?? 0;
    const run = from.incarnations[idOf(mirror)];
    authority.runs[mirror] = run === undefined ? 0 : Number(run.slice('run-'.length));
  });
}
