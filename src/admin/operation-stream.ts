/**
 * Follows one reconciliation for one client, as server-sent events (WHATWG HTML, "Server-sent events"):
 *
 *   event: progress      whenever something changed; data: the operation
 *   event: end           the last one; data: the operation. Then the stream ends.
 *
 * Every event is the whole present state, so a client that reads slowly misses steps and never the outcome. Nothing is queued for it.
 */
import type { ServerResponse } from 'node:http';
import type { ReconcileOperation } from '../gateway/mirror-set-status.js';
import type { AdminLimits } from './admin-limits.js';

export class OperationStreams {
  readonly #limits: AdminLimits;
  readonly #open = new Set<OperationStream>();

  constructor(limits: AdminLimits) {
    this.#limits = limits;
  }

  get isFull(): boolean {
    return this.#open.size >= this.#limits.streamsMax;
  }

  /** Takes over the response. `look` gives the operation as it is now, null when it is forgotten. */
  follow(response: ServerResponse, look: () => ReconcileOperation | null): void {
    const stream = new OperationStream(response, look, this.#limits);
    this.#open.add(stream);
    response.once('close', () => {
      stream.end();
      this.#open.delete(stream);
    });
    stream.start();
  }

  /** Ends all of them. */
  close(): void {
    for (const stream of this.#open) stream.end();
  }
}

class OperationStream {
  readonly #response: ServerResponse;
  readonly #look: () => ReconcileOperation | null;
  readonly #limits: AdminLimits;
  #timer: NodeJS.Timeout | null = null;
  #lastSent: ReconcileOperation | null = null;
  #lastSentMs = 0;

  constructor(response: ServerResponse, look: () => ReconcileOperation | null, limits: AdminLimits) {
    this.#response = response;
    this.#look = look;
    this.#limits = limits;
  }

  start(): void {
    this.#response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      connection: 'close',
      'x-accel-buffering': 'no',
    });
    this.#lastSentMs = performance.now();
    this.#timer = setInterval(() => {
      this.#step();
    }, this.#limits.streamPollMs);
    this.#step();
  }

  end(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    if (!this.#response.writableEnded) this.#response.end();
  }

  #step(): void {
    const silentMs = performance.now() - this.#lastSentMs;
    if (this.#response.writableNeedDrain) {
      if (silentMs > this.#limits.streamStalledMs) this.#response.destroy();
      return;
    }
    const operation = this.#look();
    if (operation === null) {
      this.end();
      return;
    }
    if (operation.state !== 'running') {
      this.#send('end', operation);
      this.end();
    } else if (operation !== this.#lastSent) this.#send('progress', operation);
    else if (silentMs > this.#limits.streamHeartbeatMs) this.#write(': still running\n\n');
  }

  #send(event: 'progress' | 'end', operation: ReconcileOperation): void {
    this.#lastSent = operation;
    this.#write(`event: ${event}\ndata: ${JSON.stringify(operation)}\n\n`);
  }

  #write(text: string): void {
    this.#lastSentMs = performance.now();
    this.#response.write(text);
  }
}
