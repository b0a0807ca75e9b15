/** What one mirror does, by the rules, on a state that may be changed. */
import type { ClearVerdict, Witness } from '../../../src/protocol/token.js';
import { tagEpoch, toEpoch } from '../../../src/protocol/tag.js';
import type { FenceVerdict } from '../../../src/protocol/fence.js';
import type { WriteTransaction, WriteVerdict } from '../../../src/protocol/write.js';
import type { Rules } from '../rules.js';
import {
  at,
  fenceOf,
  GENERATOR,
  idOf,
  numberOfStore,
  numberOfTag,
  OBJECT_ID,
  objectOf,
  rowOf,
  rowsOf,
  SET_ID,
  setFence,
  storeIdOf,
  tagOf,
  tagOrNull,
  transactionOf,
  uncertainOf,
} from './names.js';
import { type Image, NONE, PRESENT, type State, TOMBSTONE } from './state.js';

export interface Context {
  readonly rules: Rules;
  readonly violate: (text: string) => void;
}

const LEFT_HALF_ONLY = 'splice';

export function receiveWrite(
  { rules, violate }: Context,
  state: State,
  { mirror: number, write: index }: { readonly mirror: number; readonly write: number },
): WriteVerdict {
  const mirror = at(state.mirrors, number);
  const { image } = mirror;
  const transaction = transactionOf(at(state.writes, index), index);
  const rowIndex = image.rows.findIndex(
    (sequence, other) => sequence > 0 && at(state.writes, other).tag === at(state.writes, index).tag,
  );
  const verdict = rules.decideWrite(
    {
      setId: SET_ID,
      fencedEpoch: toEpoch(image.fenced),
      activeEpoch: toEpoch(mirror.active),
      floor: tagOrNull(mirror.floor),
      row: rowIndex < 0 ? null : rowOf(at(state.writes, rowIndex), rowIndex, at(image.rows, rowIndex)),
      object: objectOf(state, image),
    },
    transaction,
  );
  if (verdict.kind === 'refuse') return verdict;
  if (image.doubt !== 0) return { kind: 'refuse', code: 'not-active', lastTag: null };
  if (verdict.kind === 'apply') {
    checkApplied(violate, state, { mirror: number, transaction });
    applyTo(rules, state, { mirror: number, write: index, transaction });
  }
  return verdict;
}

function checkApplied(
  violate: Context['violate'],
  state: State,
  { mirror: number, transaction }: { readonly mirror: number; readonly transaction: WriteTransaction },
): void {
  const { image, run } = at(state.mirrors, number);
  const name = idOf(number);
  if (image.lastTag >= numberOfTag(transaction.tag)) violate(`I1: ${name} applies a write after a later one`);
  if (image.fenced !== transaction.epoch || tagEpoch(transaction.tag) !== transaction.epoch)
    violate(`I6: ${name}, fenced at ${image.fenced}, took a write of epoch ${transaction.epoch}`);
  const { authority } = state;
  const isMember = (authority.inSync & (1 << number)) !== 0;
  if (authority.active === 1 && authority.epoch === transaction.epoch && isMember) {
    if (at(authority.runs, number) !== run) violate(`I6: ${name} took a write in a run that nobody knows of`);
  }
}

interface Applied {
  readonly mirror: number;
  readonly write: number;
  readonly transaction: WriteTransaction;
}

function applyTo(rules: Rules, state: State, { mirror, write, transaction }: Applied): void {
  const { image } = at(state.mirrors, mirror);
  const { object, edit } = rules.applyWrite(objectOf(state, image), transaction);
  image.object = object.kind === 'present' ? PRESENT : TOMBSTONE;
  image.lastTag = numberOfTag(object.lastTag);
  if (edit.kind === 'replace-all' || edit.kind === LEFT_HALF_ONLY) image.left = write;
  if (edit.kind === 'replace-all') image.right = write;
  if (edit.kind === 'drop') image.left = image.right = 0;
  image.sequence += 1;
  image.blank = 0;
  image.rows[write] = image.sequence;
}

/** Power fails in the midst of a write where the disk's order is not one batch (F7, F8): half of it is there afterwards. */
export function tearWrite(context: Context, state: State, where: Omit<Applied, 'transaction'>): void {
  const { image } = at(state.mirrors, where.mirror);
  const before = { ...image, rows: [...image.rows] };
  if (receiveWrite(context, state, where).kind !== 'apply') return;
  const isRowFirst = context.rules.commitOrder === 'row-first';
  const { left, right } = isRowFirst ? before : image;
  const { object, lastTag, rows, sequence } = isRowFirst ? image : before;
  Object.assign(image, { left, right, object, lastTag, rows, sequence });
  restart(context, state, where.mirror);
}

