/**
 * The other end of a channel: calls that are answered, and notes that are not.
 *
 * What arrives comes from a process of the same gateway, hence of the same build, over a socket in a private folder: its form
 * is what that build sent, and is not looked at again. What it was that failed on the other side is told by a code.
 *
 * Messages: ['call', id, name, body, traceparent or null] · ['note', name, body] · ['reply', id, body] · ['failure', id, kind, message]
 */
import { invariant } from '../../protocol/invariant.js';
import { PassingMap } from '../../protocol/passing-map.js';
import { ObjectStorageError, type ObjectStorageErrorKind } from '../object-storage.js';
import type { Channel } from './channel.js';

/** Calls without an answer; each is a request of a client, so this is never met before the limit on connections is. */
const CALLS_MAX = 100_000;

type Message =
  | readonly ['call', number, string, unknown, string | null]
  | readonly ['note', string, unknown]
  | readonly ['reply', number, unknown]
  | readonly ['failure', number, ObjectStorageErrorKind | 'other', string];

/** The process at the other end has ended, or has hung up. What it did of a call nobody knows. */
export class PeerGone extends Error {
  readonly code = 'peer-gone';

  constructor(name: string) {
    super(`${name} is gone`);
    this.name = 'PeerGone';
  }
}

/** Follows calls from one process to the other (tracing). */
export interface PeerTrace {
  /** Of what the caller does; null: nobody follows it. */
  traceparent(): string | null;
  /** Does the work of a call as a part of what it is made for. */
  within(name: string, traceparent: string, work: () => unknown): Promise<unknown>;
}

type Handler = (body: unknown) => unknown;

interface Call {
  readonly resolve: (body: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class Peer {
  readonly name: string;
  readonly #channel: Channel;
  readonly #trace: PeerTrace | null;
  readonly #handlers = new Map<string, Handler>();
  readonly #calls = new PassingMap<number, Call>();
  readonly #goneListeners: (() => void)[] = [];
  #callCount = 0;
  #isGone = false;

  constructor(name: string, channel: Channel, trace: PeerTrace | null = null) {
    this.name = name;
    this.#trace = trace;
    this.#channel = channel;
    channel.listen({
      onMessage: (message) => {
        // See the top of this file.
        this.#take(message as Message);
      },
      onClosed: () => {
        this.#end();
      },
    });
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  /** Rejects with PeerGone, or with what the other side refuses: ObjectStorageError. */
  call<Reply>(name: string, body: unknown): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#isGone) {
        reject(new PeerGone(this.name));
        return;
      }
      if (this.#calls.size >= CALLS_MAX) {
        reject(new ObjectStorageError('unavailable', `${this.name} has too much to do`));
        return;
      }
      this.#callCount += 1;
      const take = (reply: unknown): void => {
        resolve(reply as Reply);
      };
      this.#calls.set(this.#callCount, { resolve: take, reject });
      this.#send(['call', this.#callCount, name, body, this.#trace?.traceparent() ?? null]);
    });
  }

  note(name: string, body: unknown): void {
    if (!this.#isGone) this.#send(['note', name, body]);
  }

  /** Answers calls of this name, and takes notes. Before the first may arrive. */
  serve<Body>(name: string, handler: (body: Body) => unknown): void {
    this.#handlers.set(name, (body) => handler(body as Body));
  }

  /** Called once, also when it is gone already. */
  onGone(listener: () => void): void {
    if (this.#isGone) listener();
    else this.#goneListeners.push(listener);
  }

  close(): void {
    this.#channel.close();
    this.#end();
  }

  #send(message: Message): void {
    this.#channel.send(message);
  }

  #take(message: Message): void {
    switch (message[0]) {
      case 'call':
        void this.#answer(message);
        return;
      case 'note':
        void this.#handlerOf(message[1])(message[2]);
        return;
      case 'reply':
        this.#takeCall(message[1])?.resolve(message[2]);
        return;
      case 'failure': {
        const [, id, kind, text] = message;
        const error = kind === 'other' ? new Error(text) : new ObjectStorageError(kind, text);
        this.#takeCall(id)?.reject(error);
      }
    }
  }

  #takeCall(id: number): Call | undefined {
    const call = this.#calls.get(id);
    this.#calls.delete(id);
    return call;
  }

  #handlerOf(name: string): Handler {
    const handler = this.#handlers.get(name);
    invariant(handler !== undefined, 'what a peer asks for is served', { name });
    return handler;
  }

  async #answer([, id, name, body, traceparent]: Extract<
    Message,
    readonly ['call', ...unknown[]]
  >): Promise<void> {
    const trace = traceparent === null ? null : this.#trace;
    try {
      const work = (): unknown => this.#handlerOf(name)(body);
      const reply = await (trace === null || traceparent === null
        ? work()
        : trace.within(name, traceparent, work));
      if (!this.#isGone) this.#send(['reply', id, reply]);
    } catch (error) {
      if (this.#isGone) return;
      const kind = error instanceof ObjectStorageError ? error.kind : 'other';
      this.#send(['failure', id, kind, error instanceof Error ? error.message : String(error)]);
      if (kind === 'other' && !(error instanceof PeerGone)) throw error;
    }
  }

  #end(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const { reject } of calls) reject(new PeerGone(this.name));
    for (const listener of this.#goneListeners) listener();
  }
}
