/** What every `OsdConnection` keeps, whatever is behind it. */
import { crc32c } from '@node-rs/crc32';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FULL_COPY_DOUBT } from '../../src/protocol/recovery-plan.js';
import { toEpoch } from '../../src/protocol/tag.js';
import { makeToken, parseToken, toStoreId } from '../../src/protocol/token.js';
import type { OsdConnection, RemotePush, RemoteRead, RemoteStage } from '../../src/wire/osd-connection.js';
import { transactionChecksum } from '../../src/wire/transaction-checksum.js';
import {
  answersOf,
  batchOf,
  forwardedOf,
  forwardOne,
  GENERATOR,
  M0,
  orderFor,
} from '../unit/osd/forwarded-writes.js';
import {
  commit,
  contentOf,
  EPOCH,
  type ItemDraft,
  itemOf,
  objectNamed,
  patternBytes,
  replyTo,
  SET_ID,
  tagAt,
  transact,
} from '../unit/osd/osd-writer.js';

export interface OsdUnderTest {
  /** To a blank store of the set SET_ID. */
  readonly connection: OsdConnection;
  close(): Promise<void>;
}

const ID = objectNamed('key \u00e4/\u{1f600}?&%2F=+#');
const HELLO = Buffer.from('hello, mirrors');
const NEXT = toEpoch(2);

async function collect(read: RemoteRead | null): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of read?.body ?? []) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function stageOf(osd: OsdConnection, ...pieces: Buffer[]): ReturnType<RemoteStage['finish']> {
  const stage = osd.openStage();
  for (const piece of pieces) await writePiece(stage, piece);
  return stage.finish();
}

/** Changes its memory as soon as it may. */
function writePiece(stage: RemoteStage, bytes: Buffer, onTaken?: () => void): Promise<void> {
  const piece = Buffer.from(bytes);
  return stage.write(piece, () => {
    piece.fill(0xff);
    onTaken?.();
  });
}

export function describeOsdConnection(name: string, make: () => Promise<OsdUnderTest>): void {
  describe(`${name} keeps the port of an OSD`, () => {
    let subject: OsdUnderTest;
    let osd: OsdConnection;

    beforeEach(async () => {
      subject = await make();
      osd = subject.connection;
      await osd.fence(EPOCH);
    });

    afterEach(() => subject.close());

    describeFence(() => osd);
    describeTransactions(() => osd);
    describeForwarding(() => osd);
    describeStages(() => osd);
    describeReads(() => osd);
    describeListings(() => osd);
    describeRepairs(() => osd);
  });
}

function describeFence(get: () => OsdConnection): void {
  describe('fence', () => {
    it('the identity says who it is and where it stands', async () => {
      const identity = await get().fence(NEXT);
      expect(identity).toMatchObject({ setId: SET_ID, fencedEpoch: 2, activeEpoch: 0, selfDoubt: null });
      expect(await get().identity()).toEqual(identity);
      expect(identity.storeId).toBe(toStoreId(identity.storeId));
      expect(identity).toMatchObject({
        rowCount: 0,
        rowBytes: 0,
        oldestRowMs: null,
        objectCount: 0,
        blank: true,
      });
    });

    it('a lower epoch is refused as stale', async () => {
      await get().fence(NEXT);
      await expect(get().fence(EPOCH)).rejects.toMatchObject({ name: 'OsdRefusal', code: 'stale-epoch' });
      await expect(get().activate(EPOCH)).rejects.toMatchObject({ code: 'stale-epoch', status: 409 });
    });

    it('writes are let in at exactly the epoch of the fence', async () => {
      await expect(get().activate(NEXT)).rejects.toMatchObject({ code: 'not-fenced' });
      expect(await get().activate(EPOCH)).toMatchObject({ fencedEpoch: 1, activeEpoch: 1 });
      expect(await get().advance(EPOCH, NEXT)).toMatchObject({ fencedEpoch: 2, activeEpoch: 2 });
      await expect(get().advance(EPOCH, toEpoch(3))).rejects.toMatchObject({ code: 'stale-epoch' });
    });

    it('a mirror that is being rebuilt takes writes, is compared, and serves no reads', async () => {
      await expect(get().rebuild(NEXT)).rejects.toMatchObject({ code: 'not-fenced' });
      expect(await get().rebuild(EPOCH)).toMatchObject({ fencedEpoch: 1, activeEpoch: 1 });
      await commit(get(), { kind: 'replace', objectId: ID, tag: tagAt(1, 1), bytes: HELLO });
      const [witness] = await get().evidence(EPOCH, [ID]);
      expect(witness).toMatchObject({ state: { lastTag: tagAt(1, 1) }, hasMoreRows: false });
      expect(witness?.rows.map(({ tag }) => tag)).toEqual([tagAt(1, 1)]);
      await expect(get().head(EPOCH, ID)).rejects.toMatchObject({ code: 'not-active' });
    });

    it('F29, F36: what a reconciliation of another epoch asks for is refused', async () => {
      await get().fence(NEXT);
      const questions = [
        () => get().rows(null, 10, EPOCH),
        () => get().summaries(null, 10, EPOCH),
        () => get().states([ID], EPOCH),
        () => get().evidence(EPOCH, [ID]),
      ];
      for (const ask of questions) await expect(ask()).rejects.toMatchObject({ code: 'stale-epoch' });
      expect(await get().states([ID], NEXT)).toEqual([null]);
      await expect(get().states([ID], toEpoch(3))).rejects.toMatchObject({ code: 'not-fenced' });
    });

    it('I6: nothing is written between fence and activation', async () => {
      const reply = await replyTo(get(), { kind: 'replace', objectId: ID, tag: tagAt(1, 1), bytes: HELLO });
      expect(reply).toEqual({ kind: 'refused', code: 'not-active', lastTag: null });
    });

    it('F14: a read of an older epoch is refused, of any kind', async () => {
      await get().fence(NEXT);
      await expect(get().head(EPOCH, ID)).rejects.toMatchObject({ code: 'stale-epoch' });
      await expect(get().read(EPOCH, ID, { kind: 'whole' })).rejects.toMatchObject({ code: 'stale-epoch' });
      const listing = { container: 'bucket', prefix: '', after: '', delimiter: '', limit: 10 };
      await expect(get().list(EPOCH, listing)).rejects.toMatchObject({ code: 'stale-epoch' });
    });
  });
}

