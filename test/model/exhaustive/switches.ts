/** Every rule that the model can switch off, under the name of FAILURES.md. */
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
  /** Steps of the shortest counterexample, those before the search included. */
  readonly length: number;
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

// What happened before the search begins, where it would take too long to come to it.

/** #1 is on both mirrors, and acknowledged. */
const WRITTEN = [
  'the writer issues a replace',
  '#1 to M0 arrives and is answered',
  '#1 to M1 arrives and is answered',
];
const CLEARED = ['the clear of #1 to M0 arrives', 'the clear of #1 to M1 arrives'];
const FENCED = ['M0 is fenced', 'M1 is fenced'];
const WITHOUT_M1 = [
  'a recovery begins',
  'M0 is fenced',
  'the recovery is planned',
  'the recovery drops rows',
  'the recovery activates',
];
/** #1 is acknowledged without M1. */
const MISSED_BY_M1 = [
  'the writer issues a replace',
  '#1 to M0 arrives and is answered',
  'the writer gives up on #1 to M1',
  'the writer leaves out who did not answer',
];
const MATCHED = ['M0 is surveyed', 'M1 is surveyed', 'the catch-up matches'];
/** Of three: #1 is acknowledged without M2, which is let in again. */
const MISSED_BY_M2 = [
  ...WRITTEN,
  'the writer gives up on #1 to M2',
  'the writer leaves out who did not answer',
  'M2 is let in as rebuilding',
];
/** The steps of recoveries. */
const RECOVERY = ['recovery', 'fenced', 'a push', 'is copied'];

