/**
 * Conditional requests (RFC 9110 section 13; UserGuide "Conditional reads" and "Conditional writes").
 *
 * Order: If-Match, or If-Unmodified-Since without it; then If-None-Match, or If-Modified-Since without it. Dates
 * compare whole seconds, as Last-Modified has them. Writes are judged in the `decide` callback, so nobody gets between.
 */
import type { ObjectAttributes } from './attributes.js';
import { S3Error } from './errors.js';
import { etagMatches, parseEtagCondition, type EtagCondition } from './etags.js';
import { parseHttpDate } from './http-date.js';
import type { S3Request } from './request.js';

export interface Conditions {
  readonly ifMatch: EtagCondition | null;
  readonly ifNoneMatch: EtagCondition | null;
  readonly ifModifiedSinceMs: number | null;
  readonly ifUnmodifiedSinceMs: number | null;
}

function readEtags(request: S3Request, header: string): EtagCondition | null {
  const text = request.headers.get(header);
  return text === undefined ? null : parseEtagCondition(text);
}

function readDate(request: S3Request, header: string): number | null {
  const text = request.headers.get(header);
  return text === undefined ? null : parseHttpDate(text);
}

/** Null when the request has no conditions. */
export function readConditions(request: S3Request): Conditions | null {
  const conditions: Conditions = {
    ifMatch: readEtags(request, 'if-match'),
    ifNoneMatch: readEtags(request, 'if-none-match'),
    ifModifiedSinceMs: readDate(request, 'if-modified-since'),
    ifUnmodifiedSinceMs: readDate(request, 'if-unmodified-since'),
  };
  const { ifMatch, ifNoneMatch, ifModifiedSinceMs, ifUnmodifiedSinceMs } = conditions;
  const isAny = (ifMatch ?? ifNoneMatch ?? ifModifiedSinceMs ?? ifUnmodifiedSinceMs) !== null;
  return isAny ? conditions : null;
}

function toSeconds(timeMs: number): number {
  return Math.floor(timeMs / 1000);
}

function refuse(condition: string): never {
  throw new S3Error('PreconditionFailed', { details: { Condition: condition } });
}

function requireMatch(conditions: Conditions, attributes: ObjectAttributes): void {
  if (conditions.ifMatch !== null) {
    if (!etagMatches(conditions.ifMatch, attributes.etag)) refuse('If-Match');
    return;
  }
  const sinceMs = conditions.ifUnmodifiedSinceMs;
  if (sinceMs !== null && toSeconds(attributes.modifiedMs) > toSeconds(sinceMs))
    refuse('If-Unmodified-Since');
}

/** Judges a GET or HEAD. Throws S3Error PreconditionFailed. */
export function evaluateRead(
  conditions: Conditions,
  attributes: ObjectAttributes,
): 'proceed' | 'not-modified' {
  requireMatch(conditions, attributes);
  if (conditions.ifNoneMatch !== null) {
    return etagMatches(conditions.ifNoneMatch, attributes.etag) ? 'not-modified' : 'proceed';
  }
  const sinceMs = conditions.ifModifiedSinceMs;
  if (sinceMs !== null && toSeconds(attributes.modifiedMs) <= toSeconds(sinceMs)) return 'not-modified';
  return 'proceed';
}

/** Judges a mutation of the present object (null: there is none). Throws S3Error PreconditionFailed or NoSuchKey. */
export function checkWrite(conditions: Conditions, key: string, current: ObjectAttributes | null): void {
  if (current === null) {
    if (conditions.ifMatch !== null) throw new S3Error('NoSuchKey', { details: { Key: key } });
    return;
  }
  requireMatch(conditions, current);
  if (conditions.ifNoneMatch !== null && etagMatches(conditions.ifNoneMatch, current.etag))
    refuse('If-None-Match');
}