function describeTransactions(get: () => OsdConnection): void {
  describe('transactions', () => {
    let osd: OsdConnection;
    const replace: ItemDraft = {
      kind: 'replace',
      objectId: ID,
      tag: tagAt(1, 1),
      bytes: HELLO,
      attributes: '{"a":"\u00e4"}',
    };

    beforeEach(async () => {
      osd = get();
      await osd.activate(EPOCH);
    });

    it('an object is replaced, written into, extended, described and removed', async () => {
      await commit(osd, replace);
      await commit(osd, {
        kind: 'range-write',
        objectId: ID,
        tag: tagAt(1, 2),
        previousTag: tagAt(1, 1),
        offset: 7,
        bytes: Buffer.from('MIRRORS'),
      });
      await commit(osd, {
        kind: 'extend',
        objectId: ID,
        tag: tagAt(1, 3),
        previousTag: tagAt(1, 2),
        offset: 14,
        bytes: Buffer.from('!'),
      });
      await commit(osd, {
        kind: 'set-attributes',
        objectId: ID,
        tag: tagAt(1, 4),
        previousTag: tagAt(1, 3),
        attributes: 'new',
      });
      expect(await contentOf(osd, EPOCH, ID)).toEqual(Buffer.from('hello, MIRRORS!'));
      expect(await osd.head(EPOCH, ID)).toMatchObject({
        sizeBytes: 15,
        lastTag: tagAt(1, 4),
        attributes: 'new',
      });
      await commit(osd, { kind: 'remove', objectId: ID, tag: tagAt(1, 5) });
      expect(await osd.head(EPOCH, ID)).toBeNull();
      expect(await osd.states([ID])).toMatchObject([{ kind: 'tombstone', lastTag: tagAt(1, 5) }]);
    });

    it('many writes in one batch take effect in their order, each with its own reply', async () => {
      const other = objectNamed('other');
      const reply = await transact(osd, [
        itemOf(replace),
        itemOf({
          kind: 'extend',
          objectId: ID,
          tag: tagAt(1, 2),
          previousTag: tagAt(1, 1),
          offset: 14,
          bytes: HELLO,
        }),
        itemOf({ kind: 'extend', objectId: other, tag: tagAt(1, 3), previousTag: tagAt(1, 2), bytes: HELLO }),
        itemOf({ kind: 'replace', objectId: other, tag: tagAt(1, 4), bytes: Buffer.alloc(0) }),
      ]);
      expect(reply.writes.map((write) => (write.kind === 'refused' ? write.code : write.kind))).toEqual([
        'committed',
        'committed',
        'gap',
        'committed',
      ]);
      expect(reply.clears).toBeNull();
      expect(reply.storeId).toBe((await osd.identity()).storeId);
      expect(await contentOf(osd, EPOCH, ID)).toEqual(Buffer.concat([HELLO, HELLO]));
      expect(await contentOf(osd, EPOCH, other)).toEqual(Buffer.alloc(0));
    });

    it('F24: the same write again is the same, the same tag with other content is refused', async () => {
      const token = await commit(osd, replace);
      const again = await replyTo(osd, replace);
      expect(again).toMatchObject({ kind: 'committed', isDuplicate: true });
      expect(parseToken(token)).toMatchObject({ tag: replace.tag, objectId: ID });
      const other = await replyTo(osd, { ...replace, bytes: Buffer.from('other') });
      expect(other).toMatchObject({ kind: 'refused', code: 'tag-conflict', lastTag: replace.tag });
    });

    it('F4, F23: a write that builds on another state is a gap, and says what the last tag is', async () => {
      await commit(osd, replace);
      const late = {
        kind: 'extend',
        objectId: ID,
        tag: tagAt(1, 3),
        previousTag: tagAt(1, 2),
        offset: 14,
      } as const;
      expect(await replyTo(osd, { ...late, bytes: HELLO })).toEqual({
        kind: 'refused',
        code: 'gap',
        lastTag: tagAt(1, 1),
      });
    });

    it('a transaction whose fields were changed on the way is refused', async () => {
      const item = itemOf(replace);
      const changed = { ...item, transaction: { ...item.transaction, attributes: 'changed' } };
      expect((await transact(osd, [changed])).writes).toMatchObject([{ code: 'checksum-mismatch' }]);
      const content = { kind: 'bytes', bytes: Buffer.from('hello, mirrorS') } as const;
      expect((await transact(osd, [{ ...item, content }])).writes).toMatchObject([
        { code: 'checksum-mismatch' },
      ]);
      expect(await osd.states([ID])).toEqual([null]);
    });

    it('content is composed of what is stored, as long as it is what the writer meant', async () => {
      await commit(osd, replace);
      const source = { objectId: ID, expectedTag: tagAt(1, 1), extent: { offset: 7, length: 7 } };
      const other = objectNamed('composed');
      await commit(osd, { kind: 'replace', objectId: other, tag: tagAt(1, 2), composed: [source, source] });
      expect(await contentOf(osd, EPOCH, other)).toEqual(Buffer.from('mirrorsmirrors'));
      const stale = { ...source, expectedTag: tagAt(1, 9) };
      const refused = {
        kind: 'replace',
        objectId: other,
        tag: tagAt(1, 3),
        composed: [source, stale],
      } as const;
      expect(await replyTo(osd, refused)).toMatchObject({ kind: 'refused', code: 'source-changed' });
    });

    it('another set or an older epoch is refused', async () => {
      const item = itemOf(replace);
      const transaction = { ...item.transaction, setId: 'other' };
      const checksum = transactionChecksum(transaction, item.contentChecksum);
      const reply = await osd.transact({
        setId: 'other',
        epoch: EPOCH,
        floor: tagAt(1, 0),
        writes: [{ ...item, transaction: { ...transaction, checksum } }],
        clears: [],
      });
      expect(reply.writes[0]).toMatchObject({ kind: 'refused', code: 'wrong-set' });
      await osd.advance(EPOCH, NEXT);
      expect(await replyTo(osd, replace)).toMatchObject({ code: 'stale-epoch' });
    });

    it('ready tokens clear their rows, with or without writes', async () => {
      const token = await commit(osd, replace);
      expect((await osd.identity()).rowCount).toBe(1);
      const { clears } = await transact(osd, [itemOf({ ...replace, tag: tagAt(1, 2) })], [token]);
      expect(clears).toEqual({ kind: 'cleared', rowCount: 1 });
      expect((await transact(osd, [], [token])).clears).toEqual({ kind: 'cleared', rowCount: 0 });
      expect(await osd.rows(null, 10)).toMatchObject([
        { tag: tagAt(1, 2), objectId: ID, kind: 'replace', length: 14 },
      ]);
    });

    it('F10: a token of another store is refused, one from beyond the own commits means lost state', async () => {
      const own = parseToken(await commit(osd, replace));
      const foreign = makeToken({ ...own, storeId: toStoreId('f'.repeat(32)) });
      expect((await transact(osd, [], [foreign])).clears).toEqual({ kind: 'refused', code: 'foreign-token' });
      const beyond = makeToken({ ...own, commitSequence: own.commitSequence + 1000 });
      expect((await transact(osd, [], [beyond])).clears).toEqual({ kind: 'refused', code: 'state-lost' });
    });
  });
}

