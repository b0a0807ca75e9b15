/** The simulated synchronization authority: the protocol's state, on a disk of its own, with a crash. */
import {
  type AuthorityState,
  type ForcedDecision,
  type MirrorId,
  newAuthorityState,
  stampState,
  type StoppedMirror,
} from '../../src/protocol/authority-state.js';
import type { MirrorReport } from '../../src/protocol/recovery-plan.js';
import type { Epoch } from '../../src/protocol/tag.js';
import type { Rules } from './rules.js';

export type TransitionCause = 'recovery' | 'exclusion' | 'admission' | 'operator' | 'rebuilt';

/** States that may be put back. */
const BACKUPS_MAX = 40;

export interface Transition {
  readonly before: AuthorityState;
  readonly after: AuthorityState;
  readonly cause: TransitionCause;
  /** Which run of each mirror was let in as rebuilding. */
  readonly admitted: Readonly<Record<MirrorId, string>>;
}

/** In one history. */
function isAfter(left: AuthorityState, right: AuthorityState): boolean {
  if (left.epoch !== right.epoch) return left.epoch > right.epoch;
  return (left.revision ?? 0) > (right.revision ?? 0);
}

type OnPersist = (transition: Transition) => void;

export class SimulatedAuthority {
  readonly #rules: Rules;
  readonly #onPersist: OnPersist;
  readonly #onKept: () => void;
  /** Of the process that has the authority. */
  #run = 1;
  #hasCrashed = false;
  #memory: AuthorityState;
  #disk: AuthorityState;
  /** The latest one that it was not made to forget. */
  #latest: AuthorityState;
  readonly #backups: AuthorityState[] = [];
  #kept: AuthorityState;
  /** An operator's decision that the mirror that it is about does not keep yet. */
  #openDecision: ForcedDecision | null = null;
  #wasMadeGood = false;
  /** What it was made to go on with. */
  #putBack: AuthorityState | null = null;

  constructor(
    setId: string,
    mirrors: readonly MirrorId[],
    context: { readonly rules: Rules; readonly onPersist: OnPersist; readonly onKept: () => void },
  ) {
    this.#rules = context.rules;
    this.#onPersist = context.onPersist;
    this.#onKept = context.onKept;
    this.#memory = newAuthorityState(setId, mirrors);
    this.#disk = this.#memory;
    this.#latest = this.#memory;
    this.#kept = this.#memory;
  }

  get state(): AuthorityState {
    return this.#memory;
  }

  /** The state that survives a crash; what it was before it was lost, or an old one put back (F31). */
  get durableState(): AuthorityState {
    return this.#latest;
  }

  /** True from the moment at which it was lost, or an old one put back, until it is found out and made good. */
  get isOld(): boolean {
    return this.#disk !== this.#latest;
  }

  /** True when it was lost or old once, and went on from what mirrors kept, or by an operator's decision. */
  get wasMadeGood(): boolean {
    return this.#wasMadeGood;
  }

