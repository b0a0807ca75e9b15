import { useEffect, useState } from 'preact/hooks';
import { AccessContext, useWhyNot } from './access.tsx';
import { Api, ApiError } from './api.ts';
import icon from './icon.svg';
import { Keys } from './keys.tsx';
import { Login } from './login.tsx';
import { Objects } from './objects.tsx';
import { Overview } from './overview.tsx';
import { usePoll } from './use-poll.ts';

const STATUS_EVERY_MS = 1000;

const PAGES = [
  ['mirrors', 'Mirrors'],
  ['objects', 'Objects'],
  ['keys', 'Keys and buckets'],
] as const;

type Page = (typeof PAGES)[number][0];

function pageOfHash(): Page {
  return PAGES.find(([page]) => location.hash === `#${page}`)?.[0] ?? 'mirrors';
}

export function App() {
  const [api, setApi] = useState(() => Api.remembered());
  if (api === null) return <Login onLogin={setApi} />;
  const logOut = (): void => {
    Api.forget();
    setApi(null);
  };
  return <Console api={api} onLogOut={logOut} />;
}

function Console({ api, onLogOut }: { readonly api: Api; readonly onLogOut: () => void }) {
  const [page, setPage] = useState(pageOfHash);
  useEffect(() => {
    const turn = (): void => setPage(pageOfHash());
    addEventListener('hashchange', turn);
    return () => removeEventListener('hashchange', turn);
  }, []);
  const { value: system, error } = usePoll(() => api.system(), STATUS_EVERY_MS);
  const status = system?.sets[0]?.status ?? null;
  const { value: access } = usePoll(() => api.access(), null);
  const isRefused = error instanceof ApiError && error.status === 401;
  useEffect(() => {
    if (isRefused) onLogOut();
  }, [isRefused]);
  return (
    <AccessContext.Provider value={access}>
      <a class="skip" href="#content">
        To the content
      </a>
      <header class="top">
        <div class="brand">
          <img src={icon} alt="" width="28" height="28" />
          <strong>Tally</strong>
          {system?.sets.length === 1 && <span class="set">{status?.setId}</span>}
        </div>
        <nav aria-label="Pages">
          {PAGES.map(([name, title]) => (
            <a key={name} href={`#${name}`} aria-current={name === page ? 'page' : undefined}>
              {title}
            </a>
          ))}
        </nav>
        <button type="button" class="quiet" onClick={onLogOut}>
          Log out
        </button>
      </header>
      {error !== null && !isRefused && (
        <p class="banner" role="alert">
          {error.message} What is shown may be old.
        </p>
      )}
      <main id="content" tabIndex={-1}>
        <LookOnly />
        {page === 'mirrors' && system !== null && <Overview api={api} system={system} />}
        {page === 'objects' && <Objects api={api} />}
        {page === 'keys' && <Keys api={api} />}
      </main>
      <footer>
        {status !== null && (
          <>
            Tally {status.softwareVersion}
            {system?.sets.length === 1 && ` · epoch ${status.epoch}`} · <a href="/openapi.yaml">API</a>
          </>
        )}
      </footer>
    </AccessContext.Provider>
  );
}

function LookOnly() {
  const whyNot = useWhyNot();
  return whyNot === null ? null : <p class="hint">{whyNot} What would is switched off.</p>;
}
