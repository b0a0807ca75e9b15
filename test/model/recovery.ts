/**
 * One attempt at a recovery (DESIGN.md section 5), as a JS generator: it yields one call to a mirror at a time and gets
 * its answer, or null when it gave up waiting. Whoever steps it may crash it between any two calls.
 *
 * Order of what becomes durable: the epoch; the fences; the needs of a full copy; all this on the mirrors; pushes; dropped rows
 * with witnesses; the new in-sync set, and that on the mirrors; only then is anyone activated.
 */
import type { AuthorityState, MirrorId } from '../../src/protocol/authority-state.js';
import { type AuthorityWitness, highestFence } from '../../src/protocol/lost-authority.js';
import type { ObjectId } from '../../src/protocol/object-id.js';
import type { ObjectEvidence, ObjectRepair } from '../../src/protocol/reconcile-plan.js';
import type { MirrorReport, RecoveryPlan } from '../../src/protocol/recovery-plan.js';
import type { Epoch } from '../../src/protocol/tag.js';
import type { StoreId } from '../../src/protocol/token.js';
import type { TagRow } from '../../src/protocol/write.js';
import type { SimulatedAuthority } from './authority.js';
import { copyInFull } from './full-copy.js';
import type { MirrorRequest, MirrorResponse, ObjectCopy, Survey } from './messages.js';
import type { Rules } from './rules.js';
import { rowKey } from './simulated-disk.js';

export interface Call {
  readonly mirror: MirrorId;
  readonly request: MirrorRequest;
}

export type Steps<Result> = Generator<Call, Result, MirrorResponse | null>;

export type AttemptOutcome =
  | { readonly kind: 'activated'; readonly state: AuthorityState }
  | {
      readonly kind: 'wait';
      readonly reason: string;
      readonly reports: readonly MirrorReport[];
      readonly doubtsAuthority?: true;
    }
  | { readonly kind: 'failed'; readonly reason: string };

export interface RecoveryContext {
  readonly rules: Rules;
  readonly authority: SimulatedAuthority;
  readonly newStoreId: () => StoreId;
  readonly log: (line: () => string) => void;
  /** Leaves out who is not in sync: an online catch-up is for them. */
  readonly defersStale?: boolean;
  /** Every set of rows that was matched, with what was made of it: for the checker of I7. */
  readonly onPlanned: (evidence: ObjectEvidence, repair: ObjectRepair | null) => void;
  /** What those that answer now say of the authority, before anybody is fenced (F31). */
  readonly look: () => readonly AuthorityWitness[];
  /** The authority's state is rebuilt from what the mirrors keep. */
  readonly onRebuilt: (from: AuthorityState) => void;
  /** An attempt goes on by what the authority has on its disk; these have answered it. */
  readonly onTrusted: (answered: readonly MirrorId[]) => void;
}

/** The attempt can't go on; the next one has a higher epoch. */
export class AttemptFailed extends Error {}

type ProceedPlan = Extract<RecoveryPlan, { kind: 'proceed' }>;

export function* attemptRecovery(context: RecoveryContext): Steps<AttemptOutcome> {
  const { authority, rules } = context;
  authority.beginToDecide();
  const witnesses = context.look();
  const verdict = rules.reviewAuthority(authority.state, witnesses);
  if (verdict.kind === 'wait')
    return { kind: 'wait', reason: verdict.reason, reports: [], doubtsAuthority: true };
  // The next attempt goes on by it.
  if (verdict.kind === 'rebuild') {
    context.onRebuilt(verdict.state);
    authority.persist(verdict.state, 'rebuilt');
    return { kind: 'failed', reason: 'the authority was rebuilt' };
  }
  authority.persist(rules.beginRecovery(authority.state, highestFence(witnesses)));
  const { epoch } = authority.state;
  context.log(() => `recovery ${epoch} begins`);
  try {
    return yield* runAttempt(context, epoch);
  } catch (error) {
    if (error instanceof AttemptFailed) return { kind: 'failed', reason: error.message };
    throw error;
  }
}

