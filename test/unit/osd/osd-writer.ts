/** Writes to one or more OSDs the way a gateway does: one tag for all of them, checksums, previous tags. */
import { crc32c } from '@node-rs/crc32';
import { type ComposeSource, composedBytes, composeText } from '../../../src/protocol/compose.js';
import { makeObjectId, type ObjectId } from '../../../src/protocol/object-id.js';
import { type Epoch, makeTag, type Tag, toEpoch, toGeneratorId } from '../../../src/protocol/tag.js';
import type { Token } from '../../../src/protocol/token.js';
import type { WriteKind, WriteTransaction } from '../../../src/protocol/write.js';
import type {
  OsdConnection,
  TransactionBatchReply,
  TransactionContent,
  TransactionItem,
  TransactionReply,
} from '../../../src/wire/osd-connection.js';
import { transactionChecksum } from '../../../src/wire/transaction-checksum.js';

export const SET_ID = 'set-1';
export const SECRET = 'a-secret-of-the-mirror-set';
export const EPOCH: Epoch = toEpoch(1);

export function objectNamed(name: string): ObjectId {
  return makeObjectId('bucket', name);
}

export function tagAt(epoch: number, counter: number): Tag {
  return makeTag({ epoch: toEpoch(epoch), counter, generator: toGeneratorId(0) });
}

export interface ItemDraft {
  readonly kind: WriteKind;
  readonly objectId: ObjectId;
  readonly tag: Tag;
  readonly epoch?: Epoch;
  readonly previousTag?: Tag | null;
  readonly offset?: number;
  readonly bytes?: Buffer;
  /** In place of `bytes`: content staged before. */
  readonly staged?: {
    readonly stageId: string;
    readonly lengthBytes: number;
    readonly contentChecksum: number;
  };
  /** In place of `bytes`: content made of what is stored. */
  readonly composed?: readonly ComposeSource[];
  readonly attributes?: string | null;
}

const EMPTY = Buffer.alloc(0);

/** A transaction with its content and checksum. */
export function itemOf(draft: ItemDraft): TransactionItem {
  const { kind, bytes, staged, composed } = draft;
  const summed = composed === undefined ? (bytes ?? EMPTY) : composeText(composed);
  const contentChecksum = staged?.contentChecksum ?? crc32c(summed);
  const composedLength = composed === undefined ? undefined : composedBytes(composed);
  const fields: Omit<WriteTransaction, 'checksum'> = {
    setId: SET_ID,
    epoch: draft.epoch ?? EPOCH,
    tag: draft.tag,
    objectId: draft.objectId,
    kind,
    previousTag: draft.previousTag ?? null,
    offset: draft.offset ?? 0,
    length: staged?.lengthBytes ?? composedLength ?? bytes?.length ?? 0,
    mode: kind === 'extend' || kind === 'replace' ? 'extend' : 'overwrite',
    attributes: draft.attributes ?? (kind === 'replace' || kind === 'set-attributes' ? '{}' : null),
  };
  let content: TransactionContent = { kind: 'none' };
  if (staged !== undefined) content = { kind: 'stage', stageId: staged.stageId };
  else if (composed !== undefined) content = { kind: 'compose', sources: composed };
  else if (bytes !== undefined) content = { kind: 'bytes', bytes };
  const transaction = { ...fields, checksum: transactionChecksum(fields, contentChecksum) };
  return { transaction, content, contentChecksum };
}

export async function transact(
  osd: OsdConnection,
  items: readonly TransactionItem[],
  clears: readonly Token[] = [],
): Promise<TransactionBatchReply> {
  const epoch = items[0]?.transaction.epoch ?? EPOCH;
  return osd.transact({
    setId: SET_ID,
    epoch,
    floor: tagAt(epoch, 0),
    writes: items,
    clears: clears.map((token) => ({ token, witnesses: [] })),
  });
}

/** Writes one item; throws unless it is committed. */
export async function commit(osd: OsdConnection, draft: ItemDraft): Promise<Token> {
  const { writes } = await transact(osd, [itemOf(draft)]);
  const [reply] = writes;
  if (reply?.kind !== 'committed') throw new Error(`not committed: ${JSON.stringify(reply)}`);
  return reply.token;
}

export async function replyTo(osd: OsdConnection, draft: ItemDraft): Promise<TransactionReply | undefined> {
  return (await transact(osd, [itemOf(draft)])).writes[0];
}

/** All bytes of an object, or null when it is not there. */
export async function contentOf(osd: OsdConnection, epoch: Epoch, id: ObjectId): Promise<Buffer | null> {
  const read = await osd.read(epoch, id, { kind: 'whole' });
  if (read === null) return null;
  const pieces: Buffer[] = [];
  for await (const piece of read.body) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** Bytes that look random, the same for the same seed. */
export function patternBytes(lengthBytes: number, seed: number): Buffer {
  const bytes = Buffer.alloc(lengthBytes);
  let state = (seed * 2654435761 + 1) >>> 0;
  for (let index = 0; index < lengthBytes; index += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[index] = state >>> 24;
  }
  return bytes;
}
