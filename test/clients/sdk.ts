/** The AWS SDK for JavaScript v3 at work in one bucket. */
import { GetObjectCommand, PutObjectCommand, S3Client, S3ServiceException } from '@aws-sdk/client-s3';
import type { Workplace } from './both-settings.js';

export interface Sdk {
  readonly client: S3Client;
  readonly bucket: string;
}

/** Default settings: only where the endpoint is and who we are. Path style, because loopback has no bucket names in DNS. */
export function connectSdk({ system, bucket }: Workplace): Sdk {
  const { endpoint, region, accessKeyId, secretAccessKey } = system.access;
  const client = new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  });
  return { client, bucket };
}

export async function getBytes({ client, bucket }: Sdk, key: string, range?: string): Promise<Buffer> {
  const { Body } = await client.send(
    new GetObjectCommand({ Bucket: bucket, Key: key, ...(range !== undefined && { Range: range }) }),
  );
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
}

export async function putText(
  { client, bucket }: Sdk,
  key: string,
  text: string,
): Promise<string | undefined> {
  const { ETag } = await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: text }));
  return ETag;
}

/** The HTTP status that a command fails with; undefined: it succeeds. */
export async function statusOf(sent: Promise<unknown>): Promise<number | undefined> {
  try {
    await sent;
    return undefined;
  } catch (error) {
    if (error instanceof S3ServiceException) return error.$metadata.httpStatusCode;
    throw error;
  }
}
