import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DataKey } from '../../../src/s3/encryption/data-key.js';
import { MasterKeys, makeMasterKeyLine } from '../../../src/s3/encryption/master-keys.js';
import {
  CHUNK_BYTES,
  PieceSealer,
  plainSize,
  planUnsealing,
  sealedSize,
  unseal,
} from '../../../src/s3/encryption/sealed-pieces.js';

const KEY = DataKey.create().contentKey;

function seal(plain: Buffer, cut = plain.length): Buffer {
  const sealer = new PieceSealer(KEY);
  const sealed: Buffer[] = [];
  for (let offset = 0; offset < plain.length; offset += cut)
    sealed.push(...sealer.push(plain.subarray(offset, offset + cut)));
  return Buffer.concat([...sealed, ...sealer.finish()]);
}

async function* cutUp(bytes: Buffer, cut: number): AsyncGenerator<Buffer> {
  for (let offset = 0; offset < bytes.length; offset += cut) yield bytes.subarray(offset, offset + cut);
  return Promise.resolve();
}

interface Reading {
  readonly stored: Buffer;
  readonly sizes: readonly number[];
  readonly offset: number;
  readonly length: number;
  readonly cut?: number;
  readonly key?: Buffer;
}

async function open({ stored, sizes, offset, length, cut = 50_000, key = KEY }: Reading): Promise<Buffer> {
  const plan = planUnsealing(sizes, { offset, length });
  const { extent } = plan;
  const read = stored.subarray(extent.offset, extent.offset + extent.length);
  const pieces: Buffer[] = [];
  for await (const piece of unseal(key, plan, cutUp(read, cut))) pieces.push(piece);
  return Buffer.concat(pieces);
}

function openAll(stored: Buffer, sizes: readonly number[], key = KEY): Promise<Buffer> {
  const length = sizes.reduce((sum, size) => sum + size, 0);
  return open({ stored, sizes, offset: 0, length, key });
}

const size = fc.oneof(
  fc.integer({ min: 0, max: 300 }),
  fc.integer({ min: -2, max: 2 }).map((near) => CHUNK_BYTES + near),
  fc.integer({ min: 0, max: 3 * CHUNK_BYTES }),
);

describe('sealed pieces', () => {
  it('give back any range of any pieces, however they are cut on the way', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(size, { minLength: 1, maxLength: 4 }),
        fc.nat(),
        fc.nat(),
        fc.integer({ min: 1, max: 3 * CHUNK_BYTES }),
        async (sizes, from, take, cut) => {
          const plain = sizes.map((sizeBytes) => randomBytes(sizeBytes));
          const stored = Buffer.concat(plain.map((piece) => seal(piece, Math.max(cut, 1000))));
          const whole = Buffer.concat(plain);
          const offset = whole.length === 0 ? 0 : from % whole.length;
          const length = Math.min(take % (2 * CHUNK_BYTES), whole.length - offset);
          const read = await open({ stored, sizes, offset, length, cut: Math.max(cut, 500) });
          expect(read.equals(whole.subarray(offset, offset + length))).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('tell their plain size by the stored one', () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 45 }), (plain) => {
        expect(plainSize(sealedSize(plain))).toBe(plain);
      }),
    );
  });

  it('are read no further than the range goes', () => {
    const sizes = [10 * CHUNK_BYTES, 5 * CHUNK_BYTES];
    const { extent } = planUnsealing(sizes, { offset: 7 * CHUNK_BYTES + 5, length: 10 });
    expect(extent.length).toBe(sealedSize(CHUNK_BYTES));
    expect(extent.offset).toBe(7 * sealedSize(CHUNK_BYTES));
  });

  it('hold no plain text, and never the same bytes twice', () => {
    const plain = Buffer.alloc(1000, 'a');
    expect(seal(plain).includes('aaaa')).toBe(false);
    expect(seal(plain).equals(seal(plain))).toBe(false);
  });
});

