/**
 * The durable state of the synchronization authority and its transitions (DESIGN.md sections 3.5 and 5).
 *
 * Each function returns the state to be put on disk; nobody acts on it before it is there. The epoch rises with every
 * transition that changes who may write or who is in sync, so every attempt at a recovery has its own (F28).
 */
import { invariant } from './invariant.js';
import { type Epoch, EPOCH_NONE, toEpoch } from './tag.js';
import type { StoreId } from './token.js';

declare const mirrorIdBrand: unique symbol;
/** One copy of the set, as a role: a configured name such as "osd-0". */
export type MirrorId = string & { readonly [mirrorIdBrand]: 'MirrorId' };

const MIRROR_ID_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** Types text from outside as a mirror id. Throws RangeError when it is none. */
export function toMirrorId(text: string): MirrorId {
  if (!MIRROR_ID_PATTERN.test(text))
    throw new RangeError(`not a mirror id: ${JSON.stringify(text.slice(0, 80))}`);
  return text as MirrorId;
}

export interface Member {
  readonly mirror: MirrorId;
  /** The store that plays this role; null until the first activation. In sync is granted to a store, never inferred (F16). */
  readonly storeId: StoreId | null;
  /** Why this mirror needs a full copy before it may be in sync again; null: rows are enough. */
  readonly fullCopyReason: string | null;
  /**
   * Its rows are kept no more (F27, forgone-rows.ts), so its full copy begins at the beginning, and begins only once this was
   * taken back: from then on writes that it lacks have rows again.
   */
  readonly rowsForgone?: true;
  /**
   * The id that the store got when the full copy for this reason began. While it stands, every row that was written since
   * is kept, so that a copy of the store with this id may go on where it was. Absent: none has begun.
   */
  readonly copyStoreId?: StoreId;
  /**
   * The store of this mirror has damaged records: it can not be compared, so it is no source, and not copied to either. An operator formats
   * another one (F19).
   */
  readonly damagedStoreId?: StoreId;
}

/** An operator's decision to go on with one mirror (forced-trust.ts). */
export interface ForcedDecision {
  readonly mirror: MirrorId;
  /** The epoch at which it was taken. */
  readonly epoch: Epoch;
  /** Unix ms, for people. */
  readonly atMs: number;
  /** What the operator was told is at risk, and then said. */
  readonly risks: readonly string[];
  readonly words: string;
}

/** One run of the process that keeps the authority's state. Each begins with an epoch of its own, so every epoch has one run. */
export interface AuthorityRun {
  /** A name at random. */
  readonly run: string;
  /** Its first one. */
  readonly epoch: Epoch;
  /** The revision of the state that it went on from: what came after that in an earlier run it does not know. Absent: an older version. */
  readonly after?: number;
  /** It has let nobody write yet, so nothing was acknowledged by it. Absent also where an older version did not count that. */
  readonly isIdle?: true;
}

export interface AuthorityState {
  readonly formatVersion: 1;
  readonly setId: string;
  readonly epoch: Epoch;
  /** `recovering`: fenced, nobody may write (I6). `active`: the writer may. */
  readonly phase: 'recovering' | 'active';
  readonly members: readonly Member[];
  /** The last set that was made equal. While recovering it is the set of the last activation. Empty only before the first (I3). */
  readonly inSync: readonly MirrorId[];
  /** The run of each in-sync mirror's process at the last activation (F18). */
  readonly incarnations: Readonly<Record<MirrorId, string>>;
  /** The commit sequences at a clean stop, when nothing was in flight; null from the next activation on. */
  readonly cleanStop: Readonly<Record<MirrorId, number>> | null;
  /**
   * The authority's own witness: the commit sequence at which it last saw each mirror that was in sync then. A store that
   * reports less was rolled back, also where no peer has a row or a witness to tell (F17, F18).
   */
  readonly sequences?: Readonly<Record<MirrorId, number>>;
  /** Mirrors that take new writes in this epoch without being in sync, while they are copied to (section 5). Absent: none. */
  readonly rebuilding?: readonly MirrorId[];
  /** The mirror whose OSD issues the tags of this active epoch (forwarding.ts). Absent: the gateway does. */
  readonly writer?: MirrorId;
  /** Witnesses up to here say nothing of this mirror any more: an operator knew of them, and trusted it (forced-trust.ts). */
  readonly forgiven?: Readonly<Record<MirrorId, number>>;
  /** Rises with every state that is put on disk, also within an epoch; absent: an older version never counted (F31). */
  readonly revision?: number;
  /** The latest runs of the authority that put a state on disk, oldest first. Absent: an older version (F31). */
  readonly runs?: readonly AuthorityRun[];
  /** Every decision that an operator took against the rules, oldest first. */
  readonly forced?: readonly ForcedDecision[];
}

