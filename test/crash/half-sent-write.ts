/** What a gateway leaves behind that died between its two requests: a write that one mirror has, and that nobody was told of. */
import { crc32c } from '@node-rs/crc32';
import { makeObjectId } from '../../src/protocol/object-id.js';
import { EPOCH_NONE, makeTag, type Tag, toGeneratorId } from '../../src/protocol/tag.js';
import type { WriteKind } from '../../src/protocol/write.js';
import type { TransactionReply } from '../../src/wire/osd-connection.js';
import { transactionChecksum } from '../../src/wire/transaction-checksum.js';
import type { OsdHandle } from '../support/tally-system.js';
import { TEST_SET_ID } from '../support/tally-system.js';
import type { ObjectOperation } from './object-history.js';

const GENERATOR = toGeneratorId(1);
/** Above any tag that the gateway itself has issued. */
const COUNTER_FIRST = 1_000_000;
const ATTRIBUTES = JSON.stringify({ v: 1, etag: 'half-sent', modifiedMs: 1, writes: 1, headers: {} });

interface Shape {
  readonly kind: WriteKind;
  readonly previousTag: Tag | null;
  readonly offset: number;
  readonly bytes: Buffer | null;
}

/** Null: an operation that a gateway would not even have begun. */
function shapeOf(
  operation: ObjectOperation,
  present: { readonly sizeBytes: number; readonly lastTag: Tag } | null,
): Shape | null {
  switch (operation.kind) {
    case 'put':
      return { kind: 'replace', previousTag: null, offset: 0, bytes: operation.bytes };
    case 'delete':
      return present === null ? null : { kind: 'remove', previousTag: null, offset: 0, bytes: null };
    case 'append':
      if (present?.sizeBytes !== operation.offset) return null;
      return {
        kind: 'extend',
        previousTag: present.lastTag,
        offset: operation.offset,
        bytes: operation.bytes,
      };
    case 'patch': {
      const { offset, bytes } = operation;
      if (present === null || offset > present.sizeBytes) return null;
      const kind = offset === present.sizeBytes ? 'extend' : 'range-write';
      return { kind, previousTag: present.lastTag, offset, bytes };
    }
  }
}

/**
 * Sends a write to one OSD alone, in the name of the gateway that the mirror set is active for. Precondition: that gateway is
 * dead, or writes nothing any more (its next tags would be lower). Null: there was nothing to send.
 */
export async function sendHalf(
  osd: OsdHandle,
  fields: {
    readonly bucket: string;
    readonly key: string;
    readonly operation: ObjectOperation;
    /** Distinguishes the half-sent writes of one epoch. */
    readonly index: number;
  },
): Promise<TransactionReply | null> {
  const { activeEpoch: epoch } = await osd.connection.identity();
  if (epoch === EPOCH_NONE) return null;
  const objectId = makeObjectId(fields.bucket, fields.key);
  const shape = shapeOf(fields.operation, await osd.connection.head(epoch, objectId));
  if (shape === null) return null;
  const { kind, previousTag, offset, bytes } = shape;
  const lengthBytes = bytes?.length ?? 0;
  const contentChecksum = bytes === null ? 0 : crc32c(bytes);
  const described = {
    setId: TEST_SET_ID,
    epoch,
    tag: makeTag({ epoch, counter: COUNTER_FIRST + fields.index, generator: GENERATOR }),
    objectId,
    kind,
    previousTag,
    offset,
    length: lengthBytes,
    mode: kind === 'extend' ? ('extend' as const) : ('overwrite' as const),
    attributes: kind === 'remove' ? null : ATTRIBUTES,
  };
  const transaction = { ...described, checksum: transactionChecksum(described, contentChecksum) };
  const content = bytes === null ? { kind: 'none' as const } : { kind: 'bytes' as const, bytes };
  const reply = await osd.connection.transact({
    setId: TEST_SET_ID,
    epoch,
    floor: makeTag({ epoch, counter: 1, generator: GENERATOR }),
    writes: [{ transaction, content, contentChecksum }],
    clears: [],
  });
  return reply.writes[0] ?? null;
}
