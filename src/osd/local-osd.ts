/**
 * What an OSD does, as seen from within its own process: `OsdConnection` straight over the store. The HTTP server puts
 * routes around it, the reconciler uses it as its own side, tests run the gateway on it without a network.
 *
 * What it adds to the store: the epoch of reads, the checksum of transactions, the care for stages, the reconciler.
 */
import {
  type FenceVerdict,
  isComparableAt,
  isMeantForRun,
  isReadableAt,
  isRebuildingAt,
  isRecoveringAt,
} from '../protocol/fence.js';
import type { InvariantViolation } from '../protocol/invariant.js';
import { compareUtf8, type ObjectId } from '../protocol/object-id.js';
import type { CopyPace } from '../protocol/pace.js';
import type { FullCopyCursor, ObjectSummary } from '../protocol/reconcile-plan.js';
import { FULL_COPY_DOUBT } from '../protocol/recovery-plan.js';
import type { Epoch, GeneratorId } from '../protocol/tag.js';
import type { StoreId, Witness } from '../protocol/token.js';
import type { ObjectState, TagRow } from '../protocol/write.js';
import { type ObjectStore, type StoreListEntry, type StoreRead } from '../store/object-store.js';
import {
  type ClearsReply,
  type ExaminationReply,
  type ExaminationRequest,
  EXAMINED_WINDOW_BYTES,
  type ForwardedBatch,
  type ForwardedBatchReply,
  type HealOrder,
  type LostObject,
  type ObjectWitness,
  type OsdConnection,
  type OsdIdentity,
  type PresentObject,
  type PushContent,
  type ReconcileOrder,
  type ReconcileProgress,
  type RemoteListPage,
  type RemoteListRequest,
  type RemotePush,
  type RemotePushReply,
  type RemoteRange,
  type RemoteRead,
  type RemoteStage,
  type RowCursor,
  type ScrubOrder,
  type TransactionBatch,
  type TransactionBatchReply,
  type WriterOrder,
} from '../wire/osd-connection.js';
import { BatchedWrites } from './batched-writes.js';
import { ClientLoad } from './client-load.js';
import { examineExtent } from './examination.js';
import { Writers, type WritersReport } from './forwarding/writers.js';
import { Healer } from './healer.js';
import type { OsdLimits } from './limits.js';
import { LocalStage } from './local-stage.js';
import { witnessOf } from './object-witness.js';
import { OldestRow } from './oldest-row.js';
import type { OsdLogger } from './osd-logger.js';
import type { OsdTrace } from './osd-trace.js';
import { refusal, refuseStoreErrors } from './refusal.js';
import { type PacerTimer, systemTimer } from './reconcile/copy-pacer.js';
import { Reconciler } from './reconcile/reconciler.js';
import { Scrubber } from './scrubber.js';
import { type RegisteredStage, StageRegistry } from './stage-registry.js';

export interface LocalOsdOptions {
  readonly store: ObjectStore;
  /** Names this run of the OSD process. */
  readonly incarnation: string;
  readonly softwareVersion: string;
  readonly processId: number;
  readonly logger: OsdLogger;
  /** Unix time in ms. */
  readonly clock: () => number;
  readonly limits: OsdLimits;
  /** Default: nobody follows anything. */
  readonly trace?: OsdTrace | null;
  /** Connects to the peer OSDs of a reconciliation; it closes them when it is over. */
  readonly connect: (url: string) => OsdConnection;
  /** What the pace of copying is kept by; by default the clock of the system. */
  readonly timer?: PacerTimer;
  /** Our bug, found in the background: stops the process. */
  readonly onInvariantViolation: (violation: InvariantViolation) => void;
}

export class LocalOsd implements OsdConnection {
  readonly url = 'local:';
  readonly #options: LocalOsdOptions;
  readonly #store: ObjectStore;
  readonly #stages: StageRegistry;
  readonly #writes: BatchedWrites;
  readonly #reconciler: Reconciler;
  readonly #oldestRow: OldestRow;
  readonly #healer: Healer;
  readonly #scrubber: Scrubber;
  readonly #writers: Writers;
  /** What copying yields to: writes, reads and listings; what mirrors ask of each other is none of it. */
  readonly clients: ClientLoad;

