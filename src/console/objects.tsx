/** Buckets and what is in them: look, upload, download, delete, share. */
import { useState } from 'preact/hooks';
import { Act, useWhyNot } from './access.tsx';
import type { Api, ObjectPage } from './api.ts';
import { DropZone } from './drop-zone.tsx';
import { formatBytes } from './text.ts';
import { usePoll } from './use-poll.ts';

const DOWNLOAD_SECONDS = 60;
const SHARED_SECONDS = 24 * 60 * 60;

export function Objects({ api }: { readonly api: Api }) {
  const { value: buckets, error } = usePoll(() => api.buckets(), null);
  const [chosen, setChosen] = useState<string | null>(null);
  const bucket = chosen ?? buckets?.[0]?.name ?? null;
  return (
    <section aria-labelledby="objects-title">
      <div class="row">
        <h1 id="objects-title">Objects</h1>
        <label class="chooser">
          Bucket{' '}
          <select value={bucket ?? ''} onChange={(event) => setChosen(event.currentTarget.value)}>
            {(buckets ?? []).map(({ name }) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
      </div>
      {error !== null && (
        <p class="fault" role="alert">
          {error.message}
        </p>
      )}
      {buckets?.length === 0 && <p class="hint">There is no bucket yet; any S3 client can make one.</p>}
      {bucket !== null && <Folder key={bucket} api={api} bucket={bucket} />}
    </section>
  );
}

function Folder({ api, bucket }: { readonly api: Api; readonly bucket: string }) {
  const whyNot = useWhyNot();
  const [prefix, setPrefix] = useState('');
  const [starts, setStarts] = useState<readonly (string | null)[]>([null]);
  const [news, setNews] = useState('');
  const after = starts.at(-1) ?? null;
  const {
    value: page,
    error,
    refresh,
  } = usePoll(() => api.objects(bucket, prefix, after), null, [prefix, after]);
  const open = (next: string): void => {
    setPrefix(next);
    setStarts([null]);
  };
  const acting = async (work: () => Promise<string>): Promise<void> => {
    try {
      setNews(await work());
    } catch (failure) {
      setNews(failure instanceof Error ? failure.message : String(failure));
    }
  };
  const download = (key: string): Promise<void> =>
    acting(async () => {
      location.assign(await api.link(bucket, key, DOWNLOAD_SECONDS));
      return `${key} is being downloaded.`;
    });
  const share = (key: string): Promise<void> =>
    acting(async () => {
      await navigator.clipboard.writeText(await api.link(bucket, key, SHARED_SECONDS));
      return `A link to ${key}, good for a day, is in the clipboard.`;
    });
  const remove = (key: string): Promise<void> =>
    acting(async () => {
      if (!confirm(`Delete ${key}?`)) return '';
      await api.remove(bucket, key);
      refresh();
      return `${key} is deleted.`;
    });
  return (
    <>
      <Crumbs bucket={bucket} prefix={prefix} onOpen={open} />
      {whyNot === null && (
        <DropZone
          upload={(file, onProgress) => api.upload(bucket, prefix + file.name, file, onProgress)}
          onDone={refresh}
        />
      )}
      <p class="news" role="status">
        {error?.message ?? news}
      </p>
      {page !== null && <Listing page={page} prefix={prefix} actions={{ open, download, share, remove }} />}
      <p class="row pages">
        {starts.length > 1 && (
          <button type="button" onClick={() => setStarts(starts.slice(0, -1))}>
            Back
          </button>
        )}
        {typeof page?.next === 'string' && (
          <button type="button" onClick={() => setStarts([...starts, page.next])}>
            More
          </button>
        )}
      </p>
    </>
  );
}

interface CrumbsProps {
  readonly bucket: string;
  readonly prefix: string;
  readonly onOpen: (prefix: string) => void;
}

function Crumbs({ bucket, prefix, onOpen }: CrumbsProps) {
  const parts = prefix.split('/').slice(0, -1);
  return (
    <nav class="crumbs" aria-label="Where you are">
      <button type="button" onClick={() => onOpen('')}>
        {bucket}
      </button>
      {parts.map((part, index) => {
        const target = `${parts.slice(0, index + 1).join('/')}/`;
        return (
          <button key={target} type="button" onClick={() => onOpen(target)}>
            {part}
          </button>
        );
      })}
    </nav>
  );
}

interface ListingProps {
  readonly page: ObjectPage;
  readonly prefix: string;
  readonly actions: {
    readonly open: (prefix: string) => void;
    readonly download: (key: string) => Promise<void>;
    readonly share: (key: string) => Promise<void>;
    readonly remove: (key: string) => Promise<void>;
  };
}

function Listing({ page, prefix, actions }: ListingProps) {
  if (page.folders.length + page.objects.length === 0) return <p class="hint">Nothing here.</p>;
  return (
    <div class="table objects">
      {/* On a phone a row is no table row to the layout; to a screen reader it stays one. */}
      <table role="table">
        <thead>
          <tr role="row">
            <th scope="col" role="columnheader">
              Name
            </th>
            <th scope="col" role="columnheader" class="number">
              Size
            </th>
            <th scope="col" role="columnheader">
              Changed
            </th>
            <th scope="col" role="columnheader">
              <span class="unseen">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {page.folders.map((folder) => (
            <tr key={folder} role="row">
              <th scope="row" role="rowheader" colSpan={4}>
                <button type="button" class="folder" onClick={() => actions.open(folder)}>
                  {folder.slice(prefix.length)}
                </button>
              </th>
            </tr>
          ))}
          {page.objects.map(({ key, sizeBytes, modifiedMs }) => (
            <tr key={key} role="row">
              <th scope="row" role="rowheader">
                {key.slice(prefix.length)}
              </th>
              <td role="cell" class="number">
                {formatBytes(sizeBytes)}
              </td>
              <td role="cell" class="date">
                {new Date(modifiedMs).toLocaleString('sv')}
              </td>
              <td role="cell" class="actions">
                <Act label={`Download ${key}`} onClick={() => void actions.download(key)}>
                  Download
                </Act>
                <Act label={`Copy a link to ${key}`} onClick={() => void actions.share(key)}>
                  Link
                </Act>
                <Act class="danger" label={`Delete ${key}`} onClick={() => void actions.remove(key)}>
                  Delete
                </Act>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
