/** The protocol's functions with one rule taken out of each. */
import { beginRecovery, recordCleanStop } from '../../src/protocol/authority-state.js';
import { decidePush } from '../../src/protocol/fence.js';
import { invariant } from '../../src/protocol/invariant.js';
import { reviewAuthority } from '../../src/protocol/lost-authority.js';
import { planObject } from '../../src/protocol/reconcile-plan.js';
import { FULL_COPY_DOUBT, type MirrorReport, planRecovery } from '../../src/protocol/recovery-plan.js';
import {
  EPOCH_NONE,
  type Epoch,
  type GeneratorId,
  isLater,
  tagEpoch,
  toEpoch,
} from '../../src/protocol/tag.js';
import { TagGenerator } from '../../src/protocol/generator.js';
import { decideClear, mayDropTombstone } from '../../src/protocol/token.js';
import { decideWrite, type TagRow } from '../../src/protocol/write.js';
import type { Rules } from './rules.js';

type PlanObject = Rules['planObject'];

/** The writers take every object by turns. */
export function makeWritersTakeTurns(): Rules['writerOf'] {
  let turn = 0;
  return (_objectId, writers) => {
    turn += 1;
    return turn % writers;
  };
}
type DecideWrite = Rules['decideWrite'];

const FIRST_EPOCH = toEpoch(1);

function unmatchedOf(
  evidence: Parameters<PlanObject>[0],
): { readonly row: TagRow; readonly holder: number }[] {
  return evidence.mirrors
    .flatMap(({ rows }, holder) => rows.map((row) => ({ row, holder })))
    .filter(({ row }) => !evidence.mirrors.every(({ rows }) => rows.some(({ tag }) => tag === row.tag)))
    .sort((left, right) => (left.row.tag < right.row.tag ? -1 : 1));
}

/** Whoever holds the (lowest) unmatched row is the source. */
export const rowHolderIsSource: PlanObject = (evidence) => {
  const [first] = unmatchedOf(evidence);
  const source = first === undefined ? undefined : evidence.mirrors[first.holder];
  if (source === undefined) return null;
  const targets = evidence.mirrors.filter(({ mirror }) => mirror !== source.mirror);
  return { objectId: evidence.objectId, source: source.mirror, targets, content: { kind: 'whole' } };
};

/** The newest tag wins, wherever it is. */
export const newestTagWins: PlanObject = (evidence) =>
  planObject(
    evidence,
    evidence.mirrors.map(({ mirror }) => mirror),
  );

/** Only what the trusted mirrors' tables list is looked at. */
export const onlySourceTable: PlanObject = (evidence, trusted) =>
  planObject(
    {
      ...evidence,
      mirrors: evidence.mirrors.map((mirror) =>
        trusted.includes(mirror.mirror) ? mirror : { ...mirror, rows: [] },
      ),
    },
    trusted,
  );

/** Each side gets the ranges that it lacks, instead of the union of all that are unmatched. */
export const rangesNotUnited: PlanObject = (evidence, trusted) => {
  const plan = planObject(evidence, trusted);
  if (plan?.content.kind !== 'extents') return plan;
  const source = evidence.mirrors.find(({ mirror }) => mirror === plan.source);
  const extents = (source?.rows ?? []).map(({ offset, length }) => ({ offset, length }));
  return { ...plan, content: { kind: 'extents', extents } };
};

/** The first trusted mirror is the source, not the one with the highest last tag. */
export const firstTrustedIsSource: PlanObject = (evidence, trusted) =>
  planObject(evidence, trusted.slice(0, 1));

/** The mirror whose clock says that it wrote last is the source. */
export const latestClockIsSource: PlanObject = (evidence, trusted) => {
  const clockOf = (rows: readonly TagRow[]): number => Math.max(...rows.map(({ writtenMs }) => writtenMs));
  const candidates = evidence.mirrors.filter(
    ({ mirror, rows }) => trusted.includes(mirror) && rows.length > 0,
  );
  const [latest] = candidates.sort((left, right) => clockOf(right.rows) - clockOf(left.rows));
  return planObject(evidence, latest === undefined ? trusted : [latest.mirror]);
};

