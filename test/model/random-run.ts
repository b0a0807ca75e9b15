/**
 * One random run: a list of choices, each of which becomes one step of the world, and then rest.
 *
 * A choice is two numbers: one picks among the steps that are possible now, the other says how. Any part of the list may
 * be left out, so a failing run shrinks to a short one.
 */
import type { MirrorId } from '../../src/protocol/authority-state.js';
import { quiesce } from './quiesce.js';
import { ORDINARY_STEPS, type Step, STEPS } from './random-steps.js';
import type { Rules } from './rules.js';
import type { SimulatedGateway } from './simulated-gateway.js';
import { isSound } from './soundness.js';
import type { Violation } from './violation.js';
import { World } from './world.js';

export interface Choice {
  readonly step: number;
  readonly detail: number;
}

export interface RunResult {
  readonly violations: readonly Violation[];
  readonly trace: readonly string[];
  /** How often every mirror in sync lost its state at once. */
  readonly beyondGuarantee: number;
  readonly counts: ReadonlyMap<string, number>;
  /** How many of the choices were taken. */
  readonly taken: number;
  /** Reads and writes that clients asked for. */
  readonly operations: number;
  readonly copiedBytes: number;
  readonly unmatchedBytes: number;
}

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

/** Steps that are drawn for one choice before it counts as none. */
const DRAWS_MAX = 40;

export type Pick = (limit: number) => number;

/** How many mirrors a run has, and how much happens to them. */
export interface Weather {
  readonly mirrors: number;
  /** Faults are this many times as rare as in the wildest run; then more writes get through between two of them. */
  readonly calm: number;
  /** False: writes wait during the whole recovery, and nobody is let in beside them. */
  readonly isOnline: boolean;
  /** Tag generators, each with its shard of the objects. Default: one. */
  readonly writers?: number;
  /** The run comes to its rest after so many reads and writes of clients; all choices are taken, when it is not said. */
  readonly operations?: number;
  /** Names of steps that do not happen. Default: none. */
  readonly without?: readonly string[];
}

export class RandomRun {
  readonly world: World;
  readonly zombies: SimulatedGateway[] = [];
  readonly counts = new Map<string, number>();
  readonly isOnline: boolean;
  operations = 0;
  /** By step. */
  readonly #weights: readonly number[];

  constructor(rules: Rules, weather: Weather, isTraced: boolean) {
    const { mirrors, calm, isOnline, writers = 1, without = [] } = weather;
    this.world = new World({ rules, mirrors, writers, isTraced });
    this.#weights = STEPS.map(({ name, weight }) => {
      if (without.includes(name)) return 0;
      return ORDINARY_STEPS.has(name) ? weight * calm : weight;
    });
    this.isOnline = isOnline;
  }

  take(choice: Choice): void {
    const random = randomSource(choice.step);
    for (let draw = 0; draw < DRAWS_MAX; draw += 1) {
      const step = this.#draw(random);
      if (step?.isPossible(this) !== true) continue;
      this.counts.set(step.name, (this.counts.get(step.name) ?? 0) + 1);
      step.run(this, randomSource(choice.detail));
      return;
    }
  }

  #draw(random: Pick): Step | undefined {
    let at = random(this.#weights.reduce((sum, weight) => sum + weight, 0));
    return STEPS.find((_, index) => (at -= this.#weights[index] ?? 0) < 0);
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

  /** Of those the mirrors that may lose state: somebody else who is in sync keeps everything. */
  expendable(mirrors: readonly MirrorId[]): MirrorId[] {
    const { inSync } = this.world.authority.durableState;
    return mirrors.filter((id) => inSync.some((other) => other !== id && isSound(this.world, other)));
  }

  leaveZombie(): void {
    const { writer } = this.world;
    if (writer !== null) this.zombies.push(writer);
  }
}

/** Adds up what the worlds of one run say. */
class Tally {
  readonly violations: Violation[] = [];
  readonly trace: string[] = [];
  readonly counts = new Map<string, number>();
  taken = 0;
  operations = 0;
  beyondGuarantee = 0;
  copiedBytes = 0;
  unmatchedBytes = 0;

  add({ world, counts, operations }: RandomRun): void {
    this.violations.push(...world.violations);
    for (const line of world.trace) this.trace.push(line);
    for (const [name, count] of [...counts, ...world.milestones])
      this.counts.set(name, (this.counts.get(name) ?? 0) + count);
    this.operations += operations;
    if (world.isBeyondGuarantee) this.beyondGuarantee += 1;
    this.copiedBytes += world.copied.copiedBytes;
    this.unmatchedBytes += world.copied.unmatchedBytes;
  }
}

/**
 * Runs the choices, brings everything to rest, and says what the checkers found. Where every mirror in sync has lost state at
 * once nothing is promised any more, and the run goes on with a new set.
 */
export function runChoices(
  rules: Rules,
  weather: Weather,
  choices: readonly Choice[],
  options: { readonly isTraced: boolean } = { isTraced: true },
): RunResult {
  const tally = new Tally();
  const operationsMax = weather.operations ?? Infinity;
  const isOver = (): boolean => tally.violations.length > 0 || tally.operations >= operationsMax;
  do {
    const run = new RandomRun(rules, weather, options.isTraced);
    tally.taken += runWorld(run, choices.slice(tally.taken), operationsMax - tally.operations);
    tally.add(run);
  } while (!isOver() && tally.taken < choices.length);
  return tally;
}

/** Returns how many of the choices it took. */
function runWorld(run: RandomRun, choices: readonly Choice[], operationsMax: number): number {
  const { world } = run;
  world.startRecovery();
  while (world.network.messages.length > 0) world.deliver(0);
  let taken = 0;
  for (const choice of choices) {
    if (run.operations >= operationsMax) break;
    run.take(choice);
    taken += 1;
    if (world.violations.length > 0 || world.isBeyondGuarantee || world.hasBegunAnew) return taken;
  }
  quiesce(world);
  return taken;
}

/** Leaves out choices while the run still fails with the same code. */
export function shrinkChoices(rules: Rules, weather: Weather, choices: readonly Choice[]): Choice[] {
  const code = runChoices(rules, weather, choices).violations[0]?.code;
  const stillFails = (candidate: readonly Choice[]): boolean =>
    runChoices(rules, weather, candidate, { isTraced: false }).violations[0]?.code === code;
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
