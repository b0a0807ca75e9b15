/** FAILURES.md: who is in sync, and who may say so (DESIGN.md sections 3.5, 3.6, 5.1 and 5.3; I2, I3, I4). */
import { describe, expect, it } from 'vitest';
import { newAuthorityState } from '../../../src/protocol/authority-state.js';
import { readyTokens } from '../../../src/protocol/write-outcome.js';
import { failureCase } from '../failure-case.js';
import {
  anyoneVouches,
  anyStoreIsTrusted,
  noSequences,
  noWitnesses,
  oldestRecordCounts,
  whateverStandsThere,
} from '../mutations.js';
import { withRules } from '../rules.js';
import { M0, M1, M2, Scenario } from '../scenario.js';
import { SET_ID } from '../simulated-mirror.js';

failureCase('F11: rows stay while a configured mirror is out', {
  trace: (set) => {
    set.write('replace', 'a', 'base');
    set.clearAll();
    set.cutOff(M0);
    set.write('replace', 'a', 'one');
    set.clearAll();
    set.rest();
  },
  rule: 'a token is ready when all configured mirrors committed',
  off: { readyTokens: (progress) => readyTokens({ ...progress, configured: progress.inSync }) },
  ends: 'lost',
});

failureCase('F12: the authority never starts from a mirror that an answer was given without', {
  trace: (set) => {
    set.write('replace', 'a', 'base');
    set.cutOff(M0);
    set.write('replace', 'a', 'one');
    set.crash(M1);
    set.crashHost();
    set.reconnect(M0);
    set.recover();
    set.rest();
  },
  rule: 'an exclusion is on disk before the first answer without that mirror',
  off: { persistsExclusions: false },
  ends: 'lost',
});

failureCase('F16: a blank disk is not in sync because its tables are empty', {
  trace: (set) => {
    set.write('replace', 'a', 'one');
    set.clearAll();
    set.replaceDisk(M0);
    set.rest();
  },
  rule: 'in sync is granted to a store id',
  off: { planRecovery: anyStoreIsTrusted },
  ends: 'lost',
});

failureCase('F17: a mirror restored from an old snapshot is found out', {
  trace: (set) => {
    const tag = set.write('replace', 'a', 'one');
    set.clearAll();
    set.rollBackBefore(M1, tag);
    set.rest();
  },
  rule: 'every cleared row leaves a witness of the peers',
  off: { planRecovery: noWitnesses },
  ends: 'lost',
});

failureCase('F17: a rolled-back mirror is found out, however often it was fenced since', {
  trace: (set) => {
    const tag = set.write('replace', 'a', 'one');
    set.clearAll();
    set.rollBackBefore(M1, tag);
    set.cutOff(M0);
    for (let attempt = 0; attempt < 3; attempt += 1) set.recover();
    set.rest();
  },
  rule: 'a fence does not move the commit sequence',
  off: { countsFencesAsCommits: true },
  ends: 'lost',
});

failureCase('F17: a mirror that a recovery took back can’t be rolled back to before it', {
  trace: (set) => {
    set.write('replace', 'a', 'base');
    set.clearAll();
    const orphan = set.issue('replace', 'a', 'one');
    set.arrive(M1, orphan);
    set.loseAll();
    const withOrphan = set.snapshot(M1);
    set.cutOff(M1);
    set.crashHost();
    set.recover();
    set.reconnect(M1);
    set.recover();
    set.rollBackTo(M1, withOrphan);
    set.rest();
  },
  // The authority's own record of the sequences would do too.
  alreadyOff: { planRecovery: noSequences },
  rule: 'witnesses are told at the end of a recovery, also to a mirror without a row to drop',
  off: { witnessesRecoveries: false },
  ends: 'resurrected',
});

