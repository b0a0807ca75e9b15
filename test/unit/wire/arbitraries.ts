/** Random messages of the OSD protocol, well-formed ones. */
import fc from 'fast-check';
import type { ComposeSource } from '../../../src/protocol/compose.js';
import { makeObjectId } from '../../../src/protocol/object-id.js';
import { makeTag, toEpoch, toGeneratorId } from '../../../src/protocol/tag.js';
import { toStoreId, toToken } from '../../../src/protocol/token.js';
import type { ObjectState, TagRow } from '../../../src/protocol/write.js';
import type {
  PresentObject,
  PushContent,
  RemoteListPage,
  RemotePush,
  TransactionBatch,
  TransactionBatchReply,
  TransactionContent,
  TransactionItem,
} from '../../../src/wire/osd-connection.js';
import type { BatchedPushReply } from '../../../src/wire/push-frame.js';
import type { BatchedRange, BatchedReply, ReadBatch } from '../../../src/wire/reads-frame.js';

const text = fc.string({ unit: 'binary', maxLength: 20 });
const idText = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
  .map((name) => name.replaceAll('\u0000', '0'));
export const objectIds = fc
  .tuple(idText, fc.constantFrom('', 'v1'))
  .map(([name, version]) => makeObjectId('bucket', name, version));
const epochs = fc.nat().map(toEpoch);
const tags = fc
  .record({ epoch: epochs, counter: fc.nat(), generator: fc.nat({ max: 0xffff }).map(toGeneratorId) })
  .map(makeTag);
const counts = fc.oneof(fc.nat(), fc.constant(Number.MAX_SAFE_INTEGER));
const checksums = fc.integer({ min: 0, max: 0xffffffff });
const storeIds = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((array) => toStoreId(Buffer.from(array).toString('hex')));
const witnesses = fc.array(fc.record({ storeId: storeIds, commitSequence: counts }), { maxLength: 3 });
const buffers = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
const kinds = fc.constantFrom('replace', 'range-write', 'extend', 'set-attributes', 'remove');
const modes = fc.constantFrom('overwrite', 'extend');

const pushContents: fc.Arbitrary<PushContent> = fc.oneof(
  fc.constant({ kind: 'none' } as const),
  buffers.map((bytes) => ({ kind: 'bytes', bytes }) as const),
  text.map((stageId) => ({ kind: 'stage', stageId }) as const),
);

const sources: fc.Arbitrary<ComposeSource> = fc.record({
  objectId: objectIds,
  expectedTag: tags,
  extent: fc.record({ offset: counts, length: counts }),
});

const contents: fc.Arbitrary<TransactionContent> = fc.oneof(
  pushContents,
  fc.array(sources, { maxLength: 3 }).map((composed) => ({ kind: 'compose', sources: composed }) as const),
);

export const batches: fc.Arbitrary<TransactionBatch> = fc
  .record({ setId: text, epoch: epochs, floor: tags })
  .chain((head) => {
    const items: fc.Arbitrary<TransactionItem> = fc
      .record(
        {
          content: contents,
          contentChecksum: checksums,
          traceparent: text,
          transaction: fc.record({
            setId: fc.constant(head.setId),
            epoch: fc.constant(head.epoch),
            tag: tags,
            objectId: objectIds,
            kind: kinds,
            previousTag: fc.option(tags),
            offset: counts,
            length: counts,
            mode: modes,
            attributes: fc.option(text),
            checksum: checksums,
          }),
        },
        { requiredKeys: ['content', 'contentChecksum', 'transaction'] },
      )
      .map((item) => {
        const { content, transaction } = item;
        const length = content.kind === 'bytes' ? content.bytes.length : transaction.length;
        return { ...item, transaction: { ...transaction, length } };
      });
    return fc.record({
      setId: fc.constant(head.setId),
      epoch: fc.constant(head.epoch),
      floor: fc.constant(head.floor),
      writes: fc.array(items, { maxLength: 5 }),
      clears: fc.array(fc.record({ token: text.map(toToken), witnesses }), { maxLength: 5 }),
    });
  });

