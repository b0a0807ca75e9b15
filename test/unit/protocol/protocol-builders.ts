/** Short ways to make the protocol's values in its unit tests. */
import {
  type AuthorityState,
  type MirrorId,
  newAuthorityState,
  toMirrorId,
} from '../../../src/protocol/authority-state.js';
import { makeObjectId } from '../../../src/protocol/object-id.js';
import type { MirrorReport } from '../../../src/protocol/recovery-plan.js';
import { makeTag, type Tag, toEpoch, toGeneratorId } from '../../../src/protocol/tag.js';
import { type StoreId, toStoreId } from '../../../src/protocol/token.js';
import type { ObjectState, TagRow, WriteKind, WriteTransaction } from '../../../src/protocol/write.js';

export const GENERATOR = toGeneratorId(1);
export const OBJECT = makeObjectId('bucket', 'a');
export const SET = 'set-0';

export const M0 = toMirrorId('M0');
export const M1 = toMirrorId('M1');
export const M2 = toMirrorId('M2');

export function tagOf(epoch: number, counter: number): Tag {
  return makeTag({ epoch: toEpoch(epoch), counter, generator: GENERATOR });
}

export function storeIdOf(index: number): StoreId {
  return toStoreId(index.toString(16).padStart(32, '0'));
}

/** A well-formed transaction of epoch 1. */
export function writeOf(kind: WriteKind, change: Partial<WriteTransaction> = {}): WriteTransaction {
  const buildsOnState = kind !== 'replace' && kind !== 'remove';
  return {
    setId: SET,
    epoch: toEpoch(1),
    tag: tagOf(1, 5),
    objectId: OBJECT,
    kind,
    previousTag: buildsOnState ? tagOf(1, 1) : null,
    offset: 0,
    length: kind === 'set-attributes' || kind === 'remove' ? 0 : 4,
    mode: 'overwrite',
    attributes: kind === 'replace' || kind === 'set-attributes' ? '{}' : null,
    checksum: 7,
    ...change,
  };
}

export function presentState(lastTag: Tag, sizeBytes = 10): ObjectState {
  return { kind: 'present', sizeBytes, lastTag, lastChecksum: 7, attributes: 'old' };
}

export function tombstone(lastTag: Tag): ObjectState {
  return { kind: 'tombstone', lastTag, lastChecksum: 7 };
}

export function rowOf(tag: Tag, change: Partial<TagRow> = {}): TagRow {
  return {
    tag,
    objectId: OBJECT,
    kind: 'replace',
    mode: 'overwrite',
    offset: 0,
    length: 4,
    checksum: 7,
    commitSequence: 1,
    writtenMs: 0,
    ...change,
  };
}

const MIRRORS: readonly MirrorId[] = [M0, M1, M2];

/** A set that is active at epoch 1 with stores 0, 1, ... in their first run, at the given sequences. */
export function activeState(mirrors: number, change: Partial<AuthorityState> = {}): AuthorityState {
  const ids = MIRRORS.slice(0, mirrors);
  return {
    ...newAuthorityState(SET, ids),
    epoch: toEpoch(1),
    phase: 'active',
    members: ids.map((mirror, index) => ({ mirror, storeId: storeIdOf(index), fullCopyReason: null })),
    inSync: ids,
    incarnations: Object.fromEntries(ids.map((mirror) => [mirror, `${mirror} run 1`])),
    ...change,
  };
}

/** What one of its mirrors reports, undisturbed. */
export function reportOf(mirror: MirrorId, change: Partial<MirrorReport> = {}): MirrorReport {
  return {
    mirror,
    storeId: storeIdOf(MIRRORS.indexOf(mirror)),
    incarnation: `${mirror} run 1`,
    commitSequence: 10,
    selfDoubt: null,
    blank: false,
    witnesses: [],
    ...change,
  };
}
