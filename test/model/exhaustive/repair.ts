/** Recovery under the fence and online catch-up, by the rules, in steps between which anything may happen. */
import type { MirrorId } from '../../../src/protocol/authority-state.js';
import { chooseSource, type MirrorEvidence } from '../../../src/protocol/reconcile-plan.js';
import { FULL_COPY_DOUBT } from '../../../src/protocol/recovery-plan.js';
import { toEpoch } from '../../../src/protocol/tag.js';
import type { Witness } from '../../../src/protocol/token.js';
import { stopGateway } from './gateway.js';
import { type Context, dropRows, landCopy, moveFence, receivePush } from './mirror.js';
import {
  at,
  authorityOf,
  fenceOf,
  idOf,
  idsOf,
  maskOf,
  membersOf,
  numberOfMirror,
  OBJECT_ID,
  reportOf,
  rowsOf,
  setAuthority,
  storeIdOf,
  tagOrNull,
} from './names.js';
import { PRESENT, type State, STORES_PER_MIRROR } from './state.js';

// --- recovery

/** A new attempt: whatever was before it is over, the writer too. */
export function begin({ rules }: Context, state: State): void {
  stopGateway(state);
  setAuthority(state, rules.beginRecovery(authorityOf(state)));
  giveUpRecovery(state);
  state.recovery.stage = 1;
  state.catchUp.surveyed = 0;
}

function giveUpRecovery({ recovery }: State): void {
  Object.assign(recovery, { stage: 0, trusted: 0, byRows: 0, inFull: 0, complete: 0, toLand: 0 });
  recovery.runs.fill(0);
}

export function fence(context: Context, state: State, mirror: number): boolean {
  if (at(state.recovery.runs, mirror) > 0) return false;
  const target = at(state.mirrors, mirror);
  const verdict = context.rules.decideFence(fenceOf(target), toEpoch(state.authority.epoch));
  if (!moveFence(context, state, mirror, verdict)) return false;
  state.recovery.runs[mirror] = target.run;
  return true;
}

function present(state: State): number[] {
  return state.recovery.runs.flatMap((run, mirror) => (run > 0 ? [mirror] : []));
}

/** False: somebody was restarted since it was fenced, so the attempt can't go on. */
function isUnbroken(state: State): boolean {
  const isSame = present(state).every(
    (mirror) => at(state.mirrors, mirror).run === state.recovery.runs[mirror],
  );
  if (!isSame) giveUpRecovery(state);
  return isSame;
}

/** Whom to trust, what each other one needs, and what is to be copied by rows. */
export function plan(context: Context, state: State): boolean {
  const { rules } = context;
  if (present(state).length === 0) return false;
  if (!isUnbroken(state)) return true;
  const reports = present(state).map((mirror) => reportOf(state, mirror));
  const planned = rules.planRecovery(authorityOf(state), reports);
  if (planned.kind === 'wait') {
    if (reports.length === state.mirrors.length && state.spent.damages === 0)
      context.violate('unjustified wait: nothing was ever damaged, and everyone is present');
    giveUpRecovery(state);
    return true;
  }
  const needy = planned.stale.filter(({ need }) => need.kind === 'full-copy').map(({ mirror }) => mirror);
  const byRows = planned.stale.filter(({ need }) => need.kind === 'rows').map(({ mirror }) => mirror);
  if (!needy.every((mirror) => hasStoreLeft(context, state, mirror))) return false;
  checkNeeds(context, state, needy);
  for (const mirror of needy) beginCopy(context, state, mirror);
  Object.assign(state.recovery, {
    ...{ stage: 2, trusted: maskOf(planned.trusted), byRows: maskOf(byRows), inFull: maskOf(needy) },
    ...{ complete: planned.complete ? 1 : 0, toLand: 0 },
  });
  const matched = [...planned.trusted, ...byRows].map((id) => seenNow(state, numberOfMirror(id)));
  const isPushed = preparePush(context, state, { evidence: matched, trusted: planned.trusted });
  if (isPushed) state.recovery.toLand = state.push.targets;
  return true;
}

/** A mirror in sync that lost nothing is not to be copied anew. Of more than two one may have seen what the others have not. */
function checkNeeds({ violate }: Context, state: State, needy: readonly MirrorId[]): void {
  if (state.mirrors.length > 2) return;
  for (const id of needy) {
    const mirror = numberOfMirror(id);
    const isWhole = at(state.mirrors, mirror).damaged === 0 && (state.authority.inSync & (1 << mirror)) !== 0;
    if (isWhole) violate(`full copy without need: ${id} is in sync and lost nothing`);
  }
}