function describeForwarding(get: () => OsdConnection): void {
  describe('forwarded writes', () => {
    let osd: OsdConnection;
    // The only mirror of its set: where the others are is tried with several of them.
    const order = orderFor([{ mirror: M0, url: 'local:' }]);

    beforeEach(async () => {
      osd = get();
      await osd.activate(EPOCH);
    });

    it('find no writer before one is appointed, nor after it is dismissed', async () => {
      const removal = { kind: 'remove', objectId: ID } as const;
      await expect(forwardOne(osd, 1, removal)).rejects.toMatchObject({ code: 'no-writer', status: 409 });
      await osd.appointWriter(order);
      await forwardOne(osd, 1, removal);
      await osd.dismissWriter(NEXT, GENERATOR);
      await forwardOne(osd, 2, removal);
      await osd.dismissWriter(EPOCH, GENERATOR);
      await expect(forwardOne(osd, 3, removal)).rejects.toMatchObject({ code: 'no-writer' });
      // F13: another one would begin with the same tags.
      await expect(osd.appointWriter(order)).rejects.toMatchObject({ code: 'stale-order' });
    });

    it('get tags in their order, and carry every kind of content', async () => {
      await osd.appointWriter(order);
      const bytes = patternBytes(300_000, 1);
      const { stageId } = await stageOf(osd, bytes);
      const other = objectNamed('other');
      const { writes } = await osd.forward(
        batchOf([
          forwardedOf(1, { kind: 'replace', objectId: ID, bytes: HELLO, attributes: '{"a":"\u00e4"}' }),
          forwardedOf(2, { kind: 'replace', objectId: other, bytes, stages: [{ mirror: M0, stageId }] }),
          forwardedOf(3, { kind: 'set-attributes', objectId: ID, previousTag: tagAt(1, 1), attributes: 'b' }),
        ]),
      );
      expect(writes.map((reply) => answersOf(reply))).toEqual(Array(3).fill({ 'osd-0': 'committed' }));
      expect(writes.map((reply) => (reply.kind === 'written' ? reply.tag : null))).toEqual([
        tagAt(1, 1),
        tagAt(1, 2),
        tagAt(1, 3),
      ]);
      expect(await contentOf(osd, EPOCH, other)).toEqual(bytes);
      const sources = [{ objectId: other, expectedTag: tagAt(1, 2), extent: { offset: 5, length: 70_000 } }];
      await forwardOne(osd, 4, { kind: 'replace', objectId: ID, composed: sources });
      expect(await contentOf(osd, EPOCH, ID)).toEqual(bytes.subarray(5, 70_005));
    });

    it('answer what the OSD refused, one by one', async () => {
      await osd.appointWriter(order);
      const gap = { kind: 'extend', objectId: ID, previousTag: tagAt(1, 1), bytes: HELLO } as const;
      expect(answersOf(await forwardOne(osd, 1, gap))).toEqual({ 'osd-0': 'gap' });
      const nowhere = { kind: 'replace', objectId: ID, bytes: HELLO, stages: [] } as const;
      expect(answersOf(await forwardOne(osd, 2, nowhere))).toEqual({ 'osd-0': 'content-not-there' });
    });

    it('F24: repeated get the same answer; with other content, or below the floor, none', async () => {
      await osd.appointWriter(order);
      const removal = { kind: 'remove', objectId: ID } as const;
      const first = await forwardOne(osd, 1, removal);
      expect(await forwardOne(osd, 1, removal)).toEqual(first);
      const conflict = await forwardOne(osd, 1, { kind: 'remove', objectId: objectNamed('other') });
      expect(conflict).toEqual({ kind: 'refused', code: 'request-conflict' });
      await forwardOne(osd, 2, removal, { requestFloor: 2 });
      expect(await forwardOne(osd, 1, removal)).toEqual({ kind: 'refused', code: 'settled' });
    });

    it('F14, F29: of another epoch, and orders of another one, are refused', async () => {
      await osd.appointWriter(order);
      await osd.advance(EPOCH, NEXT);
      const removal = { kind: 'remove', objectId: ID } as const;
      await expect(forwardOne(osd, 1, removal)).rejects.toMatchObject({ code: 'stale-epoch' });
      await expect(osd.appointWriter(order)).rejects.toMatchObject({ code: 'stale-epoch' });
      await osd.fence(toEpoch(3));
      await expect(osd.appointWriter({ ...order, epoch: toEpoch(3) })).rejects.toMatchObject({
        code: 'not-active',
      });
    });
  });
}

