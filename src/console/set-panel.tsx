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
        />
        <HistoryPlot
          title="Unmatched"
          hint="Bytes that some mirror is known to lack"
          samples={samples ?? []}
          series={[{ label: 'unmatched', read: ({ unmatchedBytes }) => unmatchedBytes }]}
          format={formatBytes}
        />
        <HistoryPlot
          title="Oldest row"
          hint="How long the oldest of these writes has been waiting"
          samples={samples ?? []}
          series={[{ label: 'oldest', read: ({ oldestAgeMs }) => oldestAgeMs }]}
          format={formatDuration}
        />
      </section>
      <EventList events={events ?? []} />
    </>
  );
}
