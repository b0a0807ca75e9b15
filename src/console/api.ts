/**
 * The admin API from the browser, typed by openapi/admin.yaml.
 *
 * The token stands in sessionStorage: it belongs to this origin alone (a cookie would go to every port of the host, the S3 endpoint's
 * included, and would need a defence against requests forged by other pages), and it is gone with the tab.
 */
import createClient from 'openapi-fetch';
import type { components, paths } from '../api/admin-api.ts';

type Schemas = components['schemas'];
export type Access = Schemas['Access'];
export type Status = Schemas['Status'];
export type Verification = NonNullable<Schemas['Verify']['verification']>;
export type Mirror = Schemas['Mirror'];
export type Pace = Schemas['Pace'];
export type Operation = Schemas['Operation'];
export type Event = Schemas['Events']['events'][number];
export type Sample = Schemas['History']['samples'][number];
export type Bucket = Schemas['Buckets']['buckets'][number];
export type Key = Schemas['Keys']['keys'][number];
export type ObjectPage = Schemas['Objects'];

/** Every mirror set, the first one first. */
export interface System {
  readonly sets: readonly { readonly path: string; readonly status: Status }[];
  readonly move: Schemas['Sets']['move'];
}

const TOKEN_NAME = 'tally-admin-token';
const ANSWER_WITHIN_MS = 10_000;

/** The API answered that it did not do it, or nobody answered (`status` 0). */
export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export class Api {
  readonly #token: string;
  readonly #client: ReturnType<typeof createClient<paths>>;

  /** `setPath`: of the mirror set that is asked about; the first one has none. */
  constructor(token: string, setPath = '/') {
    this.#token = token;
    this.#client = createClient<paths>({
      baseUrl: location.origin + setPath.replace(/\/$/, ''),
      headers: { authorization: `Bearer ${token}` },
      fetch: (request) => fetch(request, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) }),
    });
  }

  ofSet(path: string): Api {
    return new Api(this.#token, path);
  }

  static remembered(): Api | null {
    const token = sessionStorage.getItem(TOKEN_NAME);
    return token === null ? null : new Api(token);
  }

  remember(): void {
    sessionStorage.setItem(TOKEN_NAME, this.#token);
  }

  static forget(): void {
    sessionStorage.removeItem(TOKEN_NAME);
  }

  async access(): Promise<Access> {
    return valueOf(await reach(this.#client.GET('/access')));
  }

  async system(): Promise<System> {
    const { sets, move } = valueOf(await reach(this.#client.GET('/sets')));
    const looks = sets.map(async ({ path }) => ({ path, status: await this.ofSet(path).status() }));
    return { sets: await Promise.all(looks), move };
  }

  async verification(): Promise<Verification | null> {
    return valueOf(await reach(this.#client.GET('/verify'))).verification;
  }

  /** One that runs already is as good. */
  async verify(repair: boolean): Promise<void> {
    const answer = await reach(this.#client.POST('/verify', { params: { query: { repair } } }));
    if (answer.response.status !== 409) valueOf(answer);
  }

  /** One that is over already is as good. */
  async stopVerification(): Promise<void> {
    const answer = await reach(this.#client.DELETE('/verify'));
    if (answer.response.status !== 409) valueOf(answer);
  }

  async status(): Promise<Status> {
    return valueOf(await reach(this.#client.GET('/status')));
  }

  async events(): Promise<readonly Event[]> {
    return valueOf(await reach(this.#client.GET('/events'))).events;
  }

  async operations(): Promise<readonly Operation[]> {
    return valueOf(await reach(this.#client.GET('/reconcile'))).operations;
  }

  async history(after: number): Promise<readonly Sample[]> {
    return valueOf(await reach(this.#client.GET('/history', { params: { query: { after } } }))).samples;
  }

  /** One that runs already is as good. */
  async reconcile(): Promise<void> {
    const answer = await reach(this.#client.POST('/reconcile'));
    if (answer.response.status !== 409) valueOf(answer);
  }

  async changePace(change: Partial<Pace>): Promise<void> {
    valueOf(await reach(this.#client.PATCH('/pace', { body: change })));
  }

  async buckets(): Promise<readonly Bucket[]> {
    return valueOf(await reach(this.#client.GET('/buckets'))).buckets;
  }

  async keys(): Promise<readonly Key[]> {
    return valueOf(await reach(this.#client.GET('/keys'))).keys;
  }

  async objects(bucket: string, prefix: string, after: string | null): Promise<ObjectPage> {
    const query = { bucket, prefix, ...(after !== null && { after }) };
    return valueOf(await reach(this.#client.GET('/objects', { params: { query } })));
  }

  async remove(bucket: string, key: string): Promise<void> {
    const answer = await reach(this.#client.DELETE('/objects', { params: { query: { bucket, key } } }));
    if (!answer.response.ok) valueOf(answer);
  }

  async link(bucket: string, key: string, expiresSeconds: number): Promise<string> {
    const body = { bucket, key, expiresSeconds };
    return valueOf(await reach(this.#client.POST('/links', { body }))).url;
  }

  /** With progress, which fetch does not tell. */
  upload(bucket: string, key: string, file: File, onProgress: (sentBytes: number) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      const query = new URLSearchParams({ bucket, key });
      request.open('PUT', `${location.origin}/objects?${query.toString()}`);
      request.setRequestHeader('authorization', `Bearer ${this.#token}`);
      request.setRequestHeader('content-type', file.type === '' ? 'application/octet-stream' : file.type);
      request.upload.onprogress = ({ loaded }) => onProgress(loaded);
      request.onload = () => {
        if (request.status < 300) resolve();
        else reject(new ApiError(request.status, messageIn(request.responseText)));
      };
      request.onerror = () => reject(new ApiError(0, 'The connection was lost.'));
      request.send(file);
    });
  }
}

interface Answer<Value> {
  readonly data?: Value | undefined;
  readonly error?: unknown;
  readonly response: Response;
}

async function reach<Value>(asking: Promise<Answer<Value>>): Promise<Answer<Value>> {
  try {
    return await asking;
  } catch {
    throw new ApiError(0, 'The gateway does not answer.');
  }
}

function valueOf<Value>({ data, error, response }: Answer<Value>): Value {
  if (data !== undefined) return data;
  const hasMessage = typeof error === 'object' && error !== null && 'message' in error;
  throw new ApiError(response.status, hasMessage ? String(error.message) : `Status ${response.status}.`);
}

function messageIn(text: string): string {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && 'message' in value) return String(value.message);
  } catch {
    // No JSON: somebody between us and the gateway has answered.
  }
  return 'The upload was refused.';
}