describe('what is not as it was stored is refused', () => {
  const sizes = [3 * CHUNK_BYTES];
  const plain = randomBytes(3 * CHUNK_BYTES);
  const sealedChunk = sealedSize(CHUNK_BYTES);
  const chunk = (bytes: Buffer, index: number): Buffer =>
    bytes.subarray(index * sealedChunk, (index + 1) * sealedChunk);
  const first = seal(plain);
  const other = seal(plain);

  it.each<[string, Buffer, readonly number[]]>([
    ['chunks that changed places', Buffer.concat([chunk(first, 1), chunk(first, 0), chunk(first, 2)]), sizes],
    ['a chunk of another piece', Buffer.concat([chunk(first, 0), chunk(other, 1), chunk(first, 2)]), sizes],
    ['a chunk that is left out', Buffer.concat([chunk(first, 0), chunk(first, 2)]), [2 * CHUNK_BYTES]],
    ['a piece that is cut off', first.subarray(0, 2 * sealedChunk), [2 * CHUNK_BYTES]],
    ['a piece that ends early', first.subarray(0, -1), sizes],
    ['a piece that goes on', Buffer.concat([first, Buffer.from('x')]), sizes],
  ])('%s', async (_claim, stored, claimed) => {
    const length = claimed.reduce((sum, sizeBytes) => sum + sizeBytes, 0);
    const plan = planUnsealing(claimed, { offset: 0, length });
    const drain = async (): Promise<void> => {
      for await (const piece of unseal(KEY, plan, cutUp(stored, 40_000)))
        expect(piece.length).toBeGreaterThan(0);
    };
    await expect(drain()).rejects.toMatchObject({ kind: 'damaged' });
  });

  it('a flipped bit, wherever it is', async () => {
    const stored = seal(Buffer.from('short and sweet'));
    for (let index = 0; index < stored.length; index += 1) {
      const bent = Buffer.from(stored);
      bent[index] = (bent[index] ?? 0) ^ 1;
      await expect(openAll(bent, [15])).rejects.toMatchObject({ kind: 'damaged' });
    }
  });

  it('the wrong key', async () => {
    await expect(openAll(first, sizes, DataKey.create().contentKey)).rejects.toMatchObject({
      kind: 'damaged',
    });
  });
});

describe('a data key', () => {
  it('comes out of its wrapping by the key that wrapped it, and by no other', () => {
    const key = randomBytes(32);
    const dataKey = DataKey.create();
    const wrapped = dataKey.wrap(key);
    expect(DataKey.unwrap(wrapped, key)?.contentKey.equals(dataKey.contentKey)).toBe(true);
    expect(DataKey.unwrap(wrapped, randomBytes(32))).toBeNull();
    expect(dataKey.wrap(key)).not.toBe(wrapped);
    expect(Buffer.from(wrapped, 'base64').includes(key)).toBe(false);
  });
});

describe('master keys', () => {
  it('are read from lines; the first is for what is new, the others for what is old', () => {
    const lines = [makeMasterKeyLine(), makeMasterKeyLine()];
    const keys = MasterKeys.parse(`# comment\n\n${lines.join('\n')}\n`);
    const [firstId = ''] = lines.map((line) => line.split(' ')[0]);
    expect(keys.current.id).toBe(firstId);
    for (const line of lines) {
      const [id = '', base64 = ''] = line.split(' ');
      expect(keys.find(id)?.toString('base64')).toBe(base64);
    }
    expect(keys.find('none')).toBeNull();
  });

  it.each([
    ['no key', '# nothing\n', 'there is no key'],
    ['a short key', 'a c2hvcnQ=\n', 'line 1 '],
    ['a key without a name', `\n${randomBytes(32).toString('base64')}\n`, 'line 2 '],
    [
      'a name that comes twice',
      `${makeMasterKeyLine()}\n`.repeat(2).replace(/(key-\w+)(.*)\n\1/, '$1$2\n$1'),
      'line 2 ',
    ],
  ])('%s is refused without being told', (_claim, text, message) => {
    expect(() => MasterKeys.parse(text)).toThrow(message);
    const secret = /\S{20,}/.exec(text)?.[0];
    try {
      MasterKeys.parse(text);
    } catch (error) {
      if (secret !== undefined) expect(String(error)).not.toContain(secret);
    }
  });
});
