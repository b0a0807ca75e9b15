/**
 * The request and the answer of POST /v1/forwarded-writes, as hot a path as transactions: checked by hand, no schema.
 *
 * Request, a frame (see `frame.ts`):
 *
 *   header  { setId, epoch, generator, requestFloor,
 *             writes: [{ request, objectId, kind, previousTag, offset, length, mode, attributes, checksum,
 *                        traceparent (when somebody follows the write),
 *                        content: "none" | "inline" | "staged" | "composed", contentChecksum,
 *                        stages: [{ mirror, stageId }], missing: [{ mirror, code }] (when staged),
 *                        sources (when composed): [{ objectId, expectedTag, offset, length }] }] }
 *   bytes   for each write with content "inline", in order: `length` bytes
 *
 * Answer, JSON:
 *
 *   { writes: [{ kind: "written", tag,
 *                answers: [{ mirror, kind: "committed" } | { mirror, kind: "refused", code } | { mirror, kind: "unknown", reason }] }
 *              | { kind: "refused", code }] }
 */
import { type MirrorId, toMirrorId } from '../protocol/authority-state.js';
import { COMPOSE_SOURCES_MAX } from '../protocol/compose.js';
import { invariant } from '../protocol/invariant.js';
import { type GeneratorId, toGeneratorId } from '../protocol/tag.js';
import type { MirrorVerdict } from '../protocol/write-outcome.js';
import { ContentCursor, encodeFrame, parseJson, splitFrame } from './frame.js';
import { MalformedMessage, malformedOnRangeError } from './malformed-message.js';
import {
  BATCH_CONTENT_BYTES_MAX,
  BATCH_WRITES_MAX,
  type ForwardedBatch,
  type ForwardedBatchReply,
  type ForwardedContent,
  type ForwardedReply,
  type ForwardedWrite,
} from './osd-connection.js';
import {
  asArray,
  asChecksum,
  asCount,
  asEpoch,
  asObjectId,
  asRecord,
  asTag,
  asTagOrNull,
  asText,
  asWord,
  type JsonRecord,
  refuseUnknown,
} from './record-reader.js';
import { asRefusalCode, decodeSource, encodeSource, WRITE_KINDS, WRITE_MODES } from './transaction-frame.js';

const CONTENT_KINDS = ['none', 'inline', 'staged', 'composed'] as const;
/** Mirrors of one set. */
const MIRRORS_MAX = 64;
/** Of a code or a reason, in UTF-16 code units. */
const WORD_LENGTH_MAX = 1024;

const BATCH_MEMBERS: ReadonlySet<string> = new Set([
  ...['setId', 'epoch', 'generator', 'requestFloor', 'writes'],
]);
const WRITE_MEMBERS: ReadonlySet<string> = new Set([
  ...['request', 'objectId', 'kind', 'previousTag', 'offset', 'length', 'mode', 'attributes', 'checksum'],
  ...['content', 'contentChecksum', 'stages', 'missing', 'sources', 'traceparent'],
]);
const STAGE_MEMBERS: ReadonlySet<string> = new Set(['mirror', 'stageId']);
const MISSING_MEMBERS: ReadonlySet<string> = new Set(['mirror', 'code']);

const REFUSALS: Readonly<Record<Extract<ForwardedReply, { kind: 'refused' }>['code'], true>> = {
  settled: true,
  'request-conflict': true,
  'too-many-requests': true,
  'checksum-mismatch': true,
};

function encodeContent(content: ForwardedContent, lengthBytes: number, contents: Buffer[]): object {
  switch (content.kind) {
    case 'none':
      return { content: 'none' };
    case 'bytes':
      invariant(content.bytes.length === lengthBytes, 'a write states the length of its content', {
        stated: lengthBytes,
        actual: content.bytes.length,
      });
      contents.push(content.bytes);
      return { content: 'inline' };
    case 'stages':
      return { content: 'staged', stages: content.stages, missing: content.missing };
    case 'compose':
      return { content: 'composed', sources: content.sources.map(encodeSource) };
  }
}

export function encodeForwarded(batch: ForwardedBatch): Buffer {
  const contents: Buffer[] = [];
  const { writes, ...scope } = batch;
  const encoded = writes.map(({ content, ...fields }) => ({
    ...fields,
    ...encodeContent(content, fields.length, contents),
  }));
  return encodeFrame({ ...scope, writes: encoded }, contents);
}

function asMirror(value: unknown): MirrorId {
  const text = asText(value, 'mirror');
  return malformedOnRangeError(() => toMirrorId(text));
}

function asGenerator(value: unknown): GeneratorId {
  const count = asCount(value, 'generator');
  return malformedOnRangeError(() => toGeneratorId(count));
}

function asShortText(value: unknown, name: string): string {
  const text = asText(value, name);
  if (text.length > WORD_LENGTH_MAX) throw new MalformedMessage(`${name} is too long`);
  return text;
}

