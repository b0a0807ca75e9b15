/**
 * A multipart/form-data body as it streams in: the fields before the file, then the file. What follows the file is read and dropped, as
 * S3 does it.
 *
 * The parser is @fastify/busboy, the one inside @fastify/multipart. That plugin itself wants to read the raw request of a fastify route, past
 * RequestBody: without its limit on progress, its answer to Expect, and its backpressure.
 */
import { basename } from 'node:path/posix';
import type { Readable } from 'node:stream';
import { Busboy, type BusboyInstance } from '@fastify/busboy';
import type { RequestBody } from '../body.js';
import { S3Error } from '../errors.js';

/** S3 API reference "POST Object": form data up to 20 KB, the file aside. */
const FIELDS_BYTES_MAX = 20 * 1024;
const FIELDS_MAX = 200;
const PART_HEADERS_MAX = 20;

/** Reads one file part, once. */
export interface FormFile {
  readonly name: string;
  /** As RequestBody has it. */
  read(consume: (piece: Buffer) => Promise<void> | undefined): Promise<void>;
}

export interface Form {
  /** By lower-case name, as text. */
  readonly fields: ReadonlyMap<string, string>;
  readonly file: FormFile;
  /** Lets go of what is unread. Safe to call at any time. */
  close(): Promise<void>;
}

function malformed(cause?: unknown): S3Error {
  return new S3Error('MalformedPOSTRequest', { cause });
}

/** Feeds a body to the parser, and stops when it is told to. */
class Feeder {
  readonly parser: BusboyInstance;
  /** Settles when the form is parsed to its end, or can't be. */
  readonly #done: Promise<void>;
  #failure: Error | null = null;
  #isParsed = false;
  #stop: (() => void) | null = null;
  readonly #onFailure: (error: Error) => void;

  constructor(body: RequestBody, parser: BusboyInstance, onFailure: (error: Error) => void) {
    this.parser = parser;
    this.#onFailure = onFailure;
    parser.on('error', (error: unknown) => {
      this.fail(malformed(error));
    });
    this.#done = this.#feed(body).catch((error: unknown) => {
      this.fail(error instanceof Error ? error : malformed(error));
    });
  }

  /** What was wrong with the form or its connection; null: nothing so far. */
  get failure(): Error | null {
    return this.#failure;
  }

  /** Throws what was wrong with the form. */
  async finish(): Promise<void> {
    await this.#done;
    if (this.#failure !== null) throw this.#failure;
  }

  /** For a form that nobody reads on. Never rejects. */
  async stop(): Promise<void> {
    if (!this.#isParsed) this.fail(malformed(new Error('the form is not wanted')));
    await this.#done;
  }

  fail(error: Error): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    this.#stop?.();
    this.parser.destroy();
    this.#onFailure(error);
  }

  async #feed(body: RequestBody): Promise<void> {
    await body.read((piece) => this.#write(piece));
    if (this.#failure !== null) return;
    await new Promise<void>((resolve) => {
      this.#stop = resolve;
      this.parser.once('finish', () => {
        this.#isParsed = true;
        resolve();
      });
      this.parser.end();
    });
  }

  #write(piece: Buffer): Promise<void> | undefined {
    if (this.#failure !== null) throw this.#failure;
    if (this.parser.write(piece)) return undefined;
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        this.#stop = null;
        this.parser.off('drain', settle);
        if (this.#failure === null) resolve();
        else reject(this.#failure);
      };
      this.#stop = settle;
      this.parser.once('drain', settle);
    });
  }
}

/** Windows browsers of old sent whole paths. */
function fileName(given: string | undefined): string {
  return basename((given ?? '').replaceAll('\\', '/'));
}

function makeParser(contentType: string): BusboyInstance {
  try {
    return new Busboy({
      headers: { 'content-type': contentType },
      // Some clients give every field a file name.
      isPartAFile: (name) => name?.toLowerCase() === 'file',
      preservePath: true,
      limits: {
        fieldSize: FIELDS_BYTES_MAX + 1,
        fields: FIELDS_MAX,
        fileSize: Number.POSITIVE_INFINITY,
        headerPairs: PART_HEADERS_MAX,
      },
    });
  } catch (cause) {
    throw malformed(cause);
  }
}

interface OpenFile {
  readonly name: string;
  readonly stream: Readable;
}

async function readStream(
  stream: Readable,
  consume: (piece: Buffer) => Promise<void> | undefined,
): Promise<void> {
  for await (const piece of stream) {
    const busy = consume(piece as Buffer);
    if (busy !== undefined) await busy;
  }
}

/** Reads up to the file. Throws S3Error MalformedPOSTRequest, MaxPostPreDataLengthExceeded, IncorrectNumberOfFilesInPostRequest. */
export async function openForm(contentType: string, body: RequestBody): Promise<Form> {
  const parser = makeParser(contentType);
  const fields = new Map<string, string>();
  let fieldsBytes = 0;
  let open: OpenFile | null = null;
  const { promise: atFile, resolve, reject } = promiseWithResolvers<OpenFile>();
  const feeder = new Feeder(body, parser, (error) => {
    open?.stream.destroy(error);
    reject(error);
  });
  parser.on('field', (name, value) => {
    fieldsBytes += Buffer.byteLength(name) + Buffer.byteLength(value);
    if (fieldsBytes > FIELDS_BYTES_MAX) feeder.fail(new S3Error('MaxPostPreDataLengthExceeded'));
    if (open === null && !fields.has(name.toLowerCase())) fields.set(name.toLowerCase(), value);
  });
  parser.on('fieldsLimit', () => {
    feeder.fail(new S3Error('MaxPostPreDataLengthExceeded'));
  });
  parser.on('file', (_name, stream, givenName: string | undefined) => {
    if (open !== null) {
      stream.resume();
      return;
    }
    open = { name: fileName(givenName), stream };
    // A part that is cut short. Whoever reads the stream is told by it too; when nobody does, nobody needs to be.
    stream.on('error', (error) => {
      feeder.fail(malformed(error));
    });
    resolve(open);
  });
  parser.on('finish', () => {
    reject(new S3Error('IncorrectNumberOfFilesInPostRequest'));
  });
  const { name, stream } = await atFile;
  return {
    fields,
    file: {
      name,
      read: async (consume) => {
        try {
          await readStream(stream, consume);
        } catch (error) {
          throw feeder.failure ?? error;
        }
        await feeder.finish();
      },
    },
    close: () => feeder.stop(),
  };
}

function promiseWithResolvers<Value>(): {
  promise: Promise<Value>;
  resolve: (value: Value) => void;
  reject: (error: Error) => void;
} {
  let resolve: (value: Value) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<Value>((onValue, onError) => {
    resolve = onValue;
    reject = onError;
  });
  return { promise, resolve, reject };
}
