/**
 * An upload on its way to a mirror that is being rebuilt. Nobody waits for that one: pieces queue up for it, and when they are too many, or
 * it is too late in the end, it goes without the content; the write leaves a row then, and is copied later.
 */
import type { OsdConnection, RemoteStage } from '../wire/osd-connection.js';

/** What waits for it in memory, or one piece. */
const LAG_BYTES_MAX = 512 * 1024;
/** What a piece takes beside its bytes, which a client may send one by one. */
const PIECE_EXTRA_BYTES = 1024;
/** How much longer than the mirrors in sync it may take to finish. */
const LATENESS_MS_MAX = 50;

type Finished = Awaited<ReturnType<RemoteStage['finish']>>;

export class LaggingStage {
  readonly #connection: OsdConnection;
  readonly #stage: RemoteStage;
  #queuedBytes = 0;
  #isLost = false;
  /** Never rejects. */
  #written: Promise<void> = Promise.resolve();

  constructor(connection: OsdConnection, expectedBytes: number | null) {
    this.#connection = connection;
    this.#stage = connection.openStage(expectedBytes);
  }

  /** `onTaken`: it has no need of the piece any more. */
  write(piece: Buffer, onTaken?: () => void): void {
    // Asked here: once it is taken a piece may have no length any more.
    const heldBytes = piece.length + PIECE_EXTRA_BYTES;
    if (this.#queuedBytes > 0 && this.#queuedBytes + heldBytes > LAG_BYTES_MAX) this.abort();
    if (this.#isLost) {
      onTaken?.();
      return;
    }
    this.#queuedBytes += heldBytes;
    this.#written = this.#written.then(async () => {
      if (this.#isLost) {
        onTaken?.();
        return;
      }
      try {
        await this.#stage.write(piece, onTaken);
        this.#queuedBytes -= heldBytes;
      } catch {
        this.abort();
      }
    });
  }

  /** What it was given, or null when it has not all of it in time after `others` have. Never rejects. */
  async finish(others: Promise<unknown>): Promise<Finished | null> {
    const finished = this.#finishWhenWritten();
    let timer: NodeJS.Timeout | undefined;
    const tooLate = others
      .catch(() => undefined)
      .then(
        () =>
          new Promise<null>((resolve) => {
            timer = setTimeout(() => resolve(null), LATENESS_MS_MAX);
          }),
      );
    const inTime = await Promise.race([finished, tooLate]);
    clearTimeout(timer);
    if (inTime === null) void finished.then((staged) => staged !== null && this.#discard(staged.stageId));
    return inTime;
  }

  async #finishWhenWritten(): Promise<Finished | null> {
    await this.#written;
    if (this.#isLost) return null;
    try {
      return await this.#stage.finish();
    } catch {
      this.abort();
      return null;
    }
  }

  /** An OSD that does not hear this lets go of the stage by itself after a while. */
  #discard(stageId: string): void {
    this.#connection.discardStage(stageId).catch(() => undefined);
  }

  abort(): void {
    this.#isLost = true;
    this.#stage.abort();
  }
}