failureCase(
  'F17: a mirror that a recovery took back can’t be rolled back to before it: the authority knows too',
  {
    trace: (set) => {
      set.write('replace', 'a', 'base');
      set.clearAll();
      const orphan = set.issue('replace', 'a', 'one');
      set.arrive(M1, orphan);
      set.loseAll();
      const withOrphan = set.snapshot(M1);
      set.cutOff(M1);
      set.crashHost();
      set.recover();
      set.reconnect(M1);
      set.recover();
      set.rollBackTo(M1, withOrphan);
      set.rest();
    },
    alreadyOff: { witnessesRecoveries: false },
    rule: 'the authority records the sequences at each activation',
    off: { planRecovery: noSequences },
    ends: 'resurrected',
  },
);

failureCase('F17: the source of a push can’t be rolled back to before rows that only it had cleared', {
  trace: (set) => {
    set.write('replace', 'a', 'wwww');
    set.clearAll();
    set.crashHost();
    set.recover();
    const second = set.write('range-write', 'a', 'dd');
    set.sendClears();
    set.arrive(M0);
    set.loseAll();
    const third = set.issue('extend', 'a', 'mm');
    set.arrive(M0, third);
    set.loseAll();
    set.startRecovery();
    while (set.world.mirror(M1).disk.image.objects.values().next().value?.state.lastTag === second)
      set.stepNetwork();
    set.crashHost();
    set.rollBackBefore(M0, second);
    set.rest();
  },
  rule: 'a push leaves the target’s own rows, as far as the source may have their writes',
  off: { rowsAfterPush: (_target, source) => [...source.rows] },
  ends: 'torn',
});

failureCase('F18: a mirror that was restarted does not vouch alone', {
  trace: (set) => {
    const tag = set.write('replace', 'a', 'one');
    set.clearAll();
    set.crash(M0);
    set.crashHost();
    set.rollBackBefore(M1, tag);
    set.recover();
    set.rest();
  },
  rule: 'with one of the set missing, somebody present must have run all the time',
  off: { planRecovery: anyoneVouches },
  ends: 'lost',
});

failureCase('F18: nobody is left out in favour of a mirror that was restarted meanwhile', {
  judgesHopeless: true,
  trace: (set) => {
    const first = set.write('replace', 'a', 'one');
    set.clearAll();
    const second = set.issue('replace', 'b', 'two');
    set.arrive(M1, second);
    set.rollBackBefore(M1, first);
    set.cutOff(M0);
    set.giveUpOn(M0);
    set.settle();
    set.crashHost();
    set.recover();
    set.rest();
  },
  rule: 'who stays moves to the new epoch without a break, before the others are left out',
  off: { advancesBeforeExclusion: false },
  ends: 'lost',
});

failureCase(
  'F18: nobody has a say in a clean stop who was restarted, with what a lying disk has left of it',
  {
    trace: (set) => {
      const lying = set.world.mirror(M0).disk;
      lying.lies = true;
      set.write('replace', 'a', 'one');
      set.crash(M0);
      set.restart(M0);
      set.world.stopCleanly();
      set.world.mirror(M1).disk.failsNextSync = true;
      set.recover();
      set.rest();
    },
    rule: 'where a mirror stood at a clean stop it says in the run that took the writes',
    off: { recordCleanStop: whateverStandsThere },
    ends: 'lost',
  },
);

describe('F18: after a clean stop a restarted mirror vouches alone, and a rolled-back one does not', () => {
  const stopped = (): { readonly set: Scenario; readonly tag: ReturnType<Scenario['write']> } => {
    const set = new Scenario({ rules: withRules(), mirrors: 2 });
    const tag = set.write('replace', 'a', 'one');
    set.clearAll();
    set.world.stopCleanly();
    set.crash(M0);
    return { set, tag };
  };
  it('it goes on where the clean stop left it', () => {
    const { set } = stopped();
    set.crash(M1);
    set.restart(M1);
    expect(set.recover()?.kind).toBe('activated');
    set.rest();
    expect(set.codes).toEqual([]);
  });
  it('it waits when it is not where the clean stop left it, however often it is fenced', () => {
    const { set, tag } = stopped();
    set.rollBackBefore(M1, tag);
    for (let attempt = 0; attempt < 3; attempt += 1) expect(set.recover()?.kind).toBe('wait');
    set.rest();
    expect(set.codes).toEqual([]);
  });
});

