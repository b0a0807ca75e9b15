/** The form of an entry of the operation table. */
import type { TargetLevel } from '../request.js';
import type {
  Action,
  BucketContext,
  NewBucketContext,
  ObjectContext,
  ServiceContext,
  UnsignedContext,
} from './context.js';

export type Method = 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE' | 'PATCH' | 'OPTIONS';

/** Which requests are this operation: all of it must hold. Of several that fit, the one that asks for most is meant. */
export interface Match {
  readonly method: Method;
  readonly level: TargetLevel;
  /** Query parameters that must be there, whatever their value. */
  readonly query: readonly string[];
  /** A header that must be there, lower case. */
  readonly header: string | null;
}

/** What an implemented operation honours beyond its match. All else that S3 might mean something by is refused. */
export interface Honours {
  readonly query: readonly string[];
  /** x-amz-* headers, lower case. */
  readonly headers: readonly string[];
  /** User metadata, x-amz-meta-*. */
  readonly metadata: boolean;
}

export type Operation = { readonly match: Match } & (
  | { readonly kind: 'not-implemented' }
  | { readonly kind: 'unsigned'; readonly act: Action<UnsignedContext> }
  | { readonly kind: 'service'; readonly honours: Honours; readonly act: Action<ServiceContext> }
  | { readonly kind: 'new-bucket'; readonly honours: Honours; readonly act: Action<NewBucketContext> }
  | { readonly kind: 'bucket'; readonly honours: Honours; readonly act: Action<BucketContext> }
  | { readonly kind: 'object'; readonly honours: Honours; readonly act: Action<ObjectContext> }
);
export type SignedOperation = Exclude<Operation, { kind: 'not-implemented' | 'unsigned' }>;

/** Reads `PUT object ?acl&versionId [x-amz-copy-source]`. */
export function match(
  method: Method,
  level: TargetLevel,
  query: readonly string[] = [],
  header: string | null = null,
): Match {
  return { method, level, query, header };
}

export function honours(
  query: readonly string[] = [],
  headers: readonly string[] = [],
  metadata = false,
): Honours {
  return { query, headers, metadata };
}

/** An operation of S3 that Tally knows and does not do: 501 NotImplemented. */
export function missing(
  method: Method,
  level: TargetLevel,
  query: readonly string[] = [],
  header: string | null = null,
): Operation {
  return { kind: 'not-implemented', match: match(method, level, query, header) };
}
