/**
 * The request and the answer of POST /v2/transactions, the hot path: what transaction-frame.ts says in JSON, in bytes. Between two sides that
 * speak version 3 of the contract.
 *
 * Integers are big-endian. A count is a u64 below 2^53. `text16` and `text32` are UTF-8 behind its length in bytes as u16 or u32. A tag is 14
 * bytes, a store id 16. `[x]` is there when its flag is set.
 *
 *   request  text16 setId | count epoch | tag floor | u32 writes | write ... | u32 clears | clear ...
 *   write    u8 kind | u8 mode | u8 flags | tag | count offset | count length | u32 checksum | u32 contentChecksum | text16 objectId |
 *            [tag previousTag] [text32 attributes] [text16 traceparent] | content
 *            flags: 1 previousTag, 2 attributes, 4 traceparent, and content x 8: 0 none, 1 inline, 2 staged, 3 composed
 *   content  inline: `length` bytes | staged: text16 stageId | composed: u32 sources | source ...
 *   source   tag expectedTag | count offset | count length | text16 objectId
 *   clear    text16 token | u8 witnesses | witness ...
 *   witness  store id | count commitSequence
 *
 *   answer   store id | u32 writes | reply ... | clears
 *   reply    u8 1 committed, 2 committed by an earlier request: count commitSequence | text16 token
 *            u8 0 refused: text16 code | u8 0, or u8 1 and tag lastTag
 *   clears   u8 0: there were none | u8 1 cleared: count rows | u8 2 refused: text16 code
 */
import { ByteReader, ByteWriter, TAG_BYTES } from '../protocol/bytes.js';
import { COMPOSE_SOURCES_MAX, type ComposeSource } from '../protocol/compose.js';
import { invariant } from '../protocol/invariant.js';
import { toObjectId } from '../protocol/object-id.js';
import { type Epoch, type Tag, toEpoch } from '../protocol/tag.js';
import { type StoreId, toToken, type Witness } from '../protocol/token.js';
import type { WriteTransaction } from '../protocol/write.js';
import { MalformedMessage, malformedOnRangeError } from './malformed-message.js';
import {
  BATCH_CLEARS_MAX,
  BATCH_CONTENT_BYTES_MAX,
  BATCH_WRITES_MAX,
  type Clear,
  type ClearsReply,
  type TransactionBatch,
  type TransactionBatchReply,
  type TransactionContent,
  type TransactionItem,
  type TransactionReply,
} from './osd-connection.js';
import { asCount } from './record-reader.js';
import {
  asRefusalCode,
  CLEAR_REFUSALS,
  TRANSACTION_REFUSALS,
  WITNESSES_MAX,
  WRITE_KINDS,
  WRITE_MODES,
} from './transaction-frame.js';

const STORE_ID_BYTES = 16;
const COUNT_BYTES = 8;
const HAS_PREVIOUS_TAG = 1;
const HAS_ATTRIBUTES = 2;
const HAS_TRACEPARENT = 4;
const CONTENT_FACTOR = 8;
/** Their places are their numbers. */
const CONTENTS = ['none', 'bytes', 'stage', 'compose'] as const satisfies TransactionContent['kind'][];
const FLAGS_MAX = CONTENTS.length * CONTENT_FACTOR - 1;

const WRITE_FIXED_BYTES = 3 + TAG_BYTES + 2 * COUNT_BYTES + 2 * 4 + 2;
const SOURCE_FIXED_BYTES = TAG_BYTES + 2 * COUNT_BYTES + 2;
const WITNESS_BYTES = STORE_ID_BYTES + COUNT_BYTES;

const REFUSED = 0;
const COMMITTED = 1;
const COMMITTED_BEFORE = 2;
const NO_CLEARS = 0;
const CLEARED = 1;
const CLEARS_REFUSED = 2;

// --- writing

function putText16(writer: ByteWriter, text: string): void {
  const start = writer.at;
  writer.u16(0).text(text);
  writer.bytes.writeUInt16BE(writer.at - start - 2, start);
}

function putText32(writer: ByteWriter, text: string): void {
  const start = writer.at;
  writer.u32(0).text(text);
  writer.bytes.writeUInt32BE(writer.at - start - 4, start);
}