failureCase('F33: with one disk blank and the other rolled back nobody is picked', {
  judgesHopeless: true,
  trace: (set) => {
    const tag = set.write('replace', 'a', 'one');
    set.clearAll();
    set.replaceDisk(M0);
    set.rollBackBefore(M1, tag);
    set.crashHost();
    set.recover();
  },
  rule: 'without an intact mirror of the last in-sync set the recovery waits',
  off: { planRecovery: anyStoreIsTrusted },
  ends: 'lost',
});

failureCase('Full copy: a mirror that needs one is not patched by rows first', {
  trace: (set) => {
    set.write('replace', 'a', 'aaaaaaaa');
    set.clearAll();
    set.write('replace', 'b', 'base');
    const old = set.snapshot(M1);
    set.write('range-write', 'a', 'bb');
    set.clearAll();
    set.write('range-write', 'a', 'cc', { offset: 4 });
    set.rollBackTo(M1, old);
    set.rest();
  },
  rule: 'extents land only on a base that rows vouch for',
  off: { matchesFullCopyTargets: true, recordsFullCopyFirst: false },
  ends: 'torn',
});

failureCase('Full copy: one that is interrupted does not hide the rollback', {
  trace: (set) => {
    const tag = set.write('replace', 'z', 'one');
    set.clearAll();
    set.rollBackBefore(M1, tag);
    set.cutOff(M1);
    for (const name of ['a', 'b', 'c']) set.write('replace', name, name);
    set.reconnect(M1);
    set.startRecovery();
    while (set.world.mirror(M1).disk.image.objects.size < 2) set.stepNetwork();
    // With two pushes it is past the sequence that it was rolled back from, and the row of that write is cleared.
    set.crashHost();
    set.recover();
    set.rest();
  },
  rule: 'the need of a full copy is on record before the first push',
  off: { recordsFullCopyFirst: false },
  ends: 'lost',
});

failureCase('Full copy: a store that was made whole is not taken for rolled back', {
  trace: (set) => {
    const old = set.snapshot(M1);
    for (const text of ['one', 'two', 'three', 'four']) set.write('replace', 'a', text);
    set.clearAll();
    set.rollBackTo(M1, old);
    set.recover();
    for (const mirror of [M0, M1]) {
      set.crash(mirror);
      set.restart(mirror);
    }
    set.rest();
  },
  rule: 'a full copy gives the store a new id',
  off: { renewsStoreId: false },
  ends: 'unjustified-wait',
});

failureCase('Full copy: it brings the rows of removals along', {
  mirrors: 3,
  trace: (set) => {
    set.write('replace', 'a', 'one');
    set.clearAll();
    set.cutOff(M2);
    set.write('remove', 'a');
    set.replaceDisk(M1);
    set.recover();
    set.crash(M0);
    set.recover();
    set.reconnect(M2);
    set.recover();
    set.rest();
  },
  rule: 'tombstones with rows are copied like objects',
  off: { copiesRowsInFull: false },
  ends: 'I4',
});

failureCase('F17: what an absent mirror was seen at is known to those who were not there', {
  mirrors: 3,
  trace: (set) => {
    const tag = set.write('replace', 'a', 'one');
    set.clearAll();
    set.cutOff(M2);
    set.replaceDisk(M1);
    set.recover();
    set.crash(M0);
    set.write('replace', 'b', 'two');
    set.rollBackBefore(M2, tag);
    set.reconnect(M2);
    set.recover();
    set.rest();
  },
  rule: 'what one participant witnessed, all know after the recovery',
  off: { passesWitnessesOn: false },
  ends: 'lost',
});

failureCase('F27: a mirror that was away when the tag table was full is copied in full', {
  trace: (set) => {
    set.write('replace', 'a', 'one');
    set.clearAll();
    set.cutOff(M1);
    set.write('replace', 'a', 'two');
    set.write('replace', 'b', 'two');
    set.forgoRows();
    set.settle();
    set.crashHost();
    set.rest();
  },
  rule: 'the need of a full copy is on record before a row is dropped',
  off: { recordsBeforeForgoing: false },
  ends: 'I4',
});

