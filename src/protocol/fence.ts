/**
 * The fence of one store, and what may land behind it (DESIGN.md sections 4 and 5).
 *
 *            fence(e)                    activate(e)
 *   any ----------------> fenced at e ----------------> active at e --- advance(e -> f) ---> active at f
 *                         (pushes, row drops)           (writes, token clears, row drops)
 *                              |     rebuild(e)
 *                              +--------------------> rebuilding at e
 *                                                     (writes, token clears, row drops, pushes; no reads)
 *
 * A store that is rebuilding takes what the writer sends as far as it has the history, and what a peer copies from the
 * mirrors in sync. It leaves that state by a fence alone: it is neither advanced nor activated.
 *
 * `fencedEpoch` is durable. `activeEpoch` is not: a restarted OSD takes no write until the authority has noticed the
 * restart and activated it again (F29), and between fence and activation no client write is taken (I6). The epoch that
 * a store was fenced at when it was opened is over for that run: a fence or an activation that was sent before the
 * restart, and arrives after it, must not put the store back to work unnoticed. The authority answers with a new epoch.
 * A disk that was put back by that restart does not know the epoch; so a fence also names the run that it is meant for (`isMeantForRun`).
 */
import { invariant } from './invariant.js';
import { type Epoch, EPOCH_NONE, isLater, type Tag, tagEpoch } from './tag.js';

export interface FenceState {
  readonly fencedEpoch: Epoch;
  readonly activeEpoch: Epoch;
  /** The durable `fencedEpoch` that this run of the OSD found when it opened the store; absent: none. Not durable itself. */
  readonly openedEpoch?: Epoch;
  /** True while the store is active as a mirror that is being rebuilt: not in sync, so no source and read by nobody. Not durable. */
  readonly isRebuilding?: true;
}

/** The fence of a store that was just opened. `fencedEpoch` is what is on its disk. */
export function reopenFence(fencedEpoch: Epoch): FenceState {
  return { fencedEpoch, activeEpoch: EPOCH_NONE, openedEpoch: fencedEpoch };
}

/** True for an epoch that began before this run of the OSD did. */
function isBeforeRun(state: FenceState, epoch: Epoch): boolean {
  return epoch <= (state.openedEpoch ?? EPOCH_NONE);
}

export type FenceRefusalCode = 'stale-epoch' | 'not-active' | 'not-fenced';

export type FenceVerdict =
  | { readonly kind: 'move'; readonly state: FenceState }
  | { readonly kind: 'refuse'; readonly code: FenceRefusalCode };

/** The same run at other epochs. Whatever moves a fence ends a rebuilding. */
function moved(state: FenceState, fencedEpoch: Epoch, activeEpoch: Epoch): FenceVerdict {
  const { openedEpoch } = state;
  const run = openedEpoch === undefined ? {} : { openedEpoch };
  return { kind: 'move', state: { fencedEpoch, activeEpoch, ...run } };
}

/**
 * F29: a fence is meant for the run that the authority has looked at. Come twice, it would else fence the next run too, on a disk that
 * was put back to before the fence: as a part of the very attempt that had counted on what is lost. Undefined: an older authority does not say.
 */
export function isMeantForRun(own: string, meant: string | undefined): boolean {
  return meant === undefined || meant === own;
}

/** A store is fenced at any epoch that is not below the one it was fenced at last; twice in one run changes nothing. */
export function decideFence(state: FenceState, epoch: Epoch): FenceVerdict {
  if (epoch < state.fencedEpoch) return { kind: 'refuse', code: 'stale-epoch' };
  // F14, F28: a fence that arrives late must not stop the epoch that it led to.
  if (epoch === state.activeEpoch) return { kind: 'refuse', code: 'stale-epoch' };
  if (isBeforeRun(state, epoch)) return { kind: 'refuse', code: 'stale-epoch' };
  return moved(state, epoch, EPOCH_NONE);
}

/** Writes are let in at exactly the epoch that the store is fenced at. */
export function decideActivate(state: FenceState, epoch: Epoch): FenceVerdict {
  if (epoch < state.fencedEpoch) return { kind: 'refuse', code: 'stale-epoch' };
  if (epoch > state.fencedEpoch || isBeforeRun(state, epoch)) return { kind: 'refuse', code: 'not-fenced' };
  // I3: a mirror that is being rebuilt comes in by a recovery, which has an epoch of its own.
  if (state.isRebuilding === true) return { kind: 'refuse', code: 'not-fenced' };
  return moved(state, epoch, epoch);
}

