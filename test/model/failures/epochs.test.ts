/** FAILURES.md: epochs and fences, and what comes late (DESIGN.md sections 3.1, 4, 5; I6). */
import { describe, expect, it } from 'vitest';
import { failureCase } from '../failure-case.js';
import {
  clearsOfAnyEpoch,
  EpochlessGenerator,
  noWitnesses,
  reopenActive,
  reopenWithoutMemory,
  sameEpochForNextAttempt,
  tagsWithoutEpoch,
  writesOfAnyEpoch,
} from '../mutations.js';
import { withRules } from '../rules.js';
import { M0, M1, M2, Scenario } from '../scenario.js';
import { objectNamed } from '../world.js';

failureCase('F13: a restarted generator does not repeat a tag', {
  trace: (set) => {
    set.write('replace', 'a', 'one');
    set.write('replace', 'a', 'two');
    set.clearAll();
    set.crashHost();
    for (const mirror of [M0, M1]) {
      set.crash(mirror);
      set.restart(mirror);
    }
    set.recover();
    set.write('replace', 'a', 'three');
    set.rest();
  },
  rule: 'the epoch is part of the tag',
  off: {
    createGenerator: (generator, epoch) => new EpochlessGenerator(generator, epoch),
    decideWrite: tagsWithoutEpoch,
  },
  ends: 'lost',
});

failureCase('F14: a write of an old epoch that arrives after the recovery lands nowhere', {
  trace: (set) => {
    set.write('replace', 'a', 'base');
    set.issue('replace', 'a', 'one');
    const late = set.copyRequests(M0);
    set.loseAll();
    set.crashHost();
    set.recover();
    set.arriveLate(late);
    set.loseAll();
    set.rest();
  },
  rule: 'a fenced store takes writes of its own epoch only',
  off: { decideWrite: writesOfAnyEpoch },
  ends: 'resurrected',
});

failureCase('F14: a clear of an old epoch that arrives after the recovery clears nothing', {
  trace: (set) => {
    const tag = set.write('replace', 'a', 'one');
    set.sendClears();
    const late = set.copyRequests(M0);
    set.loseAll();
    set.crash(M1);
    set.recover();
    set.arriveLate(late);
    set.loseAll();
    set.rollBackBefore(M1, tag);
    set.rest();
  },
  // The witness that comes with the clear would give the rollback away.
  alreadyOff: { planRecovery: noWitnesses },
  rule: 'a fenced store takes clears of its own epoch only',
  off: { decideClear: clearsOfAnyEpoch },
  ends: 'lost',
});

it('F14: a zombie writer gets no exclusion, so it acknowledges nothing', () => {
  const set = new Scenario({ rules: withRules(), mirrors: 2 });
  set.write('replace', 'a', 'base');
  const zombie = set.world.writer;
  set.crashHost({ leaveWriter: true });
  set.cutOff(M0);
  set.recover();
  set.reconnect(M0);
  const intent = { objectId: objectNamed('a'), kind: 'replace', text: 'zombie' } as const;
  set.world.step('the zombie writes', () => void zombie?.submit(intent));
  set.settle();
  expect(zombie?.status).toBe('deposed');
  set.rest();
  expect(set.codes).toEqual([]);
});

failureCase('F15: a copy that was read before a later write lands nowhere after it', {
  trace: (set) => {
    set.write('replace', 'a', 'base');
    const first = set.issue('replace', 'a', 'one');
    set.arrive(M1, first);
    set.loseAll();
    set.startRecovery();
    while (set.copyRequests(M0, 'push').length === 0) set.stepNetwork();
    const late = set.copyRequests(M0, 'push');
    set.settle();
    set.write('replace', 'a', 'two');
    set.clearAll();
    set.arriveLate(late);
    set.loseAll();
    set.crash(M1);
    set.recover();
    set.rest();
  },
  rule: 'a push lands under its own fence, by compare-and-set on the last tag',
  off: { decidePush: () => ({ kind: 'land' }) },
  ends: 'lost',
});