failureCase('F27: once it is on record, later writes keep no rows either, and nothing is lost', {
  trace: (set) => {
    set.write('replace', 'a', 'one');
    set.clearAll();
    set.cutOff(M1);
    set.write('replace', 'a', 'two');
    set.forgoRows();
    set.settle();
    set.write('replace', 'a', 'three');
    set.clearAll();
    set.world.step('the table stays empty', () => {
      if (set.world.mirror(M0).disk.image.rows.size > 0) set.world.violate('rows-left', 'at M0');
    });
    set.reconnect(M1);
    set.rest();
  },
  rule: 'the record outlives the return until the copy is whole',
  off: { forgoRows: (state) => state, areAllRowsForgone: () => true },
  ends: 'I4',
});

failureCase('F27: rows of a write in flight stay, whoever is away', {
  mirrors: 3,
  trace: (set) => {
    set.write('replace', 'a', 'one');
    set.clearAll();
    set.cutOff(M2);
    set.write('replace', 'b', 'two');
    const tag = set.issue('replace', 'a', 'three');
    set.arrive(M0, tag);
    set.forgoRows();
    set.arrive(M0);
    set.loseAll();
    set.crashHost();
    set.rest();
  },
  // What is put on record has to be kept by every mirror in sync before, and with that the write would be settled.
  alreadyOff: { keepsAuthorityRecords: false },
  rule: 'only rows of settled writes are dropped',
  off: { isSettled: () => true },
  ends: 'I4',
});

failureCase('F17: rows that are forgone go with no witness of a mirror that was restarted meanwhile', {
  mirrors: 3,
  trace: (set) => {
    set.write('replace', 'a', 'one');
    set.clearAll();
    set.cutOff(M2);
    set.write('replace', 'a', 'two');
    const tag = set.write('replace', 'b', 'three');
    set.rollBackBefore(M1, tag);
    set.forgoRows();
    set.settle();
    set.crashHost();
    set.rest();
  },
  // One that was restarted does not keep what is put on record, so the writer would find out.
  alreadyOff: { keepsAuthorityRecords: false },
  rule: 'the witness of a write is a mirror that has been up since its activation',
  off: { bearsWitness: () => true },
  ends: 'I2',
});

failureCase('F31: an old state of the authority is not acted on by mirrors that know better', {
  trace: (set) => {
    const old = set.world.authority.durableState;
    set.write('replace', 'a', 'base');
    set.cutOff(M0);
    set.write('replace', 'a', 'one');
    set.crashHost();
    set.reconnect(M0);
    set.world.putBack(old);
    set.recover();
    set.rest();
  },
  rule: 'what the mirrors say of the authority is looked at before it is acted on',
  off: { reviewAuthority: () => ({ kind: 'sound' }), contradicts: () => false },
  ends: 'misled',
});

failureCase('F31: nor past one that is back only when it is to be fenced', {
  trace: (set) => {
    const old = set.world.authority.durableState;
    set.write('replace', 'a', 'base');
    set.cutOff(M0);
    set.write('replace', 'a', 'one');
    set.crashHost();
    set.reconnect(M0);
    set.cutOff(M1);
    set.world.putBack(old);
    set.startRecovery();
    set.reconnect(M1);
    set.settle();
    set.rest();
  },
  rule: 'a mirror is asked what it knows of the authority before it is fenced',
  off: { contradicts: () => false },
  ends: 'misled',
});

failureCase('F31: a full copy whose rows are gone is not forgotten with the state of the authority', {
  trace: (set) => {
    set.write('replace', 'a', 'base');
    set.clearAll();
    set.cutOff(M0);
    set.write('replace', 'a', 'one');
    set.reconnect(M0);
    const { disk } = set.world.mirror(M0);
    const before = disk.image;
    const state = set.world.authority.durableState;
    set.replaceDisk(M0);
    set.crashHost();
    set.startRecovery();
    while (set.world.mirror(M1).disk.image.rows.size > 0) set.stepNetwork();
    set.crashHost();
    set.world.putBack(state);
    set.crash(M0);
    disk.restore(before);
    set.restart(M0);
    set.recover();
    set.rest();
  },
  rule: 'who is trusted keeps on record that others are copied in full, before they are',
  off: { keepsRecoveriesOnRecord: false },
  ends: 'lost',
});