function decodeContent(record: JsonRecord, length: number, cursor: ContentCursor): ForwardedContent {
  const kind = asWord(record['content'], 'content', CONTENT_KINDS);
  switch (kind) {
    case 'none':
      return { kind: 'none' };
    case 'inline':
      return { kind: 'bytes', bytes: cursor.take(length) };
    case 'staged':
      return {
        kind: 'stages',
        stages: asArray(record['stages'], 'stages', MIRRORS_MAX).map((value) => {
          const stage = asRecord(value, 'stage');
          refuseUnknown(stage, 'stage', STAGE_MEMBERS);
          const { mirror, stageId } = stage;
          return { mirror: asMirror(mirror), stageId: asShortText(stageId, 'stageId') };
        }),
        missing: asArray(record['missing'], 'missing', MIRRORS_MAX).map((value) => {
          const missing = asRecord(value, 'missing');
          refuseUnknown(missing, 'missing', MISSING_MEMBERS);
          const { mirror, code } = missing;
          return { mirror: asMirror(mirror), code: asShortText(code, 'code') };
        }),
      };
    case 'composed':
      return {
        kind: 'compose',
        sources: asArray(record['sources'], 'sources', COMPOSE_SOURCES_MAX).map(decodeSource),
      };
  }
}

function decodeWrite(value: unknown, cursor: ContentCursor): ForwardedWrite {
  const record = asRecord(value, 'write');
  refuseUnknown(record, 'write', WRITE_MEMBERS);
  const attributes = record['attributes'];
  const length = asCount(record['length'], 'length');
  return {
    request: asCount(record['request'], 'request'),
    objectId: asObjectId(record['objectId'], 'objectId'),
    kind: asWord(record['kind'], 'kind', WRITE_KINDS),
    previousTag: asTagOrNull(record['previousTag'], 'previousTag'),
    offset: asCount(record['offset'], 'offset'),
    length,
    mode: asWord(record['mode'], 'mode', WRITE_MODES),
    attributes: attributes === null ? null : asText(attributes, 'attributes'),
    checksum: asChecksum(record['checksum'], 'checksum'),
    contentChecksum: asChecksum(record['contentChecksum'], 'contentChecksum'),
    content: decodeContent(record, length, cursor),
    ...(record['traceparent'] !== undefined && {
      traceparent: asText(record['traceparent'], 'traceparent'),
    }),
  };
}

/** Throws MalformedMessage. Contents are views of `frame`. */
export function decodeForwarded(frame: Buffer): ForwardedBatch {
  const { header, content } = splitFrame(frame);
  if (content.length > BATCH_CONTENT_BYTES_MAX) throw new MalformedMessage('contents over the limit');
  const record = asRecord(header, 'batch');
  refuseUnknown(record, 'batch', BATCH_MEMBERS);
  const cursor = new ContentCursor(content);
  const batch: ForwardedBatch = {
    setId: asText(record['setId'], 'setId'),
    epoch: asEpoch(record['epoch'], 'epoch'),
    generator: asGenerator(record['generator']),
    requestFloor: asCount(record['requestFloor'], 'requestFloor'),
    writes: asArray(record['writes'], 'writes', BATCH_WRITES_MAX).map((write) => decodeWrite(write, cursor)),
  };
  cursor.finish();
  return batch;
}

export function encodeForwardedReply(reply: ForwardedBatchReply): Buffer {
  const writes = reply.writes.map((write) =>
    write.kind === 'refused'
      ? write
      : { ...write, answers: write.answers.map(({ mirror, answer }) => ({ mirror, ...answer })) },
  );
  return Buffer.from(JSON.stringify({ writes }));
}

function decodeVerdict(record: JsonRecord): MirrorVerdict {
  const kind = asWord(record['kind'], 'kind', ['committed', 'refused', 'unknown'] as const);
  switch (kind) {
    case 'committed':
      return { kind };
    case 'refused':
      return { kind, code: asShortText(record['code'], 'code') };
    case 'unknown':
      return { kind, reason: asText(record['reason'], 'reason') };
  }
}

function decodeReply(value: unknown): ForwardedReply {
  const record = asRecord(value, 'reply');
  const kind = asWord(record['kind'], 'kind', ['written', 'refused'] as const);
  if (kind === 'refused') return { kind, code: asRefusalCode(record['code'], REFUSALS) };
  return {
    kind,
    tag: asTag(record['tag'], 'tag'),
    answers: asArray(record['answers'], 'answers', MIRRORS_MAX).map((answer) => {
      const fields = asRecord(answer, 'answer');
      return { mirror: asMirror(fields['mirror']), answer: decodeVerdict(fields) };
    }),
  };
}

/** Throws MalformedMessage, also when the answer has not one reply for each of `writeCount` writes. */
export function decodeForwardedReply(body: Buffer, writeCount: number): ForwardedBatchReply {
  const record = asRecord(parseJson(body.toString('utf8')), 'answer');
  const writes = asArray(record['writes'], 'writes', BATCH_WRITES_MAX).map(decodeReply);
  if (writes.length !== writeCount) throw new MalformedMessage('not one reply for each write');
  return { writes };
}
