/** Every metric of an OSD, by name. `docker/prometheus/alerts.yaml` and the dashboard use them, and a test compares. */
import { addCertificates, type CertificateExpiry } from '../metrics/certificate-metrics.js';
import { Exposition } from '../metrics/exposition.js';
import type { OsdCare, ReconcileProgress, ScrubProgress } from '../wire/osd-connection.js';
import type { ObjectStore, SegmentSummary, StoreReport } from '../store/object-store.js';
import type { WritersReport } from './forwarding/writers.js';
import type { OsdFigures } from './osd-figures.js';

export interface DiskSpace {
  readonly freeBytes: number;
  readonly totalBytes: number;
}

export interface OsdMetricsSources {
  readonly store: ObjectStore;
  readonly figures: OsdFigures;
  readonly softwareVersion: string;
  /** Unix ms. */
  readonly clock: () => number;
  readonly oldestRowMs: () => Promise<number | null>;
  /** Of the latest reconciliation that this OSD drives, null when there was none. */
  readonly progress: () => ReconcileProgress | null;
  readonly stageCount: () => number;
  /** What it does as a writer. */
  readonly writers: () => WritersReport;
  /** What was found damaged, and the latest scrub. */
  readonly care: () => Promise<OsdCare>;
  readonly certificates: () => Iterable<CertificateExpiry>;
  /** Null: nobody knows. */
  readonly diskSpace: () => Promise<DiskSpace | null>;
}

export function makeOsdMetrics(sources: OsdMetricsSources): Exposition {
  const exposition = new Exposition();
  addStore(exposition, sources);
  addDisk(exposition, sources);
  addReconciliation(exposition, sources);
  addWriters(exposition, sources);
  addSegments(exposition, sources);
  addCare(exposition, sources);
  addCertificates(exposition, sources.certificates);
  return exposition;
}

function addStore(exposition: Exposition, sources: OsdMetricsSources): void {
  const { store, softwareVersion, clock, oldestRowMs, stageCount } = sources;
  const single = (name: string, help: string, read: (report: StoreReport) => number): void => {
    exposition.gauge({ name, help }, () => [{ value: read(store.report()) }]);
  };
  exposition.gauge(
    { name: 'tally_osd_info', help: 'Always 1.', labels: ['version', 'set', 'store', 'format'] },
    () => {
      const { setId, storeId, formatVersion } = store.report();
      const labels = { version: softwareVersion, set: setId, store: storeId, format: String(formatVersion) };
      return [{ labels, value: 1 }];
    },
  );
  single('tally_osd_tag_table_rows', 'Rows of the tag table.', ({ tagTable }) => tagTable.rowCount);
  single(
    'tally_osd_tag_table_bytes',
    'Bytes that the rows of the tag table stand for.',
    ({ tagTable }) => tagTable.rowBytes,
  );
  exposition.gauge(
    { name: 'tally_osd_tag_table_oldest_row_age_seconds', help: 'Age of the oldest row; 0 without rows.' },
    async () => {
      const oldestMs = await oldestRowMs();
      return [{ value: oldestMs === null ? 0 : Math.max(0, clock() - oldestMs) / 1000 }];
    },
  );
  single(
    'tally_osd_commit_sequence',
    'Counts synced batches that changed something.',
    (report) => report.commitSequence,
  );
  single('tally_osd_fenced_epoch', 'Lower epochs are refused.', ({ fence }) => fence.fencedEpoch);
  single(
    'tally_osd_active_epoch',
    'Writes of this epoch are let in; 0: none are.',
    ({ fence }) => fence.activeEpoch,
  );
  single('tally_osd_self_doubt', '1 while the store knows itself to be incomplete.', ({ selfDoubt }) =>
    selfDoubt === null ? 0 : 1,
  );
  single('tally_osd_objects', 'Objects stored.', ({ objectCount }) => objectCount);
  single(
    'tally_osd_tombstones',
    'Removed objects that are still remembered.',
    ({ tombstoneCount }) => tombstoneCount,
  );
  single('tally_osd_blob_bytes', 'Bytes of the blobs in use.', ({ blobBytes }) => blobBytes);
  exposition.gauge({ name: 'tally_osd_stages', help: 'Uploads that no write has named yet.' }, () => [
    { value: stageCount() },
  ]);
}

function addDisk(exposition: Exposition, { figures, diskSpace }: OsdMetricsSources): void {
  exposition.histogram(
    {
      name: 'tally_osd_commit_batch_transactions',
      help: 'Writes that shared one synced batch (group commit).',
    },
    () => [{ histogram: figures.batchTransactions.snapshot() }],
  );
  exposition.histogram(
    { name: 'tally_osd_commit_sync_seconds', help: 'From handing over a synced batch until it was on disk.' },
    () => [{ histogram: figures.syncSeconds.snapshot() }],
  );
  for (const [name, help, figure] of [
    ['tally_osd_disk_free_bytes', 'Free bytes of the store’s file system.', 'freeBytes'],
    ['tally_osd_disk_bytes', 'Size of the store’s file system.', 'totalBytes'],
  ] as const) {
    exposition.gauge({ name, help }, async () => {
      const space = await diskSpace();
      return space === null ? [] : [{ value: space[figure] }];
    });
  }
}

