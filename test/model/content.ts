/** What writes and pushes do to bytes. */
import { clipExtents, type Extent, extentBytes, extentEnd } from '../../src/protocol/extent.js';
import type { WriteEffect } from '../../src/protocol/write.js';
import type { PushRequest } from './messages.js';
import { storeObject, type StoredObject } from './simulated-disk.js';

/** The content after a write. */
export function spliceBytes(present: Uint8Array, bytes: Uint8Array, effect: WriteEffect): Uint8Array {
  switch (effect.edit.kind) {
    case 'replace-all':
      return bytes;
    case 'drop':
      return new Uint8Array();
    case 'keep':
      return present;
    case 'splice': {
      const sizeBytes = effect.object.kind === 'present' ? effect.object.sizeBytes : 0;
      const content = new Uint8Array(sizeBytes);
      content.set(present);
      content.set(bytes, effect.edit.extent.offset);
      return content;
    }
  }
}

/** What a target has once a push has landed, and the bytes that travelled for it. */
export function mergePush(
  present: StoredObject | null,
  push: PushRequest,
): { readonly object: StoredObject | null; readonly byteCount: number } | 'no-base' {
  const { object } = push.copy;
  if (object?.state.kind !== 'present') return { object, byteCount: 0 };
  if (push.content.kind === 'whole') {
    return { object: storeObject(object.state, object.bytes), byteCount: object.bytes.length };
  }
  if (present?.state.kind !== 'present') return 'no-base';
  const { sizeBytes } = object.state;
  const extents = clipExtents(push.content.extents, sizeBytes);
  const content = new Uint8Array(sizeBytes);
  content.set(present.bytes.subarray(0, sizeBytes));
  for (const { offset, length } of extents) {
    content.set(object.bytes.subarray(offset, offset + length), offset);
  }
  const { rottenAt } = present;
  const isRotten =
    rottenAt !== null && rottenAt < sizeBytes && !extents.some((extent) => holds(extent, rottenAt));
  return {
    object: { ...storeObject(object.state, content), rottenAt: isRotten ? rottenAt : null },
    byteCount: extentBytes(extents),
  };
}

export function holds(extent: Extent, position: number): boolean {
  return position >= extent.offset && position < extentEnd(extent);
}
