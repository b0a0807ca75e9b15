/**
 * The AWS SDK, with its own retries, in the place of the bare S3 client. A command that it sent more than once and gave up has
 * an unknown outcome, whatever its last answer says: an earlier attempt may have been done.
 */
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3Client as AwsS3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import type { S3Access, S3Client, S3Outcome, S3RequestFields } from '../support/s3-client.js';

/** What a writer needs of a client. */
export type Attempts = Pick<S3Client, 'attempt' | 'get'>;

const SOCKETS_MAX = 4;

function answered(status: number, body: Buffer, lengthBytes: number, code: string | null): S3Outcome {
  return {
    kind: 'answered',
    reply: { status, headers: { 'content-length': String(lengthBytes) }, body, code },
  };
}

function outcomeOfError(error: unknown): S3Outcome {
  if (!(error instanceof S3ServiceException))
    return {
      kind: 'lost',
      reason: error instanceof Error ? `${error.name}: ${error.message}` : String(error),
    };
  const { httpStatusCode = 0, attempts = 1 } = error.$metadata;
  if (attempts > 1)
    return { kind: 'lost', reason: `${httpStatusCode} ${error.name} after ${attempts} attempts` };
  // HEAD has no body to name the code in.
  return answered(httpStatusCode, Buffer.alloc(0), 0, error.name === 'NotFound' ? 'NoSuchKey' : error.name);
}

export class SdkAttempts implements Attempts {
  readonly #client: AwsS3Client;
  /** For what the SDK has no command for: PATCH. */
  readonly #bare: Attempts;

  constructor(access: S3Access, bare: Attempts) {
    this.#bare = bare;
    const { endpoint, region, accessKeyId, secretAccessKey } = access;
    this.#client = new AwsS3Client({
      endpoint,
      region,
      forcePathStyle: true,
      credentials: { accessKeyId, secretAccessKey },
      requestHandler: { httpAgent: { maxSockets: SOCKETS_MAX } },
    });
  }

  async attempt(request: S3RequestFields): Promise<S3Outcome> {
    if (request.method === 'PATCH') return this.#bare.attempt(request);
    try {
      return await this.#send(request);
    } catch (error) {
      return outcomeOfError(error);
    }
  }

  async #send({ method, path, headers = {}, body }: S3RequestFields): Promise<S3Outcome> {
    const [, Bucket = '', ...rest] = path.split('/');
    const place = { Bucket, Key: rest.join('/') };
    switch (method) {
      case 'PUT': {
        const offset = headers['x-amz-write-offset-bytes'];
        await this.#client.send(
          new PutObjectCommand({
            ...place,
            Body: body as Buffer,
            ...(offset !== undefined && { WriteOffsetBytes: Number(offset) }),
          }),
        );
        return answered(200, Buffer.alloc(0), 0, null);
      }
      case 'DELETE':
        await this.#client.send(new DeleteObjectCommand(place));
        return answered(204, Buffer.alloc(0), 0, null);
      case 'HEAD': {
        const { ContentLength = 0 } = await this.#client.send(new HeadObjectCommand(place));
        return answered(200, Buffer.alloc(0), ContentLength, null);
      }
      case 'GET': {
        const { range } = headers;
        const reply = await this.#client.send(
          new GetObjectCommand({ ...place, ...(range !== undefined && { Range: range }) }),
        );
        const bytes = Buffer.from((await reply.Body?.transformToByteArray()) ?? []);
        return answered(200, bytes, bytes.length, null);
      }
      case 'PATCH':
      case 'POST':
        throw new Error(`the SDK is not asked for ${method} here`);
    }
  }

  /** What decides is read by the bare client. */
  get(bucket: string, key: string): Promise<Buffer | null> {
    return this.#bare.get(bucket, key);
  }

  close(): void {
    this.#client.destroy();
  }
}
