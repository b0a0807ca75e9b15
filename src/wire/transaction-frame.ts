/**
 * The request and the answer of POST /v1/transactions, for peers that speak no version 3 of the contract (others: transaction-bytes.ts): checked
 * by hand, no schema.
 *
 * Request, a frame (see `frame.ts`):
 *
 *   header  { setId, epoch, floor,
 *             writes: [{ tag, objectId, kind, previousTag, offset, length, mode, attributes, checksum,
 *                        traceparent (when somebody follows the write),
 *                        content: "none" | "inline" | "staged" | "composed", stageId (when staged), contentChecksum,
 *                        sources (when composed): [{ objectId, expectedTag, offset, length }] }],
 *             clears: [{ token, witnesses: [{ storeId, commitSequence }] }] }
 *   bytes   for each write with content "inline", in order: `length` bytes
 *
 * Answer, JSON:
 *
 *   { storeId,
 *     writes: [{ kind: "committed", token, commitSequence, isDuplicate } | { kind: "refused", code, lastTag }],
 *     clears: null | { kind: "cleared", rowCount } | { kind: "refused", code } }
 */
import { COMPOSE_SOURCES_MAX, type ComposeSource } from '../protocol/compose.js';
import { invariant } from '../protocol/invariant.js';
import type { Epoch } from '../protocol/tag.js';
import { toToken } from '../protocol/token.js';
import type { WriteKind, WriteMode, WriteTransaction } from '../protocol/write.js';
import { ContentCursor, encodeFrame, parseJson, splitFrame } from './frame.js';
import { MalformedMessage } from './malformed-message.js';
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
import {
  asArray,
  asChecksum,
  asCount,
  asEpoch,
  asFlag,
  asObjectId,
  asRecord,
  asStoreId,
  asTag,
  asTagOrNull,
  asText,
  asWitness,
  asWord,
  refuseUnknown,
} from './record-reader.js';

/** In bytes (transaction-bytes.ts) their places are their numbers, and so are those of the modes: an order for ever. */
export const WRITE_KINDS: readonly WriteKind[] = [
  'replace',
  'range-write',
  'extend',
  'set-attributes',
  'remove',
];
export const WRITE_MODES: readonly WriteMode[] = ['overwrite', 'extend'];
const CONTENT_KINDS = ['none', 'inline', 'staged', 'composed'] as const;
export const WITNESSES_MAX = 64;

const BATCH_MEMBERS: ReadonlySet<string> = new Set(['setId', 'epoch', 'floor', 'writes', 'clears']);
const CLEAR_MEMBERS: ReadonlySet<string> = new Set(['token', 'witnesses']);
const SOURCE_MEMBERS: ReadonlySet<string> = new Set(['objectId', 'expectedTag', 'offset', 'length']);
const WRITE_MEMBERS: ReadonlySet<string> = new Set([
  ...['tag', 'objectId', 'kind', 'previousTag', 'offset', 'length', 'mode', 'attributes', 'checksum'],
  ...['content', 'contentChecksum', 'stageId', 'sources', 'traceparent'],
]);

type RefusedTransaction = Extract<TransactionReply, { kind: 'refused' }>;
type RefusedClears = Extract<ClearsReply, { kind: 'refused' }>;

export const TRANSACTION_REFUSALS: Readonly<Record<RefusedTransaction['code'], true>> = {
  'wrong-set': true,
  'stale-epoch': true,
  'not-active': true,
  settled: true,
  gap: true,
  'tag-conflict': true,
  'bad-transaction': true,
  'unknown-stage': true,
  'source-changed': true,
  'checksum-mismatch': true,
  'no-space': true,
  'self-doubt': true,
  overloaded: true,
  'io-error': true,
};

export const CLEAR_REFUSALS: Readonly<Record<RefusedClears['code'], true>> = {
  'wrong-set': true,
  'stale-epoch': true,
  'not-active': true,
  'foreign-token': true,
  'state-lost': true,
};