failureCase('F26: a read does not show what the next read may not see', {
  trace: (set) => {
    set.write('replace', 'a', 'base');
    const tag = set.issue('replace', 'a', 'one');
    set.arrive(M0, tag);
    set.read('a', M0);
    set.read('a', M1);
    set.settle();
    expect([set.read('a', M0), set.read('a', M1)]).toEqual([true, true]);
    set.rest();
  },
  rule: 'a read of an object with a write in flight waits for its outcome',
  off: { decideReadStart: () => ({ kind: 'answer' }), decideRead: () => ({ kind: 'answer' }) },
  ends: 'read-went-back',
});

failureCase('F26: a mirror that was restarted answers no read until it is activated again', {
  trace: (set) => {
    set.write('replace', 'a', 'base');
    set.replaceDisk(M0);
    set.read('a', M0);
    set.rest();
  },
  rule: 'a read is answered in the epoch in which the store is active',
  off: { isReadableAt: () => true },
  ends: 'read-went-back',
});

failureCase('F26: a read during a recovery shows nothing that another recovery may not find', {
  trace: (set) => {
    set.write('replace', 'a', 'base');
    const tag = set.issue('replace', 'a', 'one');
    set.arrive(M0, tag);
    set.loseAll();
    set.crashHost();
    set.cutOff(M1);
    set.startRecovery();
    while (set.copyRequests(M0, 'survey').length === 0) set.stepOrTimeOut();
    set.world.readInRecovery(objectNamed('a'), M0);
    set.crash(M0);
    set.crashHost();
    set.reconnect(M1);
    set.recover();
    set.rest();
  },
  rule: 'only a mirror that is the whole of the in-sync set is read before the activation',
  off: { readableInRecovery: (_state, [only]) => only ?? null },
  ends: 'lost',
});

/** M1 lacks a write and M2, which was cut off, has one that nobody else has. */
function torn(rules = withRules()): Scenario {
  const set = new Scenario({ rules, mirrors: 3 });
  set.write('replace', 'a', 'aaaa');
  const first = set.issue('range-write', 'a', 'bb');
  set.arrive(M2, first);
  set.loseAll();
  set.cutOff(M2);
  set.crashHost();
  set.recover();
  const second = set.issue('range-write', 'a', 'cc', { offset: 1 });
  set.arrive(M0, second);
  set.loseAll();
  set.crashHost();
  set.reconnect(M2);
  return set;
}

/** More messages than any recovery of these needs. */
const STEPS_MAX = 120;

describe('F28: a recovery that ends anywhere leaves a set that the next one repairs', () => {
  it.each(['the gateway', 'M0', 'M1', 'M2'])('%s crashes after any message', (victim) => {
    for (let steps = 0; steps < STEPS_MAX; steps += 1) {
      const set = torn();
      set.startRecovery();
      for (let step = 0; step < steps; step += 1) set.stepNetwork();
      if (victim === 'the gateway') set.crashHost();
      else set.crash(set.world.mirrorIds.find((id) => id === victim) ?? M0);
      set.rest();
      expect(set.codes, set.world.trace.join('\n')).toEqual([]);
    }
  });

  const twoAtOnce = (rules = withRules()): Set<string> => {
    const found = new Set<string>();
    for (let steps = 0; steps < STEPS_MAX; steps += 1) {
      const set = torn(rules);
      set.startRecovery();
      for (let step = 0; step < steps; step += 1) set.stepNetwork();
      set.startRecovery();
      set.settle();
      set.rest();
      for (const code of set.codes) found.add(code);
    }
    return found;
  };
  it('two recoveries at once: the later one wins, and both do no harm', () => {
    expect([...twoAtOnce()]).toEqual([]);
  });
});

