/**
 * The request of POST /v1/pushes, a frame (see `frame.ts`):
 *
 *   header  { epoch, objectId, expectedLastTag, lastTag, state, content: { kind: "whole" } | { kind: "extents", extents },
 *             bytes: { kind: "none" } | { kind: "inline", lengthBytes } | { kind: "staged", stageId },
 *             contentChecksum, rows: [tag table row] }
 *   bytes   `lengthBytes` bytes when `bytes` is "inline", else none
 */
import { extentEnd } from '../protocol/extent.js';
import { encodeFrame, splitFrame } from './frame.js';
import { MalformedMessage } from './malformed-message.js';
import { pushHeader } from './messages.js';
import type { RemotePush, PushContent } from './osd-connection.js';

export function encodePush(push: RemotePush): Buffer {
  const { bytes, ...fields } = push;
  switch (bytes.kind) {
    case 'none':
      return encodeFrame({ ...fields, bytes: { kind: 'none' } }, []);
    case 'bytes':
      return encodeFrame({ ...fields, bytes: { kind: 'inline', lengthBytes: bytes.bytes.length } }, [
        bytes.bytes,
      ]);
    case 'stage':
      return encodeFrame({ ...fields, bytes: { kind: 'staged', stageId: bytes.stageId } }, []);
  }
}

/** Throws MalformedMessage. The content is a view of `frame`. */
export function decodePush(frame: Buffer): RemotePush {
  const { header, content } = splitFrame(frame);
  const { bytes, ...fields } = pushHeader.decode(header);
  const inlineBytes = bytes.kind === 'inline' ? bytes.lengthBytes : 0;
  if (content.length !== inlineBytes) throw new MalformedMessage('the frame has not the bytes it promises');
  const push = { ...fields, bytes: pushContent(bytes, content) };
  checkPush(push);
  return push;
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
}

function pushContent(
  bytes: { kind: 'none' } | { kind: 'inline' } | { kind: 'staged'; stageId: string },
  content: Buffer,
): PushContent {
  switch (bytes.kind) {
    case 'none':
      return { kind: 'none' };
    case 'inline':
      return { kind: 'bytes', bytes: content };
    case 'staged':
      return { kind: 'stage', stageId: bytes.stageId };
  }
}
