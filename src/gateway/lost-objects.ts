/**
 * Objects with bytes that no mirror in sync can give, as the OSDs tell of them: found by a reconciliation, a read or a scrub. Looked for
 * again and again, so that an operator hears of each, and of its end: written anew, removed, or healed.
 *
 * What one mirror says may be known better by another: each mirror in sync is told once to heal such an object from the others. One that had it
 * intact, because it was away until now, makes the others whole by that; one that has it damaged as well says so from then on.
 */
import type { MirrorId } from '../protocol/authority-state.js';
import { type ObjectId, parseObjectId } from '../protocol/object-id.js';
import type { Tag } from '../protocol/tag.js';
import {
  type LostObject,
  LOST_OBJECTS_PAGE_MAX,
  type OsdConnection,
  OsdRefusal,
} from '../wire/osd-connection.js';
import type { Logger } from './logger.js';
import type { MirrorSet } from './mirror-set.js';
import type { LostObjectStatus } from './mirror-set-status.js';
import { healSourcesFor } from './read-repair.js';

/** Objects that are known at once; the first ones in order of their ids. */
const LOST_OBJECTS_MAX = 1000;
/** Objects that have a line of their own among the events of one look. */
const NAMED_AT_ONCE_MAX = 10;

/** What is known of one object. */
export interface KnownLoss {
  readonly objectId: ObjectId;
  readonly lastTag: Tag;
  readonly sizeBytes: number;
  readonly lostBytes: number;
  /** Those that say so, in order of the set's mirrors. */
  readonly mirrors: readonly MirrorId[];
  readonly kept: { readonly mirror: MirrorId; readonly sizeBytes: number; readonly lastTag: Tag } | null;
}

/** A loss that nobody was told of, or of which one more way out is known since: a mirror was found that keeps an earlier write. */
function isNews(loss: KnownLoss, known: KnownLoss | undefined): boolean {
  return known?.lastTag !== loss.lastTag || (known.kept === null && loss.kept !== null);
}

export interface LostObjectsOptions {
  readonly set: Pick<MirrorSet, 'members' | 'inSync' | 'connectionOf' | 'epoch'>;
  readonly logger: Logger;
  readonly onEvent: (message: string) => void;
  /** Between two looks, ms. */
  readonly pauseMs: number;
}

export class LostObjects {
  readonly #options: LostObjectsOptions;
  #known = new Map<ObjectId, KnownLoss>();
  /** Orders to heal that went out, by mirror, object and write. */
  #ordered = new Set<string>();
  #looking: Promise<void> | null = null;
  #lookAgainAtMs = 0;

  constructor(options: LostObjectsOptions) {
    this.#options = options;
  }

