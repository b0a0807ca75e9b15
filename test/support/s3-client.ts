/**
 * A bare S3 client, so that a test decides every header and sees every outcome. Signed by aws4, which shares no code with us.
 *
 * It repeats nothing by itself. A request that could not be sent because nobody listens is told apart from one whose
 * answer was lost (STYLE.md 14).
 */
import aws4 from 'aws4';
import type { Readable } from 'node:stream';
import { Pool } from 'undici';

export interface S3Access {
  /** For example http://127.0.0.1:9000 */
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
}

export type S3Method = 'GET' | 'HEAD' | 'PUT' | 'PATCH' | 'DELETE' | 'POST';

export interface S3RequestFields {
  readonly method: S3Method;
  /** Starts with a slash, not encoded yet: "/bucket/some key". */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** A stream is sent with an unsigned payload, and needs `lengthBytes`. */
  readonly body?: Buffer | Readable;
  readonly lengthBytes?: number;
  readonly signal?: AbortSignal;
}

export interface S3Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** The `Code` of an error document; null when there is none. */
  readonly code: string | null;
}

export type S3Outcome =
  | { readonly kind: 'answered'; readonly reply: S3Reply }
  /** Nobody listened: the request was not sent. */
  | { readonly kind: 'not-sent'; readonly reason: string }
  | { readonly kind: 'lost'; readonly reason: string };

/** An answer that a test did not expect. */
class UnexpectedReply extends Error {
  readonly reply: S3Reply;

  constructor(what: string, reply: S3Reply) {
    super(
      `${what}: answered ${reply.status} ${reply.code ?? ''} ${reply.body.toString('utf8').slice(0, 500)}`,
    );
    this.name = 'UnexpectedReply';
    this.reply = reply;
  }
}

/** Longer than anything in the gateway waits: an answer that takes longer than this is lost. */
const ANSWER_MS = 120_000;
/** Payloads up to this are hashed into the signature, larger ones travel unsigned. */
const SIGNED_PAYLOAD_BYTES_MAX = 64 * 1024;

/** One path segment or query part as SigV4 wants it (UserGuide "Create a signed AWS API request": UriEncode). */
function uriEncode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

export function encodePath(path: string): string {
  return path.split('/').map(uriEncode).join('/');
}

function encodeTarget(path: string, query: Readonly<Record<string, string>> = {}): string {
  const pairs = Object.entries(query).map(([name, value]) => `${uriEncode(name)}=${uriEncode(value)}`);
  return pairs.length === 0 ? encodePath(path) : `${encodePath(path)}?${pairs.sort().join('&')}`;
}

/** The headers of a signed request, Authorization included. */
export function signHeaders(
  access: S3Access,
  request: {
    readonly method: string;
    readonly target: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: Buffer | 'none' | 'unsigned';
  },
): Record<string, string> {
  const unsigned = request.body === 'unsigned';
  const signed = aws4.sign(
    {
      service: 's3',
      region: access.region,
      host: new URL(access.endpoint).host,
      method: request.method,
      path: request.target,
      headers: { ...request.headers, ...(unsigned && { 'X-Amz-Content-Sha256': 'UNSIGNED-PAYLOAD' }) },
      ...(request.body instanceof Buffer && { body: request.body }),
    },
    { accessKeyId: access.accessKeyId, secretAccessKey: access.secretAccessKey },
  );
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(signed.headers ?? {})) {
    if (value !== undefined) headers[name] = String(value);
  }
  return headers;
}

function errorCode(status: number, body: Buffer): string | null {
  if (status < 400) return null;
  return /<Code>([^<]+)<\/Code>/.exec(body.toString('utf8'))?.[1] ?? null;
}

function flatten(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  const flat: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) flat[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return flat;
}

function wasNeverSent(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ECONNREFUSED' || code === 'UND_ERR_CONNECT_TIMEOUT';
}

export class S3Client {
  readonly access: S3Access;
  readonly #pool: Pool;

