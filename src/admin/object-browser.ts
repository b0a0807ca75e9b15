/**
 * The port through which the console sees buckets and objects. What is behind it is a client of the S3 endpoint, so that the
 * same rules hold as for everybody.
 */
import type { Readable } from 'node:stream';

export interface BucketSummary {
  readonly name: string;
  readonly createdMs: number;
}

export interface ObjectPage {
  readonly folders: readonly string[];
  readonly objects: readonly {
    readonly key: string;
    readonly sizeBytes: number;
    readonly modifiedMs: number;
  }[];
  readonly next: string | null;
}

export interface Upload {
  readonly bucket: string;
  readonly key: string;
  readonly contentType: string;
  readonly lengthBytes: number;
  readonly body: Readable;
}

/** An S3 key as operators may see it: without its secret. */
export interface KeySummary {
  readonly accessKeyId: string;
  readonly account: string;
  readonly isReadOnly: boolean;
  /** Null: all. */
  readonly buckets: readonly string[] | null;
}

export interface ObjectBrowser {
  buckets(): Promise<readonly BucketSummary[]>;
  list(bucket: string, prefix: string, after: string | null, limit: number): Promise<ObjectPage>;
  upload(upload: Upload): Promise<void>;
  remove(bucket: string, key: string): Promise<void>;
  /** `hostname`: how the caller calls this machine, for an endpoint that has no public URL of its own. */
  link(hostname: string, bucket: string, key: string, expiresSeconds: number): string;
  keys(): readonly KeySummary[];
  /** What S3 said, when an error is a refusal of the endpoint; null otherwise. */
  refusalOf(error: unknown): { readonly status: number; readonly message: string } | null;
}
