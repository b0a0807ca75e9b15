/** The reconciliation that runs, or the last one; and the controls of it. */
import { useState } from 'preact/hooks';
import { Act } from './access.tsx';
import type { Api, Operation, Status } from './api.ts';
import { PaceControls } from './pace-controls.tsx';
import { formatBytes, formatCount, formatDuration } from './text.ts';
import { usePoll } from './use-poll.ts';

const LAST_EVERY_MS = 3000;

const PHASES: Readonly<Record<NonNullable<Operation['progress']>['phase'], string>> = {
  matching: 'comparing tag tables',
  copying: 'copying what is missing',
  'full-copy': 'full copy',
  clearing: 'clearing rows',
  done: 'done',
  failed: 'failed',
};

function Running({ operation, nowMs }: { readonly operation: Operation; readonly nowMs: number }) {
  const { progress, startedMs, reason } = operation;
  if (progress === null) return <p>Started: {reason}.</p>;
  const { bytesCopied, bytesUnmatched, objectsDone, objectsToDo, isScanned, phase } = progress;
  const { objectsCompared, objectsToCompare } = progress;
  const isFullCopy = phase === 'full-copy' && objectsToCompare > 0;
  const elapsedMs = Math.max(1, nowMs - startedMs);
  const bytesPerMs = bytesCopied / elapsedMs;
  const bytesLeftMs = isScanned && bytesPerMs > 0 ? (bytesUnmatched - bytesCopied) / bytesPerMs : null;
  const leftMs = isFullCopy ? progress.leftMs : bytesLeftMs;
  const bytesShare = bytesUnmatched === 0 ? 0 : bytesCopied / bytesUnmatched;
  const share = isFullCopy ? Math.min(1, objectsCompared / objectsToCompare) : bytesShare;
  return (
    <>
      <progress
        max={1}
        {...((isScanned || isFullCopy) && { value: share })}
        aria-label="Progress of the recovery"
      />
      <p class="figures">
        <span>{PHASES[phase]}</span>
        <span>
          {formatBytes(bytesCopied)} of {isScanned ? '' : 'at least '}
          {formatBytes(bytesUnmatched)}
        </span>
        <span>
          {objectsDone.toLocaleString('en')} of {formatCount(objectsToDo, 'object')}
        </span>
        {objectsToCompare > 0 && (
          <span>
            {objectsCompared.toLocaleString('en')} of about {formatCount(objectsToCompare, 'object')} compared
          </span>
        )}
        <span>{formatBytes(Math.round(bytesPerMs * 1000))}/s</span>
        {leftMs !== null && <span>{formatDuration(leftMs)} left</span>}
      </p>
    </>
  );
}

function Last({ operation, nowMs }: { readonly operation: Operation; readonly nowMs: number }) {
  const { progress, startedMs, endedMs, failure, reason } = operation;
  const when = endedMs === null ? '' : `${formatDuration(nowMs - endedMs)} ago`;
  const took = endedMs === null ? '' : ` in ${formatDuration(endedMs - startedMs)}`;
  const what =
    failure ??
    (progress === null
      ? 'nothing had to be compared'
      : `${formatCount(progress.rowsMatched, 'row')} matched, ${formatBytes(progress.bytesCopied)} of ${formatCount(progress.objectsDone, 'object')} copied`);
  return (
    <p>
      The last one, {when} ({reason}): {what}
      {took}.
    </p>
  );
}

export function RecoveryPanel({ api, status }: { readonly api: Api; readonly status: Status }) {
  const [fault, setFault] = useState<string | null>(null);
  const { value: operations, refresh } = usePoll(() => api.operations(), LAST_EVERY_MS);
  const running = status.operation;
  const last = operations?.find(({ state }) => state !== 'running');
  const { pace } = status;
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work();
      setFault(null);
      refresh();
    } catch (error) {
      setFault(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <section class="recovery" aria-labelledby="recovery-title">
      <div class="row">
        <h2 id="recovery-title">{running === null ? 'Reconciliation' : 'Reconciling'}</h2>
        <div class="controls">
          {pace !== null && (
            <PaceControls pace={pace} change={(change) => attempt(() => api.changePace(change))} />
          )}
          <Act disabled={running !== null} onClick={() => void attempt(() => api.reconcile())}>
            Reconcile now
          </Act>
        </div>
      </div>
      {pace?.isPaused === true && <p role="status">Copying while clients write is paused by an operator.</p>}
      {running !== null && <Running operation={running} nowMs={status.nowMs} />}
      {running === null && last !== undefined && <Last operation={last} nowMs={status.nowMs} />}
      {fault !== null && (
        <p class="fault" role="alert">
          {fault}
        </p>
      )}
    </section>
  );
}
