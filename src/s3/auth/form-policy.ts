/**
 * The policy of a form upload (S3 API reference "Browser-Based Uploads Using POST": "Creating a POST Policy"). Pure.
 *
 * Every field of the form must fall under a condition, but those that carry the signature and the file, x-ignore-*, and checksums of the
 * file, which whoever fills in the form can't know beforehand and which give nobody anything.
 */
import { S3Error } from '../errors.js';

type Fields = ReadonlyMap<string, string>;

interface FieldCondition {
  readonly kind: 'eq' | 'starts-with';
  /** Lower case, without the dollar. */
  readonly field: string;
  readonly text: string;
}

interface FormPolicy {
  readonly expiresMs: number;
  readonly conditions: readonly FieldCondition[];
  readonly minBytes: number;
  /** Null: as large as an object may be. */
  readonly maxBytes: number | null;
}

const EXEMPT = ['awsaccesskeyid', 'file', 'policy', 'signature', 'x-amz-signature'];
const EXEMPT_PREFIXES = ['x-ignore-', 'x-amz-checksum-'];
const ISO_DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

function malformed(problem: string): S3Error {
  return new S3Error('InvalidPolicyDocument', { message: `Invalid Policy: ${problem}` });
}

function fails(condition: string): S3Error {
  return new S3Error('AccessDenied', {
    message: `Invalid according to Policy: Policy Condition failed: ${condition}`,
  });
}

function toByteCount(value: unknown): number {
  const count = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
  if (typeof count === 'number' && Number.isSafeInteger(count) && count >= 0) return count;
  throw malformed('Invalid content-length-range');
}

type Limits = Pick<FormPolicy, 'minBytes' | 'maxBytes'>;

function readList(item: readonly unknown[]): FieldCondition | Limits {
  const [operator, first, second] = item;
  if (typeof operator !== 'string' || item.length !== 3) throw malformed('Invalid condition');
  const kind = operator.toLowerCase();
  if (kind === 'content-length-range') {
    return { minBytes: toByteCount(first), maxBytes: toByteCount(second) };
  }
  const isField = typeof first === 'string' && first.startsWith('$') && typeof second === 'string';
  if (!isField || (kind !== 'eq' && kind !== 'starts-with')) throw malformed('Invalid condition');
  return { kind, field: first.slice(1).toLowerCase(), text: second };
}

function readCondition(item: unknown): readonly (FieldCondition | Limits)[] {
  if (Array.isArray(item)) return [readList(item)];
  if (typeof item !== 'object' || item === null) throw malformed('Invalid condition');
  const entries = Object.entries(item);
  if (entries.length === 0) throw malformed('Invalid condition');
  return entries.map(([field, text]: [string, unknown]): FieldCondition => {
    if (typeof text !== 'string') throw malformed('Invalid condition');
    return { kind: 'eq', field: field.toLowerCase(), text };
  });
}

function parseJson(base64: string): unknown {
  try {
    return JSON.parse(Buffer.from(base64, 'base64').toString('utf8'));
  } catch {
    throw malformed('Invalid JSON.');
  }
}

/** `base64` is the form's field. Throws S3Error InvalidPolicyDocument. */
export function parseFormPolicy(base64: string): FormPolicy {
  const document = parseJson(base64);
  if (typeof document !== 'object' || document === null) throw malformed('Invalid JSON.');
  const expiration = 'expiration' in document ? document.expiration : undefined;
  const list: unknown = 'conditions' in document ? document.conditions : undefined;
  if (typeof expiration !== 'string') throw malformed('Policy missing expiration.');
  if (!ISO_DATE.test(expiration) || Number.isNaN(Date.parse(expiration))) {
    throw malformed(`Invalid 'expiration' value: '${expiration.slice(0, 64)}'`);
  }
  if (!Array.isArray(list)) throw malformed('Policy missing conditions.');
  const conditions = list.flatMap(readCondition);
  const limits = conditions.filter((condition) => 'minBytes' in condition);
  return {
    expiresMs: Date.parse(expiration),
    conditions: conditions.filter((condition) => 'field' in condition),
    minBytes: Math.max(0, ...limits.map(({ minBytes }) => minBytes)),
    maxBytes: limits.length === 0 ? null : Math.min(...limits.map(({ maxBytes }) => maxBytes ?? 0)),
  };
}

/** `fields` with `bucket` and the final `key`. Throws S3Error AccessDenied. */
export function checkFormPolicy(policy: FormPolicy, fields: Fields, nowMs: number): void {
  if (nowMs >= policy.expiresMs) {
    throw new S3Error('AccessDenied', { message: 'Invalid according to Policy: Policy expired.' });
  }
  for (const { kind, field, text } of policy.conditions) {
    const value = fields.get(field) ?? '';
    const holds = kind === 'eq' ? value === text : value.startsWith(text);
    if (!holds) throw fails(JSON.stringify([kind, `$${field}`, text]));
  }
  const named = new Set(policy.conditions.map(({ field }) => field));
  for (const field of fields.keys()) {
    if (named.has(field) || EXEMPT.includes(field)) continue;
    if (EXEMPT_PREFIXES.some((prefix) => field.startsWith(prefix))) continue;
    throw new S3Error('AccessDenied', {
      message: `Invalid according to Policy: Extra input fields: ${field.slice(0, 128)}`,
    });
  }
}
