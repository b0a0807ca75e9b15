/**
 * Bucket policies (UserGuide "Bucket policies", IAM User Guide "JSON policy element reference"): reads one and judges by it. Pure.
 *
 * Whatever a policy says that would not be understood is refused when it is put, so that no statement is ever passed over in silence.
 * Accounts that a Principal names need not be there: such a statement holds for nobody.
 */
import { S3Error } from '../errors.js';
import { isKnownConditionKey } from './condition-keys.js';
import { holds, makeCondition, type Condition, type ConditionValues } from './policy-conditions.js';
import { knownActions } from './rules.js';
import {
  compilePattern,
  compileTemplate,
  matchesPattern,
  matchesWildcard,
  type ResolveVariable,
} from './wildcard.js';

/** UserGuide "Bucket policies": 20 KB. */
export const POLICY_BYTES_MAX = 20 * 1024;
const ARN_PREFIX = 'arn:aws:s3:::';
const VERSIONS = ['2012-10-17', '2008-10-17'];
const POLICY_FIELDS = ['Version', 'Id', 'Statement'];
const STATEMENT_FIELDS = [
  'Sid',
  'Effect',
  'Principal',
  'NotPrincipal',
  'Action',
  'NotAction',
  'Resource',
  'NotResource',
  'Condition',
];

/** A list, or everything but it. */
interface Choice {
  readonly isNegated: boolean;
  readonly texts: readonly string[];
}

export interface Statement {
  readonly effect: 'Allow' | 'Deny';
  /** `*`, account ids and ARNs. */
  readonly principals: Choice;
  /** Lower case, with wildcards. */
  readonly actions: Choice;
  readonly resources: Choice;
  readonly conditions: readonly Condition[];
}

export interface BucketPolicy {
  readonly bucketName: string;
  /** As it was put. */
  readonly text: string;
  readonly hasVariables: boolean;
  readonly statements: readonly Statement[];
}

function malformed(message: string): S3Error {
  return new S3Error('MalformedPolicy', { message });
}

type Fields = Readonly<Record<string, unknown>>;

function toFields(value: unknown, problem: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed(problem);
  return value as Fields;
}

function toTexts(value: unknown, problem: string): readonly string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  const texts = list.map((item) => {
    if (typeof item === 'string') return item;
    throw malformed(problem);
  });
  if (texts.length === 0) throw malformed(problem);
  return texts;
}

function checkFields(fields: Fields, known: readonly string[]): void {
  const stranger = Object.keys(fields).find((name) => !known.includes(name));
  if (stranger !== undefined) throw malformed(`Unknown field ${stranger.slice(0, 64)}`);
}

/** The one of `Name` and `NotName` that is there. */
function readChoice(fields: Fields, name: string, read: (value: unknown) => readonly string[]): Choice {
  const given = fields[name];
  const excluded = fields[`Not${name}`];
  if (given !== undefined && excluded !== undefined) {
    throw malformed(`Statement has both ${name} and Not${name}`);
  }
  if (given === undefined && excluded === undefined) throw malformed(`Missing required field ${name}`);
  return given === undefined
    ? { isNegated: true, texts: read(excluded) }
    : { isNegated: false, texts: read(given) };
}

/** `*`, or lists by kind. Kinds that Tally has no callers of hold for nobody. */
function readPrincipals(value: unknown): readonly string[] {
  const problem = 'Invalid principal in policy';
  if (value === '*') return ['*'];
  const kinds = toFields(value, problem);
  checkFields(kinds, ['AWS', 'CanonicalUser', 'Federated', 'Service']);
  const texts = Object.entries(kinds).flatMap(([kind, names]) =>
    toTexts(names, problem).map((name) => {
      if (name === '') throw malformed(problem);
      return kind === 'AWS' || kind === 'CanonicalUser' ? name : `${kind}:${name}`;
    }),
  );
  if (texts.length === 0) throw malformed(problem);
  return texts;
}

function readActions(value: unknown): readonly string[] {
  const known = knownActions();
  return toTexts(value, 'Policy has invalid action').map((text) => {
    const action = text.toLowerCase();
    const isKnown =
      action === '*' ||
      (/^s3:[a-z*?]+$/.test(action) && [...known].some((name) => matchesWildcard(action, name)));
    if (!isKnown) throw malformed('Policy has invalid action');
    return action;
  });
}

/** A policy may only speak of its own bucket. */
function readResources(value: unknown, bucketName: string): readonly string[] {
  return toTexts(value, 'Policy has invalid resource').map((text) => {
    const resource = text.startsWith(ARN_PREFIX) ? text.slice(ARN_PREFIX.length) : null;
    const slash = resource?.indexOf('/') ?? -1;
    const bucketPattern = slash < 0 ? resource : (resource?.slice(0, slash) ?? null);
    if (bucketPattern === null || !matchesWildcard(bucketPattern, bucketName)) {
      if (text !== '*') throw malformed('Policy has invalid resource');
    }
    return text;
  });
}