/** A message that is one byte too long for its buffer would be cut in silence. */
function whole(writer: ByteWriter): Buffer {
  const { at, bytes } = writer;
  invariant(at === bytes.length, 'a message is as long as was reckoned', { at, length: bytes.length });
  return bytes;
}

function contentBytes(content: TransactionContent): number {
  switch (content.kind) {
    case 'none':
    case 'bytes':
      return 0;
    case 'stage':
      return 2 + Buffer.byteLength(content.stageId);
    case 'compose':
      return content.sources.reduce(
        (sum, { objectId }) => sum + SOURCE_FIXED_BYTES + Buffer.byteLength(objectId),
        4,
      );
  }
}

function putContent(writer: ByteWriter, content: TransactionContent): void {
  if (content.kind === 'stage') putText16(writer, content.stageId);
  if (content.kind !== 'compose') return;
  writer.u32(content.sources.length);
  for (const { objectId, expectedTag, extent } of content.sources) {
    writer.tag(expectedTag).u64(extent.offset).u64(extent.length);
    putText16(writer, objectId);
  }
}

/** A write but for its inline bytes. */
function makeItem({ transaction, content, contentChecksum, traceparent }: TransactionItem): Buffer {
  const { tag, objectId, kind, previousTag, offset, length, mode, attributes, checksum } = transaction;
  const writer = new ByteWriter(
    WRITE_FIXED_BYTES +
      Buffer.byteLength(objectId) +
      (previousTag === null ? 0 : TAG_BYTES) +
      (attributes === null ? 0 : 4 + Buffer.byteLength(attributes)) +
      (traceparent === undefined ? 0 : 2 + Buffer.byteLength(traceparent)) +
      contentBytes(content),
  );
  const flags =
    (previousTag === null ? 0 : HAS_PREVIOUS_TAG) +
    (attributes === null ? 0 : HAS_ATTRIBUTES) +
    (traceparent === undefined ? 0 : HAS_TRACEPARENT) +
    CONTENTS.indexOf(content.kind) * CONTENT_FACTOR;
  writer.u8(WRITE_KINDS.indexOf(kind)).u8(WRITE_MODES.indexOf(mode)).u8(flags).tag(tag);
  writer.u64(offset).u64(length).u32(checksum).u32(contentChecksum);
  putText16(writer, objectId);
  if (previousTag !== null) writer.tag(previousTag);
  if (attributes !== null) putText32(writer, attributes);
  if (traceparent !== undefined) putText16(writer, traceparent);
  putContent(writer, content);
  return whole(writer);
}

/** Made once for all mirrors. */
function encodeItem(item: TransactionItem): Buffer {
  const encoded = item.encoded ?? makeItem(item);
  if (item.encoded === null) item.encoded = encoded;
  return encoded;
}

function bytesOf({ content, transaction }: TransactionItem): Buffer | null {
  if (content.kind !== 'bytes') return null;
  const { length } = transaction;
  const actual = content.bytes.length;
  invariant(actual === length, 'a transaction states the length of its content', { length, actual });
  return content.bytes;
}

function putWitness(writer: ByteWriter, { storeId, commitSequence }: Witness): void {
  writer.hex(storeId).u64(commitSequence);
}

export function encodeTransactions({ setId, epoch, floor, writes, clears }: TransactionBatch): Buffer {
  let sizeBytes = 2 + Buffer.byteLength(setId) + COUNT_BYTES + TAG_BYTES + 2 * 4;
  for (const item of writes) {
    const { transaction } = item;
    const isOfBatch = transaction.setId === setId && transaction.epoch === epoch;
    invariant(isOfBatch, 'a batch is of one set and one epoch', { setId, epoch });
    sizeBytes += encodeItem(item).length + (bytesOf(item)?.length ?? 0);
  }
  for (const { token, witnesses } of clears)
    sizeBytes += 3 + Buffer.byteLength(token) + witnesses.length * WITNESS_BYTES;

  const writer = new ByteWriter(sizeBytes);
  putText16(writer, setId);
  writer.u64(epoch).tag(floor).u32(writes.length);
  for (const item of writes) {
    writer.raw(encodeItem(item));
    const bytes = bytesOf(item);
    if (bytes !== null) writer.raw(bytes);
  }
  writer.u32(clears.length);
  for (const { token, witnesses } of clears) {
    putText16(writer, token);
    writer.u8(witnesses.length);
    for (const witness of witnesses) putWitness(writer, witness);
  }
  return whole(writer);
}

