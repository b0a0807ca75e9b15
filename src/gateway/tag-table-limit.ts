/**
 * Keeps the tag tables bounded while a mirror is away (F27), and while it is copied to in full.
 *
 * Order: the authority has it on disk that the absent mirrors need a full copy, and every mirror in sync keeps a copy of that (F31: one that
 * does not leaves it to a recovery); only then rows are dropped, page by page, at the active epoch. From the record on, new writes leave no rows for those mirrors either. Whatever interrupts the
 * dropping (another epoch, a restart) leaves rows that are needless, and the next look goes on.
 *
 * A full copy leaves a row for each write that comes meanwhile, because the copy may have passed that object already. At the limit
 * it begins anew, which goes on record, in an epoch of its own: it will look at every object again, so the rows of
 * earlier epochs say nothing to it, and go. What was copied is there, and is compared, not copied again; so it ends if comparing
 * everything takes less time than clients need for so many writes.
 */
import type { MirrorId } from '../protocol/authority-state.js';
import {
  areAllRowsForgone,
  bearsWitness,
  forgoRows,
  isCopiedInFull,
  isSettled,
  saysNothingToCopies,
} from '../protocol/forgone-rows.js';
import type { Epoch, Tag } from '../protocol/tag.js';
import type { Witness } from '../protocol/token.js';
import { type OsdIdentity, ROWS_PAGE_MAX, type RowCursor } from '../wire/osd-connection.js';
import type { Logger } from './logger.js';
import type { MirrorSet } from './mirror-set.js';
import type { WrittenMirror } from '../writer/mirror-writer.js';

/** Rows of one mirror's tag table while another one is away. A row takes some 200 bytes of disk. */
export const TAG_TABLE_ROWS_MAX_DEFAULT = 5_000_000;

export interface TagTableLimitOptions {
  readonly set: MirrorSet;
  readonly rowsMax: number;
  readonly logger: Logger;
  /** What a mirror said last of itself. */
  readonly identityOf: (mirror: MirrorId) => OsdIdentity | null;
  readonly onForgone: (mirrors: readonly MirrorId[], reason: string) => void;
  /** The full copy that runs has to begin anew. */
  readonly onCopyOutgrown: (reason: string) => void;
}

export class TagTableLimit {
  readonly #options: TagTableLimitOptions;
  #running: Promise<void> | null = null;
  #isStopped = false;

  constructor(options: TagTableLimitOptions) {
    this.#options = options;
  }

  /** Looks at the tables as they were seen last; what follows goes on in the background, one at a time. */
  review(): void {
    if (this.#running !== null || this.#isStopped || !this.#options.set.gate.isOpen) return;
    if (this.#longestTable() === 0) return;
    this.#running = this.#enforce()
      .catch((error: unknown) => {
        // The next look tries again; until then the rows stay.
        this.#options.logger.warn({ err: error }, 'the tag tables could not be cut back');
      })
      .finally(() => {
        this.#running = null;
      });
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  #longestTable(): number {
    const { set, identityOf } = this.#options;
    return Math.max(0, ...set.inSync.map((mirror) => identityOf(mirror)?.rowCount ?? 0));
  }

  async #enforce(): Promise<void> {
    const { set, rowsMax } = this.#options;
    if (isCopiedInFull(set.state)) {
      await this.#boundCopy();
      return;
    }
    if (!areAllRowsForgone(set.state)) {
      if (this.#longestTable() < rowsMax || set.inSync.length === set.members.length) return;
      await set.runTransition(() => this.#putOnRecord());
    }
    await this.#dropRows(() => areAllRowsForgone(set.state));
  }

  /** Rows from before the copy began go; when those that are left are too many, it begins anew. */
  async #boundCopy(): Promise<void> {
    const { set, rowsMax, logger, onCopyOutgrown } = this.#options;
    const { epoch } = set;
    await this.#dropRows((tag) => saysNothingToCopies(set.state, set.copiedFromBeginning, tag));
    if (this.#longestTable() < rowsMax || set.epoch !== epoch || this.#isStopped) return;
    // What was seen last may be from before the rows went.
    const identities = await Promise.all(set.inSync.map((mirror) => set.connectionOf(mirror).identity()));
    const isOutgrown = identities.some(({ rowCount }) => rowCount >= rowsMax);
    if (!isOutgrown || set.epoch !== epoch || !isCopiedInFull(set.state)) return;
    const reason = `the tag table reached its limit of ${rowsMax} rows`;
    logger.warn({ mirrors: set.rebuilding, rowsMax }, 'the tag table is full: the full copy begins anew');
    onCopyOutgrown(reason);
  }

  async #dropRows(isNeedless: (tag: Tag) => boolean): Promise<void> {
    const { set } = this.#options;
    for (const member of set.members)
      if (set.inSync.includes(member.mirror)) await this.#dropRowsOf(member, isNeedless);
  }

  async #putOnRecord(): Promise<void> {
    const { set, rowsMax, logger, onForgone } = this.#options;
    const away = set.state.members.filter(
      ({ mirror, rowsForgone }) =>
        !set.inSync.includes(mirror) &&
        set.state.rebuilding?.includes(mirror) !== true &&
        rowsForgone !== true,
    );
    // Somebody may have come back while this waited for its turn.
    if (set.state.phase !== 'active' || away.length === 0) return;
    const mirrors = away.map(({ mirror }) => mirror);
    const reason = `it was away for so long that the tag table reached its limit of ${rowsMax} rows`;
    try {
      await set.saveState(forgoRows(set.state, mirrors, reason));
    } catch (error) {
      set.requireRecovery('mirror-lost', 'it could not be put on record everywhere that rows are forgone');
      throw error;
    }
    logger.warn({ mirrors, rowsMax }, 'the tag table is full: mirrors that are away need a full copy');
    onForgone(mirrors, reason);
  }

  async #dropRowsOf({ mirror, connection }: WrittenMirror, isNeedless: (tag: Tag) => boolean): Promise<void> {
    const { set } = this.#options;
    let after: RowCursor | null = null;
    for (;;) {
      const { epoch } = set;
      const floors = await set.floors();
      if (floors === null || set.epoch !== epoch || this.#isStopped || !set.gate.isOpen) return;
      const witnesses = await this.#witnessesFor(mirror, epoch);
      if (witnesses === null) return;
      const page = await connection.rows(after, ROWS_PAGE_MAX);
      const settled = page.filter(({ tag }) => isSettled(tag, floors) && isNeedless(tag));
      if (settled.length > 0) {
        const cursors = settled.map(({ objectId, tag }) => ({ objectId, tag }));
        const reply = await connection.dropRows(set.setId, epoch, cursors, witnesses);
        if (reply.kind === 'refused') return;
      }
      after = page.at(-1) ?? null;
      if (page.length < ROWS_PAGE_MAX) return;
    }
  }

  /** Rows go with witnesses of the mirrors that have those writes (F17). Null: one of them was restarted since. */
  async #witnessesFor(mirror: MirrorId, epoch: Epoch): Promise<Witness[] | null> {
    const { set } = this.#options;
    const others = set.inSync.filter((other) => other !== mirror);
    const identities = await Promise.all(others.map((other) => set.connectionOf(other).identity()));
    if (!identities.every(({ activeEpoch }) => bearsWitness(activeEpoch, epoch))) return null;
    return identities.map(({ storeId, commitSequence }) => ({ storeId, commitSequence }));
  }
}
