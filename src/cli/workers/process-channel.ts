/** A channel between a process and a child that it has forked. */
import type { Channel } from '../../gateway/workers/channel.js';

/** `process` in the child, the child (or cluster's worker) in its parent. */
export interface ChannelProcess {
  send?(message: unknown, callback: (error: Error | null) => void): boolean;
  on(event: 'message', listener: (message: unknown) => void): unknown;
  on(event: 'disconnect', listener: () => void): unknown;
  disconnect?(): void;
}

export class ProcessChannel implements Channel {
  readonly #process: ChannelProcess;
  #isClosed = false;

  constructor(process: ChannelProcess) {
    this.#process = process;
  }

  send(message: unknown): void {
    // That it did not arrive is told by 'disconnect'.
    if (!this.#isClosed) this.#process.send?.(message, () => undefined);
  }

  listen(listener: { readonly onMessage: (message: unknown) => void; readonly onClosed: () => void }): void {
    this.#process.on('message', listener.onMessage);
    this.#process.on('disconnect', () => {
      this.#isClosed = true;
      listener.onClosed();
    });
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#process.disconnect?.();
  }
}
