import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toMirrorId } from '../../../src/protocol/authority-state.js';
import { type FenceState, reopenFence } from '../../../src/protocol/fence.js';
import {
  type AppointedWriter,
  type AppointmentVerdict,
  decideAppointment,
  mayBeShown,
  RequestLedger,
  RequestNumbers,
  tagBeforeEpoch,
} from '../../../src/protocol/forwarding.js';
import { InvariantViolation } from '../../../src/protocol/invariant.js';
import { EPOCH_NONE, toEpoch } from '../../../src/protocol/tag.js';
import { GENERATOR, tagOf } from './protocol-builders.js';

const M0 = toMirrorId('osd-0');
const M1 = toMirrorId('osd-1');
const ACTIVE: FenceState = { fencedEpoch: toEpoch(5), activeEpoch: toEpoch(5) };

function orderOf(change: Partial<AppointedWriter> = {}): AppointedWriter {
  return { epoch: toEpoch(5), generator: GENERATOR, revision: 1, self: M0, inSync: [M0, M1], ...change };
}

function decide(current: AppointedWriter | null, order: AppointedWriter): AppointmentVerdict {
  return decideAppointment({ fence: ACTIVE, current, endedEpoch: EPOCH_NONE }, order);
}

describe('the appointment of a writer', () => {
  it('is taken by a store that is active at its very epoch', () => {
    expect(decide(null, orderOf())).toEqual({ kind: 'begin' });
  });

  it('F14: of an epoch that is over is refused', () => {
    const verdict = decide(null, orderOf({ epoch: toEpoch(4) }));
    expect(verdict).toEqual({ kind: 'refuse', code: 'stale-epoch' });
  });

  it.each<[string, FenceState]>([
    ['F29: that was restarted', reopenFence(toEpoch(5))],
    ['I6: that is fenced and not activated', { fencedEpoch: toEpoch(5), activeEpoch: EPOCH_NONE }],
    ['that is being rebuilt', { ...ACTIVE, isRebuilding: true }],
    ['that is active at an earlier epoch', { fencedEpoch: toEpoch(4), activeEpoch: toEpoch(4) }],
  ])('is refused by a store %s', (_state, fence) => {
    expect(decideAppointment({ fence, current: null, endedEpoch: EPOCH_NONE }, orderOf())).toEqual({
      kind: 'refuse',
      code: 'not-active',
    });
  });

  it('twice in one epoch changes nothing of the tags that were issued: the writer goes on', () => {
    expect(decide(orderOf(), orderOf())).toEqual({ kind: 'follow' });
    expect(decide(orderOf(), orderOf({ revision: 2 }))).toEqual({ kind: 'follow' });
  });

  it('that arrives after a later one of the same epoch changes nothing', () => {
    const verdict = decide(orderOf({ revision: 2 }), orderOf());
    expect(verdict).toEqual({ kind: 'refuse', code: 'stale-order' });
  });

  it.each([orderOf({ inSync: [M0] }), orderOf({ self: M1 })])(
    'I3: names the same set in sync for a whole epoch',
    (order) => {
      expect(decide(orderOf(), order)).toEqual({ kind: 'refuse', code: 'bad-request' });
    },
  );

  it('is for a mirror in sync', () => {
    const verdict = decide(null, orderOf({ inSync: [M1] }));
    expect(verdict).toEqual({ kind: 'refuse', code: 'bad-request' });
  });

  it('F13: of an epoch whose writer has ended is refused: it would begin with the same tags', () => {
    const ended = { fence: ACTIVE, current: null, endedEpoch: toEpoch(5) };
    expect(decideAppointment(ended, orderOf())).toEqual({ kind: 'refuse', code: 'stale-order' });
    expect(decideAppointment({ ...ended, endedEpoch: toEpoch(4) }, orderOf())).toEqual({ kind: 'begin' });
  });

  it('of a new epoch begins anew', () => {
    expect(decide(orderOf({ epoch: toEpoch(4) }), orderOf())).toEqual({ kind: 'begin' });
  });
});