function readConditions(value: unknown): readonly Condition[] {
  if (value === undefined) return [];
  const conditions: Condition[] = [];
  for (const [operator, block] of Object.entries(toFields(value, 'Invalid Condition type'))) {
    for (const [key, values] of Object.entries(toFields(block, 'Invalid Condition type'))) {
      if (!isKnownConditionKey(key)) throw malformed('Policy has an invalid condition key');
      const list: readonly unknown[] = Array.isArray(values) ? values : [values];
      const texts = list.map((item) => {
        if (typeof item === 'string') return item;
        if (typeof item === 'number' || typeof item === 'boolean') return String(item);
        throw malformed('Invalid value in Condition');
      });
      const condition = makeCondition(operator, key, texts);
      if (condition === null) throw malformed(`Invalid Condition type : ${operator.slice(0, 64)}`);
      conditions.push(condition);
    }
  }
  return conditions;
}

function readStatement(value: unknown, bucketName: string): Statement {
  const fields = toFields(value, 'Statement is not an object');
  checkFields(fields, STATEMENT_FIELDS);
  const { Effect: effect, Sid: sid } = fields;
  if (effect === undefined) throw malformed('Missing required field Effect');
  if (effect !== 'Allow' && effect !== 'Deny') throw malformed('Invalid effect');
  if (sid !== undefined && typeof sid !== 'string') throw malformed('Invalid Sid');
  const statement: Statement = {
    effect,
    principals: readChoice(fields, 'Principal', readPrincipals),
    actions: readChoice(fields, 'Action', readActions),
    resources: readChoice(fields, 'Resource', (given) => readResources(given, bucketName)),
    conditions: readConditions(fields['Condition']),
  };
  if (effect === 'Allow' && statement.principals.isNegated) {
    throw malformed('Allow with NotPrincipal is not allowed');
  }
  return statement;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw malformed("Policies must be valid JSON and the first byte must be '{'");
  }
}

/** Throws S3Error MalformedPolicy. */
export function parsePolicy(text: string, bucketName: string): BucketPolicy {
  if (!text.trimStart().startsWith('{')) {
    throw malformed("Policies must be valid JSON and the first byte must be '{'");
  }
  const fields = toFields(parseJson(text), 'The policy is not an object');
  checkFields(fields, POLICY_FIELDS);
  const { Version: version, Statement: statements } = fields;
  if (version !== undefined && !VERSIONS.some((known) => known === version)) {
    throw malformed('The policy must contain a valid version string');
  }
  if (statements === undefined) throw malformed('Missing required field Statement');
  const list: readonly unknown[] = Array.isArray(statements) ? statements : [statements];
  if (list.length === 0) throw malformed('Could not parse the policy: Statement is empty!');
  return {
    bucketName,
    text,
    hasVariables: version === '2012-10-17',
    statements: list.map((statement) => readStatement(statement, bucketName)),
  };
}

export interface PolicyQuestion {
  /** Null: an anonymous caller. */
  readonly caller: { readonly ownerId: string; readonly accessKeyId: string } | null;
  /** `s3:GetObject` */
  readonly action: string;
  /** `bucket` or `bucket/key` */
  readonly resource: string;
  readonly values: ConditionValues;
}

/** `*`, the account's id, `arn:aws:iam::<id>:root`, `arn:aws:iam:::user/<id>`, or one key's `arn:aws:iam::<id>:user/<access key>`. */
function isPrincipal(text: string, { caller }: PolicyQuestion): boolean {
  if (text === '*') return true;
  if (caller === null) return false;
  const { ownerId, accessKeyId } = caller;
  if (text === ownerId) return true;
  const [, accountId, name] = /^arn:aws:iam::([^:]*):(.+)$/.exec(text) ?? [];
  if (accountId === ownerId) {
    return name === 'root' || name === `user/${ownerId}` || name === `user/${accessKeyId}`;
  }
  return accountId === '' && name === `user/${ownerId}`;
}

function isChosen(choice: Choice, fits: (text: string) => boolean): boolean {
  return choice.texts.some(fits) !== choice.isNegated;
}

function applies(statement: Statement, question: PolicyQuestion, resolve: ResolveVariable): boolean {
  const { resource, values } = question;
  const arn = ARN_PREFIX + resource;
  const action = question.action.toLowerCase();
  return (
    isChosen(statement.actions, (text) => matchesPattern(compilePattern(text), action)) &&
    isChosen(statement.resources, (text) => {
      const pattern = compileTemplate(text, resolve);
      return pattern !== null && matchesPattern(pattern, arn);
    }) &&
    isChosen(statement.principals, (text) => isPrincipal(text, question)) &&
    statement.conditions.every((condition) => holds(condition, values, resolve))
  );
}

export type PolicyVerdict = 'allow' | 'deny' | 'silent';

/** A Deny outweighs every Allow. */
export function judge(policy: BucketPolicy, question: PolicyQuestion): PolicyVerdict {
  const resolve: ResolveVariable = (name) =>
    policy.hasVariables ? (question.values.get(name.toLowerCase())?.[0] ?? null) : `\${${name}}`;
  const effects = policy.statements
    .filter((statement) => applies(statement, question, resolve))
    .map(({ effect }) => effect);
  if (effects.includes('Deny')) return 'deny';
  return effects.includes('Allow') ? 'allow' : 'silent';
}

/** True when some statement can only be judged with the tags of the object. */
export function readsObjectTags(policy: BucketPolicy): boolean {
  return policy.statements.some(({ conditions }) =>
    conditions.some(({ key }) => key.startsWith('s3:existingobjecttag/')),
  );
}
