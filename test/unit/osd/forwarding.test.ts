/** The tag generator inside an OSD: two OSDs over memory stores, with links that fail. */
import { beforeEach, describe, expect, it } from 'vitest';
import { EPOCH_NONE, toEpoch, toGeneratorId } from '../../../src/protocol/tag.js';
import { FORWARDED_REQUESTS_MAX, WRITERS_MAX } from '../../../src/wire/osd-connection.js';
import { systemTimer } from '../../../src/osd/reconcile/copy-pacer.js';
import { FaultyOsd } from '../../fakes/faulty-osd.js';
import {
  answersOf,
  batchOf,
  forwardedOf,
  type ForwardedDraft,
  forwardOne,
  GENERATOR,
  orderFor,
} from './forwarded-writes.js';
import { contentOf, EPOCH, objectNamed, replyTo, SET_ID, tagAt } from './osd-writer.js';

const ID = objectNamed('key');
const NEXT = toEpoch(2);

function replace(text: string, objectId = ID): ForwardedDraft {
  return { kind: 'replace', objectId, bytes: Buffer.from(text) };
}

let writer: FaultyOsd;
let peer: FaultyOsd;
let third: FaultyOsd;
let osds: FaultyOsd[];

function memberOf({ mirror, url }: FaultyOsd): { mirror: FaultyOsd['mirror']; url: string } {
  return { mirror, url };
}

const orderForBoth = (change: Parameters<typeof orderFor>[1] = {}) =>
  orderFor([memberOf(writer), memberOf(peer)], change);

beforeEach(async () => {
  const peers = new Map<string, FaultyOsd>();
  osds = [0, 1, 2].map((index) => new FaultyOsd(index, SET_ID, peers, systemTimer));
  [writer, peer, third] = osds as [FaultyOsd, FaultyOsd, FaultyOsd];
  for (const { connection } of osds) await connection.fence(EPOCH);
  await writer.connection.activate(EPOCH);
  await peer.connection.activate(EPOCH);
});

async function rowCounts(): Promise<number[]> {
  return Promise.all([writer, peer].map(async ({ connection }) => (await connection.identity()).rowCount));
}

