/**
 * The requests that land what a reconciliation sends, frames (see `frame.ts`).
 *
 * POST /v1/pushes, one push:
 *
 *   header  push = { epoch, objectId, expectedLastTag, lastTag, state, content: { kind: "whole" } | { kind: "extents", extents },
 *                    lost: [extent] (where some are),
 *                    bytes: { kind: "none" } | { kind: "inline", lengthBytes } | { kind: "staged", stageId },
 *                    contentChecksum, rows: [tag table row] }
 *   bytes   `lengthBytes` bytes when `bytes` is "inline", else none
 *
 * POST /v1/push-batches, several of them:
 *
 *   header  { pushes: [push] }
 *   bytes   for each push with "inline" bytes, in order: `lengthBytes` bytes
 *
 * The answer of a batch, JSON: { replies: [ answer of POST /v1/pushes | { kind: "failed", code, message } ] }, one for each push, in order.
 */
import { type Extent, extentEnd } from '../protocol/extent.js';
import { ContentCursor, encodeFrame, splitFrame } from './frame.js';
import { MalformedMessage } from './malformed-message.js';
import { pushBatchAnswer, pushHeader } from './messages.js';
import type { PushContent, RemotePush, RemotePushReply } from './osd-connection.js';
import { asArray, asRecord, refuseUnknown } from './record-reader.js';

/** Pushes in one request; their rows, and their bytes, all together. One that is more than that by itself travels alone. */
export const BATCH_PUSHES_MAX = 128;
export const BATCH_PUSH_ROWS_MAX = 2048;
export const BATCH_PUSH_BYTES_MAX = 2 * 1024 * 1024;

const BATCH_MEMBERS: ReadonlySet<string> = new Set(['pushes']);

/** One push of a batch that is neither landed nor refused by the rules: the whole request would have failed with this. */
export type BatchedPushReply =
  RemotePushReply | { readonly kind: 'failed'; readonly code: string; readonly message: string };

type BytesHeader = ReturnType<typeof pushHeader.decode>['bytes'];

function encodeBytes(bytes: PushContent, contents: Buffer[]): BytesHeader {
  switch (bytes.kind) {
    case 'none':
      return { kind: 'none' };
    case 'bytes':
      contents.push(bytes.bytes);
      return { kind: 'inline', lengthBytes: bytes.bytes.length };
    case 'stage':
      return { kind: 'staged', stageId: bytes.stageId };
  }
}

function encodeHeader({ bytes, ...fields }: RemotePush, contents: Buffer[]): object {
  return { ...fields, bytes: encodeBytes(bytes, contents) };
}

export function encodePush(push: RemotePush): Buffer {
  const contents: Buffer[] = [];
  return encodeFrame(encodeHeader(push, contents), contents);
}

export function encodePushes(pushes: readonly RemotePush[]): Buffer {
  const contents: Buffer[] = [];
  return encodeFrame({ pushes: pushes.map((push) => encodeHeader(push, contents)) }, contents);
}

/** Throws MalformedMessage. The content is a view of `frame`. */
export function decodePush(frame: Buffer): RemotePush {
  const { header, content } = splitFrame(frame);
  const cursor = new ContentCursor(content);
  const push = decodeHeader(header, cursor);
  cursor.finish();
  return push;
}

/** Throws MalformedMessage. Contents are views of `frame`. */
export function decodePushes(frame: Buffer): RemotePush[] {
  const { header, content } = splitFrame(frame);
  const cursor = new ContentCursor(content);
  const record = asRecord(header, 'batch');
  refuseUnknown(record, 'batch', BATCH_MEMBERS);
  const headers = asArray(record['pushes'], 'pushes', BATCH_PUSHES_MAX);
  const pushes = headers.map((value) => decodeHeader(value, cursor));
  cursor.finish();
  return pushes;
}

export function encodePushesReply(replies: readonly BatchedPushReply[]): Buffer {
  return Buffer.from(JSON.stringify({ replies }));
}

/** Throws MalformedMessage, also when the answer has not one reply for each of `pushCount` pushes. */
export function decodePushesReply(body: Buffer, pushCount: number): readonly BatchedPushReply[] {
  const { replies } = pushBatchAnswer.decodeBytes(body);
  if (replies.length !== pushCount) throw new MalformedMessage('not one reply for each push');
  return replies;
}

function decodeHeader(header: unknown, cursor: ContentCursor): RemotePush {
  const { bytes, ...fields } = pushHeader.decode(header);
  const push = { ...fields, bytes: decodeBytes(bytes, cursor) };
  checkPush(push);
  return push;
}

function decodeBytes(bytes: BytesHeader, cursor: ContentCursor): PushContent {
  switch (bytes.kind) {
    case 'none':
      return { kind: 'none' };
    case 'inline':
      return { kind: 'bytes', bytes: cursor.take(bytes.lengthBytes) };
    case 'staged':
      return { kind: 'stage', stageId: bytes.stageId };
  }
}

/** A push that contradicts itself is the sender's mistake. */
function checkPush(push: RemotePush): void {
  const { state, lastTag, rows, objectId, content } = push;
  if (lastTag !== (state?.lastTag ?? null))
    throw new MalformedMessage('the last tag is not that of the state');
  if (state === null && rows.length > 0)
    throw new MalformedMessage('an object that nobody knows has no rows');
  if (rows.some((row) => row.objectId !== objectId)) throw new MalformedMessage('a row is of another object');
  const sizeBytes = state?.kind === 'present' ? state.sizeBytes : 0;
  if (content.kind === 'extents' && content.extents.some((extent) => extentEnd(extent) > sizeBytes)) {
    throw new MalformedMessage('an extent is outside the object');
  }
  if (push.lost !== undefined && !isWithin(push.lost, coveredExtents(push)))
    throw new MalformedMessage('what is lost is no part of the push');
}

function coveredExtents({ state, content }: RemotePush): readonly Extent[] {
  if (state?.kind !== 'present') return [];
  return content.kind === 'whole' ? [{ offset: 0, length: state.sizeBytes }] : content.extents;
}

/** True when these are a set of extents, each within one of the others. */
function isWithin(lost: readonly Extent[], covered: readonly Extent[]): boolean {
  let end = 0;
  for (const extent of lost) {
    if (extent.length === 0 || extent.offset < end) return false;
    end = extentEnd(extent);
    if (!covered.some(({ offset, length }) => offset <= extent.offset && end <= offset + length))
      return false;
  }
  return true;
}
