/** The simulated synchronization authority: the protocol's state, on a disk of its own, with a crash. */
import {
  type AuthorityState,
  type MirrorId,
  newAuthorityState,
  recordCleanStop,
} from '../../src/protocol/authority-state.js';
import type { Epoch } from '../../src/protocol/tag.js';
import type { Rules } from './rules.js';

export class SimulatedAuthority {
  readonly #rules: Rules;
  readonly #onPersist: (before: AuthorityState, after: AuthorityState) => void;
  #memory: AuthorityState;
  #disk: AuthorityState;

  constructor(
    setId: string,
    mirrors: readonly MirrorId[],
    context: { rules: Rules; onPersist: (before: AuthorityState, after: AuthorityState) => void },
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
  persist(state: AuthorityState): void {
    const before = this.#disk;
    this.#memory = state;
    this.#disk = state;
    this.#onPersist(before, state);
  }

  crash(): void {
    this.#memory = this.#disk;
  }

  /** Leaves mirrors out on behalf of the writer of `epoch`; null: that writer is no longer the one. */
  exclude(epoch: Epoch, mirrors: readonly MirrorId[]): AuthorityState | null {
    const isStale = this.state.epoch !== epoch || this.state.phase !== 'active';
    if (isStale && this.#rules.refusesStaleWriters) return null;
    if (mirrors.length === this.state.inSync.length || this.state.phase !== 'active') return null;
    const next = this.#rules.excludeMirrors(this.state, mirrors);
    if (this.#rules.persistsExclusions) this.persist(next);
    else this.#memory = next;
    return next;
  }

  stopCleanly(sequences: Readonly<Record<MirrorId, number>>): void {
    this.persist(recordCleanStop(this.state, sequences));
  }

  /** An operator says in so many words whom to trust, after the rest was found damaged (F33). */
  forceTrust(trusted: readonly MirrorId[], others: readonly MirrorId[]): void {
    let state: AuthorityState = {
      ...this.state,
      inSync: trusted,
      members: this.state.members.map((member) =>
        trusted.includes(member.mirror) ? { ...member, fullCopyReason: null } : member,
      ),
    };
    for (const mirror of others) state = this.#rules.requireFullCopy(state, mirror, 'an operator gave it up');
    this.persist(state);
  }
}