export const switches: readonly Switch[] = [
  {
    id: 'F1',
    length: 12,
    rule: 'direction: never from who holds the row',
    off: { planObject: mutations.rowHolderIsSource },
    bounds: { ...short, only: ['issues', '#1', 'leaves out', ...RECOVERY] },
  },
  {
    id: 'F2',
    length: 12,
    rule: 'excluded mirrors never source',
    off: { planObject: mutations.newestTagWins },
    bounds: { ...short, only: ['issues', '#1', 'leaves out', ...RECOVERY] },
  },
  {
    id: 'F3',
    length: 12,
    rule: 'the difference of both tables',
    off: { planObject: mutations.onlySourceTable },
    bounds: { ...short, only: ['issues', '#1', 'leaves out', ...RECOVERY] },
  },
  {
    id: 'F4',
    length: 4,
    rule: 'a replace only over a lower last tag',
    off: { decideWrite: mutations.replaceInAnyOrder },
    bounds: plain,
  },
  {
    id: 'F6',
    length: 10,
    rule: 'the highest last tag among the trusted',
    off: { planObject: mutations.firstTrustedIsSource },
    bounds: {
      ...damaged,
      after: ['a snapshot of M0 is taken', ...WRITTEN],
      only: ['put back', ...RECOVERY],
    },
  },
  {
    id: 'F7',
    length: 2,
    rule: 'one batch, not the row first',
    off: { commitOrder: 'row-first' },
    bounds: plain,
  },
  {
    id: 'F8',
    length: 2,
    rule: 'one batch, not the data first',
    off: { commitOrder: 'data-first' },
    bounds: plain,
  },
  {
    id: 'F11',
    length: 7,
    rule: 'ready is all that are configured',
    off: { readyTokens: (progress) => readyTokens({ ...progress, configured: progress.inSync }) },
    bounds: plain,
  },
  {
    id: 'F12',
    length: 4,
    rule: 'exclusions are on disk first',
    off: { persistsExclusions: false },
    bounds: plain,
  },
  {
    id: 'F13',
    length: 6,
    rule: 'the epoch is part of the tag',
    off: {
      createGenerator: (generator, epoch) => new mutations.EpochlessGenerator(generator, epoch),
      decideWrite: mutations.tagsWithoutEpoch,
    },
    bounds: plain,
  },
  {
    id: 'F14',
    length: 4,
    rule: 'the fence stops writes',
    off: { decideWrite: mutations.writesOfAnyEpoch },
    bounds: plain,
  },
  {
    id: 'F14-clear',
    length: 17,
    rule: 'the fence stops clears',
    off: { decideClear: mutations.clearsOfAnyEpoch },
    // The second line: a peer's witness comes with the clear.
    alreadyOff: { planRecovery: mutations.noWitnesses },
    bounds: {
      ...damaged,
      epochsMax: 3,
      after: ['a snapshot of M1 is taken', ...WRITTEN, 'M1 is put back to its snapshot', ...WITHOUT_M1],
      only: ['the clear', ...RECOVERY],
    },
  },
  {
    id: 'F16',
    length: 7,
    rule: 'in sync is granted to a store id',
    off: { planRecovery: mutations.anyStoreIsTrusted },
    bounds: { ...damaged, only: ['issues', '#1', 'blank', ...RECOVERY] },
  },
  {
    id: 'F17',
    length: 13,
    rule: 'witnesses',
    off: { planRecovery: mutations.noWitnesses },
    bounds: {
      ...damaged,
      after: ['a snapshot of M1 is taken', ...WRITTEN, ...CLEARED],
      only: ['put back', ...RECOVERY],
    },
  },
  {
    id: 'F17-fences',
    length: 13,
    rule: 'a fence does not move the commit sequence',
    off: { countsFencesAsCommits: true },
    bounds: {
      ...damaged,
      after: ['a snapshot of M1 is taken', ...WRITTEN, ...CLEARED],
      only: ['put back', ...RECOVERY],
    },
  },
  {
    id: 'F18',
    length: 10,
    rule: 'a restarted mirror never vouches alone',
    off: { planRecovery: mutations.anyoneVouches },
    bounds: { ...damaged, only: ['issues', '#1', 'snapshot', ...RECOVERY] },
  },
  {
    id: 'F18-advance',
    length: 14,
    rule: 'who stays moves before the others are out',
    off: { advancesBeforeExclusion: false },
    bounds: {
      ...damaged,
      epochsMax: 3,
      after: [
        'a snapshot of M1 is taken',
        ...WRITTEN,
        'the writer issues a replace',
        '#2 to M1 arrives and is answered',
        'the writer gives up on #2 to M0',
      ],
      only: ['put back', 'leaves out', ...RECOVERY],
    },
  },
  {
    id: 'F20',
    length: 6,
    rule: 'a removal leaves a tombstone',
    off: { mayDropTombstone: () => true },
    bounds: calm,
  },
  {
    id: 'F21',
    length: 6,
    rule: 'a tombstone stays until the floor has passed it',
    off: { mayDropTombstone: (context) => mayDropTombstone({ ...context, floor: LATEST }) },
    bounds: calm,
  },
  {
    id: 'F22',
    length: 11,
    rule: 'writes below the floor are refused',
    off: { decideWrite: mutations.noFloor },
    bounds: {
      ...calm,
      repeatsMax: 1,
      epochsMax: 1,
      kinds: ['replace', 'remove'],
      after: [
        'the writer issues a replace',
        'the network duplicates #1 to M0',
        '#1 to M0 arrives and is answered',
        '#1 to M1 arrives and is answered',
        'the writer issues a remove',
      ],
      only: ['#1 to M0', '#2', 'floor'],
    },
  },
  {
    id: 'F24',
    length: 4,
    rule: 'a write that has a row is a duplicate',
    off: { decideWrite: mutations.duplicatesApply },
    bounds: { ...calm, repeatsMax: 1, epochsMax: 1 },
  },
  {
    id: 'F28',
    length: 14,
    rule: 'each attempt has an epoch of its own',
    off: { beginRecovery: mutations.sameEpochForNextAttempt },
    bounds: {
      ...plain,
      mirrors: 3,
      after: [
        'the writer issues a replace',
        '#1 to M0 arrives, its answer is lost',
        'a recovery begins',
        ...FENCED,
        'M2 is fenced',
        'the recovery is planned',
      ],
      only: RECOVERY,
    },
  },
  {
    id: 'F29',
    length: 4,
    rule: 'a restarted store is not active',
    off: { reopenFence: mutations.reopenActive },
    bounds: damaged,
  },
  {
    id: 'full-copy',
    length: 12,
    rule: 'the need of a full copy is on record first',
    off: { recordsFullCopyFirst: false },
    bounds: {
      ...damaged,
      after: ['a snapshot of M1 is taken', ...WRITTEN, ...CLEARED, 'M1 is put back to its snapshot'],
      only: RECOVERY,
    },
  },
  {
    id: 'full-copy-id',
    length: 22,
    rule: 'a full copy gives a new store id',
    off: { renewsStoreId: false },
    bounds: {
      ...damaged,
      epochsMax: 3,
      after: [
        'a snapshot of M1 is taken',
        ...WRITTEN,
        ...CLEARED,
        'the writer issues a replace',
        '#2 to M0 arrives and is answered',
        '#2 to M1 arrives and is answered',
        'the clear of #2 to M0 arrives',
        'M1 is put back to its snapshot',
      ],
      only: RECOVERY,
    },
  },
  {
    id: 'gap',
    length: 11,
    rule: 'a range write only to the state that it names',
    off: { decideWrite: mutations.anyStateIsBase },
    bounds: { ...calm, isOnline: true, kinds: ['range-write'] },
  },
  {
    id: 'F34',
    length: 13,
    rule: 'a push never takes its target back',
    off: { decidePush: mutations.pushesGoBack },
    bounds: {
      ...plain,
      isOnline: true,
      after: [...MISSED_BY_M1, 'M1 is let in as rebuilding'],
      only: ['issues', '#2', 'surveyed', 'matches', 'a push'],
    },
  },
  {
    id: 'F35',
    length: 15,
    rule: 'a rebuilding mirror keeps tombstones',
    off: { mayDropTombstone: mutations.rebuildingDropsTombstones },
    bounds: {
      ...calm,
      isOnline: true,
      kinds: ['replace', 'remove'],
      isAbsentAtFirst: true,
      after: [...MISSED_BY_M1, 'M1 is let in as rebuilding', ...MATCHED],
      only: ['issues a remove', '#2', 'floor', 'a push'],
    },
  },
  {
    id: 'F36',
    length: 13,
    rule: 'a push lands by compare-and-set',
    off: { decidePush: mutations.pushesLandAnyhow },
    // That a push is newer than its target would do here too.
    alreadyOff: { decidePush: mutations.pushesGoBack },
    bounds: {
      ...plain,
      isOnline: true,
      after: [...MISSED_BY_M1, 'M1 is let in as rebuilding', ...MATCHED],
      only: ['issues', '#2', 'a push'],
    },
  },
  {
    id: 'F37',
    length: 13,
    rule: 'the rows come along',
    off: { rowsAfterPush: (target) => [...target] },
    bounds: {
      ...plain,
      isOnline: true,
      mirrors: 3,
      after: MISSED_BY_M2,
      only: ['issues', '#2', 'surveyed', 'matches', 'a push'],
    },
  },
  {
    id: 'F5-undone',
    length: 22,
    rule: 'what a push leaves of the target’s rows matches none',
    off: { rowsAfterPush: mutations.rowsStayAsTheyWere },
    bounds: {
      ...calm,
      kinds: ['replace', 'range-write'],
      mirrors: 3,
      after: [
        'the writer issues a replace',
        '#1 to M1 arrives, its answer is lost',
        '#1 to M2 arrives, its answer is lost',
        'a recovery begins',
        'M0 is fenced',
        'the recovery is planned',
        'the recovery drops rows',
        'the recovery activates',
        'the writer issues a range-write',
        '#2 to M0 arrives and is answered',
        'a recovery begins',
        ...FENCED,
        'the recovery is planned',
        'a push lands at M1',
        'the recovery drops rows',
        'the recovery activates',
      ],
      only: RECOVERY,
    },
  },
  {
    id: 'F6-complete',
    length: 8,
    rule: 'rows go only when all configured mirrors take part',
    off: { planRecovery: mutations.presentIsComplete },
    bounds: { ...short, after: MISSED_BY_M1, only: RECOVERY },
  },
  {
    id: 'F14-push',
    length: 13,
    rule: 'the fence stops pushes',
    off: { decidePush: mutations.pushesOfAnyEpoch },
    bounds: {
      ...plain,
      mirrors: 3,
      after: [
        'the writer issues a replace',
        '#1 to M0 arrives, its answer is lost',
        'a recovery begins',
        ...FENCED,
        'M2 is fenced',
        'the recovery is planned',
      ],
      only: RECOVERY,
    },
  },
  {
    id: 'full-copy-rows',
    length: 13,
    rule: 'a full copy brings the source’s rows',
    off: { copiesRowsInFull: false },
    bounds: {
      ...damaged,
      epochsMax: 3,
      mirrors: 3,
      after: [
        ...WRITTEN,
        'the writer gives up on #1 to M2',
        'the writer leaves out who did not answer',
        'M1 gets a blank disk',
      ],
      only: RECOVERY,
    },
  },
  {
    id: 'F37-drop',
    length: 17,
    rule: 'a row goes only when all have its write',
    off: { dropsOnlyWhatAllHave: false },
    bounds: {
      ...plain,
      isOnline: true,
      mirrors: 3,
      after: MISSED_BY_M2,
      only: ['issues', '#2 to M0', 'surveyed', 'matches', 'a push'],
    },
  },
];