describe('a forwarded write', () => {
  it('gets its tag from the OSD, and is on every mirror when it is answered', async () => {
    await writer.connection.appointWriter(orderForBoth());
    const reply = await forwardOne(writer.connection, 1, replace('hello'));
    expect(reply).toMatchObject({ kind: 'written', tag: tagAt(1, 1) });
    expect(answersOf(reply)).toEqual({ 'osd-0': 'committed', 'osd-1': 'committed' });
    for (const { connection } of [writer, peer]) {
      expect(await contentOf(connection, EPOCH, ID)).toEqual(Buffer.from('hello'));
      expect(await connection.head(EPOCH, ID)).toMatchObject({ lastTag: tagAt(1, 1) });
    }
  });

  it('of every kind is the same on both mirrors', async () => {
    await writer.connection.appointWriter(orderForBoth());
    const { connection } = writer;
    const build = (kind: 'range-write' | 'extend', counter: number, offset: number, text: string) => ({
      ...{ kind, objectId: ID, previousTag: tagAt(1, counter), offset, bytes: Buffer.from(text) },
    });
    await forwardOne(connection, 1, replace('hello, mirrors'));
    await forwardOne(connection, 2, build('range-write', 1, 7, 'MIRRORS'));
    await forwardOne(connection, 3, build('extend', 2, 14, '!'));
    const described: ForwardedDraft = {
      kind: 'set-attributes',
      objectId: ID,
      previousTag: tagAt(1, 3),
      attributes: 'new',
    };
    expect(await forwardOne(connection, 4, described)).toMatchObject({ tag: tagAt(1, 4) });
    const composed = [{ objectId: ID, expectedTag: tagAt(1, 4), extent: { offset: 7, length: 8 } }];
    const other = objectNamed('other');
    await forwardOne(connection, 5, { kind: 'replace', objectId: other, composed });
    for (const mirror of [writer, peer]) {
      expect(await contentOf(mirror.connection, EPOCH, ID)).toEqual(Buffer.from('hello, MIRRORS!'));
      expect(await mirror.connection.head(EPOCH, ID)).toMatchObject({ attributes: 'new' });
      expect(await contentOf(mirror.connection, EPOCH, other)).toEqual(Buffer.from('MIRRORS!'));
    }
    await forwardOne(connection, 6, { kind: 'remove', objectId: ID });
    for (const mirror of [writer, peer]) expect(await mirror.connection.head(EPOCH, ID)).toBeNull();
  });

  it('with staged content names the stage of each mirror, and says whom it was not given to', async () => {
    await writer.connection.appointWriter(orderForBoth());
    const bytes = Buffer.from('streamed before');
    const stages = [];
    for (const { mirror, connection } of [writer, peer]) {
      const stage = connection.openStage();
      await stage.write(bytes);
      stages.push({ mirror, stageId: (await stage.finish()).stageId });
    }
    const reply = await forwardOne(writer.connection, 1, { ...replace(''), bytes, stages });
    expect(answersOf(reply)).toEqual({ 'osd-0': 'committed', 'osd-1': 'committed' });
    expect(await contentOf(peer.connection, EPOCH, ID)).toEqual(bytes);

    const stage = writer.connection.openStage();
    await stage.write(bytes);
    const { stageId } = await stage.finish();
    const incomplete = await forwardOne(writer.connection, 2, {
      ...replace(''),
      bytes,
      stages: [{ mirror: writer.mirror, stageId }],
      missing: [{ mirror: peer.mirror, code: 'no-space' }],
    });
    expect(answersOf(incomplete)).toEqual({ 'osd-0': 'committed', 'osd-1': 'no-space' });
  });

  it('I4: leaves no row once every mirror that rows are kept for has it, and one while any has not', async () => {
    await writer.connection.appointWriter(orderForBoth());
    await forwardOne(writer.connection, 1, replace('everywhere'));
    await writer.connection.dismissWriter(EPOCH, GENERATOR);
    expect(await rowCounts()).toEqual([0, 0]);

    await writer.connection.advance(EPOCH, NEXT);
    await peer.connection.advance(EPOCH, NEXT);
    const rowsKeptFor = osds.map(({ mirror }) => mirror);
    await writer.connection.appointWriter(orderForBoth({ epoch: NEXT, rowsKeptFor }));
    await forwardOne(writer.connection, 1, replace('not on the third'), { epoch: NEXT });
    await writer.connection.dismissWriter(NEXT, GENERATOR);
    expect(await rowCounts()).toEqual([1, 1]);
  });

  it('goes to a mirror that is being rebuilt too, which nobody waits for', async () => {
    await third.connection.rebuild(EPOCH);
    await writer.connection.appointWriter(orderForBoth());
    third.mode = 'silent';
    const members = osds.map(memberOf);
    await writer.connection.appointWriter(orderForBoth({ revision: 2, members }));
    const reply = await forwardOne(writer.connection, 1, replace('hello'));
    expect(answersOf(reply)).toEqual({ 'osd-0': 'committed', 'osd-1': 'committed' });
    third.mode = 'up';
    await forwardOne(writer.connection, 2, replace('again'));
    await expect
      .poll(async () => (await third.connection.states([ID]))[0])
      .toMatchObject({ lastTag: tagAt(1, 2) });
  });
});

