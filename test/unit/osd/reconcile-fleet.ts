/**
 * Some mirrors of one set: real OSD servers on loopback over memory stores, a writer, and an authority that only gives orders.
 *
 * With TALLY_FLEET=in-process there is no network between them: the same in a tenth of the time, for who runs all of it for each
 * of a thousand mutants (test/mutation).
 */
import { toMirrorId, type MirrorId } from '../../../src/protocol/authority-state.js';
import type { ObjectId } from '../../../src/protocol/object-id.js';
import { type CopyNeed, FULL_COPY_DOUBT } from '../../../src/protocol/recovery-plan.js';
import { type Epoch, type Tag, toEpoch } from '../../../src/protocol/tag.js';
import { type StoreId, toStoreId } from '../../../src/protocol/token.js';
import type { ContractRange } from '../../../src/wire/contract-version.js';
import type { TagRow } from '../../../src/protocol/write.js';
import type { OsdLimits } from '../../../src/osd/limits.js';
import type {
  OsdConnection,
  ReconcileOrder,
  ReconcileParticipant,
  ReconcileProgress,
} from '../../../src/wire/osd-connection.js';
import { MemoryOsdStore } from '../../fakes/memory-osd-store.js';
import { startInProcess } from './in-process-osd.js';
import { commit, contentOf, type ItemDraft, SET_ID, tagAt } from './osd-writer.js';

export type Role = 'trusted' | 'rows' | 'full-copy';

export interface FleetMirror {
  readonly mirror: MirrorId;
  store: MemoryOsdStore;
  osd: FleetOsd;
}

export interface FleetOsd {
  readonly url: string;
  /** Of this run of its process. */
  readonly incarnation: string;
  readonly connection: OsdConnection;
  readonly violations: Error[];
  close(): Promise<void>;
}

export interface OsdOptions {
  readonly limits: Partial<OsdLimits>;
  /** Default: what this build speaks. */
  readonly contract?: ContractRange;
}

const POLL_MS = 5;

/** How mirrors reach one another. */
export type FleetLink = 'network' | 'in-process';

async function start(store: MemoryOsdStore, link: FleetLink, options: OsdOptions): Promise<FleetOsd> {
  if (link === 'in-process') return startInProcess(store, options);
  // Only those who need the servers load them.
  const { startOsd } = await import('./osd-harness.js');
  return startOsd(store, options);
}

const DEFAULT_LINK: FleetLink = process.env['TALLY_FLEET'] === 'in-process' ? 'in-process' : 'network';

export class Fleet {
  readonly mirrors: FleetMirror[] = [];
  readonly #limits: Partial<OsdLimits>;
  readonly #link: FleetLink;
  #epoch = 0;
  #counter = 0;
  #storeNumber = 0;

  private constructor(limits: Partial<OsdLimits>, link: FleetLink) {
    this.#limits = limits;
    this.#link = link;
  }

  /** Active at epoch 1. */
  static async start(
    mirrorCount: number,
    limits: Partial<OsdLimits> = {},
    link: FleetLink = DEFAULT_LINK,
  ): Promise<Fleet> {
    const fleet = new Fleet(limits, link);
    for (let index = 0; index < mirrorCount; index += 1) {
      const store = fleet.#newStore();
      const osd = await start(store, link, { limits });
      fleet.mirrors.push({ mirror: toMirrorId(`m${index}`), store, osd });
    }
    await fleet.fence();
    await fleet.activate();
    return fleet;
  }

  #newStore(): MemoryOsdStore {
    this.#storeNumber += 1;
    return new MemoryOsdStore(SET_ID, this.#storeNumber);
  }

  get epoch(): Epoch {
    return toEpoch(this.#epoch);
  }

  connection(index: number): OsdConnection {
    return this.#at(index).osd.connection;
  }

  store(index: number): MemoryOsdStore {
    return this.#at(index).store;
  }

  #at(index: number): FleetMirror {
    const mirror = this.mirrors[index];
    if (mirror === undefined) throw new Error(`there is no mirror ${index}`);
    return mirror;
  }

