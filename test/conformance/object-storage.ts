/**
 * The conformance suite of the ObjectStorage port (src/gateway/object-storage.ts): every implementation, real or fake, passes it.
 * Each test has names of its own, so a store may be kept for all of them.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  ATTRIBUTES_BYTES_MAX,
  type ContentSource,
  type ListEntry,
  type ListRequest,
  type ObjectHead,
  type ObjectStorage,
  type ReadRange,
  type StagedContent,
} from '../../src/gateway/object-storage.js';
import { makeObjectId, type ObjectId } from '../../src/protocol/object-id.js';

export interface StorageUnderTest {
  readonly storage: ObjectStorage;
  readonly close: () => Promise<void>;
}

class Refusal extends Error {}

const WHOLE: ReadRange = { kind: 'whole' };
const LARGE_BYTES = 9 * 1024 * 1024 + 7;
const CONCURRENT_WRITES = 12;

/** Bytes that differ at every place, so that a shifted or doubled piece shows. */
function patterned(sizeBytes: number, seed = 0): Buffer {
  const bytes = Buffer.allocUnsafe(sizeBytes);
  for (let index = 0; index < sizeBytes; index += 1)
    bytes[index] = (index * 31 + (index >>> 8) * 7 + seed) & 0xff;
  return bytes;
}

async function stage(
  storage: ObjectStorage,
  target: ObjectId,
  bytes: Buffer,
  pieceBytes = 64 * 1024,
): Promise<StagedContent> {
  const sink = storage.openContent(target, bytes.length);
  for (let offset = 0; offset < bytes.length; offset += pieceBytes) {
    const piece = Buffer.from(bytes.subarray(offset, offset + pieceBytes));
    // From then on its memory is ours again.
    await sink.write(piece, () => piece.fill(0xff));
  }
  return sink.finish();
}

async function put(
  storage: ObjectStorage,
  id: ObjectId,
  content: string | Buffer,
  attributes = '{}',
): Promise<ObjectHead> {
  const staged = await stage(storage, id, Buffer.from(content));
  return storage.replace({ id, content: staged, attributes });
}

async function writeAt(
  storage: ObjectStorage,
  id: ObjectId,
  offset: number,
  content: string,
): Promise<ObjectHead> {
  const staged = await stage(storage, id, Buffer.from(content));
  return storage.writeRange({ id, content: staged, decide: () => ({ offset, attributes: `at ${offset}` }) });
}

async function collect(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of body) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function readText(
  storage: ObjectStorage,
  id: ObjectId,
  range: ReadRange = WHOLE,
): Promise<string | null> {
  const read = await storage.read(id, range);
  return read === null ? null : (await collect(read.body)).toString('latin1');
}

function entryText(entry: ListEntry): string {
  return entry.kind === 'object' ? entry.name : `${entry.prefix}*`;
}

