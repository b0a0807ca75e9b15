/**
 * The version of this store's format, which is raised only when something is about to be written that the version before does not
 * know: so a release that came before can go on with a store that has nothing of it.
 */
import { StoreError } from './object-store.js';
import { FORMAT_VERSION, LOST_BYTES_VERSION, type Superblock, writeSuperblock } from './superblock.js';

export class StoreFormat {
  readonly #folder: string;
  readonly #superblock: Superblock;
  #mayHaveLostBytes: boolean;

  constructor(folder: string, superblock: Superblock) {
    this.#folder = folder;
    this.#superblock = superblock;
    this.#mayHaveLostBytes = superblock.mayHaveLostBytes;
  }

  get version(): number {
    return this.#mayHaveLostBytes ? LOST_BYTES_VERSION : FORMAT_VERSION;
  }

  /** What has to be waited for before an object with lost bytes is written; null: nothing. */
  needLostBytes(): (() => Promise<void>) | null {
    return this.#mayHaveLostBytes ? null : () => this.#raise();
  }

  /** Durable when it resolves; done twice at once it does no harm. */
  async #raise(): Promise<void> {
    const { storeId, setId } = this.#superblock;
    try {
      await writeSuperblock(this.#folder, { storeId, setId, damage: null, mayHaveLostBytes: true });
    } catch (cause) {
      throw new StoreError('io-error', 'the format of the store could not be raised', { cause });
    }
    this.#mayHaveLostBytes = true;
  }
}