/** Writes are let in at a store that lacks some of the history, while it is copied from the mirrors in sync (section 5). */
export function decideRebuild(state: FenceState, epoch: Epoch): FenceVerdict {
  if (epoch < state.fencedEpoch) return { kind: 'refuse', code: 'stale-epoch' };
  if (isRebuildingAt(state, epoch)) return { kind: 'move', state };
  if (!isRecoveringAt(state, epoch)) return { kind: 'refuse', code: 'not-fenced' };
  return { kind: 'move', state: { ...state, activeEpoch: epoch, isRebuilding: true } };
}

/** An exclusion elsewhere raises the epoch of a mirror that stays active, without a break (so only if it never had one). */
export function decideAdvance(state: FenceState, from: Epoch, to: Epoch): FenceVerdict {
  // A mirror that is being rebuilt is not in sync: it does not stay, it is admitted anew.
  if (state.isRebuilding === true) return { kind: 'refuse', code: 'not-active' };
  if (to === state.activeEpoch) return { kind: 'move', state };
  if (from < state.fencedEpoch || to <= from) return { kind: 'refuse', code: 'stale-epoch' };
  if (state.activeEpoch !== from) return { kind: 'refuse', code: 'not-active' };
  invariant(state.fencedEpoch === from, 'an active store is fenced at its active epoch', { ...state });
  return moved(state, to, to);
}

/** True when the store is fenced for the recovery that has this very epoch, so that rows and objects may be repaired. */
export function isRecoveringAt(state: FenceState, epoch: Epoch): boolean {
  return state.fencedEpoch === epoch && state.activeEpoch === EPOCH_NONE && !isBeforeRun(state, epoch);
}

/**
 * True when rows may be dropped in this epoch: by its recovery, which has matched them, or by its writer once nobody needs
 * them any more (F27). A late order of another epoch bounces (F14).
 */
export function mayDropRows(state: FenceState, epoch: Epoch): boolean {
  return isRecoveringAt(state, epoch) || (epoch !== EPOCH_NONE && state.activeEpoch === epoch);
}

/**
 * True when a client's read of this epoch may be answered. A store that was restarted is not active: it may be blank or
 * rolled back, and until the authority has looked at it, what it has is no answer to anyone (F16, F17, F29).
 */
export function isReadableAt(state: FenceState, epoch: Epoch): boolean {
  return epoch !== EPOCH_NONE && state.activeEpoch === epoch && state.isRebuilding !== true;
}

/** True while the store is being rebuilt at this very epoch, beside clients that write. */
export function isRebuildingAt(state: FenceState, epoch: Epoch): boolean {
  return epoch !== EPOCH_NONE && state.activeEpoch === epoch && state.isRebuilding === true;
}

/** True when a reconciliation of this epoch may look at the store, so in the run that the authority has looked at itself (F29, F36). */
export function isComparableAt(state: FenceState, epoch: Epoch): boolean {
  return isRecoveringAt(state, epoch) || (epoch !== EPOCH_NONE && state.activeEpoch === epoch);
}

export type PushRefusalCode = 'stale-epoch' | 'not-fenced' | 'changed' | 'would-go-back';

export type PushVerdict =
  { readonly kind: 'land' } | { readonly kind: 'refuse'; readonly code: PushRefusalCode };

export interface PushContext {
  readonly fence: FenceState;
  /** The target's last tag of the object; null: it knows nothing of it. */
  readonly targetLastTag: Tag | null;
}

export interface PushClaim {
  readonly epoch: Epoch;
  /** The target's last tag when the rows were matched. */
  readonly expectedLastTag: Tag | null;
  /** The source's last tag, which the target gets; null when the source knows nothing of the object. */
  readonly lastTag: Tag | null;
}

/** Decides whether repaired content lands: by compare-and-set (F36), and never back within the epoch (F34). */
export function decidePush(context: PushContext, push: PushClaim): PushVerdict {
  if (push.epoch < context.fence.fencedEpoch) return { kind: 'refuse', code: 'stale-epoch' };
  const isOpen = isRecoveringAt(context.fence, push.epoch) || isRebuildingAt(context.fence, push.epoch);
  if (!isOpen) return { kind: 'refuse', code: 'not-fenced' };
  if (context.targetLastTag !== push.expectedLastTag) return { kind: 'refuse', code: 'changed' };
  const { targetLastTag } = context;
  const isOlder = targetLastTag === null || tagEpoch(targetLastTag) < push.epoch;
  if (!isOlder && !isLater(push.lastTag, targetLastTag)) return { kind: 'refuse', code: 'would-go-back' };
  return { kind: 'land' };
}
