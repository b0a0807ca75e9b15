/** Whether a bucket policy opens its bucket to the public (UserGuide "The meaning of public"). Pure. */
import { isPositive, type Condition } from './policy-conditions.js';
import type { BucketPolicy, Statement } from './policy.js';

/** A statement that holds only for fixed values of one of these is not public. */
const RESTRICTING_KEYS = [
  'aws:principalaccount',
  'aws:principalarn',
  'aws:principalorgid',
  'aws:principalorgpaths',
  'aws:sourceaccount',
  'aws:sourcearn',
  'aws:sourceip',
  'aws:sourceorgid',
  'aws:sourcevpc',
  'aws:sourcevpce',
  'aws:userid',
  'aws:username',
  's3:dataaccesspointaccount',
  's3:dataaccesspointarn',
];
/** A range of addresses that is wider is the public (UserGuide: "very broad IP ranges"). */
const PREFIX_BITS_MIN = 8;

function isFixed(key: string, value: string): boolean {
  if (key !== 'aws:sourceip') return !/[*?]|\$\{/.test(value);
  const [, bits] = value.split('/');
  return bits === undefined || Number(bits) >= PREFIX_BITS_MIN;
}

function restricts(condition: Condition): boolean {
  const { key, values, operator, quantifier } = condition;
  return (
    isPositive(condition) &&
    operator !== 'Bool' &&
    quantifier !== 'all' &&
    RESTRICTING_KEYS.includes(key) &&
    values.every((value) => isFixed(key, value))
  );
}

function isPublicStatement({ effect, principals, conditions }: Statement): boolean {
  return (
    effect === 'Allow' &&
    (principals.isNegated || principals.texts.includes('*')) &&
    !conditions.some(restricts)
  );
}

export function isPublicPolicy(policy: BucketPolicy): boolean {
  return policy.statements.some(isPublicStatement);
}
