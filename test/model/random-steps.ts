/** What may happen in a random run: how likely it is, when it is possible, and what it does. */
import { type MirrorId, newAuthorityState } from '../../src/protocol/authority-state.js';
import type { ObjectId } from '../../src/protocol/object-id.js';
import type { WriteKind } from '../../src/protocol/write.js';
import type { Pick, RandomRun } from './random-run.js';
import { lostObjects } from './soundness.js';
import { forceable, mayBeginAnew } from './quiesce.js';
import { isRotten, type SimulatedDisk } from './simulated-disk.js';
import type { WriteIntent } from './simulated-gateway.js';
import { SET_ID } from './simulated-mirror.js';
import { objectNamed } from './world.js';

const OBJECTS: readonly ObjectId[] = ['a', 'b', 'c'].map(objectNamed);
const KINDS: readonly WriteKind[] = [
  'replace',
  'replace',
  'range-write',
  'range-write',
  'extend',
  'extend',
  'set-attributes',
  'remove',
];
const TEXT_LENGTH_MAX = 6;
const BURST_LENGTH_MAX = 40;

export interface Step {
  readonly name: string;
  readonly weight: number;
  readonly isPossible: (run: RandomRun) => boolean;
  readonly run: (run: RandomRun, pick: Pick) => void;
}

/** What clients, the network and the timer do without anyone's fault, and what ends a fault. */
export const ORDINARY_STEPS = new Set([
  'write',
  'read',
  'deliver any',
  'deliver in order',
  'send clears',
  'recover',
  'let mirrors in',
  'an operator decides',
  'an operator begins anew',
  'a lost object is settled',
  'bring mirrors back',
  'catch up',
  'give up what nobody answers',
  'restart a mirror',
  'reconnect',
  'a failed store is started again',
  'a disk is honest again',
  'a disk has room again',
]);

function pickFrom<Item>(items: readonly Item[], pick: Pick): Item {
  const item = items[pick(items.length)];
  if (item === undefined) throw new RangeError('nothing to pick from');
  return item;
}

function randomIntent(pick: Pick): WriteIntent {
  const kind = pickFrom(KINDS, pick);
  const objectId = pickFrom(OBJECTS, pick);
  const length = 1 + pick(TEXT_LENGTH_MAX);
  const letter = String.fromCharCode('a'.charCodeAt(0) + pick(26));
  return { objectId, kind, offset: pick(8), text: kind === 'remove' ? '' : letter.repeat(length) };
}

const hasMessages = ({ world }: RandomRun): boolean => world.network.messages.length > 0;

/** Mirrors of whose disks something is true. */
function upWith({ world, up }: RandomRun, holds: (disk: SimulatedDisk, id: MirrorId) => boolean): MirrorId[] {
  return up.filter((id) => holds(world.mirror(id).disk, id));
}

function rottable(run: RandomRun): { readonly id: MirrorId; readonly objectId: ObjectId }[] {
  return run.expendable(run.up).flatMap((id) => {
    const { objects } = run.world.mirror(id).disk.image;
    return [...objects]
      .filter(([, stored]) => stored.bytes.length > 0 && !isRotten(stored))
      .map(([objectId]) => ({ id, objectId }));
  });
}

/** Of these objects the ones that some mirror has bytes of. */
function withBytes({ world, up }: RandomRun, objectIds: readonly ObjectId[]): ObjectId[] {
  return objectIds.filter((objectId) =>
    up.some((id) => (world.mirror(id).disk.image.objects.get(objectId)?.bytes.length ?? 0) > 0),
  );
}