function describeStages(get: () => OsdConnection): void {
  describe('stages', () => {
    let osd: OsdConnection;

    beforeEach(async () => {
      osd = get();
      await osd.activate(EPOCH);
    });

    it('staged content is named by one transaction', async () => {
      const bytes = patternBytes(3_000_000, 7);
      const staged = await stageOf(
        osd,
        bytes.subarray(0, 1_000_000),
        Buffer.alloc(0),
        bytes.subarray(1_000_000),
      );
      expect(staged).toMatchObject({ lengthBytes: bytes.length, contentChecksum: crc32c(bytes) });
      await commit(osd, { kind: 'replace', objectId: ID, tag: tagAt(1, 1), staged });
      expect((await contentOf(osd, EPOCH, ID))?.equals(bytes)).toBe(true);
      const second = { kind: 'replace', objectId: ID, tag: tagAt(1, 2), staged } as const;
      expect(await replyTo(osd, second)).toMatchObject({ kind: 'refused', code: 'unknown-stage' });
    });

    it('empty content can be staged', async () => {
      const staged = await stageOf(osd);
      expect(staged).toMatchObject({ lengthBytes: 0, contentChecksum: 0 });
      await commit(osd, { kind: 'replace', objectId: ID, tag: tagAt(1, 1), staged });
      expect(await contentOf(osd, EPOCH, ID)).toEqual(Buffer.alloc(0));
    });

    it('discarded content can not be named any more', async () => {
      const staged = await stageOf(osd, HELLO);
      await osd.discardStage(staged.stageId);
      const draft = { kind: 'replace', objectId: ID, tag: tagAt(1, 1), staged } as const;
      expect(await replyTo(osd, draft)).toMatchObject({ code: 'unknown-stage' });
    });

    it('content of a known length, and many stages at once, arrive whole', async () => {
      const contents = Array.from({ length: 40 }, (_, index) => patternBytes(300_000 + index, index));
      const staging = contents.map(async (bytes, index) => {
        const stage = osd.openStage(index % 2 === 0 ? bytes.length : null);
        for (let at = 0; at < bytes.length; at += 65_536)
          await writePiece(stage, bytes.subarray(at, at + 65_536));
        return stage.finish();
      });
      for (const [index, { lengthBytes, contentChecksum }] of (await Promise.all(staging)).entries()) {
        const bytes = contents[index]!;
        expect({ lengthBytes, contentChecksum }).toEqual({
          lengthBytes: bytes.length,
          contentChecksum: crc32c(bytes),
        });
      }
    });

    it.each([null, 2, 30])(
      'each piece is let go of once, also when its stage is aborted (%s)',
      async (abortedAfter) => {
        const stage = osd.openStage();
        const takenCounts: number[] = [];
        const contents: Buffer[] = [];
        let writing: Promise<unknown> = Promise.resolve();
        for (let index = 0; index < 30; index += 1) {
          const bytes = patternBytes(100_000, index);
          contents.push(bytes);
          takenCounts.push(0);
          writing = writePiece(stage, bytes, () => {
            takenCounts[index] = (takenCounts[index] ?? 0) + 1;
          });
          if (index + 1 === abortedAfter) break;
          await writing;
        }
        if (abortedAfter === null)
          expect((await stage.finish()).contentChecksum).toBe(crc32c(Buffer.concat(contents)));
        else stage.abort();
        await Promise.allSettled([writing]);
        await expect.poll(() => takenCounts).toEqual(takenCounts.map(() => 1));
      },
    );

    it('an aborted stage takes nothing more, and the connection goes on', async () => {
      const stage = osd.openStage();
      await stage.write(HELLO);
      stage.abort();
      stage.abort();
      await expect(stage.write(HELLO)).rejects.toThrow();
      await expect(stage.finish()).rejects.toThrow();
      await commit(osd, { kind: 'replace', objectId: ID, tag: tagAt(1, 1), bytes: HELLO });
    });

    it('a gap leaves staged content for another try', async () => {
      const staged = await stageOf(osd, HELLO);
      const extend: ItemDraft = {
        kind: 'extend',
        objectId: ID,
        tag: tagAt(1, 2),
        previousTag: tagAt(1, 1),
        staged,
      };
      expect(await replyTo(osd, extend)).toMatchObject({ code: 'gap' });
      await commit(osd, { kind: 'replace', objectId: ID, tag: tagAt(1, 3), staged });
    });
  });
}

