/**
 * An OSD behind a faulty network: an `OsdConnection` that passes everything on to the OSD of the moment, or does not.
 */
import { MemoryOsdStore } from './memory-osd-store.js';
import { createMemoryOsd } from './memory-osd.js';
import type { PacerTimer } from '../../src/osd/reconcile/copy-pacer.js';
import { type MirrorId, toMirrorId } from '../../src/protocol/authority-state.js';
import {
  type ContractStanding,
  type OsdConnection,
  OsdRefusal,
  OsdUnreachable,
} from '../../src/wire/osd-connection.js';

/**
 * - `up`: everything arrives.
 * - `down`: nothing arrives, and the caller knows it.
 * - `answers-lost`: everything arrives, no answer comes back.
 * - `silent`: nothing arrives, and the caller is left waiting until the connection is given up.
 * - `older`: it answers in a version of the contract that the caller does not speak.
 */
export type LinkMode = 'up' | 'down' | 'answers-lost' | 'silent' | 'older';

const OLDER: ContractStanding = {
  theirs: { least: 3, greatest: 3 },
  ours: { least: 4, greatest: 5 },
  agreed: null,
};

export class FaultyOsd {
  readonly mirror: MirrorId;
  readonly url: string;
  store: MemoryOsdStore;
  mode: LinkMode = 'up';
  /** Called before each request passes on; may wait. */
  onRequest: (method: string) => Promise<void> | void = () => undefined;
  readonly #peers: Map<string, FaultyOsd>;
  readonly #timer: PacerTimer;
  #osd: OsdConnection;
  #runs = 1;

  constructor(index: number, setId: string, peers: Map<string, FaultyOsd>, timer: PacerTimer) {
    this.#timer = timer;
    this.mirror = toMirrorId(`osd-${index}`);
    this.url = `memory:${index}`;
    this.store = new MemoryOsdStore(setId, index + 1);
    this.#peers = peers;
    peers.set(this.url, this);
    this.#osd = this.#open();
  }

  #open(): OsdConnection {
    return createMemoryOsd({
      store: this.store,
      timer: this.#timer,
      incarnation: `${this.mirror} run ${this.#runs}`,
      connect: (url) => {
        const peer = this.#peers.get(url);
        if (peer === undefined) throw new Error(`no peer ${url}`);
        return peer.connection;
      },
    });
  }

  /** The process dies and comes back with what its disk has. */
  restart(): void {
    this.store.reopen();
    this.#runs += 1;
    this.#osd = this.#open();
    this.mode = 'up';
  }

  /** The process comes back with a freshly formatted disk. */
  restartBlank(storeNumber: number): void {
    this.store = new MemoryOsdStore(this.store.setId, storeNumber);
    this.#runs += 1;
    this.#osd = this.#open();
    this.mode = 'up';
  }

  readonly connection: OsdConnection = new Proxy({} as OsdConnection, {
    get: (_target, property) => {
      if (property === 'url') return this.url;
      if (property === 'then') return undefined;
      if (property === 'contract') return this.mode === 'older' ? OLDER : undefined;
      const osd = this.#osd as unknown as Record<string | symbol, (...parameters: unknown[]) => unknown>;
      const method = osd[property]?.bind(this.#osd);
      if (method === undefined) return undefined;
      if (property === 'close') return async () => undefined;
      if (property === 'openStage') {
        return () => (this.mode === 'up' ? method() : failingStage());
      }
      return async (...parameters: unknown[]) => {
        await this.onRequest(String(property));
        if (this.mode === 'down') throw new OsdUnreachable('connection refused', false);
        if (this.mode === 'older') throw new OsdRefusal('wrong-contract', 409, 'upgrade the OSD first');
        if (this.mode === 'silent') throw await afterSilence();
        const answer = await method(...parameters);
        if (this.mode !== 'up') throw new OsdUnreachable('connection lost', true);
        return answer;
      };
    },
  });
}

/** What a caller sees of a silent OSD once its time limit is over; the limit of these tests is short. */
async function afterSilence(): Promise<OsdUnreachable> {
  await new Promise((resolve) => setTimeout(resolve, 200));
  return new OsdUnreachable('no answer in time', true);
}

function failingStage(): ReturnType<OsdConnection['openStage']> {
  const fail = async (): Promise<never> => Promise.reject(new OsdUnreachable('connection refused', false));
  return { write: fail, finish: fail, abort: () => undefined };
}
