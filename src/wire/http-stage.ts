/**
 * Content on its way into an OSD: the body of one POST /v1/stages, fed piece by piece.
 *
 * Backpressure: what a stage's share of its room has (and one piece more) waits in this process; `write` resolves when there is
 * room again. A request that fails, or is refused half-way, makes every later `write` and `finish` reject.
 */
import { Readable } from 'node:stream';
import type { RemoteStage } from './osd-connection.js';
import type { RoomLimits, SharedRoom } from './shared-room.js';

export const STAGE_BUFFER_BYTES_MAX = 512 * 1024;
/** What waits for one OSD. */
export const STAGE_ROOM: RoomLimits = {
  allBytesMax: 4 * 1024 * 1024,
  streamBytesMax: STAGE_BUFFER_BYTES_MAX,
};
/** As much as comes from a socket at once. Who has less room than that waits until the OSD's socket has taken all. */
const STAGE_PIECE_BYTES = 64 * 1024;

export type StagedRemotely = Awaited<ReturnType<RemoteStage['finish']>>;

export class HttpStage implements RemoteStage {
  readonly #body: Readable;
  readonly #room: SharedRoom;
  readonly #answer: Promise<StagedRemotely>;
  #failure: Error | null = null;
  #isEnded = false;
  #wake: (() => void) | null = null;

  /** `send` starts the request with this body, and settles with the OSD's answer. */
  constructor(room: SharedRoom, send: (body: Readable) => Promise<StagedRemotely>) {
    this.#room = room;
    room.enter();
    this.#body = new Readable({
      // A writer that waits goes on when no more than this is left.
      highWaterMark: STAGE_PIECE_BYTES,
      read: () => this.#wakeWriter(),
    });
    this.#body.on('error', (error) => this.#fail(error));
    this.#answer = send(this.#body).finally(() => room.leave());
    this.#answer.then(
      () => {
        if (!this.#isEnded) this.#fail(new Error('the OSD answered before the content ended'));
      },
      (error: unknown) => this.#fail(error instanceof Error ? error : new Error(String(error))),
    );
  }

  async write(piece: Buffer): Promise<void> {
    this.#throwIfFailed();
    if (piece.length === 0) return;
    this.#body.push(piece);
    if (this.#hasRoom()) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#throwIfFailed();
  }

  #hasRoom(): boolean {
    const { bytesEach } = this.#room;
    if (this.#body.readableLength >= bytesEach) return false;
    return bytesEach >= STAGE_PIECE_BYTES || !this.#body.isPaused();
  }

  async finish(): Promise<StagedRemotely> {
    this.#throwIfFailed();
    this.#isEnded = true;
    this.#body.push(null);
    return this.#answer;
  }

  abort(): void {
    this.#fail(new Error('the stage was aborted'));
    this.#body.destroy(new Error('the stage was aborted'));
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#wakeWriter();
  }

  #throwIfFailed(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  #wakeWriter(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}
