/** Bytes that are at hand, for those who read a body piece by piece. */
export class BytesBody implements AsyncIterable<Buffer> {
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    if (this.#bytes.length > 0) yield this.#bytes;
  }
}
