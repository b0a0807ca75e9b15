/**
 * Replaces rotten bytes of this OSD by the intact ones of a peer (protocol/heal.ts says when that is right).
 *
 * The bytes come by the way of a reconciliation: the peer checks them before they are sent, this store before they land
 * (F30). Heals wait in a bounded queue and run one at a time; what became of each is logged and counted.
 */
import { type Extent, extentBytes } from '../protocol/extent.js';
import { InvariantViolation } from '../protocol/invariant.js';
import { compareUtf8, type ObjectId } from '../protocol/object-id.js';
import type { Epoch, Tag } from '../protocol/tag.js';
import type { ObjectStore } from '../store/object-store.js';
import type {
  HealOrder,
  HealSource,
  LostObject,
  OsdConnection,
  PushContent,
} from '../wire/osd-connection.js';
import { findDamage } from './examination.js';
import type { OsdLogger } from './osd-logger.js';
import { relayContent, SourceUnfit } from './reconcile/content-relay.js';
import { refusal } from './refusal.js';

/** Heals that wait; more are turned away, and found again by the next read or scrub. */
const HEALS_WAITING_MAX = 1000;
/** Objects that nobody could heal and that are remembered; the others are found again by the next read or scrub. */
const UNHEALED_MAX = 1000;

export interface HealerOptions {
  readonly self: OsdConnection;
  readonly store: ObjectStore;
  readonly connect: (url: string) => OsdConnection;
  /** Content of a heal as a stage of this store. */
  readonly stage: (bytes: PushContent) => Promise<string | null>;
  readonly discardStage: (stageId: string) => Promise<void>;
  readonly logger: OsdLogger;
  readonly onInvariantViolation: (violation: InvariantViolation) => void;
}

export type HealOutcome = 'intact' | 'healed' | 'not-healed';

/** How often something was found damaged, and healed, since this OSD was started. */
export interface HealCounts {
  readonly objectsDamaged: number;
  readonly objectsHealed: number;
  readonly bytesHealed: number;
}

interface Place {
  readonly epoch: Epoch;
  readonly objectId: ObjectId;
  readonly lastTag: Tag;
  readonly extents: readonly Extent[];
}

export class Healer {
  readonly #options: HealerOptions;
  readonly #waiting = new Set<ObjectId>();
  #last: Promise<unknown> = Promise.resolve();
  readonly #unhealed = new Map<ObjectId, { readonly lastTag: Tag; readonly lostBytes: number }>();
  #counts = { objectsDamaged: 0, objectsHealed: 0, bytesHealed: 0 };
  #isClosed = false;

  constructor(options: HealerOptions) {
    this.#options = options;
  }

  get counts(): HealCounts {
    return { ...this.#counts };
  }

  /** Puts an order in the queue. Throws OsdRefusal `overloaded`. One that waits for the same object already takes its place. */
  order(order: HealOrder): void {
    const { objectId } = order;
    if (this.#waiting.has(objectId)) return;
    if (this.#waiting.size >= HEALS_WAITING_MAX) throw refusal('overloaded', 'too many heals are waiting');
    this.#waiting.add(objectId);
    this.#last = this.#last.then(async () => {
      this.#waiting.delete(objectId);
      await this.heal(order);
    });
  }

  /** What nobody could heal since the start, and is still what it was, behind `after`; for people. */
  async unhealed(after: ObjectId | null): Promise<LostObject[]> {
    const found: LostObject[] = [];
    for (const [objectId, { lastTag, lostBytes }] of this.#unhealed) {
      if (after !== null && compareUtf8(objectId, after) <= 0) continue;
      const state = await this.#options.store.head(objectId);
      if (state?.kind === 'present' && state.lastTag === lastTag)
        found.push({ objectId, state, lostBytes, kept: null });
      else this.#unhealed.delete(objectId);
    }
    return found;
  }

  /** Never rejects. */
  async heal(order: HealOrder): Promise<HealOutcome> {
    if (this.#isClosed) return 'not-healed';
    const { logger, onInvariantViolation } = this.#options;
    try {
      return await this.#heal(order);
    } catch (error) {
      if (error instanceof InvariantViolation) onInvariantViolation(error);
      logger.error({ err: error, objectId: order.objectId }, 'a damaged object could not be healed');
      return 'not-healed';
    }
  }

  async #heal({ epoch, objectId, extents, sources }: HealOrder): Promise<HealOutcome> {
    const { store, logger } = this.#options;
    const damage =
      extents === null
        ? await findDamage(store, objectId, async () => undefined)
        : await this.#stated(objectId, extents);
    this.#unhealed.delete(objectId);
    if (damage === null || damage.extents.length === 0) return 'intact';
    this.#counts.objectsDamaged += 1;
    logger.error({ objectId, extents: damage.extents }, 'stored bytes are damaged');
    let isLost = true;
    for (const source of sources) {
      const outcome = await this.#healFrom(source, { epoch, objectId, ...damage });
      if (outcome === 'healed') return 'healed';
      isLost &&= outcome === 'unfit';
    }
    logger.error({ objectId }, 'no peer had the bytes to heal a damaged object with');
    const { lastTag } = damage;
    if (isLost && this.#unhealed.size < UNHEALED_MAX)
      this.#unhealed.set(objectId, { lastTag, lostBytes: extentBytes(damage.extents) });
    return 'not-healed';
  }

  async #stated(
    objectId: ObjectId,
    extents: readonly Extent[],
  ): Promise<Omit<Place, 'epoch' | 'objectId'> | null> {
    const state = await this.#options.store.head(objectId);
    return state?.kind === 'present' ? { lastTag: state.lastTag, extents } : null;
  }

  /** `unfit`: this peer answered that it does not have the bytes either. */
  async #healFrom({ mirror, url }: HealSource, place: Place): Promise<'healed' | 'unfit' | 'failed'> {
    const { connect, self, store, stage, discardStage, logger } = this.#options;
    const osd = connect(url);
    const { epoch, objectId, lastTag, extents } = place;
    try {
      const { bytes, contentChecksum } = await relayContent(place, { mirror, osd }, self);
      const stageId = await stage(bytes);
      if (stageId === null) return 'failed';
      const reply = await store.heal({ epoch, objectId, lastTag, extents, stageId, contentChecksum });
      if (reply.kind === 'landed') {
        this.#counts.objectsHealed += 1;
        this.#counts.bytesHealed += extentBytes(extents);
        logger.warn({ objectId, from: mirror, extents }, 'a damaged object is healed');
        return 'healed';
      }
      await discardStage(stageId);
      logger.warn({ objectId, code: reply.code }, 'a heal was not let in');
      return 'failed';
    } catch (error) {
      if (error instanceof InvariantViolation) throw error;
      const isUnfit = error instanceof SourceUnfit;
      logger.warn({ err: error, objectId, mirror, isUnfit }, 'this peer can not heal a damaged object');
      return isUnfit ? 'unfit' : 'failed';
    } finally {
      await osd.close();
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#last;
  }
}