describe('F24 forwarded: a request that is made again', () => {
  beforeEach(() => writer.connection.appointWriter(orderForBoth()));

  it('gets the same tag, when its answer was lost', async () => {
    writer.mode = 'answers-lost';
    await expect(forwardOne(writer.connection, 1, replace('once'))).rejects.toMatchObject({ sent: true });
    writer.mode = 'up';
    expect(await forwardOne(writer.connection, 1, replace('once'))).toMatchObject({ tag: tagAt(1, 1) });
    expect(await forwardOne(writer.connection, 2, replace('twice'))).toMatchObject({ tag: tagAt(1, 2) });
    // Even when another write came between.
    expect(await forwardOne(writer.connection, 1, replace('once'))).toMatchObject({ tag: tagAt(1, 1) });
    expect(await contentOf(peer.connection, EPOCH, ID)).toEqual(Buffer.from('twice'));
  });

  it('while the first one is still on its way to a mirror, is not a second write', async () => {
    let letThrough = (): void => undefined;
    const isHeld = new Promise<void>((resolve) => {
      letThrough = resolve;
    });
    peer.onRequest = () => isHeld;
    const first = forwardOne(writer.connection, 1, replace('once'));
    const again = forwardOne(writer.connection, 1, replace('once'));
    letThrough();
    expect(await again).toEqual(await first);
    expect(await forwardOne(writer.connection, 2, replace('next'))).toMatchObject({ tag: tagAt(1, 2) });
  });

  it('with other content is refused', async () => {
    await forwardOne(writer.connection, 1, replace('once'));
    const reply = await forwardOne(writer.connection, 1, replace('other'));
    expect(reply).toEqual({ kind: 'refused', code: 'request-conflict' });
    expect(await contentOf(peer.connection, EPOCH, ID)).toEqual(Buffer.from('once'));
  });

  it('below the floor is refused, and does nothing', async () => {
    await forwardOne(writer.connection, 1, replace('once'));
    await forwardOne(writer.connection, 2, replace('twice'), { requestFloor: 2 });
    const late = await forwardOne(writer.connection, 1, replace('once'));
    expect(late).toEqual({ kind: 'refused', code: 'settled' });
    expect(await contentOf(writer.connection, EPOCH, ID)).toEqual(Buffer.from('twice'));
  });

  it('damaged on its way is refused, and does nothing', async () => {
    const whole = forwardedOf(1, replace('once'));
    const { writes } = await writer.connection.forward(batchOf([{ ...whole, attributes: 'other' }]));
    expect(writes).toEqual([{ kind: 'refused', code: 'checksum-mismatch' }]);
    expect(await writer.connection.head(EPOCH, ID)).toBeNull();
  });

  it('never makes the writer remember more than its limit', async () => {
    const removal: ForwardedDraft = { kind: 'remove', objectId: ID };
    for (let first = 1; first <= FORWARDED_REQUESTS_MAX; first += 256) {
      const numbers = Array.from({ length: 256 }, (_, index) => first + index);
      await writer.connection.forward(batchOf(numbers.map((request) => forwardedOf(request, removal))));
    }
    const next = FORWARDED_REQUESTS_MAX + 1;
    const refused = { kind: 'refused', code: 'too-many-requests' };
    expect(await forwardOne(writer.connection, next, removal)).toEqual(refused);
    const reply = await forwardOne(writer.connection, next, removal, { requestFloor: next });
    expect(reply).toMatchObject({ kind: 'written' });
  });
});

describe('F12 forwarded: the writer decides nothing', () => {
  beforeEach(() => writer.connection.appointWriter(orderForBoth()));

  it('a mirror that does not have the write is told of, not left out', async () => {
    peer.mode = 'down';
    const reply = await forwardOne(writer.connection, 1, replace('hello'));
    expect(answersOf(reply)).toEqual({ 'osd-0': 'committed', 'osd-1': 'osd-unreachable' });
    peer.mode = 'answers-lost';
    const unknown = await forwardOne(writer.connection, 2, replace('again'));
    expect(answersOf(unknown)).toEqual({ 'osd-0': 'committed', 'osd-1': 'unknown' });
    expect(await writer.connection.identity()).toMatchObject({ rowCount: 2 });
  });

  it('no answer comes before every mirror in sync has answered, or the authority has given it up', async () => {
    peer.onRequest = () => new Promise(() => undefined);
    let isAnswered = false;
    const reply = forwardOne(writer.connection, 1, replace('hello')).finally(() => {
      isAnswered = true;
    });
    await expect.poll(() => writer.connection.head(EPOCH, ID)).not.toBeNull();
    expect(isAnswered).toBe(false);
    await writer.connection.appointWriter(orderForBoth({ revision: 2, givenUp: [peer.mirror] }));
    expect(answersOf(await reply)).toEqual({ 'osd-0': 'committed', 'osd-1': 'unknown' });
  });

  it('a floor never passes a write that a mirror in sync may lack', async () => {
    peer.mode = 'silent';
    const reply = await forwardOne(writer.connection, 1, replace('on its way'));
    expect(answersOf(reply)).toEqual({ 'osd-0': 'committed', 'osd-1': 'unknown' });
    peer.mode = 'up';
    await forwardOne(writer.connection, 2, replace('another', objectNamed('other')));
    // Had the peer been told of a higher floor, it would refuse what was on its way all the time as settled.
    const late = {
      kind: 'replace',
      objectId: ID,
      bytes: Buffer.from('on its way'),
      tag: tagAt(1, 1),
    } as const;
    expect(await replyTo(peer.connection, late)).toMatchObject({ kind: 'committed' });
  });
});