function addSegments(exposition: Exposition, { store, figures }: OsdMetricsSources): void {
  for (const [name, help, figure] of [
    ['tally_osd_segments', 'Segments: files that content lives in.', 'segmentCount'],
    ['tally_osd_segment_bytes', 'Bytes written to segments.', 'writtenBytes'],
    ['tally_osd_segment_dead_bytes', 'Of these, what compaction may give back.', 'deadBytes'],
  ] as const satisfies readonly (readonly [string, string, keyof SegmentSummary])[]) {
    exposition.gauge({ name, help }, () => [{ value: store.segments()[figure] }]);
  }
  exposition.histogram(
    { name: 'tally_osd_segment_sync_seconds', help: 'How long it takes to put content of segments on disk.' },
    () => [{ histogram: figures.segmentSyncSeconds.snapshot() }],
  );
}

function addCare(exposition: Exposition, { care }: OsdMetricsSources): void {
  for (const [name, help, figure] of [
    ['tally_osd_damaged_objects_total', 'Times that an object was found damaged.', 'objectsDamaged'],
    ['tally_osd_healed_objects_total', 'Times that a damaged object was healed.', 'objectsHealed'],
    ['tally_osd_healed_bytes_total', 'Bytes that were healed.', 'bytesHealed'],
  ] as const) {
    exposition.counter({ name, help: `${help} Since this OSD was started.` }, async () => [
      { value: (await care())[figure] },
    ]);
  }
  const ofScrub = (name: string, help: string, read: (scrub: ScrubProgress) => number): void => {
    exposition.gauge({ name, help: `${help} Of the latest scrub; 0 where there was none.` }, async () => {
      const { scrub } = await care();
      return [{ value: scrub === null ? 0 : read(scrub) }];
    });
  };
  ofScrub('tally_osd_scrub_running', '1 while it runs.', ({ state }) => (state === 'running' ? 1 : 0));
  ofScrub('tally_osd_scrub_failed', '1 when it failed.', ({ state }) => (state === 'failed' ? 1 : 0));
  ofScrub('tally_osd_scrub_ended_timestamp_seconds', 'When it ended, Unix time.', ({ endedMs }) =>
    endedMs === null ? 0 : endedMs / 1000,
  );
  for (const [name, help, figure] of [
    ['tally_osd_scrub_objects', 'Objects read.', 'objectsExamined'],
    ['tally_osd_scrub_bytes', 'Bytes read.', 'bytesExamined'],
    ['tally_osd_scrub_damaged_objects', 'Objects found damaged.', 'objectsDamaged'],
    ['tally_osd_scrub_healed_objects', 'Damaged objects that were healed.', 'objectsHealed'],
  ] as const) {
    ofScrub(name, help, (scrub) => scrub[figure]);
  }
}

function addReconciliation(exposition: Exposition, { progress }: OsdMetricsSources): void {
  const isRunning = (phase: ReconcileProgress['phase']): boolean => phase !== 'done' && phase !== 'failed';
  exposition.gauge(
    { name: 'tally_osd_reconcile_running', help: '1 while this OSD drives a reconciliation.' },
    () => [{ value: isRunning(progress()?.phase ?? 'done') ? 1 : 0 }],
  );
  for (const [name, help, figure] of [
    ['tally_osd_reconcile_bytes_to_do', 'Bytes to copy, as far as is known.', 'bytesUnmatched'],
    ['tally_osd_reconcile_bytes_done', 'Bytes copied.', 'bytesCopied'],
    ['tally_osd_reconcile_rows_unmatched', 'Rows without their like on another mirror.', 'rowsUnmatched'],
  ] as const) {
    exposition.gauge({ name, help: `${help} Of the latest reconciliation that this OSD drove.` }, () => [
      { value: progress()?.[figure] ?? 0 },
    ]);
  }
}

function addWriters(exposition: Exposition, { writers }: OsdMetricsSources): void {
  exposition.gauge(
    {
      name: 'tally_osd_writer_epoch',
      help: 'The epoch in which this OSD issues the tags; 0: it issues none.',
    },
    () => [{ value: writers().epoch }],
  );
  exposition.gauge(
    { name: 'tally_osd_forwarded_requests_remembered', help: 'Forwarded writes that may still be repeated.' },
    () => [{ value: writers().requestsRemembered }],
  );
  exposition.counter(
    { name: 'tally_osd_forwarded_writes_total', help: 'Writes that were forwarded to this OSD.' },
    () => [{ value: writers().writesForwarded }],
  );
}
