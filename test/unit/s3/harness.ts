/**
 * A whole S3 server over a real socket on the memory fake, and clients for it: `send` signs what it is told to (by its own
 * few lines of SigV4, apart from ours), `sendRaw` writes bytes.
 */
import { createHash, createHmac } from 'node:crypto';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { fixedCredentials } from '../../../src/s3/auth/credentials.js';
import type { S3Limits } from '../../../src/s3/limits.js';
import { createS3Server, type S3ServerOptions } from '../../../src/s3/server.js';
import { MemoryObjectStorage, type MemoryObjectStorageOptions } from '../../fakes/memory-object-storage.js';

export const KEY = {
  accessKeyId: 'TALLYKEY',
  secretAccessKey: 'tally/secret+key',
  ownerId: 'owner-one',
  displayName: 'One',
};
export const OTHER_KEY = {
  accessKeyId: 'OTHERKEY',
  secretAccessKey: 'other-secret',
  ownerId: 'owner-two',
  displayName: 'Two',
};
export const REGION = 'us-east-1';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
  /** The Code of the error document; null without one. */
  readonly code: string | null;
}

export interface Wish {
  readonly method?: string;
  /** The request target, exactly as it goes on the wire. */
  readonly target: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer | readonly (string | Buffer)[];
  /** The value of x-amz-content-sha256; by default the hash of the body. Null leaves the header out. */
  readonly payload?: string | null;
  /** Headers that go along unsigned. */
  readonly unsigned?: Readonly<Record<string, string>>;
  readonly key?: typeof KEY;
  readonly timeMs?: number;
}

interface SignedHeaders {
  readonly headers: Readonly<Record<string, string>>;
  readonly seed: {
    readonly signingKey: Buffer;
    readonly timestamp: string;
    readonly scope: { date: string; region: string; service: string };
    readonly signature: string;
  };
}

function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

export function sha256(data: Buffer | string): string {
  return createHash('sha256').update(data).digest('hex');
}

