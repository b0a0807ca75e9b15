/**
 * What is durably known of the placement: the one that objects go to, and those that some may still be at. State and wish in, state
 * out; whoever acts on the new state has it on disk first.
 */
import type { Placement, SetName } from './placement.js';
import { type GeneratorId, toGeneratorId } from './tag.js';

/** Placements that objects may still be at; past that the next one waits for the mover. */
export const FORMER_PLACEMENTS_MAX = 8;

export interface PlacementRecord {
  /** The generator that issues each set's tags, by which tags of two sets are told apart. Never given to another set. */
  readonly generators: ReadonlyMap<SetName, GeneratorId>;
  readonly placement: Placement;
  /** The newest first. Empty: every object is at its home. */
  readonly former: readonly Placement[];
}

export interface PlacementWish {
  /** Every set that is configured, the one that was there before there were several first. */
  readonly configured: readonly SetName[];
  readonly placement: Placement;
}

/** The wish can't be granted; the message says why, for operators. */
export class PlacementRefused extends Error {
  readonly code = 'placement-refused';

  constructor(message: string) {
    super(message);
    this.name = 'PlacementRefused';
  }
}

function isSamePlacement(left: Placement, right: Placement): boolean {
  const pinsOf = ({ pins }: Placement): string => JSON.stringify([...pins].sort());
  return [...left.sets].sort().join() === [...right.sets].sort().join() && pinsOf(left) === pinsOf(right);
}

function setsOf({ sets, pins }: Placement): SetName[] {
  return [...sets, ...pins.values()];
}

function withGenerators(
  known: ReadonlyMap<SetName, GeneratorId>,
  configured: readonly SetName[],
): ReadonlyMap<SetName, GeneratorId> {
  const generators = new Map(known);
  for (const set of configured) {
    if (!generators.has(set)) generators.set(set, toGeneratorId(Math.max(0, ...generators.values()) + 1));
  }
  return generators;
}

/**
 * Takes in what the configuration says. `stored` is null at the very first start, and where there was one set until now. Throws
 * PlacementRefused.
 */
export function adoptPlacement(stored: PlacementRecord | null, wish: PlacementWish): PlacementRecord {
  const { configured, placement } = wish;
  const generators = withGenerators(stored?.generators ?? new Map<SetName, GeneratorId>(), configured);
  const unknown = setsOf(placement).find((set) => !configured.includes(set));
  if (unknown !== undefined)
    throw new PlacementRefused(`A bucket is pinned to ${unknown}, which is no mirror set.`);
  if (stored === null) {
    const alone: Placement = { sets: configured.slice(0, 1), pins: new Map() };
    return { generators, placement, former: isSamePlacement(alone, placement) ? [] : [alone] };
  }
  const missing = [stored.placement, ...stored.former]
    .flatMap(setsOf)
    .find((set) => !configured.includes(set));
  if (missing !== undefined) {
    throw new PlacementRefused(
      `Mirror set ${missing} has objects, and is not in the configuration any more. Set "draining: true" on it first; when all objects have moved it can go.`,
    );
  }
  if (isSamePlacement(stored.placement, placement)) return { ...stored, generators };
  if (stored.former.length === FORMER_PLACEMENTS_MAX) {
    throw new PlacementRefused(
      `Objects still move after the last ${FORMER_PLACEMENTS_MAX} changes of the mirror sets: wait for that before the next one.`,
    );
  }
  return { generators, placement, former: [stored.placement, ...stored.former] };
}

/** Every object is at its home. */
export function settlePlacement(record: PlacementRecord): PlacementRecord {
  return { ...record, former: [] };
}
