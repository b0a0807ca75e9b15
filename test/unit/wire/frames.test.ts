import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { COMPOSE_SOURCES_MAX } from '../../../src/protocol/compose.js';
import { toObjectId } from '../../../src/protocol/object-id.js';
import { toStoreId, toToken } from '../../../src/protocol/token.js';
import { FRAME_HEADER_BYTES_MAX } from '../../../src/wire/contract.js';
import { encodeFrame, splitFrame } from '../../../src/wire/frame.js';
import { decodeListPage } from '../../../src/wire/list-page.js';
import { MalformedMessage } from '../../../src/wire/malformed-message.js';
import {
  BATCH_CLEARS_MAX,
  BATCH_CONTENT_BYTES_MAX,
  BATCH_WRITES_MAX,
  type RemoteListPage,
  type RemotePush,
  type TransactionBatch,
  type TransactionBatchReply,
  type TransactionItem,
} from '../../../src/wire/osd-connection.js';
import {
  type BatchedPushReply,
  decodePush,
  decodePushes,
  decodePushesReply,
  encodePush,
  encodePushes,
  encodePushesReply,
} from '../../../src/wire/push-frame.js';
import {
  type BatchedReply,
  decodeReads,
  decodeReadsReply,
  encodeReads,
  encodeReadsReply,
  type ReadBatch,
} from '../../../src/wire/reads-frame.js';
import * as inBytes from '../../../src/wire/transaction-bytes.js';
import {
  decodeTransactions,
  decodeTransactionsReply,
  encodeTransactions,
  encodeTransactionsReply,
} from '../../../src/wire/transaction-frame.js';
import {
  batches,
  batchReplies,
  listPages,
  pushBatchReplies,
  pushes,
  readBatches,
  readBatchReplies,
} from './arbitraries.js';
import { EPOCH, itemOf, objectNamed, SET_ID, tagAt } from '../osd/osd-writer.js';

const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));

interface Codec<Value> {
  readonly name: string;
  readonly values: fc.Arbitrary<Value>;
  readonly encode: (value: Value) => Buffer;
  readonly decode: (frame: Buffer) => Value;
}

function describeCodec<Value>({ name, values, encode, decode }: Codec<Value>): void {
  describe(name, () => {
    it('what is encoded decodes to the same', () => {
      fc.assert(
        fc.property(values, (value) => {
          expect(decode(encode(value))).toEqual(value);
        }),
      );
    });

    it('every truncation is refused', () => {
      fc.assert(
        fc.property(values, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (value, share) => {
          const frame = encode(value);
          const cut = frame.subarray(0, Math.floor(frame.length * share));
          expect(() => decode(cut)).toThrow(MalformedMessage);
        }),
      );
    });

    it('bytes behind the end are refused', () => {
      fc.assert(
        fc.property(values, bytes, (value, more) => {
          fc.pre(more.toString('latin1').trim().length > 0);
          expect(() => decode(Buffer.concat([encode(value), more]))).toThrow(MalformedMessage);
        }),
      );
    });

    it('garbage in any byte is refused or means something well-formed, never another error', () => {
      fc.assert(
        fc.property(values, fc.nat(), fc.integer({ min: 0, max: 255 }), (value, place, byte) => {
          const frame = Buffer.from(encode(value));
          frame[place % frame.length] = byte;
          try {
            encode(decode(frame));
          } catch (error) {
            expect(error).toBeInstanceOf(MalformedMessage);
          }
        }),
        { numRuns: 300 },
      );
    });
  });
}

describeCodec<TransactionBatch>({
  name: 'the request of transactions',
  values: batches,
  encode: encodeTransactions,
  decode: decodeTransactions,
});

describeCodec<TransactionBatch>({
  name: 'the request of transactions in bytes',
  values: batches,
  encode: inBytes.encodeTransactions,
  decode: inBytes.decodeTransactions,
});

describeCodec<TransactionBatchReply>({
  name: 'the answer to transactions in bytes',
  values: batchReplies,
  encode: inBytes.encodeTransactionsReply,
  decode: (body) => inBytes.decodeTransactionsReply(body, writeCountOf(body)),
});

describeCodec<RemotePush>({
  name: 'the request of a push',
  values: pushes,
  encode: encodePush,
  decode: decodePush,
});

describeCodec<readonly RemotePush[]>({
  name: 'the request of several pushes',
  values: fc.array(pushes, { maxLength: 4 }),
  encode: encodePushes,
  decode: decodePushes,
});

describeCodec<readonly BatchedPushReply[]>({
  name: 'the answer to several pushes',
  values: pushBatchReplies,
  encode: encodePushesReply,
  decode: (body) => decodePushesReply(body, countOf(body, 'replies')),
});

describeCodec<TransactionBatchReply>({
  name: 'the answer to transactions',
  values: batchReplies,
  encode: encodeTransactionsReply,
  decode: (body) => decodeTransactionsReply(body, countOf(body, 'writes')),
});

