/**
 * The request and the answer of POST /v1/reads: states and small contents of several objects at once. Checked by hand, no schema.
 *
 * Request, JSON:
 *
 *   { epoch, reads: [{ id, range: null (all) | "first-last" | "first-" | "-length" | "none" (the state only),
 *                      traceparent (when somebody follows the read) }] }
 *
 * Answer, a frame (see `frame.ts`); one reply for each read, in order:
 *
 *   header  { reads: [ { kind: "here", state, extent: null | { offset, length } }
 *                    | { kind: "absent" }
 *                    | { kind: "alone" }      its bytes are too many for company: it must be read by itself
 *                    | { kind: "refused", code, message } ] }
 *   bytes   for each "here", in order: `extent.length` bytes
 */
import type { Extent } from '../protocol/extent.js';
import type { ObjectId } from '../protocol/object-id.js';
import type { Epoch } from '../protocol/tag.js';
import { ContentCursor, encodeFrame, parseJson, splitFrame } from './frame.js';
import { MalformedMessage } from './malformed-message.js';
import type { PresentObject, RemoteRange } from './osd-connection.js';
import {
  asArray,
  asChecksum,
  asCount,
  asEpoch,
  asObjectId,
  asRecord,
  asTag,
  asText,
  asWord,
  refuseUnknown,
} from './record-reader.js';
import { rangeOfText, rangeText } from './request-paths.js';

/** Reads in one request. */
export const BATCH_READS_MAX = 128;
/** What one read may bring along in company; more is read by itself. */
export const BATCHED_READ_BYTES_MAX = 64 * 1024;
/** All contents of one answer. */
export const BATCH_READ_BYTES_MAX = 1024 * 1024;

const BATCH_MEMBERS: ReadonlySet<string> = new Set(['epoch', 'reads']);
const READ_MEMBERS: ReadonlySet<string> = new Set(['id', 'range', 'traceparent']);
const REPLY_KINDS = ['here', 'absent', 'alone', 'refused'] as const;

/** `none`: the state without any bytes. */
export type BatchedRange = RemoteRange | { readonly kind: 'none' };

export interface BatchedRead {
  readonly id: ObjectId;
  readonly range: BatchedRange;
  /** Of whoever follows the read; absent: nobody does. */
  readonly traceparent?: string | undefined;
}

export interface ReadBatch {
  readonly epoch: Epoch;
  readonly reads: readonly BatchedRead[];
}

export type BatchedReply =
  | {
      readonly kind: 'here';
      readonly state: PresentObject;
      readonly extent: Extent | null;
      readonly bytes: Buffer;
    }
  | { readonly kind: 'absent' }
  | { readonly kind: 'alone' }
  | { readonly kind: 'refused'; readonly code: string; readonly message: string };

function textOf(range: BatchedRange): string | null {
  return range.kind === 'none' ? range.kind : rangeText(range);
}

function rangeOf(value: unknown): BatchedRange {
  if (value === null) return { kind: 'whole' };
  return value === 'none' ? { kind: value } : rangeOfText(value);
}

export function encodeReads({ epoch, reads }: ReadBatch): Buffer {
  // What is undefined is left out.
  const wishes = reads.map(({ id, range, traceparent }) => ({ id, range: textOf(range), traceparent }));
  return Buffer.from(JSON.stringify({ epoch, reads: wishes }));
}

/** Throws MalformedMessage. */
export function decodeReads(body: Buffer): ReadBatch {
  const record = asRecord(parseJson(body.toString('utf8')), 'batch');
  refuseUnknown(record, 'batch', BATCH_MEMBERS);
  const reads = asArray(record['reads'], 'reads', BATCH_READS_MAX).map((value) => {
    const read = asRecord(value, 'read');
    refuseUnknown(read, 'read', READ_MEMBERS);
    const wish = { id: asObjectId(read['id'], 'id'), range: rangeOf(read['range']) };
    const traceparent = read['traceparent'];
    return traceparent === undefined ? wish : { ...wish, traceparent: asText(traceparent, 'traceparent') };
  });
  return { epoch: asEpoch(record['epoch'], 'epoch'), reads };
}

export function encodeReadsReply(replies: readonly BatchedReply[]): Buffer {
  const contents: Buffer[] = [];
  const reads = replies.map((reply) => {
    if (reply.kind !== 'here') return reply;
    const { kind, state, extent, bytes } = reply;
    contents.push(bytes);
    return { kind, state, extent };
  });
  return encodeFrame({ reads }, contents);
}

/** Throws MalformedMessage. */
export function presentObjectOf(value: unknown): PresentObject {
  const record = asRecord(value, 'state');
  return {
    kind: asWord(record['kind'], 'kind', ['present'] as const),
    sizeBytes: asCount(record['sizeBytes'], 'sizeBytes'),
    lastTag: asTag(record['lastTag'], 'lastTag'),
    lastChecksum: asChecksum(record['lastChecksum'], 'lastChecksum'),
    attributes: asText(record['attributes'], 'attributes'),
  };
}

function extentOf(value: unknown): Extent | null {
  if (value === null) return null;
  const record = asRecord(value, 'extent');
  return { offset: asCount(record['offset'], 'offset'), length: asCount(record['length'], 'length') };
}

function replyOf(value: unknown, cursor: ContentCursor): BatchedReply {
  const record = asRecord(value, 'reply');
  const kind = asWord(record['kind'], 'kind', REPLY_KINDS);
  switch (kind) {
    case 'here': {
      const extent = extentOf(record['extent']);
      return {
        kind,
        state: presentObjectOf(record['state']),
        extent,
        bytes: cursor.take(extent?.length ?? 0),
      };
    }
    case 'refused':
      return { kind, code: asText(record['code'], 'code'), message: asText(record['message'], 'message') };
    default:
      return { kind };
  }
}

/** Throws MalformedMessage, also when the answer has not one reply for each of `readCount` reads. Contents are views of `frame`. */
export function decodeReadsReply(frame: Buffer, readCount: number): BatchedReply[] {
  const { header, content } = splitFrame(frame);
  const cursor = new ContentCursor(content);
  const values = asArray(asRecord(header, 'answer')['reads'], 'reads', BATCH_READS_MAX);
  const replies = values.map((value) => replyOf(value, cursor));
  cursor.finish();
  if (replies.length !== readCount) throw new MalformedMessage('not one reply for each read');
  return replies;
}
