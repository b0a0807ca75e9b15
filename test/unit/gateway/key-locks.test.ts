import { describe, expect, it } from 'vitest';
import { COMPOSE_SOURCES_MAX } from '../../../src/protocol/compose.js';
import { KeyLocks } from '../../../src/gateway/key-locks.js';
import { makeObjectId } from '../../../src/protocol/object-id.js';

const one = makeObjectId('bucket', 'one');
const two = makeObjectId('bucket', 'two');

describe('the lock of each object', () => {
  it('F4: runs mutations of one object one after another, in the order in which they came', async () => {
    const locks = new KeyLocks();
    const steps: string[] = [];
    const work = (name: string, delayMs: number) => () =>
      new Promise<void>((resolve) => {
        steps.push(`${name} begins`);
        setTimeout(() => {
          steps.push(`${name} ends`);
          resolve();
        }, delayMs);
      });
    await Promise.all([
      locks.run(one, work('a', 10)),
      locks.run(one, work('b', 1)),
      locks.run(one, work('c', 0)),
    ]);
    expect(steps).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
  });

  it('never makes one object wait for another', async () => {
    const locks = new KeyLocks();
    let release!: () => void;
    const held = locks.run(one, () => new Promise<void>((resolve) => (release = resolve)));
    await locks.run(two, async () => undefined);
    release();
    await held;
  });

  it('goes on after a mutation that failed, and keeps nothing of objects that nobody changes', async () => {
    const locks = new KeyLocks();
    const failing = locks.run(one, async () => Promise.reject(new Error('refused')));
    const after = locks.run(one, async () => 'done');
    await expect(failing).rejects.toThrow('refused');
    await expect(after).resolves.toBe('done');
    expect(locks.size).toBe(0);
  });

  it('takes as many locks at once as a multipart upload has parts, and two that share some wait for each other', async () => {
    const locks = new KeyLocks();
    const ids = Array.from({ length: COMPOSE_SOURCES_MAX }, (_, index) =>
      makeObjectId('.parts', `u/${index}`),
    );
    const steps: string[] = [];
    const work = (name: string) => async (): Promise<void> => {
      steps.push(`${name} begins`);
      await new Promise((resolve) => setTimeout(resolve, 1));
      steps.push(`${name} ends`);
    };
    await Promise.all([locks.runAll(ids, work('a')), locks.runAll([...ids].reverse(), work('b'))]);
    expect(steps).toEqual(['a begins', 'a ends', 'b begins', 'b ends']);
    expect(locks.size).toBe(0);
  });
});
