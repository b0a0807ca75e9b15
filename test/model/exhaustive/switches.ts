/** Every rule that the model can switch off, under the name of FAILURES.md. */
import { decidePush } from '../../../src/protocol/fence.js';
import { readyTokens } from '../../../src/protocol/write-outcome.js';
import { makeTag, toEpoch } from '../../../src/protocol/tag.js';
import { mayDropTombstone } from '../../../src/protocol/token.js';
import * as mutations from '../mutations.js';
import type { Rules } from '../rules.js';
import type { Bounds } from './model.js';
import { GENERATOR } from './names.js';

export interface Switch {
  readonly id: string;
  readonly rule: string;
  readonly off: Partial<Rules>;
  /** A second line of defence that would hide what the first one does. */
  readonly alreadyOff?: Partial<Rules>;
  readonly bounds?: Partial<Bounds>;
  /** No counterexample is known within the states that a test may take: it needs longer, or what the model leaves out. */
  readonly isBeyondReach?: true;
}

/** The bounds of a search with all rules on. */
export function boundsOf(set: { readonly mirrors: number; readonly isOnline: boolean }): Bounds {
  return { ...set, epochsMax: 6, restartsMax: 2, damagesMax: 1, repeatsMax: 1 };
}

const LATEST = makeTag({ epoch: toEpoch(30), counter: 7, generator: GENERATOR });
const calm = { restartsMax: 0, damagesMax: 0, repeatsMax: 0, epochsMax: 4 } as const;
/** Nothing but replaces. */
const plain = { ...calm, kinds: ['replace'] } as const;
const short = { ...plain, epochsMax: 3 } as const;
/** One disk that is replaced or put back, and as much time as that takes. */
const damaged = { ...plain, damagesMax: 1, epochsMax: 2 } as const;

/** The target's last tag at matching is not looked at; that a push takes nobody back still is. */
const pushesIgnoreChange: Rules['decidePush'] = (context, push) =>
  decidePush(context, { ...push, expectedLastTag: context.targetLastTag });

