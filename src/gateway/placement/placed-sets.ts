/**
 * The gateway's mirror sets: one `Gateway` each, the storage over all of them, and the move of objects after a change of the sets.
 * Each set has its own authority state, tables and recovery, and goes on when another one waits.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { invariant } from '../../protocol/invariant.js';
import type { Placement, SetName } from '../../protocol/placement.js';
import { adoptPlacement, settlePlacement } from '../../protocol/placement-record.js';
import { type GeneratorId, type Tag, tagGenerator } from '../../protocol/tag.js';
import type { Gateway } from '../gateway.js';
import type { Logger } from '../logger.js';
import type { ObjectStorage } from '../object-storage.js';
import { type MoveProgress, ObjectMover } from './object-mover.js';
import { PlacedObjectStorage } from './placed-object-storage.js';
import type { PlacementStorage } from './placement-file.js';

/** Between two walks of the mover when one had failures. */
const MOVE_RETRY_DELAY_MS = 10_000;

export interface PlacedSetsOptions {
  /** Every configured set, the one that was there before there were several first. */
  readonly configured: readonly SetName[];
  /** Where objects go. */
  readonly placement: Placement;
  readonly record: PlacementStorage;
  readonly startSet: (set: SetName, generator: GeneratorId) => Promise<Gateway>;
  readonly logger: Logger;
}

export class PlacedSets {
  readonly gateways: ReadonlyMap<SetName, Gateway>;
  readonly storage: ObjectStorage;
  readonly #mover: ObjectMover | null;

  private constructor(
    gateways: ReadonlyMap<SetName, Gateway>,
    storage: ObjectStorage,
    mover: ObjectMover | null,
  ) {
    this.gateways = gateways;
    this.storage = storage;
    this.#mover = mover;
  }

  /** Puts the placement on record, starts all sets, and the mover if there is something to move. Throws PlacementRefused. */
  static async start(options: PlacedSetsOptions): Promise<PlacedSets> {
    const { configured, placement, record, startSet, logger } = options;
    const adopted = adoptPlacement(await record.load(), { configured, placement });
    await record.save(adopted);
    const gateways = new Map<SetName, Gateway>();
    const setsByGenerator = new Map<GeneratorId, SetName>();
    try {
      for (const set of configured) {
        const generator = adopted.generators.get(set);
        invariant(generator !== undefined, 'every configured set has a generator', { set });
        setsByGenerator.set(generator, set);
        gateways.set(set, await startSet(set, generator));
      }
    } catch (error) {
      await Promise.all([...gateways.values()].map((gateway) => gateway.stop()));
      throw error;
    }
    const [first, ...others] = gateways.values();
    invariant(first !== undefined, 'there is at least one mirror set');
    if (others.length === 0) return new PlacedSets(gateways, first.storage, null);

    const setOfTag = (tag: Tag): SetName => {
      const set = setsByGenerator.get(tagGenerator(tag));
      invariant(set !== undefined, 'a tag is of a configured set', { tag });
      return set;
    };
    const sets = new Map([...gateways].map(([set, gateway]) => [set, gateway.storage]));
    const storage = new PlacedObjectStorage({ sets, placement, former: adopted.former, setOfTag });
    if (storage.isSettled) return new PlacedSets(gateways, storage, null);
    const mover = new ObjectMover({
      storage,
      sets: [...gateways].map(([set, gateway]) => ({
        set,
        ids: (after, limit) => gateway.presentIds(after, limit),
      })),
      logger,
      retryDelayMs: MOVE_RETRY_DELAY_MS,
      wait: (delayMs, signal) => sleep(delayMs, undefined, { signal }).catch(() => undefined),
      onSettled: () => record.save(settlePlacement(adopted)),
    });
    mover.start();
    return new PlacedSets(gateways, storage, mover);
  }

  /** Null: every object is at its home, and was when this gateway started. */
  get moveProgress(): MoveProgress | null {
    return this.#mover?.progress ?? null;
  }

  async stop(): Promise<void> {
    await this.#mover?.stop();
    await Promise.all([...this.gateways.values()].map((gateway) => gateway.stop()));
  }
}
