/** A client of the S3 endpoint that only measures: presigned requests over connections that stay open. */
import { Agent, type ClientRequest, type IncomingMessage, request as httpRequest } from 'node:http';
import { Agent as SecureAgent, request as httpsRequest } from 'node:https';
import type { Credential } from '../../s3/auth/credentials.js';
import { SigningKeys } from '../../s3/auth/signing-key.js';
import { presignUrl } from '../../s3/session/presign-url.js';

export interface BenchTarget {
  /** `http://host:port`, or https. */
  readonly origin: string;
  readonly credential: Credential;
  readonly region: string;
  /** PEM: the authorities to trust, or the very certificate that the endpoint shows; null: those that node trusts. */
  readonly ca: string | null;
}

export type BenchMethod = 'PUT' | 'GET' | 'HEAD' | 'DELETE';

export interface BenchAnswer {
  readonly status: number;
  readonly receivedBytes: number;
}

const EXPIRES_SECONDS = 3600;
/** Without a byte for so long the endpoint is taken for dead. */
const IDLE_MS = 30_000;

export class BenchClient {
  readonly #target: BenchTarget;
  readonly #agent: Agent;
  readonly #signingKeys = new SigningKeys();

  constructor(target: BenchTarget, connections: number) {
    this.#target = target;
    const options = { keepAlive: true, maxSockets: connections };
    this.#agent = target.origin.startsWith('https:')
      ? new SecureAgent({ ...options, ...(target.ca !== null && { ca: target.ca }) })
      : new Agent(options);
  }

  /** Rejects when there is no answer. */
  async send(
    method: BenchMethod,
    bucket: string,
    key: string | null,
    body: Buffer | null,
  ): Promise<BenchAnswer> {
    const { origin, credential, region } = this.#target;
    const wish = { method, origin, bucket, key, query: {}, expiresSeconds: EXPIRES_SECONDS };
    const url = presignUrl(wish, { credential, region, signingKeys: this.#signingKeys, clock: Date.now });
    const length = body === null ? {} : { 'content-length': String(body.length) };
    const options = { method, agent: this.#agent, headers: length, timeout: IDLE_MS };
    const sent = origin.startsWith('https:') ? httpsRequest(url, options) : httpRequest(url, options);
    sent.end(body ?? undefined);
    return receive(sent);
  }

  close(): void {
    this.#agent.destroy();
  }
}

function receive(sent: ClientRequest): Promise<BenchAnswer> {
  return new Promise((resolve, reject) => {
    sent.once('error', reject);
    sent.once('timeout', () => sent.destroy(new Error('the S3 endpoint does not answer')));
    sent.once('response', (answer: IncomingMessage) => {
      let receivedBytes = 0;
      answer.on('data', (piece: Buffer) => (receivedBytes += piece.length));
      answer.once('error', reject);
      answer.once('end', () => {
        resolve({ status: answer.statusCode ?? 0, receivedBytes });
      });
    });
  });
}