export const batchReplies: fc.Arbitrary<TransactionBatchReply> = fc.record({
  storeId: storeIds,
  writes: fc.array(
    fc.oneof(
      fc.record({
        kind: fc.constant('committed' as const),
        token: text.map(toToken),
        commitSequence: counts,
        isDuplicate: fc.boolean(),
      }),
      fc.record({
        kind: fc.constant('refused' as const),
        code: fc.constantFrom('gap' as const, 'stale-epoch' as const, 'io-error' as const),
        lastTag: fc.option(tags),
      }),
    ),
    { maxLength: 5 },
  ),
  clears: fc.oneof(
    fc.constant(null),
    fc.record({ kind: fc.constant('cleared' as const), rowCount: counts }),
    fc.record({ kind: fc.constant('refused' as const), code: fc.constant('state-lost' as const) }),
  ),
});

const presentObjects: fc.Arbitrary<PresentObject> = fc.record({
  kind: fc.constant('present' as const),
  sizeBytes: counts,
  lastTag: tags,
  lastChecksum: checksums,
  attributes: text,
});

export const listPages: fc.Arbitrary<RemoteListPage> = fc.record({
  entries: fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant('object' as const), id: objectIds, state: presentObjects }),
      fc.record({ kind: fc.constant('common-prefix' as const), prefix: text }),
    ),
    { maxLength: 5 },
  ),
  truncated: fc.boolean(),
});

const ranges: fc.Arbitrary<BatchedRange> = fc.oneof(
  fc.constantFrom({ kind: 'whole' } as const, { kind: 'none' } as const),
  fc.record({ kind: fc.constant('between' as const), first: counts, last: fc.option(counts) }),
  fc.record({ kind: fc.constant('suffix' as const), lengthBytes: counts }),
);

export const readBatches: fc.Arbitrary<ReadBatch> = fc.record({
  epoch: epochs,
  reads: fc.array(fc.record({ id: objectIds, range: ranges }), { maxLength: 5 }),
});

const readReplies: fc.Arbitrary<BatchedReply> = fc.oneof(
  fc.tuple(presentObjects, counts, fc.option(buffers)).map(([state, offset, bytes]) => ({
    kind: 'here' as const,
    state,
    extent: bytes === null ? null : { offset, length: bytes.length },
    bytes: bytes ?? Buffer.alloc(0),
  })),
  fc.constantFrom({ kind: 'absent' } as const, { kind: 'alone' } as const),
  fc.record({ kind: fc.constant('refused' as const), code: text, message: text }),
);
export const readBatchReplies = fc.array(readReplies, { maxLength: 5 });

const states: fc.Arbitrary<ObjectState> = fc.oneof(
  presentObjects,
  fc.record({ kind: fc.constant('tombstone' as const), lastTag: tags, lastChecksum: checksums }),
);

export const pushes: fc.Arbitrary<RemotePush> = fc
  .tuple(objectIds, fc.option(states))
  .chain(([objectId, state]) => {
    const sizeBytes = state?.kind === 'present' ? state.sizeBytes : 0;
    const rows: fc.Arbitrary<TagRow> = fc.record({
      tag: tags,
      objectId: fc.constant(objectId),
      kind: kinds,
      mode: modes,
      offset: counts,
      length: counts,
      checksum: checksums,
      commitSequence: counts,
      writtenMs: counts,
    });
    const extent = fc.nat({ max: sizeBytes }).map((length) => ({ offset: 0, length }));
    return fc.record({
      epoch: epochs,
      objectId: fc.constant(objectId),
      expectedLastTag: fc.option(tags),
      lastTag: fc.constant(state?.lastTag ?? null),
      state: fc.constant(state),
      content: fc.oneof(
        fc.constant({ kind: 'whole' } as const),
        fc.array(extent, { maxLength: 3 }).map((extents) => ({ kind: 'extents', extents }) as const),
      ),
      bytes: pushContents,
      contentChecksum: checksums,
      rows: fc.array(rows, { maxLength: state === null ? 0 : 4 }),
    });
  });

export const pushBatchReplies: fc.Arbitrary<readonly BatchedPushReply[]> = fc.array(
  fc.oneof(
    fc.constant({ kind: 'landed' } as const),
    fc
      .constantFrom('changed' as const, 'no-base' as const)
      .map((code) => ({ kind: 'refused' as const, code })),
    fc.record({
      kind: fc.constant('failed' as const),
      code: fc.constantFrom('overloaded', 'unheard-of'),
      message: text,
    }),
  ),
  { maxLength: 5 },
);