function nextStore({ rules }: Context, state: State, mirror: number): number {
  return at(state.mirrors, mirror).image.store + (rules.renewsStoreId ? state.mirrors.length : 0);
}

/** False: the model has no more ids for this mirror's store. */
function hasStoreLeft(context: Context, state: State, id: MirrorId): boolean {
  return nextStore(context, state, numberOfMirror(id)) < state.mirrors.length * STORES_PER_MIRROR;
}

/** On record first, under the id that the store gets (section 5.3). */
function beginCopy(context: Context, state: State, id: MirrorId): void {
  const { rules } = context;
  const mirror = numberOfMirror(id);
  const store = nextStore(context, state, mirror);
  if (!rules.recordsFullCopyFirst) return;
  const required = rules.requireFullCopy(authorityOf(state), id, FULL_COPY_DOUBT);
  setAuthority(state, rules.beginFullCopy(required, id, storeIdOf(store)));
  Object.assign(at(state.mirrors, mirror).image, { doubt: 1, store });
}

function seenNow(state: State, mirror: number): MirrorEvidence {
  const { image } = at(state.mirrors, mirror);
  return {
    mirror: idOf(mirror),
    rows: rowsOf(state, image.rows, image.uncertain),
    lastTag: tagOrNull(image.lastTag),
    sizeBytes: image.object === PRESENT ? 2 : 0,
  };
}

interface Matched {
  readonly evidence: readonly MirrorEvidence[];
  readonly trusted: readonly MirrorId[];
}

/** Reads the source's content for the repair that the protocol plans; false: nothing is to be copied, and an earlier push stays on its way. */
function preparePush({ rules }: Context, state: State, { evidence, trusted }: Matched): boolean {
  const repair = rules.planObject({ objectId: OBJECT_ID, mirrors: evidence }, trusted);
  if (repair === null) return false;
  state.push.targets = 0;
  readSource(state, numberOfMirror(repair.source));
  state.push.whole = repair.content.kind === 'whole' ? 1 : 0;
  for (const target of repair.targets) {
    const mirror = numberOfMirror(target.mirror);
    const seen = evidence.find((candidate) => candidate.mirror === target.mirror);
    state.push.targets |= 1 << mirror;
    state.push.expected[mirror] = seen === undefined ? 0 : numberOf(state, seen);
  }
  return true;
}

function numberOf(state: State, { lastTag }: MirrorEvidence): number {
  return lastTag === null ? 0 : (state.writes.find(({ tag }) => tagOrNull(tag) === lastTag)?.tag ?? 0);
}

function readSource(state: State, source: number): void {
  const { image } = at(state.mirrors, source);
  const { push, authority } = state;
  push.expected.fill(0);
  Object.assign(push, {
    ...{ epoch: authority.epoch, source, fromTrusted: (authority.inSync >> source) & 1 },
    ...{ object: image.object, lastTag: image.lastTag, left: image.left, right: image.right },
    ...{ forgotten: image.forgotten, rows: [...image.rows], uncertain: image.uncertain },
  });
}

/** The push lands at one target, or is refused there, at any time. */
export function land(context: Context, state: State, mirror: number): boolean {
  const { push, recovery } = state;
  if ((push.targets & (1 << mirror)) === 0) return false;
  const isOfAttempt = recovery.stage === 2 && (recovery.toLand & (1 << mirror)) !== 0;
  const hasLanded = receivePush(context, state, mirror);
  push.targets &= ~(1 << mirror);
  recovery.toLand &= ~(1 << mirror);
  if (!hasLanded && isOfAttempt) giveUpRecovery(state);
  return true;
}

/** All of it, from a trusted mirror, with the rows; also what is deleted (section 5.5). */
export function copyInFull(context: Context, state: State, mirror: number): boolean {
  const { recovery } = state;
  if ((recovery.inFull & (1 << mirror)) === 0 || recovery.toLand !== 0) return false;
  const target = at(state.mirrors, mirror);
  if (!isUnbroken(state)) return true;
  if (!context.rules.isRecoveringAt(fenceOf(target), toEpoch(state.authority.epoch))) return false;
  const onItsWay = { ...state.push, expected: [...state.push.expected] };
  readSource(state, at(membersOf(recovery.trusted), 0));
  state.push.whole = 1;
  if (!context.rules.copiesRowsInFull) state.push.rows.fill(0);
  landCopy(context.rules, state, mirror);
  state.push = onItsWay;
  target.image.doubt = 0;
  recovery.inFull &= ~(1 << mirror);
  recovery.byRows |= 1 << mirror;
  return true;
}

