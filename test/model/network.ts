/**
 * The simulated network: calls to mirrors, as messages that wait until somebody delivers, loses or repeats them.
 *
 * A call ends with a response or with null (a timeout). A response that comes after the timeout is still handed over: a
 * request that timed out may have done its work.
 *
 * A request may be late, repeated, and overtaken, and may come to a later run of the mirror's process than it was meant for: a fence too.
 */
import type { MirrorId } from '../../src/protocol/authority-state.js';
import type { MirrorRequest, MirrorResponse } from './messages.js';

export type OnResponse = (response: MirrorResponse | null) => void;

interface Call {
  readonly id: number;
  readonly caller: string;
  readonly mirror: MirrorId;
  readonly request: MirrorRequest;
  readonly onResponse: OnResponse;
}

export type Message =
  | { readonly kind: 'request'; readonly call: Call }
  | { readonly kind: 'response'; readonly call: Call; readonly response: MirrorResponse };

export interface NetworkPorts {
  /** Hands a request to a mirror; null: it is not there. */
  readonly deliver: (mirror: MirrorId, request: MirrorRequest) => MirrorResponse | null;
  readonly isReachable: (mirror: MirrorId) => boolean;
  readonly onDuplicate: (request: MirrorRequest) => void;
  readonly log: (line: () => string) => void;
}

export class Network {
  readonly messages: Message[] = [];
  readonly #open = new Map<number, Call>();
  readonly #gone = new Set<string>();
  readonly #ports: NetworkPorts;
  #lastId = 0;

  constructor(ports: NetworkPorts) {
    this.#ports = ports;
  }

  /** Sends a request on behalf of a process named `caller`. */
  call(caller: string, mirror: MirrorId, request: MirrorRequest, onResponse: OnResponse): void {
    this.#lastId += 1;
    const call: Call = { id: this.#lastId, caller, mirror, request, onResponse };
    this.#open.set(call.id, call);
    this.messages.push({ kind: 'request', call });
  }

  /** The callers' processes that are gone get no more answers. What they sent is still on its way. */
  forget(caller: string): void {
    this.#gone.add(caller);
    for (const call of this.openCalls) if (call.caller === caller) this.#open.delete(call.id);
  }

  get openCalls(): Call[] {
    return [...this.#open.values()];
  }

  /** Of those the ones that nothing is on its way for. */
  get hopelessCalls(): Call[] {
    if (this.#open.size === 0) return [];
    const alive = new Set(this.messages.map(({ call }) => call.id));
    return this.openCalls.filter(({ id }) => !alive.has(id));
  }

  /** Delivers the message at `index`; `keep` leaves a copy on its way. */
  deliver(index: number, options: { readonly keep?: boolean } = {}): void {
    const message = this.messages[index];
    if (message === undefined) throw new RangeError(`no message ${index}`);
    const { call } = message;
    if (options.keep !== true) this.messages.splice(index, 1);
    else if (message.kind === 'request') this.#ports.onDuplicate(call.request);
    if (!this.#ports.isReachable(call.mirror)) return;
    if (message.kind === 'request') {
      const response = this.#ports.deliver(call.mirror, call.request);
      this.#ports.log(
        () => `${call.caller} -> ${call.mirror}: ${describe(call.request)} => ${describe(response)}`,
      );
      if (response !== null) this.messages.push({ kind: 'response', call, response });
      return;
    }
    if (this.#gone.has(call.caller)) return;
    this.#open.delete(call.id);
    call.onResponse(message.response);
  }

  /** A line of the trace. */
  note(line: string): void {
    this.#ports.log(() => line);
  }

  lose(index: number): void {
    this.messages.splice(index, 1);
  }

  /** The caller of an open call gives up waiting. */
  timeOut(callId: number): void {
    const call = this.#open.get(callId);
    if (call === undefined) return;
    this.#open.delete(callId);
    this.#ports.log(() => `${call.caller} -> ${call.mirror}: ${describe(call.request)} times out`);
    call.onResponse(null);
  }

  isOnItsWay(callId: number): boolean {
    return this.messages.some((message) => message.call.id === callId);
  }
}

function describe(message: MirrorRequest | MirrorResponse | null): string {
  if (message === null) return 'nothing';
  switch (message.kind) {
    case 'write':
      return `write ${message.transaction.kind} ${message.transaction.tag} of ${printable(message.transaction.objectId)}`;
    case 'push':
      return `push ${message.push.content.kind} of ${printable(message.push.copy.objectId)} ${String(message.push.expectedLastTag)} -> ${String(message.push.lastTag)}`;
    case 'refused':
      return `refused ${message.code}`;
    case 'fence':
      return 'verdict' in message ? message.verdict.kind : `fence ${message.epoch}`;
    case 'activate':
      return `activate ${message.epoch}`;
    case 'advance':
      return `advance ${message.from} -> ${message.to}`;
    case 'rebuild':
      return `rebuild ${message.epoch}`;
    case 'copy-cursor':
      return `cursor ${printable(message.cursor)}`;
    case 'clear':
      return `clear of ${message.batch.clears.length} at ${message.batch.epoch}`;
    case 'drop-rows':
      return `drop ${message.rows.map(({ tag, objectId }) => `${tag} of ${printable(objectId)}`).join()}`;
    case 'report':
      return 'report' in message ? `sequence ${message.report.commitSequence}` : 'report';
    default:
      return message.kind;
  }
}

function printable(text: string): string {
  return text.split('\u0000')[1] ?? text;
}
