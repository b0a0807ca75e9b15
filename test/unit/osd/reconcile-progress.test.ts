/** The figures of a running reconciliation (I7), and the places in what it says. */
import { beforeEach, describe, expect, it } from 'vitest';
import { ProgressTracker } from '../../../src/osd/reconcile/progress-tracker.js';
import { describePlace } from '../../../src/osd/reconcile/reconcile-failure.js';
import { toMirrorId } from '../../../src/protocol/authority-state.js';
import { makeObjectId } from '../../../src/protocol/object-id.js';
import { toEpoch } from '../../../src/protocol/tag.js';

let nowMs: number;
let tracker: ProgressTracker;
beforeEach(() => {
  nowMs = 1000;
  tracker = new ProgressTracker(toEpoch(3), { now: () => nowMs, after: () => () => undefined });
});

describe('the figures of a reconciliation', () => {
  it('begin with nothing', () => {
    expect(tracker.snapshot()).toEqual({
      epoch: 3,
      phase: 'matching',
      isScanned: false,
      rowsMatched: 0,
      rowsUnmatched: 0,
      rowsDropped: 0,
      objectsToDo: 0,
      objectsDone: 0,
      rangesDone: 0,
      bytesUnmatched: 0,
      bytesCopied: 0,
      objectsCompared: 0,
      objectsToCompare: 0,
      objectsDeleted: 0,
      leftMs: null,
      failure: null,
    });
  });

  it('are sums of what is told', () => {
    for (let count = 0; count < 2; count += 1) {
      tracker.rowsCompared(3, 4);
      tracker.rowsDropped(5);
      tracker.objectToDo(10);
      tracker.objectDone();
      tracker.objectDeleted();
      tracker.plannedAgain(-1);
      tracker.landed(6, 2);
      tracker.fullCopyBegins(1, 20);
      tracker.objectsCompared(7);
    }
    tracker.scanned();
    expect(tracker.snapshot()).toMatchObject({
      isScanned: true,
      rowsMatched: 6,
      rowsUnmatched: 8,
      rowsDropped: 10,
      objectsToDo: 2,
      objectsDone: 2,
      objectsDeleted: 2,
      bytesUnmatched: 18,
      bytesCopied: 12,
      rangesDone: 4,
      objectsCompared: 16,
      objectsToCompare: 40,
    });
  });

  it('say why it failed', () => {
    tracker.fail('cancelled: the OSD stops');
    expect(tracker.snapshot()).toMatchObject({ phase: 'failed', failure: 'cancelled: the OSD stops' });
  });

  it('I7: no more is copied than was unmatched, and nothing is done that was not to do', () => {
    tracker.objectToDo(10);
    tracker.landed(10, 1);
    expect(() => {
      tracker.landed(1, 1);
    }).toThrow('I7');
    tracker.objectDone();
    expect(() => {
      tracker.objectDone();
    }).toThrow('what is done was to do');
  });
});

describe('how long a full copy takes yet', () => {
  it('is told from what it took so far, once something is compared', () => {
    tracker.enter('full-copy');
    tracker.fullCopyBegins(0, 100);
    nowMs += 50;
    expect(tracker.snapshot().leftMs).toBeNull();
    tracker.objectsCompared(25);
    expect(tracker.snapshot().leftMs).toBe(150);
  });

  it('is told of this attempt alone: what was compared before is behind it', () => {
    tracker.enter('full-copy');
    tracker.fullCopyBegins(40, 100);
    tracker.objectsCompared(20);
    nowMs += 60;
    expect(tracker.snapshot()).toMatchObject({ objectsCompared: 60, leftMs: 120 });
  });

  it('is never less than nothing, though there is more than was thought', () => {
    tracker.enter('full-copy');
    tracker.fullCopyBegins(30, 10);
    tracker.objectsCompared(20);
    nowMs += 60;
    expect(tracker.snapshot()).toMatchObject({ objectsToCompare: 30, objectsCompared: 50, leftMs: 0 });
  });

  it('is told while it runs, and at no other time', () => {
    tracker.fullCopyBegins(0, 100);
    tracker.objectsCompared(25);
    nowMs += 50;
    for (const phase of ['matching', 'copying', 'clearing', 'done'] as const) {
      tracker.enter(phase);
      expect(tracker.snapshot()).toMatchObject({ phase, leftMs: null });
    }
  });
});

describe('a place in what an operator reads', () => {
  it('is an object as people name it, with its version where it has one, and the mirror', () => {
    const mirror = toMirrorId('m1');
    expect(describePlace(makeObjectId('bucket', 'key'), mirror)).toBe('"bucket/key" on m1');
    expect(describePlace(makeObjectId('bucket', 'key', 'v7'), mirror)).toBe('"bucket/key (v7)" on m1');
  });
});
