/** The answer first, then each mirror set. With one set there is no more to see of sets. */
import type { Api, System } from './api.ts';
import { SetPanel } from './set-panel.tsx';
import { formatBytes, formatCount, headlineOf } from './text.ts';

export function Overview({ api, system }: { readonly api: Api; readonly system: System }) {
  const { sets } = system;
  const [first] = sets;
  if (first === undefined) return null;
  if (sets.length === 1) {
    return (
      <>
        <Headline status={first.status} level={1} />
        <SetPanel api={api.ofSet(first.path)} status={first.status} />
      </>
    );
  }
  return (
    <>
      {system.move !== null && <Move move={system.move} />}
      {sets.map(({ path, status }) => (
        <section key={path} class="one-set" aria-label={`Mirror set ${status.setId}`} data-set={status.setId}>
          <p class="set-name">{status.setId}</p>
          <Headline status={status} level={2} />
          <SetPanel api={api.ofSet(path)} status={status} />
        </section>
      ))}
    </>
  );
}

interface HeadlineProps {
  readonly status: System['sets'][number]['status'];
  readonly level: 1 | 2;
}

function Headline({ status, level }: HeadlineProps) {
  const { mood, title, detail } = headlineOf(status);
  return (
    <section class={`headline ${mood}`} role="status" aria-live="polite">
      {level === 1 ? <h1>{title}</h1> : <h2>{title}</h2>}
      <p>{detail}</p>
    </section>
  );
}

const MOVE_WORDS: Readonly<Record<NonNullable<System['move']>['phase'], string>> = {
  moving: 'Objects move to their homes on the mirror sets',
  settled: 'Every object is on its home set',
  stopped: 'The move of objects to their homes is stopped',
};

function Move({ move }: { readonly move: NonNullable<System['move']> }) {
  const { phase, objectsMoved, bytesMoved, failures } = move;
  return (
    <p class="hint" role="status">
      {MOVE_WORDS[phase]}: {formatCount(objectsMoved, 'object')}, {formatBytes(bytesMoved)} moved
      {failures > 0 && `, ${formatCount(failures, 'attempt')} failed`}.
    </p>
  );
}