/** As much of a full copy as one that is broken off leaves behind: the halves stand for two objects. */
export function copyHalf(context: Context, state: State, mirror: number): boolean {
  const { recovery } = state;
  if ((recovery.inFull & (1 << mirror)) === 0 || recovery.toLand !== 0 || !isUnbroken(state)) return false;
  const { image } = at(state.mirrors, mirror);
  const source = at(state.mirrors, at(membersOf(recovery.trusted), 0)).image;
  if (image.object !== PRESENT || source.object !== PRESENT || image.left === source.left) return false;
  if (!context.rules.isRecoveringAt(fenceOf(at(state.mirrors, mirror)), toEpoch(state.authority.epoch)))
    return false;
  image.left = source.left;
  image.sequence += 1;
  return true;
}

function witnessesFor(
  { rules }: Context,
  state: State,
  mirrors: readonly number[],
): (mirror: number) => Witness[] {
  const reports = mirrors.map((mirror) => reportOf(state, mirror));
  const own = reports.map(({ storeId, commitSequence }) => ({ storeId, commitSequence }));
  const passedOn = rules.passesWitnessesOn ? reports.flatMap(({ witnesses }) => witnesses) : [];
  return (mirror) =>
    [...passedOn, ...own].filter(({ storeId }) => storeId !== reportOf(state, mirror).storeId);
}

/** With all configured mirrors in, no row has anything left to say. */
export function dropMatched(context: Context, state: State): boolean {
  const { recovery } = state;
  if (recovery.inFull !== 0 || recovery.toLand !== 0) return false;
  if (!isUnbroken(state)) return true;
  const mirrors = membersOf(recovery.trusted | recovery.byRows);
  const witnesses = witnessesFor(context, state, mirrors);
  const told = mirrors.map((mirror) => ({ mirror, witnesses: witnesses(mirror) }));
  for (const { mirror, witnesses: known } of told) {
    const rows = at(state.mirrors, mirror).image.rows.map(
      (sequence) => recovery.complete === 1 && sequence > 0,
    );
    if (!rows.includes(true) && !context.rules.witnessesRecoveries) continue;
    dropRows(context, state, { mirror, epoch: state.authority.epoch, rows, witnesses: known });
  }
  recovery.stage = 3;
  return true;
}

/** On record, then the mirrors, then a new writer. */
export function activate(context: Context, state: State): void {
  const { recovery } = state;
  if (!isUnbroken(state)) return;
  const mirrors = membersOf(recovery.trusted | recovery.byRows);
  const { rules } = context;
  const participants = mirrors.map((mirror) => reportOf(state, mirror));
  const authority = rules.activate(authorityOf(state), toEpoch(state.authority.epoch), participants);
  setAuthority(state, authority);
  for (const mirror of mirrors) at(state.mirrors, mirror).damaged = 0;
  giveUpRecovery(state);
  const isActive = mirrors.every((mirror) =>
    moveFence(
      context,
      state,
      mirror,
      rules.decideActivate(fenceOf(at(state.mirrors, mirror)), authority.epoch),
    ),
  );
  checkActivation(context, state, mirrors);
  const known = state.truth.final;
  if (isActive)
    Object.assign(state.gateway, {
      open: 1,
      epoch: authority.epoch,
      inSync: maskOf(authority.inSync),
      known,
    });
}

const NOTHING = -1;
/** A content that no write ever made. */
export const TORN = -2;

/** The number of the write that a mirror's object is at. */
export function positionOf(state: State, mirror: number): number {
  const { image } = at(state.mirrors, mirror);
  const tag = image.lastTag > 0 ? image.lastTag : image.forgotten;
  if (tag === 0) return NOTHING;
  for (let number = state.writes.length - 1; number >= 0; number -= 1) {
    const write = at(state.writes, number);
    const isContent = image.object !== PRESENT || (write.left === image.left && write.right === image.right);
    if (write.tag === tag && isContent) return number;
  }
  return TORN;
}