function* runAttempt(context: RecoveryContext, epoch: Epoch): Steps<AttemptOutcome> {
  const answered: MirrorId[] = [];
  const reports = yield* fenceAll(context, epoch, answered);
  stopIfOvertaken(context, epoch);
  const planned = context.rules.planRecovery(context.authority.state, reports);
  context.log(() => `recovery ${epoch}: ${JSON.stringify(planned)}`);
  if (planned.kind === 'wait') return { kind: 'wait', reason: planned.reason, reports };
  context.onTrusted(answered);
  const plan = context.defersStale === true ? withoutStale(context, planned) : planned;
  yield* repair(context, { epoch, plan, reports });
  const participants = [...plan.trusted, ...plan.stale.map(({ mirror }) => mirror)];
  const after = yield* reportAll(participants);
  for (const report of after) {
    const before = reports.find(({ mirror }) => mirror === report.mirror);
    if (before?.incarnation !== report.incarnation) throw new AttemptFailed(`${report.mirror} was restarted`);
  }
  yield* dropRows(context, { epoch, complete: plan.complete, reports: after });
  stopIfOvertaken(context, epoch);
  context.authority.persist(context.rules.activate(context.authority.state, epoch, after));
  const { state } = context.authority;
  yield* keepRecords(context, state);
  for (const mirror of participants) {
    const response = yield { mirror, request: { kind: 'activate', epoch } };
    if (response?.kind !== 'fence' || response.verdict.kind === 'refuse') {
      throw new AttemptFailed(`${mirror} could not be activated`);
    }
  }
  return { kind: 'activated', state };
}

/** Every mirror in sync has it before anybody acts on it, and whoever takes part in a recovery before anything is copied or a row goes (F31). */
export function* keepRecords(
  { rules, authority }: Pick<RecoveryContext, 'rules' | 'authority'>,
  state: AuthorityState,
  mirrors: readonly MirrorId[] = state.inSync,
): Steps<void> {
  if (!rules.keepsAuthorityRecords) return;
  for (const mirror of mirrors)
    yield* expectDone(mirror, { kind: 'keep-record', epoch: state.epoch, record: state });
  if (mirrors === state.inSync) authority.noteKept(state);
  else authority.noteDecisionKept(state);
}

/** The need of a full copy is on record all the same. */
function withoutStale(context: RecoveryContext, plan: ProceedPlan): ProceedPlan {
  recordNeeds(context, plan, () => false);
  const isWhole = plan.trusted.length === context.authority.state.members.length;
  return { ...plan, stale: [], complete: isWhole };
}

function stopIfOvertaken(context: RecoveryContext, epoch: Epoch): void {
  const { state } = context.authority;
  if (state.epoch !== epoch || state.phase !== 'recovering')
    throw new AttemptFailed('overtaken by a newer attempt');
}

function* fenceAll(context: RecoveryContext, epoch: Epoch, answered: MirrorId[]): Steps<MirrorReport[]> {
  const reports: MirrorReport[] = [];
  for (const { mirror } of context.authority.state.members) {
    const report = yield* fenceRun(context, mirror, epoch, () => answered.push(mirror));
    if (report === 'knows-better')
      throw new AttemptFailed(`${mirror} has seen a later state of the authority`);
    if (report !== null) reports.push(report);
  }
  return reports;
}

/**
 * Fences the run of a mirror that answers now, and says what that run says of itself then; null: it did not come to that. Not fenced is one that
 * has seen a later state of the authority (F31).
 */
export function* fenceRun(
  { rules, authority }: Pick<RecoveryContext, 'rules' | 'authority'>,
  mirror: MirrorId,
  epoch: Epoch,
  onAnswer: () => void = () => undefined,
): Steps<MirrorReport | 'knows-better' | null> {
  const before = yield { mirror, request: { kind: 'report' } };
  if (before?.kind !== 'report') return null;
  onAnswer();
  if (authority.state.epoch === epoch && rules.contradicts(authority.state, before.witness))
    return 'knows-better';
  const run = before.report.incarnation;
  const fenced = yield { mirror, request: { kind: 'fence', epoch, run } };
  if (fenced?.kind !== 'fence' || fenced.verdict.kind === 'refuse') return null;
  const after = yield { mirror, request: { kind: 'report' } };
  return after?.kind === 'report' && after.report.incarnation === run ? after.report : null;
}

