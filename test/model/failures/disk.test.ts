/** FAILURES.md: what a disk may do in a crash, and what it may do to bytes at rest (DESIGN.md sections 3.3, 5.4; I2). */
import { expect, it } from 'vitest';
import { failureCase } from '../failure-case.js';
import { reopenActive, tokensBelieved } from '../mutations.js';
import { M0, M1, M2, Scenario } from '../scenario.js';
import { withRules } from '../rules.js';
import { lostObjects } from '../soundness.js';
import { objectNamed } from '../world.js';

/** A write at M0 only, in the middle of which power fails. */
function powerFailsInWrite(set: Scenario, commits: number): void {
  set.write('replace', 'a', 'aaaaaaaa');
  set.clearAll();
  const tag = set.issue('range-write', 'a', 'bbbbbbbb');
  set.world.mirror(M0).commitsToPowerFailure = commits;
  set.arrive(M0, tag);
  set.crash(M0);
  set.loseAll();
  set.crashHost();
  set.restart(M0);
  set.rest();
}

failureCase('F7: torn bytes are not pushed over the good copy', {
  trace: (set) => powerFailsInWrite(set, 2),
  rule: 'content, state and row in one batch, not the row first',
  off: { commitOrder: 'row-first' },
  ends: 'torn',
});

failureCase('F8: new bytes never stand under an equal table', {
  trace: (set) => powerFailsInWrite(set, 1),
  rule: 'content, state and row in one batch, not the content first',
  off: { commitOrder: 'data-first' },
  ends: 'diverged',
});

failureCase('F9: power fails on both mirrors, and what was acknowledged is there', {
  trace: (set) => {
    set.write('replace', 'a', 'one');
    set.crash(M0);
    set.crash(M1);
    set.crashHost();
    set.rest();
  },
  rule: 'nothing is answered before it is synced',
  off: { syncsBeforeReply: false },
  ends: 'lost',
});

failureCase('F10: a token of a row that was lost tells the store that it lost state', {
  trace: (set) => {
    set.write('replace', 'b', 'base');
    set.clearAll();
    set.world.mirror(M1).disk.lies = true;
    set.world.damaged.add(M1);
    set.write('replace', 'a', 'one');
    set.crash(M1);
    set.world.mirror(M1).disk.lies = false;
    set.restart(M1);
    set.clearAll();
    for (const text of ['two', 'three', 'four']) set.write('replace', 'b', text);
    set.rest();
  },
  // The restart would be noticed first.
  alreadyOff: { reopenFence: reopenActive },
  tolerated: ['I6'],
  rule: 'a token from beyond the store’s own commit sequence fences it',
  off: { decideClear: tokensBelieved },
  ends: 'diverged',
});

failureCase('F30: rotten bytes are not copied, and are repaired from the other mirror', {
  mirrors: 3,
  trace: (set) => {
    set.write('replace', 'a', 'base');
    set.cutOff(M2);
    set.write('range-write', 'a', 'good');
    set.world.mirror(M0).rot(objectNamed('a'));
    set.rest();
  },
  rule: 'content is checked against its checksum before it is sent',
  off: { checksPushedContent: false },
  ends: 'torn',
});

/** A write that nobody acknowledged is torn on the only mirror that has it. */
function tornOnItsOnlyMirror(set: Scenario): void {
  set.write('replace', 'a', 'older');
  set.write('replace', 'b', 'one');
  set.clearAll();
  set.world.mirror(M0).disk.lies = true;
  const torn = set.issue('replace', 'a', 'newer');
  set.arrive(M0, torn);
  set.loseAll();
  set.world.crash(M0, set.world.mirror(M0).disk.unsyncedCount, true);
  set.crashHost();
  set.restart(M0);
  set.recover();
}

failureCase(
  'F30: an object whose last write is intact nowhere holds up no other, and is put back or written anew',
  {
    trace: (set) => {
      tornOnItsOnlyMirror(set);
      set.write('replace', 'b', 'two');
      set.rest();
    },
    rule: 'it is pushed all the same, with what is lost of it',
    off: { copiesWhatIsLost: false },
    ends: 'stuck',
  },
);

failureCase('F30: what may be the last of an object that is intact is not overwritten', {
  trace: (set) => {
    tornOnItsOnlyMirror(set);
    set.rest();
  },
  rule: 'it is kept aside, for an operator to decide',
  off: { keepsWhatWasBefore: false },
  ends: 'lost',
});

it('F30: such an object is shown to nobody, until a client has written all of it, or removed it', () => {
  for (const kind of ['replace', 'remove'] as const) {
    const set = new Scenario({ rules: withRules(), mirrors: 2 });
    tornOnItsOnlyMirror(set);
    for (const mirror of [M0, M1]) expect(set.read('a', mirror)).toBe(false);
    expect(lostObjects(set.world)).toMatchObject([{ objectId: objectNamed('a') }]);
    expect(new TextDecoder().decode(lostObjects(set.world)[0]?.kept?.bytes)).toBe('older');
    set.write(kind, 'a', kind === 'remove' ? '' : 'new');
    for (const mirror of [M0, M1]) expect(set.read('a', mirror)).toBe(true);
    expect(lostObjects(set.world)).toEqual([]);
    set.rest();
    expect(set.codes).toEqual([]);
  }
});