export const switches: readonly Switch[] = [
  {
    id: 'F1',
    rule: 'direction: never from who holds the row',
    off: { planObject: mutations.rowHolderIsSource },
    bounds: short,
  },
  {
    id: 'F2',
    rule: 'excluded mirrors never source',
    off: { planObject: mutations.newestTagWins },
    bounds: short,
  },
  {
    id: 'F3',
    rule: 'the difference of both tables',
    off: { planObject: mutations.onlySourceTable },
    bounds: short,
  },
  {
    id: 'F4',
    rule: 'a replace only over a lower last tag',
    off: { decideWrite: mutations.replaceInAnyOrder },
    bounds: plain,
  },
  {
    id: 'F6',
    isBeyondReach: true,
    rule: 'the highest last tag among the trusted',
    off: { planObject: mutations.firstTrustedIsSource },
    bounds: plain,
  },
  { id: 'F7', rule: 'one batch, not the row first', off: { commitOrder: 'row-first' }, bounds: plain },
  { id: 'F8', rule: 'one batch, not the data first', off: { commitOrder: 'data-first' }, bounds: plain },
  {
    id: 'F11',
    rule: 'ready is all that are configured',
    off: { readyTokens: (progress) => readyTokens({ ...progress, configured: progress.inSync }) },
    bounds: plain,
  },
  { id: 'F12', rule: 'exclusions are on disk first', off: { persistsExclusions: false }, bounds: plain },
  {
    id: 'F13',
    rule: 'the epoch is part of the tag',
    off: {
      createGenerator: (generator, epoch) => new mutations.EpochlessGenerator(generator, epoch),
      decideWrite: mutations.tagsWithoutEpoch,
    },
    bounds: plain,
  },
  {
    id: 'F14',
    rule: 'the fence stops writes',
    off: { decideWrite: mutations.writesOfAnyEpoch },
    bounds: plain,
  },
  {
    id: 'F14-clear',
    isBeyondReach: true,
    rule: 'the fence stops clears',
    off: { decideClear: mutations.clearsOfAnyEpoch },
    bounds: short,
  },
  {
    id: 'F16',
    rule: 'in sync is granted to a store id',
    off: { planRecovery: mutations.anyStoreIsTrusted },
    bounds: damaged,
  },
  {
    id: 'F17',
    isBeyondReach: true,
    rule: 'witnesses',
    off: { planRecovery: mutations.noWitnesses },
    bounds: damaged,
  },
  {
    id: 'F17-fences',
    isBeyondReach: true,
    rule: 'a fence does not move the commit sequence',
    off: { countsFencesAsCommits: true },
    bounds: { ...damaged, epochsMax: 3 },
  },
  {
    id: 'F18',
    rule: 'a restarted mirror never vouches alone',
    off: { planRecovery: mutations.anyoneVouches },
    bounds: damaged,
  },
  {
    id: 'F18-advance',
    isBeyondReach: true,
    rule: 'who stays moves before the others are out',
    off: { advancesBeforeExclusion: false },
    bounds: { ...damaged, epochsMax: 3 },
  },
  { id: 'F20', rule: 'a removal leaves a tombstone', off: { mayDropTombstone: () => true }, bounds: calm },
  {
    id: 'F21',
    rule: 'a tombstone stays until the floor has passed it',
    off: { mayDropTombstone: (context) => mayDropTombstone({ ...context, floor: LATEST }) },
    bounds: calm,
  },
  {
    id: 'F22',
    isBeyondReach: true,
    rule: 'writes below the floor are refused',
    off: { decideWrite: mutations.noFloor },
    bounds: { ...calm, repeatsMax: 1, epochsMax: 1, kinds: ['replace', 'remove'] },
  },
  {
    id: 'F24',
    rule: 'a write that has a row is a duplicate',
    off: { decideWrite: mutations.duplicatesApply },
    bounds: { ...calm, repeatsMax: 1, epochsMax: 1 },
  },
  {
    id: 'F28',
    isBeyondReach: true,
    rule: 'each attempt has an epoch of its own',
    off: { beginRecovery: mutations.sameEpochForNextAttempt },
    bounds: { ...plain, restartsMax: 1 },
  },
  {
    id: 'F29',
    rule: 'a restarted store is not active',
    off: { reopenFence: mutations.reopenActive },
    bounds: damaged,
  },
  {
    id: 'full-copy',
    isBeyondReach: true,
    rule: 'the need of a full copy is on record first',
    off: { recordsFullCopyFirst: false },
    bounds: { ...damaged, epochsMax: 3 },
  },
  {
    id: 'full-copy-id',
    isBeyondReach: true,
    rule: 'a full copy gives a new store id',
    off: { renewsStoreId: false },
    bounds: { ...damaged, epochsMax: 4, restartsMax: 1 },
  },
  {
    id: 'gap',
    rule: 'a range write only to the state that it names',
    off: { decideWrite: mutations.anyStateIsBase },
    bounds: { ...calm, isOnline: true, kinds: ['range-write'] },
  },
  {
    id: 'F34',
    rule: 'a push never takes its target back',
    off: { decidePush: mutations.pushesGoBack },
    bounds: { ...plain, isOnline: true },
  },
  {
    id: 'F35',
    isBeyondReach: true,
    rule: 'a rebuilding mirror keeps tombstones',
    off: { mayDropTombstone: mutations.rebuildingDropsTombstones },
    bounds: { ...calm, isOnline: true, kinds: ['replace', 'remove'] },
  },
  {
    id: 'F36',
    isBeyondReach: true,
    rule: 'a push lands by compare-and-set',
    off: { decidePush: pushesIgnoreChange },
    bounds: { ...plain, isOnline: true, epochsMax: 3 },
  },
  {
    id: 'F37',
    isBeyondReach: true,
    rule: 'the rows come along',
    off: { rowsAfterPush: (target) => [...target] },
    bounds: { ...plain, isOnline: true, mirrors: 3 },
  },
  {
    id: 'F37-drop',
    isBeyondReach: true,
    rule: 'a row goes only when all have its write',
    off: { dropsOnlyWhatAllHave: false },
    bounds: { ...plain, isOnline: true, mirrors: 3 },
  },
];