export function* reportAll(mirrors: readonly MirrorId[]): Steps<MirrorReport[]> {
  const reports: MirrorReport[] = [];
  for (const mirror of mirrors) {
    const response = yield { mirror, request: { kind: 'report' } };
    if (response?.kind !== 'report') throw new AttemptFailed(`${mirror} does not report`);
    reports.push(response.report);
  }
  return reports;
}

interface Repair {
  readonly epoch: Epoch;
  readonly plan: ProceedPlan;
  readonly reports: readonly MirrorReport[];
}

function* repair(context: RecoveryContext, { epoch, plan, reports }: Repair): Steps<void> {
  const needy = plan.stale.filter(({ need }) => need.kind === 'full-copy').map(({ mirror }) => mirror);
  const byRows = plan.stale.filter(({ need }) => need.kind === 'rows').map(({ mirror }) => mirror);
  const isResumed = (mirror: MirrorId): boolean => mayResume(context, mirror, reports);
  recordNeeds(context, plan, isResumed);
  if (context.rules.recordsFullCopyFirst) {
    const begun: { readonly mirror: MirrorId; readonly storeId: StoreId }[] = [];
    for (const mirror of needy)
      if (!isResumed(mirror)) begun.push({ mirror, storeId: yield* recordCopyBegin(context, epoch, mirror) });
    const { state } = context.authority;
    if (context.rules.keepsRecoveriesOnRecord) yield* keepRecords(context, state, plan.trusted);
    for (const { mirror, storeId } of begun) yield* beginCopy(mirror, epoch, storeId);
    // A copy that begins makes a store forget what it kept.
    if (context.rules.keepsRecoveriesOnRecord) yield* keepRecords(context, state, [...byRows, ...needy]);
  }
  const matched = [...plan.trusted, ...byRows, ...(context.rules.matchesFullCopyTargets ? needy : [])];
  yield* repairByRows(context, { epoch, trusted: plan.trusted, mirrors: matched });
  const resumed = needy.filter(isResumed);
  for (const target of needy) yield* copyInFull(context.rules, { epoch, sources: plan.trusted, target });
  // What the copy had passed before it was broken off may have been written since; rows tell.
  if (resumed.length > 0)
    yield* repairByRows(context, { epoch, trusted: plan.trusted, mirrors: [...matched, ...resumed] });
}

export function mayResume(
  { authority, rules }: Pick<RecoveryContext, 'authority' | 'rules'>,
  mirror: MirrorId,
  reports: readonly MirrorReport[],
): boolean {
  const report = reports.find((candidate) => candidate.mirror === mirror);
  return report !== undefined && rules.mayResumeFullCopy(authority.state, report, reports);
}

function recordNeeds(
  { authority, rules }: RecoveryContext,
  plan: ProceedPlan,
  isResumed: (mirror: MirrorId) => boolean,
): void {
  if (!rules.recordsFullCopyFirst) return;
  for (const { mirror, need } of plan.stale) {
    if (need.kind !== 'full-copy' || isResumed(mirror)) continue;
    const member = authority.state.members.find((candidate) => candidate.mirror === mirror);
    // What has begun is given up only by whoever begins anew.
    if (member?.fullCopyReason === null)
      authority.persist(rules.requireFullCopy(authority.state, mirror, need.reason));
  }
}

/** Under the id that the store is to get. */
export function* recordCopyBegin(
  context: Pick<RecoveryContext, 'authority' | 'rules' | 'newStoreId'>,
  epoch: Epoch,
  mirror: MirrorId,
): Steps<StoreId> {
  const { authority, rules } = context;
  const report = yield { mirror, request: { kind: 'report' } };
  if (report?.kind !== 'report') throw new AttemptFailed(`${mirror} does not report`);
  if (authority.state.epoch !== epoch) throw new AttemptFailed('overtaken by a newer attempt');
  const storeId = rules.renewsStoreId ? context.newStoreId() : report.report.storeId;
  authority.persist(rules.beginFullCopy(authority.state, mirror, storeId));
  return storeId;
}