  /** Every mirror in sync keeps this state, so that somebody may have acted on it. */
  noteKept(state: AuthorityState): void {
    this.noteDecisionKept(state);
    if (isAfter(state, this.#kept)) this.#kept = state;
    this.#onKept();
  }

  /** For the checkers: the latest state that somebody may have acted on. */
  get kept(): AuthorityState {
    return this.#kept;
  }

  /** For the checkers: true when a mirror has what it was made to forget, and its word counts against what it was made to go on with. */
  isKnownBetterBy(mirror: MirrorId, record: AuthorityState | null): boolean {
    const old = this.#putBack;
    if (old === null || record === null) return false;
    const isGivenUp = old.members.some(
      (member) => member.mirror === mirror && member.fullCopyReason !== null,
    );
    return !isGivenUp && isAfter(record, old);
  }

  /** Oldest first. */
  get backups(): readonly AuthorityState[] {
    return this.#backups;
  }

  /** Its disk has this now, and the process starts again. */
  putBack(state: AuthorityState): void {
    this.#disk = state;
    this.#putBack = state;
    this.crash();
  }

  /** Durable before it returns. */
  persist(
    state: AuthorityState,
    cause: TransitionCause = 'recovery',
    admitted: Transition['admitted'] = {},
  ): void {
    const before = this.#latest;
    const makesGood = cause === 'operator' || cause === 'rebuilt';
    this.#wasMadeGood ||= makesGood;
    const isResolved = !this.isOld || makesGood;
    const after = stampState(state, this.#memory, `run-${this.#run}`);
    this.#memory = after;
    this.#disk = after;
    if (!isResolved) return;
    this.#latest = after;
    this.#backups.push(after);
    if (this.#backups.length > BACKUPS_MAX) this.#backups.shift();
    this.#onPersist({ before, after, cause, admitted });
  }

  crash(): void {
    this.#hasCrashed = true;
    this.#memory = this.#disk;
  }

  /** A process that is to decide: another run, if the one before crashed. What writers that were left behind put on record until then is of that one. */
  beginToDecide(): void {
    if (this.#hasCrashed) this.#run += 1;
    this.#hasCrashed = false;
  }

  /** A new epoch for the exclusion that the writer of `epoch` asks for; null: it is not the writer any more (F14). */
  beginExclusion(epoch: Epoch): AuthorityState | null {
    if (this.state.epoch !== epoch || this.state.phase !== 'active') return null;
    return this.#change(this.#rules.beginRecovery(this.state));
  }

  /** Leaves mirrors out, in the epoch that was begun for it; null: another one has begun since. */
  exclude(epoch: Epoch, mirrors: readonly MirrorId[]): AuthorityState | null {
    if (this.state.epoch !== epoch || this.state.phase !== 'recovering') return null;
    return this.#change(this.#rules.excludeMirrors(this.state, mirrors));
  }

  /** Lets mirrors in as rebuilding, in the epoch that was begun for it; null: another one has begun since. */
  admit(epoch: Epoch, reports: readonly MirrorReport[]): AuthorityState | null {
    if (this.state.epoch !== epoch || this.state.phase !== 'recovering') return null;
    const state = this.#rules.admitMirrors(
      this.state,
      reports.map(({ mirror }) => mirror),
    );
    const admitted = Object.fromEntries(reports.map(({ mirror, incarnation }) => [mirror, incarnation]));
    this.persist(state, 'admission', admitted);
    return this.state;
  }

  #change(state: AuthorityState): AuthorityState {
    if (this.#rules.persistsExclusions) this.persist(state, 'exclusion');
    else this.#memory = state;
    return this.#memory;
  }

  /** F27: mirrors that are away get no rows any more; null: the writer of `epoch` is not the writer any more. */
  forgoRows(epoch: Epoch): AuthorityState | null {
    const { state } = this;
    if (state.epoch !== epoch || state.phase !== 'active') return null;
    const kept = [...state.inSync, ...(state.rebuilding ?? [])];
    const away = state.members.map(({ mirror }) => mirror).filter((mirror) => !kept.includes(mirror));
    this.persist(this.#rules.forgoRows(state, away, 'the tag table is full'), 'exclusion');
    return this.state;
  }

  /** Null: nothing is known of where the mirrors stand. */
  stopCleanly(stopped: readonly StoppedMirror[]): AuthorityState | null {
    const state = this.#rules.recordCleanStop(this.state, stopped);
    if (state === null) return null;
    this.persist(state);
    return this.state;
  }

  /**
   * An operator says in so many words whom to trust (F33, F31), as the real one does. That is the begin of an epoch: what a recovery before it
   * still has on its way belongs to another.
   */
  forceTrust(mirror: MirrorId, reports: readonly MirrorReport[], fencedEpoch: Epoch): void {
    this.beginToDecide();
    const { epoch } = this.state;
    const decision = { mirror, epoch, atMs: 0, risks: [], words: '' };
    this.persist(this.#rules.forceTrust(this.state, reports, decision, fencedEpoch), 'operator');
    this.#openDecision = decision;
  }

  /** True when an operator's decision is on record, and the mirror that it is about may still speak against it: then it is taken once more. */
  get isDecisionOpen(): boolean {
    return this.#openDecision !== null;
  }

  /** The mirrors that are trusted by this state keep it: where it comes by an operator's decision, what was before that counts no more. */
  noteDecisionKept(state: AuthorityState): void {
    if (this.#openDecision === null || state.forced?.includes(this.#openDecision) !== true) return;
    this.#kept = state;
    this.#openDecision = null;
  }
}
