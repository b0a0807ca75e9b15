/**
 * The conditions of a policy statement (IAM User Guide "JSON policy elements: Condition operators"). Pure.
 *
 * A key that the request does not have fails an operator, but for the negated ones, `...IfExists`, `ForAllValues:` and `Null`.
 */
import { BlockList, isIP } from 'node:net';
import { compileTemplate, matchesPattern, type ResolveVariable } from './wildcard.js';

/** What a request has to say, by lower-case condition key. */
export type ConditionValues = ReadonlyMap<string, readonly string[]>;

interface Comparison {
  /** Whether one value of the request fits one of the policy. */
  readonly fits: (asked: string, given: string, resolve: ResolveVariable) => boolean;
  /** Whether the policy's value makes sense. */
  readonly accepts: (asked: string) => boolean;
  /** The operator holds when no value of the policy fits. */
  readonly isNegated: boolean;
}

const anything = (): boolean => true;

function literal(text: string, resolve: ResolveVariable): string | null {
  if (!text.includes('${')) return text;
  const pattern = compileTemplate(text, resolve);
  if (pattern === null) return null;
  return pattern.map((code) => (code === -1 ? '*' : code === -2 ? '?' : String.fromCharCode(code))).join('');
}

function equal(asked: string, given: string, resolve: ResolveVariable): boolean {
  return literal(asked, resolve) === given;
}

function equalIgnoringCase(asked: string, given: string, resolve: ResolveVariable): boolean {
  return literal(asked, resolve)?.toLowerCase() === given.toLowerCase();
}

function like(asked: string, given: string, resolve: ResolveVariable): boolean {
  const pattern = compileTemplate(asked, resolve);
  return pattern !== null && matchesPattern(pattern, given);
}

function isNumber(text: string): boolean {
  return text.trim() !== '' && Number.isFinite(Number(text));
}

function toTimeMs(text: string): number {
  return /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text);
}

function isDate(text: string): boolean {
  return !Number.isNaN(toTimeMs(text));
}

function isBoolean(text: string): boolean {
  return text === 'true' || text === 'false';
}

/** `10.0.0.0/8`, `::1`; null when it is no range of addresses. */
function toAddressRange(text: string): BlockList | null {
  const [address = '', prefixText, rest] = text.split('/');
  const version = isIP(address);
  if (version === 0 || rest !== undefined) return null;
  const bits = version === 4 ? 32 : 128;
  const prefix = prefixText === undefined ? bits : Number(prefixText);
  if (prefixText === '' || !Number.isInteger(prefix) || prefix < 0 || prefix > bits) return null;
  const range = new BlockList();
  range.addSubnet(address, prefix, version === 4 ? 'ipv4' : 'ipv6');
  return range;
}

function isInRange(asked: string, given: string): boolean {
  const version = isIP(given);
  return version !== 0 && toAddressRange(asked)?.check(given, version === 4 ? 'ipv4' : 'ipv6') === true;
}

type Order = (given: number, asked: number) => boolean;
const ORDERS: Readonly<Record<string, readonly [holds: Order, isNegated: boolean]>> = {
  Equals: [(given, asked) => given === asked, false],
  NotEquals: [(given, asked) => given === asked, true],
  LessThan: [(given, asked) => given < asked, false],
  LessThanEquals: [(given, asked) => given <= asked, false],
  GreaterThan: [(given, asked) => given > asked, false],
  GreaterThanEquals: [(given, asked) => given >= asked, false],
};

function ordered(
  type: string,
  toNumber: (text: string) => number,
  accepts: (text: string) => boolean,
): [string, Comparison][] {
  return Object.entries(ORDERS).map(([name, [holds, isNegated]]) => [
    type + name,
    {
      fits: (asked, given) => accepts(given) && holds(toNumber(given), toNumber(asked)),
      accepts,
      isNegated,
    },
  ]);
}

const COMPARISONS: ReadonlyMap<string, Comparison> = new Map<string, Comparison>([
  ['StringEquals', { fits: equal, accepts: anything, isNegated: false }],
  ['StringNotEquals', { fits: equal, accepts: anything, isNegated: true }],
  ['StringEqualsIgnoreCase', { fits: equalIgnoringCase, accepts: anything, isNegated: false }],
  ['StringNotEqualsIgnoreCase', { fits: equalIgnoringCase, accepts: anything, isNegated: true }],
  ['StringLike', { fits: like, accepts: anything, isNegated: false }],
  ['StringNotLike', { fits: like, accepts: anything, isNegated: true }],
  ['ArnEquals', { fits: like, accepts: anything, isNegated: false }],
  ['ArnLike', { fits: like, accepts: anything, isNegated: false }],
  ['ArnNotEquals', { fits: like, accepts: anything, isNegated: true }],
  ['ArnNotLike', { fits: like, accepts: anything, isNegated: true }],
  ['BinaryEquals', { fits: (asked, given) => asked === given, accepts: anything, isNegated: false }],
  ['Bool', { fits: (asked, given) => asked === given.toLowerCase(), accepts: isBoolean, isNegated: false }],
  ['IpAddress', { fits: isInRange, accepts: (text) => toAddressRange(text) !== null, isNegated: false }],
  ['NotIpAddress', { fits: isInRange, accepts: (text) => toAddressRange(text) !== null, isNegated: true }],
  ...ordered('Numeric', Number, isNumber),
  ...ordered('Date', toTimeMs, isDate),
]);

export interface Condition {
  /** As in COMPARISONS, or `Null`. */
  readonly operator: string;
  readonly quantifier: 'none' | 'any' | 'all';
  readonly ifExists: boolean;
  /** Lower case. */
  readonly key: string;
  readonly values: readonly string[];
}

const OPERATOR = /^(?:(ForAnyValue|ForAllValues):)?([A-Za-z]+?)(IfExists)?$/;

/** Null when there is no such operator, or when it can't compare with one of these values. */
export function makeCondition(text: string, key: string, values: readonly string[]): Condition | null {
  const [, quantifier, operator, ifExists] = OPERATOR.exec(text) ?? [];
  if (operator === undefined) return null;
  const accepts = operator === 'Null' ? isBoolean : COMPARISONS.get(operator)?.accepts;
  if (accepts === undefined || !values.every(accepts)) return null;
  if (operator === 'Null' && (ifExists !== undefined || quantifier !== undefined)) return null;
  return {
    operator,
    quantifier: quantifier === undefined ? 'none' : quantifier === 'ForAnyValue' ? 'any' : 'all',
    ifExists: ifExists !== undefined,
    key: key.toLowerCase(),
    values,
  };
}

/** Whether the operator is one that only lets named values through. */
export function isPositive({ operator, ifExists }: Condition): boolean {
  return !ifExists && COMPARISONS.get(operator)?.isNegated === false;
}

export function holds(condition: Condition, values: ConditionValues, resolve: ResolveVariable): boolean {
  const { operator, quantifier, ifExists, key, values: asked } = condition;
  const given = values.get(key) ?? [];
  if (operator === 'Null') return asked.includes(String(given.length === 0));
  const comparison = COMPARISONS.get(operator);
  if (comparison === undefined) return false;
  if (given.length === 0)
    return ifExists || quantifier === 'all' || (comparison.isNegated && quantifier === 'none');
  const isFulfilledBy = (value: string): boolean =>
    asked.some((text) => comparison.fits(text, value, resolve)) !== comparison.isNegated;
  return quantifier === 'all' || (quantifier === 'none' && comparison.isNegated)
    ? given.every(isFulfilledBy)
    : given.some(isFulfilledBy);
}