/** It is on record before. */
export function* beginCopy(mirror: MirrorId, epoch: Epoch, storeId: StoreId): Steps<void> {
  yield* expectDone(mirror, { kind: 'begin-full-copy', epoch, storeId, reason: 'a full copy' });
}

export function* expectDone(mirror: MirrorId, request: MirrorRequest): Steps<void> {
  const response = yield { mirror, request };
  if (response?.kind !== 'done') {
    throw new AttemptFailed(`${mirror}: ${request.kind} ended in ${JSON.stringify(response)}`);
  }
}

export function* surveyOf(mirror: MirrorId, epoch: Epoch): Steps<Survey> {
  const response = yield { mirror, request: { kind: 'survey', epoch } };
  if (response?.kind !== 'survey') throw new AttemptFailed(`${mirror} can't be surveyed`);
  return response.survey;
}

export interface Wanted {
  readonly objectId: ObjectId;
  readonly content: ObjectRepair['content'];
  /** With what is rotten of it, because nobody has it intact. */
  readonly isLossy?: boolean;
}

/** Null: the source's content fails its checksum. */
export function* copyFrom(mirror: MirrorId, epoch: Epoch, wanted: Wanted): Steps<ObjectCopy | null> {
  const response = yield { mirror, request: { kind: 'copy-out', epoch, ...wanted } };
  if (response?.kind === 'damaged') return null;
  if (response?.kind !== 'copy') throw new AttemptFailed(`${mirror} can't be read`);
  return response.copy;
}

interface RowRepair {
  readonly epoch: Epoch;
  readonly trusted: readonly MirrorId[];
  readonly mirrors: readonly MirrorId[];
}

function* repairByRows(context: RecoveryContext, { epoch, trusted, mirrors }: RowRepair): Steps<void> {
  const surveys = new Map<MirrorId, Survey>();
  for (const mirror of mirrors) surveys.set(mirror, yield* surveyOf(mirror, epoch));
  const objectIds = new Set(
    [...surveys.values()].flatMap(({ rows }) => rows.map(({ objectId }) => objectId)),
  );
  for (const objectId of [...objectIds].sort()) {
    const evidence = {
      objectId,
      mirrors: [...surveys].map(([mirror, survey]) => evidenceOf(mirror, survey, objectId)),
    };
    const plan = context.rules.planObject(evidence, trusted);
    context.onPlanned(evidence, plan);
    if (plan !== null)
      yield* pushRepair(context.rules, plan, { epoch, trusted, sources: sourcesOf(evidence, plan, trusted) });
  }
}

export function evidenceOf(
  mirror: MirrorId,
  survey: Survey,
  objectId: ObjectId,
): ObjectEvidence['mirrors'][number] {
  const state = survey.objects.get(objectId)?.state;
  return {
    mirror,
    rows: survey.rows
      .filter((row) => row.objectId === objectId)
      .sort((left, right) => (left.tag < right.tag ? -1 : 1)),
    lastTag: state?.lastTag ?? null,
    sizeBytes: state?.kind === 'present' ? state.sizeBytes : 0,
  };
}

/** The chosen source first, then the trusted mirrors that have the very same state. */
function sourcesOf(evidence: ObjectEvidence, plan: ObjectRepair, trusted: readonly MirrorId[]): MirrorId[] {
  const lastTag = evidence.mirrors.find(({ mirror }) => mirror === plan.source)?.lastTag;
  const equal = evidence.mirrors.filter(
    ({ mirror, lastTag: tag }) => mirror !== plan.source && tag === lastTag && trusted.includes(mirror),
  );
  return [plan.source, ...equal.map(({ mirror }) => mirror)];
}

export interface CopyFound {
  readonly copy: ObjectCopy;
  readonly source: MirrorId;
  readonly isLossy: boolean;
  /** Sources that had it rotten. */
  readonly rotten: readonly MirrorId[];
}