export function receiveClear(
  { rules }: Context,
  state: State,
  { mirror: number, write: index }: { readonly mirror: number; readonly write: number },
): ClearVerdict {
  const mirror = at(state.mirrors, number);
  const { image } = mirror;
  const write = at(state.writes, index);
  const witnesses: Witness[] = state.mirrors.flatMap((_, other) =>
    other === number || at(write.answers, other) !== 2
      ? []
      : [{ storeId: storeIdOf(at(write.stores, other)), commitSequence: at(write.tokens, other) }],
  );
  const token = {
    storeId: storeIdOf(at(write.stores, number)),
    commitSequence: at(write.tokens, number),
    tag: tagOf(write.tag),
    objectId: OBJECT_ID,
  };
  const verdict = rules.decideClear(
    { setId: SET_ID, storeId: storeIdOf(image.store), commitSequence: image.sequence, ...fenceOf(mirror) },
    { setId: SET_ID, epoch: toEpoch(write.clearEpoch), token, witnesses },
  );
  if (verdict.kind === 'clear') {
    image.rows[index] = 0;
    image.uncertain &= ~(1 << index);
    learn(image, witnesses);
  } else if (verdict.code === 'state-lost') {
    image.doubt = 2;
    mirror.active = 0;
  }
  dropTombstone(rules, state, number);
  return verdict;
}

function learn(image: Image, witnesses: readonly Witness[]): void {
  for (const { storeId, commitSequence } of witnesses) {
    const store = numberOfStore(storeId);
    image.witnesses[store] = Math.max(at(image.witnesses, store), commitSequence);
  }
}

export function receiveFloor({ rules }: Context, state: State, number: number, floor: number): void {
  const mirror = at(state.mirrors, number);
  const known = mirror.floor === 0 ? [] : [[GENERATOR, tagOf(mirror.floor)] as const];
  mirror.floor = numberOfTag(rules.raiseFloor(new Map(known), tagOf(floor)));
  dropTombstone(rules, state, number);
}

function dropTombstone(rules: Rules, state: State, number: number): void {
  const { image, floor, rebuilding } = at(state.mirrors, number);
  if (image.object !== TOMBSTONE) return;
  const hasRow = image.rows.some((sequence, w) => sequence > 0 && at(state.writes, w).tag === image.lastTag);
  const mayDrop = rules.mayDropTombstone({
    lastTag: tagOf(image.lastTag),
    hasRow,
    floor: tagOrNull(floor),
    fencedEpoch: toEpoch(image.fenced),
    rebuilding: rebuilding === 1,
  });
  if (!mayDrop) return;
  image.forgotten = image.lastTag;
  image.object = NONE;
  image.lastTag = 0;
}

export function moveFence({ rules }: Context, state: State, number: number, verdict: FenceVerdict): boolean {
  const mirror = at(state.mirrors, number);
  if (verdict.kind === 'refuse') return false;
  setFence(mirror, verdict.state);
  if (rules.countsFencesAsCommits) mirror.image.sequence += 1;
  return true;
}

/** Whatever is not durable is gone. */
export function restart({ rules }: Context, state: State, number: number): void {
  const mirror = at(state.mirrors, number);
  mirror.run += 1;
  mirror.floor = 0;
  setFence(mirror, rules.reopenFence(toEpoch(mirror.image.fenced)));
}

/** The push that is on its way lands at one of its targets, or is refused. */
export function receivePush({ rules, violate }: Context, state: State, number: number): boolean {
  const { push } = state;
  const mirror = at(state.mirrors, number);
  const { image } = mirror;
  const verdict = rules.decidePush(
    { fence: fenceOf(mirror), targetLastTag: tagOrNull(image.lastTag) },
    {
      epoch: toEpoch(push.epoch),
      expectedLastTag: tagOrNull(at(push.expected, number)),
      lastTag: tagOrNull(push.lastTag),
    },
  );
  if (verdict.kind === 'refuse') return false;
  if (push.whole === 0 && (image.object !== PRESENT || push.object !== PRESENT)) return false;
  if (push.fromTrusted === 0) violate(`I5: ${idOf(push.source)}, not in sync, is copied to ${idOf(number)}`);
  landCopy(rules, state, number);
  return true;
}

/** Content, last tag and rows in one batch (F5, F37). */
export function landCopy(rules: Rules, state: State, number: number): void {
  const { push } = state;
  const { image } = at(state.mirrors, number);
  const source = { rows: rowsOf(state, push.rows, push.uncertain), lastTag: tagOrNull(push.lastTag) };
  const rows = rules.rowsAfterPush(rowsOf(state, image.rows, image.uncertain), source);
  image.sequence += 1;
  image.blank = 0;
  const kept = new Set(rows.map(({ checksum }) => checksum));
  image.rows = image.rows.map((own, write) => (!kept.has(write) ? 0 : own > 0 ? own : image.sequence));
  image.uncertain = uncertainOf(state, rows);
  image.left = push.left;
  if (push.whole === 1) image.right = push.right;
  if (push.forgotten > 0) image.forgotten = push.forgotten;
  image.object = push.object;
  image.lastTag = push.lastTag;
}

/** Rows go, and how far the peers have come is written down. */
export function dropRows(
  { rules }: Context,
  state: State,
  where: {
    readonly mirror: number;
    readonly epoch: number;
    readonly rows: readonly boolean[];
    readonly witnesses: readonly Witness[];
  },
): boolean {
  const mirror = at(state.mirrors, where.mirror);
  if (!rules.mayDropRows(fenceOf(mirror), toEpoch(where.epoch))) return false;
  mirror.image.rows = mirror.image.rows.map((sequence, write) => (where.rows[write] === true ? 0 : sequence));
  where.rows.forEach((isDropped, write) => {
    if (isDropped) mirror.image.uncertain &= ~(1 << write);
  });
  learn(mirror.image, where.witnesses);
  dropTombstone(rules, state, where.mirror);
  return true;
}