export function encodeTransactionsReply({ storeId, writes, clears }: TransactionBatchReply): Buffer {
  let sizeBytes = STORE_ID_BYTES + 4 + clearsReplyBytes(clears);
  for (const reply of writes) sizeBytes += replyBytes(reply);
  const writer = new ByteWriter(sizeBytes);
  writer.hex(storeId).u32(writes.length);
  for (const reply of writes) putReply(writer, reply);
  putClearsReply(writer, clears);
  return whole(writer);
}

function replyBytes(reply: TransactionReply): number {
  return reply.kind === 'committed'
    ? 1 + COUNT_BYTES + 2 + Buffer.byteLength(reply.token)
    : 1 + 2 + reply.code.length + 1 + (reply.lastTag === null ? 0 : TAG_BYTES);
}

function putReply(writer: ByteWriter, reply: TransactionReply): void {
  if (reply.kind === 'committed') {
    writer.u8(reply.isDuplicate ? COMMITTED_BEFORE : COMMITTED).u64(reply.commitSequence);
    putText16(writer, reply.token);
    return;
  }
  writer.u8(REFUSED);
  putText16(writer, reply.code);
  writer.u8(reply.lastTag === null ? 0 : 1);
  if (reply.lastTag !== null) writer.tag(reply.lastTag);
}

function clearsReplyBytes(reply: ClearsReply | null): number {
  if (reply === null) return 1;
  return reply.kind === 'cleared' ? 1 + COUNT_BYTES : 1 + 2 + reply.code.length;
}

function putClearsReply(writer: ByteWriter, reply: ClearsReply | null): void {
  if (reply === null) writer.u8(NO_CLEARS);
  else if (reply.kind === 'cleared') writer.u8(CLEARED).u64(reply.rowCount);
  else {
    writer.u8(CLEARS_REFUSED);
    putText16(writer, reply.code);
  }
}

// --- reading

function takeText16(reader: ByteReader): string {
  return reader.text(reader.u16());
}

function takeCount(reader: ByteReader, name: string): number {
  return asCount(reader.u64(), name);
}

function takeHowMany(count: number, name: string, countMax: number): number {
  if (count > countMax) throw new MalformedMessage(`${name} has over ${countMax} members`);
  return count;
}

function wordAt<Word>(words: readonly Word[], place: number, name: string): Word {
  const word = words[place];
  if (word === undefined) throw new MalformedMessage(`${name} has no meaning`);
  return word;
}

function takeStoreId(reader: ByteReader): StoreId {
  return reader.hex(STORE_ID_BYTES) as StoreId;
}

function takeSource(reader: ByteReader): ComposeSource {
  const expectedTag = reader.tag();
  const extent = { offset: takeCount(reader, 'offset'), length: takeCount(reader, 'length') };
  return { objectId: toObjectId(takeText16(reader)), expectedTag, extent };
}

function takeContent(reader: ByteReader, flags: number, length: number): TransactionContent {
  const kind = CONTENTS[Math.floor(flags / CONTENT_FACTOR)] ?? 'none';
  switch (kind) {
    case 'none':
      return { kind };
    case 'bytes':
      return { kind, bytes: reader.raw(length) };
    case 'stage':
      return { kind, stageId: takeText16(reader) };
    case 'compose': {
      const count = takeHowMany(reader.u32(), 'sources', COMPOSE_SOURCES_MAX);
      return { kind, sources: Array.from({ length: count }, () => takeSource(reader)) };
    }
  }
}

function takeItem(reader: ByteReader, setId: string, epoch: Epoch): TransactionItem {
  const kind = wordAt(WRITE_KINDS, reader.u8(), 'kind');
  const mode = wordAt(WRITE_MODES, reader.u8(), 'mode');
  const flags = reader.u8();
  if (flags > FLAGS_MAX) throw new MalformedMessage('flags that have no meaning');
  const tag = reader.tag();
  const offset = takeCount(reader, 'offset');
  const length = takeCount(reader, 'length');
  const checksum = reader.u32();
  const contentChecksum = reader.u32();
  const objectId = toObjectId(takeText16(reader));
  const previousTag = (flags & HAS_PREVIOUS_TAG) === 0 ? null : reader.tag();
  const attributes = (flags & HAS_ATTRIBUTES) === 0 ? null : reader.text(reader.u32());
  const traceparent = (flags & HAS_TRACEPARENT) === 0 ? undefined : takeText16(reader);
  const transaction: WriteTransaction = {
    setId,
    epoch,
    tag,
    objectId,
    kind,
    previousTag,
    offset,
    length,
    mode,
    attributes,
    checksum,
  };
  const content = takeContent(reader, flags, length);
  if (traceparent === undefined) return { transaction, content, contentChecksum };
  return { transaction, content, contentChecksum, traceparent };
}

