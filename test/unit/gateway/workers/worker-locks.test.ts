import { describe, expect, it } from 'vitest';
import { makeChannelPair } from '../../../fakes/memory-channel.js';
import { Peer } from '../../../../src/gateway/workers/peer.js';
import { WorkerLocks, type WorkerNamedLocks } from '../../../../src/gateway/workers/worker-locks.js';
import { ObjectStorageError } from '../../../../src/gateway/object-storage.js';
import { SharedLocks } from '../../../../src/s3/shared-lock.js';

interface Worker {
  readonly locks: WorkerLocks;
  readonly peers: Map<number, Peer>;
  readonly spread: WorkerNamedLocks;
  readonly homed: WorkerNamedLocks;
  /** Names that somebody elsewhere had alone. */
  readonly taken: string[];
}

class Workers {
  readonly count: number;
  readonly all = new Map<number, Worker>();

  constructor(count: number) {
    this.count = count;
    for (let index = 0; index < count; index += 1) this.start(index);
    for (const { locks } of this.all.values()) locks.open();
  }

  at(index: number): Worker {
    const worker = this.all.get(index);
    if (worker === undefined) throw new RangeError(`no worker ${index}`);
    return worker;
  }

  start(index: number): Worker {
    const peers = new Map<number, Peer>();
    const locks = new WorkerLocks({
      count: this.count,
      own: index,
      peer: (other) => {
        const peer = peers.get(other);
        if (peer === undefined) throw new ObjectStorageError('unavailable', 'it is not there');
        return peer;
      },
    });
    const taken: string[] = [];
    const spread = locks.spread('spread', new SharedLocks());
    spread.onTakenElsewhere((name) => taken.push(name));
    const worker = { locks, peers, spread, taken, homed: locks.homed('homed', new SharedLocks()) };
    for (const [other, met] of this.all) {
      const [here, there] = makeChannelPair();
      const toOther = new Peer(`worker ${other}`, here);
      const toThis = new Peer(`worker ${index}`, there);
      peers.set(other, toOther);
      met.peers.set(index, toThis);
      locks.serve(toOther)(met.locks.heldAt(index));
      met.locks.serve(toThis)(locks.heldAt(other));
    }
    this.all.set(index, worker);
    return worker;
  }

  kill(index: number): void {
    for (const peer of this.at(index).peers.values()) peer.close();
    this.all.delete(index);
    for (const { peers } of this.all.values()) peers.delete(index);
  }
}

function latch(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

/** Longer than any message here takes. */
async function aWhile(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 30));
}

/** The most that ran at once. */
async function crowd(tasks: readonly ((task: () => Promise<void>) => Promise<void>)[]): Promise<number> {
  let running = 0;
  let most = 0;
  await Promise.all(
    tasks.map((run) =>
      run(async () => {
        running += 1;
        most = Math.max(most, running);
        await new Promise((resolve) => setTimeout(resolve, 3));
        running -= 1;
      }),
    ),
  );
  return most;
}

describe('locks between workers', () => {
  it.each(['spread', 'homed'] as const)(
    '%s: whoever has a name alone has it alone among all workers',
    async (kind) => {
      const workers = new Workers(3);
      const tasks = Array.from({ length: 12 }, (_, at) => {
        const locks = workers.at(at % 3)[kind];
        return (task: () => Promise<void>) => locks.exclusive('name', task);
      });
      expect(await crowd(tasks)).toBe(1);
    },
  );

  it('spread: those who share a name run beside each other, and beside nobody who has it alone', async () => {
    const workers = new Workers(2);
    const sharing = latch();
    const first = workers.at(0).spread.shared('name', () => sharing.opened);
    let isAlone = false;
    const alone = workers.at(1).spread.exclusive('name', async () => {
      isAlone = true;
    });
    await aWhile();
    expect(isAlone).toBe(false);
    await workers.at(1).spread.shared('other name', async () => undefined);
    sharing.open();
    await Promise.all([first, alone]);
    expect(isAlone).toBe(true);
  });

  it('spread: everybody else hears of a name that somebody has alone before he does anything', async () => {
    const workers = new Workers(3);
    await workers.at(1).spread.exclusive('name', async () => {
      expect([0, 2].map((index) => workers.at(index).taken)).toEqual([['name'], ['name']]);
    });
    expect(workers.at(1).taken).toEqual([]);
  });

  it('what a worker held is free when it has ended', async () => {
    const workers = new Workers(2);
    void workers.at(1).spread.exclusive('name', () => new Promise<void>(() => undefined));
    await aWhile();
    let isShared = false;
    const sharing = workers.at(0).spread.shared('name', async () => {
      isShared = true;
    });
    await aWhile();
    expect(isShared).toBe(false);
    workers.kill(1);
    await sharing;
    expect(isShared).toBe(true);
  });

  it.each(['spread', 'homed'] as const)(
    '%s: what is held at a worker that ends is held at the one that takes its place',
    async (kind) => {
      const workers = new Workers(2);
      const holding = latch();
      // Names whose home is worker 1, among others.
      const names = Array.from({ length: 8 }, (_, at) => `name-${at}`);
      const held = names.map((name) => workers.at(0)[kind].exclusive(name, () => holding.opened));
      await aWhile();
      workers.kill(1);
      const successor = workers.start(1);
      successor.locks.open();
      let taken = 0;
      const taking = names.map((name) =>
        successor[kind].exclusive(name, async () => {
          taken += 1;
        }),
      );
      await aWhile();
      expect(taken).toBe(0);
      holding.open();
      await Promise.all([...held, ...taking]);
      expect(taken).toBe(names.length);
    },
  );

  it('whoever wants a name of a worker that is not there is turned away', async () => {
    const workers = new Workers(2);
    workers.kill(1);
    await expect(workers.at(0).spread.exclusive('name', async () => undefined)).rejects.toMatchObject({
      kind: 'unavailable',
    });
    await workers.at(0).spread.shared('name', async () => undefined);
  });
});
