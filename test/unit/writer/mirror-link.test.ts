import { describe, expect, it } from 'vitest';
import { MirrorLink } from '../../../src/writer/mirror-link.js';
import { toMirrorId } from '../../../src/protocol/authority-state.js';
import { makeObjectId } from '../../../src/protocol/object-id.js';
import { makeTag, toEpoch, toGeneratorId } from '../../../src/protocol/tag.js';
import { makeToken, toStoreId } from '../../../src/protocol/token.js';
import type { WriteTransaction } from '../../../src/protocol/write.js';
import type { MirrorAnswer } from '../../../src/protocol/write-outcome.js';
import {
  BATCH_WRITES_MAX,
  OsdRefusal,
  OsdUnreachable,
  type TransactionBatch,
  type TransactionBatchReply,
  type TransactionItem,
} from '../../../src/wire/osd-connection.js';

const storeId = toStoreId('a'.repeat(32));
const epoch = toEpoch(1);
const generator = toGeneratorId(0);
const objectId = makeObjectId('bucket', 'key');

function tagOf(counter: number) {
  return makeTag({ epoch, counter, generator });
}

function itemOf(counter: number, bytes = Buffer.alloc(0)): TransactionItem {
  const transaction: WriteTransaction = {
    setId: 'set',
    epoch,
    tag: tagOf(counter),
    objectId,
    kind: 'replace',
    previousTag: null,
    offset: 0,
    length: bytes.length,
    mode: 'overwrite',
    attributes: '',
    checksum: 0,
  };
  return { transaction, content: { kind: 'bytes', bytes }, contentChecksum: 0 };
}

function commitAll(batch: TransactionBatch): TransactionBatchReply {
  return {
    storeId,
    writes: batch.writes.map(({ transaction: { tag } }) => ({
      kind: 'committed',
      token: makeToken({ storeId, commitSequence: 1, tag, objectId }),
      commitSequence: 1,
      isDuplicate: false,
    })),
    clears: batch.clears.length > 0 ? { kind: 'cleared', rowCount: batch.clears.length } : null,
  };
}

function linkTo(transact: (batch: TransactionBatch) => Promise<TransactionBatchReply>): MirrorLink {
  const logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
  return new MirrorLink(
    toMirrorId('osd-0'),
    { transact },
    {
      setId: 'set',
      epoch: () => epoch,
      floor: () => tagOf(1),
      logger,
    },
  );
}

function submitTo(link: MirrorLink, item: TransactionItem): Promise<MirrorAnswer> {
  return new Promise((resolve) => {
    link.send(item, resolve);
  });
}

describe('the way of transactions to one mirror', () => {
  it('sends together what waits together, never more than a batch may hold, each with its own answer', async () => {
    const batches: TransactionBatch[] = [];
    const link = linkTo(async (batch) => {
      batches.push(batch);
      return commitAll(batch);
    });
    const count = BATCH_WRITES_MAX + 10;
    const answers = await Promise.all(
      Array.from({ length: count }, (_, index) => submitTo(link, itemOf(index + 1))),
    );
    expect(batches.map((batch) => batch.writes.length)).toEqual([BATCH_WRITES_MAX, 10]);
    expect(answers.every((answer) => answer.kind === 'committed')).toBe(true);
  });

  it('F24: repeats a request whose answer was lost once, with the same tags', async () => {
    const tags: string[][] = [];
    const link = linkTo(async (batch) => {
      tags.push(batch.writes.map(({ transaction }) => transaction.tag));
      if (tags.length === 1) throw new OsdUnreachable('connection reset', true);
      return commitAll(batch);
    });
    await expect(submitTo(link, itemOf(1))).resolves.toMatchObject({ kind: 'committed' });
    expect(tags).toEqual([[tagOf(1)], [tagOf(1)]]);
  });

  it('calls a write unknown when any attempt may have arrived, whatever a later one was told', async () => {
    const failures = [
      new OsdUnreachable('connection reset', true),
      new OsdRefusal('not-active', 409, 'restarted'),
    ];
    const link = linkTo(async () => Promise.reject(failures.shift() ?? new Error('asked too often')));
    await expect(submitTo(link, itemOf(1))).resolves.toMatchObject({ kind: 'unknown' });
  });

  it('calls a write refused when no attempt can have arrived', async () => {
    const link = linkTo(async () => Promise.reject(new OsdUnreachable('connection refused', false)));
    await expect(submitTo(link, itemOf(1))).resolves.toEqual({ kind: 'refused', code: 'osd-unreachable' });
  });

  it('calls a write unknown that a store failed to commit half-way', async () => {
    const link = linkTo(async () => ({
      storeId,
      writes: [{ kind: 'refused', code: 'io-error', lastTag: null }],
      clears: null,
    }));
    await expect(submitTo(link, itemOf(1))).resolves.toMatchObject({ kind: 'unknown' });
  });

  it('answers what is on its way as unknown and what is not as refused when the mirror is given up', async () => {
    const link = linkTo(async () => new Promise(() => undefined));
    const onWire = submitTo(link, itemOf(1));
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    const unsent = submitTo(link, itemOf(2));
    link.cut('given up');
    expect((await onWire).kind).toBe('unknown');
    expect((await unsent).kind).toBe('refused');
    expect((await submitTo(link, itemOf(3))).kind).toBe('refused');
  });

  it('tells a transaction one answer, although that of a mirror that was given up comes after all', async () => {
    let reply = (): void => {};
    const link = linkTo(
      (batch) =>
        new Promise((resolve) => {
          reply = () => {
            resolve(commitAll(batch));
          };
        }),
    );
    const answers: string[] = [];
    link.send(itemOf(1), ({ kind }) => answers.push(kind));
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    link.cut('given up');
    expect(answers).toEqual([]);
    reply();
    await new Promise((resolve) => setImmediate(resolve));
    expect(answers).toEqual(['unknown']);
  });

  it('lets ready tokens ride on the next write, and sends them by themselves when there is none', async () => {
    const batches: TransactionBatch[] = [];
    const link = linkTo(async (batch) => {
      batches.push(batch);
      return commitAll(batch);
    });
    const token = makeToken({ storeId, commitSequence: 1, tag: tagOf(1), objectId });
    link.offerToken({ mirror: link.mirror, token, witnesses: [] });
    await submitTo(link, itemOf(2));
    expect(batches[0]?.clears.map((clear) => clear.token)).toEqual([token]);
    link.offerToken({ mirror: link.mirror, token, witnesses: [] });
    await expect.poll(() => batches.length).toBe(2);
    expect(batches[1]?.writes).toEqual([]);
    expect(batches[1]?.clears).toHaveLength(1);
  });

  it('keeps the tokens of a clear that bounced off a new epoch, and sends them again', async () => {
    let attempts = 0;
    const link = linkTo(async (batch) => {
      attempts += 1;
      return attempts === 1
        ? { storeId, writes: [], clears: { kind: 'refused', code: 'stale-epoch' } }
        : commitAll(batch);
    });
    const token = makeToken({ storeId, commitSequence: 1, tag: tagOf(1), objectId });
    link.offerToken({ mirror: link.mirror, token, witnesses: [] });
    await expect.poll(() => attempts).toBe(2);
  });
});
