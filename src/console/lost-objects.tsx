/** Objects with bytes that are intact on no mirror in sync. */
import type { Status } from './api.ts';
import { formatBytes } from './text.ts';

export function LostObjects({ status }: { readonly status: Status }) {
  const { lostObjectCount, lostObjects } = status;
  if (lostObjectCount === 0) return null;
  return (
    <section class="events" aria-label="Objects that are intact nowhere">
      <h2>Intact nowhere: {lostObjectCount.toLocaleString('en')}</h2>
      <ol>
        {lostObjects.map(({ bucket, key, version, sizeBytes, lostBytes, mirrors, kept }) => (
          <li key={`${bucket}/${key} ${version}`}>
            <span>
              {bucket}/{key}
              {version === '' ? '' : ` (version ${version})`}: {formatBytes(lostBytes)} of{' '}
              {formatBytes(sizeBytes)} can not be read ({mirrors.join(', ')}).
              {kept === null ? '' : ` ${kept.mirror} keeps what it was before.`} Write it anew, remove it, or
              see “tally force --object”.
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}