function describeReads(get: () => OsdConnection): void {
  describe('reads', () => {
    const bytes = patternBytes(2_500_000, 3);
    let osd: OsdConnection;

    beforeEach(async () => {
      osd = get();
      await osd.activate(EPOCH);
      const staged = await stageOf(osd, bytes);
      await commit(osd, { kind: 'replace', objectId: ID, tag: tagAt(1, 1), staged });
    });

    async function part(range: Parameters<OsdConnection['read']>[2]): Promise<[object | null, Buffer]> {
      const read = await osd.read(EPOCH, ID, range);
      if (read === null) throw new Error('the object is there');
      return [read.extent, await collect(read)];
    }

    it('every kind of range carries exactly its bytes', async () => {
      const [extent, all] = await part({ kind: 'whole' });
      expect(extent).toEqual({ offset: 0, length: bytes.length });
      expect(all.equals(bytes)).toBe(true);
      expect(await part({ kind: 'between', first: 10, last: 12 })).toEqual([
        { offset: 10, length: 3 },
        bytes.subarray(10, 13),
      ]);
      const [, tail] = await part({ kind: 'between', first: 2_000_000, last: null });
      expect(tail.equals(bytes.subarray(2_000_000))).toBe(true);
      expect(await part({ kind: 'suffix', lengthBytes: 5 })).toEqual([
        { offset: bytes.length - 5, length: 5 },
        bytes.subarray(-5),
      ]);
      expect(await part({ kind: 'between', first: 2_500_000, last: null })).toEqual([null, Buffer.alloc(0)]);
    });

    it('what is not there is null', async () => {
      expect(await osd.read(EPOCH, objectNamed('absent'), { kind: 'whole' })).toBeNull();
      expect(await osd.head(EPOCH, objectNamed('absent'))).toBeNull();
    });

    it('many reads at once are each answered: small, large, in part, and not there', async () => {
      const small = Array.from({ length: 60 }, (_, index) => ({
        id: objectNamed(`small-${index}`),
        bytes: patternBytes(index * 2000, index),
      }));
      for (const [index, { id, bytes: content }] of small.entries()) {
        await commit(osd, { kind: 'replace', objectId: id, tag: tagAt(1, index + 2), bytes: content });
      }
      const whole = small.map(async ({ id, bytes: content }) => {
        const [read, state] = await Promise.all([
          osd.read(EPOCH, id, { kind: 'whole' }),
          osd.head(EPOCH, id),
        ]);
        expect(state).toEqual(read?.state);
        expect(read?.extent).toEqual({ offset: 0, length: content.length });
        const body = await collect(read);
        expect(body.equals(content)).toBe(true);
        if (read?.bytes !== null) expect(read?.bytes.equals(content)).toBe(true);
      });
      const others = [
        osd.read(EPOCH, objectNamed('absent'), { kind: 'whole' }),
        osd.head(EPOCH, objectNamed('absent')),
      ];
      const [, all] = await part({ kind: 'whole' });
      expect(all.equals(bytes)).toBe(true);
      expect((await part({ kind: 'suffix', lengthBytes: 3 }))[1]).toEqual(bytes.subarray(-3));
      expect(await Promise.all(others)).toEqual([null, null]);
      await Promise.all(whole);
    });

    it('F14: of many reads at once each is refused when the epoch is an older one', async () => {
      await osd.fence(NEXT);
      const reads = Array.from({ length: 10 }, () => osd.read(EPOCH, ID, { kind: 'whole' }));
      for (const outcome of await Promise.allSettled(reads)) {
        expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'stale-epoch', status: 409 } });
      }
    });

    it('a body that is let go of, before or after its first piece, holds nobody up', async () => {
      for (let count = 0; count < 20; count += 1) {
        const read = await osd.read(EPOCH, ID, { kind: 'whole' });
        const pieces = read?.body[Symbol.asyncIterator]();
        if (count % 2 === 0) await pieces?.next();
        await pieces?.return?.();
      }
      const [, all] = await part({ kind: 'whole' });
      expect(all.equals(bytes)).toBe(true);
    });

    it('a slow reader gets every byte', async () => {
      const read = await osd.read(EPOCH, ID, { kind: 'whole' });
      const pieces: Buffer[] = [];
      for await (const piece of read!.body) {
        pieces.push(piece);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      expect(Buffer.concat(pieces).equals(bytes)).toBe(true);
    });
  });
}

