/** FAILURES.md: a mirror is rebuilt while clients write (DESIGN.md section 5, the four rules). */
import { failureCase } from '../failure-case.js';
import { anyCopyIsResumed, pushesGoBack, pushesLandAnyhow, rebuildingDropsTombstones } from '../mutations.js';
import { M0, M1, M2, type Scenario } from '../scenario.js';

/** M1 misses a write, and is let in as rebuilding. */
function rebuildM1(set: Scenario): void {
  set.write('replace', 'a', 'base');
  set.clearAll();
  set.cutOff(M1);
  set.write('replace', 'a', 'one');
  set.reconnect(M1);
  set.letIn(M1);
}

failureCase('F34: a push does not take back a mirror that has a write of this epoch before its source', {
  trace: (set) => {
    rebuildM1(set);
    const write = set.issue('replace', 'a', 'two');
    set.arrive(M1, write);
    const push = set.holdCatchUpAt('push');
    set.arriveLate(push);
    set.arrive(M0, write);
    set.settle();
    set.clearAll();
    set.rest();
  },
  rule: 'a push is newer than its target, or the target is of an earlier epoch',
  off: { decidePush: pushesGoBack },
  ends: 'I4',
});

failureCase('F35: an object that was removed after a push was read does not come back', {
  trace: (set) => {
    set.write('replace', 'b', 'base');
    set.clearAll();
    set.cutOff(M1);
    set.write('replace', 'a', 'one');
    set.reconnect(M1);
    set.letIn(M1);
    const push = set.holdCatchUpAt('push');
    const removal = set.issue('remove', 'a');
    for (const mirror of [M0, M1]) set.arrive(mirror, removal);
    set.answer();
    for (let round = 0; round < 2; round += 1) {
      set.sendClears();
      for (const mirror of [M0, M1]) set.arrive(mirror);
      set.answer();
    }
    set.arriveLate(push);
    set.settle();
    set.rest();
  },
  rule: 'a mirror that is being rebuilt keeps its tombstones',
  off: { mayDropTombstone: rebuildingDropsTombstones },
  ends: 'diverged',
});

failureCase('F36: a push that was overtaken by a new write does not land', {
  trace: (set) => {
    rebuildM1(set);
    const push = set.holdCatchUpAt('push');
    const write = set.issue('replace', 'a', 'two');
    for (const mirror of [M0, M1]) set.arrive(mirror, write);
    set.answer();
    set.sendClears();
    for (const mirror of [M0, M1]) set.arrive(mirror);
    set.arriveLate(push);
    set.settle();
    set.rest();
  },
  // That a push is newer than its target would do here too.
  alreadyOff: { decidePush: pushesGoBack },
  rule: 'a push lands by compare-and-set on the last tag that was seen at matching',
  off: { decidePush: pushesLandAnyhow },
  ends: 'I4',
});

failureCase('F37: a push that carries a write which is not everywhere yet brings the row of it', {
  mirrors: 3,
  trace: (set) => {
    set.write('replace', 'a', 'base');
    set.clearAll();
    set.cutOff(M2);
    set.write('replace', 'b', 'missed');
    set.reconnect(M2);
    set.letIn(M2);
    const write = set.issue('range-write', 'a', 'xx');
    set.arrive(M0, write);
    const push = set.holdCatchUpAt('push');
    set.arriveLate(push);
    set.loseAll();
    set.crash(M0);
    set.crashHost();
    set.recover();
    set.rest();
  },
  rule: 'the rows of the source come along in the same batch',
  off: { rowsAfterPush: (target) => [...target] },
  ends: 'I7',
});

failureCase('Online: a row stays while a mirror in sync has not got its write', {
  mirrors: 3,
  trace: (set) => {
    set.write('replace', 'a', 'base');
    set.clearAll();
    set.cutOff(M2);
    set.write('replace', 'b', 'missed');
    set.reconnect(M2);
    set.letIn(M2);
    const write = set.issue('range-write', 'a', 'xx');
    set.arrive(M0, write);
    while (set.world.hasCatchUp && set.world.caughtUpCount === 0) set.stepCatchUp();
    set.rest();
  },
  rule: 'a row goes only when every configured mirror has its write',
  off: { dropsOnlyWhatAllHave: false },
  ends: 'I4',
});

failureCase('F17: rows go online with no witness of a mirror that was restarted meanwhile', {
  mirrors: 3,
  trace: (set) => {
    set.write('replace', 'a', 'base');
    set.clearAll();
    set.cutOff(M2);
    const missed = set.write('remove', 'a');
    set.reconnect(M2);
    set.letIn(M2);
    const push = set.holdCatchUpAt('push');
    set.rollBackBefore(M1, missed);
    set.arriveLate(push);
    while (set.world.hasCatchUp) set.stepCatchUp();
    set.rest();
  },
  rule: 'in a reconciliation a mirror bears witness in the run that took part from its start',
  off: { asksRunOfWitnesses: false },
  ends: 'I2',
});

/** M1 gets a blank disk, and is let in: it needs a full copy. */
function copyM1(set: Scenario): void {
  for (const name of ['a', 'b', 'c']) set.write('replace', name, `base of ${name}`);
  set.clearAll();
  set.crash(M1);
  set.write('replace', 'd', 'missed');
  set.world.blank(M1);
  set.restart(M1);
  set.letIn(M1);
}

/** The copy has passed an object that is then written, with all that follows; and the mirror's disk is put back to before that. */
function breakOffCopy(set: Scenario): void {
  copyM1(set);
  while (set.world.mirror(M1).disk.image.copyCursor === null) set.stepCatchUp();
  const snapshot = set.snapshot(M1);
  const write = set.issue('range-write', 'a', 'XX');
  for (const mirror of [M0, M1]) set.arrive(mirror, write);
  set.answer();
  set.sendClears();
  for (const mirror of [M0, M1]) set.arrive(mirror);
  set.rollBackTo(M1, snapshot);
  set.rest();
}

failureCase('Online full copy: one that was broken off goes on where it was, and misses nothing', {
  trace: breakOffCopy,
  // That a store that was rolled back is not copied to any further would do here too.
  alreadyOff: { mayResumeFullCopy: anyCopyIsResumed },
  rule: 'a mirror that is copied in full takes no writes',
  off: { copiedTakeNoWrites: false },
  ends: 'lost',
});

failureCase('Online full copy: one of a store that was rolled back meanwhile starts anew', {
  trace: breakOffCopy,
  alreadyOff: { copiedTakeNoWrites: false },
  rule: 'a copy goes on in a store that stands where it was seen',
  off: { mayResumeFullCopy: anyCopyIsResumed },
  ends: 'lost',
});
