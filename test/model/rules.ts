/**
 * The rules that a simulated mirror set runs by, as one record.
 *
 * The defaults are the functions of src/protocol and the duties that DESIGN.md lays on the parts around them. A test
 * switches one off (`withRules`) and runs the trace again: a trace that still ends well proves nothing about that rule.
 */
import {
  activate,
  admitMirrors,
  beginFullCopy,
  beginRecovery,
  endFullCopy,
  excludeMirrors,
  recordCleanStop,
  requireFullCopy,
} from '../../src/protocol/authority-state.js';
import { forceTrust } from '../../src/protocol/forced-trust.js';
import { contradicts, reviewAuthority } from '../../src/protocol/lost-authority.js';
import {
  decideActivate,
  decideAdvance,
  decideFence,
  decidePush,
  decideRebuild,
  isMeantForRun,
  isComparableAt,
  isReadableAt,
  isRecoveringAt,
  mayDropRows,
  reopenFence,
} from '../../src/protocol/fence.js';
import { areAllRowsForgone, bearsWitness, forgoRows, isSettled } from '../../src/protocol/forgone-rows.js';
import { TagGenerator } from '../../src/protocol/generator.js';
import { writerOf } from '../../src/protocol/shard.js';
import { decideRead, decideReadStart, readableInRecovery } from '../../src/protocol/read-gate.js';
import { decideHeal } from '../../src/protocol/heal.js';
import { planObject, rowsAfterPush, sameSummary } from '../../src/protocol/reconcile-plan.js';
import { mayResumeFullCopy, planRecovery } from '../../src/protocol/recovery-plan.js';
import type { Epoch, GeneratorId } from '../../src/protocol/tag.js';
import { decideClear, mayDropTombstone, raiseFloor } from '../../src/protocol/token.js';
import { decideOutcome, readyTokens } from '../../src/protocol/write-outcome.js';
import { applyWrite, decideWrite } from '../../src/protocol/write.js';

/** The order in which a disk makes one write durable; `batch` is DESIGN.md section 3.3, the others are F7 and F8. */
export type CommitOrder = 'batch' | 'row-first' | 'data-first';

export interface Rules {
  // The protocol core.
  readonly decideWrite: typeof decideWrite;
  readonly applyWrite: typeof applyWrite;
  readonly decideClear: typeof decideClear;
  readonly mayDropTombstone: typeof mayDropTombstone;
  readonly raiseFloor: typeof raiseFloor;
  readonly decideFence: typeof decideFence;
  readonly decideActivate: typeof decideActivate;
  readonly decideAdvance: typeof decideAdvance;
  readonly decideRebuild: typeof decideRebuild;
  readonly reopenFence: typeof reopenFence;
  /** F29. */
  readonly isMeantForRun: typeof isMeantForRun;
  readonly isRecoveringAt: typeof isRecoveringAt;
  readonly isReadableAt: typeof isReadableAt;
  readonly mayDropRows: typeof mayDropRows;
  /** F27. */
  readonly forgoRows: typeof forgoRows;
  readonly areAllRowsForgone: typeof areAllRowsForgone;
  readonly isSettled: typeof isSettled;
  readonly bearsWitness: typeof bearsWitness;
  readonly isComparableAt: typeof isComparableAt;
  readonly decidePush: typeof decidePush;
  readonly decideHeal: typeof decideHeal;
  readonly decideOutcome: typeof decideOutcome;
  readonly readyTokens: typeof readyTokens;
  readonly decideReadStart: typeof decideReadStart;
  readonly decideRead: typeof decideRead;
  readonly readableInRecovery: typeof readableInRecovery;
  readonly beginRecovery: typeof beginRecovery;
  readonly excludeMirrors: typeof excludeMirrors;
  readonly activate: typeof activate;
  readonly recordCleanStop: typeof recordCleanStop;
  readonly admitMirrors: typeof admitMirrors;
  readonly requireFullCopy: typeof requireFullCopy;
  readonly beginFullCopy: typeof beginFullCopy;
  readonly endFullCopy: typeof endFullCopy;
  readonly mayResumeFullCopy: typeof mayResumeFullCopy;
  readonly planRecovery: typeof planRecovery;
  /** F31. */
  readonly reviewAuthority: typeof reviewAuthority;
  readonly contradicts: typeof contradicts;
  readonly forceTrust: typeof forceTrust;
  readonly planObject: typeof planObject;
  readonly sameSummary: typeof sameSummary;
  /** F37, F17. */
  readonly rowsAfterPush: typeof rowsAfterPush;
  readonly writerOf: typeof writerOf;
  readonly createGenerator: (generator: GeneratorId, epoch: Epoch) => TagGenerator;

