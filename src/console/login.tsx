import { useState } from 'preact/hooks';
import { Api, ApiError } from './api.ts';
import icon from './icon.svg';

function faultOf(error: unknown): string {
  const status = error instanceof ApiError ? error.status : 0;
  if (status === 401) return 'That is not the token of this gateway.';
  if (status === 403)
    return 'That token opens something else; the console needs one with the role read or operate.';
  return 'The gateway does not answer.';
}

export function Login({ onLogin }: { readonly onLogin: (api: Api) => void }) {
  const [token, setToken] = useState('');
  const [fault, setFault] = useState<string | null>(null);
  const enter = async (): Promise<void> => {
    const api = new Api(token.trim());
    try {
      await api.status();
      api.remember();
      onLogin(api);
    } catch (error) {
      setFault(faultOf(error));
    }
  };
  return (
    <main class="login">
      <img src={icon} alt="" width="56" height="56" />
      <h1>Tally</h1>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void enter();
        }}
      >
        <label for="token">Admin token</label>
        <input
          id="token"
          type="password"
          autocomplete="current-password"
          required
          value={token}
          aria-describedby="token-hint"
          onInput={(event) => setToken(event.currentTarget.value)}
        />
        <p id="token-hint" class="hint">
          It is in <code>data/secrets/admin-token</code> on the machine of the gateway.
        </p>
        {fault !== null && (
          <p class="fault" role="alert">
            {fault}
          </p>
        )}
        <button type="submit" class="primary">
          Log in
        </button>
      </form>
    </main>
  );
}