/** What disks and clocks do to one mirror. */
const diskSteps: readonly Step[] = [
  {
    name: 'a disk begins to lie',
    weight: 1,
    isPossible: (run) => run.expendable(upWith(run, ({ lies }) => !lies)).length > 0,
    run: (run, pick) => {
      const id = pickFrom(run.expendable(upWith(run, ({ lies }) => !lies)), pick);
      run.world.step(`the disk of ${id} begins to lie`, () => (run.world.mirror(id).disk.lies = true));
    },
  },
  {
    name: 'a disk is honest again',
    weight: 6,
    isPossible: (run) => upWith(run, ({ lies }) => lies).length > 0,
    run: (run, pick) => {
      const id = pickFrom(
        upWith(run, ({ lies }) => lies),
        pick,
      );
      run.world.step(`the disk of ${id} is honest again`, () => (run.world.mirror(id).disk.lies = false));
    },
  },
  {
    name: 'a sync fails',
    weight: 1,
    isPossible: (run) => upWith(run, ({ failsNextSync }) => !failsNextSync).length > 0,
    run: (run, pick) => {
      const id = pickFrom(
        upWith(run, ({ failsNextSync }) => !failsNextSync),
        pick,
      );
      run.world.step(`the next sync of ${id} fails`, () => (run.world.mirror(id).disk.failsNextSync = true));
    },
  },
  {
    name: 'a failed store is started again',
    weight: 6,
    isPossible: (run) => upWith(run, ({ hasFailed }) => hasFailed).length > 0,
    run: (run, pick) => {
      const { world } = run;
      const id = pickFrom(
        upWith(run, ({ hasFailed }) => hasFailed),
        pick,
      );
      world.crash(id, pick(world.mirror(id).disk.unsyncedCount + 1));
      world.restart(id);
    },
  },
  {
    name: 'a disk is full',
    weight: 1,
    isPossible: ({ up }) => up.length > 0,
    run: ({ world, up }, pick) => {
      const id = pickFrom(up, pick);
      world.step(`the disk of ${id} is full`, () => (world.mirror(id).isFull = true));
    },
  },
  {
    name: 'a disk has room again',
    weight: 4,
    isPossible: ({ world }) => world.mirrorIds.some((id) => world.mirror(id).isFull),
    run: ({ world }, pick) => {
      const id = pickFrom(
        world.mirrorIds.filter((candidate) => world.mirror(candidate).isFull),
        pick,
      );
      world.step(`the disk of ${id} has room again`, () => (world.mirror(id).isFull = false));
    },
  },
  {
    name: 'bytes rot',
    weight: 1,
    isPossible: (run) => rottable(run).length > 0,
    run: (run, pick) => {
      const { id, objectId } = pickFrom(rottable(run), pick);
      run.world.step(`bytes rot on ${id}`, () => {
        run.world.mirror(id).rot(objectId);
      });
    },
  },
  {
    name: 'bytes rot everywhere',
    weight: 1,
    isPossible: (run) => withBytes(run, OBJECTS).length > 0,
    run: (run, pick) => {
      const objectId = pickFrom(withBytes(run, OBJECTS), pick);
      run.world.step(`${objectId} rots everywhere`, () => {
        for (const id of run.up) {
          const stored = run.world.mirror(id).disk.image.objects.get(objectId);
          if (stored !== undefined && stored.bytes.length > 0) run.world.mirror(id).rot(objectId);
        }
      });
    },
  },
  {
    name: 'a clock jumps',
    weight: 1,
    isPossible: () => true,
    run: ({ world }, pick) => {
      world.mirror(pickFrom(world.mirrorIds, pick)).clockMs = pick(1 << 30);
    },
  },
];

