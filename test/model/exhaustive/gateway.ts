/** What the writer does, by the rules: one process, whose writes are in flight until every request has its answer. */
import { rowsKeptFor } from '../../../src/protocol/forgone-rows.js';
import { fullCopyReason } from '../../../src/protocol/recovery-plan.js';
import { toEpoch } from '../../../src/protocol/tag.js';
import { makeToken } from '../../../src/protocol/token.js';
import type { MirrorAnswer, WriteProgress } from '../../../src/protocol/write-outcome.js';
import { type Context, moveFence, receiveWrite } from './mirror.js';
import {
  at,
  authorityOf,
  fenceOf,
  GENERATOR,
  idOf,
  idsOf,
  KINDS,
  maskOf,
  membersOf,
  numberOfMirror,
  numberOfTag,
  OBJECT_ID,
  reportOf,
  setAuthority,
  storeIdOf,
  tagOf,
} from './names.js';
import {
  ABANDONED,
  ACKNOWLEDGED,
  PENDING,
  type State,
  TAGS_PER_EPOCH,
  UNISSUED,
  type Write,
} from './state.js';

const COMMITTED = 2;
const REFUSED = 3;
const UNKNOWN = 4;

function isRemoval(state: State, write: number): boolean {
  return KINDS[at(state.writes, write).kind] === 'remove';
}

/** Issues the next write; false: it makes no sense now. */
export function issue({ rules }: Context, state: State, kind: number): boolean {
  const { gateway, writes } = state;
  const number = writes.findIndex(({ status }) => status === UNISSUED);
  if (gateway.open === 0 || number < 0) return false;
  const base = at(writes, gateway.known);
  if (KINDS[kind] === 'range-write') {
    const isUndecided = writes.some(({ status }) => status === PENDING);
    if (isUndecided || isRemoval(state, gateway.known)) return false;
  }
  const write = at(writes, number);
  gateway.counter += 1;
  const generator = rules.createGenerator(GENERATOR, toEpoch(gateway.epoch));
  for (let count = 1; count < gateway.counter; count += 1) generator.issue();
  Object.assign(write, {
    ...{ status: PENDING, kind, epoch: gateway.epoch, attempts: 1 },
    tag: numberOfTag(generator.issue()),
    previous: base.tag,
    left: KINDS[kind] === 'remove' ? 0 : number,
    right: KINDS[kind] === 'replace' ? number : KINDS[kind] === 'remove' ? 0 : base.right,
  });
  for (const mirror of membersOf(gateway.inSync | gateway.rebuilding)) {
    write.requests[mirror] = write.unanswered[mirror] = write.answers[mirror] = 1;
  }
  gateway.known = number;
  return true;
}

/** Settled once acknowledged, and no request is on its way. */
function isInFlight(state: State, write: Write): boolean {
  if (write.epoch !== state.gateway.epoch) return false;
  return (
    write.status === PENDING || (write.status === ACKNOWLEDGED && write.unanswered.some((count) => count > 0))
  );
}

export function floorOf(state: State): number {
  const lowest = state.writes.find((write, number) => number > 0 && isInFlight(state, write));
  return lowest?.tag ?? state.gateway.epoch * TAGS_PER_EPOCH + state.gateway.counter + 1;
}

/** A request arrives; its answer too, or it is lost. */
export function deliver(
  context: Context,
  state: State,
  where: { readonly mirror: number; readonly write: number; readonly isAnswered: boolean },
): void {
  const { mirror, isAnswered } = where;
  const write = at(state.writes, where.write);
  write.requests[mirror] = at(write.requests, mirror) - 1;
  const verdict = receiveWrite(context, state, where);
  if (!isAnswered || !isListening(state, write)) return;
  write.unanswered[mirror] = Math.max(0, at(write.unanswered, mirror) - 1);
  const { image } = at(state.mirrors, mirror);
  if (verdict.kind !== 'refuse') {
    write.answers[mirror] = COMMITTED;
    const row = at(image.rows, where.write);
    write.tokens[mirror] = row > 0 ? row : image.sequence;
    write.stores[mirror] = image.store;
  } else if (write.answers[mirror] === 1) {
    // A refusal is certain only of a request that was never sent twice.
    write.answers[mirror] = write.attempts === 1 ? REFUSED : UNKNOWN;
  }
  decide(context, state, where.write);
}

