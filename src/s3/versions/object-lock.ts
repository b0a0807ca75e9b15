/**
 * Object lock (UserGuide "Locking objects with Object Lock"): what protects a version, and from what. Retention holds until its date,
 * COMPLIANCE against everybody, GOVERNANCE against those who don't bypass it; a legal hold until it is taken off. Delete markers are never locked.
 */
import type { ObjectAttributes, Retention } from '../attributes.js';
import {
  RETENTION_MODES,
  type BucketConfiguration,
  type DefaultRetention,
  type RetentionMode,
} from '../bucket-configuration.js';
import { S3Error } from '../errors.js';
import { parseIsoDate, toIsoDate } from '../http-date.js';
import type { S3Request } from '../request.js';
import type { HeaderList } from '../response.js';

const DAY_MS = 24 * 60 * 60 * 1000;
const MODE_HEADER = 'x-amz-object-lock-mode';
const UNTIL_HEADER = 'x-amz-object-lock-retain-until-date';
const HOLD_HEADER = 'x-amz-object-lock-legal-hold';
const BYPASS_HEADER = 'x-amz-bypass-governance-retention';
export const LOCK_HEADERS = [MODE_HEADER, UNTIL_HEADER, HOLD_HEADER];
export const BYPASS_HEADERS = [BYPASS_HEADER];

function missingConfiguration(): S3Error {
  return new S3Error('InvalidRequest', { message: 'Bucket is missing Object Lock Configuration' });
}

/** Throws S3Error InvalidRequest. */
export function requireObjectLock(configuration: BucketConfiguration): void {
  if (configuration.objectLock === null) throw missingConfiguration();
}

export function toRetentionMode(text: string): RetentionMode | null {
  return RETENTION_MODES.find((mode) => mode === text) ?? null;
}

export function toLegalHold(text: string): 'ON' | 'OFF' | null {
  return text === 'ON' || text === 'OFF' ? text : null;
}

/** Throws S3Error InvalidArgument. */
export function checkRetainUntil(untilMs: number, nowMs: number): void {
  if (untilMs > nowMs) return;
  throw new S3Error('InvalidArgument', { message: 'The retain until date must be in the future!' });
}

export interface LockWish {
  readonly retention: Retention | null;
  readonly legalHold: 'ON' | 'OFF' | null;
}

function readRetention(request: S3Request, nowMs: number): Retention | null {
  const mode = request.headers.get(MODE_HEADER);
  const until = request.headers.get(UNTIL_HEADER);
  if (mode === undefined && until === undefined) return null;
  if (mode === undefined || until === undefined) {
    throw new S3Error('InvalidArgument', {
      message: `${UNTIL_HEADER} and ${MODE_HEADER} must both be supplied`,
    });
  }
  const known = toRetentionMode(mode);
  if (known === null) throw new S3Error('InvalidArgument', { message: 'Unknown wormMode directive.' });
  const untilMs = parseIsoDate(until);
  if (untilMs === null) {
    throw new S3Error('InvalidArgument', {
      message: 'The retain until date must be provided in ISO 8601 format',
    });
  }
  checkRetainUntil(untilMs, nowMs);
  return { mode: known, untilMs };
}

/** The x-amz-object-lock-* headers of a request that writes an object. Throws S3Error InvalidArgument or InvalidRequest. */
export function readLockHeaders(
  request: S3Request,
  configuration: BucketConfiguration,
  nowMs: number,
): LockWish {
  const hold = request.headers.get(HOLD_HEADER);
  const legalHold = hold === undefined ? null : toLegalHold(hold);
  if (hold !== undefined && legalHold === null) {
    throw new S3Error('InvalidArgument', { message: "Legal Hold must be either of 'ON' or 'OFF'" });
  }
  const retention = readRetention(request, nowMs);
  if (retention !== null || legalHold !== null) requireObjectLock(configuration);
  return { retention, legalHold };
}

export function bypassesGovernance(request: S3Request): boolean {
  return request.headers.get(BYPASS_HEADER)?.toLowerCase() === 'true';
}

function retentionMs({ unit, count }: DefaultRetention): number {
  return count * (unit === 'days' ? DAY_MS : 365 * DAY_MS);
}

/** A new version gets the bucket's default retention when its writer asked for none. */
export function withDefaultRetention(
  attributes: ObjectAttributes,
  configuration: BucketConfiguration,
): ObjectAttributes {
  const standard = configuration.objectLock?.defaultRetention ?? null;
  if (standard === null || attributes.retention !== null) return attributes;
  return {
    ...attributes,
    retention: { mode: standard.mode, untilMs: attributes.modifiedMs + retentionMs(standard) },
  };
}

function isRetained(retention: Retention | null, nowMs: number): retention is Retention {
  return retention !== null && retention.untilMs > nowMs;
}

function refuse(): never {
  throw new S3Error('AccessDenied', { message: 'Access Denied because object protected by object lock.' });
}

/** Throws S3Error AccessDenied. */
export function checkRemoval(attributes: ObjectAttributes, nowMs: number, bypasses: boolean): void {
  const { retention, legalHold } = attributes;
  if (legalHold === 'ON') refuse();
  if (isRetained(retention, nowMs) && (retention.mode === 'COMPLIANCE' || !bypasses)) refuse();
}

/** Retention may always be made longer; another mode takes a bypass. Throws S3Error AccessDenied. */
export function checkRetentionChange(
  attributes: ObjectAttributes,
  wanted: Retention | null,
  { nowMs, bypasses }: { readonly nowMs: number; readonly bypasses: boolean },
): void {
  const { retention } = attributes;
  if (!isRetained(retention, nowMs)) return;
  if (wanted?.mode === retention.mode && wanted.untilMs >= retention.untilMs) return;
  if (retention.mode === 'COMPLIANCE' || !bypasses) refuse();
}

export function lockHeaders({ retention, legalHold }: ObjectAttributes): HeaderList {
  const headers: HeaderList = [];
  if (retention !== null)
    headers.push(MODE_HEADER, retention.mode, UNTIL_HEADER, toIsoDate(retention.untilMs));
  if (legalHold !== null) headers.push(HOLD_HEADER, legalHold);
  return headers;
}
