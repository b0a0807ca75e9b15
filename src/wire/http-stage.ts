/**
 * Content on its way into an OSD: the body of one POST /v1/stages, fed piece by piece.
 *
 * Backpressure: at most STAGE_BUFFER_BYTES_MAX (and one piece more) wait in this process; `write` resolves when there is
 * room again. A request that fails, or is refused half-way, makes every later `write` and `finish` reject.
 */
import { Readable } from 'node:stream';
import type { RemoteStage } from './osd-connection.js';

export const STAGE_BUFFER_BYTES_MAX = 512 * 1024;

export type StagedRemotely = Awaited<ReturnType<RemoteStage['finish']>>;

export class HttpStage implements RemoteStage {
  readonly #body: Readable;
  readonly #answer: Promise<StagedRemotely>;
  #failure: Error | null = null;
  #isEnded = false;
  #wake: (() => void) | null = null;

  /** `send` starts the request with this body, and settles with the OSD's answer. */
  constructor(send: (body: Readable) => Promise<StagedRemotely>) {
    this.#body = new Readable({
      highWaterMark: STAGE_BUFFER_BYTES_MAX,
      read: () => this.#wakeWriter(),
    });
    this.#body.on('error', (error) => this.#fail(error));
    this.#answer = send(this.#body);
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
    if (this.#body.push(piece)) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#throwIfFailed();
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
