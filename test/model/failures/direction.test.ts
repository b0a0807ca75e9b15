/** FAILURES.md: which way bytes flow, and which rows decide what is copied (DESIGN.md section 5.4; I4, I5, I7). */
import type { Tag } from '../../../src/protocol/tag.js';
import { failureCase } from '../failure-case.js';
import {
  firstTrustedIsSource,
  latestClockIsSource,
  newestTagWins,
  onlySourceTable,
  presentIsComplete,
  rangesNotUnited,
  rowHolderIsSource,
  rowsStayAsTheyWere,
} from '../mutations.js';
import { M0, M1, M2, type Scenario } from '../scenario.js';

/** A write that reaches M0 only, which the set then goes on without. */
function orphanOnM0(set: Scenario, kind: 'replace' | 'range-write', text: string): void {
  const tag = set.issue(kind, 'a', text);
  set.arrive(M0, tag);
  set.loseAll();
  set.crash(M0);
  set.crashHost();
  set.recover();
}

failureCase('F1: an orphan on a mirror that crashed does not come back over a later write', {
  trace: (set) => {
    set.write('replace', 'a', 'base');
    set.clearAll();
    orphanOnM0(set, 'replace', 'one');
    set.write('replace', 'a', 'two');
    set.rest();
  },
  rule: 'the authority names the source, not who holds the row',
  off: { planObject: rowHolderIsSource },
  ends: 'lost',
});

failureCase('F1b: a row that only one mirror still has does not copy its write over a later one', {
  trace: (set) => {
    const first = set.issue('replace', 'a', 'one');
    set.arrive(M0, first);
    set.arrive(M1, first);
    set.answer();
    set.sendClears();
    set.arrive(M0);
    set.loseAll();
    set.crash(M1);
    set.recover();
    set.write('replace', 'a', 'two');
    set.rest();
  },
  rule: 'a last tag at or above the row means "have it"; the authority names the source',
  off: { planObject: rowHolderIsSource },
  ends: 'lost',
});

failureCase('F2: a write that only an excluded mirror has does not appear when that mirror returns', {
  trace: (set) => {
    set.write('replace', 'a', 'base');
    set.clearAll();
    orphanOnM0(set, 'replace', 'one');
    for (let count = 0; count < 5; count += 1) set.write('replace', 'b', `hour ${count}`);
    set.rest();
  },
  rule: 'an excluded mirror is never a source, whatever its tags',
  off: { planObject: newestTagWins },
  ends: 'resurrected',
});

failureCase('F3: the range of a write that only the stale side has is repaired', {
  trace: (set) => {
    set.write('replace', 'a', 'base');
    set.clearAll();
    orphanOnM0(set, 'range-write', 'one');
    set.rest();
  },
  rule: 'the symmetric difference of both tables',
  off: { planObject: onlySourceTable },
  ends: 'diverged',
});

failureCase('F5: overlapping writes that each side lacks do not mix', {
  trace: (set) => {
    set.write('replace', 'a', 'aaaaaaaa');
    set.clearAll();
    orphanOnM0(set, 'range-write', 'bbbb');
    set.write('range-write', 'a', 'cccc', { offset: 2 });
    set.rest();
  },
  rule: 'the union of all unmatched ranges, from one source, in one batch',
  off: { planObject: rangesNotUnited },
  ends: 'torn',
});

failureCase('F6: rows stay while a third mirror may lack the write', {
  mirrors: 3,
  trace: (set) => {
    set.cutOff(M2);
    set.write('replace', 'a', 'one');
    set.crashHost();
    set.recover();
    set.rest();
  },
  rule: 'rows are matched against all configured mirrors',
  off: { planRecovery: presentIsComplete },
  ends: 'lost',
});

failureCase('F6: of several trusted mirrors the one with the longest history is the source', {
  trace: (set) => {
    const tag = set.write('replace', 'a', 'one');
    set.rollBackBefore(M0, tag);
    set.rest();
  },
  rule: 'the highest last tag among the trusted',
  off: { planObject: firstTrustedIsSource },
  ends: 'lost',
});

failureCase('F25: clocks that run wild on every host change nothing', {
  trace: (set) => {
    set.world.mirror(M0).clockMs = 9e12;
    set.world.mirror(M1).clockMs = 1000;
    set.write('replace', 'a', 'one');
    set.world.mirror(M0).clockMs = -5;
    set.world.mirror(M1).clockMs = 3;
    const tag = set.write('replace', 'a', 'two');
    set.rollBackBefore(M0, tag);
    set.rest();
  },
  rule: 'no clock in any ordering',
  off: { planObject: latestClockIsSource },
  ends: 'lost',
});

/**
 * A write reaches M1 and M2, and never M0, which goes on alone. M1 comes back to it and gets what M0 has; then M0 is gone, and
 * M2 comes back to M1. Both had a row of that write once, but M1 has its content no more.
 */
function undoneOnM1(set: Scenario, orphan: () => Tag | null): void {
  const tag = orphan();
  for (const mirror of [M1, M2]) set.arrive(mirror, tag);
  set.loseAll();
  for (const mirror of [M1, M2]) set.cutOff(mirror);
  set.crashHost();
  set.recover();
  set.write('extend', 'a', 'end');
  set.reconnect(M1);
  set.recover();
  set.crash(M0);
  set.crashHost();
  set.reconnect(M2);
  set.recover();
  set.rest();
}

failureCase(
  'F5: what a push has undone on one mirror does not count as there because of the row that it leaves',
  {
    mirrors: 3,
    trace: (set) => {
      set.write('replace', 'a', 'base');
      set.clearAll();
      undoneOnM1(set, () => set.issue('replace', 'a', 'an orphan'));
    },
    rule: 'a row that only the target had matches no other row from then on',
    off: { rowsAfterPush: rowsStayAsTheyWere },
    ends: 'torn',
  },
);

failureCase('F5: nor where the source had nothing of the object', {
  mirrors: 3,
  trace: (set) => {
    set.write('replace', 'a', 'base');
    set.clearAll();
    undoneOnM1(set, () => set.issue('replace', 'b', 'an orphan'));
  },
  rule: 'no row stays of an object that the source knows nothing of',
  off: { rowsAfterPush: rowsStayAsTheyWere },
  ends: 'I7',
});