export function newAuthorityState(setId: string, mirrors: readonly MirrorId[]): AuthorityState {
  invariant(mirrors.length > 0, 'a mirror set has at least one mirror');
  invariant(new Set(mirrors).size === mirrors.length, 'mirror ids are distinct', { mirrors });
  return {
    formatVersion: 1,
    setId,
    epoch: EPOCH_NONE,
    phase: 'recovering',
    members: mirrors.map((mirror) => ({ mirror, storeId: null, fullCopyReason: null })),
    inSync: [],
    incarnations: {},
    cleanStop: null,
  };
}

/** Who was being rebuilt, and who issued the tags, was so in an epoch that is over. */
function withoutEpochRoles(state: AuthorityState): AuthorityState {
  const { rebuilding, writer, ...rest } = state;
  return rebuilding === undefined && writer === undefined ? state : rest;
}

/**
 * A new attempt at a recovery: nobody may write until `activate`. The last in-sync set is kept. `above`: the highest epoch that a
 * mirror was fenced at which is to be fenced now; one that was given up while it was away may have seen more.
 */
export function beginRecovery(state: AuthorityState, above: Epoch = EPOCH_NONE): AuthorityState {
  const epoch = toEpoch(Math.max(state.epoch, above) + 1);
  return { ...withoutEpochRoles(state), epoch, phase: 'recovering' };
}

/**
 * Mirrors that were away are let in as rebuilding, beside a writer that goes on. It takes the same steps as an exclusion, so
 * each time has an epoch of its own: first the new epoch is on disk (`beginRecovery`), then everyone in sync has moved to it
 * without a break (`decideAdvance`), and those that are let in are fenced at it; then this. Precondition: recovering.
 */
export function admitMirrors(state: AuthorityState, admitted: readonly MirrorId[]): AuthorityState {
  invariant(state.phase === 'recovering', 'an admission has an epoch of its own', { phase: state.phase });
  invariant(state.inSync.length > 0, 'I3: the in-sync set is never empty', { admitted });
  for (const mirror of admitted) {
    invariant(!state.inSync.includes(mirror), 'a mirror in sync is not rebuilt', { mirror });
    const isMember = state.members.some((member) => member.mirror === mirror);
    invariant(isMember, 'only members of the mirror set are let in', { mirror });
  }
  const rebuilding = admitted.length === 0 ? {} : { rebuilding: admitted };
  // The writer goes on, so what a clean stop recorded no longer says where anybody stands.
  return { ...state, phase: 'active', cleanStop: null, ...rebuilding };
}

/**
 * Leaves mirrors out of the in-sync set while the writer goes on with the others. On disk before the first answer that
 * is given without them (F12).
 *
 * An exclusion takes the steps of a recovery: first a new epoch is on disk (`beginRecovery`), with the old in-sync set;
 * then everyone who stays has moved to it without a break (`decideAdvance`); only then this. Were the set to shrink before that, a
 * mirror that was restarted in the meantime, perhaps on an old disk, would be all that is left of the set, and would
 * vouch for itself alone (F18). Precondition: recovering, and somebody remains (I3).
 */
export function excludeMirrors(state: AuthorityState, excluded: readonly MirrorId[]): AuthorityState {
  const inSync = state.inSync.filter((mirror) => !excluded.includes(mirror));
  invariant(state.phase === 'recovering', 'an exclusion has an epoch of its own', { phase: state.phase });
  invariant(inSync.length > 0, 'I3: the in-sync set is never empty', { excluded });
  invariant(inSync.length < state.inSync.length, 'an exclusion leaves somebody out', { excluded });
  const incarnations: Record<MirrorId, string> = {};
  for (const mirror of inSync) {
    const incarnation = state.incarnations[mirror];
    invariant(incarnation !== undefined, 'the incarnation of every in-sync mirror is known', { mirror });
    incarnations[mirror] = incarnation;
  }
  // The writer goes on, so what a clean stop recorded no longer says where anybody stands.
  return { ...state, phase: 'active', inSync, incarnations, cleanStop: null };
}