failureCase('F14: a drop of rows of an old epoch that arrives after another recovery drops nothing', {
  trace: (set) => {
    const tag = set.write('replace', 'a', 'one');
    set.startRecovery();
    while (set.copyRequests(M0, 'drop-rows').length === 0) set.stepNetwork();
    const late = set.copyRequests(M0, 'drop-rows');
    set.loseAll();
    set.crashHost();
    set.crash(M1);
    set.recover();
    set.arriveLate(late);
    set.loseAll();
    set.rollBackBefore(M1, tag);
    set.rest();
  },
  // A peer's witness, which a drop of rows brings along, would tell.
  alreadyOff: { planRecovery: noWitnesses },
  rule: 'rows are dropped in the epoch of the recovery that matched them',
  off: { mayDropRows: () => true },
  ends: 'diverged',
});

failureCase('F28: what an attempt that crashed has sent does not land in the next one', {
  mirrors: 3,
  trace: (set) => {
    set.write('replace', 'a', 'base');
    const tag = set.issue('replace', 'a', 'one');
    set.arrive(M1, tag);
    set.loseAll();
    set.startRecovery();
    while (set.copyRequests(M0, 'push').length === 0) set.stepNetwork();
    const late = set.copyRequests(M0, 'push');
    set.crashHost();
    set.loseAll();
    set.crash(M1);
    set.startRecovery();
    while (set.copyRequests(M2, 'report').length === 0) set.stepOrTimeOut();
    while (set.copyRequests(M0, 'drop-rows').length === 0) set.stepOrTimeOut();
    set.arriveLate(late);
    set.settle();
    set.rest();
  },
  // What the mirrors keep of the first attempt would tell: an epoch has one run of the authority.
  alreadyOff: { keepsRecoveriesOnRecord: false },
  rule: 'each attempt is a new epoch',
  off: { beginRecovery: sameEpochForNextAttempt },
  ends: 'I7',
});

failureCase('F29: a rollback that a restart hides is noticed, because the restart is', {
  trace: (set) => {
    const tag = set.write('replace', 'a', 'one');
    set.clearAll();
    set.rollBackBefore(M1, tag);
    for (const text of ['two', 'three', 'four']) set.write('replace', 'b', text);
    set.rest();
  },
  rule: 'a restarted store takes no write until it is activated again',
  off: { reopenFence: reopenActive },
  ends: 'lost',
});

failureCase('F29: an activation that was sent before a restart does not hide it', {
  trace: (set) => {
    set.startRecovery();
    while (set.copyRequests(M1, 'activate').length === 0) set.stepNetwork();
    const late = set.copyRequests(M1, 'activate');
    set.settle();
    const tag = set.write('replace', 'a', 'one');
    set.clearAll();
    set.rollBackBefore(M1, tag);
    set.arriveLate(late);
    for (const text of ['two', 'three', 'four']) set.write('replace', 'b', text);
    set.rest();
  },
  rule: 'the epoch that a store was fenced at when it was opened is over for that run',
  off: { reopenFence: reopenWithoutMemory },
  ends: 'lost',
});

failureCase('F29: a fence that comes twice does not fence the next run, on a disk that was put back', {
  trace: (set) => {
    set.write('replace', 'a', 'one');
    set.clearAll();
    const before = set.snapshot(M1);
    set.startRecovery();
    while (set.copyRequests(M1, 'fence').length === 0) set.stepNetwork();
    const again = set.copyRequests(M1, 'fence');
    while (set.copyRequests(M1, 'activate').length === 0) set.stepNetwork();
    set.rollBackTo(M1, before);
    set.arriveLate(again);
    set.settle();
    set.write('replace', 'a', 'two');
    set.rest();
  },
  rule: 'a fence is meant for the run that was looked at',
  off: { isMeantForRun: () => true },
  ends: 'I6',
});

failureCase('F36: a source that was rolled back after it was matched is not copied', {
  mirrors: 3,
  trace: (set) => {
    const old = set.snapshot(M1);
    set.write('replace', 'a', 'base');
    const tag = set.issue('replace', 'a', 'one');
    set.arrive(M1, tag);
    set.loseAll();
    set.startRecovery();
    while (set.copyRequests(M1, 'copy-out').length === 0) set.stepNetwork();
    set.rollBackTo(M1, old);
    set.settle();
    set.rest();
  },
  rule: 'a source is read under the fence of the recovery that matched it',
  off: { fencesSources: false },
  ends: 'I5',
});