function takeWitness(reader: ByteReader): Witness {
  return { storeId: takeStoreId(reader), commitSequence: takeCount(reader, 'commitSequence') };
}

function takeClear(reader: ByteReader): Clear {
  const token = toToken(takeText16(reader));
  const count = takeHowMany(reader.u8(), 'witnesses', WITNESSES_MAX);
  return { token, witnesses: Array.from({ length: count }, () => takeWitness(reader)) };
}

/** Reads all of a message. Throws MalformedMessage, also for what is behind its end. */
function decodeWhole<Value>(message: Buffer, take: (reader: ByteReader) => Value): Value {
  return malformedOnRangeError(() => {
    const reader = new ByteReader(message);
    const value = take(reader);
    if (reader.remainingBytes > 0) throw new MalformedMessage('the message has bytes behind its end');
    return value;
  });
}

/** Throws MalformedMessage. Contents are views of `message`. */
export function decodeTransactions(message: Buffer): TransactionBatch {
  return decodeWhole(message, (reader) => {
    const setId = takeText16(reader);
    const epoch = toEpoch(reader.u64());
    const floor: Tag = reader.tag();
    const writeCount = takeHowMany(reader.u32(), 'writes', BATCH_WRITES_MAX);
    const writes: TransactionItem[] = [];
    let contentsBytes = 0;
    for (let index = 0; index < writeCount; index += 1) {
      const item = takeItem(reader, setId, epoch);
      if (item.content.kind === 'bytes') contentsBytes += item.transaction.length;
      writes.push(item);
    }
    if (contentsBytes > BATCH_CONTENT_BYTES_MAX) throw new MalformedMessage('contents over the limit');
    const clearCount = takeHowMany(reader.u32(), 'clears', BATCH_CLEARS_MAX);
    const clears: Clear[] = [];
    for (let index = 0; index < clearCount; index += 1) clears.push(takeClear(reader));
    return { setId, epoch, floor, writes, clears };
  });
}

function takeReply(reader: ByteReader): TransactionReply {
  const outcome = reader.u8();
  if (outcome === REFUSED) {
    const code = asRefusalCode(takeText16(reader), TRANSACTION_REFUSALS);
    return {
      kind: 'refused',
      code,
      lastTag: wordAt([false, true], reader.u8(), 'lastTag') ? reader.tag() : null,
    };
  }
  if (outcome !== COMMITTED && outcome !== COMMITTED_BEFORE)
    throw new MalformedMessage('an outcome that has no meaning');
  const commitSequence = takeCount(reader, 'commitSequence');
  const token = toToken(takeText16(reader));
  return { kind: 'committed', token, commitSequence, isDuplicate: outcome === COMMITTED_BEFORE };
}

function takeClearsReply(reader: ByteReader): ClearsReply | null {
  const outcome = reader.u8();
  if (outcome === NO_CLEARS) return null;
  if (outcome === CLEARED) return { kind: 'cleared', rowCount: takeCount(reader, 'rowCount') };
  if (outcome === CLEARS_REFUSED)
    return { kind: 'refused', code: asRefusalCode(takeText16(reader), CLEAR_REFUSALS) };
  throw new MalformedMessage('an outcome of clears that has no meaning');
}

/** Throws MalformedMessage, also when the answer has not one reply for each of `writeCount` writes. */
export function decodeTransactionsReply(message: Buffer, writeCount: number): TransactionBatchReply {
  return decodeWhole(message, (reader) => {
    const storeId = takeStoreId(reader);
    if (reader.u32() !== writeCount) throw new MalformedMessage('not one reply for each write');
    const writes: TransactionReply[] = [];
    for (let index = 0; index < writeCount; index += 1) writes.push(takeReply(reader));
    return { storeId, writes, clears: takeClearsReply(reader) };
  });
}
