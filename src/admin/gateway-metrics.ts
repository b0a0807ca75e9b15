/** Every metric of a gateway, by name. `docker/prometheus/alerts.yaml` and the dashboard use them, and a test compares. */
import type { MirrorSetControl } from '../gateway/gateway.js';
import type { MirrorSetEvent, MirrorSetStatus, MirrorStatus } from '../gateway/mirror-set-status.js';
import { addCertificates, type CertificateExpiry } from '../metrics/certificate-metrics.js';
import { Exposition, type Sample, stateSamples } from '../metrics/exposition.js';
import type { OsdIdentity } from '../wire/osd-connection.js';
import type { OperationSnapshot, S3FiguresSource } from './s3-figures.js';
import type { MirrorSets } from './set-routes.js';

/** Every word of a union; a missing one does not compile. */
function wordsOf<Word extends string>(all: Readonly<Record<Word, true>>): readonly Word[] {
  return Object.keys(all) as Word[];
}

const PHASES = wordsOf<MirrorSetStatus['phase']>({
  active: true,
  recovering: true,
  waiting: true,
  stopped: true,
});
const CONDITIONS = wordsOf<MirrorStatus['condition']>({
  'in-sync': true,
  rebuilding: true,
  behind: true,
  'no-space': true,
  failed: true,
  incompatible: true,
  away: true,
});
const EVENT_KINDS = wordsOf<MirrorSetEvent['kind']>({
  excluded: true,
  forced: true,
  'lost-bytes': true,
  'authority-rebuilt': true,
  incompatible: true,
  pace: true,
  scrub: true,
  verification: true,
  'rows-forgone': true,
  returned: true,
  'recovery-started': true,
  'recovery-ended': true,
  'recovery-failed': true,
  waiting: true,
  stopped: true,
});

export interface GatewayMetricsSources {
  readonly sets: MirrorSets;
  readonly s3: S3FiguresSource;
  readonly softwareVersion: string;
  readonly certificates: () => Iterable<CertificateExpiry>;
  /** Unix ms. */
  readonly clock: () => number;
}

export function makeGatewayMetrics(sources: GatewayMetricsSources): Exposition {
  const exposition = new Exposition();
  addS3(exposition, sources.s3);
  addMirrorSets(exposition, sources);
  addMirrors(exposition, sources);
  addRecovery(exposition, sources);
  addMove(exposition, sources);
  addCertificates(exposition, sources.certificates);
  return exposition;
}

function addS3(exposition: Exposition, s3: S3FiguresSource): void {
  const each = function* <T>(read: (figures: OperationSnapshot) => T) {
    for (const [operation, figures] of s3.snapshot().operations)
      yield { labels: { operation }, ...read(figures) };
  };
  const labels = ['operation'];
  exposition.counter({ name: 'tally_s3_requests_total', help: 'S3 requests that ended.', labels }, () =>
    each(({ requestCount }) => ({ value: requestCount })),
  );
  exposition.counter(
    {
      name: 'tally_s3_errors_total',
      help: 'S3 requests that ended with an error, by its code. Status "none": the client went away.',
      labels: ['operation', 'code', 'status'],
    },
    function* () {
      for (const [operation, { errors }] of s3.snapshot().operations) {
        for (const { code, status, count } of errors) {
          yield { labels: { operation, code, status: String(status ?? 'none') }, value: count };
        }
      }
    },
  );
  exposition.histogram(
    {
      name: 'tally_s3_request_duration_seconds',
      help: 'From the head of an S3 request to the end of its answer.',
      labels,
    },
    () => each(({ durationSeconds }) => ({ histogram: durationSeconds })),
  );
  exposition.counter(
    { name: 'tally_s3_received_bytes_total', help: 'Bytes of request bodies.', labels },
    () => each(({ receivedBytes }) => ({ value: receivedBytes })),
  );
  exposition.counter({ name: 'tally_s3_sent_bytes_total', help: 'Bytes of answers’ bodies.', labels }, () =>
    each(({ sentBytes }) => ({ value: sentBytes })),
  );
  exposition.gauge(
    { name: 'tally_s3_requests_in_flight', help: 'S3 requests that are being served.' },
    () => [{ value: s3.snapshot().inFlightCount }],
  );
}