describeCodec<ReadBatch>({
  name: 'the request of several reads',
  values: readBatches,
  encode: encodeReads,
  decode: decodeReads,
});

describeCodec<readonly BatchedReply[]>({
  name: 'the answer to several reads',
  values: readBatchReplies,
  encode: encodeReadsReply,
  decode: (frame) => decodeReadsReply(frame, readCountOf(frame)),
});

describeCodec<RemoteListPage>({
  name: 'a page of a listing',
  values: listPages,
  encode: (page) => Buffer.from(JSON.stringify(page)),
  decode: decodeListPage,
});

/** As `countOf`: behind the store id. */
function writeCountOf(body: Buffer): number {
  return body.length < 20 ? 0 : body.readUInt32BE(16);
}

/** As `countOf`. */
function readCountOf(frame: Buffer): number {
  try {
    const { header } = splitFrame(frame);
    const reads = typeof header === 'object' && header !== null && 'reads' in header ? header.reads : [];
    return Array.isArray(reads) ? reads.length : 0;
  } catch {
    return 0;
  }
}

/** How much an answer is for, which its receiver knows without it. */
function countOf(body: Buffer, name: string): number {
  try {
    const parsed = JSON.parse(body.toString('utf8')) as Readonly<Record<string, unknown>> | null;
    const items = parsed?.[name];
    return Array.isArray(items) ? items.length : 0;
  } catch {
    return 0;
  }
}

describe('frames', () => {
  it('header and contents come apart again', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.array(bytes, { maxLength: 4 }), (header, contents) => {
        const { header: split, content } = splitFrame(encodeFrame({ header }, contents));
        expect(split).toEqual(JSON.parse(JSON.stringify({ header })));
        expect(content).toEqual(Buffer.concat(contents));
      }),
    );
  });

  it('a header length over the limit is refused before anything of it is read', () => {
    const frame = Buffer.alloc(16);
    frame.writeUInt32BE(FRAME_HEADER_BYTES_MAX + 1, 0);
    expect(() => splitFrame(frame)).toThrow(MalformedMessage);
  });

  it('an answer without one reply for each write, read or push is refused', () => {
    const reply = { storeId: fc.sample(batchReplies, 1)[0]!.storeId, writes: [], clears: null };
    expect(() => decodeTransactionsReply(encodeTransactionsReply(reply), 1)).toThrow(MalformedMessage);
    const replyInBytes = inBytes.encodeTransactionsReply(reply);
    expect(() => inBytes.decodeTransactionsReply(replyInBytes, 1)).toThrow(MalformedMessage);
    expect(() => decodeReadsReply(encodeReadsReply([]), 1)).toThrow(MalformedMessage);
    expect(() => decodePushesReply(encodePushesReply([]), 1)).toThrow(MalformedMessage);
  });
});