describe('the ledger of requests', () => {
  it('F24: the same request gets the same answer, with other content none', () => {
    const ledger = new RequestLedger<string>(10);
    expect(ledger.look(1, 77)).toEqual({ kind: 'begin' });
    ledger.remember(1, 77, 'done');
    expect(ledger.look(1, 77)).toEqual({ kind: 'repeat', answer: 'done' });
    expect(ledger.look(1, 78)).toEqual({ kind: 'refuse', code: 'request-conflict' });
    expect(() => ledger.remember(1, 77, 'again')).toThrow(InvariantViolation);
  });

  it('F24: a request that arrives late, below the floor, is not carried out again', () => {
    const ledger = new RequestLedger<string>(10);
    ledger.remember(1, 77, 'done');
    ledger.raiseFloor(2);
    expect(ledger.rememberedCount).toBe(0);
    expect(ledger.look(1, 77)).toEqual({ kind: 'refuse', code: 'settled' });
    ledger.raiseFloor(1);
    expect(ledger.look(1, 77)).toEqual({ kind: 'refuse', code: 'settled' });
    expect(ledger.look(2, 0)).toEqual({ kind: 'begin' });
  });

  it('remembers no more than its limit, and takes new requests again when the floor has passed old ones', () => {
    const ledger = new RequestLedger<string>(2);
    ledger.remember(1, 0, 'a');
    ledger.remember(2, 0, 'b');
    expect(ledger.look(3, 0)).toEqual({ kind: 'refuse', code: 'too-many-requests' });
    expect(ledger.look(2, 0)).toEqual({ kind: 'repeat', answer: 'b' });
    ledger.raiseFloor(2);
    expect(ledger.look(3, 0)).toEqual({ kind: 'begin' });
  });

  it('remembers exactly the requests from the floor on, in whatever order they came', () => {
    const run = fc.array(fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 40 })), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(run, (steps) => {
        const ledger = new RequestLedger<number>(100);
        const carriedOut = new Set<number>();
        let floor = 1;
        for (const [request, nextFloor] of steps) {
          const verdict = ledger.look(request, request);
          if (verdict.kind === 'begin') {
            expect(carriedOut.has(request)).toBe(false);
            carriedOut.add(request);
            ledger.remember(request, request, request);
          } else expect(verdict.kind).toBe(request < floor ? 'refuse' : 'repeat');
          ledger.raiseFloor(nextFloor);
          floor = Math.max(floor, nextFloor);
          expect(ledger.rememberedCount).toBe([...carriedOut].filter((known) => known >= floor).length);
        }
      }),
    );
  });
});

describe('the numbers of requests', () => {
  it('count up, and the floor is the lowest that has no answer', () => {
    const numbers = new RequestNumbers();
    expect(numbers.floor()).toBe(1);
    expect([numbers.issue(), numbers.issue(), numbers.issue()]).toEqual([1, 2, 3]);
    numbers.settle(2);
    expect(numbers.floor()).toBe(1);
    numbers.settle(1);
    expect(numbers.floor()).toBe(3);
    numbers.settle(3);
    expect(numbers.floor()).toBe(4);
    expect(() => {
      numbers.settle(3);
    }).toThrow(InvariantViolation);
  });
});

describe('F26: an answer that may show a write whose tag only the writer knows', () => {
  const forwarded = { tag: null, issuedAfter: tagOf(5, 7) };

  it('is every one with a later tag than the writer had issued before', () => {
    expect(mayBeShown(forwarded, tagOf(5, 8))).toBe(true);
    expect(mayBeShown(forwarded, tagOf(5, 7))).toBe(false);
    expect(mayBeShown(forwarded, tagOf(4, 900))).toBe(false);
  });

  it('is the one with its tag, once that is known', () => {
    const known = { ...forwarded, tag: tagOf(5, 9) };
    expect(mayBeShown(known, tagOf(5, 8))).toBe(false);
    expect(mayBeShown(known, tagOf(5, 9))).toBe(true);
  });

  it('is each of the epoch, while the writer has issued none', () => {
    const first = { tag: null, issuedAfter: tagBeforeEpoch(toEpoch(5), GENERATOR) };
    expect(mayBeShown(first, tagOf(5, 1))).toBe(true);
    expect(mayBeShown(first, tagOf(4, 1))).toBe(false);
  });
});
