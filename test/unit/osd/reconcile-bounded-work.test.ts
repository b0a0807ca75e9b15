/** What a reconciliation has under way at once. */
import { describe, expect, it } from 'vitest';
import { oneAhead, Slots, workOn } from '../../../src/osd/reconcile/bounded-work.js';

/** Work that ends when the test says so, in the order in which it began. */
class Work {
  readonly begun: unknown[] = [];
  readonly #ends: { readonly end: () => void; readonly fail: (error: Error) => void }[] = [];

  readonly do = (item: unknown): Promise<void> =>
    new Promise((end, fail) => {
      this.begun.push(item);
      this.#ends.push({ end, fail });
    });

  async end(count = 1): Promise<void> {
    for (const { end } of this.#ends.splice(0, count)) end();
    await settled();
  }

  async fail(error: Error): Promise<void> {
    this.#ends.shift()?.fail(error);
    await settled();
  }
}

function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function* streamOf<Item>(items: readonly Item[], onTaken: (item: Item) => void = () => undefined) {
  for (const item of items) {
    onTaken(item);
    yield item;
  }
}

const KINDS = [
  ['a list', (items: readonly number[]) => items],
  ['a stream', (items: readonly number[]) => streamOf(items)],
] as const;

describe.each(KINDS)('work on %s', (_kind, source) => {
  it('is done on every item, on so many at once and no more', async () => {
    const work = new Work();
    const all = workOn(source([1, 2, 3, 4, 5]), 2, work.do);
    await settled();
    expect(work.begun).toEqual([1, 2]);
    await work.end();
    expect(work.begun).toEqual([1, 2, 3]);
    await work.end(2);
    expect(work.begun).toEqual([1, 2, 3, 4, 5]);
    let isOver = false;
    const end = all.then(() => (isOver = true));
    await work.end();
    expect(isOver).toBe(false);
    await work.end();
    await end;
  });

  it('begins with nothing new after a failure, waits for what is under way, and tells the first one', async () => {
    const work = new Work();
    const all = workOn(source([1, 2, 3, 4]), 2, work.do);
    let isOver = false;
    const end = all.catch((error: unknown) => {
      isOver = true;
      return error;
    });
    await settled();
    await work.fail(new Error('the first'));
    expect(isOver).toBe(false);
    await work.fail(new Error('the second'));
    expect(await end).toMatchObject({ message: 'the first' });
    expect(work.begun).toEqual([1, 2]);
  });

  it('is none where there is nothing', async () => {
    const work = new Work();
    await workOn(source([]), 2, work.do);
    expect(work.begun).toEqual([]);
  });
});

describe('work on a stream', () => {
  it('ends with what ended the stream', async () => {
    async function* broken(): AsyncGenerator<number> {
      yield 1;
      throw new Error('the table is gone');
    }
    const begun: number[] = [];
    await expect(workOn(broken(), 3, async (item) => void begun.push(item))).rejects.toThrow(
      'the table is gone',
    );
    expect(begun).toEqual([1]);
  });
});

describe('a stream that is read ahead', () => {
  it('has the same items, each asked for while the one before is worked on', async () => {
    const taken: number[] = [];
    const seen: number[] = [];
    for await (const item of oneAhead(streamOf([1, 2, 3], (one) => taken.push(one)))) {
      await settled();
      seen.push(item);
      expect(taken.length).toBe(Math.min(item + 1, 3));
    }
    expect(seen).toEqual([1, 2, 3]);
  });

  it('fails where the stream did, and not before', async () => {
    async function* broken(): AsyncGenerator<number> {
      yield 1;
      throw new Error('the table is gone');
    }
    const seen: number[] = [];
    const read = async (): Promise<void> => {
      for await (const item of oneAhead(broken())) {
        await settled();
        seen.push(item);
      }
    };
    await expect(read()).rejects.toThrow('the table is gone');
    expect(seen).toEqual([1]);
  });

  it('leaves no failure without an owner when nobody wants the rest', async () => {
    const unowned: unknown[] = [];
    const note = (error: unknown): void => void unowned.push(error);
    process.on('unhandledRejection', note);
    async function* broken(): AsyncGenerator<number> {
      yield 1;
      throw new Error('the table is gone');
    }
    const first = await oneAhead(broken()).next();
    expect(first.value).toBe(1);
    await settled();
    await settled();
    process.off('unhandledRejection', note);
    expect(unowned).toEqual([]);
  });
});

describe('slots by weight', () => {
  it('are held up to the limit, and let in in order as they become free', async () => {
    const work = new Work();
    const slots = new Slots(10);
    const hold = (name: string, weight: number) => slots.hold(weight, () => work.do(name));
    const all = [hold('a', 4), hold('b', 6), hold('c', 5), hold('d', 5), hold('e', 1)];
    await settled();
    expect(work.begun).toEqual(['a', 'b']);
    // 4 are free: not enough for c, and nobody overtakes it.
    await work.end();
    expect(work.begun).toEqual(['a', 'b']);
    await work.end();
    expect(work.begun).toEqual(['a', 'b', 'c', 'd']);
    await work.end();
    expect(work.begun).toEqual(['a', 'b', 'c', 'd', 'e']);
    await work.end(2);
    await Promise.all(all);
  });

  it('who comes later waits behind who waits, though there is room', async () => {
    const work = new Work();
    const slots = new Slots(10);
    const all = [
      slots.hold(6, () => work.do('a')),
      slots.hold(6, () => work.do('b')),
      slots.hold(1, () => work.do('c')),
    ];
    await settled();
    expect(work.begun).toEqual(['a']);
    await work.end();
    expect(work.begun).toEqual(['a', 'b', 'c']);
    await work.end(2);
    await Promise.all(all);
  });

  it('what is too much by itself goes alone', async () => {
    const work = new Work();
    const slots = new Slots(10);
    const all = [
      slots.hold(1, () => work.do('a')),
      slots.hold(11, () => work.do('b')),
      slots.hold(1, () => work.do('c')),
    ];
    await settled();
    expect(work.begun).toEqual(['a']);
    await work.end();
    expect(work.begun).toEqual(['a', 'b']);
    await work.end();
    expect(work.begun).toEqual(['a', 'b', 'c']);
    await work.end();
    await Promise.all(all);
  });

  it('give what the work gives, and are free again when it fails', async () => {
    const slots = new Slots(1);
    await expect(slots.hold(1, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await slots.hold(1, async () => 'value')).toBe('value');
  });
});