  #all(): number[] {
    return this.mirrors.map((_mirror, index) => index);
  }

  /** Fences at the next epoch. */
  async fence(indices: readonly number[] = this.#all()): Promise<void> {
    this.#epoch += 1;
    this.#counter = 0;
    await Promise.all(indices.map((index) => this.connection(index).fence(this.epoch)));
  }

  async activate(indices: readonly number[] = this.#all()): Promise<void> {
    await Promise.all(indices.map((index) => this.connection(index).activate(this.epoch)));
  }

  /** Writes the same transaction to some mirrors; they need not all have the tag before it. */
  async write(
    indices: readonly number[],
    draft: Omit<ItemDraft, 'tag' | 'epoch' | 'previousTag'> & { readonly previousTag?: Tag | null },
  ): Promise<Tag> {
    this.#counter += 1;
    const tag = tagAt(this.#epoch, this.#counter);
    for (const index of indices) {
      const [state] = await this.connection(index).states([draft.objectId]);
      const previousTag =
        draft.kind === 'replace' || draft.kind === 'remove' ? null : (state?.lastTag ?? null);
      await commit(this.connection(index), { previousTag, ...draft, tag, epoch: this.epoch });
    }
    return tag;
  }

  /** Drops all rows of an object on some mirrors, as tokens that came back would. */
  clear(indices: readonly number[], objectId: ObjectId): void {
    for (const index of indices) {
      const { rowsByKey } = this.store(index);
      for (const [key, row] of rowsByKey) if (row.objectId === objectId) rowsByKey.delete(key);
    }
  }

  /** Another process over the same store, or over a blank one. */
  async restart(index: number, kind: 'same-store' | 'blank', contract?: ContractRange): Promise<void> {
    const mirror = this.#at(index);
    await mirror.osd.close();
    if (kind === 'blank') mirror.store = this.#newStore();
    const options = contract === undefined ? {} : { contract };
    mirror.osd = await start(mirror.store, this.#link, { limits: this.#limits, ...options });
  }

  /** An order for the present epoch; the first trusted mirror drives. */
  order(roles: Readonly<Record<number, Role>>): ReconcileOrder {
    const participants = Object.entries(roles).map(([text, role]): ReconcileParticipant => {
      const { mirror, store, osd } = this.#at(Number(text));
      const need: CopyNeed =
        role === 'full-copy' ? { kind: role, reason: 'a test says so' } : { kind: 'rows' };
      const { storeId } = store;
      return {
        mirror,
        url: osd.url,
        storeId,
        role: role === 'trusted' ? { kind: role } : { kind: 'stale', need },
      };
    });
    const driver = participants.find((participant) => participant.role.kind === 'trusted');
    if (driver === undefined) throw new Error('somebody is trusted');
    return {
      setId: SET_ID,
      epoch: this.epoch,
      driver: driver.mirror,
      participants,
      complete: participants.length === this.mirrors.length,
      mode: 'fenced',
      absentStoreIds: [],
      pace: null,
    };
  }

  /** Fences the participants, orders, and waits for the end. A full copy that was broken off goes on. */
  async reconcile(roles: Readonly<Record<number, Role>>): Promise<ReconcileProgress> {
    await this.fence(Object.keys(roles).map(Number));
    await this.#beginCopies(roles);
    return this.drive(this.order(roles));
  }

  /** The same beside a writer. */
  async reconcileOnline(roles: Readonly<Record<number, Role>>): Promise<ReconcileProgress> {
    await this.admit(roles);
    const pace = { bytesPerSecond: null, sharePercent: 100, isPaused: false };
    return this.drive({ ...this.order(roles), mode: 'online', pace });
  }

  /** Fences those that are to be brought up, and lets them in as rebuilding. */
  async admit(roles: Readonly<Record<number, Role>>): Promise<void> {
    const from = this.epoch;
    this.#epoch += 1;
    this.#counter = 0;
    for (const [text, role] of Object.entries(roles)) {
      const connection = this.connection(Number(text));
      if (role === 'trusted') await connection.advance(from, this.epoch);
      else await connection.fence(this.epoch);
    }
    await this.#beginCopies(roles);
    for (const [text, role] of Object.entries(roles)) {
      if (role !== 'trusted') await this.connection(Number(text)).rebuild(this.epoch);
    }
  }

  async #beginCopies(roles: Readonly<Record<number, Role>>): Promise<void> {
    for (const [text, role] of Object.entries(roles)) {
      const connection = this.connection(Number(text));
      if (role !== 'full-copy' || (await connection.identity()).selfDoubt === FULL_COPY_DOUBT) continue;
      await connection.beginFullCopy(this.epoch, this.#newStoreId());
    }
  }

  #newStoreId(): StoreId {
    this.#storeNumber += 1;
    return toStoreId(this.#storeNumber.toString(16).padStart(32, '0'));
  }

  async drive(order: ReconcileOrder): Promise<ReconcileProgress> {
    const index = this.mirrors.findIndex(({ mirror }) => mirror === order.driver);
    let progress = await this.connection(index).startReconcile(order);
    while (progress.phase !== 'done' && progress.phase !== 'failed') {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      progress = await this.connection(index).reconcileProgress(order.epoch);
    }
    return progress;
  }

  /** Every object (tombstones too) with its state and bytes, as one mirror has it. */
  async contents(index: number): Promise<Map<ObjectId, unknown>> {
    const osd = this.connection(index);
    const contents = new Map<ObjectId, unknown>();
    for (const { objectId } of await osd.summaries(null, 1000)) {
      const [state] = await osd.states([objectId]);
      const bytes = state?.kind === 'present' ? await contentOf(osd, this.epoch, objectId) : null;
      contents.set(objectId, { state, bytes: bytes?.toString('base64') ?? null });
    }
    return contents;
  }

  async rows(index: number): Promise<readonly TagRow[]> {
    return this.connection(index).rows(null, 1000);
  }

  /** Stops all servers. A broken invariant in any of them fails here. */
  async stop(): Promise<void> {
    for (const { osd } of this.mirrors) await osd.close();
    const [violation] = this.mirrors.flatMap(({ osd }) => osd.violations);
    if (violation !== undefined) throw violation;
  }
}