function isKeyOf<Key extends string>(table: Readonly<Record<Key, true>>, word: string): word is Key {
  return Object.hasOwn(table, word);
}

export function asRefusalCode<Code extends string>(
  value: unknown,
  table: Readonly<Record<Code, true>>,
): Code {
  const code = asText(value, 'code');
  if (!isKeyOf(table, code)) throw new MalformedMessage(`unknown refusal ${code.slice(0, 64)}`);
  return code;
}

export function encodeSource({ objectId, expectedTag, extent }: ComposeSource): object {
  return { objectId, expectedTag, offset: extent.offset, length: extent.length };
}

export function decodeSource(value: unknown): ComposeSource {
  const record = asRecord(value, 'source');
  refuseUnknown(record, 'source', SOURCE_MEMBERS);
  return {
    objectId: asObjectId(record['objectId'], 'objectId'),
    expectedTag: asTag(record['expectedTag'], 'expectedTag'),
    extent: { offset: asCount(record['offset'], 'offset'), length: asCount(record['length'], 'length') },
  };
}

const CONTENT_WORDS: Readonly<Record<TransactionContent['kind'], (typeof CONTENT_KINDS)[number]>> = {
  none: 'none',
  bytes: 'inline',
  stage: 'staged',
  compose: 'composed',
};

/** What is undefined is left out. */
function describeItem(item: TransactionItem): object {
  const { content, contentChecksum } = item;
  const { length, tag, objectId, kind, previousTag, offset, mode, attributes, checksum } = item.transaction;
  return {
    tag,
    objectId,
    kind,
    previousTag,
    offset,
    length,
    mode,
    attributes,
    checksum,
    content: CONTENT_WORDS[content.kind],
    stageId: content.kind === 'stage' ? content.stageId : undefined,
    contentChecksum,
    sources: content.kind === 'compose' ? content.sources.map(encodeSource) : undefined,
    traceparent: item.traceparent,
  };
}

export function encodeTransactions({ setId, epoch, floor, writes, clears }: TransactionBatch): Buffer {
  const contents: Buffer[] = [];
  for (const { transaction, content } of writes) {
    const isOfBatch = transaction.setId === setId && transaction.epoch === epoch;
    invariant(isOfBatch, 'a batch is of one set and one epoch', { setId, epoch });
    if (content.kind !== 'bytes') continue;
    const { length } = transaction;
    const actual = content.bytes.length;
    invariant(actual === length, 'a transaction states the length of its content', { length, actual });
    contents.push(content.bytes);
  }
  return encodeFrame({ setId, epoch, floor, writes: writes.map(describeItem), clears }, contents);
}

interface BatchScope {
  readonly setId: string;
  readonly epoch: Epoch;
  readonly cursor: ContentCursor;
}

function decodeItem(scope: BatchScope, value: unknown): TransactionItem {
  const record = asRecord(value, 'write');
  refuseUnknown(record, 'write', WRITE_MEMBERS);
  const attributes = record['attributes'];
  const transaction: WriteTransaction = {
    setId: scope.setId,
    epoch: scope.epoch,
    tag: asTag(record['tag'], 'tag'),
    objectId: asObjectId(record['objectId'], 'objectId'),
    kind: asWord(record['kind'], 'kind', WRITE_KINDS),
    previousTag: asTagOrNull(record['previousTag'], 'previousTag'),
    offset: asCount(record['offset'], 'offset'),
    length: asCount(record['length'], 'length'),
    mode: asWord(record['mode'], 'mode', WRITE_MODES),
    attributes: attributes === null ? null : asText(attributes, 'attributes'),
    checksum: asChecksum(record['checksum'], 'checksum'),
  };
  const kind = asWord(record['content'], 'content', CONTENT_KINDS);
  const contentChecksum = asChecksum(record['contentChecksum'], 'contentChecksum');
  let content: TransactionContent;
  switch (kind) {
    case 'none':
      content = { kind: 'none' };
      break;
    case 'inline':
      content = { kind: 'bytes', bytes: scope.cursor.take(transaction.length) };
      break;
    case 'staged':
      content = { kind: 'stage', stageId: asText(record['stageId'], 'stageId') };
      break;
    case 'composed':
      content = {
        kind: 'compose',
        sources: asArray(record['sources'], 'sources', COMPOSE_SOURCES_MAX).map(decodeSource),
      };
      break;
  }
  const traceparent = record['traceparent'];
  if (traceparent === undefined) return { transaction, content, contentChecksum };
  return { transaction, content, contentChecksum, traceparent: asText(traceparent, 'traceparent') };
}

