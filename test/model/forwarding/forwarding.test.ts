/**
 * Forwarded writes: the named cases as traces, each of which ends badly when its rule is off, and random runs.
 *
 *   TALLY_MODEL_RUNS=5000 TALLY_MODEL_SEED=7 npx vitest run --project model test/model/forwarding
 */
import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../support/seeded-random.js';
import type { ForwardingMirror, ForwardingRules } from './forwarding-mirror.js';
import type { Message } from './forwarding-messages.js';
import { type Finding, ForwardingWorld, OBJECTS } from './forwarding-world.js';

const RUNS = Number(process.env['TALLY_MODEL_RUNS'] ?? 250);
const SEED = Number(process.env['TALLY_MODEL_SEED'] ?? 1);
const STEPS = 120;

const RULES: ForwardingRules = {
  remembersRequests: true,
  excludesBeforeAnswer: true,
  readsWait: true,
  restartEndsWriter: true,
};

const [A = expect.fail()] = OBJECTS;

/** Messages of a kind arrive, in their order. */
function arrive(world: ForwardingWorld, kind: Message['kind']): void {
  const indexes = () => world.messages.findIndex((message) => message.kind === kind);
  for (let index = indexes(); index !== -1; index = indexes()) world.deliver(index);
}

function lose(world: ForwardingWorld, kind: Message['kind']): void {
  const index = () => world.messages.findIndex((message) => message.kind === kind);
  for (let found = index(); found !== -1; found = index()) world.lose(found);
}

/** A write with everything that follows. */
function write(world: ForwardingWorld, kind: 'replace' | 'extend' = 'replace'): number | null {
  const ordinal = world.submit(A, kind);
  for (const step of ['forward', 'transact', 'answer', 'reply'] as const) arrive(world, step);
  return ordinal;
}

interface Case {
  readonly off: Partial<ForwardingRules>;
  readonly ends: Finding;
  readonly trace: (world: ForwardingWorld) => void;
}

const CASES: Readonly<Record<string, Case>> = {
  'F12 forwarded: a write that only the writer has is not acknowledged before the other mirror is left out': {
    off: { excludesBeforeAnswer: false },
    ends: 'lost',
    trace: (world) => {
      write(world);
      const ordinal = world.submit(A, 'extend');
      arrive(world, 'forward');
      lose(world, 'transact');
      world.writer.giveUpOnPeers();
      arrive(world, 'reply');
      expect(world.stateOf(ordinal ?? 0)).toBe('acknowledged');
      world.writer.crash();
      world.recover();
    },
  },
  'F24 forwarded: a request that is made again is not a second write, over later ones': {
    off: { remembersRequests: false },
    ends: 'lost',
    trace: (world) => {
      write(world);
      world.submit(A, 'replace');
      arrive(world, 'forward');
      arrive(world, 'transact');
      arrive(world, 'answer');
      lose(world, 'reply');
      world.timeOut();
      const late = world.messages.find(({ kind }) => kind === 'forward');
      arrive(world, 'forward');
      for (const kind of ['transact', 'answer', 'reply'] as const) arrive(world, kind);
      // And a third time, when the next write was acknowledged long ago.
      write(world, 'extend');
      if (late !== undefined) world.messages.push(late);
      for (const kind of ['forward', 'transact', 'answer', 'reply'] as const) arrive(world, kind);
    },
  },
  'F26 forwarded: no read shows a write that the next one may not see': {
    off: { readsWait: false },
    ends: 'contradicted',
    trace: (world) => {
      write(world);
      world.submit(A, 'extend');
      arrive(world, 'forward');
      world.read(A, world.writer.id);
      world.read(A, world.peer.id);
      for (const kind of ['transact', 'answer', 'reply'] as const) arrive(world, kind);
      expect(world.read(A, world.writer.id)).toEqual([1, 2]);
      expect(world.read(A, world.peer.id)).toEqual([1, 2]);
    },
  },
  'F29 forwarded: a restarted writer does not begin again with its first tag': {
    off: { restartEndsWriter: false },
    ends: 'lost',
    trace: (world) => {
      for (let count = 0; count < 3; count += 1) write(world);
      const { writer } = world;
      writer.crash();
      writer.restart();
      // The order of this epoch, late and once more.
      arrive(world, 'order');
      const ordinal = world.submit(A, 'replace');
      for (const kind of ['forward', 'transact', 'answer', 'reply'] as const) arrive(world, kind);
      if (world.stateOf(ordinal ?? 0) !== 'acknowledged') world.recover();
    },
  },
};

describe.each(Object.entries(CASES))('%s', (_claim, { off, ends, trace }) => {
  const run = (rules: Partial<ForwardingRules>): ForwardingWorld => {
    const world = new ForwardingWorld({ ...RULES, ...rules }, 2);
    trace(world);
    world.rest();
    return world;
  };

  it('ends well', () => {
    const world = run({});
    expect([...world.findings], world.trace.join('\n')).toEqual([]);
  });

  it(`without the rule it ends: ${ends}`, () => {
    const world = run(off);
    expect([...world.findings], world.trace.join('\n')).toContain(ends);
  });
});

/** A restart that nobody notices at once. */
function blink(mirror: ForwardingMirror): void {
  mirror.crash();
  mirror.restart();
}

function step(world: ForwardingWorld, random: SeededRandom): void {
  const mirror = random.pick(world.mirrors);
  const index = random.integer(0, Math.max(0, world.messages.length - 1));
  const action = random.pickWeighted<() => unknown>([
    [8, () => world.submit(random.pick(OBJECTS), random.pick(['replace', 'extend']))],
    [24, () => world.deliver(index)],
    [3, () => world.deliver(index, true)],
    [2, () => world.repeatOrder()],
    [2, () => (world.messages.length > 0 ? world.lose(index) : undefined)],
    [8, () => world.read(random.pick(OBJECTS), mirror.id)],
    [2, () => world.timeOut()],
    [2, () => mirror.giveUpOnPeers()],
    [1, () => (mirror.isUp ? mirror.crash() : mirror.restart())],
    [2, () => (mirror.isUp ? undefined : mirror.restart())],
    [1, () => blink(mirror)],
    [3, () => (world.isOpen ? undefined : world.recover())],
    [1, () => world.recover()],
  ]);
  action();
  world.check();
}

function randomRun(rules: ForwardingRules, seed: number): ForwardingWorld {
  const random = new SeededRandom(seed);
  const world = new ForwardingWorld(rules, random.integer(2, 3));
  for (let count = 0; count < STEPS; count += 1) step(world, random);
  world.rest();
  return world;
}

describe('random runs of forwarded writes', () => {
  it('lose nothing that was acknowledged, and show nothing that is taken back', () => {
    for (let seed = SEED; seed < SEED + RUNS; seed += 1) {
      const { findings, trace } = randomRun(RULES, seed);
      const replay = `TALLY_MODEL_RUNS=1 TALLY_MODEL_SEED=${seed} npx vitest run --project model test/model/forwarding`;
      expect([...findings], `${trace.join('\n')}\n${replay}`).toEqual([]);
    }
  });

  it.each(Object.keys(RULES))('find what goes wrong without %s', (rule) => {
    const rules = { ...RULES, [rule]: false };
    const seeds = Array.from({ length: 3000 }, (_, index) => index + 1);
    expect(seeds.find((seed) => randomRun(rules, seed).findings.size > 0)).toBeDefined();
  });
});