  // The duties of the parts around it.
  readonly commitOrder: CommitOrder;
  /** F9: nothing is answered before it is synced. */
  readonly syncsBeforeReply: boolean;
  /** F18: who stays in sync moves to the new epoch without a break before anybody is left out. */
  readonly advancesBeforeExclusion: boolean;
  /** F30: content is checked before it is sent, and again before it lands. */
  readonly checksPushedContent: boolean;
  /** F30: an object that is intact nowhere is pushed with what is lost of it, and holds up no other. */
  readonly copiesWhatIsLost: boolean;
  /** F30: what a target had of such an object stays aside. */
  readonly keepsWhatWasBefore: boolean;
  /** F31: every mirror in sync keeps a copy of what the authority has put on record, before anybody acts on it. */
  readonly keepsAuthorityRecords: boolean;
  /** F31: whoever takes part in a recovery keeps the state that it goes by, before anybody is copied to or a row goes. */
  readonly keepsRecoveriesOnRecord: boolean;
  /** F12: an exclusion is on the authority's disk before anyone acts on it. */
  readonly persistsExclusions: boolean;
  /** F16, F28: the need of a full copy is on record before the first byte of it lands. */
  readonly recordsFullCopyFirst: boolean;
  /** A full copy gives the store a new id: what peers witnessed of the old one says nothing of the new one. */
  readonly renewsStoreId: boolean;
  /** F17: a fence must not carry a rolled-back store past what its peers witnessed of it. */
  readonly countsFencesAsCommits: boolean;
  /** F17: witnesses are told at the end of every recovery, also where there is no row to drop. */
  readonly witnessesRecoveries: boolean;
  /** A mirror that needs a full copy takes no part in the matching of rows: extents don't land on an unknown base. */
  readonly matchesFullCopyTargets: boolean;
  /** A full copy brings the source's rows along, for objects without a difference and for tombstones too. */
  readonly copiesRowsInFull: boolean;
  /** F36: what is matched and copied is read under the fence of that very recovery. */
  readonly fencesSources: boolean;
  /** F17: what one mirror witnessed, all that take part in a recovery know afterwards. */
  readonly passesWitnessesOn: boolean;
  /** F17: in a reconciliation a mirror bears witness in the run that took part from its start, and in no other. */
  readonly asksRunOfWitnesses: boolean;
  /** F27: the need of a full copy is on the authority's disk before a row is dropped. */
  readonly recordsBeforeForgoing: boolean;
  /** Online, extents land only on the very state that they were matched with, from the very state. */
  readonly copiesWhatWasMatched: boolean;
  /** Online, a row goes only when every configured mirror is known to have its write. */
  readonly dropsOnlyWhatAllHave: boolean;
  /** A full copy's end is on record before the mirror takes its first write. */
  readonly recordsCopyEndFirst: boolean;
  /** A mirror that is being copied in full takes no writes: else rows are cleared that an interrupted copy needs to go on. */
  readonly copiedTakeNoWrites: boolean;
}

const realRules: Rules = {
  decideWrite,
  applyWrite,
  decideClear,
  mayDropTombstone,
  raiseFloor,
  decideFence,
  decideActivate,
  decideAdvance,
  decideRebuild,
  reopenFence,
  isMeantForRun,
  isRecoveringAt,
  isReadableAt,
  mayDropRows,
  forgoRows,
  areAllRowsForgone,
  isSettled,
  bearsWitness,
  isComparableAt,
  decidePush,
  decideHeal,
  decideOutcome,
  readyTokens,
  decideReadStart,
  decideRead,
  readableInRecovery,
  beginRecovery,
  excludeMirrors,
  activate,
  recordCleanStop,
  admitMirrors,
  requireFullCopy,
  beginFullCopy,
  endFullCopy,
  mayResumeFullCopy,
  planRecovery,
  reviewAuthority,
  contradicts,
  forceTrust,
  planObject,
  sameSummary,
  rowsAfterPush,
  writerOf,
  createGenerator: (generator, epoch) => new TagGenerator(generator, epoch),

  commitOrder: 'batch',
  syncsBeforeReply: true,
  checksPushedContent: true,
  copiesWhatIsLost: true,
  keepsWhatWasBefore: true,
  keepsAuthorityRecords: true,
  keepsRecoveriesOnRecord: true,
  persistsExclusions: true,
  advancesBeforeExclusion: true,
  recordsFullCopyFirst: true,
  renewsStoreId: true,
  countsFencesAsCommits: false,
  witnessesRecoveries: true,
  matchesFullCopyTargets: false,
  copiesRowsInFull: true,
  fencesSources: true,
  passesWitnessesOn: true,
  asksRunOfWitnesses: true,
  recordsBeforeForgoing: true,
  copiesWhatWasMatched: true,
  dropsOnlyWhatAllHave: true,
  recordsCopyEndFirst: true,
  copiedTakeNoWrites: true,
};

/** The real rules, but for those that are given. */
export function withRules(changed: Partial<Rules> = {}): Rules {
  return { ...realRules, ...changed };
}
