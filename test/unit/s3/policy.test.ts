/** The policy engine (IAM User Guide "JSON policy element reference", UserGuide "Bucket policies"). */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { judge, parsePolicy, type PolicyVerdict } from '../../../src/s3/access/policy.js';
import { isPublicPolicy } from '../../../src/s3/access/public-policy.js';
import { matchesWildcard } from '../../../src/s3/access/wildcard.js';

const STATEMENT = {
  Effect: 'Allow',
  Principal: '*',
  Action: 's3:GetObject',
  Resource: 'arn:aws:s3:::bucket/*',
};
const ALICE = { ownerId: 'alice', accessKeyId: 'ALICEKEY' };

function policyOf(...statements: object[]) {
  return parsePolicy(JSON.stringify({ Version: '2012-10-17', Statement: statements }), 'bucket');
}

interface Question {
  readonly caller?: typeof ALICE | null;
  readonly action?: string;
  readonly resource?: string;
  readonly values?: Readonly<Record<string, string | string[]>>;
}

function verdict(statements: object | object[], question: Question = {}): PolicyVerdict {
  const { caller = ALICE, action = 's3:GetObject', resource = 'bucket/key', values = {} } = question;
  const entries = Object.entries(values).map(([key, value]): [string, string[]] => [key, [value].flat()]);
  return judge(policyOf(...[statements].flat()), { caller, action, resource, values: new Map(entries) });
}

describe('a policy', () => {
  it('allows what it names, and is silent about the rest', () => {
    expect(verdict(STATEMENT)).toBe('allow');
    expect(verdict(STATEMENT, { action: 's3:PutObject' })).toBe('silent');
    expect(verdict(STATEMENT, { resource: 'bucket' })).toBe('silent');
    expect(verdict(STATEMENT, { caller: null })).toBe('allow');
  });

  it('denies whatever another statement allows', () => {
    const deny = { ...STATEMENT, Effect: 'Deny', Resource: 'arn:aws:s3:::bucket/secret*' };
    expect(verdict([STATEMENT, deny], { resource: 'bucket/secret/a' })).toBe('deny');
    expect(verdict([deny, STATEMENT], { resource: 'bucket/secret/a' })).toBe('deny');
    expect(verdict([deny, STATEMENT], { resource: 'bucket/open' })).toBe('allow');
  });

  it.each([
    ['s3:*', true],
    ['*', true],
    ['s3:Get*', true],
    ['s3:GETOBJECT', true],
    ['s3:?etObject', true],
    ['s3:PutObject', false],
    ['s3:GetObjectAcl', false],
  ])('Action %s covers s3:GetObject: %s', (action, covers) => {
    expect(verdict({ ...STATEMENT, Action: action })).toBe(covers ? 'allow' : 'silent');
  });

  it.each([
    [{ AWS: '*' }, true],
    [{ AWS: 'alice' }, true],
    [{ AWS: ['bob', 'arn:aws:iam::alice:root'] }, true],
    [{ AWS: 'arn:aws:iam:::user/alice' }, true],
    [{ AWS: 'arn:aws:iam::alice:user/ALICEKEY' }, true],
    [{ AWS: 'arn:aws:iam::alice:user/OTHERKEY' }, false],
    [{ CanonicalUser: 'alice' }, true],
    [{ AWS: 'arn:aws:iam::bob:root' }, false],
    [{ AWS: 'ali*' }, false],
    [{ Service: 'alice' }, false],
    [{ Federated: '*' }, false],
  ])('Principal %j is alice: %s', (principal, isAlice) => {
    expect(verdict({ ...STATEMENT, Principal: principal })).toBe(isAlice ? 'allow' : 'silent');
  });

  it('NotPrincipal, NotAction and NotResource turn it round', () => {
    const deny = { ...STATEMENT, Effect: 'Deny' };
    const { Principal: _p, ...noPrincipal } = deny;
    expect(verdict({ ...noPrincipal, NotPrincipal: { AWS: 'alice' } })).toBe('silent');
    expect(verdict({ ...noPrincipal, NotPrincipal: { AWS: 'bob' } })).toBe('deny');
    const { Action: _a, ...noAction } = deny;
    expect(verdict({ ...noAction, NotAction: 's3:GetObject' })).toBe('silent');
    expect(verdict({ ...noAction, NotAction: 's3:PutObject' })).toBe('deny');
    const { Resource: _r, ...noResource } = deny;
    expect(verdict({ ...noResource, NotResource: 'arn:aws:s3:::bucket/public/*' })).toBe('deny');
  });

  it('a variable stands for text, never for a pattern; one without a value matches nothing', () => {
    const home = { ...STATEMENT, Resource: 'arn:aws:s3:::bucket/${aws:username}/*' };
    const as = (name: string, resource: string): PolicyVerdict =>
      verdict(home, { resource, values: { 'aws:username': name } });
    expect(as('alice', 'bucket/alice/a')).toBe('allow');
    expect(as('*', 'bucket/alice/a')).toBe('silent');
    expect(verdict(home, { resource: 'bucket//a' })).toBe('silent');
  });
});