function isListening({ gateway }: State, write: Write): boolean {
  const isKnown = write.status === PENDING || write.status === ACKNOWLEDGED;
  return gateway.open === 1 && write.epoch === gateway.epoch && isKnown;
}

/** The answer did not come in time. The request may be on its way still. */
export function giveUp(context: Context, state: State, write: number, mirror: number): boolean {
  const target = at(state.writes, write);
  if (!isListening(state, target) || target.answers[mirror] !== 1) return false;
  target.answers[mirror] = UNKNOWN;
  if ((state.gateway.rebuilding & (1 << mirror)) !== 0) target.unanswered[mirror] = 0;
  decide(context, state, write);
  return true;
}

export function repeat(state: State, write: number, mirror: number): boolean {
  const target = at(state.writes, write);
  if (!isListening(state, target) || target.answers[mirror] !== 1 || target.attempts > 1) return false;
  target.attempts += 1;
  target.requests[mirror] = at(target.requests, mirror) + 1;
  target.unanswered[mirror] = at(target.unanswered, mirror) + 1;
  return true;
}

/** The network brings a request twice, and nobody knows. */
export function duplicate(state: State, write: number, mirror: number): boolean {
  const { requests } = at(state.writes, write);
  const copies = at(requests, mirror);
  if (copies === 0) return false;
  requests[mirror] = copies + 1;
  return true;
}

function answerOf(write: Write, mirror: number): MirrorAnswer | null {
  const code = at(write.answers, mirror);
  if (code === REFUSED) return { kind: 'refused', code: 'refused' };
  if (code === UNKNOWN) return { kind: 'unknown', reason: 'no answer' };
  if (code !== COMMITTED) return null;
  const witness = { storeId: storeIdOf(at(write.stores, mirror)), commitSequence: at(write.tokens, mirror) };
  return {
    kind: 'committed',
    token: makeToken({ ...witness, tag: tagOf(write.tag), objectId: OBJECT_ID }),
    witness,
  };
}

function progressOf(state: State, write: Write): WriteProgress {
  const sent = write.answers.flatMap((code, mirror) => (code === 0 ? [] : [mirror]));
  return {
    answers: new Map(sent.map((mirror) => [idOf(mirror), answerOf(write, mirror)])),
    inSync: idsOf(state.gateway.inSync),
    configured: rowsKeptFor(authorityOf(state)),
  };
}

function decide(context: Context, state: State, number: number): void {
  const write = at(state.writes, number);
  if (state.gateway.open === 0) return;
  const progress = progressOf(state, write);
  const outcome = context.rules.decideOutcome(progress);
  if (outcome.kind === 'refuse' || outcome.kind === 'unknown') stopGateway(state);
  if (outcome.kind !== 'acknowledge') return;
  write.status = ACKNOWLEDGED;
  state.truth.settled = Math.max(state.truth.settled, number);
  if (write.isReady === 1) return;
  const ready = context.rules.readyTokens(progress);
  if (ready.length === 0) return;
  write.isReady = 1;
  write.clearEpoch = write.epoch;
  for (const { mirror } of ready) write.clears[numberOfMirror(mirror)] = 1;
}

/** It issues nothing more; what it sent is on its way. */
export function stopGateway(state: State): void {
  Object.assign(state.gateway, { open: 0, inSync: 0, rebuilding: 0, counter: 0, known: 0 });
  for (const write of state.writes) if (write.status === PENDING) abandon(write);
}

function abandon(write: Write): void {
  write.status = ABANDONED;
}

function forget(write: Write): void {
  if (write.status === PENDING) abandon(write);
  write.unanswered.fill(0);
}