/** Each set's samples carry its name. */
function ofEachSet(
  { sets }: GatewayMetricsSources,
  read: (control: MirrorSetControl, status: MirrorSetStatus) => readonly Sample[],
): () => Sample[] {
  return () =>
    [...sets.controls.values()].flatMap((control) => {
      const status = control.status();
      const set = status.setId;
      return read(control, status).map(({ labels, value }) => ({ labels: { set, ...labels }, value }));
    });
}

function addMirrorSets(exposition: Exposition, sources: GatewayMetricsSources): void {
  const { softwareVersion } = sources;
  const single = (name: string, help: string, read: (status: MirrorSetStatus) => number): void => {
    exposition.gauge(
      { name, help, labels: ['set'] },
      ofEachSet(sources, (_control, status) => [{ value: read(status) }]),
    );
  };
  exposition.gauge(
    { name: 'tally_gateway_info', help: 'Always 1.', labels: ['version', 'set'] },
    ofEachSet(sources, () => [{ labels: { version: softwareVersion }, value: 1 }]),
  );
  single('tally_epoch', 'The epoch of the mirror set.', ({ epoch }) => epoch);
  exposition.gauge(
    {
      name: 'tally_mirror_set_state',
      help: '1 for the state that the mirror set is in.',
      labels: ['set', 'state'],
    },
    ofEachSet(sources, (_control, { phase }) => stateSamples(PHASES, phase)),
  );
  single('tally_mirrors', 'Mirrors that are configured.', ({ mirrors }) => mirrors.length);
  single(
    'tally_mirrors_in_sync',
    'Mirrors that have every acknowledged write.',
    ({ inSync }) => inSync.length,
  );
  single(
    'tally_unmatched_writes',
    'Writes that some mirror is known to lack.',
    ({ unmatchedWrites }) => unmatchedWrites,
  );
  single(
    'tally_lost_objects',
    'Objects with bytes that are intact nowhere.',
    ({ lostObjectCount }) => lostObjectCount,
  );
  single('tally_unmatched_bytes', 'Bytes of these writes.', ({ unmatchedBytes }) => unmatchedBytes);
  exposition.gauge(
    {
      name: 'tally_writer_info',
      help: 'Always 1: who issues the tags of writes. `mirror` is empty where the gateway does, and while nobody does.',
      labels: ['set', 'writes', 'mirror'],
    },
    ofEachSet(sources, (_control, { writes, writer }) => [
      { labels: { writes, mirror: writer ?? '' }, value: 1 },
    ]),
  );
  single('tally_writes_in_flight', 'Writes without an outcome yet.', ({ writesInFlight }) => writesInFlight);
  exposition.counter(
    {
      name: 'tally_mirror_set_events_total',
      help: 'What happened to the mirror set.',
      labels: ['set', 'kind'],
    },
    ofEachSet(sources, (control) =>
      EVENT_KINDS.map((kind) => ({ labels: { kind }, value: control.eventCount(kind) })),
    ),
  );
}