/** A replace or remove is applied whatever the object's last tag is. */
export const replaceInAnyOrder: DecideWrite = (context, write) => {
  const verdict = decideWrite(context, write);
  const isCovered =
    verdict.kind === 'duplicate' && context.row === null && context.object?.lastTag !== write.tag;
  return isCovered ? { kind: 'apply' } : verdict;
};

/** A write that builds on a state is applied to any state. */
export const anyStateIsBase: DecideWrite = (context, write) => {
  const verdict = decideWrite(context, write);
  return verdict.kind === 'refuse' && verdict.code === 'gap' ? { kind: 'apply' } : verdict;
};

/** A write that is there already is applied once more. */
export const duplicatesApply: DecideWrite = (context, write) =>
  context.row === null ? noFloor(context, write) : { kind: 'apply' };

/** Writes of any epoch are taken while the store is active. */
export const writesOfAnyEpoch: DecideWrite = (context, write) =>
  decideWrite({ ...context, fencedEpoch: EPOCH_NONE, activeEpoch: write.epoch }, write);

/** The floor keeps nothing out. */
export const noFloor: DecideWrite = (context, write) => decideWrite({ ...context, floor: null }, write);

/** Tags without an epoch in them are as good as any. */
export const tagsWithoutEpoch: DecideWrite = (context, write) => {
  if (context.activeEpoch !== write.epoch) return decideWrite(context, write);
  const epoch = tagEpoch(write.tag);
  return decideWrite({ ...context, fencedEpoch: epoch, activeEpoch: epoch }, { ...write, epoch });
};

/** Counts from 1 in every run, with nothing in the tag that tells one run from another. */
export class EpochlessGenerator extends TagGenerator {
  readonly #epoch: Epoch;

  constructor(generator: GeneratorId, epoch: Epoch) {
    super(generator, FIRST_EPOCH);
    this.#epoch = epoch;
  }

  override get epoch(): Epoch {
    return this.#epoch;
  }
}

/** A token clears its row in whatever epoch it comes. */
export const clearsOfAnyEpoch: Rules['decideClear'] = (context, clear) =>
  decideClear({ ...context, fencedEpoch: EPOCH_NONE, activeEpoch: clear.epoch }, clear);

/** A token is believed, also when it names a commit that the store never made. */
export const tokensBelieved: Rules['decideClear'] = (context, clear) =>
  decideClear({ ...context, commitSequence: Number.MAX_SAFE_INTEGER }, clear);

type PlanRecovery = Rules['planRecovery'];

/** What the mirrors say of themselves is taken for what the authority has on record. */
export const anyStoreIsTrusted: PlanRecovery = (state, reports) => {
  const { sequences, ...rest } = state;
  invariant(typeof sequences !== 'string', 'sequences are left out');
  const members = state.members.map((member) => {
    const report = reports.find(({ mirror }) => mirror === member.mirror);
    return { ...member, storeId: report?.storeId ?? member.storeId, fullCopyReason: null };
  });
  return planRecovery({ ...rest, members }, reports.map(withoutWitnesses));
};

function withoutWitnesses(report: MirrorReport): MirrorReport {
  return { ...report, witnesses: [] };
}

/** Neither a peer's witness nor the authority's own sequences are looked at. */
export const noWitnesses: PlanRecovery = (state, reports) => {
  const { sequences, ...rest } = state;
  invariant(typeof sequences !== 'string', 'sequences are left out');
  return planRecovery(rest, reports.map(withoutWitnesses));
};

/** The authority's own sequences are not looked at; the peers' witnesses are. */
export const noSequences: PlanRecovery = (state, reports) => {
  const { sequences, ...rest } = state;
  invariant(typeof sequences !== 'string', 'sequences are left out');
  return planRecovery(rest, reports);
};