export const STEPS: readonly Step[] = [
  {
    name: 'write',
    weight: 22,
    isPossible: ({ world }) => world.writer?.isOpen === true,
    run: (run, pick) => {
      if (run.world.submit(randomIntent(pick)) !== null) run.operations += 1;
    },
  },
  {
    name: 'zombie write',
    weight: 3,
    isPossible: ({ zombies }) => zombies.some(({ isOpen }) => isOpen),
    run: ({ world, zombies }, pick) => {
      world.step('a zombie writes', () => void pickFrom(zombies, pick).submit(randomIntent(pick)));
    },
  },
  {
    name: 'read',
    weight: 4,
    isPossible: ({ world }) => world.writer !== null,
    run: (run, pick) => {
      const { world } = run;
      if (world.beginRead(pickFrom(OBJECTS, pick), pickFrom(world.mirrorIds, pick))) run.operations += 1;
    },
  },
  {
    name: 'read in a recovery',
    weight: 2,
    isPossible: ({ world, up }) => world.hasRecovery && up.length > 0,
    run: ({ world, up }, pick) => void world.readInRecovery(pickFrom(OBJECTS, pick), pickFrom(up, pick)),
  },
  {
    name: 'deliver any',
    weight: 24,
    isPossible: hasMessages,
    run: ({ world }, pick) => world.deliver(pick(world.network.messages.length)),
  },
  {
    name: 'deliver in order',
    weight: 16,
    isPossible: hasMessages,
    run: ({ world }, pick) => {
      const length = 1 + pick(BURST_LENGTH_MAX);
      for (let count = 0; count < length && world.network.messages.length > 0; count += 1) world.deliver(0);
    },
  },
  {
    name: 'deliver and keep a copy',
    weight: 4,
    isPossible: hasMessages,
    run: ({ world }, pick) => world.deliver(pick(world.network.messages.length), { keep: true }),
  },
  {
    name: 'lose',
    weight: 3,
    isPossible: hasMessages,
    run: ({ world }, pick) => world.network.lose(pick(world.network.messages.length)),
  },
  {
    name: 'time out',
    weight: 3,
    isPossible: ({ world }) => world.network.openCalls.length > 0,
    run: ({ world }, pick) => world.timeOut(pickFrom(world.network.openCalls, pick).id),
  },
  {
    name: 'give up what nobody answers',
    weight: 6,
    isPossible: ({ world }) => world.network.hopelessCalls.length > 0,
    run: ({ world }, pick) => world.timeOut(pickFrom(world.network.hopelessCalls, pick).id),
  },
  {
    name: 'send clears',
    weight: 5,
    isPossible: ({ world }) => world.writer !== null,
    run: ({ world }) => world.sendClears(),
  },
  {
    name: 'forgo rows',
    weight: 2,
    isPossible: ({ world }) => world.mayForgoRows,
    run: ({ world }) => world.forgoRows(),
  },
  {
    name: 'recover',
    weight: 8,
    isPossible: ({ world }) => world.writer === null && !world.hasRecovery,
    run: ({ world, isOnline }, pick) => world.startRecovery({ defersStale: isOnline && pick(3) === 0 }),
  },
  {
    name: 'an operator decides',
    weight: 2,
    isPossible: ({ world }) => world.writer === null && !world.hasRecovery && forceable(world) !== null,
    run: ({ world }) => {
      const trusted = forceable(world);
      if (trusted !== null) world.force(trusted);
    },
  },
  {
    name: 'an operator begins anew',
    weight: 1,
    isPossible: ({ world }) => mayBeginAnew(world),
    run: ({ world }) => world.beginAnew(),
  },
  {
    name: 'a lost object is settled',
    weight: 2,
    isPossible: ({ world }) => world.writer?.isOpen === true && lostObjects(world).length > 0,
    run: ({ world }, pick) => {
      const { objectId, kept } = pickFrom(lostObjects(world), pick);
      world.settleLost(objectId, pick(2) === 0 ? null : kept);
    },
  },
  {
    name: 'let mirrors in',
    weight: 8,
    isPossible: ({ world, returning, isOnline }) =>
      isOnline && world.writer?.isOpen === true && returning.length > 0,
    run: ({ world, returning }, pick) => world.admit(pick(4) === 0 ? [pickFrom(returning, pick)] : returning),
  },
  {
    name: 'bring mirrors back',
    weight: 3,
    isPossible: ({ world, returning, isOnline }) =>
      !isOnline && world.writer?.isOpen === true && returning.length > 0,
    run: ({ world }) => world.startRecovery(),
  },
  {
    name: 'catch up',
    weight: 6,
    isPossible: ({ world }) => world.hasCatchUp && world.network.messages.length > 0,
    run: ({ world }, pick) => {
      const length = 1 + pick(BURST_LENGTH_MAX);
      for (let count = 0; count < length; count += 1) {
        const index = world.network.messages.findIndex(({ call }) => call.caller.startsWith('catch-up'));
        if (index !== -1) world.deliver(index);
      }
    },
  },
  {
    name: 'recover all the same',
    weight: 2,
    isPossible: () => true,
    run: (run, pick) => {
      const leaveWriter = pick(2) === 0;
      if (leaveWriter) run.leaveZombie();
      run.world.startRecovery({ leaveWriter, defersStale: run.isOnline && pick(3) === 0 });
    },
  },
  {
    name: 'crash a mirror',
    weight: 3,
    isPossible: ({ up }) => up.length > 0,
    run: ({ world, up }, pick) => {
      const id = pickFrom(up, pick);
      world.crash(id, pick(world.mirror(id).disk.unsyncedCount + 1), pick(2) === 0);
    },
  },
  {
    name: 'restart a mirror',
    weight: 6,
    isPossible: ({ down }) => down.length > 0,
    run: ({ world, down }, pick) => world.restart(pickFrom(down, pick)),
  },
  {
    name: 'blank disk',
    weight: 1,
    isPossible: (run) => run.expendable(run.down).length > 0,
    run: (run, pick) => run.world.blank(pickFrom(run.expendable(run.down), pick)),
  },
  {
    name: 'roll back',
    weight: 3,
    isPossible: (run) => run.expendable(run.down).length > 0,
    run: (run, pick) => {
      const { world } = run;
      const id = pickFrom(run.expendable(run.down), pick);
      const { snapshotCount } = world.mirror(id).disk;
      world.rollBack(id, Math.max(0, snapshotCount - 1 - pick(Math.min(snapshotCount, 12))));
    },
  },
  ...diskSteps,
  {
    name: 'cut off',
    weight: 2,
    isPossible: ({ world }) => world.cutOff.size < world.mirrors.size,
    run: ({ world }, pick) => void world.cutOff.add(pickFrom(world.mirrorIds, pick)),
  },
  {
    name: 'reconnect',
    weight: 5,
    isPossible: ({ world }) => world.cutOff.size > 0,
    run: ({ world }, pick) => void world.cutOff.delete(pickFrom([...world.cutOff], pick)),
  },
  {
    name: 'crash the gateway',
    weight: 2,
    isPossible: () => true,
    run: (run, pick) => {
      const leaveWriter = pick(3) === 0;
      if (leaveWriter) run.leaveZombie();
      run.world.crashHost({ leaveWriter });
    },
  },
  {
    name: 'the authority is put back',
    weight: 1,
    isPossible: ({ world }) =>
      world.writer === null &&
      !world.hasRecovery &&
      !world.authority.isOld &&
      world.history.objectIds.size > 0,
    run: (run, pick) => {
      // Whoever writes by it has ended: two that write by one file are what its lock is for.
      for (const zombie of run.zombies) zombie.depose();
      const { backups } = run.world.authority;
      const backup = backups[pick(backups.length + 1)];
      run.world.putBack(backup ?? newAuthorityState(SET_ID, run.world.mirrorIds));
    },
  },
  {
    name: 'stop cleanly',
    weight: 1,
    isPossible: ({ world }) => world.writer?.pendingCount === 0,
    run: ({ world }) => world.stopCleanly(),
  },
];