describe('F29 forwarded: the right to write', () => {
  beforeEach(() => writer.connection.appointWriter(orderForBoth()));

  it('is gone after a restart, until a new activation', async () => {
    await forwardOne(writer.connection, 1, replace('before'));
    writer.restart();
    await expect(forwardOne(writer.connection, 2, replace('after'))).rejects.toMatchObject({
      code: 'no-writer',
    });
    await expect(writer.connection.appointWriter(orderForBoth({ revision: 2 }))).rejects.toMatchObject({
      code: 'not-active',
    });
    for (const { connection } of [writer, peer]) await connection.fence(NEXT);
    await expect(writer.connection.appointWriter(orderForBoth({ epoch: NEXT }))).rejects.toMatchObject({
      code: 'not-active',
    });
    for (const { connection } of [writer, peer]) await connection.activate(NEXT);
    await writer.connection.appointWriter(orderForBoth({ epoch: NEXT }));
    const reply = await forwardOne(writer.connection, 1, replace('after'), { epoch: NEXT });
    expect(reply).toMatchObject({ tag: tagAt(2, 1) });
  });

  it.each([
    ['fence', (osd: FaultyOsd) => osd.connection.fence(NEXT)],
    ['advance', (osd: FaultyOsd) => osd.connection.advance(EPOCH, NEXT)],
  ])('F14: ends with the epoch, by a %s', async (_name, move) => {
    await move(writer);
    await expect(forwardOne(writer.connection, 1, replace('late'))).rejects.toMatchObject({
      code: 'stale-epoch',
    });
    await expect(writer.connection.appointWriter(orderForBoth({ revision: 2 }))).rejects.toMatchObject({
      code: 'stale-epoch',
    });
    expect(await peer.connection.head(EPOCH, ID)).toBeNull();
  });

  it('F14: a writer that nobody told of the new epoch can not write to a mirror that knows it', async () => {
    await peer.connection.advance(EPOCH, NEXT);
    const reply = await forwardOne(writer.connection, 1, replace('zombie'));
    expect(answersOf(reply)).toEqual({ 'osd-0': 'committed', 'osd-1': 'stale-epoch' });
    expect(await peer.connection.head(NEXT, ID)).toBeNull();
  });

  it('leaves nobody waiting when it ends', async () => {
    peer.onRequest = (method) => (method === 'transact' ? new Promise(() => undefined) : undefined);
    const reply = forwardOne(writer.connection, 1, replace('hello'));
    await expect.poll(() => writer.connection.head(EPOCH, ID)).not.toBeNull();
    await writer.connection.fence(NEXT);
    expect(answersOf(await reply)).toEqual({ 'osd-0': 'committed', 'osd-1': 'unknown' });
  });

  it('is given to a mirror in sync, and says where the others are', async () => {
    const refused = (change: Parameters<typeof orderFor>[1]) =>
      expect(third.connection.appointWriter(orderForBoth(change))).rejects;
    await third.connection.activate(EPOCH);
    await refused({ self: third.mirror }).toMatchObject({ code: 'bad-request' });
    await refused({ inSync: osds.map(({ mirror }) => mirror) }).toMatchObject({ code: 'bad-request' });
    await refused({ setId: 'other' }).toMatchObject({ code: 'wrong-set' });
    await refused({ epoch: EPOCH_NONE }).toMatchObject({ code: 'stale-epoch' });
  });

  it('is one for each generator, up to a limit; their tags differ', async () => {
    for (let generator = 1; generator < WRITERS_MAX; generator += 1) {
      await writer.connection.appointWriter(orderForBoth({ generator: toGeneratorId(generator) }));
    }
    const tooMany = orderForBoth({ generator: toGeneratorId(WRITERS_MAX) });
    await expect(writer.connection.appointWriter(tooMany)).rejects.toMatchObject({
      code: 'too-many-writers',
    });
    const tags = await Promise.all(
      [GENERATOR, toGeneratorId(5)].map(async (generator) => {
        const write = forwardedOf(1, replace('x', objectNamed(`of ${generator}`)));
        const { writes } = await writer.connection.forward(batchOf([write], { generator }));
        return writes[0]?.kind === 'written' ? writes[0].tag : null;
      }),
    );
    expect(new Set(tags).size).toBe(2);
    expect(tags).not.toContain(null);
  });
});
