import { describe, expect, it } from 'vitest';
import { Gate } from '../../../src/gateway/gate.js';

describe('the gate that every write passes', () => {
  it('I6: lets nobody in before it is opened, and everybody who waited afterwards', async () => {
    const gate = new Gate();
    const passed: number[] = [];
    const waiting = [1, 2].map(async (who) => {
      await gate.pass(5000);
      passed.push(who);
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(passed).toEqual([]);
    gate.open();
    await Promise.all(waiting);
    expect(passed).toEqual([1, 2]);
  });

  it('I6: does not let in who waited when it closed again before their turn', async () => {
    const gate = new Gate();
    let hasPassed = false;
    const waiting = gate.pass(5000).then(() => {
      hasPassed = true;
    });
    gate.open();
    gate.close('closed at once');
    await new Promise((resolve) => setImmediate(resolve));
    expect(hasPassed).toBe(false);
    gate.open();
    await waiting;
  });

  it('turns away with `unavailable` and the reason when the time is up', async () => {
    const gate = new Gate();
    gate.close('a recovery runs');
    await expect(gate.pass(5)).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining('a recovery runs') as string,
    });
  });

  it('turns everybody away when it is shut for good', async () => {
    const gate = new Gate();
    const waiting = gate.pass(60_000);
    gate.shut('stopping');
    await expect(waiting).rejects.toMatchObject({ kind: 'unavailable' });
  });
});
