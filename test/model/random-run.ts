/**
 * One random run: a list of choices, each of which becomes one step of the world, and then rest.
 *
 * A choice is two numbers: one picks among the steps that are possible now, the other says how. Any part of the list may
 * be left out, so a failing run shrinks to a short one.
 */
import type { MirrorId } from '../../src/protocol/authority-state.js';
import type { ObjectId } from '../../src/protocol/object-id.js';
import type { WriteKind } from '../../src/protocol/write.js';
import { quiesce } from './quiesce.js';
import type { Rules } from './rules.js';
import type { SimulatedGateway, WriteIntent } from './simulated-gateway.js';
import type { Violation } from './violation.js';
import { objectNamed, World } from './world.js';

export interface Choice {
  readonly step: number;
  readonly detail: number;
}

export interface RunResult {
  readonly violations: readonly Violation[];
  readonly trace: readonly string[];
  /** Every mirror in sync lost its state at once: nothing is promised then, and the run ended early. */
  readonly isBeyondGuarantee: boolean;
  readonly counts: ReadonlyMap<string, number>;
}

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

/** A small random source that one number seeds (mulberry32). */
function randomSource(seed: number): (limit: number) => number {
  let state = seed >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

export function choicesOf(seed: number, length: number): Choice[] {
  const random = randomSource(seed);
  return Array.from({ length }, () => ({ step: random(1 << 20), detail: random(1 << 30) }));
}

type Pick = (limit: number) => number;

/** How many mirrors a run has, and how much happens to them. */
export interface Weather {
  readonly mirrors: number;
  /** Faults are this many times as rare as in the wildest run; then more writes get through between two of them. */
  readonly calm: number;
}

/** What clients, the network and the timer do without anyone's fault. */
const ORDINARY_STEPS = new Set([
  'write',
  'read',
  'deliver any',
  'deliver in order',
  'send clears',
  'recover',
  'let mirrors in',
  'catch up',
]);

interface Step {
  readonly name: string;
  readonly weight: number;
  readonly isPossible: (run: RandomRun) => boolean;
  readonly run: (run: RandomRun, pick: Pick) => void;
}

class RandomRun {
  readonly world: World;
  readonly zombies: SimulatedGateway[] = [];
  readonly counts = new Map<string, number>();

  readonly #calm: number;

  constructor(rules: Rules, { mirrors, calm }: Weather) {
    this.world = new World({ rules, mirrors });
    this.#calm = calm;
  }

  #weightOf({ name, weight }: Step): number {
    return ORDINARY_STEPS.has(name) ? weight * this.#calm : weight;
  }

  take(choice: Choice): void {
    const possible = STEPS.filter((step) => step.isPossible(this));
    const total = possible.reduce((sum, step) => sum + this.#weightOf(step), 0);
    let at = choice.step % total;
    const chosen = possible.find((step) => (at -= this.#weightOf(step)) < 0);
    if (chosen === undefined) return;
    this.counts.set(chosen.name, (this.counts.get(chosen.name) ?? 0) + 1);
    chosen.run(this, randomSource(choice.detail));
  }

  get up(): MirrorId[] {
    return this.world.mirrorIds.filter((id) => this.world.mirror(id).isUp);
  }

  /** Mirrors that are there, neither in sync nor being rebuilt. */
  get returning(): MirrorId[] {
    const { writer } = this.world;
    return this.up.filter((id) => writer?.inSync.includes(id) === false && !writer.rebuilding.includes(id));
  }

  get down(): MirrorId[] {
    return this.world.mirrorIds.filter((id) => !this.world.mirror(id).isUp);
  }

  /** Mirrors that may lose state: somebody else who is in sync keeps everything. */
  get expendable(): MirrorId[] {
    const { inSync } = this.world.authority.durableState;
    return this.down.filter((id) => inSync.some((other) => other !== id && !this.world.damaged.has(other)));
  }

  leaveZombie(): void {
    const { writer } = this.world;
    if (writer !== null) this.zombies.push(writer);
  }
}

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

const STEPS: readonly Step[] = [
  {
    name: 'write',
    weight: 22,
    isPossible: ({ world }) => world.writer?.isOpen === true,
    run: ({ world }, pick) => void world.submit(randomIntent(pick)),
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
    run: ({ world }, pick) => void world.read(pickFrom(OBJECTS, pick), pickFrom(world.mirrorIds, pick)),
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
    weight: 5,
    isPossible: ({ world }) => world.network.openCalls.length > 0,
    run: ({ world }, pick) => {
      const hopeless = world.network.openCalls.filter(({ id }) => !world.network.isOnItsWay(id));
      const candidates = hopeless.length > 0 && pick(3) > 0 ? hopeless : world.network.openCalls;
      world.timeOut(pickFrom(candidates, pick).id);
    },
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
    run: ({ world }, pick) => world.startRecovery({ defersStale: pick(3) === 0 }),
  },
  {
    name: 'let mirrors in',
    weight: 8,
    isPossible: ({ world, returning }) => world.writer?.isOpen === true && returning.length > 0,
    run: ({ world, returning }, pick) => world.admit(pick(4) === 0 ? [pickFrom(returning, pick)] : returning),
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
      run.world.startRecovery({ leaveWriter, defersStale: pick(3) === 0 });
    },
  },
  {
    name: 'crash a mirror',
    weight: 3,
    isPossible: ({ up }) => up.length > 0,
    run: ({ world, up }, pick) => {
      const id = pickFrom(up, pick);
      world.crash(id, pick(world.mirror(id).disk.unsyncedCount + 1));
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
    isPossible: ({ expendable }) => expendable.length > 0,
    run: ({ world, expendable }, pick) => world.blank(pickFrom(expendable, pick)),
  },
  {
    name: 'roll back',
    weight: 3,
    isPossible: ({ expendable }) => expendable.length > 0,
    run: ({ world, expendable }, pick) => {
      const id = pickFrom(expendable, pick);
      const { snapshotCount } = world.mirror(id).disk;
      world.rollBack(id, Math.max(0, snapshotCount - 1 - pick(Math.min(snapshotCount, 12))));
    },
  },
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
    name: 'stop cleanly',
    weight: 1,
    isPossible: ({ world }) => world.writer?.pendingCount === 0,
    run: ({ world }) => world.stopCleanly(),
  },
];

/** Runs the choices, brings everything to rest, and says what the checkers found. */
export function runChoices(rules: Rules, weather: Weather, choices: readonly Choice[]): RunResult {
  const run = new RandomRun(rules, weather);
  const { world } = run;
  const end = (): RunResult => ({
    violations: world.violations,
    trace: world.trace,
    isBeyondGuarantee: world.isBeyondGuarantee,
    counts: run.counts,
  });
  world.startRecovery();
  while (world.network.messages.length > 0) world.deliver(0);
  for (const choice of choices) {
    run.take(choice);
    if (world.violations.length > 0 || world.isBeyondGuarantee) return end();
  }
  quiesce(world);
  return end();
}

/** Leaves out choices while the run still fails with the same code. */
export function shrinkChoices(rules: Rules, weather: Weather, choices: readonly Choice[]): Choice[] {
  const code = runChoices(rules, weather, choices).violations[0]?.code;
  const stillFails = (candidate: readonly Choice[]): boolean =>
    runChoices(rules, weather, candidate).violations[0]?.code === code;
  let shrunk = [...choices];
  for (let size = Math.ceil(shrunk.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < shrunk.length;) {
      const candidate = [...shrunk.slice(0, at), ...shrunk.slice(at + size)];
      if (stillFails(candidate)) shrunk = candidate;
      else at += size;
    }
  }
  return shrunk;
}
