/** Ends every fault and lets the system come to rest: all mirrors in sync, all tables empty. */
import type { MirrorId } from '../../src/protocol/authority-state.js';
import { lostObjects } from './soundness.js';
import { checkQuiet } from './checkers/final.js';
import type { World } from './world.js';

/** Attempts at a recovery before a run counts as stuck. The longest honest case needs three. */
const ATTEMPTS_MAX = 8;
const MESSAGES_MAX = 20_000;

/** Delivers all messages in the order in which they were sent, and times out calls that nobody will answer. */
export function drain(world: World): void {
  for (let count = 0; count < MESSAGES_MAX; count += 1) {
    if (world.network.messages.length > 0) world.deliver(0);
    else {
      const [call] = world.network.openCalls;
      if (call === undefined) return;
      world.timeOut(call.id);
    }
  }
  world.violate('stuck', 'the network never becomes quiet');
}

/** Whom an operator may trust who knows what happened, when a recovery waits although everyone is there; null, when it need not wait. */
export function forceable(world: World): MirrorId | null {
  const isEveryoneThere =
    world.mirrorIds.every((mirror) => world.mirror(mirror).isUp) && world.cutOff.size === 0;
  if (world.lastOutcome?.kind !== 'wait' || !isEveryoneThere) return null;
  const stores = wholeStores(world).filter((mirror) => !world.mirror(mirror).disk.image.blank);
  const unsuspected = stores.filter((mirror) => !world.rolledBack.has(mirror));
  return unsuspected[0] ?? stores[0] ?? null;
}

function wholeStores({ authority, damaged }: World): MirrorId[] {
  return authority.durableState.inSync.filter((mirror) => !damaged.has(mirror));
}

/** True when a recovery waits, and whoever has all that was acknowledged is empty: nobody is forced to trust an empty store, all are formatted anew. */
export function mayBeginAnew(world: World): boolean {
  const isWaiting = world.lastOutcome?.kind === 'wait' && world.writer === null && !world.hasRecovery;
  const whole = wholeStores(world);
  return isWaiting && whole.length > 0 && whole.every((mirror) => world.mirror(mirror).disk.image.blank);
}

/** Starts recoveries until the set is active with every mirror that is up. */
function recoverAll(world: World): void {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    world.startRecovery();
    drain(world);
    const { lastOutcome } = world;
    if (lastOutcome?.kind === 'activated' && world.writer !== null) return;
    if (world.violations.some(({ code }) => code === 'unjustified-wait')) return;
    const trustworthy = forceable(world);
    if (trustworthy !== null) world.force(trustworthy);
    else if (mayBeginAnew(world)) {
      world.beginAnew();
      return;
    }
  }
  world.violate('stuck', `no activation: ${JSON.stringify(world.lastOutcome)}`);
}

function healAll(world: World): void {
  world.cutOff.clear();
  for (const [id, mirror] of world.mirrors) {
    mirror.commitsToPowerFailure = null;
    mirror.isFull = false;
    mirror.disk.lies = mirror.disk.failsNextSync = false;
    if (mirror.disk.hasFailed) world.crash(id);
    if (!mirror.isUp) world.restart(id);
  }
}

/** Everything is read once from everywhere: what is rotten is healed. */
function scrubAll(world: World): void {
  for (const objectId of world.history.objectIds)
    for (const mirror of world.mirrorIds) {
      world.beginRead(objectId, mirror);
      drain(world);
    }
}

/** What nobody has intact is put back to what is kept of it, or given up: by an operator, or by a client that writes it anew. */
function settleLost(world: World): void {
  for (const { objectId, kept } of lostObjects(world)) {
    world.settleLost(objectId, kept);
    drain(world);
  }
  world.sendClears();
  drain(world);
}

/** Heals, recovers, sends the last tokens back, and checks that everything is where it belongs. */
export function quiesce(world: World): void {
  healAll(world);
  drain(world);
  recoverAll(world);
  if (world.hasBegunAnew) return;
  world.sendClears();
  drain(world);
  scrubAll(world);
  world.step('all is quiet', () => {
    checkQuiet(world);
  });
  settleLost(world);
  world.step('nothing is lost any more', () => {
    checkQuiet(world);
    for (const { objectId } of lostObjects(world)) world.violate('diverged', `${objectId} is still lost`);
  });
}
