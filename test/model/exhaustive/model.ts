/**
 * The protocol alone as a transition system (DESIGN.md section 3 to 5): one object, a base and two more writes, every
 * decision by the functions of src/protocol or by the one that stands in for it (rules.ts).
 *
 * A mirror that is down or cut off is one to which nothing is delivered, a lost message one that never is; so there is
 * no step for either. What a step is here is done as one: a request and its answer, an exclusion, an admission, the reads of
 * a recovery (all fenced). Left out: full copies online, extends, clean stops, forgone rows, rotten bytes, reads.
 */
import { InvariantViolation } from '../../../src/protocol/invariant.js';
import type { Rules } from '../rules.js';
import { checkState } from './checks.js';
import { admit, deliver, duplicate, exclude, floorOf, giveUp, issue, leavingOf, repeat } from './gateway.js';
import { type Context, receiveClear, receiveFloor, restart, tearWrite } from './mirror.js';
import { at, idOf, KINDS, membersOf } from './names.js';
import {
  activate,
  begin,
  copyHalf,
  copyInFull,
  dropMatched,
  fence,
  land,
  matchOnline,
  plan,
  survey,
} from './repair.js';
import { normalise } from './normal.js';
import { copyOfImage, firstState, type Image, newImage, type State, STORES_PER_MIRROR } from './state.js';

export interface Bounds {
  readonly mirrors: number;
  readonly isOnline: boolean;
  readonly epochsMax: number;
  readonly restartsMax: number;
  /** Blank disks and old snapshots. */
  readonly damagesMax: number;
  readonly repeatsMax: number;
  /** What the writer issues; all kinds, when it is not said. */
  readonly kinds?: readonly (typeof KINDS)[number][];
  /** The base is a removal that nobody remembers. */
  readonly isAbsentAtFirst?: boolean;
  /** Steps that are taken before the search begins. */
  readonly after?: readonly string[];
  /** The only steps that the search takes: those whose names hold one of these. */
  readonly only?: readonly string[];
}

export interface Step {
  readonly name: string;
  /** False: it can't be taken in this state. */
  readonly take: (state: State) => boolean;
}

function always(run: (state: State) => void): Step['take'] {
  return (state) => {
    run(state);
    return true;
  };
}

export class Model {
  readonly bounds: Bounds;
  readonly steps: readonly Step[];
  readonly #all: readonly Step[];
  readonly #context: Context;
  #violation: string | null = null;

  constructor(rules: Rules, bounds: Bounds) {
    this.bounds = bounds;
    this.#context = {
      rules,
      violate: (text) => {
        this.#violation ??= text;
      },
    };
    const mirrors = Array.from({ length: bounds.mirrors }, (_, mirror) => mirror);
    const steps = [
      ...this.#writerSteps(mirrors),
      ...this.#recoverySteps(mirrors),
      ...this.#troubleSteps(mirrors),
      ...(bounds.isOnline ? this.#onlineSteps(mirrors) : []),
    ];
    this.#all = steps;
    const { only } = bounds;
    this.steps = steps.filter(({ name }) => only?.some((part) => name.includes(part)) ?? true);
  }

  /** The state that the search begins in. */
  first(): State {
    const { mirrors, isAbsentAtFirst, after = [] } = this.bounds;
    const state = firstState(mirrors, isAbsentAtFirst);
    for (const name of after) {
      const step = this.#all.find((candidate) => candidate.name === name);
      if (step === undefined) throw new RangeError(`no step is called "${name}"`);
      const { isTaken, violation } = this.take(step, state);
      if (!isTaken || violation !== null)
        throw new RangeError(`"${name}" can't be taken: ${violation ?? ''}`);
    }
    return state;
  }