describe('transactions in bytes', () => {
  const limits = {
    writes: BATCH_WRITES_MAX,
    clears: BATCH_CLEARS_MAX,
    sources: COMPOSE_SOURCES_MAX,
    contents: BATCH_CONTENT_BYTES_MAX,
  };
  const objectId = objectNamed('a');
  const head = { setId: SET_ID, epoch: EPOCH, floor: tagAt(1, 0) };
  const removal = itemOf({ kind: 'remove', objectId, tag: tagAt(1, 1) });
  const clear = { token: toToken('a token'), witnesses: [] };
  const source = { objectId, expectedTag: tagAt(1, 1), extent: { offset: 0, length: 1 } };
  const composed = (count: number) => ({
    ...removal,
    content: { kind: 'compose' as const, sources: Array.from({ length: count }, () => source) },
  });
  const filled = itemOf({
    ...{ kind: 'replace', objectId, tag: tagAt(1, 1) },
    bytes: Buffer.alloc(BATCH_CONTENT_BYTES_MAX / 16),
  });
  const tooMany: Record<keyof typeof limits, (count: number) => TransactionBatch> = {
    writes: (count) => ({ ...head, writes: Array.from({ length: count }, () => removal), clears: [] }),
    clears: (count) => ({ ...head, writes: [], clears: Array.from({ length: count }, () => clear) }),
    sources: (count) => ({ ...head, writes: [composed(count)], clears: [] }),
    contents: (bytes) => ({
      ...head,
      writes: Array.from({ length: Math.ceil((16 * bytes) / BATCH_CONTENT_BYTES_MAX) }, () => filled),
      clears: [],
    }),
  };

  it('look as openapi/osd.yaml says, number for number: another build reads them', () => {
    const tag = (counter: number): string => `000000000001${counter.toString(16).padStart(12, '0')}0000`;
    const plain = {
      setId: 's',
      epoch: EPOCH,
      objectId: toObjectId('b\0key\0'),
      previousTag: null,
      offset: 0,
    };
    const base = { ...plain, length: 0, attributes: null, checksum: 1 };
    const kinds = ['replace', 'range-write', 'extend', 'set-attributes', 'remove'] as const;
    const bare = kinds.map((kind, number) => ({
      transaction: {
        ...base,
        kind,
        mode: number % 2 === 0 ? 'overwrite' : 'extend',
        tag: tagAt(1, 7),
      } as const,
      content: { kind: 'none' } as const,
      contentChecksum: 2,
    }));
    const sources = [
      { objectId: plain.objectId, expectedTag: tagAt(1, 3), extent: { offset: 4, length: 5 } },
    ];
    const full = {
      ...base,
      kind: 'replace',
      mode: 'extend',
      tag: tagAt(1, 8),
      previousTag: tagAt(1, 7),
    } as const;
    const rich: TransactionItem[] = [
      {
        transaction: { ...full, length: 2, attributes: '{}' },
        content: { kind: 'bytes', bytes: Buffer.from('hi') },
        contentChecksum: 3,
        traceparent: 'tp',
      },
      { transaction: full, content: { kind: 'stage', stageId: 'st' }, contentChecksum: 3 },
      { transaction: { ...full, length: 5 }, content: { kind: 'compose', sources }, contentChecksum: 3 },
    ];
    const storeId = toStoreId('ab'.repeat(16));
    const clears = [{ token: toToken('tok'), witnesses: [{ storeId, commitSequence: 9 }] }];
    const writes = [...bare, ...rich];
    const message = inBytes.encodeTransactions({
      setId: 's',
      epoch: EPOCH,
      floor: tagAt(1, 2),
      writes,
      clears,
    });
    const u64 = (value: number): string => value.toString(16).padStart(16, '0');
    const key = '0006' + '62006b657900';
    const start = (codes: string, counter: number, length: number, checksum: string): string =>
      codes + tag(counter) + u64(0) + u64(length) + '00000001' + checksum + key;
    expect(message.toString('hex')).toBe(
      [
        ...['0001' + '73', u64(1), tag(2), '00000008'],
        ...['000000', '010100', '020000', '030100', '040000'].map((codes) => start(codes, 7, 0, '00000002')),
        start('00010f', 8, 2, '00000003') + tag(7) + '00000002' + '7b7d' + '0002' + '7470' + '6869',
        start('000111', 8, 0, '00000003') + tag(7) + '0002' + '7374',
        start('000119', 8, 5, '00000003') + tag(7) + '00000001' + tag(3) + u64(4) + u64(5) + key,
        ...['00000001', '0003' + '746f6b', '01' + 'ab'.repeat(16) + u64(9)],
      ].join(''),
    );
    const reply = inBytes.encodeTransactionsReply({
      storeId,
      writes: [
        { kind: 'refused', code: 'gap', lastTag: null },
        { kind: 'refused', code: 'gap', lastTag: tagAt(1, 2) },
        { kind: 'committed', token: toToken('tok'), commitSequence: 9, isDuplicate: false },
        { kind: 'committed', token: toToken('tok'), commitSequence: 9, isDuplicate: true },
      ],
      clears: { kind: 'cleared', rowCount: 3 },
    });
    const gap = '00' + '0003' + '676170';
    const committed = u64(9) + '0003' + '746f6b';
    expect(reply.toString('hex')).toBe(
      [
        'ab'.repeat(16),
        '00000004',
        gap + '00',
        gap + '01' + tag(2),
        '01' + committed,
        '02' + committed,
        '01' + u64(3),
      ].join(''),
    );
  });

  it.each(Object.keys(limits) as (keyof typeof limits)[])('%s over their limit are refused', (what) => {
    const atMost = inBytes.encodeTransactions(tooMany[what](limits[what]));
    expect(inBytes.encodeTransactions(inBytes.decodeTransactions(atMost)).equals(atMost)).toBe(true);
    const more = inBytes.encodeTransactions(tooMany[what](limits[what] + 1));
    expect(() => inBytes.decodeTransactions(more)).toThrow(MalformedMessage);
  });

  it('a write is encoded once for all mirrors, and looks the same to each', () => {
    const item = { ...removal, encoded: null };
    const batch = { ...head, writes: [item], clears: [] };
    const first = inBytes.encodeTransactions(batch);
    expect(item.encoded).not.toBeNull();
    expect(inBytes.encodeTransactions(batch)).toEqual(first);
    expect(inBytes.encodeTransactions({ ...head, writes: [removal], clears: [] })).toEqual(first);
  });

  it('a content that is not as long as its write says is a bug of the caller, and is not sent', () => {
    const { transaction } = filled;
    const wrong = { ...filled, transaction: { ...transaction, length: transaction.length - 1 } };
    for (const { encodeTransactions: encode } of [inBytes, { encodeTransactions }])
      expect(() => encode({ ...head, writes: [wrong], clears: [] })).toThrow(/length of its content/);
  });
});
