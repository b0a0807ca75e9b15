/** What writes and pushes do to bytes. */
import { clipExtents, type Extent, extentBytes, extentEnd } from '../../src/protocol/extent.js';
import type { WriteEffect } from '../../src/protocol/write.js';
import type { PushRequest } from './messages.js';
import { isRotten, storeObject, type StoredObject } from './simulated-disk.js';

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
  keeps: typeof keeping = keeping,
): { readonly object: StoredObject | null; readonly byteCount: number } | 'no-base' {
  const { object } = push.copy;
  if (object?.state.kind !== 'present') return { object, byteCount: 0 };
  const lostAt = push.isLossy === true ? object.rottenAt : null;
  if (push.content.kind === 'whole') {
    const landed = { ...storeObject(object.state, object.bytes), rottenAt: lostAt };
    return { object: keeps(present, landed), byteCount: lostAt === null ? object.bytes.length : 0 };
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
  const staysRotten =
    rottenAt !== null && rottenAt < sizeBytes && !extents.some((extent) => holds(extent, rottenAt));
  const landed = {
    ...storeObject(object.state, content),
    rottenAt: lostAt ?? (staysRotten ? rottenAt : null),
  };
  return {
    object: keeps(present, landed),
    byteCount: lostAt === null ? extentBytes(extents) : 0,
  };
}

/** The last of an object that may be intact stays aside while what follows it is not. */
function keeping(present: StoredObject | null, next: StoredObject): StoredObject {
  if (!isRotten(next) || present === null) return next;
  if (present.state.lastTag === next.state.lastTag || isRotten(present) || present.state.kind !== 'present')
    return present.kept === undefined ? next : { ...next, kept: present.kept };
  return { ...next, kept: present };
}

export function holds(extent: Extent, position: number): boolean {
  return position >= extent.offset && position < extentEnd(extent);
}