  /** Takes a step on a state that may be changed. False: it can't be taken. The second: what is wrong after it. */
  take(step: Step, state: State): { readonly isTaken: boolean; readonly violation: string | null } {
    this.#violation = null;
    try {
      if (!step.take(state)) return { isTaken: false, violation: null };
      normalise(state, this.bounds.damagesMax);
      checkState(this.#context, state);
    } catch (error) {
      if (!(error instanceof InvariantViolation)) throw error;
      this.#violation ??= error.message;
    }
    return { isTaken: true, violation: this.#violation };
  }

  #writerSteps(mirrors: readonly number[]): Step[] {
    const context = this.#context;
    const kinds = this.bounds.kinds ?? KINDS;
    const steps: Step[] = kinds.map((name) => ({
      name: `the writer issues a ${name}`,
      take: (state) => issue(context, state, KINDS.indexOf(name)),
    }));
    for (const write of [1, 2])
      for (const mirror of mirrors) steps.push(...this.#requestSteps(write, mirror));
    const leaveOut: Step['take'] = (state) => {
      const leaving = leavingOf(context, state);
      if (leaving === 0 || !this.#hasEpochs(state)) return false;
      exclude(context, state, leaving);
      return true;
    };
    steps.push({ name: 'the writer leaves out who did not answer', take: leaveOut });
    // Floors are of use to tombstones alone.
    for (const mirror of kinds.includes('remove') ? mirrors : []) {
      const tellFloor: Step['take'] = (state) => {
        if (state.gateway.open === 0) return false;
        receiveFloor(context, state, mirror, floorOf(state));
        return true;
      };
      steps.push({ name: `${idOf(mirror)} is told the floor`, take: tellFloor });
    }
    return steps;
  }

  #requestSteps(write: number, mirror: number): Step[] {
    const context = this.#context;
    const name = `#${write} to ${idOf(mirror)}`;
    const isSent = (state: State): boolean => at(at(state.writes, write).requests, mirror) > 0;
    const arrive =
      (isAnswered: boolean): Step['take'] =>
      (state) => {
        if (!isSent(state)) return false;
        deliver(context, state, { write, mirror, isAnswered });
        return true;
      };
    const clear: Step['take'] = (state) => {
      const { clears } = at(state.writes, write);
      if (clears[mirror] !== 1) return false;
      clears[mirror] = 0;
      receiveClear(context, state, { write, mirror });
      return true;
    };
    const again: Step['take'] = (state) => {
      if (state.spent.repeats >= this.bounds.repeatsMax || !repeat(state, write, mirror)) return false;
      state.spent.repeats += 1;
      return true;
    };
    const twice: Step['take'] = (state) => {
      if (state.spent.repeats >= this.bounds.repeatsMax || !duplicate(state, write, mirror)) return false;
      state.spent.repeats += 1;
      return true;
    };
    const tear: Step['take'] = (state) => {
      if (!isSent(state)) return false;
      tearWrite(context, state, { write, mirror });
      return true;
    };
    return [
      { name: `${name} arrives and is answered`, take: arrive(true) },
      { name: `${name} arrives, its answer is lost`, take: arrive(false) },
      { name: `the clear of ${name} arrives`, take: clear },
      { name: `the writer gives up on ${name}`, take: (state) => giveUp(context, state, write, mirror) },
      { name: `the writer repeats ${name}`, take: again },
      { name: `the network duplicates ${name}`, take: twice },
      ...(context.rules.commitOrder === 'batch' ? [] : [{ name: `power fails amid ${name}`, take: tear }]),
    ];
  }

  #hasEpochs({ authority }: State): boolean {
    return authority.epoch < this.bounds.epochsMax;
  }

  #recoverySteps(mirrors: readonly number[]): Step[] {
    const context = this.#context;
    const inStage = (stage: number, take: Step['take']): Step['take'] => {
      return (state) => state.recovery.stage === stage && take(state);
    };
    return [
      {
        name: 'a recovery begins',
        take: (state) => {
          if (!this.#hasEpochs(state)) return false;
          begin(context, state);
          return true;
        },
      },
      ...mirrors.map((mirror) => ({
        name: `${idOf(mirror)} is fenced`,
        take: inStage(1, (state) => fence(context, state, mirror)),
      })),
      { name: 'the recovery is planned', take: inStage(1, (state) => plan(context, state)) },
      ...mirrors.flatMap((mirror) => [
        { name: `a push lands at ${idOf(mirror)}`, take: (state: State) => land(context, state, mirror) },
        {
          name: `${idOf(mirror)} is copied in full`,
          take: inStage(2, (state) => copyInFull(context, state, mirror)),
        },
        {
          name: `half of ${idOf(mirror)} is copied`,
          take: inStage(2, (state) => copyHalf(context, state, mirror)),
        },
      ]),
      { name: 'the recovery drops rows', take: inStage(2, (state) => dropMatched(context, state)) },
      {
        name: 'the recovery activates',
        take: inStage(
          3,
          always((state) => activate(context, state)),
        ),
      },
    ];
  }

  #troubleSteps(mirrors: readonly number[]): Step[] {
    const context = this.#context;
    const { restartsMax, damagesMax } = this.bounds;
    return mirrors.flatMap((mirror) => {
      const crash: Step['take'] = (state) => {
        if (state.spent.restarts >= restartsMax) return false;
        state.spent.restarts += 1;
        restart(context, state, mirror);
        return true;
      };
      const replace =
        (imageOf: (state: State) => Image | null): Step['take'] =>
        (state) => {
          const image = imageOf(state);
          if (image === null || state.spent.damages >= damagesMax || !isExpendable(state, mirror))
            return false;
          state.spent.damages += 1;
          Object.assign(at(state.mirrors, mirror), { image, damaged: 1 });
          restart(context, state, mirror);
          return true;
        };
      const keep: Step['take'] = (state) => {
        if (state.spent.damages >= damagesMax || state.snapshot.of < state.mirrors.length) return false;
        const { image } = at(state.mirrors, mirror);
        state.snapshot = { of: mirror, image: copyOfImage(image) };
        return true;
      };
      const blank = (state: State): Image | null => {
        const store = at(state.mirrors, mirror).image.store + state.mirrors.length;
        const isLast = store >= state.mirrors.length * STORES_PER_MIRROR;
        return isLast ? null : { ...newImage(state.mirrors.length), store };
      };
      const old = ({ snapshot }: State): Image | null =>
        snapshot.of === mirror ? copyOfImage(snapshot.image) : null;
      const name = idOf(mirror);
      return [
        { name: `${name} crashes and restarts`, take: crash },
        { name: `${name} gets a blank disk`, take: replace(blank) },
        { name: `a snapshot of ${name} is taken`, take: keep },
        { name: `${name} is put back to its snapshot`, take: replace(old) },
      ];
    });
  }

  #onlineSteps(mirrors: readonly number[]): Step[] {
    const context = this.#context;
    return [
      ...mirrors.flatMap((mirror) => [
        {
          name: `${idOf(mirror)} is let in as rebuilding`,
          take: (state: State) => this.#hasEpochs(state) && admit(context, state, mirror),
        },
        { name: `${idOf(mirror)} is surveyed`, take: (state: State) => survey(context, state, mirror) },
      ]),
      { name: 'the catch-up matches', take: (state) => matchOnline(context, state) },
    ];
  }
}

/** Someone else in sync is intact: what was answered is not gone with this disk. */
function isExpendable({ authority, mirrors }: State, mirror: number): boolean {
  return membersOf(authority.inSync).some((other) => other !== mirror && at(mirrors, other).damaged === 0);
}
