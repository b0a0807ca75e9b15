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
import { isRotten, type StoredObject } from './simulated-disk.js';
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
function show(world: World, { objectId, object, forgotten, from, settled }: Shown): void {
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
  if (!history.isStray(seen)) history.settle(seen);
}

function isAbsent(kind: 'present' | 'tombstone' | undefined): boolean {
  return kind !== 'present';
}

/** Through the writer from one mirror in sync, answered at once; false: the client has to wait (F26). */
export function readAtOnce(world: World, objectId: ObjectId, from: MirrorId): boolean {
  const { writer, rules } = world;
  if (writer?.inSync.includes(from) !== true || !world.mirror(from).isUp) return false;
  if (!rules.isReadableAt(world.mirror(from).fence, writer.epoch)) return false;
  const undecided = writer.undecidedTags(objectId);
  if (rules.decideReadStart(undecided).kind === 'wait') return false;
  const stored = world.mirror(from).disk.image.objects.get(objectId);
  if (rules.decideRead(undecided, stored?.state.lastTag ?? null).kind === 'wait') return false;
  return showFrom(world, objectId, from);
}

/** The same before a recovery has activated anything, from the one mirror that it trusts. */
export function readInRecovery(world: World, objectId: ObjectId, from: MirrorId): boolean {
  const { rules, authority } = world;
  const { state } = authority;
  // By an old state of the authority reads are let in where the attempt goes on by it, and that is judged there (F31).
  if (state.phase !== 'recovering' || authority.isOld) return false;
  const fenced = [...world.mirrors.values()].filter(
    ({ isUp, fence }) => isUp && rules.isRecoveringAt(fence, state.epoch),
  );
  const plan = rules.planRecovery(
    state,
    fenced.map((mirror) => mirror.report()),
  );
  if (plan.kind === 'wait' || rules.readableInRecovery(state, plan.trusted) !== from) return false;
  return showFrom(world, objectId, from);
}

function showFrom(world: World, objectId: ObjectId, from: MirrorId): boolean {
  const { objects, forgotten } = world.mirror(from).disk.image;
  const object = objects.get(objectId) ?? null;
  if (object !== null && isRotten(object)) return false;
  const settled = world.history.settled(objectId);
  show(world, { objectId, object, forgotten: forgotten.get(objectId) ?? null, from, settled });
  return true;
}
