/**
 * What a bucket is told to be. Small things live in the attributes of the bucket's own object, under `configuration`:
 *
 *   {"versioning":"enabled","encryption":"AES256","objectLock":{"defaultRetention":{"mode":"GOVERNANCE","unit":"days","count":1}},"tags":[["k","v"]]}
 *
 * A field that has its default is left out. Documents that may be large (lifecycle, policy, CORS) are objects of the container
 * `.bucket-config`, named like the bucket, the kind of document as their version; see `BucketDocument`. Both change under the bucket's
 * exclusive lock (BucketDirectory.configure, .putDocument), and mutations of objects hold it shared, so that what a
 * mutation finds under `withBucket` is what holds when it happens.
 */
import { SERVER_ALGORITHMS, type ServerAlgorithm } from './encryption/server-algorithm.js';
import { invariant } from '../protocol/invariant.js';
import {
  decodeBucketAccess,
  encodeBucketAccess,
  PRIVATE_BUCKET,
  type BucketAccess,
} from './access/settings.js';
import { asFields, countField, listField, optionalText, wordField, type Fields } from './stored-fields.js';

export const RETENTION_MODES = ['GOVERNANCE', 'COMPLIANCE'] as const;
export type RetentionMode = (typeof RETENTION_MODES)[number];

export interface DefaultRetention {
  readonly mode: RetentionMode;
  readonly unit: 'days' | 'years';
  readonly count: number;
}

/** S3's object (or bucket) tagging, which has nothing to do with the tags of writes. In the order given. */
export type TagSet = readonly (readonly [key: string, value: string])[];

export interface DefaultEncryption {
  readonly algorithm: ServerAlgorithm;
  /** The master key; null: the one that is current when an object is written. */
  readonly keyId: string | null;
}

export interface BucketConfiguration {
  /** A bucket leaves `unversioned` once and never goes back. */
  readonly versioning: 'unversioned' | 'enabled' | 'suspended';
  /** Null: the bucket has no object lock. With it, versioning stays enabled. */
  readonly objectLock: { readonly defaultRetention: DefaultRetention | null } | null;
  readonly tags: TagSet;
  /** How new objects are encrypted that do not say so themselves; null: not at all. */
  readonly defaultEncryption: DefaultEncryption | null;
  /** ACL, ownership and public access block. */
  readonly access: BucketAccess;
}

export const DEFAULT_BUCKET_CONFIGURATION: BucketConfiguration = {
  versioning: 'unversioned',
  objectLock: null,
  tags: [],
  defaultEncryption: null,
  access: PRIVATE_BUCKET,
};

/** A document of a bucket: how it is named in the store and what it becomes once decoded (it is decoded once and remembered). */
export interface BucketDocument<Value> {
  readonly kind: BucketDocumentKind;
  readonly encode: (value: Value) => string;
  /** Of what `encode` made. */
  readonly decode: (text: string) => Value;
}

export const BUCKET_DOCUMENT_KINDS = ['lifecycle', 'policy', 'cors'] as const;
export type BucketDocumentKind = (typeof BUCKET_DOCUMENT_KINDS)[number];

export function decodeTagSet(fields: Fields, name: string): TagSet {
  return listField(fields, name).map((item) => {
    invariant(Array.isArray(item), 'a stored tag is a pair');
    const pair: readonly unknown[] = item;
    const [key, value] = pair;
    invariant(typeof key === 'string' && typeof value === 'string', 'a stored tag is two texts');
    return [key, value];
  });
}

function decodeObjectLock(value: unknown): BucketConfiguration['objectLock'] {
  if (value === undefined) return null;
  const retention = asFields(value)['defaultRetention'];
  if (retention === undefined) return { defaultRetention: null };
  const fields = asFields(retention);
  return {
    defaultRetention: {
      mode: wordField(fields, 'mode', RETENTION_MODES),
      unit: wordField(fields, 'unit', ['days', 'years'] as const),
      count: countField(fields, 'count'),
    },
  };
}

function encodeObjectLock(objectLock: BucketConfiguration['objectLock']): unknown {
  if (objectLock === null) return undefined;
  return objectLock.defaultRetention === null ? {} : objectLock;
}

function decodeEncryption(fields: Fields): DefaultEncryption | null {
  if (fields['encryption'] === undefined) return null;
  return {
    algorithm: wordField(fields, 'encryption', SERVER_ALGORITHMS),
    keyId: optionalText(fields, 'encryptionKey'),
  };
}

/** The JSON value to store; undefined when all is as by default. */
export function encodeBucketConfiguration(configuration: BucketConfiguration): unknown {
  const { versioning, objectLock, tags, defaultEncryption } = configuration;
  const access = encodeBucketAccess(configuration.access);
  return {
    ...(versioning !== 'unversioned' && { versioning }),
    ...(objectLock !== null && { objectLock: encodeObjectLock(objectLock) }),
    ...(tags.length > 0 && { tags }),
    ...(defaultEncryption !== null && {
      encryption: defaultEncryption.algorithm,
      ...(defaultEncryption.keyId !== null && { encryptionKey: defaultEncryption.keyId }),
    }),
    ...(access !== undefined && { access }),
  };
}

export function decodeBucketConfiguration(value: unknown): BucketConfiguration {
  if (value === undefined) return DEFAULT_BUCKET_CONFIGURATION;
  const fields = asFields(value);
  return {
    versioning:
      fields['versioning'] === undefined
        ? 'unversioned'
        : wordField(fields, 'versioning', ['enabled', 'suspended'] as const),
    objectLock: decodeObjectLock(fields['objectLock']),
    tags: decodeTagSet(fields, 'tags'),
    defaultEncryption: decodeEncryption(fields),
    access: decodeBucketAccess(fields['access']),
  };
}