/** What is known of a mirror that takes part in an activation. */
export interface Participant {
  readonly mirror: MirrorId;
  readonly storeId: StoreId;
  readonly incarnation: string;
  /** The store's commit sequence after the last repair of this recovery, when it is known. */
  readonly commitSequence?: number;
}

/** The fence lifts: these mirrors are equal, and the writer may write to them. Precondition: recovering at this very epoch. */
export function activate(state: AuthorityState, epoch: Epoch, equal: readonly Participant[]): AuthorityState {
  invariant(state.phase === 'recovering', 'activation ends a recovery', { phase: state.phase });
  invariant(state.epoch === epoch, 'F28: only the latest recovery attempt activates', {
    epoch,
    latest: state.epoch,
  });
  invariant(equal.length > 0, 'I3: the in-sync set is never empty');
  const byMirror = new Map(equal.map((participant) => [participant.mirror, participant]));
  const members = state.members.map((member) => {
    const participant = byMirror.get(member.mirror);
    return participant === undefined
      ? member
      : { mirror: member.mirror, storeId: participant.storeId, fullCopyReason: null };
  });
  const incarnations: Record<MirrorId, string> = {};
  const sequences: Record<MirrorId, number> = { ...state.sequences };
  for (const { mirror, incarnation, commitSequence } of equal) {
    incarnations[mirror] = incarnation;
    // A store that was copied in full starts anew: what was seen of its past is no measure for it.
    if (commitSequence === undefined) Reflect.deleteProperty(sequences, mirror);
    else sequences[mirror] = commitSequence;
  }
  return {
    ...withoutEpochRoles(state),
    phase: 'active',
    members,
    inSync: equal.map((participant) => participant.mirror),
    incarnations,
    cleanStop: null,
    sequences,
  };
}

/**
 * Names the mirror whose OSD issues the tags of the epoch that begins. To be on disk together with the activation, before
 * anyone is told. Precondition: active, and in sync.
 */
export function nameWriter(state: AuthorityState, writer: MirrorId): AuthorityState {
  invariant(state.phase === 'active', 'a writer is named for an active epoch', { phase: state.phase });
  invariant(state.inSync.includes(writer), 'the writer is a mirror in sync', { writer });
  return { ...state, writer };
}

function withMember(state: AuthorityState, changed: Member): AuthorityState {
  const members = state.members.map((member) => (member.mirror === changed.mirror ? changed : member));
  return { ...state, members };
}

function memberOf(state: AuthorityState, mirror: MirrorId): Member {
  const member = state.members.find((candidate) => candidate.mirror === mirror);
  invariant(member !== undefined, 'a full copy is of a member of the mirror set', { mirror });
  return member;
}

/**
 * Puts on record that a mirror needs a full copy, whatever becomes of this recovery (F27). One that has begun does not count
 * any more: it starts from nothing.
 */
export function requireFullCopy(state: AuthorityState, mirror: MirrorId, reason: string): AuthorityState {
  const { storeId, fullCopyReason, rowsForgone, damagedStoreId } = memberOf(state, mirror);
  const forgone = rowsForgone === undefined ? {} : { rowsForgone };
  const damaged = damagedStoreId === undefined ? {} : { damagedStoreId };
  return withMember(state, {
    mirror,
    storeId,
    fullCopyReason: fullCopyReason ?? reason,
    ...forgone,
    ...damaged,
  });
}

/**
 * Puts on record that this store of a mirror has damaged records, so that it takes part in nothing before it is another store, which is then
 * copied in full (F19). `reason`: in place of any that was on record before.
 */
export function recordDamagedStore(
  state: AuthorityState,
  mirror: MirrorId,
  damage: { readonly storeId: StoreId; readonly reason: string },
): AuthorityState {
  const { copyStoreId: _, ...member } = memberOf(state, mirror);
  return withMember(state, { ...member, fullCopyReason: damage.reason, damagedStoreId: damage.storeId });
}