describe('conditions', () => {
  const under = (condition: object, values: Question['values'] = {}): boolean =>
    verdict({ ...STATEMENT, Condition: condition }, { values }) === 'allow';

  it.each<[string, object, Question['values'], boolean]>([
    ['StringEquals', { StringEquals: { 's3:prefix': ['a', 'b'] } }, { 's3:prefix': 'b' }, true],
    ['StringEquals is exact', { StringEquals: { 's3:prefix': 'a*' } }, { 's3:prefix': 'ab' }, false],
    ['StringEquals of an absent key', { StringEquals: { 's3:prefix': 'a' } }, {}, false],
    ['StringEqualsIfExists', { StringEqualsIfExists: { 's3:prefix': 'a' } }, {}, true],
    ['StringEqualsIgnoreCase', { StringEqualsIgnoreCase: { 's3:prefix': 'A' } }, { 's3:prefix': 'a' }, true],
    ['StringNotEquals', { StringNotEquals: { 's3:prefix': ['a', 'b'] } }, { 's3:prefix': 'b' }, false],
    ['StringNotEquals of an absent key', { StringNotEquals: { 's3:prefix': 'a' } }, {}, true],
    ['StringLike', { StringLike: { 'aws:Referer': 'http://a/*' } }, { 'aws:referer': 'http://a/b' }, true],
    [
      'StringNotLike',
      { StringNotLike: { 'aws:Referer': 'http://a/*' } },
      { 'aws:referer': 'http://a/b' },
      false,
    ],
    ['IpAddress', { IpAddress: { 'aws:SourceIp': '10.0.0.0/8' } }, { 'aws:sourceip': '10.1.2.3' }, true],
    [
      'IpAddress outside',
      { IpAddress: { 'aws:SourceIp': '10.0.0.0/8' } },
      { 'aws:sourceip': '11.1.2.3' },
      false,
    ],
    [
      'IpAddress v6',
      { IpAddress: { 'aws:SourceIp': '2001:db8::/32' } },
      { 'aws:sourceip': '2001:db8::1' },
      true,
    ],
    [
      'NotIpAddress',
      { NotIpAddress: { 'aws:SourceIp': '10.0.0.0/8' } },
      { 'aws:sourceip': '10.1.2.3' },
      false,
    ],
    [
      'NumericLessThanEquals',
      { NumericLessThanEquals: { 's3:max-keys': '10' } },
      { 's3:max-keys': '10' },
      true,
    ],
    ['NumericGreaterThan', { NumericGreaterThan: { 's3:max-keys': 10 } }, { 's3:max-keys': '10' }, false],
    ['a number that is none', { NumericEquals: { 's3:max-keys': 0 } }, { 's3:max-keys': '' }, false],
    [
      'DateLessThan',
      { DateLessThan: { 'aws:CurrentTime': '2030-01-01T00:00:00Z' } },
      { 'aws:currenttime': '2029-01-01T00:00:00Z' },
      true,
    ],
    ['Bool', { Bool: { 'aws:SecureTransport': 'false' } }, { 'aws:securetransport': 'false' }, true],
    ['Bool of JSON', { Bool: { 'aws:SecureTransport': true } }, { 'aws:securetransport': 'false' }, false],
    ['Null', { Null: { 's3:prefix': 'true' } }, {}, true],
    ['Null of what is there', { Null: { 's3:prefix': 'true' } }, { 's3:prefix': '' }, false],
    [
      'ForAnyValue',
      { 'ForAnyValue:StringEquals': { 's3:RequestObjectTagKeys': 'a' } },
      { 's3:requestobjecttagkeys': ['b', 'a'] },
      true,
    ],
    [
      'ForAllValues',
      { 'ForAllValues:StringEquals': { 's3:RequestObjectTagKeys': 'a' } },
      { 's3:requestobjecttagkeys': ['b', 'a'] },
      false,
    ],
    ['ForAllValues of none', { 'ForAllValues:StringEquals': { 's3:RequestObjectTagKeys': 'a' } }, {}, true],
    [
      'all of several',
      { StringEquals: { 's3:prefix': 'a', 's3:delimiter': '/' } },
      { 's3:prefix': 'a' },
      false,
    ],
  ])('%s', (_claim, condition, values, holds) => {
    expect(under(condition, values)).toBe(holds);
  });
});