/** A restarted mirror vouches for itself. */
export const anyoneVouches: PlanRecovery = (state, reports) => {
  const incarnations = Object.fromEntries(reports.map(({ mirror, incarnation }) => [mirror, incarnation]));
  return planRecovery({ ...state, incarnations }, reports);
};

/** A clean stop is where the mirrors stand now, whatever has become of them. */
export const whateverStandsThere: Rules['recordCleanStop'] = (state, stopped) =>
  recordCleanStop(
    state,
    stopped.map((seen) => ({
      ...seen,
      activeEpoch: state.epoch,
      incarnation: state.incarnations[seen.mirror] ?? seen.incarnation,
    })),
  );

/** Those who are present are everyone. */
export const presentIsComplete: PlanRecovery = (state, reports) => {
  const plan = planRecovery(state, reports);
  return plan.kind === 'proceed' ? { ...plan, complete: true } : plan;
};

/** An attempt goes on in the epoch of the one before it. */
export const sameEpochForNextAttempt: Rules['beginRecovery'] = (state) =>
  state.phase === 'recovering' && state.epoch !== EPOCH_NONE ? state : beginRecovery(state);

/** A restarted store is active at once, as it was before. */
export const reopenActive: Rules['reopenFence'] = (fencedEpoch) => ({
  fencedEpoch,
  activeEpoch: fencedEpoch,
});

/** A restarted store does not remember that its epoch began before the restart. */
export const reopenWithoutMemory: Rules['reopenFence'] = (fencedEpoch) => ({
  fencedEpoch,
  activeEpoch: EPOCH_NONE,
});

type DecidePush = Rules['decidePush'];

/** A push may take its target back within the epoch. */
export const pushesGoBack: DecidePush = (context, push) => {
  const verdict = decidePush(context, push);
  return verdict.kind === 'refuse' && verdict.code === 'would-go-back' ? { kind: 'land' } : verdict;
};

/** A push of an attempt that is over lands as well. */
export const pushesOfAnyEpoch: DecidePush = (context, push) =>
  decidePush({ ...context, fence: { fencedEpoch: push.epoch, activeEpoch: EPOCH_NONE } }, push);

/** A push lands whatever its target has become since it was looked at. */
export const pushesLandAnyhow: DecidePush = (context, push) =>
  pushesGoBack({ ...context, targetLastTag: push.expectedLastTag }, push);

/** A mirror that is being rebuilt drops tombstones like one that is in sync. */
export const rebuildingDropsTombstones: Rules['mayDropTombstone'] = (context) =>
  mayDropTombstone({ ...context, rebuilding: false });

/** An interrupted copy goes on in whatever store says that it was being copied to. */
export const anyCopyIsResumed: Rules['mayResumeFullCopy'] = (_state, report) =>
  report.selfDoubt === FULL_COPY_DOUBT;

/** Of the rows that only the target has those stay as they were which the source may have cleared. */
export const rowsStayAsTheyWere: Rules['rowsAfterPush'] = (target, source) => {
  const kept = target.filter(
    (row) => !isLater(row.tag, source.lastTag ?? row.tag) && !source.rows.some(({ tag }) => tag === row.tag),
  );
  return [...kept, ...source.rows].sort((left, right) => (left.tag < right.tag ? -1 : 1));
};

/** Of the copies of the authority's state that mirrors keep, the oldest is the one that counts. */
export const oldestRecordCounts: Rules['reviewAuthority'] = (state, witnesses) => {
  const kept = witnesses.map(({ record }) => record).filter((record) => record !== null);
  const [oldest = null] = kept.sort((left, right) => left.epoch - right.epoch);
  return reviewAuthority(
    state,
    witnesses.map((witness) => ({ ...witness, record: oldest })),
  );
};
