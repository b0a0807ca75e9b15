/** A client of multipart uploads on the harness, in few words. */
import type { Answer, TestServer } from './harness.js';
import { elements } from './harness.js';

export const PART_BYTES_MIN = 8;

export interface SentPart {
  readonly number: number;
  readonly etag: string;
  /** Further elements of the completion. */
  readonly further?: string;
}

export class MultipartClient {
  readonly #server: TestServer;
  readonly target: string;
  uploadId = '';

  constructor(server: TestServer, target: string) {
    this.#server = server;
    this.target = target;
  }

  async create(headers: Record<string, string> = {}): Promise<Answer> {
    const answer = await this.#server.send({ method: 'POST', target: `${this.target}?uploads`, headers });
    this.uploadId = elements(answer.text, 'UploadId')[0] ?? '';
    return answer;
  }

  put(number: number, body: string | Buffer, headers: Record<string, string> = {}): Promise<Answer> {
    const target = `${this.target}?partNumber=${number}&uploadId=${this.uploadId}`;
    return this.#server.send({ method: 'PUT', target, body, headers });
  }

  async upload(
    number: number,
    body: string | Buffer,
    headers: Record<string, string> = {},
  ): Promise<SentPart> {
    const answer = await this.put(number, body, headers);
    return { number, etag: String(answer.headers.etag) };
  }

  copyPart(number: number, source: string, headers: Record<string, string> = {}): Promise<Answer> {
    const target = `${this.target}?partNumber=${number}&uploadId=${this.uploadId}`;
    return this.#server.send({
      method: 'PUT',
      target,
      headers: { 'x-amz-copy-source': source, ...headers },
    });
  }

  complete(parts: readonly SentPart[], headers: Record<string, string> = {}): Promise<Answer> {
    const items = parts.map(
      ({ number, etag, further = '' }) =>
        `<Part><PartNumber>${number}</PartNumber><ETag>${etag}</ETag>${further}</Part>`,
    );
    return this.#server.send({
      method: 'POST',
      target: `${this.target}?uploadId=${this.uploadId}`,
      body: `<CompleteMultipartUpload>${items.join('')}</CompleteMultipartUpload>`,
      headers,
    });
  }

  abort(): Promise<Answer> {
    return this.#server.send({ method: 'DELETE', target: `${this.target}?uploadId=${this.uploadId}` });
  }

  list(query = ''): Promise<Answer> {
    return this.#server.send({ target: `${this.target}?uploadId=${this.uploadId}${query}` });
  }
}