describe('a policy that would not be understood is refused (MalformedPolicy)', () => {
  it.each<[string, object | string]>([
    ['no JSON', '{'],
    ['no object', '[]'],
    ['no statement', { Version: '2012-10-17' }],
    ['no statements', { Statement: [] }],
    ['an unknown version', { Version: '2020-01-01', Statement: [STATEMENT] }],
    ['an unknown field', { Statement: [{ ...STATEMENT, Extra: 1 }] }],
    ['no Effect', { Statement: [{ ...STATEMENT, Effect: undefined }] }],
    ['another Effect', { Statement: [{ ...STATEMENT, Effect: 'allow' }] }],
    ['no Principal', { Statement: [{ ...STATEMENT, Principal: undefined }] }],
    ['an empty Principal', { Statement: [{ ...STATEMENT, Principal: {} }] }],
    ['a Principal of text', { Statement: [{ ...STATEMENT, Principal: 'alice' }] }],
    ['Principal and NotPrincipal', { Statement: [{ ...STATEMENT, NotPrincipal: '*' }] }],
    [
      'Allow with NotPrincipal',
      { Statement: [{ ...STATEMENT, Principal: undefined, NotPrincipal: { AWS: 'a' } }] },
    ],
    ['an action of nobody', { Statement: [{ ...STATEMENT, Action: 's3:FlyToTheMoon' }] }],
    ['an action of another service', { Statement: [{ ...STATEMENT, Action: 'iam:*' }] }],
    ['another bucket', { Statement: [{ ...STATEMENT, Resource: 'arn:aws:s3:::other/*' }] }],
    ['no ARN', { Statement: [{ ...STATEMENT, Resource: 'bucket/*' }] }],
    ['an unknown operator', { Statement: [{ ...STATEMENT, Condition: { StringIs: { 's3:prefix': 'a' } } }] }],
    [
      'an unknown condition key',
      { Statement: [{ ...STATEMENT, Condition: { StringEquals: { 's3:colour': 'a' } } }] },
    ],
    [
      'a range that is none',
      { Statement: [{ ...STATEMENT, Condition: { IpAddress: { 'aws:SourceIp': '10.0.0.0/33' } } }] },
    ],
    [
      'a number that is none',
      { Statement: [{ ...STATEMENT, Condition: { NumericEquals: { 's3:max-keys': 'a' } } }] },
    ],
  ])('%s', (_claim, document) => {
    const text = typeof document === 'string' ? document : JSON.stringify(document);
    expect(() => parsePolicy(text, 'bucket')).toThrow(expect.objectContaining({ code: 'MalformedPolicy' }));
  });

  it('any JSON whatever is a policy or MalformedPolicy', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        try {
          parsePolicy(JSON.stringify(value), 'bucket');
        } catch (error) {
          expect(error).toMatchObject({ code: 'MalformedPolicy' });
        }
      }),
    );
  });
});

describe('the meaning of public (UserGuide "Blocking public access")', () => {
  it.each<[string, object, boolean]>([
    ['everybody', STATEMENT, true],
    ['everybody with an account', { ...STATEMENT, Principal: { AWS: '*' } }, true],
    ['one account', { ...STATEMENT, Principal: { AWS: 'alice' } }, false],
    ['everybody is denied', { ...STATEMENT, Effect: 'Deny' }, false],
    ['a fixed network', { ...STATEMENT, Condition: { IpAddress: { 'aws:SourceIp': '10.0.0.0/32' } } }, false],
    ['the whole internet', { ...STATEMENT, Condition: { IpAddress: { 'aws:SourceIp': '0.0.0.0/0' } } }, true],
    [
      'all but a network',
      { ...STATEMENT, Condition: { NotIpAddress: { 'aws:SourceIp': '10.0.0.0/8' } } },
      true,
    ],
    ['a referer', { ...STATEMENT, Condition: { StringLike: { 'aws:Referer': 'http://a/*' } } }, true],
    ['a pattern of accounts', { ...STATEMENT, Condition: { StringLike: { 'aws:PrincipalArn': '*' } } }, true],
    [
      'if it exists',
      { ...STATEMENT, Condition: { StringEqualsIfExists: { 'aws:SourceAccount': '1' } } },
      true,
    ],
  ])('%s', (_claim, statement, isPublic) => {
    expect(isPublicPolicy(policyOf(statement))).toBe(isPublic);
  });
});

describe('wildcards', () => {
  it('agree with regular expressions', () => {
    const piece = fc.constantFrom('a', 'b', '*', '?', '.');
    fc.assert(
      fc.property(fc.array(piece), fc.array(fc.constantFrom('a', 'b', '.')), (pattern, letters) => {
        const expression = pattern
          .map((part) => (part === '*' ? '.*' : part === '?' ? '.' : part === '.' ? '\\.' : part))
          .join('');
        const text = letters.join('');
        expect(matchesWildcard(pattern.join(''), text)).toBe(new RegExp(`^${expression}$`).test(text));
      }),
    );
  });

  it('a pattern made to take long does not', () => {
    expect(matchesWildcard('*a'.repeat(200) + 'b', 'a'.repeat(5_000))).toBe(false);
  });
});
