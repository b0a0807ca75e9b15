import type { Api } from './api.ts';
import { usePoll } from './use-poll.ts';

export function Keys({ api }: { readonly api: Api }) {
  const { value: keys, error } = usePoll(() => api.keys(), null);
  const { value: buckets } = usePoll(() => api.buckets(), null);
  return (
    <>
      <section aria-labelledby="keys-title">
        <h1 id="keys-title">Keys and buckets</h1>
        <h2>Keys</h2>
        {error !== null && <p class="fault">{error.message}</p>}
        <div class="table">
          <table>
            <thead>
              <tr>
                <th scope="col">Access key</th>
                <th scope="col">Account</th>
                <th scope="col">May</th>
                <th scope="col">Buckets</th>
              </tr>
            </thead>
            <tbody>
              {(keys ?? []).map(({ accessKeyId, account, isReadOnly, buckets: only }) => (
                <tr key={accessKeyId}>
                  <th scope="row">
                    <code>{accessKeyId}</code>
                  </th>
                  <td>{account}</td>
                  <td>{isReadOnly ? 'read' : 'read, write'}</td>
                  <td>{only === null ? 'all' : only.join(', ')}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
        <p class="hint">
          Secrets are shown nowhere. <code>tally user add</code> makes a key.
        </p>
      </section>
      <section aria-labelledby="buckets-title">
        <h2 id="buckets-title">Buckets</h2>
        <div class="table">
          <table>
            <thead>
              <tr>
                <th scope="col">Name</th>
                <th scope="col">Made</th>
              </tr>
            </thead>
            <tbody>
              {(buckets ?? []).map(({ name, createdMs }) => (
                <tr key={name}>
                  <th scope="row">{name}</th>
                  <td>{new Date(createdMs).toLocaleString('sv')}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </section>
    </>
  );
}
