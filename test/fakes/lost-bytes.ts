/** Which bytes of which objects are lost, and what is kept of what these were before: for stores in memory. */
import type { ComposeSource } from '../../src/protocol/compose.js';
import {
  clipExtents,
  complementExtents,
  type Extent,
  extentBytes,
  extentEnd,
  uniteExtents,
} from '../../src/protocol/extent.js';
import { compareUtf8, type ObjectId } from '../../src/protocol/object-id.js';
import type { ContentEdit, ObjectState } from '../../src/protocol/write.js';
import type { LostObject, Push } from '../../src/store/object-store.js';

interface HeldCopy {
  readonly state: ObjectState;
  readonly bytes: Buffer;
}

interface Lost {
  readonly extents: readonly Extent[];
  readonly kept: HeldCopy | null;
}

function subtract(set: readonly Extent[], covered: readonly Extent[]): Extent[] {
  return set.flatMap((extent) => complementExtents(uniteExtents(covered), extent));
}

export class LostBytes {
  readonly #lost = new Map<ObjectId, Lost>();

  of(id: ObjectId): readonly Extent[] {
    return this.#lost.get(id)?.extents ?? [];
  }

  kept(id: ObjectId): HeldCopy | null {
    return this.#lost.get(id)?.kept ?? null;
  }

  isIn(id: ObjectId, extent: Extent | null): boolean {
    if (extent === null) return false;
    return this.of(id).some((lost) => lost.offset < extentEnd(extent) && extent.offset < extentEnd(lost));
  }

  /** The parts of a push that its bytes are for. */
  pushedParts({ state, content, lost = [] }: Push): Extent[] {
    if (state?.kind !== 'present') return [];
    const covered = content.kind === 'whole' ? [{ offset: 0, length: state.sizeBytes }] : content.extents;
    return covered.flatMap((extent) => complementExtents(lost, extent));
  }

  #set(id: ObjectId, extents: readonly Extent[], kept: HeldCopy | null): void {
    if (extents.length === 0) this.#lost.delete(id);
    else this.#lost.set(id, { extents, kept });
  }

  afterWrite(id: ObjectId, edit: ContentEdit): void {
    if (edit.kind === 'keep') return;
    const left = edit.kind === 'splice' ? subtract(this.of(id), [edit.extent]) : [];
    this.#set(id, left, this.kept(id));
  }

  /** A copy shares what is lost of its sources. */
  afterCompose(id: ObjectId, sources: readonly ComposeSource[]): void {
    const lost: Extent[] = [];
    let position = 0;
    for (const { objectId, extent } of sources) {
      for (const { offset, length } of subtract([extent], subtract([extent], this.of(objectId))))
        lost.push({ offset: offset - extent.offset + position, length });
      position += extent.length;
    }
    this.#set(id, uniteExtents(lost), this.kept(id));
  }

  afterHeal(id: ObjectId, extents: readonly Extent[]): void {
    this.#set(id, subtract(this.of(id), extents), this.kept(id));
  }

  afterPush(
    { objectId, state, content, lost = [] }: Pick<Push, 'objectId' | 'state' | 'content' | 'lost'>,
    before: HeldCopy | undefined,
  ): void {
    const sizeBytes = state?.kind === 'present' ? state.sizeBytes : 0;
    const untouched = content.kind === 'whole' ? [] : subtract(this.of(objectId), content.extents);
    const wasWhole = before?.state.kind === 'present' && this.of(objectId).length === 0;
    const isSame = before?.state.lastTag === state?.lastTag;
    const kept = wasWhole && !isSame ? before : this.kept(objectId);
    this.#set(objectId, uniteExtents([...clipExtents(untouched, sizeBytes), ...lost]), kept);
  }

  list(
    objects: ReadonlyMap<ObjectId, HeldCopy>,
    { after, limit }: { readonly after: ObjectId | null; readonly limit: number },
  ): LostObject[] {
    const ids = [...this.#lost.keys()].filter((id) => after === null || compareUtf8(id, after) > 0);
    return ids
      .sort(compareUtf8)
      .slice(0, limit)
      .flatMap((objectId) => {
        const state = objects.get(objectId)?.state;
        if (state?.kind !== 'present') return [];
        const kept = this.kept(objectId)?.state;
        return {
          objectId,
          state,
          lostBytes: extentBytes(this.of(objectId)),
          kept: kept?.kind === 'present' ? kept : null,
        };
      });
  }
}
