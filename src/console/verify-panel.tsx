/** Comparing the mirrors object by object: the one that runs, or what the latest one found. */
import { useState } from 'preact/hooks';
import { Act } from './access.tsx';
import type { Api, Verification } from './api.ts';
import { formatBytes, formatCount, formatDuration } from './text.ts';
import { usePoll } from './use-poll.ts';

const LOOK_EVERY_MS = 2000;
/** More are in the log, and in what `tally verify` prints. */
const SHOWN_MAX = 10;

function isGoingOn({ state }: Verification): boolean {
  return state === 'running' || state === 'waiting';
}

export function VerifyPanel({ api }: { readonly api: Api }) {
  const [fault, setFault] = useState<string | null>(null);
  const [repairs, setRepairs] = useState(false);
  const { value: latest, refresh } = usePoll(() => api.verification(), LOOK_EVERY_MS);
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work();
      setFault(null);
    } catch (error) {
      setFault(error instanceof Error ? error.message : String(error));
    }
    refresh();
  };
  const going = latest !== null && isGoingOn(latest) ? latest : null;
  return (
    <section class="recovery" aria-labelledby="verify-title">
      <div class="row">
        <h2 id="verify-title">{going === null ? 'Comparison of the mirrors' : 'Comparing the mirrors'}</h2>
        <div class="controls">
          {going === null && (
            <label>
              <input
                type="checkbox"
                checked={repairs}
                onChange={({ currentTarget }) => setRepairs(currentTarget.checked)}
              />{' '}
              Repair what differs
            </label>
          )}
          {going === null ? (
            <Act onClick={() => void attempt(() => api.verify(repairs))}>Compare now</Act>
          ) : (
            <Act onClick={() => void attempt(() => api.stopVerification())}>Stop comparing</Act>
          )}
        </div>
      </div>
      {going !== null && <Progress verification={going} />}
      {going === null && latest !== null && <Found verification={latest} />}
      {latest !== null && <Differences verification={latest} />}
      {fault !== null && (
        <p class="fault" role="alert">
          {fault}
        </p>
      )}
    </section>
  );
}

function Progress({ verification }: { readonly verification: Verification }) {
  const { state, objectsCompared, objectsExpected, bytesCompared, differenceCount } = verification;
  return (
    <>
      <progress
        max={Math.max(1, objectsExpected)}
        value={Math.min(objectsCompared, objectsExpected)}
        aria-label="Progress of the comparison"
      />
      <p class="figures">
        <span>{state === 'waiting' ? 'waiting for two mirrors in sync' : 'comparing'}</span>
        <span>
          {objectsCompared.toLocaleString('en')} of about {formatCount(objectsExpected, 'object')}
        </span>
        <span>{formatBytes(bytesCompared)} read on each</span>
        <span>{formatCount(differenceCount, 'difference')}</span>
      </p>
    </>
  );
}

const ENDS: Readonly<Record<Verification['state'], string>> = {
  running: 'runs',
  waiting: 'waits',
  done: 'is through',
  failed: 'failed',
  stopped: 'was stopped',
};

function Found({ verification }: { readonly verification: Verification }) {
  const { state, failure, startedMs, endedMs, objectsCompared, objectsChanging } = verification;
  const { differenceCount, repairedCount } = verification;
  const took = endedMs === null ? '' : ` in ${formatDuration(endedMs - startedMs)}`;
  const changing = objectsChanging === 0 ? '' : ` ${formatCount(objectsChanging, 'object')} kept changing.`;
  const found =
    differenceCount === 0
      ? 'none differs'
      : `${formatCount(differenceCount, 'difference')}, ${repairedCount} repaired`;
  return (
    <p>
      The last one {ENDS[state]}
      {failure !== null && `: ${failure}`}: {formatCount(objectsCompared, 'object')} compared{took}, {found}.
      {changing}
    </p>
  );
}

function Differences({ verification: { differences } }: { readonly verification: Verification }) {
  if (differences.length === 0) return null;
  return (
    <ul>
      {differences.slice(0, SHOWN_MAX).map(({ bucket, key, version, kind, outcome, detail }) => (
        <li key={`${bucket}/${key} ${version}`}>
          <code>
            {bucket}/{key}
          </code>{' '}
          {kind}: {outcome}, {detail}
        </li>
      ))}
    </ul>
  );
}