function addMirrors(exposition: Exposition, sources: GatewayMetricsSources): void {
  const { clock } = sources;
  const each = (name: string, help: string, read: (mirror: MirrorStatus) => number | null): void => {
    exposition.gauge(
      { name, help, labels: ['set', 'mirror'] },
      ofEachSet(sources, (_control, { mirrors }) =>
        mirrors.flatMap((mirror): Sample[] => {
          const value = read(mirror);
          return value === null ? [] : [{ labels: { mirror: mirror.mirror }, value }];
        }),
      ),
    );
  };
  const known = (name: string, help: string, read: (identity: OsdIdentity) => number): void => {
    each(name, `${help} As it was when the mirror was last seen.`, ({ identity }) =>
      identity === null ? null : read(identity),
    );
  };
  exposition.gauge(
    {
      name: 'tally_mirror_state',
      help: '1 for the state that a mirror is in: in-sync, rebuilding, behind, no-space, failed, incompatible or away.',
      labels: ['set', 'mirror', 'state'],
    },
    ofEachSet(sources, (_control, { mirrors }) =>
      mirrors.flatMap(({ mirror, condition }) => stateSamples(CONDITIONS, condition, { mirror })),
    ),
  );
  each('tally_mirror_needs_full_copy', '1 while a mirror needs a full copy.', ({ fullCopyReason }) =>
    fullCopyReason === null ? 0 : 1,
  );
  each('tally_mirror_last_seen_timestamp_seconds', 'When a mirror last answered, Unix time.', (mirror) =>
    mirror.lastSeenMs === null ? null : mirror.lastSeenMs / 1000,
  );
  known('tally_tag_table_rows', 'Rows of a mirror’s tag table.', ({ rowCount }) => rowCount);
  known('tally_tag_table_bytes', 'Bytes that the rows of a tag table stand for.', ({ rowBytes }) => rowBytes);
  known(
    'tally_tag_table_oldest_row_age_seconds',
    'Age of the oldest row; 0 without rows.',
    ({ oldestRowMs }) => (oldestRowMs === null ? 0 : Math.max(0, clock() - oldestRowMs) / 1000),
  );
  known('tally_mirror_objects', 'Objects of a mirror.', ({ objectCount }) => objectCount);
  known('tally_mirror_blob_bytes', 'Bytes of a mirror’s blobs.', ({ blobBytes }) => blobBytes);
}

function addRecovery(exposition: Exposition, sources: GatewayMetricsSources): void {
  const single = (name: string, help: string, read: (status: MirrorSetStatus) => number): void => {
    exposition.gauge(
      { name, help, labels: ['set'] },
      ofEachSet(sources, (_control, status) => [{ value: read(status) }]),
    );
  };
  single(
    'tally_recovery_running',
    '1 while mirrors are reconciled, or that is being tried.',
    ({ operation }) => (operation === null ? 0 : 1),
  );
  single(
    'tally_recovery_started_timestamp_seconds',
    'When the recovery that runs was started, Unix time; 0: none runs.',
    ({ operation }) => (operation?.startedMs ?? 0) / 1000,
  );
  const figures = [
    ['tally_recovery_objects_to_do', 'Objects to repair, as far as is known.', 'objectsToDo'],
    ['tally_recovery_objects_done', 'Objects repaired.', 'objectsDone'],
    ['tally_recovery_bytes_to_do', 'Bytes to copy, as far as is known.', 'bytesUnmatched'],
    ['tally_recovery_bytes_done', 'Bytes copied.', 'bytesCopied'],
    ['tally_recovery_objects_compared', 'Objects compared by a full copy.', 'objectsCompared'],
    [
      'tally_recovery_objects_to_compare',
      'Objects that a full copy has to compare, about.',
      'objectsToCompare',
    ],
  ] as const;
  for (const [name, help, figure] of figures) {
    single(name, `${help} Of the recovery that runs.`, ({ operation }) => operation?.progress?.[figure] ?? 0);
  }
}

function addMove(exposition: Exposition, { sets }: GatewayMetricsSources): void {
  exposition.gauge(
    { name: 'tally_move_running', help: '1 while objects move to their homes on other mirror sets.' },
    () => [{ value: sets.moveProgress()?.phase === 'moving' ? 1 : 0 }],
  );
  for (const [name, help, figure] of [
    ['tally_moved_objects_total', 'Objects that were moved to another mirror set.', 'objectsMoved'],
    ['tally_moved_bytes_total', 'Their bytes.', 'bytesMoved'],
    ['tally_move_failures_total', 'Attempts to move an object that failed.', 'failures'],
  ] as const) {
    exposition.counter({ name, help }, () => [{ value: sets.moveProgress()?.[figure] ?? 0 }]);
  }
}
