/**
 * Stages of this OSD: how many there are, and which of them nobody named.
 *
 *   open --finish--> waiting --claim--> named by a request --settle--> gone, or waiting again
 *                       |
 *                       +-- stageIdleMs: discarded
 *
 * Nothing here is durable: after a restart the store has no stages.
 */
import type { ObjectStore, StagedBlob, StageWriter } from '../store/object-store.js';
import type { OsdLogger } from './osd-logger.js';
import { refusal, refuseStoreErrors, withoutStoreError } from './refusal.js';

export interface StageRegistryOptions {
  readonly store: ObjectStore;
  readonly logger: OsdLogger;
  /** Unix time in ms. */
  readonly clock: () => number;
  readonly stagesMax: number;
  readonly stageIdleMs: number;
  readonly stageBytesMax: number;
}

/** The oldest waiting stage is looked at this many times per idle limit. */
const SWEEPS_PER_IDLE_LIMIT = 4;

export class StageRegistry {
  readonly #options: StageRegistryOptions;
  #openCount = 0;
  /** When each waiting stage began to wait, oldest first. */
  readonly #waitingSinceMs = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;
  #sweeping: Promise<void> = Promise.resolve();

  constructor(options: StageRegistryOptions) {
    this.#options = options;
    this.#timer = setInterval(
      () => {
        this.#sweeping = this.#sweeping.then(() => this.#sweep());
      },
      Math.max(1, options.stageIdleMs / SWEEPS_PER_IDLE_LIMIT),
    );
    this.#timer.unref();
  }

  get count(): number {
    return this.#openCount + this.#waitingSinceMs.size;
  }

  /** Throws OsdRefusal `too-many-stages`. */
  open(): RegisteredStage {
    const { stagesMax, stageBytesMax } = this.#options;
    if (this.count >= stagesMax) throw refusal('too-many-stages', `there are ${stagesMax} stages already`);
    const writer = this.#openWriter();
    this.#openCount += 1;
    return new RegisteredStage(writer, stageBytesMax, (staged) => {
      this.#openCount -= 1;
      if (staged !== null) this.#waitingSinceMs.set(staged.stageId, this.#options.clock());
    });
  }

  /** A request names the stage: it does not grow old meanwhile. */
  claim(stageId: string): void {
    this.#waitingSinceMs.delete(stageId);
  }

  /** The request that named the stage is answered; when it did not use the content, the stage waits again. */
  settle(stageId: string, isUsed: boolean): void {
    if (!isUsed) this.#waitingSinceMs.set(stageId, this.#options.clock());
  }

  async discard(stageId: string): Promise<void> {
    this.#waitingSinceMs.delete(stageId);
    await refuseStoreErrors(() => this.#options.store.discardStage(stageId));
  }

  /** One that nobody needs: losing track of it harms nobody. */
  async discardQuietly(stageId: string): Promise<void> {
    try {
      await this.discard(stageId);
    } catch (error) {
      this.#options.logger.warn({ err: error, stageId }, 'a stage could not be discarded');
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#sweeping;
  }

  #openWriter(): StageWriter {
    try {
      return this.#options.store.openStage();
    } catch (error) {
      throw withoutStoreError(error);
    }
  }

  async #sweep(): Promise<void> {
    const { clock, stageIdleMs, store, logger } = this.#options;
    const oldestMs = clock() - stageIdleMs;
    for (const [stageId, sinceMs] of this.#waitingSinceMs) {
      if (sinceMs > oldestMs) continue;
      this.#waitingSinceMs.delete(stageId);
      logger.warn({ stageId, stageIdleMs }, 'a stage that nobody named is discarded');
      try {
        await store.discardStage(stageId);
      } catch (error) {
        logger.error({ err: error, stageId }, 'a stage could not be discarded');
      }
    }
  }
}

/** One stage while it takes content. */
export class RegisteredStage {
  readonly #writer: StageWriter;
  readonly #bytesMax: number;
  readonly #onOver: (staged: StagedBlob | null) => void;
  #lengthBytes = 0;
  #isOver = false;

  constructor(writer: StageWriter, bytesMax: number, onOver: (staged: StagedBlob | null) => void) {
    this.#writer = writer;
    this.#bytesMax = bytesMax;
    this.#onOver = onOver;
  }

  /** Resolves when the next piece may come; undefined: at once. Throws, or rejects with, OsdRefusal. */
  write(piece: Buffer): Promise<void> | undefined {
    this.#lengthBytes += piece.length;
    if (this.#lengthBytes > this.#bytesMax) throw refusal('body-too-large', 'the stage is over its limit');
    const busy = this.#writeToStore(piece);
    return busy === undefined ? undefined : refuseStoreErrors(() => busy);
  }

  #writeToStore(piece: Buffer): Promise<void> | undefined {
    try {
      return this.#writer.write(piece);
    } catch (error) {
      throw withoutStoreError(error);
    }
  }

  async finish(): Promise<StagedBlob> {
    try {
      const staged = await refuseStoreErrors(() => this.#writer.finish());
      this.#end(staged);
      return staged;
    } catch (error) {
      this.#end(null);
      throw error;
    }
  }

  async abort(): Promise<void> {
    if (this.#isOver) return;
    this.#end(null);
    await this.#writer.abort();
  }

  #end(staged: StagedBlob | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#onOver(staged);
  }
}