export function md5(data: Buffer | string): string {
  return createHash('md5').update(data).digest('hex');
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function canonicalTarget(target: string): [path: string, query: string] {
  const [path = '', query = ''] = target.split('?', 2);
  const pairs = query
    .split('&')
    .filter((field) => field !== '')
    .map((field) => /^([^=]*)=?(.*)$/.exec(field)?.slice(1) ?? [])
    .map((parts) => parts.map((part) => encode(decodeURIComponent(part))))
    .map(([name = '', value = '']) => [name, value] as const)
    .sort((left, right) =>
      Buffer.compare(Buffer.from(left.join('\u0000')), Buffer.from(right.join('\u0000'))),
    );
  let decoded = path;
  try {
    decoded = encode(decodeURIComponent(path)).replaceAll('%2F', '/');
  } catch {
    // Such a path is refused before its signature matters.
  }
  return [decoded, pairs.map(([name, value]) => `${name}=${value}`).join('&')];
}

function signHeaders(wish: Wish, host: string, payload: string | null): SignedHeaders {
  const key = wish.key ?? KEY;
  const timestamp = new Date(wish.timeMs ?? Date.now()).toISOString().replace(/[-:]|\.\d{3}/g, '');
  const scope = { date: timestamp.slice(0, 8), region: REGION, service: 's3' };
  const headers: Record<string, string> = { ...wish.headers, host, 'x-amz-date': timestamp };
  if (payload !== null) headers['x-amz-content-sha256'] = payload;
  const lines = Object.entries(headers).map(
    ([name, value]) => [name.toLowerCase(), value.trim().replace(/ +/g, ' ')] as const,
  );
  lines.sort(([left], [right]) => (left < right ? -1 : 1));
  const names = lines.map(([name]) => name).join(';');
  const [path, query] = canonicalTarget(wish.target);
  const canonical = [
    wish.method ?? 'GET',
    path,
    query,
    ...lines.map(([name, value]) => `${name}:${value}`),
    '',
    names,
    payload ?? sha256(''),
  ].join('\n');
  const scopeText = `${scope.date}/${scope.region}/s3/aws4_request`;
  const signingKey = hmac(
    hmac(hmac(hmac(`AWS4${key.secretAccessKey}`, scope.date), REGION), 's3'),
    'aws4_request',
  );
  const hash = createHash('sha256').update(canonical, 'latin1').digest('hex');
  const signature = hmac(signingKey, `AWS4-HMAC-SHA256\n${timestamp}\n${scopeText}\n${hash}`).toString('hex');
  headers['authorization'] =
    `AWS4-HMAC-SHA256 Credential=${key.accessKeyId}/${scopeText},SignedHeaders=${names},Signature=${signature}`;
  return { headers: { ...headers, ...wish.unsigned }, seed: { signingKey, timestamp, scope, signature } };
}

function toAnswer(status: number, headers: IncomingHttpHeaders, body: Buffer): Answer {
  const text = body.toString('utf8');
  return { status, headers, body, text, code: /<Error><Code>([\w.]+)<\/Code>/.exec(text)?.[1] ?? null };
}

interface TestServerOptions {
  readonly storage?: MemoryObjectStorageOptions;
  readonly limits?: Partial<S3Limits>;
  readonly options?: Partial<S3ServerOptions>;
}

export class TestServer {
  readonly app: FastifyInstance;
  readonly storage: MemoryObjectStorage;
  readonly port: number;

  private constructor(app: FastifyInstance, storage: MemoryObjectStorage) {
    this.app = app;
    this.storage = storage;
    this.port = (app.server.address() as AddressInfo).port;
  }

  static async start({
    storage: storageOptions,
    limits,
    options,
  }: TestServerOptions = {}): Promise<TestServer> {
    const storage = new MemoryObjectStorage(storageOptions);
    const app = createS3Server({
      storage,
      credentials: fixedCredentials([KEY, OTHER_KEY]),
      freeBytes: (bytes) => bytes.fill(0xff),
      ...(limits !== undefined && { limits }),
      ...options,
    });
    await app.listen({ host: '127.0.0.1', port: 0 });
    return new TestServer(app, storage);
  }

  get host(): string {
    return `127.0.0.1:${this.port}`;
  }

  get url(): string {
    return `http://${this.host}`;
  }

  async close(): Promise<void> {
    this.app.server.closeAllConnections();
    await this.app.close();
  }

  sign(wish: Wish): SignedHeaders {
    const body = Buffer.concat([wish.body ?? []].flat().map((part) => Buffer.from(part)));
    return signHeaders(wish, this.host, wish.payload === undefined ? sha256(body) : wish.payload);
  }

  /** Signs and sends. */
  send(wish: Wish): Promise<Answer> {
    return this.sendWith(wish, this.sign(wish).headers);
  }

  /** Sends with these headers, on a connection of its own. */
  sendWith(wish: Wish, headers: Readonly<Record<string, string>>): Promise<Answer> {
    const parts = [wish.body ?? []].flat().map((part) => Buffer.from(part));
    const method = wish.method ?? 'GET';
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    const isChunked = Object.keys(headers).some((name) => name.toLowerCase() === 'transfer-encoding');
    const hasLength =
      !isChunked && (length > 0 || method === 'PUT' || method === 'POST' || method === 'PATCH');
    return new Promise((resolve, reject) => {
      const request = httpRequest(
        {
          host: '127.0.0.1',
          port: this.port,
          method,
          path: wish.target,
          headers: { ...headers, ...(hasLength && { 'content-length': String(length) }) },
          agent: false,
        },
        (response) => {
          const pieces: Buffer[] = [];
          response.on('data', (piece: Buffer) => pieces.push(piece));
          response.on('end', () =>
            resolve(toAnswer(response.statusCode ?? 0, response.headers, Buffer.concat(pieces))),
          );
          response.on('error', reject);
        },
      );
      request.on('error', reject);
      for (const part of parts) request.write(part);
      request.end();
    });
  }

  openSocket(): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.port, '127.0.0.1');
      socket.once('connect', () => resolve(socket));
      socket.once('error', reject);
    });
  }

  /** Writes bytes and returns what comes back until the connection closes. */
  async sendRaw(bytes: string | Buffer): Promise<string> {
    const socket = await this.openSocket();
    const pieces: Buffer[] = [];
    socket.on('data', (piece: Buffer) => pieces.push(piece));
    const closed = new Promise<void>((resolve) => {
      socket.on('close', () => resolve());
      socket.on('error', () => {});
    });
    socket.write(bytes);
    await closed;
    return Buffer.concat(pieces).toString('latin1');
  }

  /** The head of a signed request as text, for sockets. */
  head(wish: Wish, further: Readonly<Record<string, string>> = {}): string {
    const { headers } = this.sign(wish);
    const lines = Object.entries({ ...headers, ...further }).map(([name, value]) => `${name}: ${value}`);
    return `${wish.method ?? 'GET'} ${wish.target} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`;
  }
}

/** The text of all elements of that name. */
export function elements(xml: string, name: string): string[] {
  return Array.from(xml.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, 'g')), (found) => found[1] ?? '');
}

/** Waits until the condition holds; fails after ten seconds. */
export async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadlineMs) throw new Error('it did not come to be within ten seconds');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