  constructor(access: S3Access, connections = 16) {
    this.access = access;
    this.#pool = new Pool(access.endpoint, {
      connections,
      pipelining: 1,
      headersTimeout: ANSWER_MS,
      bodyTimeout: ANSWER_MS,
    });
  }

  /** Sends one request, once. */
  async attempt(request: S3RequestFields): Promise<S3Outcome> {
    try {
      return { kind: 'answered', reply: await this.#send(request) };
    } catch (error) {
      const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      return { kind: wasNeverSent(error) ? 'not-sent' : 'lost', reason };
    }
  }

  /** Sends one request and expects success. */
  async request(request: S3RequestFields): Promise<S3Reply> {
    const outcome = await this.attempt(request);
    const what = `${request.method} ${request.path}`;
    if (outcome.kind !== 'answered') throw new Error(`${what}: ${outcome.reason}`);
    if (outcome.reply.status >= 300) throw new UnexpectedReply(what, outcome.reply);
    return outcome.reply;
  }

  async createBucket(bucket: string): Promise<void> {
    await this.request({ method: 'PUT', path: `/${bucket}` });
  }

  async put(bucket: string, key: string, body: Buffer): Promise<S3Reply> {
    return this.request({ method: 'PUT', path: `/${bucket}/${key}`, body });
  }

  async append(bucket: string, key: string, offset: number, body: Buffer): Promise<S3Reply> {
    const headers = { 'x-amz-write-offset-bytes': String(offset) };
    return this.request({ method: 'PUT', path: `/${bucket}/${key}`, headers, body });
  }

  async patch(bucket: string, key: string, offset: number, body: Buffer): Promise<S3Reply> {
    const headers = { 'content-range': `bytes ${offset}-${offset + body.length - 1}/*` };
    return this.request({ method: 'PATCH', path: `/${bucket}/${key}`, headers, body });
  }

  async delete(bucket: string, key: string): Promise<S3Reply> {
    return this.request({ method: 'DELETE', path: `/${bucket}/${key}` });
  }

  /** Null: there is no such object. */
  async get(bucket: string, key: string): Promise<Buffer | null> {
    const outcome = await this.attempt({ method: 'GET', path: `/${bucket}/${key}` });
    if (outcome.kind !== 'answered') throw new Error(`GET ${key}: ${outcome.reason}`);
    if (outcome.reply.status === 404 && outcome.reply.code === 'NoSuchKey') return null;
    if (outcome.reply.status !== 200) throw new UnexpectedReply(`GET ${key}`, outcome.reply);
    return outcome.reply.body;
  }

  /** Every key of a bucket, through as many pages as it takes. */
  async listKeys(bucket: string, prefix = '', pageKeys = 1000): Promise<string[]> {
    const keys: string[] = [];
    let continuation: string | null = null;
    do {
      const query: Record<string, string> = {
        'list-type': '2',
        'max-keys': String(pageKeys),
        prefix,
        'encoding-type': 'url',
      };
      if (continuation !== null) query['continuation-token'] = continuation;
      const { body } = await this.request({ method: 'GET', path: `/${bucket}`, query });
      const text = body.toString('utf8');
      for (const match of text.matchAll(/<Key>([^<]*)<\/Key>/g)) {
        keys.push(decodeURIComponent((match[1] ?? '').replaceAll('+', ' ')));
      }
      continuation = /<NextContinuationToken>([^<]*)</.exec(text)?.[1] ?? null;
    } while (continuation !== null);
    return keys;
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  async #send(request: S3RequestFields): Promise<S3Reply> {
    const target = encodeTarget(request.path, request.query);
    const { body } = request;
    const signsPayload =
      body === undefined || (body instanceof Buffer && body.length <= SIGNED_PAYLOAD_BYTES_MAX);
    const lengthBytes = body instanceof Buffer ? body.length : request.lengthBytes;
    const plain = {
      ...request.headers,
      ...(lengthBytes !== undefined && { 'content-length': String(lengthBytes) }),
    };
    const headers = signHeaders(this.access, {
      method: request.method,
      target,
      headers: plain,
      body: body === undefined ? 'none' : signsPayload ? body : 'unsigned',
    });
    const reply = await this.#pool.request({
      method: request.method,
      path: target,
      headers,
      body: body ?? null,
      ...(request.signal !== undefined && { signal: request.signal }),
    });
    const received = Buffer.from(await reply.body.arrayBuffer());
    return {
      status: reply.statusCode,
      headers: flatten(reply.headers),
      body: received,
      code: errorCode(reply.statusCode, received),
    };
  }
}