export function describeObjectStorage(name: string, makeStorage: () => Promise<StorageUnderTest>): void {
  describe(`${name} keeps the promises of ObjectStorage`, () => {
    let storage: ObjectStorage;
    let close: () => Promise<void>;
    let container: string;
    let count = 0;

    beforeEach(async () => {
      ({ storage, close } = await makeStorage());
      count += 1;
      container = `conformance-${count}`;
    });
    afterEach(async () => {
      await close();
    });

    const id = (object: string): ObjectId => makeObjectId(container, object);

    async function listNames(wish: Partial<ListRequest> = {}): Promise<string[]> {
      const page = await storage.list({
        container,
        prefix: '',
        after: '',
        delimiter: '',
        limit: 1000,
        ...wish,
      });
      return page.entries.map(entryText);
    }

    describe('replace, head and read', () => {
      it('an object that was never written has no head and no content', async () => {
        expect(await storage.head(id('absent'))).toBeNull();
        expect(await storage.read(id('absent'), WHOLE)).toBeNull();
      });

      it('what was written is read back, with size and attributes as given', async () => {
        const attributes = JSON.stringify({ text: 'ä "quoted" \u0001' });
        const written = await put(storage, id('a'), 'hello', attributes);
        const head = await storage.head(id('a'));
        expect(head).toEqual(written);
        expect(head).toMatchObject({ id: id('a'), sizeBytes: 5, attributes });
        expect(await readText(storage, id('a'))).toBe('hello');
      });

      it('an empty object is an object', async () => {
        await put(storage, id('empty'), '');
        expect(await storage.head(id('empty'))).toMatchObject({ sizeBytes: 0 });
        expect(await readText(storage, id('empty'))).toBe('');
      });

      it('a second write replaces content and attributes, and the tag grows', async () => {
        const first = await put(storage, id('a'), 'a long first content', 'first');
        const second = await put(storage, id('a'), 'short', 'second');
        expect(second.lastTag > first.lastTag).toBe(true);
        expect(await storage.head(id('a'))).toEqual(second);
        expect(await readText(storage, id('a'))).toBe('short');
      });

      it('attributes up to ATTRIBUTES_BYTES_MAX are kept', async () => {
        const attributes = 'x'.repeat(ATTRIBUTES_BYTES_MAX);
        await put(storage, id('a'), 'content', attributes);
        expect((await storage.head(id('a')))?.attributes).toBe(attributes);
      });

      it('large content comes back byte for byte, in any range', { timeout: 60_000 }, async () => {
        const bytes = patterned(LARGE_BYTES);
        await put(storage, id('large'), bytes);
        const read = await storage.read(id('large'), WHOLE);
        expect((await collect(read!.body)).equals(bytes)).toBe(true);
        const middle = await storage.read(id('large'), {
          kind: 'between',
          first: 1_048_575,
          last: 4_194_304,
        });
        expect((await collect(middle!.body)).equals(bytes.subarray(1_048_575, 4_194_305))).toBe(true);
      });

      it('a body that is let go half-way leaves the object readable', async () => {
        await put(storage, id('large'), patterned(LARGE_BYTES));
        const read = await storage.read(id('large'), WHOLE);
        for await (const piece of read!.body) {
          expect(piece.length).toBeGreaterThan(0);
          break;
        }
        expect(await readText(storage, id('large'), { kind: 'suffix', lengthBytes: 3 })).toHaveLength(3);
      });

      it('a body that is let go before its first piece leaves the object readable', async () => {
        await put(storage, id('a'), 'content');
        const read = await storage.read(id('a'), WHOLE);
        await read!.body[Symbol.asyncIterator]().return?.();
        expect(await readText(storage, id('a'))).toBe('content');
      });

      it('a read sees one state of the object, whole, though it is replaced meanwhile (F26)', async () => {
        const first = patterned(LARGE_BYTES, 1);
        await put(storage, id('a'), first);
        const read = await storage.read(id('a'), WHOLE);
        await put(storage, id('a'), patterned(LARGE_BYTES, 2));
        expect((await collect(read!.body)).equals(first)).toBe(true);
      });

      it.each<[string, ReadRange, string | null]>([
        ['the first byte', { kind: 'between', first: 0, last: 0 }, '0'],
        ['from the middle to the end', { kind: 'between', first: 7, last: null }, '789'],
        ['past the end is cut', { kind: 'between', first: 8, last: 100 }, '89'],
        ['a suffix', { kind: 'suffix', lengthBytes: 4 }, '6789'],
        ['a suffix longer than the object is all of it', { kind: 'suffix', lengthBytes: 40 }, '0123456789'],
        ['behind the end is not satisfiable', { kind: 'between', first: 10, last: null }, null],
        ['an empty suffix is not satisfiable', { kind: 'suffix', lengthBytes: 0 }, null],
      ])('a range: %s (RFC 9110 section 14.1.2)', async (_claim, range, expected) => {
        await put(storage, id('digits'), '0123456789');
        const read = await storage.read(id('digits'), range);
        expect(read!.head.sizeBytes).toBe(10);
        const text = (await collect(read!.body)).toString();
        if (expected === null) {
          expect(read!.extent).toBeNull();
          expect(text).toBe('');
        } else {
          expect(read!.extent).toEqual({ offset: '0123456789'.indexOf(expected), length: expected.length });
          expect(text).toBe(expected);
        }
      });

      it('no range of an empty object is satisfiable, the whole of it is', async () => {
        await put(storage, id('empty'), '');
        expect(
          (await storage.read(id('empty'), { kind: 'between', first: 0, last: null }))!.extent,
        ).toBeNull();
        expect((await storage.read(id('empty'), { kind: 'suffix', lengthBytes: 5 }))!.extent).toBeNull();
        expect((await storage.read(id('empty'), WHOLE))!.extent).toEqual({ offset: 0, length: 0 });
      });

      it('a read that expects an older tag is refused as changed', async () => {
        const first = await put(storage, id('a'), 'one');
        const read = await storage.read(id('a'), WHOLE, first.lastTag);
        expect((await collect(read!.body)).toString()).toBe('one');
        await put(storage, id('a'), 'two');
        await expect(storage.read(id('a'), WHOLE, first.lastTag)).rejects.toMatchObject({ kind: 'changed' });
      });
    });

    describe('names', () => {
      it.each([
        ['dots and double slashes', '../..//./a'],
        ['a backslash, a space and a percent', 'a\\b c%2f'],
        ['1,024 bytes of UTF-8', '\u{1f600}'.repeat(256)],
        ['control characters', 'line\nbreak\u0001\u007f'],
      ])('are bytes and no paths: %s', async (_claim, object) => {
        await put(storage, id(object), 'here');
        expect(await readText(storage, id(object))).toBe('here');
        expect(await listNames()).toEqual([object]);
      });

      it('that are prefixes of each other are different objects', async () => {
        for (const object of ['a', 'a/', 'a/b', 'a/b/c', 'ab']) await put(storage, id(object), object);
        for (const object of ['a', 'a/', 'a/b', 'a/b/c', 'ab'])
          expect(await readText(storage, id(object))).toBe(object);
        await storage.remove({ id: id('a/b') });
        expect(await listNames()).toEqual(['a', 'a/', 'a/b/c', 'ab']);
      });

      it('of two containers do not meet, though one container is a prefix of the other', async () => {
        await put(storage, makeObjectId(`${container}x`, 'b'), 'other');
        await put(storage, id('a'), 'mine');
        expect(await listNames()).toEqual(['a']);
      });
    });

    describe('range writes', () => {
      it('an overwrite inside changes those bytes and nothing else', async () => {
        await put(storage, id('a'), '0123456789');
        const head = await writeAt(storage, id('a'), 3, 'xyz');
        expect(head).toMatchObject({ sizeBytes: 10, attributes: 'at 3' });
        expect(await readText(storage, id('a'))).toBe('012xyz6789');
      });

      it('a write at the end extends', async () => {
        await put(storage, id('a'), '0123');
        expect(await writeAt(storage, id('a'), 4, 'more')).toMatchObject({ sizeBytes: 8 });
        expect(await readText(storage, id('a'))).toBe('0123more');
      });

      it('a write that passes the end overwrites and extends', async () => {
        await put(storage, id('a'), '0123');
        expect(await writeAt(storage, id('a'), 2, 'wxyz')).toMatchObject({ sizeBytes: 6 });
        expect(await readText(storage, id('a'))).toBe('01wxyz');
      });

      it('many small ones add up, and every one has a later tag', async () => {
        let head = await put(storage, id('log'), '');
        for (let line = 0; line < 20; line += 1) {
          const next = await writeAt(storage, id('log'), head.sizeBytes, `line ${line}\n`);
          expect(next.lastTag > head.lastTag).toBe(true);
          head = next;
        }
        const expected = Array.from({ length: 20 }, (_, line) => `line ${line}\n`).join('');
        expect(await readText(storage, id('log'))).toBe(expected);
      });

      it('a large one lands in the middle of a large object', { timeout: 60_000 }, async () => {
        const bytes = patterned(LARGE_BYTES);
        const patch = patterned(3 * 1024 * 1024, 99);
        await put(storage, id('large'), bytes);
        const content = await stage(storage, id('large'), patch);
        await storage.writeRange({
          id: id('large'),
          content,
          decide: () => ({ offset: 1_000_001, attributes: '{}' }),
        });
        patch.copy(bytes, 1_000_001);
        const read = await storage.read(id('large'), WHOLE);
        expect((await collect(read!.body)).equals(bytes)).toBe(true);
      });

      it('sees the present state in decide, or null when there is none', async () => {
        const written = await put(storage, id('a'), 'abc', 'before');
        const content = await stage(storage, id('a'), Buffer.from('d'));
        await storage.writeRange({
          id: id('a'),
          content,
          decide: (current) => {
            expect(current).toEqual(written);
            return { offset: current!.sizeBytes, attributes: 'after' };
          },
        });
        const other = await stage(storage, id('absent'), Buffer.from('d'));
        const decide = (current: ObjectHead | null): never => {
          throw new Refusal(current === null ? 'nothing there' : 'something there');
        };
        await expect(storage.writeRange({ id: id('absent'), content: other, decide })).rejects.toThrow(
          'nothing there',
        );
        other.discard();
      });
    });

    describe('decide', () => {
      it('what it throws is the rejection, and nothing changed', async () => {
        const written = await put(storage, id('a'), 'content', 'attributes');
        const refuse = (): never => {
          throw new Refusal('no');
        };
        const content = await stage(storage, id('a'), Buffer.from('other'));
        await expect(storage.replace({ id: id('a'), content, attributes: refuse })).rejects.toBeInstanceOf(
          Refusal,
        );
        await expect(storage.writeRange({ id: id('a'), content, decide: refuse })).rejects.toBeInstanceOf(
          Refusal,
        );
        await expect(storage.setAttributes({ id: id('a'), decide: refuse })).rejects.toBeInstanceOf(Refusal);
        await expect(storage.remove({ id: id('a'), decide: refuse })).rejects.toBeInstanceOf(Refusal);
        content.discard();
        expect(await storage.head(id('a'))).toEqual(written);
        expect(await readText(storage, id('a'))).toBe('content');
      });

      it('content that a refused mutation did not name can be named by the next one', async () => {
        await put(storage, id('a'), 'first');
        const content = await stage(storage, id('a'), Buffer.from('second'));
        const attributes = (): never => {
          throw new Refusal('not this way');
        };
        await expect(storage.replace({ id: id('a'), content, attributes })).rejects.toBeInstanceOf(Refusal);
        await storage.writeRange({ id: id('a'), content, decide: () => ({ offset: 5, attributes: '{}' }) });
        content.discard();
        content.discard();
        expect(await readText(storage, id('a'))).toBe('firstsecond');
      });

      it('of replace sees null first, then the head that the write before left', async () => {
        const seen: (ObjectHead | null)[] = [];
        const attributes = (current: ObjectHead | null): string => {
          seen.push(current);
          return `${seen.length}`;
        };
        const content = await stage(storage, id('a'), Buffer.from('one'));
        const first = await storage.replace({ id: id('a'), content, attributes });
        await storage.replace({
          id: id('a'),
          content: await stage(storage, id('a'), Buffer.from('two')),
          attributes,
        });
        expect(seen).toEqual([null, first]);
      });

      it('is atomic: of concurrent creations one wins', async () => {
        const attempts = Array.from({ length: CONCURRENT_WRITES }, async (_, index) => {
          const content = await stage(storage, id('contested'), Buffer.from(`writer ${index}`));
          try {
            await storage.replace({
              id: id('contested'),
              content,
              attributes: (current) => {
                if (current !== null) throw new Refusal('too late');
                return `${index}`;
              },
            });
            return index;
          } catch (error) {
            if (!(error instanceof Refusal)) throw error;
            return null;
          } finally {
            content.discard();
          }
        });
        const winners = (await Promise.all(attempts)).filter((winner) => winner !== null);
        expect(winners).toHaveLength(1);
        expect(await readText(storage, id('contested'))).toBe(`writer ${winners[0]}`);
      });

      it('is atomic: concurrent appends at the size they see are all there, none torn', async () => {
        await put(storage, id('log'), '');
        const append = async (index: number): Promise<void> => {
          const content = await stage(storage, id('log'), Buffer.from(`<${index}>`));
          await storage.writeRange({
            id: id('log'),
            content,
            decide: (current) => ({ offset: current!.sizeBytes, attributes: '{}' }),
          });
        };
        await Promise.all(Array.from({ length: CONCURRENT_WRITES }, (_, index) => append(index)));
        const text = await readText(storage, id('log'));
        const parts = text!.match(/<\d+>/g)!.sort();
        expect(parts).toEqual(Array.from({ length: CONCURRENT_WRITES }, (_, index) => `<${index}>`).sort());
        expect(parts.join('')).toHaveLength(text!.length);
      });
    });

    describe('attributes and removal', () => {
      it('setAttributes changes the attributes and the tag, and no byte', async () => {
        const before = await put(storage, id('a'), 'content', 'old');
        const after = await storage.setAttributes({
          id: id('a'),
          decide: (current) => `${current!.attributes} and new`,
        });
        expect(after).toMatchObject({ attributes: 'old and new', sizeBytes: 7 });
        expect(after.lastTag > before.lastTag).toBe(true);
        expect(await readText(storage, id('a'))).toBe('content');
      });

      it('a removed object is gone from head, read and list, and removing it again finds nothing', async () => {
        await put(storage, id('a'), 'content');
        expect(await storage.remove({ id: id('a') })).toBe(true);
        expect(await storage.head(id('a'))).toBeNull();
        expect(await storage.read(id('a'), WHOLE)).toBeNull();
        expect(await listNames()).toEqual([]);
        expect(await storage.remove({ id: id('a') })).toBe(false);
      });

      it('an object that is written again after its removal is new, with a later tag', async () => {
        const before = await put(storage, id('a'), 'a long old content', 'old');
        await storage.remove({ id: id('a') });
        const after = await put(storage, id('a'), 'new', 'new');
        expect(after.lastTag > before.lastTag).toBe(true);
        expect(await readText(storage, id('a'))).toBe('new');
      });

      it('a removal decides on what is there, or on null', async () => {
        const seen: (ObjectHead | null)[] = [];
        const decide = (current: ObjectHead | null): void => {
          seen.push(current);
        };
        const written = await put(storage, id('a'), 'content');
        await storage.remove({ id: id('a'), decide });
        await storage.remove({ id: id('a'), decide });
        expect(seen).toEqual([written, null]);
      });
    });

    describe('content that is not wanted', () => {
      it('an aborted sink leaves nothing, before, between and after its pieces', async () => {
        storage.openContent(id('a'), null).abort();
        const sink = storage.openContent(id('a'), LARGE_BYTES);
        await sink.write(patterned(200_000));
        sink.abort();
        sink.abort();
        expect(await listNames()).toEqual([]);
      });

      it('discarded content is no object', async () => {
        const content = await stage(storage, id('a'), patterned(200_000));
        expect(content.sizeBytes).toBe(200_000);
        content.discard();
        expect(await listNames()).toEqual([]);
      });
    });

    describe('list', () => {
      it('names come in the order of their UTF-8 bytes, not of UTF-16', async () => {
        const names = ['\u{1f600}', '\uffee', 'é', 'z', 'a', 'Z', '~', 'a\u0001', '￰'];
        for (const object of names) await put(storage, id(object), '');
        const expected = [...new Set(names)].sort((left, right) =>
          Buffer.compare(Buffer.from(left), Buffer.from(right)),
        );
        expect(await listNames()).toEqual(expected);
      });

      it('an entry has the head that `head` gives', async () => {
        const head = await put(storage, id('a'), 'content', 'attributes');
        const page = await storage.list({ container, prefix: '', after: '', delimiter: '', limit: 10 });
        expect(page).toEqual({
          entries: [{ kind: 'object', name: 'a', version: '', head }],
          truncated: false,
        });
      });

      it('an empty container has an empty, whole page', async () => {
        const page = await storage.list({ container, prefix: '', after: '', delimiter: '', limit: 1 });
        expect(page).toEqual({ entries: [], truncated: false });
      });

      it.each<[string, Partial<ListRequest>, string[]]>([
        ['a prefix', { prefix: 'b/' }, ['b/1', 'b/2', 'b/c/3']],
        ['a prefix that nothing has', { prefix: 'bb' }, []],
        ['a delimiter groups', { delimiter: '/' }, ['a', 'b/*', 'c', 'd/*']],
        ['prefix and delimiter', { prefix: 'b/', delimiter: '/' }, ['b/1', 'b/2', 'b/c/*']],
        ['a prefix without its delimiter', { prefix: 'b', delimiter: '/' }, ['b/*']],
        ['a delimiter of several characters', { delimiter: '/c/' }, ['a', 'b/1', 'b/2', 'b/c/*', 'c', 'd/4']],
        ['a delimiter that no name has', { delimiter: '|' }, ['a', 'b/1', 'b/2', 'b/c/3', 'c', 'd/4']],
        ['after a name', { after: 'b/1' }, ['b/2', 'b/c/3', 'c', 'd/4']],
        ['after what is between names', { after: 'b/1x' }, ['b/2', 'b/c/3', 'c', 'd/4']],
        ['after a common prefix passes over all of it', { after: 'b/', delimiter: '/' }, ['c', 'd/*']],
        ['after the last name', { after: 'd/4' }, []],
        ['after, with a prefix behind it', { after: 'a', prefix: 'c' }, ['c']],
        ['after, with a prefix before it', { after: 'c', prefix: 'b/' }, []],
      ])('selects by %s (ListObjectsV2)', async (_claim, wish, expected) => {
        for (const object of ['a', 'b/1', 'b/2', 'b/c/3', 'c', 'd/4']) await put(storage, id(object), '');
        expect(await listNames(wish)).toEqual(expected);
      });

      it.each([1, 2, 3, 100])(
        'pages of %i join without gap or repetition, with and without delimiter',
        async (limit) => {
          const names = ['a', 'b/1', 'b/2', 'b/3', 'c', 'd/1', 'd/2', 'd', 'e//f', 'e//g', 'é/1', 'é/2'];
          for (const object of names) await put(storage, id(object), '');
          for (const delimiter of ['', '/', '//']) {
            const joined: string[] = [];
            let after = '';
            for (;;) {
              const page = await storage.list({ container, prefix: '', after, delimiter, limit });
              expect(page.entries.length).toBeLessThanOrEqual(limit);
              joined.push(...page.entries.map(entryText));
              if (!page.truncated) break;
              const last = page.entries.at(-1)!;
              after = last.kind === 'object' ? last.name : last.prefix;
            }
            expect(joined).toEqual(await listNames({ delimiter }));
          }
        },
      );

      it('versions of one name come in order, and a page can begin behind one of them', async () => {
        const versions = ['', '1', '2', '3'];
        for (const name of ['a', 'a/b', 'b']) {
          for (const version of versions) await put(storage, makeObjectId(container, name, version), '');
        }
        const list = async (wish: Partial<ListRequest>): Promise<string[]> => {
          const request = { container, prefix: '', after: '', delimiter: '', limit: 5, ...wish };
          const { entries } = await storage.list(request);
          return entries.map((entry) =>
            entry.kind === 'object' ? entry.name + entry.version : entry.prefix,
          );
        };
        expect(await list({})).toEqual(['a', 'a1', 'a2', 'a3', 'a/b']);
        expect(await list({ after: 'a' })).toEqual(['a/b', 'a/b1', 'a/b2', 'a/b3', 'b']);
        expect(await list({ after: 'a', afterVersion: '' })).toEqual(['a1', 'a2', 'a3', 'a/b', 'a/b1']);
        expect(await list({ after: 'a', afterVersion: '2' })).toEqual(['a3', 'a/b', 'a/b1', 'a/b2', 'a/b3']);
        expect(await list({ after: 'b', afterVersion: '2x' })).toEqual(['b3']);
        expect(await list({ after: 'a', afterVersion: '2', prefix: 'a', delimiter: '/' })).toEqual([
          'a3',
          'a/',
        ]);
        expect(await list({ after: 'a/', afterVersion: '', delimiter: '/' })).toEqual([
          'b',
          'b1',
          'b2',
          'b3',
        ]);
      });

      it('a page that ends with the last entry says that no more follow', async () => {
        for (const object of ['a', 'b', 'c/1', 'c/2']) await put(storage, id(object), '');
        const page = await storage.list({ container, prefix: '', after: '', delimiter: '/', limit: 3 });
        expect(page.entries.map(entryText)).toEqual(['a', 'b', 'c/*']);
        expect(page.truncated).toBe(false);
      });
    });

    describe('composed content', () => {
      const all = (head: ObjectHead): ContentSource => ({
        head,
        extent: { offset: 0, length: head.sizeBytes },
      });

      it('is the bytes of its sources in order, small and large, whole and in part', async () => {
        const small = await put(storage, id('small'), 'small');
        const large = await put(storage, id('large'), patterned(LARGE_BYTES));
        const part = { head: large, extent: { offset: 1_000_000, length: 3_000_000 } };
        const content = storage.composeContent([all(small), part, all(small)]);
        expect(content.sizeBytes).toBe(3_000_010);
        const copy = await storage.replace({ id: id('copy'), content, attributes: 'copy' });
        expect(copy).toMatchObject({ sizeBytes: 3_000_010, attributes: 'copy' });
        const expected = `small${patterned(LARGE_BYTES).subarray(1_000_000, 4_000_000).toString('latin1')}small`;
        expect(await readText(storage, id('copy'))).toBe(expected);
      });

      it('outlives its sources', async () => {
        const source = await put(storage, id('source'), patterned(LARGE_BYTES));
        await storage.replace({
          id: id('copy'),
          content: storage.composeContent([all(source)]),
          attributes: '',
        });
        await storage.remove({ id: id('source') });
        expect(await readText(storage, id('copy'))).toBe(patterned(LARGE_BYTES).toString('latin1'));
      });

      it('may take the place of its own source', async () => {
        const source = await put(storage, id('self'), patterned(LARGE_BYTES));
        await storage.replace({
          id: id('self'),
          content: storage.composeContent([all(source)]),
          attributes: 'new',
        });
        expect(await storage.head(id('self'))).toMatchObject({ sizeBytes: LARGE_BYTES, attributes: 'new' });
        expect(await readText(storage, id('self'))).toBe(patterned(LARGE_BYTES).toString('latin1'));
      });

      it('is refused, and changes nothing, when a source has changed or gone', async () => {
        const source = await put(storage, id('source'), 'old');
        const gone = await put(storage, id('gone'), 'gone');
        await put(storage, id('source'), 'new');
        await storage.remove({ id: id('gone') });
        await put(storage, id('target'), 'before');
        for (const stale of [source, gone]) {
          const content = storage.composeContent([all(stale)]);
          const replacing = storage.replace({ id: id('target'), content, attributes: '' });
          await expect(replacing).rejects.toMatchObject({ kind: 'changed' });
        }
        expect(await readText(storage, id('target'))).toBe('before');
      });
    });
  });
}