function decodeClear(value: unknown): Clear {
  const record = asRecord(value, 'clear');
  refuseUnknown(record, 'clear', CLEAR_MEMBERS);
  return {
    token: toToken(asText(record['token'], 'token')),
    witnesses: asArray(record['witnesses'], 'witnesses', WITNESSES_MAX).map(asWitness),
  };
}

/** Throws MalformedMessage. Contents are views of `frame`. */
export function decodeTransactions(frame: Buffer): TransactionBatch {
  const { header, content } = splitFrame(frame);
  if (content.length > BATCH_CONTENT_BYTES_MAX) throw new MalformedMessage('contents over the limit');
  const record = asRecord(header, 'batch');
  refuseUnknown(record, 'batch', BATCH_MEMBERS);
  const scope: BatchScope = {
    setId: asText(record['setId'], 'setId'),
    epoch: asEpoch(record['epoch'], 'epoch'),
    cursor: new ContentCursor(content),
  };
  const floor = asTag(record['floor'], 'floor');
  const writes = asArray(record['writes'], 'writes', BATCH_WRITES_MAX).map((write) =>
    decodeItem(scope, write),
  );
  const clears = asArray(record['clears'], 'clears', BATCH_CLEARS_MAX).map(decodeClear);
  scope.cursor.finish();
  return { setId: scope.setId, epoch: scope.epoch, floor, writes, clears };
}

export function encodeTransactionsReply(reply: TransactionBatchReply): Buffer {
  return Buffer.from(JSON.stringify(reply));
}

function decodeReplyItem(value: unknown): TransactionReply {
  const record = asRecord(value, 'reply');
  const kind = asWord(record['kind'], 'kind', ['committed', 'refused'] as const);
  if (kind === 'refused') {
    const code = asRefusalCode(record['code'], TRANSACTION_REFUSALS);
    return { kind, code, lastTag: asTagOrNull(record['lastTag'], 'lastTag') };
  }
  return {
    kind,
    token: toToken(asText(record['token'], 'token')),
    commitSequence: asCount(record['commitSequence'], 'commitSequence'),
    isDuplicate: asFlag(record['isDuplicate'], 'isDuplicate'),
  };
}

/** Takes an answer to clears apart; also that of row drops. Throws MalformedMessage. */
export function decodeClearsReply(value: unknown): ClearsReply {
  const record = asRecord(value, 'clears');
  const kind = asWord(record['kind'], 'kind', ['cleared', 'refused'] as const);
  return kind === 'cleared'
    ? { kind, rowCount: asCount(record['rowCount'], 'rowCount') }
    : { kind, code: asRefusalCode(record['code'], CLEAR_REFUSALS) };
}

/** Throws MalformedMessage, also when the answer has not one reply for each of `writeCount` writes. */
export function decodeTransactionsReply(body: Buffer, writeCount: number): TransactionBatchReply {
  const record = asRecord(parseJson(body.toString('utf8')), 'answer');
  const writes = asArray(record['writes'], 'writes', BATCH_WRITES_MAX).map(decodeReplyItem);
  if (writes.length !== writeCount) throw new MalformedMessage('not one reply for each write');
  const clears = record['clears'];
  return {
    storeId: asStoreId(record['storeId'], 'storeId'),
    writes,
    clears: clears === null ? null : decodeClearsReply(clears),
  };
}
