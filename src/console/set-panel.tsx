/** One mirror set: its picture, what runs on it, its last hour, and what happened to it. */
import { useRef } from 'preact/hooks';
import type { Api, Sample, Status } from './api.ts';
import { EventList } from './event-list.tsx';
import { ForcedDecisions } from './forced-decisions.tsx';
import { HistoryPlot } from './history-plot.tsx';
import { LostObjects } from './lost-objects.tsx';
import { MirrorPicture } from './mirror-picture.tsx';
import { RecoveryPanel } from './recovery-panel.tsx';
import { formatBytes, formatDuration } from './text.ts';
import { usePoll } from './use-poll.ts';
import { VerifyPanel } from './verify-panel.tsx';

const EVENTS_EVERY_MS = 2000;
const HISTORY_EVERY_MS = 2000;
const COUNT_INCREMENTS = Array.from({ length: 12 }, (_, power) =>
  [1, 2, 5].map((step) => step * 10 ** power),
).flat();
/** Up to the exbibyte. */
const BYTE_INCREMENTS = Array.from({ length: 60 }, (_, power) => 2 ** power);
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DURATION_INCREMENTS = [
  ...[1, 2, 5, 10, 15, 30].map((seconds) => seconds * 1000),
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * MINUTE_MS),
  ...[1, 2, 3, 6, 12, 24, 48, 96, 240, 480, 960, 2400].map((hours) => hours * HOUR_MS),
];
/** As many as the server keeps. */
const SAMPLES_MAX = 1800;

/** `api` asks for this very set. */
export function SetPanel({ api, status }: { readonly api: Api; readonly status: Status }) {
  const { value: events } = usePoll(() => api.events(), EVENTS_EVERY_MS);
  const known = useRef<readonly Sample[]>([]);
  const { value: samples } = usePoll(async () => {
    const more = await api.history(known.current.at(-1)?.atMs ?? 0);
    known.current = [...known.current, ...more].slice(-SAMPLES_MAX);
    return known.current;
  }, HISTORY_EVERY_MS);
  return (
    <>
      <MirrorPicture status={status} />
      <LostObjects status={status} />
      <ForcedDecisions decisions={status.forced} />
      <RecoveryPanel api={api} status={status} />
      <VerifyPanel api={api} />
      <section class="plots" aria-label="The last hour">
        <HistoryPlot
          title="Tag table"
          hint="Rows of each mirror: writes not yet known to be on all"
          samples={samples ?? []}
          series={status.mirrors.map(({ mirror }) => ({
            label: mirror,
            read: ({ mirrors }) => mirrors.find((entry) => entry.mirror === mirror)?.rowCount ?? null,
          }))}
          format={(value) => value.toLocaleString('en')}
          increments={COUNT_INCREMENTS}
        />
        <HistoryPlot
          title="Unmatched"
          hint="Bytes that some mirror is known to lack"
          samples={samples ?? []}
          series={[{ label: 'unmatched', read: ({ unmatchedBytes }) => unmatchedBytes }]}
          format={formatBytes}
          increments={BYTE_INCREMENTS}
        />
        <HistoryPlot
          title="Oldest row"
          hint="How long the oldest of these writes has been waiting"
          samples={samples ?? []}
          series={[{ label: 'oldest', read: ({ oldestAgeMs }) => oldestAgeMs }]}
          format={formatDuration}
          increments={DURATION_INCREMENTS}
        />
      </section>
      <EventList events={events ?? []} />
    </>
  );
}