/** From the first source that has intact bytes (F30); else, with what is lost of it, from the first one. */
export function* copyFromAny(
  rules: Rules,
  sources: readonly MirrorId[],
  order: Wanted & { readonly epoch: Epoch },
): Steps<CopyFound> {
  const { epoch, objectId, content } = order;
  const rotten: MirrorId[] = [];
  for (const source of sources) {
    const copy = yield* copyFrom(source, epoch, { objectId, content });
    if (copy !== null) return { copy, source, isLossy: false, rotten };
    rotten.push(source);
  }
  const [first] = sources;
  if (first === undefined || !rules.copiesWhatIsLost)
    throw new AttemptFailed(`the object is rotten on ${rotten.join()}`);
  const copy = yield* copyFrom(first, epoch, { objectId, content, isLossy: true });
  if (copy === null) throw new AttemptFailed(`${first} has nothing to copy`);
  return { copy, source: first, isLossy: true, rotten: [] };
}

/** Rotten bytes are not copied: the next equal source is asked, and repairs the rotten one too (F30). */
function* pushRepair(
  rules: Rules,
  plan: ObjectRepair,
  attempt: {
    readonly epoch: Epoch;
    readonly sources: readonly MirrorId[];
    readonly trusted: readonly MirrorId[];
  },
): Steps<void> {
  const { epoch, sources, trusted } = attempt;
  const { objectId, content } = plan;
  const { copy, source, isLossy, rotten } = yield* copyFromAny(rules, sources, { epoch, objectId, content });
  const lastTag = copy.object?.state.lastTag ?? null;
  for (const target of plan.targets) {
    const push = {
      ...{ epoch, source, expectedLastTag: target.lastTag, lastTag, isLossy },
      ...{ copy, content, trusted, cause: 'rows' as const },
    };
    yield* expectDone(target.mirror, { kind: 'push', push });
  }
  yield* repairRotten(plan.objectId, { epoch, source, rotten });
}

/** All of it is read once more: it may be rotten elsewhere, and then another day's scrub looks for a good one. */
function* repairRotten(
  objectId: ObjectId,
  attempt: { readonly epoch: Epoch; readonly source: MirrorId; readonly rotten: readonly MirrorId[] },
): Steps<void> {
  const { epoch, source, rotten } = attempt;
  const content = { kind: 'whole' } as const;
  for (const mirror of rotten) {
    const copy = yield* copyFrom(source, epoch, { objectId, content });
    if (copy === null) return;
    const lastTag = copy.object?.state.lastTag ?? null;
    const push = { epoch, source, expectedLastTag: lastTag, lastTag, copy, content, cause: 'rot' as const };
    yield* expectDone(mirror, { kind: 'push', push });
  }
}

interface Drop {
  readonly epoch: Epoch;
  readonly complete: boolean;
  readonly reports: readonly MirrorReport[];
}

/** With all configured mirrors in, no row has anything left to say; in any case each hears how far its peers have come. */
function* dropRows(context: RecoveryContext, { epoch, complete, reports }: Drop): Steps<void> {
  const drops = new Map<MirrorId, TagRow[]>();
  for (const { mirror } of reports) {
    const survey = yield* surveyOf(mirror, epoch);
    drops.set(mirror, complete ? [...survey.rows].sort((a, b) => (rowKey(a) < rowKey(b) ? -1 : 1)) : []);
  }
  for (const { mirror, storeId } of reports) {
    const rows = drops.get(mirror) ?? [];
    if (rows.length === 0 && !context.rules.witnessesRecoveries) continue;
    const own = reports.map((report) => ({ storeId: report.storeId, commitSequence: report.commitSequence }));
    const passedOn = context.rules.passesWitnessesOn ? reports.flatMap((report) => report.witnesses) : [];
    const witnesses = [...passedOn, ...own].filter((witness) => witness.storeId !== storeId);
    yield* expectDone(mirror, { kind: 'drop-rows', epoch, rows, witnesses });
  }
}
