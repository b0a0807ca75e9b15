/**
 * Two mirrors and a gateway in one process, all of them real: `Gateway`, `LocalOsd` with its reconciler, and the store on disks
 * in memory. Only the network is a function call. Power fails at a given call of a disk, or a save of the authority.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuthorityStorage } from '../../../src/gateway/authority-storage.js';
import { Gateway } from '../../../src/gateway/gateway.js';
import type { GatewayTimings } from '../../../src/gateway/timings.js';
import type { VerificationStorage } from '../../../src/gateway/verification/verification-storage.js';
import { LocalOsd } from '../../../src/osd/local-osd.js';
import { type AuthorityState, type MirrorId, toMirrorId } from '../../../src/protocol/authority-state.js';
import { toGeneratorId } from '../../../src/protocol/tag.js';
import { openDatabase, readRange } from '../../../src/store/database.js';
import { type DiskObjectStore, openStore } from '../../../src/store/disk-object-store.js';
import { formatStore } from '../../../src/store/format-store.js';
import { DEFAULT_LIMITS, type StoreLimits } from '../../../src/store/limits.js';
import { type OsdConnection, OsdUnreachable } from '../../../src/wire/osd-connection.js';
import { createMemoryOsd } from '../../fakes/memory-osd.js';
import type { CrashState } from './crash-state.js';
import { type CrashKind, SimulatedStoreDisk } from './simulated-store-disk.js';

const SET_ID = 'crash-points';
const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, fatal: () => {} };

const TIMINGS: GatewayTimings = {
  healthPollMs: 2,
  mirrorLostMs: 40,
  startupWaitMs: 500,
  gateWaitMs: 500,
  readLeaseMs: 300,
  rejoinBackoffMs: 1,
  rejoinBackoffMaxMs: 10,
  progressPollMs: 1,
  lostObjectsPauseMs: 5000,
};

/** Small ones, so that three operations come to blobs, segments and extents. */
const LIMITS: Partial<StoreLimits> = {
  inlineBytesMax: 64,
  extentCountMax: 4,
  smallExtentBytes: 500,
  writeGatherBytes: 100,
  busyInlineBytesMax: 32,
  busyWritesMin: 2,
  segmentBytesMax: 4_000,
  compactionBytesPerSecondMax: Infinity,
};

/** Where the formatted stores of a test file lie. Only their superblocks are read. */
export class StoreFolders {
  readonly #root: string;
  readonly #entries: (readonly [Buffer, Buffer])[][];

  private constructor(root: string, entries: (readonly [Buffer, Buffer])[][]) {
    this.#root = root;
    this.#entries = entries;
  }

