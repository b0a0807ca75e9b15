/** FAILURES.md: the order of writes, duplicates, and what a late request may still do (DESIGN.md section 4; I1). */
import { COUNTER_MAX, EPOCH_MAX, makeTag, toEpoch, toGeneratorId } from '../../../src/protocol/tag.js';
import { mayDropTombstone } from '../../../src/protocol/token.js';
import { failureCase } from '../failure-case.js';
import { anyStateIsBase, duplicatesApply, noFloor, replaceInAnyOrder } from '../mutations.js';
import { M0, M1, M2 } from '../scenario.js';

const LATEST_TAG = makeTag({ epoch: toEpoch(EPOCH_MAX), counter: COUNTER_MAX, generator: toGeneratorId(1) });

failureCase('F4: two replaces that arrive in a different order on each mirror end the same', {
  trace: (set) => {
    const first = set.issue('replace', 'a', 'one');
    const second = set.issue('replace', 'a', 'two');
    for (const tag of [first, second]) set.arrive(M0, tag);
    for (const tag of [second, first]) set.arrive(M1, tag);
    set.settle();
    set.clearAll();
    set.rest();
  },
  rule: 'a replace is applied only over a lower last tag',
  off: { decideWrite: replaceInAnyOrder },
  ends: 'diverged',
});

failureCase('F4: two range writes that arrive in a different order on each mirror end the same', {
  trace: (set) => {
    set.write('replace', 'a', 'base');
    const first = set.issue('range-write', 'a', 'oo');
    const second = set.issue('range-write', 'a', 'tt', { offset: 1, isPipelined: true });
    for (const tag of [first, second]) set.arrive(M0, tag);
    set.arrive(M1, second);
    set.lose(M1);
    set.settle();
    set.rest();
  },
  rule: 'a range write is applied only to the state that it names',
  off: { decideWrite: anyStateIsBase },
  ends: 'torn',
});

failureCase('F20: a removal that overtakes the write that it removes leaves nothing behind', {
  trace: (set) => {
    const first = set.issue('replace', 'a', 'one');
    const second = set.issue('remove', 'a');
    for (const tag of [first, second]) set.arrive(M0, tag);
    for (const tag of [second, first]) set.arrive(M1, tag);
    set.settle();
    set.clearAll();
    set.rest();
  },
  rule: 'a removed object stays as a tombstone',
  off: { mayDropTombstone: () => true },
  ends: 'diverged',
});

failureCase(
  'F21: an earlier write that arrives after the removal was cleared does not bring the object back',
  {
    trace: (set) => {
      const first = set.issue('replace', 'a', 'one');
      const late = set.copyRequests(M1);
      set.arrive(M0, first);
      set.answer();
      const second = set.issue('remove', 'a');
      set.arrive(M0, second);
      set.arrive(M1, second);
      set.answer();
      set.sendClears();
      set.arrive(M0);
      set.arriveLate(set.copyRequests(M1, 'clear'));
      set.arriveLate(late);
      set.settle();
      set.clearAll();
      set.rest();
    },
    rule: 'a tombstone stays until the floor has passed it',
    off: { mayDropTombstone: (context) => mayDropTombstone({ ...context, floor: LATEST_TAG }) },
    ends: 'diverged',
  },
);

failureCase('F22: a late duplicate does not bring an object back whose tombstone is gone', {
  trace: (set) => {
    set.issue('replace', 'a', 'one');
    const late = set.copyRequests(M1);
    set.settle();
    set.write('remove', 'a');
    set.clearAll();
    set.clearAll();
    set.arriveLate(late);
    set.settle();
    set.rest();
  },
  rule: 'writes below the floor are refused',
  off: { decideWrite: noFloor },
  ends: 'lost',
});

failureCase('F23: an extend that arrives where an earlier one is missing leaves no hole', {
  trace: (set) => {
    set.write('replace', 'a', 'aaaaaa');
    const first = set.issue('extend', 'a', 'bbbb');
    set.arrive(M0, first);
    set.lose(M1);
    set.issue('extend', 'a', 'cccc', { isPipelined: true });
    set.settle();
    set.rest();
  },
  rule: 'an extend names its offset and the state before it',
  off: { decideWrite: anyStateIsBase },
  ends: 'torn',
});

failureCase('F24: a repeated request changes nothing, also after a later write', {
  mirrors: 3,
  trace: (set) => {
    // While a mirror is out, rows stay.
    set.cutOff(M2);
    set.write('replace', 'a', 'base');
    set.issue('range-write', 'a', 'oo');
    const again = set.copyRequests(M0);
    set.settle();
    set.write('range-write', 'a', 'tt');
    set.arriveLate(again);
    set.loseAll();
    set.crash(M1);
    set.recover();
    set.rest();
  },
  // The floor would keep the repetition out.
  alreadyOff: { decideWrite: noFloor },
  rule: 'a write that has a row is a duplicate',
  off: { decideWrite: duplicatesApply },
  ends: 'lost',
});
