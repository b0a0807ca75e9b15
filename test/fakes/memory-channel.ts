/** Two ends of a channel in one process. What is sent is cloned as it would be between processes, and arrives in order, later. */
import { deserialize, serialize } from 'node:v8';
import type { Channel } from '../../src/gateway/workers/channel.js';

type Listener = Parameters<Channel['listen']>[0];

class End implements Channel {
  other: End | null = null;
  #listener: Listener | null = null;
  #isClosed = false;

  send(message: unknown): void {
    const { other } = this;
    if (this.#isClosed || other === null) return;
    const bytes = serialize(message);
    setImmediate(() => {
      if (!other.#isClosed) other.#listener?.onMessage(deserialize(bytes));
    });
  }

  listen(listener: Listener): void {
    this.#listener = listener;
  }

  /** Whatever is on its way is lost, as when a process is killed. */
  close(): void {
    for (const end of [this, this.other]) {
      if (end === null || end.#isClosed) continue;
      end.#isClosed = true;
      setImmediate(() => end.#listener?.onClosed());
    }
  }
}

export function makeChannelPair(): readonly [Channel, Channel] {
  const left = new End();
  const right = new End();
  left.other = right;
  right.other = left;
  return [left, right];
}
