import { describe, expect, it } from 'vitest';
import type { RemotePush, RemotePushReply } from '../../../src/wire/osd-connection.js';
import {
  BATCH_PUSH_BYTES_MAX,
  BATCH_PUSHES_MAX,
  type BatchedPushReply,
} from '../../../src/wire/push-frame.js';
import { PushQueue } from '../../../src/wire/push-queue.js';
import { EPOCH, objectNamed } from '../osd/osd-writer.js';

const LANDED = { kind: 'landed' } as const;

function pushOf(index: number, bytes = Buffer.alloc(10)): RemotePush {
  return {
    ...{ epoch: EPOCH, objectId: objectNamed(`key-${index}`), expectedLastTag: null, lastTag: null },
    ...{
      state: null,
      content: { kind: 'whole' },
      bytes: { kind: 'bytes', bytes },
      contentChecksum: 0,
      rows: [],
    },
  };
}

/** Answers when it is told to. */
class ScriptedWays {
  readonly requests: { readonly pushes: readonly RemotePush[]; readonly answer: () => void }[] = [];
  inFlightMax = 0;
  #inFlight = 0;
  readonly #replyTo: (push: RemotePush) => BatchedPushReply;

  constructor(replyTo: (push: RemotePush) => BatchedPushReply = () => LANDED) {
    this.#replyTo = replyTo;
  }

  readonly knowsBatches = (): boolean => true;

  readonly alone = async (push: RemotePush): Promise<RemotePushReply> => {
    const [reply] = await this.#take([push]);
    if (reply === undefined || reply.kind === 'failed') throw new Error('it failed');
    return reply;
  };

  readonly together = (pushes: readonly RemotePush[]): Promise<readonly BatchedPushReply[]> =>
    this.#take(pushes);

  async #take(pushes: readonly RemotePush[]): Promise<readonly BatchedPushReply[]> {
    this.#inFlight += 1;
    this.inFlightMax = Math.max(this.inFlightMax, this.#inFlight);
    await new Promise<void>((answer) => this.requests.push({ pushes, answer }));
    this.#inFlight -= 1;
    return pushes.map(this.#replyTo);
  }

  async answerUntil(isOver: () => boolean): Promise<void> {
    for (let at = 0; !isOver();) {
      await new Promise((resolve) => setImmediate(resolve));
      for (; at < this.requests.length; at += 1) this.requests[at]?.answer();
    }
  }
}

async function runAll(ways: ScriptedWays, pushes: readonly RemotePush[]) {
  const queue = new PushQueue(ways);
  let isOver = false;
  const settled = Promise.allSettled(pushes.map((push) => queue.run(push))).finally(() => {
    isOver = true;
  });
  await ways.answerUntil(() => isOver);
  return settled;
}

describe('pushes to one OSD', () => {
  it('travel together, within the limits of one request, and each gets its own reply', async () => {
    const ways = new ScriptedWays(({ objectId }) =>
      objectId === objectNamed('key-7')
        ? { kind: 'refused', code: 'changed' }
        : objectId === objectNamed('key-9')
          ? { kind: 'failed', code: 'overloaded', message: 'too much' }
          : LANDED,
    );
    const results = await runAll(
      ways,
      Array.from({ length: 500 }, (_, index) => pushOf(index)),
    );
    expect(Math.max(...ways.requests.map(({ pushes }) => pushes.length))).toBe(BATCH_PUSHES_MAX);
    expect(ways.requests.length).toBeLessThan(10);
    expect(results[7]).toMatchObject({ value: { kind: 'refused', code: 'changed' } });
    expect(results[9]).toMatchObject({ reason: { code: 'overloaded', status: 503 } });
    const others = results.filter((_, index) => index !== 7 && index !== 9);
    for (const result of others) expect(result).toMatchObject({ value: LANDED });
  });

  it('travel apart when they are too large for company', async () => {
    const ways = new ScriptedWays();
    const large = Buffer.alloc(BATCH_PUSH_BYTES_MAX / 2);
    await runAll(ways, [pushOf(0, large), pushOf(1, large), pushOf(2, Buffer.alloc(1)), pushOf(3, large)]);
    expect(ways.requests.map(({ pushes }) => pushes.length)).toEqual([2, 2]);
    const rows = { length: 3000 } as unknown as RemotePush['rows'];
    const hot = new ScriptedWays();
    await runAll(hot, [{ ...pushOf(0), rows }, pushOf(1), { ...pushOf(2), rows }]);
    expect(hot.requests.map(({ pushes }) => pushes.length)).toEqual([1, 1, 1]);
  });

  it('go one by one to an OSD that knows no batches', async () => {
    const ways = new ScriptedWays();
    const together = async (): Promise<never> => Promise.reject(new Error('nobody asked for batches'));
    const queue = new PushQueue({ knowsBatches: () => false, alone: ways.alone, together });
    let isOver = false;
    const settled = Promise.all(Array.from({ length: 300 }, (_, index) => queue.run(pushOf(index)))).finally(
      () => {
        isOver = true;
      },
    );
    await ways.answerUntil(() => isOver);
    expect(await settled).toEqual(Array.from({ length: 300 }, () => LANDED));
    const sent = ways.requests.flatMap(({ pushes }) => pushes.map(({ objectId }) => objectId));
    expect(new Set(sent).size).toBe(300);
    expect(sent).toHaveLength(300);
    expect(ways.inFlightMax).toBeGreaterThan(4);
    expect(ways.inFlightMax).toBeLessThanOrEqual(16);
  });

  it('a request that fails fails all that it carries', async () => {
    const queue = new PushQueue({
      knowsBatches: () => true,
      alone: async () => LANDED,
      together: async () => Promise.reject(new Error('the line is dead')),
    });
    const results = await Promise.allSettled([queue.run(pushOf(0)), queue.run(pushOf(1))]);
    for (const result of results) expect(result).toMatchObject({ reason: { message: 'the line is dead' } });
  });
});
