/**
 * A client of our own S3 endpoint, with one of its keys: what the web console sees and does, it does as any client, by the same rules
 * (versions, locks, policies) and into the same access log.
 */
import {
  type ClientRequest,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { connectToOwnServer } from '../../tls/own-server.js';
import type { TlsSource } from '../../tls/watched-tls.js';
import type { Credential } from '../auth/credentials.js';
import { SigningKeys } from '../auth/signing-key.js';
import { childrenNamed, childText, parseXml, type XmlElement } from '../xml/parse.js';
import { presignUrl, type PresignWish } from './presign-url.js';

export interface S3SessionOptions {
  /** Where the endpoint is reached from this process: `http://127.0.0.1:9000`. */
  readonly origin: string;
  /** What the endpoint shows, for an `https:` origin. */
  readonly tls?: TlsSource | null;
  readonly credential: Credential;
  readonly region: string;
  /** Unix ms. */
  readonly clock: () => number;
}

/** The endpoint refused; `code` is S3's. */
export class S3Refusal extends Error {
  readonly code: string;
  readonly status: number;

  constructor(code: string, status: number, message: string) {
    super(message);
    this.name = 'S3Refusal';
    this.code = code;
    this.status = status;
  }
}

export interface ListedBucket {
  readonly name: string;
  readonly createdMs: number;
}

export interface ListedObject {
  readonly key: string;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
}

export interface ObjectListing {
  readonly folders: readonly string[];
  readonly objects: readonly ListedObject[];
  /** For the page that follows; null: this is the last. */
  readonly next: string | null;
}

export interface UploadWish {
  readonly bucket: string;
  readonly key: string;
  readonly contentType: string;
  readonly lengthBytes: number;
  readonly body: Readable;
}

const OWN_REQUEST_EXPIRES_SECONDS = 60;
/** Without a byte for so long the endpoint is taken for dead. */
const IDLE_MS = 60_000;
/** A page of a listing, or an error. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;

async function readAnswer(answer: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let sizeBytes = 0;
  for await (const piece of answer as AsyncIterable<Buffer>) {
    sizeBytes += piece.length;
    if (sizeBytes > ANSWER_BYTES_MAX) throw new Error('the answer of the S3 endpoint is too large');
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

function refusalOf(status: number, body: Buffer): S3Refusal {
  if (body.length === 0) return new S3Refusal('InternalError', status, `status ${status}`);
  const root = parseXml(body);
  return new S3Refusal(
    childText(root, 'Code') ?? 'InternalError',
    status,
    childText(root, 'Message') ?? `status ${status}`,
  );
}

function textOf(element: XmlElement, name: string): string {
  return childText(element, name) ?? '';
}

export class S3Session {
  readonly #options: S3SessionOptions;
  readonly #signingKeys = new SigningKeys();

  constructor(options: S3SessionOptions) {
    this.#options = options;
  }

  async buckets(): Promise<readonly ListedBucket[]> {
    const root = parseXml(await this.#ask({ method: 'GET', bucket: '', key: null, query: {} }));
    const list = childrenNamed(root, 'Buckets').flatMap((element) => childrenNamed(element, 'Bucket'));
    return list.map((bucket) => ({
      name: textOf(bucket, 'Name'),
      createdMs: Date.parse(textOf(bucket, 'CreationDate')),
    }));
  }

  /** What is directly below a prefix. Throws S3Refusal. */
  async list(bucket: string, prefix: string, after: string | null, limit: number): Promise<ObjectListing> {
    const query = {
      'list-type': '2',
      delimiter: '/',
      prefix,
      'max-keys': String(limit),
      ...(after !== null && { 'continuation-token': after }),
    };
    const root = parseXml(await this.#ask({ method: 'GET', bucket, key: null, query }));
    return {
      folders: childrenNamed(root, 'CommonPrefixes').map((element) => textOf(element, 'Prefix')),
      objects: childrenNamed(root, 'Contents').map((element) => ({
        key: textOf(element, 'Key'),
        sizeBytes: Number(textOf(element, 'Size')),
        modifiedMs: Date.parse(textOf(element, 'LastModified')),
      })),
      next: childText(root, 'NextContinuationToken'),
    };
  }

  /** Throws S3Refusal. */
  async upload({ bucket, key, contentType, lengthBytes, body }: UploadWish): Promise<void> {
    const headers = { 'content-type': contentType, 'content-length': String(lengthBytes) };
    await this.#ask({ method: 'PUT', bucket, key, query: {} }, headers, body);
  }

  /** Throws S3Refusal. */
  async remove(bucket: string, key: string): Promise<void> {
    await this.#ask({ method: 'DELETE', bucket, key, query: {} });
  }

  /** A link that downloads the object, for whoever has it, until it expires. */
  link(origin: string, bucket: string, key: string, expiresSeconds: number): string {
    const name = key.slice(key.lastIndexOf('/') + 1);
    const disposition = `attachment; filename*=UTF-8''${encodeURIComponent(name)}`;
    const query = { 'response-content-disposition': disposition };
    return this.#presign({ method: 'GET', origin, bucket, key, query, expiresSeconds });
  }

  #presign(wish: PresignWish): string {
    return presignUrl(wish, { ...this.#options, signingKeys: this.#signingKeys });
  }

  #open(url: string, options: RequestOptions): ClientRequest {
    const { tls = null } = this.#options;
    if (tls === null) return httpRequest(url, options);
    const { hostname: host, port } = new URL(url);
    return httpsRequest(url, {
      ...options,
      createConnection: (_options, onSocket) => {
        connectToOwnServer({ host: host.replace(/^\[|\]$/g, ''), port: Number(port) }, tls, onSocket);
        return undefined;
      },
    });
  }

  async #ask(
    wish: Pick<PresignWish, 'method' | 'bucket' | 'key' | 'query'>,
    headers: Readonly<Record<string, string>> = {},
    body: Readable | null = null,
  ): Promise<Buffer> {
    const { origin } = this.#options;
    const url = this.#presign({ ...wish, origin, expiresSeconds: OWN_REQUEST_EXPIRES_SECONDS });
    const asking = this.#open(url, { method: wish.method, headers, timeout: IDLE_MS });
    asking.on('timeout', () => asking.destroy(new Error('the S3 endpoint does not answer')));
    const answering = new Promise<IncomingMessage>((resolve, reject) => {
      asking.once('response', resolve).once('error', reject);
    });
    // A refusal may come before the body is through; then it is the answer that counts.
    const sending = body === null ? Promise.resolve(void asking.end()) : pipeline(body, asking);
    sending.catch(() => undefined);
    const answer = await answering;
    const bytes = await readAnswer(answer);
    const status = answer.statusCode ?? 0;
    if (status >= 300) throw refusalOf(status, bytes);
    await sending;
    return bytes;
  }
}