  get all(): readonly KnownLoss[] {
    return [...this.#known.values()];
  }

  of(objectId: ObjectId): KnownLoss | null {
    return this.#known.get(objectId) ?? null;
  }

  /** To be called often; looks when it is time to. */
  review(): void {
    if (this.#looking !== null || performance.now() < this.#lookAgainAtMs) return;
    void this.look();
  }

  /** Looks at every mirror in sync now. Never rejects. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null;
      this.#lookAgainAtMs = performance.now() + this.#options.pauseMs;
    });
    return this.#looking;
  }

  async stop(): Promise<void> {
    await this.#looking;
  }

  async #look(): Promise<void> {
    const { set, logger } = this.#options;
    try {
      const said = await Promise.all(
        set.inSync.map(async (mirror) => ({ mirror, objects: await lostOf(set.connectionOf(mirror)) })),
      );
      this.#take(mergeLosses(said));
      await this.#orderHeals();
    } catch (error) {
      // It is away, or the epoch changed; the next look tells.
      logger.debug({ err: error }, 'lost objects could not be looked for');
    }
  }

  #take(found: Map<ObjectId, KnownLoss>): void {
    const { logger, onEvent } = this.#options;
    const added = [...found.values()].filter((loss) => isNews(loss, this.#known.get(loss.objectId)));
    const ended = [...this.#known.keys()].filter((objectId) => !found.has(objectId));
    this.#known = found;
    for (const loss of added) logger.error({ loss }, 'an object has bytes that are intact nowhere');
    for (const loss of added.slice(0, NAMED_AT_ONCE_MAX)) onEvent(describeLoss(loss));
    if (added.length > NAMED_AT_ONCE_MAX)
      onEvent(`and ${added.length - NAMED_AT_ONCE_MAX} more objects have bytes that are intact nowhere`);
    for (const objectId of ended.slice(0, NAMED_AT_ONCE_MAX))
      onEvent(`${describeId(objectId)} is whole again, or gone`);
  }

  async #orderHeals(): Promise<void> {
    const { set } = this.#options;
    const { epoch } = set;
    const ordered = new Set<string>();
    for (const { objectId, lastTag } of this.#known.values()) {
      for (const mirror of set.inSync) {
        const order = `${epoch} ${mirror} ${lastTag} ${objectId}`;
        ordered.add(order);
        if (this.#ordered.has(order)) continue;
        const sources = healSourcesFor(set, mirror);
        await set.connectionOf(mirror).orderHeal({ epoch, objectId, extents: null, sources });
      }
    }
    this.#ordered = ordered;
  }
}

/** An OSD of an earlier release knows of none. */
async function lostOf(osd: OsdConnection): Promise<LostObject[]> {
  const found: LostObject[] = [];
  let after: ObjectId | null = null;
  try {
    for (;;) {
      const page: readonly LostObject[] = await osd.lostObjects(after, LOST_OBJECTS_PAGE_MAX);
      found.push(...page);
      after = page.at(-1)?.objectId ?? null;
      if (page.length < LOST_OBJECTS_PAGE_MAX || found.length >= LOST_OBJECTS_MAX) return found;
    }
  } catch (error) {
    if (error instanceof OsdRefusal && error.code === 'no-such-route') return [];
    throw error;
  }
}

function mergeLosses(
  said: readonly { readonly mirror: MirrorId; readonly objects: readonly LostObject[] }[],
): Map<ObjectId, KnownLoss> {
  const found = new Map<ObjectId, KnownLoss>();
  for (const { mirror, objects } of said) {
    for (const { objectId, state, lostBytes, kept } of objects) {
      const known = found.get(objectId);
      const { lastTag, sizeBytes } = state;
      const own = kept === null ? null : { mirror, sizeBytes: kept.sizeBytes, lastTag: kept.lastTag };
      found.set(objectId, {
        objectId,
        lastTag,
        sizeBytes,
        lostBytes: Math.max(lostBytes, known?.lostBytes ?? 0),
        mirrors: [...(known?.mirrors ?? []), mirror],
        kept: latestOf(known?.kept ?? null, own),
      });
    }
  }
  return found;
}

function latestOf(left: KnownLoss['kept'], right: KnownLoss['kept']): KnownLoss['kept'] {
  if (left === null || right === null) return left ?? right;
  return right.lastTag > left.lastTag ? right : left;
}

export function describeId(objectId: ObjectId): string {
  const { container, name, version } = parseObjectId(objectId);
  return version === '' ? `${container}/${name}` : `${container}/${name} (version ${version})`;
}

function describeLoss({ objectId, lostBytes, sizeBytes, mirrors, kept }: KnownLoss): string {
  const who = mirrors.join(', ');
  const older = kept === null ? '' : `; ${kept.mirror} keeps what it was before, ${kept.sizeBytes} bytes`;
  return `${describeId(objectId)}: ${lostBytes} of its ${sizeBytes} bytes are intact nowhere (${who})${older}. Write it anew, remove it, or see "tally force --object"`;
}

export function toLossStatus({ objectId, ...loss }: KnownLoss): LostObjectStatus {
  const { container, name, version } = parseObjectId(objectId);
  const { lastTag, sizeBytes, lostBytes, mirrors, kept } = loss;
  const own = kept === null ? null : { mirror: kept.mirror, sizeBytes: kept.sizeBytes };
  return { bucket: container, key: name, version, lastTag, sizeBytes, lostBytes, mirrors, kept: own };
}
