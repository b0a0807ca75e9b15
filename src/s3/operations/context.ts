/** What an action gets to see of its request and of the server. */
import type { AccountDirectory, Identity } from '../auth/credentials.js';
import type { AuthenticationOptions, PayloadMode, SignatureKind } from '../auth/authenticate.js';
import type { Bucket, BucketDirectory } from '../buckets.js';
import type { ObjectStorage } from '../../gateway/object-storage.js';
import { makeObjectId, type ObjectId } from '../../protocol/object-id.js';
import type { EncryptionSettings } from '../encryption/encryption-wish.js';
import type { S3Limits } from '../limits.js';
import type { UploadDirectory } from '../multipart/upload-directory.js';
import type { Renames } from '../renames.js';
import type { S3Request } from '../request.js';
import type { S3Response } from '../response.js';
import type { VersionedObjects } from '../versions/versioned-objects.js';

export interface Services {
  readonly storage: ObjectStorage;
  readonly buckets: BucketDirectory;
  /** Multipart uploads in progress. */
  readonly uploads: UploadDirectory;
  readonly versions: VersionedObjects;
  readonly renames: Renames;
  /** Whom an ACL can name. */
  readonly accounts: AccountDirectory;
  readonly encryption: EncryptionSettings;
  readonly region: string;
  readonly limits: S3Limits;
  /** Milliseconds since 1970. Only Last-Modified and signature ages come of it, never an order. */
  readonly clock: () => number;
  /** Gives back the memory of bytes that came from a socket and that nobody needs any more; absent: the collector does. */
  readonly freeBytes: ((bytes: Buffer) => void) | undefined;
}

export interface ServiceContext {
  readonly services: Services;
  readonly request: S3Request;
  readonly identity: Identity;
  readonly payload: PayloadMode;
  readonly signature: SignatureKind;
}

/** For operations that come before authentication, or see to it themselves. */
export interface UnsignedContext {
  readonly services: Services;
  readonly request: S3Request;
  readonly authentication: AuthenticationOptions;
}

/** For CreateBucket, whose bucket is not there yet. */
export interface NewBucketContext extends ServiceContext {
  readonly bucketName: string;
}

/** The bucket is there, and the caller may use it. */
export interface BucketContext extends ServiceContext {
  readonly bucket: Bucket;
}

export interface ObjectContext extends BucketContext {
  readonly key: string;
}

export type Action<Context> = (context: Context) => Promise<S3Response>;

export function objectId(context: ObjectContext): ObjectId {
  return makeObjectId(context.bucket.name, context.key);
}