function describeListings(get: () => OsdConnection): void {
  describe('listings', () => {
    let osd: OsdConnection;
    const names = ['a/1', 'a/2', 'b', 'c/\u{1f600}', 'c/\uffee', 'd e+f&g'];

    beforeEach(async () => {
      osd = get();
      await osd.activate(EPOCH);
      let counter = 0;
      for (const name of names) {
        counter += 1;
        await commit(osd, {
          kind: 'replace',
          objectId: objectNamed(name),
          tag: tagAt(1, counter),
          bytes: HELLO,
        });
      }
    });

    it('names come in the order of their UTF-8 bytes, pages follow one another', async () => {
      const request = { container: 'bucket', prefix: '', delimiter: '', limit: 4 };
      const first = await osd.list(EPOCH, { ...request, after: '' });
      expect(first.truncated).toBe(true);
      const second = await osd.list(EPOCH, { ...request, after: 'c/\uffee' });
      const ids = [...first.entries, ...second.entries].map((entry) =>
        entry.kind === 'object' ? entry.id : '',
      );
      expect(ids).toEqual(
        ['a/1', 'a/2', 'b', 'c/\uffee', 'c/\u{1f600}', 'd e+f&g']
          .map(objectNamed)
          .filter((id) => ids.includes(id)),
      );
      expect(second).toMatchObject({ truncated: false });
    });

    it('a delimiter gathers common prefixes', async () => {
      const page = await osd.list(EPOCH, {
        container: 'bucket',
        prefix: '',
        after: '',
        delimiter: '/',
        limit: 10,
      });
      expect(page.entries.map((entry) => (entry.kind === 'object' ? entry.id : entry.prefix))).toEqual([
        'a/',
        objectNamed('b'),
        'c/',
        objectNamed('d e+f&g'),
      ]);
    });

    it('tag table, summaries and states come in pages, in the order of object ids', async () => {
      const rows = await osd.rows(null, 4);
      const [, , , last] = rows;
      const rest = await osd.rows({ objectId: last!.objectId, tag: last!.tag }, 10);
      const ids = [...rows, ...rest].map(({ objectId }) => objectId);
      expect(ids).toEqual(['a/1', 'a/2', 'b', 'c/\uffee', 'c/\u{1f600}', 'd e+f&g'].map(objectNamed));
      const summaries = await osd.summaries(objectNamed('b'), 2);
      expect(summaries).toMatchObject([
        { objectId: objectNamed('c/\uffee'), sizeBytes: 14, lastTag: tagAt(1, 5) },
        { objectId: objectNamed('c/\u{1f600}'), sizeBytes: 14, lastTag: tagAt(1, 4) },
      ]);
      const states = await osd.states([objectNamed('b'), objectNamed('absent'), objectNamed('a/1')]);
      expect(states).toMatchObject([{ lastTag: tagAt(1, 3) }, null, { lastTag: tagAt(1, 1) }]);
    });
  });
}