failureCase(
  'F31: whoever was rolled back and is whole again keeps anew what its disk has forgotten of the authority',
  {
    mirrors: 3,
    trace: (set) => {
      set.write('replace', 'a', 'base');
      set.clearAll();
      const state = set.world.authority.durableState;
      const before = [set.snapshot(M0), set.snapshot(M1)] as const;
      set.cutOff(M2);
      set.write('replace', 'a', 'one');
      set.crashHost();
      // Nobody can tell: it stands where it was seen last, and what it lacks has rows.
      set.rollBackTo(M1, before[1]);
      set.startRecovery();
      while (set.world.authority.durableState.phase !== 'active') set.stepOrTimeOut();
      set.crashHost();
      set.rollBackTo(M0, before[0]);
      set.world.putBack(state);
      set.reconnect(M2);
      set.recover();
      set.cutOff(M1);
      set.recover();
      set.rest();
    },
    rule: 'whoever takes part in a recovery keeps the state that it goes by, before any row goes',
    off: { keepsRecoveriesOnRecord: false },
    ends: 'lost',
  },
);

failureCase('F31: so does one that forgot it when its copy in full began', {
  mirrors: 3,
  trace: (set) => {
    const before = set.snapshot(M1);
    set.write('replace', 'a', 'base');
    set.cutOff(M1);
    set.write('replace', 'b', 'without M1');
    const state = set.world.authority.durableState;
    const alone = set.snapshot(M0);
    set.reconnect(M1);
    set.cutOff(M2);
    set.recover();
    set.write('replace', 'a', 'one');
    set.crashHost();
    set.rollBackTo(M1, before);
    set.startRecovery();
    while (set.world.authority.durableState.phase !== 'active') set.stepOrTimeOut();
    set.crashHost();
    set.rollBackTo(M0, alone);
    set.world.putBack(state);
    set.reconnect(M2);
    set.recover();
    set.cutOff(M1);
    set.recover();
    set.rest();
  },
  rule: 'whoever takes part in a recovery keeps the state that it goes by, before any row goes',
  off: { keepsRecoveriesOnRecord: false },
  ends: 'lost',
});

failureCase('F31: an operator’s decision stands once a recovery that goes by it has put it on a mirror', {
  trace: (set) => {
    set.write('replace', 'a', 'base');
    // What comes by the decision begins to count its revisions anew.
    for (let count = 0; count < 5; count += 1) set.recover();
    set.crashHost();
    const old = set.world.authority.durableState;
    set.cutOff(M0);
    set.world.putBack(newAuthorityState(SET_ID, set.world.mirrorIds));
    set.recover();
    set.world.mirror(M1).disk.failsNextSync = true;
    set.world.force(M1);
    set.crash(M1);
    set.restart(M1);
    set.reconnect(M0);
    set.startRecovery();
    while (set.copyRequests(M0, 'begin-full-copy').length === 0) set.stepNetwork();
    set.crashHost();
    set.world.putBack(old);
    set.recover();
    set.rest();
  },
  rule: 'of what the mirrors keep the latest counts',
  off: { reviewAuthority: oldestRecordCounts },
  ends: 'misled',
});

it('F31: a state that is lost is rebuilt from what the mirrors keep', () => {
  const set = new Scenario({ rules: withRules(), mirrors: 3 });
  set.write('replace', 'a', 'base');
  set.cutOff(M0);
  set.write('replace', 'a', 'one');
  set.crashHost();
  set.reconnect(M0);
  set.world.putBack(newAuthorityState(SET_ID, set.world.mirrorIds));
  expect(set.recover()).toEqual({ kind: 'failed', reason: 'the authority was rebuilt' });
  expect(set.world.authority.state.inSync).toEqual([M1, M2]);
  set.rest();
  expect(set.codes).toEqual([]);
});