/** Who is to be left out before anyone is told of a write; 0: nobody, or not every answer is there. */
export function leavingOf({ rules }: Context, state: State): number {
  const { gateway } = state;
  if (gateway.open === 0) return 0;
  const pending = state.writes.filter(({ status }) => status === PENDING);
  const isWaiting = pending.some((write) =>
    membersOf(gateway.inSync).some((mirror) => at(write.answers, mirror) <= 1),
  );
  if (isWaiting) return 0;
  for (const write of pending) {
    const outcome = rules.decideOutcome(progressOf(state, write));
    if (outcome.kind === 'exclude') return maskOf(outcome.mirrors);
  }
  return 0;
}

/** A new epoch is on disk, who stays moves to it, then the others are out (F12, F18). */
export function exclude(context: Context, state: State, leaving: number): void {
  const { rules } = context;
  const from = state.authority.epoch;
  const staying = state.gateway.inSync & ~leaving;
  const begun = rules.beginRecovery(authorityOf(state));
  const smaller = rules.excludeMirrors(begun, idsOf(leaving));
  if (rules.persistsExclusions) setAuthority(state, rules.advancesBeforeExclusion ? begun : smaller);
  if (!advanceAll(context, state, { staying, from, to: begun.epoch })) {
    stopGateway(state);
    return;
  }
  if (rules.persistsExclusions) setAuthority(state, smaller);
  goOn(context, state, { inSync: staying, rebuilding: 0, epoch: begun.epoch });
}

function advanceAll(
  context: Context,
  state: State,
  move: { readonly staying: number; readonly from: number; readonly to: number },
): boolean {
  return membersOf(move.staying).every((mirror) => {
    const fence = fenceOf(at(state.mirrors, mirror));
    const verdict = context.rules.decideAdvance(fence, toEpoch(move.from), toEpoch(move.to));
    return moveFence(context, state, mirror, verdict);
  });
}

function goOn(
  context: Context,
  state: State,
  next: { readonly inSync: number; readonly rebuilding: number; readonly epoch: number },
): void {
  const { gateway } = state;
  gateway.inSync = next.inSync;
  state.writes.forEach(({ status }, number) => {
    if (status === PENDING) decide(context, state, number);
  });
  if (gateway.open === 0) return;
  for (const write of state.writes) if (write.epoch === gateway.epoch) forget(write);
  Object.assign(gateway, { rebuilding: next.rebuilding, epoch: next.epoch, counter: 0 });
}

/** Mirrors that are out are let in as rebuilding, in an epoch of its own; one that needs a full copy is not. */
export function admit(context: Context, state: State, mirror: number): boolean {
  const { gateway } = state;
  const { rules } = context;
  if (gateway.open === 0 || (gateway.inSync & (1 << mirror)) !== 0) return false;
  if (state.writes.some(({ status }) => status === PENDING)) return false;
  const from = state.authority.epoch;
  const begun = rules.beginRecovery(authorityOf(state));
  const fenced = rules.decideFence(fenceOf(at(state.mirrors, mirror)), begun.epoch);
  const report = reportOf(state, mirror);
  const reports = [...membersOf(gateway.inSync).map((member) => reportOf(state, member)), report];
  if (fenced.kind === 'refuse' || fullCopyReason(begun, report, reports) !== null) return false;
  setAuthority(state, begun);
  if (!advanceAll(context, state, { staying: gateway.inSync, from, to: begun.epoch })) {
    stopGateway(state);
    return true;
  }
  moveFence(context, state, mirror, fenced);
  setAuthority(state, rules.admitMirrors(begun, [idOf(mirror)]));
  const rebuilt = rules.decideRebuild(fenceOf(at(state.mirrors, mirror)), begun.epoch);
  const isIn = moveFence(context, state, mirror, rebuilt);
  goOn(context, state, { inSync: gateway.inSync, rebuilding: isIn ? 1 << mirror : 0, epoch: begun.epoch });
  state.catchUp.surveyed = 0;
  state.catchUp.tags.fill(0);
  state.catchUp.rows.fill(0);
  state.catchUp.uncertain.fill(0);
  return true;
}