  static async make(mirrors: number): Promise<StoreFolders> {
    const root = await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'tally-crash-points-'));
    const all: (readonly [Buffer, Buffer])[][] = [];
    for (let index = 0; index < mirrors; index += 1) {
      const folder = join(root, String(index));
      await formatStore(folder, { setId: SET_ID });
      const database = await openDatabase(folder, { createIfMissing: false, limits: DEFAULT_LIMITS });
      const range = { gte: Buffer.alloc(0), lt: Buffer.alloc(64, 0xff) };
      const entries: (readonly [Buffer, Buffer])[] = [];
      for await (const entry of readRange(database, range)) entries.push(entry);
      await database.close();
      all.push(entries);
    }
    return new StoreFolders(root, all);
  }

  folder(index: number): string {
    return join(this.#root, String(index));
  }

  newDisk(index: number): SimulatedStoreDisk {
    return SimulatedStoreDisk.formatted(this.#entries[index] ?? []);
  }

  remove(): Promise<void> {
    return rm(this.#root, { recursive: true, force: true });
  }
}

type AnyOsd = Record<string | symbol, (...parameters: unknown[]) => unknown>;

interface CutConnection {
  readonly connection: OsdConnection;
  readonly cut: () => void;
}

let runs = 0;

/** No two runs of an OSD have the same name, whatever their disks are copies of. */
function nextRun(): number {
  runs += 1;
  return runs;
}

/** One mirror: its disk, and the process that runs on it, or null. */
class CrashMirror {
  readonly mirror: MirrorId;
  readonly url: string;
  disk: SimulatedStoreDisk;
  readonly #folder: string;
  readonly #peers: ReadonlyMap<string, CrashMirror>;
  #osd: LocalOsd | null = null;
  #store: DiskObjectStore | null = null;
  #onDeath: (error: Error) => void = () => undefined;
  #death: Promise<never> = Promise.reject(new Error('not started'));

  constructor(index: number, folder: string, disk: SimulatedStoreDisk, peers: Map<string, CrashMirror>) {
    this.mirror = toMirrorId(`osd-${index}`);
    this.url = `memory:${index}`;
    this.#folder = folder;
    this.disk = disk;
    this.#peers = peers;
    peers.set(this.url, this);
    this.#death.catch(() => undefined);
  }

  get isUp(): boolean {
    return this.#osd !== null;
  }

  get store(): DiskObjectStore {
    if (this.#store === null) throw new Error(`${this.mirror} is down`);
    return this.#store;
  }

  async start(): Promise<void> {
    this.#death = new Promise((_resolve, reject) => {
      this.#onDeath = reject;
    });
    this.#death.catch(() => undefined);
    const { disk } = this;
    const ports = { files: disk.files, openDatabase: disk.openDatabase };
    const store = await openStore(this.#folder, {
      ...{ setId: SET_ID, clock: () => 1_000, logger: silent, limits: LIMITS },
      ...ports,
    });
    this.#store = store;
    this.#osd = createMemoryOsd({
      store,
      incarnation: `${this.mirror} run ${nextRun()}`,
      connect: (url) => {
        const peer = this.#peers.get(url);
        if (peer === undefined) throw new Error(`no peer ${url}`);
        return peer.connect().connection;
      },
    });
  }

  /** The process and its memory are gone at once; nobody hears of it but by silence. */
  crash(kind: CrashKind): void {
    const { disk } = this;
    this.disk = disk.afterCrash(kind);
    disk.die();
    const osd = this.#osd;
    const store = this.#store;
    this.#osd = null;
    this.#store = null;
    this.#onDeath(new OsdUnreachable('connection lost', true));
    // Its timers would keep all of it.
    void osd?.close().catch(() => undefined);
    void store?.close().catch(() => undefined);
  }

  async stop(): Promise<void> {
    const osd = this.#osd;
    const store = this.#store;
    this.#osd = null;
    this.#store = null;
    this.#onDeath(new OsdUnreachable('connection lost', true));
    await osd?.close();
    await store?.close();
  }

  /** A way to whatever runs here, until it is cut. */
  connect(): CutConnection {
    let isCut = false;
    const connection = new Proxy({} as OsdConnection, {
      get: (_target, property) => {
        if (property === 'url') return this.url;
        if (property === 'then') return undefined;
        if (property === 'close') return async () => undefined;
        // What the port has and a local OSD has not, as a trace, is not there.
        if (!(property in LocalOsd.prototype)) return undefined;
        const osd = isCut ? null : (this.#osd as unknown as AnyOsd | null);
        if (property === 'openStage')
          return () => (osd === null ? failingStage() : this.#mortal(this.#stage(osd)));
        return async (...parameters: unknown[]) => {
          if (osd === null || isCut || this.#osd !== (osd as unknown))
            throw new OsdUnreachable('connection refused', false);
          const method = osd[property];
          if (method === undefined) throw new Error(`an OSD has no ${String(property)}`);
          return Promise.race([method.apply(osd, parameters), this.#death]);
        };
      },
    });
    return {
      connection,
      cut: () => {
        isCut = true;
      },
    };
  }

  #stage(osd: AnyOsd): ReturnType<OsdConnection['openStage']> {
    return osd['openStage']?.call(osd) as ReturnType<OsdConnection['openStage']>;
  }

  /** A stage whose calls end when the process does. */
  #mortal(stage: ReturnType<OsdConnection['openStage']>): ReturnType<OsdConnection['openStage']> {
    const death = this.#death;
    return {
      write: (piece) => Promise.race([stage.write(piece), death]),
      finish: () => Promise.race([stage.finish(), death]),
      abort: () => stage.abort(),
    };
  }
}

function failingStage(): ReturnType<OsdConnection['openStage']> {
  const fail = async (): Promise<never> => Promise.reject(new OsdUnreachable('connection refused', false));
  return { write: fail, finish: fail, abort: () => undefined };
}

/** The authority's disk: a save is there or it is not. */
class CrashAuthority {
  state: AuthorityState | null = null;
  saves = 0;
  onSave: (when: 'before' | 'after', index: number) => void = () => undefined;
  #run = 0;

  /** Power fails: whoever has it open writes to it no more. */
  crash(): void {
    this.#run += 1;
  }

  open(): AuthorityStorage {
    const run = this.#run;
    return {
      load: async () => this.state,
      save: async (state) => {
        if (this.#run !== run) throw new PowerFailed();
        this.saves += 1;
        const index = this.saves;
        this.onSave('before', index);
        this.state = state;
        this.onSave('after', index);
      },
    };
  }
}

/** One call after which power fails, or before which. `place`: a mirror's number, or the authority. */
export interface CrashPoint {
  readonly place: number | 'authority';
  readonly call: number;
  readonly when: 'before' | 'after';
}

const noRecord: VerificationStorage = { load: async () => null, save: async () => undefined };

class PowerFailed extends Error {}

export class CrashRig {
  readonly mirrors: CrashMirror[];
  readonly authority: CrashAuthority;
  gateway: Gateway | null = null;
  readonly fatal: unknown[] = [];
  /** True once the point was come to. */
  hasCrashed = false;
  /** Resolves when power fails everywhere. */
  blackout = new Promise<void>(() => undefined);
  #onBlackout: () => void = () => undefined;
  #ways: CutConnection[] = [];

  constructor(folders: StoreFolders, disks: readonly SimulatedStoreDisk[], saved: AuthorityState | null) {
    const peers = new Map<string, CrashMirror>();
    this.mirrors = disks.map((disk, index) => new CrashMirror(index, folders.folder(index), disk, peers));
    this.authority = new CrashAuthority();
    this.authority.state = saved;
  }

  /** Arms the point: calls are counted from here. */
  arm(point: CrashPoint | null, crash: { readonly kind: CrashKind; readonly isOfAll: boolean }): void {
    this.hasCrashed = false;
    this.blackout = new Promise((resolve) => {
      this.#onBlackout = resolve;
    });
    const strike = (place: number | 'authority'): ((when: 'before' | 'after', index: number) => void) => {
      return (when, index) => {
        if (this.hasCrashed || point === null) return;
        if (point.place !== place || point.call !== index || point.when !== when) return;
        this.hasCrashed = true;
        if (crash.isOfAll || place === 'authority') this.crashAll(crash.kind);
        else this.mirrors[place]?.crash(crash.kind);
        if (place === 'authority') throw new PowerFailed();
      };
    };
    this.mirrors.forEach(({ disk }, index) => {
      disk.calls = 0;
      disk.onCall = strike(index);
    });
    this.authority.saves = 0;
    this.authority.onSave = strike('authority');
  }

  /** No power failure; each time that it might come, before and after every call, somebody is told what it would leave. */
  watch(kind: CrashKind, onState: (state: CrashState) => void): void {
    this.arm(null, { kind, isOfAll: true });
    const look = (): void => {
      onState({
        disks: this.mirrors.map(({ disk }) => disk.afterCrash(kind)),
        authority: this.authority.state,
      });
    };
    for (const { disk } of this.mirrors) disk.onCall = look;
    this.authority.onSave = look;
  }

  /** Power fails everywhere. */
  crashAll(kind: CrashKind): void {
    for (const { cut } of this.#ways.splice(0)) cut();
    this.#onBlackout();
    this.authority.crash();
    for (const mirror of this.mirrors) if (mirror.isUp) mirror.crash(kind);
  }

  /** How many calls each place has made since it was armed. */
  counts(): { readonly place: number | 'authority'; readonly calls: number }[] {
    const mirrors = this.mirrors.map(({ disk }, place) => ({ place, calls: disk.calls }));
    return [...mirrors, { place: 'authority', calls: this.authority.saves }];
  }

  get isBlackedOut(): boolean {
    return this.#ways.length === 0;
  }

  /** Whatever does not run. */
  async startAll(): Promise<void> {
    for (const mirror of this.mirrors) if (!mirror.isUp) await mirror.start();
    if (this.gateway !== null) return;
    const ways = this.mirrors.map((mirror) => ({ mirror: mirror.mirror, ...mirror.connect() }));
    this.#ways = ways;
    this.gateway = await Gateway.start({
      setId: SET_ID,
      members: ways.map(({ mirror, connection }) => ({ mirror, connection })),
      generator: toGeneratorId(0),
      authority: this.authority.open(),
      verificationRecord: noRecord,
      timings: TIMINGS,
      reconcilesByItself: true,
      suspendsWrites: false,
      writes: 'direct',
      tagTableRowsMax: 1_000_000,
      scrub: { intervalMs: null, bytesPerSecond: 1e9 },
      catchUpPace: { bytesPerSecond: null, sharePercent: 100 },
      logger: silent,
      clock: () => 1_000,
      // A gateway whose authority can't save stops; here its power is gone anyway.
      onFatal: (error) => {
        if (!(error instanceof PowerFailed)) this.fatal.push(error);
      },
    });
  }

  /** After power failed everywhere: what is left of the gateway's process goes. */
  forgetGateway(): void {
    const { gateway } = this;
    this.gateway = null;
    // It reaches nobody any more, so nobody waits for it.
    void gateway?.stop().catch(() => undefined);
  }

  /** By what the mirrors say as well: the gateway may not have seen yet that one was restarted. */
  async untilInSync(): Promise<void> {
    await this.until('every mirror is in sync', () => {
      const { gateway } = this;
      if (gateway?.isReady !== true) return false;
      const { epoch, inSync } = gateway.status();
      const isActive = this.mirrors.every(({ store }) => store.report().fence.activeEpoch === epoch);
      return isActive && inSync.length === this.mirrors.length;
    });
  }

  async untilTablesAreEmpty(): Promise<void> {
    await this.until('every tag table is empty', () =>
      this.mirrors.every(({ store }) => store.report().tagTable.rowCount === 0),
    );
  }

  async until(what: string, holds: () => boolean): Promise<void> {
    for (let look = 0; look < LOOKS_MAX; look += 1) {
      if (holds()) return;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    throw new Error(`it did not come about that ${what}: ${JSON.stringify(this.gateway?.status())}`);
  }

  async stop(): Promise<void> {
    await this.gateway?.stop();
    for (const mirror of this.mirrors) await mirror.stop();
  }
}

const LOOKS_MAX = 10_000;