/** I7, and what is visible now is final. */
function checkActivation({ violate }: Context, state: State, mirrors: readonly number[]): void {
  const contents = mirrors.map((mirror) => {
    const { object, lastTag, left, right } = at(state.mirrors, mirror).image;
    return object === PRESENT ? `${lastTag} ${left} ${right}` : 'absent';
  });
  if (new Set(contents).size > 1) violate(`I7: mirrors differ at an activation: ${contents.join(', ')}`);
  const visible = positionOf(state, at(mirrors, 0));
  const { truth } = state;
  if (visible < truth.settled)
    violate(`lost: an epoch begins with #${visible}, #${truth.settled} was settled`);
  const isOld = visible > 0 && at(state.writes, visible).epoch < truth.activation;
  if (isOld && visible > truth.final) violate(`resurrected: #${visible} was settled as gone`);
  truth.settled = truth.final = Math.max(0, visible);
  truth.activation = state.authority.epoch;
}

// --- online

function isCatchingUp({ gateway }: State): boolean {
  return gateway.open === 1 && gateway.rebuilding !== 0;
}

/** One mirror's tag table and last tag, as they are now. */
export function survey({ rules }: Context, state: State, mirror: number): boolean {
  const { gateway, catchUp } = state;
  const everyone = gateway.inSync | gateway.rebuilding;
  if (!isCatchingUp(state) || (everyone & ~catchUp.surveyed & (1 << mirror)) === 0) return false;
  const target = at(state.mirrors, mirror);
  if (!rules.isComparableAt(fenceOf(target), toEpoch(gateway.epoch))) return false;
  catchUp.surveyed |= 1 << mirror;
  catchUp.tags[mirror] = target.image.lastTag;
  catchUp.uncertain[mirror] = target.image.uncertain;
  catchUp.rows[mirror] = target.image.rows.reduce(
    (set, row, write) => (row > 0 ? set | (1 << write) : set),
    0,
  );
  return true;
}

function evidenceSeen(state: State, mirror: number): MirrorEvidence {
  const { tags, rows, uncertain } = state.catchUp;
  const seen = state.writes.map((_, write) => ((at(rows, mirror) >> write) & 1) * 1);
  return {
    mirror: idOf(mirror),
    rows: rowsOf(state, seen, at(uncertain, mirror)),
    lastTag: tagOrNull(at(tags, mirror)),
    sizeBytes: 2,
  };
}

/** All are surveyed: what differs is read from the source, or the rows that all have are dropped. */
export function matchOnline(context: Context, state: State): boolean {
  const { gateway, catchUp } = state;
  const everyone = gateway.inSync | gateway.rebuilding;
  if (!isCatchingUp(state) || catchUp.surveyed !== everyone) return false;
  catchUp.surveyed = 0;
  const inSync = idsOf(gateway.inSync);
  const source = chooseSource(
    membersOf(gateway.inSync).map((mirror) => evidenceSeen(state, mirror)),
    inSync,
  );
  const [target] = membersOf(gateway.rebuilding).map((mirror) => evidenceSeen(state, mirror));
  if (target === undefined) return true;
  if (target.lastTag === source.lastTag) {
    dropSeen(context, state, source);
    return true;
  }
  if (!preparePush(context, state, { evidence: [source, target], trusted: [source.mirror] })) return true;
  const read = tagOrNull(state.push.lastTag);
  if (context.rules.copiesWhatWasMatched && read !== source.lastTag) state.push.targets = 0;
  return true;
}

/** The rows of writes that every configured mirror has: up to the lowest last tag of one history. */
function dropSeen(context: Context, state: State, source: MirrorEvidence): void {
  const { gateway } = state;
  const everyone = gateway.inSync | gateway.rebuilding;
  if (everyone !== 2 ** state.mirrors.length - 1) return;
  const counted = context.rules.dropsOnlyWhatAllHave
    ? membersOf(gateway.inSync)
    : [numberOfMirror(source.mirror)];
  const lowest = Math.min(...counted.map((mirror) => at(state.catchUp.tags, mirror)));
  const listed = state.catchUp.rows.reduce((union, rows) => union | rows, 0);
  const rows = state.writes.map(({ tag }, write) => (listed & (1 << write)) !== 0 && tag <= lowest);
  if (!rows.includes(true)) return;
  const mirrors = membersOf(everyone);
  const witnesses = witnessesFor(context, state, mirrors);
  const told = mirrors.map((mirror) => ({ mirror, witnesses: witnesses(mirror) }));
  for (const { mirror, witnesses: known } of told)
    dropRows(context, state, { mirror, epoch: gateway.epoch, rows, witnesses: known });
}