  constructor(options: LocalOsdOptions) {
    const { store, logger, clock, limits, timer = systemTimer } = options;
    this.clients = new ClientLoad(() => timer.now());
    this.#options = options;
    this.#store = store;
    this.#oldestRow = new OldestRow(store, clock);
    this.#stages = new StageRegistry({ store, logger, clock, ...limits });
    this.#writes = new BatchedWrites({ store, stages: this.#stages, logger });
    this.#reconciler = new Reconciler({ self: this, clients: this.clients, ...options, timer });
    this.#healer = new Healer({
      self: this,
      ...options,
      stage: (bytes) => this.#stageOfHeal(bytes),
      discardStage: (stageId) => this.#stages.discardQuietly(stageId),
    });
    this.#scrubber = new Scrubber({ healer: this.#healer, ...options });
    this.#writers = new Writers({
      self: this,
      setId: store.report().setId,
      fence: () => store.report().fence,
      ...options,
    });
  }

  /** Why this OSD can't do its work, or null when it can. */
  faultOfReadiness(): string | null {
    const { fault } = this.#store.report();
    return fault?.kind === 'disk-failed' ? `the disk failed: ${fault.detail}` : null;
  }

  get stageCount(): number {
    return this.#stages.count;
  }

  /** What this OSD does as a writer. */
  get writersReport(): WritersReport {
    return this.#writers.report();
  }

  /** Of the latest reconciliation that this OSD drives or drove. */
  get latestProgress(): ReconcileProgress | null {
    return this.#reconciler.latestProgress;
  }

  async identity(): Promise<OsdIdentity> {
    const oldestRowMs = await refuseStoreErrors(() => this.#oldestRow.writtenMs());
    const report = this.#store.report();
    const { incarnation, softwareVersion, processId } = this.#options;
    return {
      setId: report.setId,
      storeId: report.storeId,
      incarnation,
      softwareVersion,
      formatVersion: report.formatVersion,
      processId,
      commitSequence: report.commitSequence,
      fencedEpoch: report.fence.fencedEpoch,
      activeEpoch: report.fence.activeEpoch,
      fault: report.fault,
      selfDoubt: report.selfDoubt,
      blank: report.blank,
      witnesses: report.witnesses,
      rowCount: report.tagTable.rowCount,
      rowBytes: report.tagTable.rowBytes,
      // The rows may have gone while the oldest was looked for.
      oldestRowMs: report.tagTable.rowCount === 0 ? null : oldestRowMs,
      objectCount: report.objectCount,
      tombstoneCount: report.tombstoneCount,
      blobBytes: report.blobBytes,
      care: { ...this.#healer.counts, scrub: await refuseStoreErrors(() => this.#scrubber.progress()) },
    };
  }

  async fence(epoch: Epoch, incarnation?: string): Promise<OsdIdentity> {
    if (!isMeantForRun(this.#options.incarnation, incarnation))
      throw refusal('stale-order', 'the fence was meant for another run of this OSD');
    return this.#move(this.#store.fence(epoch));
  }

  async activate(epoch: Epoch): Promise<OsdIdentity> {
    return this.#move(this.#store.activate(epoch));
  }

  async advance(from: Epoch, to: Epoch): Promise<OsdIdentity> {
    return this.#move(this.#store.advance(from, to));
  }

  async rebuild(epoch: Epoch): Promise<OsdIdentity> {
    return this.#move(this.#store.rebuild(epoch));
  }

  async #move(moving: Promise<FenceVerdict>): Promise<OsdIdentity> {
    const verdict = await refuseStoreErrors(() => moving);
    const { fencedEpoch, activeEpoch } = this.#store.report().fence;
    this.#reconciler.cancelBelow(fencedEpoch);
    this.#writers.fenceMoved();
    if (verdict.kind === 'refuse') {
      throw refusal(verdict.code, `the store is fenced at ${fencedEpoch} and active at ${activeEpoch}`);
    }
    return this.identity();
  }

  transact(batch: TransactionBatch): Promise<TransactionBatchReply> {
    return batch.writes.length === 0
      ? this.#transact(batch)
      : this.clients.during(() => this.#transact(batch));
  }

  /** Writes and clears are handed to the store at once, in order; they share its next commit. */
  async #transact(batch: TransactionBatch): Promise<TransactionBatchReply> {
    const writing = this.#writes.perform(batch.writes, batch.floor);
    const { setId, epoch, clears, floor } = batch;
    const clearing =
      clears.length === 0
        ? null
        : refuseStoreErrors(() => this.#store.clear({ setId, epoch, clears, floor }));
    // Every reply counts, also when a clear fails: nothing is left to float.
    const [writes, cleared] = await Promise.all([writing, clearing?.catch((error: unknown) => ({ error }))]);
    if (cleared !== undefined && 'error' in cleared) {
      if (writes.length === 0) throw cleared.error;
      this.#options.logger.error({ err: cleared.error }, 'clears that came with writes failed');
      return { storeId: this.#store.report().storeId, writes, clears: null };
    }
    return { storeId: this.#store.report().storeId, writes, clears: cleared ?? null };
  }

  async appointWriter(order: WriterOrder): Promise<void> {
    this.#writers.appoint(order);
  }

  forward(batch: ForwardedBatch): Promise<ForwardedBatchReply> {
    return this.clients.during(() => this.#writers.forward(batch));
  }

  dismissWriter(epoch: Epoch, generator: GeneratorId): Promise<void> {
    return this.#writers.dismiss(epoch, generator);
  }

  openStage(): RemoteStage {
    return new LocalStage(this.#stages.open());
  }

  /** For the server: the stage itself, whose `abort` can be waited for. */
  openOwnStage(): RegisteredStage {
    return this.#stages.open();
  }

  async discardStage(stageId: string): Promise<void> {
    await this.#stages.discard(stageId);
  }

  #refuseStaleEpoch(epoch: Epoch): void {
    const { fence } = this.#store.report();
    if (epoch < fence.fencedEpoch)
      throw refusal('stale-epoch', `the store is fenced at ${fence.fencedEpoch}`);
    // A restarted OSD, perhaps on another disk, serves nobody before the authority has noticed (F29).
    if (isReadableAt(fence, epoch) || isRecoveringAt(fence, epoch)) return;
    throw refusal('not-active', `the store is not active at ${epoch}`);
  }

  async head(epoch: Epoch, id: ObjectId): Promise<PresentObject | null> {
    this.#refuseStaleEpoch(epoch);
    this.clients.touch();
    const state = await refuseStoreErrors(() => this.#store.head(id));
    return state?.kind === 'present' ? state : null;
  }

  /** For the server: with `bytes`, which saves small objects a stream. */
  openRead(epoch: Epoch, id: ObjectId, range: RemoteRange): Promise<StoreRead | null> {
    this.clients.touch();
    return this.#openRead(epoch, id, range);
  }

  async #openRead(epoch: Epoch, id: ObjectId, range: RemoteRange): Promise<StoreRead | null> {
    this.#refuseStaleEpoch(epoch);
    return refuseStoreErrors(() => this.#store.read(id, range));
  }

  async read(epoch: Epoch, id: ObjectId, range: RemoteRange): Promise<RemoteRead | null> {
    return toRemoteRead(await this.#openRead(epoch, id, range));
  }

  /** What the store has on record, and what nobody could heal in this run. */
  async lostObjects(after: ObjectId | null, limit: number): Promise<readonly LostObject[]> {
    const recorded = await refuseStoreErrors(() => this.#store.lostObjects(after, limit));
    return mergeLost(recorded, await refuseStoreErrors(() => this.#healer.unhealed(after)), limit);
  }

  /** For the server: a read of what an object with lost bytes was before. */
  async openKept(epoch: Epoch, id: ObjectId, range: RemoteRange): Promise<StoreRead | null> {
    this.#refuseStaleEpoch(epoch);
    return refuseStoreErrors(() => this.#store.readKept(id, range));
  }

  async readKept(epoch: Epoch, id: ObjectId, range: RemoteRange): Promise<RemoteRead | null> {
    return toRemoteRead(await this.openKept(epoch, id, range));
  }

  async list(epoch: Epoch, request: RemoteListRequest): Promise<RemoteListPage> {
    this.#refuseStaleEpoch(epoch);
    this.clients.touch();
    const page = await refuseStoreErrors(() => this.#store.list(request));
    const entries = fittingEntries(page.entries, this.#options.limits.listPageBytesMax);
    return { entries, truncated: page.truncated || entries.length < page.entries.length };
  }

  /** What a reconciliation looks at is what the authority looked at when it began, or nothing (F29, F36). */
  #refuseUnlessComparableAt(epoch: Epoch | undefined): void {
    if (epoch === undefined) return;
    const { fence } = this.#store.report();
    if (epoch < fence.fencedEpoch)
      throw refusal('stale-epoch', `the store is fenced at ${fence.fencedEpoch}`);
    if (!isComparableAt(fence, epoch))
      throw refusal('not-fenced', `the store takes no part in the reconciliation at ${epoch}`);
  }

  async rows(after: RowCursor | null, limit: number, epoch?: Epoch): Promise<readonly TagRow[]> {
    this.#refuseUnlessComparableAt(epoch);
    return refuseStoreErrors(() => this.#store.rows(after, limit));
  }

  async summaries(after: ObjectId | null, limit: number, epoch?: Epoch): Promise<readonly ObjectSummary[]> {
    this.#refuseUnlessComparableAt(epoch);
    return refuseStoreErrors(() => this.#store.summaries(after, limit));
  }

  async states(ids: readonly ObjectId[], epoch?: Epoch): Promise<readonly (ObjectState | null)[]> {
    this.#refuseUnlessComparableAt(epoch);
    return refuseStoreErrors(() => Promise.all(ids.map((id) => this.#store.head(id))));
  }

  async evidence(epoch: Epoch, ids: readonly ObjectId[]): Promise<readonly ObjectWitness[]> {
    this.#refuseUnlessComparableAt(epoch);
    return refuseStoreErrors(() => Promise.all(ids.map((id) => witnessOf(this.#store, id))));
  }

  async push(push: RemotePush): Promise<RemotePushReply> {
    const stageId = push.bytes.kind === 'stage' ? push.bytes.stageId : null;
    if (stageId !== null) this.#stages.claim(stageId);
    let isUsed = false;
    try {
      const reply = await refuseStoreErrors(() => this.#store.push(push));
      isUsed = reply.kind === 'landed' || reply.code === 'unknown-stage';
      return reply;
    } finally {
      if (stageId !== null && !isUsed) await this.#stages.discardQuietly(stageId);
    }
  }

  async #stageOfHeal(bytes: PushContent): Promise<string | null> {
    switch (bytes.kind) {
      case 'none':
        return null;
      case 'stage':
        return bytes.stageId;
      case 'bytes': {
        const stage = this.#stages.open();
        try {
          await stage.write(bytes.bytes);
          return (await stage.finish()).stageId;
        } catch (error) {
          await stage.abort();
          throw error;
        }
      }
    }
  }

  async dropRows(
    setId: string,
    epoch: Epoch,
    rows: readonly RowCursor[],
    witnesses: readonly Witness[],
  ): Promise<ClearsReply> {
    return refuseStoreErrors(() => this.#store.dropRows({ setId, epoch, rows, witnesses }));
  }

  #refuseUnlessRecoveringAt(epoch: Epoch): void {
    const { fence } = this.#store.report();
    this.#refuseStaleEpoch(epoch);
    if (!isRecoveringAt(fence, epoch)) throw refusal('not-fenced', `no recovery runs at epoch ${epoch}`);
  }

  #refuseUnlessReadableAt(epoch: Epoch): void {
    const { fence } = this.#store.report();
    this.#refuseStaleEpoch(epoch);
    if (!isReadableAt(fence, epoch)) throw refusal('not-active', `the store is not active at ${epoch}`);
  }

  async authorityRecord(): Promise<string | null> {
    return refuseStoreErrors(() => this.#store.authorityRecord());
  }

  async keepAuthorityRecord(epoch: Epoch, record: string): Promise<void> {
    this.#refuseUnlessComparableAt(epoch);
    await refuseStoreErrors(() => this.#store.setAuthorityRecord(record));
  }

  async setSelfDoubt(epoch: Epoch, reason: string | null): Promise<void> {
    this.#refuseUnlessRecoveringAt(epoch);
    await refuseStoreErrors(() => this.#store.setSelfDoubt(reason));
  }

  async beginFullCopy(epoch: Epoch, storeId: StoreId): Promise<void> {
    const { fence } = this.#store.report();
    if (epoch < fence.fencedEpoch)
      throw refusal('stale-epoch', `the store is fenced at ${fence.fencedEpoch}`);
    if (!isRecoveringAt(fence, epoch)) throw refusal('not-fenced', `no recovery runs at epoch ${epoch}`);
    await refuseStoreErrors(() => this.#store.beginFullCopy(storeId));
  }

  async fullCopyCursor(): Promise<FullCopyCursor | null> {
    return refuseStoreErrors(() => this.#store.fullCopyCursor());
  }

  #refuseUnlessCopiedAt(epoch: Epoch): void {
    const { fence, selfDoubt } = this.#store.report();
    if (epoch < fence.fencedEpoch)
      throw refusal('stale-epoch', `the store is fenced at ${fence.fencedEpoch}`);
    const isOpen = isRecoveringAt(fence, epoch) || isRebuildingAt(fence, epoch);
    if (!isOpen || selfDoubt !== FULL_COPY_DOUBT)
      throw refusal('not-fenced', `no full copy into this store is under way at epoch ${epoch}`);
  }

  async setFullCopyCursor(epoch: Epoch, cursor: FullCopyCursor): Promise<void> {
    this.#refuseUnlessCopiedAt(epoch);
    await refuseStoreErrors(() => this.#store.setFullCopyCursor(cursor));
  }

  async endFullCopy(epoch: Epoch): Promise<void> {
    this.#refuseUnlessCopiedAt(epoch);
    await refuseStoreErrors(() => this.#store.endFullCopy());
  }

  async examine(requests: readonly ExaminationRequest[]): Promise<readonly ExaminationReply[]> {
    const replies: ExaminationReply[] = [];
    for (const { objectId, extent } of requests) {
      if (extent.length > EXAMINED_WINDOW_BYTES) throw refusal('bad-request', 'a window is too long');
      replies.push(await refuseStoreErrors(() => examineExtent(this.#store, objectId, extent)));
    }
    return replies;
  }

  async orderHeal(order: HealOrder): Promise<void> {
    this.#refuseStaleEpoch(order.epoch);
    this.#healer.order(order);
  }

  async startScrub(order: ScrubOrder): Promise<void> {
    await refuseStoreErrors(() => this.#scrubber.start(order));
  }

  async stopScrub(): Promise<void> {
    await this.#scrubber.stop();
  }

  async startReconcile(order: ReconcileOrder): Promise<ReconcileProgress> {
    const running = this.#reconciler.progressOf(order.epoch);
    if (running !== null) return running;
    const { setId, storeId } = this.#store.report();
    if (order.setId !== setId) throw refusal('wrong-set', 'the order is for another mirror set');
    if (order.mode === 'fenced') this.#refuseUnlessRecoveringAt(order.epoch);
    else this.#refuseUnlessReadableAt(order.epoch);
    const driver = order.participants.find(({ mirror }) => mirror === order.driver);
    if (driver?.role.kind !== 'trusted' || driver.storeId !== storeId) {
      throw refusal('not-driver', 'the driver of a reconciliation is this very store, and trusted');
    }
    return this.#reconciler.start(order);
  }

  async reconcileProgress(epoch: Epoch): Promise<ReconcileProgress> {
    const progress = this.#reconciler.progressOf(epoch);
    if (progress === null) throw refusal('unknown-reconciliation', `none at epoch ${epoch}`);
    return progress;
  }

  async setReconcilePace(epoch: Epoch, pace: CopyPace): Promise<ReconcileProgress> {
    const progress = this.#reconciler.setPace(epoch, pace);
    if (progress === null) throw refusal('unknown-reconciliation', `none at epoch ${epoch}`);
    return progress;
  }

  /** Stops what runs in the background. The store is its owner's to close. */
  async close(): Promise<void> {
    this.#writers.close();
    await this.#reconciler.close();
    await this.#scrubber.stop();
    await this.#healer.close();
    await this.#stages.close();
  }
}

/** Each object once, in order of ids. */
function mergeLost(
  recorded: readonly LostObject[],
  unhealed: readonly LostObject[],
  limit: number,
): readonly LostObject[] {
  const others = unhealed.filter(({ objectId }) => !recorded.some((one) => one.objectId === objectId));
  if (others.length === 0) return recorded;
  return [...recorded, ...others]
    .sort((left, right) => compareUtf8(left.objectId, right.objectId))
    .slice(0, limit);
}

function toRemoteRead(read: StoreRead | null): RemoteRead | null {
  if (read === null) return null;
  const { state, extent, bytes } = read;
  return { state, extent, bytes, body: refusingBody(read.body) };
}

/** As many entries as fit into a page, at least one. */
function fittingEntries(entries: readonly StoreListEntry[], bytesMax: number): readonly StoreListEntry[] {
  let bytes = 0;
  for (const [index, entry] of entries.entries()) {
    if (entry.kind === 'object') bytes += entry.state.attributes.length;
    if (bytes > bytesMax && index > 0) return entries.slice(0, index);
  }
  return entries;
}

/** The same pieces; what fails in the store fails as a refusal. */
function refusingBody(body: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  return {
    [Symbol.asyncIterator]() {
      const pieces = body[Symbol.asyncIterator]();
      return {
        next: () => refuseStoreErrors(() => pieces.next()),
        return: async () => {
          await pieces.return?.();
          return { done: true, value: undefined };
        },
      };
    },
  };
}
