/**
 * Lifecycle rules (UserGuide "Managing the lifecycle of objects"): what they say of a version, decided without I/O.
 *
 * Days count from the version's last modification (for an older version: from when it was replaced) to the next midnight UTC after
 * them. `dayMs` other than a real day is for tests: then nothing is rounded.
 */
import type { ObjectAttributes } from '../attributes.js';
import type { TagSet } from '../bucket-configuration.js';

export const DAY_MS = 24 * 60 * 60 * 1000;

export interface LifecycleFilter {
  readonly prefix: string;
  readonly tags: TagSet;
  readonly sizeGreaterThan: number | null;
  readonly sizeLessThan: number | null;
}

export type Expiration =
  | { readonly kind: 'days'; readonly days: number }
  | { readonly kind: 'date'; readonly dateMs: number }
  /** Removes delete markers that have no older versions left. */
  | { readonly kind: 'delete-markers' };

export interface LifecycleRule {
  readonly id: string;
  readonly isEnabled: boolean;
  readonly filter: LifecycleFilter;
  /** Written with Prefix in the rule itself, as before there were filters. */
  readonly hasOldForm: boolean;
  readonly expiration: Expiration | null;
  readonly noncurrent: { readonly days: number; readonly newerVersions: number | null } | null;
  /** Days after which an incomplete multipart upload is aborted. */
  readonly abortDays: number | null;
}

export interface Candidate {
  readonly key: string;
  readonly sizeBytes: number;
  readonly attributes: ObjectAttributes;
}

function hasTags(tags: TagSet, wanted: TagSet): boolean {
  return wanted.every(([key, value]) => tags.some(([k, v]) => k === key && v === value));
}

function matches({ filter }: LifecycleRule, candidate: Candidate): boolean {
  const { key, sizeBytes, attributes } = candidate;
  return (
    key.startsWith(filter.prefix) &&
    hasTags(attributes.tags, filter.tags) &&
    (filter.sizeGreaterThan === null || sizeBytes > filter.sizeGreaterThan) &&
    (filter.sizeLessThan === null || sizeBytes < filter.sizeLessThan)
  );
}

/** When that many days after `sinceMs` are over. */
export function dueMs(sinceMs: number, days: number, dayMs: number): number {
  const endMs = sinceMs + days * dayMs;
  return dayMs === DAY_MS ? Math.ceil(endMs / DAY_MS) * DAY_MS : endMs;
}

interface Expiry {
  readonly rule: LifecycleRule;
  readonly atMs: number;
}

/** When and by which rule a current version expires; the earliest counts. Null: by none. */
export function expiryOf(
  rules: readonly LifecycleRule[],
  candidate: Candidate,
  dayMs: number,
): Expiry | null {
  let earliest: Expiry | null = null;
  for (const rule of rules) {
    const { expiration } = rule;
    if (!rule.isEnabled || expiration === null || expiration.kind === 'delete-markers') continue;
    if (!matches(rule, candidate)) continue;
    const atMs =
      expiration.kind === 'date'
        ? expiration.dateMs
        : dueMs(candidate.attributes.modifiedMs, expiration.days, dayMs);
    if (earliest === null || atMs < earliest.atMs) earliest = { rule, atMs };
  }
  return earliest;
}

interface Moment {
  readonly nowMs: number;
  readonly dayMs: number;
}

export function isCurrentExpired(
  rules: readonly LifecycleRule[],
  candidate: Candidate,
  { nowMs, dayMs }: Moment,
): boolean {
  const expiry = expiryOf(rules, candidate, dayMs);
  return expiry !== null && expiry.atMs <= nowMs;
}

/** `sinceMs`: when it was replaced; `newer`: how many older versions are newer than it. */
export function isNoncurrentExpired(
  rules: readonly LifecycleRule[],
  candidate: Candidate & { readonly sinceMs: number; readonly newer: number },
  { nowMs, dayMs }: Moment,
): boolean {
  return rules.some((rule) => {
    const { noncurrent, isEnabled } = rule;
    if (!isEnabled || noncurrent === null || !matches(rule, candidate)) return false;
    if (noncurrent.newerVersions !== null && candidate.newer < noncurrent.newerVersions) return false;
    return dueMs(candidate.sinceMs, noncurrent.days, dayMs) <= nowMs;
  });
}

/** Of a delete marker that is its key's only version. Days count for it as for an object. */
export function isMarkerExpired(
  rules: readonly LifecycleRule[],
  candidate: Candidate,
  moment: Moment,
): boolean {
  const removesMarkers = rules.some(
    (rule) => rule.isEnabled && rule.expiration?.kind === 'delete-markers' && matches(rule, candidate),
  );
  return removesMarkers || isCurrentExpired(rules, candidate, moment);
}

export function isUploadExpired(
  rules: readonly LifecycleRule[],
  upload: { readonly key: string; readonly initiatedMs: number },
  { nowMs, dayMs }: Moment,
): boolean {
  return rules.some(
    ({ isEnabled, abortDays, filter }) =>
      isEnabled &&
      abortDays !== null &&
      upload.key.startsWith(filter.prefix) &&
      dueMs(upload.initiatedMs, abortDays, dayMs) <= nowMs,
  );
}

/** The prefixes under which enabled rules may find something, none of which lies within another. */
export function prefixesOf(
  rules: readonly LifecycleRule[],
  concerns: (rule: LifecycleRule) => boolean,
): readonly string[] {
  const prefixes = rules
    .filter((rule) => rule.isEnabled && concerns(rule))
    .map(({ filter }) => filter.prefix);
  const distinct = [...new Set(prefixes)];
  return distinct.filter((prefix) => !distinct.some((other) => other !== prefix && prefix.startsWith(other)));
}
