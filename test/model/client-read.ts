/**
 * A client's read through the gateway: one mirror in sync is asked, and another one where the first has rotten bytes, which
 * are healed then (DESIGN.md section 9, F30).
 *
 * Histories are linearizable (each object by itself): writes have an order, that of their issue, and a read is answered
 * with one of them. Place each read right behind the write that it shows. That order keeps to real time, when
 *
 *   - a read shows nothing older than what was acknowledged or shown before the read began (`read-went-back`);
 *   - what it shows was issued before it ended, so it is one of the writes that the history knows (`torn`);
 *   - a write that a client was told did not happen is never seen (`refused-happened`).
 */
import type { MirrorId } from '../../src/protocol/authority-state.js';
import type { ObjectId } from '../../src/protocol/object-id.js';
import type { Tag } from '../../src/protocol/tag.js';
import type { Settled } from './history.js';
import type { MirrorResponse } from './messages.js';
import type { StoredObject } from './simulated-disk.js';
import type { SimulatedGateway } from './simulated-gateway.js';
import type { World } from './world.js';

interface Read {
  readonly objectId: ObjectId;
  readonly gateway: SimulatedGateway;
  /** What was settled when it began. */
  readonly settled: Settled;
  readonly rotten: MirrorId[];
}

/** False: the client has to wait (F26), or nobody is there. */
export function beginRead(world: World, objectId: ObjectId, from: MirrorId): boolean {
  const gateway = world.writer;
  if (gateway?.inSync.includes(from) !== true) return false;
  if (world.rules.decideReadStart(gateway.undecidedTags(objectId)).kind === 'wait') return false;
  ask(world, { objectId, gateway, settled: world.history.settled(objectId), rotten: [] }, from);
  return true;
}

function ask(world: World, read: Read, from: MirrorId): void {
  const { objectId, gateway } = read;
  let isAnswered = false;
  world.network.call(gateway.name, from, { kind: 'read', epoch: gateway.epoch, objectId }, (response) => {
    if (isAnswered) return;
    isAnswered = true;
    take(world, read, { from, response });
  });
}

function take(
  world: World,
  read: Read,
  { from, response }: { readonly from: MirrorId; readonly response: MirrorResponse | null },
): void {
  const { objectId, gateway, rotten } = read;
  if (gateway.status === 'deposed') return;
  if (response?.kind === 'damaged') {
    rotten.push(from);
    const other = gateway.inSync.find((mirror) => !rotten.includes(mirror));
    if (other !== undefined) ask(world, read, other);
    return;
  }
  if (response?.kind !== 'content') return;
  const { object, forgotten } = response;
  const undecided = gateway.undecidedTags(objectId);
  if (world.rules.decideRead(undecided, object?.state.lastTag ?? null).kind === 'wait') return;
  world.network.note(`a client reads ${object?.state.lastTag ?? 'nothing'} from ${from}`);
  show(world, { objectId, object, forgotten, from, settled: read.settled });
  if (object?.state.kind !== 'present') return;
  const heal = { epoch: gateway.epoch, lastTag: object.state.lastTag };
  for (const mirror of rotten)
    world.network.call(
      gateway.name,
      mirror,
      { kind: 'heal', heal, object: { objectId, bytes: object.bytes } },
      () => undefined,
    );
}

interface Shown {
  readonly objectId: ObjectId;
  readonly object: StoredObject | null;
  /** The newest tombstone that the mirror has let go of. */
  readonly forgotten: Tag | null;
  readonly from: MirrorId;
  readonly settled: Settled;
}

/** A client sees this. */
export function show(world: World, { objectId, object, forgotten, from, settled }: Shown): void {
  const { history } = world;
  const absent = forgotten === null ? null : (history.writesOf(forgotten).at(-1) ?? null);
  const seen = object === null ? absent : history.find(object);
  if (seen === null && object !== null) {
    world.violate('torn', `${from} shows a content of ${objectId} that ${object.state.lastTag} never made`);
    return;
  }
  if ((seen?.ordinal ?? 0) < settled.ordinal && !(isAbsent(seen?.state.kind) && settled.isAbsent))
    world.violate('read-went-back', `${from} answers with #${seen?.ordinal ?? 0} after #${settled.ordinal}`);
  if (seen === null) return;
  if (history.wasRefused(seen)) world.violate('refused-happened', `${from} shows #${seen.ordinal}`);
  history.settle(seen);
}

function isAbsent(kind: 'present' | 'tombstone' | undefined): boolean {
  return kind !== 'present';
}
