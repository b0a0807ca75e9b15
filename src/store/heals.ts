/**
 * Heals: intact bytes in the place of rotten ones, of an object that stays what it is.
 *
 * Commit order: as for a write (writes.ts): content in a synced blob first, then one synced batch with the new map. No row, no
 * tag: the state is the same as before.
 */
import { decideHeal } from '../protocol/heal.js';
import { extentBytes } from '../protocol/extent.js';
import { ContentEdit, pointsTo, placeContent } from './content-edit.js';
import { type ExtentMap, spliceExtent } from './extent-map.js';
import type { Heal, HealReply } from './object-store.js';
import type { ObjectEntry } from './object-entry.js';
import type { Attempt } from './object-turn.js';
import { mapOf } from './records.js';
import { discardContent, type Stages, type StoredContent } from './stages.js';
import type { StoreCore } from './store-core.js';

type RefusalCode = Extract<HealReply, { kind: 'refused' }>['code'];

export async function performHeal(core: StoreCore, stages: Stages, heal: Heal): Promise<HealReply> {
  const edit = new ContentEdit(core);
  let admittedMap: ExtentMap = [];
  const attempt = (entry: ObjectEntry): Attempt<HealReply> => {
    core.assertUsable();
    const before = entry.pending;
    const targetLastTag = before?.kind === 'present' ? before.state.lastTag : null;
    const verdict = decideHeal({ fence: core.fence, targetLastTag }, heal);
    if (verdict.kind === 'refuse') return refuse(verdict.code);
    const content = stages.peek(heal.stageId);
    if (content === null) return refuse('unknown-stage');
    const isAsStated =
      content.contentChecksum === heal.contentChecksum && content.lengthBytes === extentBytes(heal.extents);
    if (!isAsStated) return refuse('checksum-mismatch');
    if (before?.kind !== 'present') return refuse('changed');
    const map = healedMap(before.map, content, heal);
    const needRewritten = edit.needRewritten(map);
    if (needRewritten !== null) return { kind: 'wait', until: needRewritten };
    if (edit.isOutOfSpace) return refuse('no-space');
    const next = { ...before, map: edit.rewritten(map) };
    const needReferences = edit.needReferences(entry, next);
    if (needReferences !== null) return { kind: 'wait', until: needReferences };
    const batch = core.commit.open();
    batch.countTransaction();
    core.changeObject(batch, entry, next);
    admittedMap = mapOf(next);
    useStage(core, stages.use(heal.stageId), admittedMap);
    return { kind: 'done', result: batch.written.then((): HealReply => ({ kind: 'landed' })) };
  };
  try {
    return await core.table.perform(heal.objectId, attempt);
  } finally {
    edit.cleanUp(admittedMap);
  }
}

function refuse(code: RefusalCode): Attempt<HealReply> {
  return { kind: 'done', result: { kind: 'refused', code } };
}

function healedMap(map: ExtentMap, content: StoredContent, { extents }: Heal): ExtentMap {
  let healed = map;
  let contentOffset = 0;
  for (const extent of extents) {
    healed = spliceExtent(healed, placeContent(content, contentOffset, extent));
    contentOffset += extent.length;
  }
  return healed;
}

function useStage(core: StoreCore, content: StoredContent, map: ExtentMap): void {
  if (content.source.kind === 'blob' && !pointsTo(map, content.source.blobId)) discardContent(core, content);
}