function describeRepairs(get: () => OsdConnection): void {
  describe('repairs', () => {
    let osd: OsdConnection;
    const before = tagAt(1, 1);
    const after = tagAt(1, 9);

    beforeEach(async () => {
      osd = get();
      await osd.activate(EPOCH);
      await commit(osd, { kind: 'replace', objectId: ID, tag: before, bytes: HELLO });
      await osd.fence(NEXT);
    });

    function pushOf(bytes: Buffer, changes: Partial<RemotePush> = {}): RemotePush {
      return {
        epoch: NEXT,
        objectId: ID,
        expectedLastTag: before,
        lastTag: after,
        state: {
          kind: 'present',
          sizeBytes: bytes.length,
          lastTag: after,
          lastChecksum: 5,
          attributes: 'pushed',
        },
        content: { kind: 'whole' },
        bytes: { kind: 'bytes', bytes },
        contentChecksum: crc32c(bytes),
        rows: [],
        ...changes,
      };
    }

    it('a push lands inline or staged, with the rows of its source', async () => {
      const [row] = await osd.rows(null, 1);
      const inline = pushOf(Buffer.from('pushed'), { rows: [{ ...row!, tag: after }] });
      expect(await osd.push(inline)).toEqual({ kind: 'landed' });
      expect(await contentOf(osd, NEXT, ID)).toEqual(Buffer.from('pushed'));
      expect(await osd.rows(null, 10)).toMatchObject([{ tag: after, objectId: ID }]);
      const big = patternBytes(600_000, 1);
      const { stageId, contentChecksum } = await stageOf(osd, big);
      const staged = pushOf(big, {
        expectedLastTag: after,
        bytes: { kind: 'stage', stageId },
        contentChecksum,
      });
      expect(await osd.push(staged)).toEqual({ kind: 'landed' });
      expect((await contentOf(osd, NEXT, ID))?.equals(big)).toBe(true);
      expect(await osd.rows(null, 10)).toEqual([]);
    });

    it('extents land in their places, and need something to land in', async () => {
      const content = {
        kind: 'extents',
        extents: [
          { offset: 0, length: 2 },
          { offset: 12, length: 1 },
        ],
      } as const;
      const state = {
        kind: 'present',
        sizeBytes: 13,
        lastTag: after,
        lastChecksum: 5,
        attributes: '',
      } as const;
      const push = pushOf(Buffer.from('HE?'), { content, state });
      expect(await osd.push(push)).toEqual({ kind: 'landed' });
      expect(await contentOf(osd, NEXT, ID)).toEqual(Buffer.from('HEllo, mirro?'));
      const absent = { ...push, objectId: objectNamed('absent'), expectedLastTag: null };
      expect(await osd.push(absent)).toEqual({ kind: 'refused', code: 'no-base' });
    });

    it('F15, F36: a push lands only on the state it was made for', async () => {
      expect(await osd.push(pushOf(HELLO, { expectedLastTag: null }))).toEqual({
        kind: 'refused',
        code: 'changed',
      });
      expect(await osd.push(pushOf(HELLO, { contentChecksum: 1 }))).toEqual({
        kind: 'refused',
        code: 'checksum-mismatch',
      });
      expect(await osd.push(pushOf(HELLO, { epoch: EPOCH }))).toEqual({
        kind: 'refused',
        code: 'stale-epoch',
      });
      const unknown = { kind: 'stage', stageId: 'none' } as const;
      expect(await osd.push(pushOf(HELLO, { bytes: unknown }))).toEqual({
        kind: 'refused',
        code: 'unknown-stage',
      });
      await osd.activate(NEXT);
      expect(await osd.push(pushOf(HELLO))).toEqual({ kind: 'refused', code: 'not-fenced' });
    });

    it('a push of nothing makes the target forget', async () => {
      const forget = { state: null, lastTag: null, bytes: { kind: 'none' }, contentChecksum: 0 } as const;
      expect(await osd.push(pushOf(HELLO, forget))).toEqual({ kind: 'landed' });
      expect(await osd.states([ID])).toEqual([null]);
      expect(await osd.rows(null, 10)).toEqual([]);
    });

    it('rows are dropped under the fence, and witnesses kept', async () => {
      const witness = { storeId: toStoreId('e'.repeat(32)), commitSequence: 77 };
      const rows = [{ objectId: ID, tag: before }];
      expect(await osd.dropRows(SET_ID, EPOCH, rows, [witness])).toMatchObject({ kind: 'refused' });
      expect(await osd.dropRows(SET_ID, NEXT, rows, [witness])).toEqual({ kind: 'cleared', rowCount: 1 });
      expect((await osd.identity()).witnesses).toEqual([witness]);
    });

    it('F31: the copy of the authority’s state is kept, and only that of the present epoch', async () => {
      expect(await osd.authorityRecord()).toBeNull();
      await osd.keepAuthorityRecord(NEXT, 'fenced ä');
      await expect(osd.keepAuthorityRecord(EPOCH, 'late')).rejects.toMatchObject({ code: 'stale-epoch' });
      await osd.activate(NEXT);
      await osd.keepAuthorityRecord(NEXT, 'active');
      await expect(osd.keepAuthorityRecord(toEpoch(3), 'early')).rejects.toMatchObject({
        code: 'not-fenced',
      });
      expect(await osd.authorityRecord()).toBe('active');
    });

    it('self-doubt is kept, and only a recovery sets it', async () => {
      await osd.setSelfDoubt(NEXT, 'a hole');
      expect((await osd.identity()).selfDoubt).toBe('a hole');
      await expect(osd.setSelfDoubt(EPOCH, null)).rejects.toMatchObject({ code: 'stale-epoch' });
      await osd.setSelfDoubt(NEXT, null);
      await osd.activate(NEXT);
      await expect(osd.setSelfDoubt(NEXT, 'x')).rejects.toMatchObject({ code: 'not-fenced' });
    });

    it('a full copy begins under the fence, goes on while the store is rebuilt, and has an end', async () => {
      const storeId = toStoreId('c'.repeat(32));
      const cursor = { objectId: ID, objectsCompared: 3 };
      await expect(osd.setFullCopyCursor(NEXT, cursor)).rejects.toMatchObject({ code: 'not-fenced' });
      await expect(osd.beginFullCopy(EPOCH, storeId)).rejects.toMatchObject({ code: 'stale-epoch' });
      await osd.beginFullCopy(NEXT, storeId);
      expect(await osd.identity()).toMatchObject({ storeId, selfDoubt: FULL_COPY_DOUBT });
      expect(await osd.fullCopyCursor()).toBeNull();
      await osd.setFullCopyCursor(NEXT, cursor);
      await osd.rebuild(NEXT);
      await expect(osd.beginFullCopy(NEXT, storeId)).rejects.toMatchObject({ code: 'not-fenced' });
      await osd.setFullCopyCursor(NEXT, { ...cursor, objectsCompared: 4 });
      expect(await osd.fullCopyCursor()).toEqual({ ...cursor, objectsCompared: 4 });
      await expect(osd.endFullCopy(EPOCH)).rejects.toMatchObject({ code: 'stale-epoch' });
      await osd.endFullCopy(NEXT);
      expect((await osd.identity()).selfDoubt).toBeNull();
      expect(await osd.fullCopyCursor()).toBeNull();
      await expect(osd.endFullCopy(NEXT)).rejects.toMatchObject({ code: 'not-fenced' });
    });

    it('there is no reconciliation that nobody ordered', async () => {
      await expect(osd.reconcileProgress(NEXT)).rejects.toMatchObject({ code: 'unknown-reconciliation' });
    });
  });
}