/**
 * Puts on record that a full copy begins, under the new id that the store gets now: what peers and the authority saw of the
 * store before says nothing of the one that is made. From now on rows are kept for it again (F27). Precondition: the need is
 * on record.
 */
export function beginFullCopy(state: AuthorityState, mirror: MirrorId, copyStoreId: StoreId): AuthorityState {
  const { storeId, fullCopyReason } = memberOf(state, mirror);
  invariant(fullCopyReason !== null, 'the need of a full copy is on record before it begins', { mirror });
  const sequences: Record<MirrorId, number> = { ...state.sequences };
  Reflect.deleteProperty(sequences, mirror);
  const begun = { ...withMember(state, { mirror, storeId, fullCopyReason, copyStoreId }), sequences };
  if (state.forgiven === undefined) return begun;
  // What an operator forgave was the store before: of this one a rollback is noticed from its first commit on (F17).
  const forgiven: Record<MirrorId, number> = { ...state.forgiven };
  Reflect.deleteProperty(forgiven, mirror);
  return { ...begun, forgiven };
}

/**
 * A full copy is through, but for what was written since it began, and of that every row is there: from now on rows are
 * enough. On record before the store takes its first write, because from then on rows are cleared. Precondition: it began
 * under this id.
 */
export function endFullCopy(state: AuthorityState, copied: Participant): AuthorityState {
  const { mirror, storeId, commitSequence } = copied;
  invariant(memberOf(state, mirror).copyStoreId === storeId, 'a full copy ends for the store it began for', {
    mirror,
  });
  const sequences: Record<MirrorId, number> = { ...state.sequences };
  if (commitSequence !== undefined) sequences[mirror] = commitSequence;
  return { ...withMember(state, { mirror, storeId, fullCopyReason: null }), sequences };
}

/** What a mirror says of itself when nothing is in flight any more. */
export interface StoppedMirror {
  readonly mirror: MirrorId;
  readonly incarnation: string;
  readonly activeEpoch: Epoch;
  readonly commitSequence: number;
}

/**
 * Puts on record where the in-sync mirrors stood when the writer stopped with nothing in flight: there a restarted one vouches alone (F18),
 * and one that comes back with less has lost state, whatever it is given by pushes until somebody looks again (F17). Null: a mirror in sync
 * does not say so in the very run that took the writes. It was restarted and nobody noticed, so what it has to show may be less
 * than what it acknowledged, and would count as all there is.
 */
export function recordCleanStop(
  state: AuthorityState,
  stopped: readonly StoppedMirror[],
): AuthorityState | null {
  invariant(state.phase === 'active', 'a clean stop ends an active epoch', { phase: state.phase });
  const cleanStop: Record<MirrorId, number> = {};
  for (const mirror of state.inSync) {
    const seen = stopped.find((candidate) => candidate.mirror === mirror);
    const ranAllTheTime =
      seen?.activeEpoch === state.epoch && seen.incarnation === state.incarnations[mirror];
    if (!ranAllTheTime) return null;
    cleanStop[mirror] = seen.commitSequence;
  }
  return { ...state, cleanStop, sequences: { ...state.sequences, ...cleanStop } };
}

const RUNS_KEPT_MAX = 100;

/** The state as this run of an authority puts it on disk after `before`. */
export function stampState(state: AuthorityState, before: AuthorityState, run: string): AuthorityState {
  const revision = Math.max(state.revision ?? 0, before.revision ?? 0) + 1;
  const known = state.runs ?? [];
  const { epoch, phase } = state;
  const latest = known.at(-1);
  if (latest?.run !== run) {
    const isIdle = phase === 'active' ? {} : { isIdle: true as const };
    const next = { run, epoch, after: state.revision ?? 0, ...isIdle };
    return { ...state, revision, runs: [...known, next].slice(-RUNS_KEPT_MAX) };
  }
  if (latest.isIdle === undefined || phase !== 'active') return { ...state, revision, runs: known };
  const { isIdle: _, ...written } = latest;
  return { ...state, revision, runs: [...known.slice(0, -1), written] };
}
