/**
 * Read repair: a read that meets rotten bytes is answered from another mirror, and the mirror with the rotten ones is told to
 * heal them from there. The orders go out in the background, a bounded number at a time; one that can't go out is forgotten, because the next
 * read of those bytes, or a scrub, finds them again.
 */
import type { MirrorId } from '../protocol/authority-state.js';
import type { ObjectId } from '../protocol/object-id.js';
import type { HealSource } from '../wire/osd-connection.js';
import type { Logger } from './logger.js';
import type { SetWriter } from './set-writer.js';

/** Orders on their way at once; beyond it the finding is only logged. */
const ORDERS_IN_FLIGHT_MAX = 64;

/** The mirrors in sync other than this one, as sources of intact bytes. */
export function healSourcesFor(
  set: Pick<SetWriter, 'inSync' | 'connectionOf'>,
  mirror: MirrorId,
): HealSource[] {
  return set.inSync
    .filter((other) => other !== mirror)
    .map((other) => ({ mirror: other, url: set.connectionOf(other).url }));
}

export class ReadRepair {
  readonly #set: SetWriter;
  readonly #logger: Logger;
  readonly #inFlight = new Set<string>();

  constructor(set: SetWriter, logger: Logger) {
    this.#set = set;
    this.#logger = logger;
  }

  /** A read of this object met rotten bytes at this mirror. */
  found(mirror: MirrorId, objectId: ObjectId): void {
    const key = `${mirror} ${objectId}`;
    const sources = healSourcesFor(this.#set, mirror);
    this.#logger.error({ mirror, objectId }, 'a read met damaged bytes');
    // Also without a source: then it is known at least that nobody has them.
    if (this.#inFlight.has(key) || this.#inFlight.size >= ORDERS_IN_FLIGHT_MAX) return;
    this.#inFlight.add(key);
    this.#set
      .connectionOf(mirror)
      .orderHeal({ epoch: this.#set.epoch, objectId, extents: null, sources })
      .catch((error: unknown) => {
        this.#logger.warn({ err: error, mirror, objectId }, 'the order to heal did not arrive');
      })
      .finally(() => {
        this.#inFlight.delete(key);
      });
  }
}
