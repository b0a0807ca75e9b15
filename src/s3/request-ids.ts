/** Request ids: unique in a process and, by their random beginning, in practice everywhere. */
import { randomBytes } from 'node:crypto';

export class RequestIds {
  readonly #prefix = randomBytes(5).toString('hex').toUpperCase();
  /** The x-amz-id-2 of this server. */
  readonly hostId = randomBytes(24).toString('base64');
  #count = 0;

  next(): string {
    this.#count = (this.#count + 1) % 2 ** 24;
    return this.#prefix + this.#count.toString(16).toUpperCase().padStart(6, '0');
  }
}
