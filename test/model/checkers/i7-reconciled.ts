/**
 * I7: after reconciliation mirrors are byte-identical, and what was copied is no more than what was unmatched. An
 * activation also makes final what is visible at it: older history may not come back later (see the checker of I2).
 */
import type { AuthorityState, MirrorId } from '../../../src/protocol/authority-state.js';
import type { ObjectId } from '../../../src/protocol/object-id.js';
import { type Epoch, tagEpoch } from '../../../src/protocol/tag.js';
import { bytesOf, unmatchedOf } from '../copied-bytes.js';
import { isRotten } from '../simulated-disk.js';
import type { LandedPush } from '../simulated-mirror.js';
import type { PlannedObject, World } from '../world.js';
import { durableWrite, isAbsence } from './i2-acknowledged.js';

export function checkReconciled(world: World): void {
  for (const planned of world.events.planned) checkPlanned(world, planned);
  for (const landed of world.events.landed) checkCopied(world, landed);
  for (const { after, cause } of world.events.transitions) {
    if (cause === 'recovery' && after.phase === 'active') checkActivation(world, after);
  }
}

function checkActivation(world: World, state: AuthorityState): void {
  for (const id of state.inSync) {
    const { isUp, incarnation } = world.mirror(id);
    // One that lost state after its last report was not made whole; the authority notices when it activates it.
    if (isUp && incarnation === state.incarnations[id]) world.damaged.delete(id);
  }
  const mirrors = state.inSync.filter((mirror) => !world.damaged.has(mirror));
  world.history.confirmActivation();
  for (const objectId of world.history.objectIds) {
    checkIdentical(world, { mirrors, objectId, code: 'I7' });
    settleVisible(world, { mirrors, epoch: state.epoch, objectId });
  }
  world.history.noteActivation(state.epoch);
}

/**
 * Reports when the mirrors' durable contents of one object differ. A tombstone is as good as nothing. Rotten bytes are what their record
 * says: whoever has the same write is the same, and nobody shows them.
 */
export function checkIdentical(
  world: World,
  compare: {
    readonly mirrors: readonly MirrorId[];
    readonly objectId: ObjectId;
    readonly code: 'I7' | 'diverged';
  },
): void {
  const states = new Map<string, MirrorId>();
  const contents = new Map<string, MirrorId>();
  for (const mirror of compare.mirrors) {
    const stored = world.mirror(mirror).disk.image.objects.get(compare.objectId);
    const isThere = stored?.state.kind === 'present';
    const state = isThere ? `${stored.state.lastTag} ${stored.state.attributes}` : 'absent';
    states.set(state, mirror);
    if (!isThere) contents.set(state, mirror);
    else if (!isRotten(stored))
      contents.set(`${state} ${Buffer.from(stored.bytes).toString('latin1')}`, mirror);
  }
  for (const seen of [states, contents]) {
    if (seen.size <= 1) continue;
    world.violate(compare.code, `mirrors differ: ${JSON.stringify([...seen].map(([a, b]) => [b, a]))}`);
    return;
  }
}

interface Activated {
  readonly mirrors: readonly MirrorId[];
  readonly epoch: Epoch;
  readonly objectId: ObjectId;
}

function settleVisible(world: World, { mirrors, epoch, objectId }: Activated): void {
  const settled = world.history.settled(objectId);
  for (const mirror of mirrors) {
    const write = durableWrite(world, mirror, objectId);
    if (write === undefined) continue;
    if ((write?.ordinal ?? 0) < settled.ordinal && !(isAbsence(write) && settled.isAbsent)) {
      world.violate(
        'lost',
        `epoch ${epoch} begins with #${write?.ordinal ?? 0}, #${settled.ordinal} was settled`,
      );
    }
    if (write === null || !world.history.isGone(write)) continue;
    if (world.history.wasRefused(write))
      world.violate('refused-happened', `epoch ${epoch} begins with #${write.ordinal}`);
    if (tagEpoch(write.transaction.tag) < world.history.activationEpoch) {
      world.violate('resurrected', `epoch ${epoch} begins with #${write.ordinal}, which was settled as gone`);
    }
  }
  const [first] = mirrors;
  const visible = first === undefined ? null : durableWrite(world, first, objectId);
  world.history.makeFinal(objectId, visible ?? null);
}

function checkPlanned(world: World, { evidence, repair }: PlannedObject): void {
  if (repair === null) return;
  const unmatched = unmatchedOf(evidence);
  const source = evidence.mirrors.find(({ mirror }) => mirror === repair.source);
  for (const { mirror: target, lastTag } of repair.targets) {
    const run = world.mirror(target).incarnation;
    const place = { target, run, objectId: evidence.objectId, from: lastTag, to: source?.lastTag ?? null };
    world.copied.notePlan(place, bytesOf(unmatched, source?.sizeBytes ?? 0));
  }
  if (unmatched.some(({ kind }) => kind === 'replace' || kind === 'remove')) return;
  const allowed = new Set<number>();
  for (const { offset, length } of unmatched) for (let at = 0; at < length; at += 1) allowed.add(offset + at);
  const isWithin =
    repair.content.kind === 'extents' &&
    repair.content.extents.every(({ offset, length }) =>
      Array.from({ length }, (_, at) => offset + at).every((position) => allowed.has(position)),
    );
  if (!isWithin) world.violate('I7', `more is copied than is unmatched: ${JSON.stringify(repair)}`);
}

function checkCopied(world: World, { target, push, targetLastTag, byteCount }: LandedPush): void {
  if (push.cause !== 'rows') return;
  const { incarnation } = world.mirror(target);
  const { objectId } = push.copy;
  const place = { target, run: incarnation, objectId, from: targetLastTag, to: push.lastTag };
  const fault = world.copied.noteCopy(place, byteCount);
  if (fault !== null) world.violate('I7', fault);
}
