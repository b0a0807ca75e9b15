import { describe, expect, it } from 'vitest';
import { toMirrorId } from '../../../src/protocol/authority-state.js';
import { makeObjectId } from '../../../src/protocol/object-id.js';
import { makeTag, toEpoch, toGeneratorId } from '../../../src/protocol/tag.js';
import { InFlightWrite } from '../../../src/writer/in-flight-writes.js';

const M0 = toMirrorId('m0');
const M1 = toMirrorId('m1');

function begin(): { readonly write: InFlightWrite; readonly overCount: () => number } {
  const tag = makeTag({ epoch: toEpoch(1), counter: 1, generator: toGeneratorId(1) });
  const objectId = makeObjectId('bucket', 'key');
  const write = new InFlightWrite({ tag, issuedAfter: null, objectId, isRemoval: false }, [M0, M1]);
  let count = 0;
  write.whenOver(() => {
    count += 1;
  });
  return { write, overCount: () => count };
}

describe('a write in flight', () => {
  it('is over once it has its outcome and every answer, whichever comes last', () => {
    const answersLast = begin();
    answersLast.write.record(M0, { kind: 'committed' });
    answersLast.write.settle({ kind: 'acknowledged' });
    expect(answersLast.overCount()).toBe(0);
    answersLast.write.record(M1, { kind: 'committed' });
    expect(answersLast.overCount()).toBe(1);

    const outcomeLast = begin();
    outcomeLast.write.record(M0, { kind: 'committed' });
    outcomeLast.write.record(M1, { kind: 'refused', code: 'no-space' });
    expect(outcomeLast.overCount()).toBe(0);
    outcomeLast.write.settle({ kind: 'acknowledged' });
    expect(outcomeLast.overCount()).toBe(1);
  });

  it('can be waited for until every mirror has answered, before and afterwards', async () => {
    const { write } = begin();
    let hasAll = false;
    const waiting = write.allAnswered().then(() => {
      hasAll = true;
    });
    write.record(M0, { kind: 'committed' });
    await Promise.resolve();
    expect(hasAll).toBe(false);
    write.record(M1, { kind: 'unknown', reason: 'lost' });
    await waiting;
    await write.allAnswered();
  });
});
