/** The simulated synchronization authority: the protocol's state, on a disk of its own, with a crash. */
import {
  type AuthorityState,
  type MirrorId,
  newAuthorityState,
  type StoppedMirror,
} from '../../src/protocol/authority-state.js';
import type { MirrorReport } from '../../src/protocol/recovery-plan.js';
import type { Epoch } from '../../src/protocol/tag.js';
import type { Rules } from './rules.js';

export type TransitionCause = 'recovery' | 'exclusion' | 'admission' | 'operator';

export interface Transition {
  readonly before: AuthorityState;
  readonly after: AuthorityState;
  readonly cause: TransitionCause;
  /** Which run of each mirror was let in as rebuilding. */
  readonly admitted: Readonly<Record<MirrorId, string>>;
}

type OnPersist = (transition: Transition) => void;

export class SimulatedAuthority {
  readonly #rules: Rules;
  readonly #onPersist: OnPersist;
  #memory: AuthorityState;
  #disk: AuthorityState;

  constructor(
    setId: string,
    mirrors: readonly MirrorId[],
    context: { readonly rules: Rules; readonly onPersist: OnPersist },
  ) {
    this.#rules = context.rules;
    this.#onPersist = context.onPersist;
    this.#memory = newAuthorityState(setId, mirrors);
    this.#disk = this.#memory;
  }

  get state(): AuthorityState {
    return this.#memory;
  }

  /** The state that survives a crash. */
  get durableState(): AuthorityState {
    return this.#disk;
  }

  /** Durable before it returns. */
  persist(
    state: AuthorityState,
    cause: TransitionCause = 'recovery',
    admitted: Transition['admitted'] = {},
  ): void {
    const before = this.#disk;
    this.#memory = state;
    this.#disk = state;
    this.#onPersist({ before, after: state, cause, admitted });
  }

  crash(): void {
    this.#memory = this.#disk;
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
    return state;
  }

  #change(state: AuthorityState): AuthorityState {
    if (this.#rules.persistsExclusions) this.persist(state, 'exclusion');
    else this.#memory = state;
    return state;
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

  stopCleanly(stopped: readonly StoppedMirror[]): void {
    const state = this.#rules.recordCleanStop(this.state, stopped);
    if (state !== null) this.persist(state);
  }

  /**
   * An operator says in so many words whom to trust, after the rest was found damaged (F33). As with the real one that is the begin of an
   * epoch: what a recovery before it still has on its way belongs to another.
   */
  forceTrust(trusted: readonly MirrorId[], others: readonly MirrorId[]): void {
    let state: AuthorityState = {
      ...this.#rules.beginRecovery(this.state),
      inSync: trusted,
      members: this.state.members.map((member) =>
        trusted.includes(member.mirror) ? { ...member, fullCopyReason: null } : member,
      ),
    };
    for (const mirror of others) state = this.#rules.requireFullCopy(state, mirror, 'an operator gave it up');
    this.persist(state, 'operator');
  }
}
