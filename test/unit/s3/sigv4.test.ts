/** AWS's published examples (S3 API reference, "Signature Calculations for the Authorization Header"), and what must be refused. */
import { describe, expect, it } from 'vitest';
import {
  authenticate,
  type AuthenticationOptions,
  type Authentication,
} from '../../../src/s3/auth/authenticate.js';
import { AuthorizationParser } from '../../../src/s3/auth/authorization-header.js';
import { fixedCredentials } from '../../../src/s3/auth/credentials.js';
import { SigningKeys } from '../../../src/s3/auth/signing-key.js';
import type { RequestBody } from '../../../src/s3/body.js';
import type { S3Error } from '../../../src/s3/errors.js';
import { DEFAULT_S3_LIMITS } from '../../../src/s3/limits.js';
import { AwsChunkedDecoder } from '../../../src/s3/payload/aws-chunked.js';
import { collectHeaders, type S3Request } from '../../../src/s3/request.js';
import { canonicalPath, canonicalQuery, parseQuery } from '../../../src/s3/uri.js';

const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const DATE = '20130524T000000Z';
const HOST = 'examplebucket.s3.amazonaws.com';
const SCOPE = 'AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request';
const NOW_MS = Date.UTC(2013, 4, 24, 0, 5);

const OPTIONS: AuthenticationOptions = {
  credentials: fixedCredentials([
    {
      accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
      secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
      ownerId: 'owner',
      displayName: 'Owner',
    },
  ]),
  signingKeys: new SigningKeys(),
  authorizations: new AuthorizationParser('us-east-1'),
  region: 'us-east-1',
  limits: DEFAULT_S3_LIMITS,
  clock: () => NOW_MS,
};

interface Example {
  readonly method: string;
  readonly path: string;
  readonly query?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly signedHeaders: string;
  readonly signature: string;
}

const NO_BODY = { isEmpty: true, lengthBytes: 0 } as unknown as RequestBody;

function toRequest(example: Example, changes: Readonly<Record<string, string | null>> = {}): S3Request {
  const authorization = `AWS4-HMAC-SHA256 Credential=${SCOPE},SignedHeaders=${example.signedHeaders},Signature=${example.signature}`;
  const headers: Record<string, string | null> = {
    ...example.headers,
    Authorization: authorization,
    ...changes,
  };
  const raw = Object.entries(headers).flatMap(([name, value]) => (value === null ? [] : [name, value]));
  const rawQuery = example.query ?? '';
  return {
    method: example.method,
    rawPath: example.path,
    rawQuery,
    query: parseQuery(rawQuery),
    target: { level: 'service' },
    headers: collectHeaders(raw, 100),
    presigned: null,
    presignedHeaders: new Set(),
    remoteAddress: null,
    isSecure: false,
    body: NO_BODY,
  };
}

const GET_OBJECT: Example = {
  method: 'GET',
  path: '/test.txt',
  headers: { Host: HOST, Range: 'bytes=0-9', 'x-amz-content-sha256': EMPTY, 'x-amz-date': DATE },
  signedHeaders: 'host;range;x-amz-content-sha256;x-amz-date',
  signature: 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
};
const PUT_OBJECT: Example = {
  method: 'PUT',
  path: '/test%24file.text',
  headers: {
    Host: HOST,
    Date: 'Fri, 24 May 2013 00:00:00 GMT',
    'x-amz-date': DATE,
    'x-amz-storage-class': 'REDUCED_REDUNDANCY',
    'x-amz-content-sha256': '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072',
  },
  signedHeaders: 'date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class',
  signature: '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
};
const GET_LIFECYCLE: Example = {
  method: 'GET',
  path: '/',
  query: 'lifecycle',
  headers: { Host: HOST, 'x-amz-date': DATE, 'x-amz-content-sha256': EMPTY },
  signedHeaders: 'host;x-amz-content-sha256;x-amz-date',
  signature: 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
};
const LIST_OBJECTS: Example = {
  ...GET_LIFECYCLE,
  query: 'max-keys=2&prefix=J',
  signature: '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
};
const CHUNKED: Example = {
  method: 'PUT',
  path: '/examplebucket/chunkObject.txt',
  headers: {
    Host: 's3.amazonaws.com',
    'x-amz-date': DATE,
    'x-amz-storage-class': 'REDUCED_REDUNDANCY',
    'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
    'Content-Encoding': 'aws-chunked',
    'x-amz-decoded-content-length': '66560',
    'Content-Length': '66824',
  },
  signedHeaders:
    'content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class',
  signature: '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9',
};
const CHUNKED_WITH_TRAILER: Example = {
  method: 'PUT',
  path: '/examplebucket/chunkObject.txt',
  headers: {
    Host: 's3.amazonaws.com',
    'x-amz-date': DATE,
    'x-amz-storage-class': 'REDUCED_REDUNDANCY',
    'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
    'Content-Encoding': 'aws-chunked',
    'x-amz-decoded-content-length': '66560',
    'x-amz-trailer': 'x-amz-checksum-crc32c',
  },
  signedHeaders:
    'content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer',
  signature: '106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e',
};

async function refusal(example: Example, changes: Readonly<Record<string, string | null>>): Promise<S3Error> {
  try {
    await authenticate(toRequest(example, changes), OPTIONS);
  } catch (error) {
    return error as S3Error;
  }
  throw new Error('the request was accepted');
}

function decodeExample(
  authentication: Authentication,
  body: Buffer,
): { content: Buffer; decoder: AwsChunkedDecoder } {
  const { payload } = authentication;
  if (payload.kind !== 'signed-chunks') throw new Error(`payload is ${payload.kind}`);
  const decoder = new AwsChunkedDecoder({
    signer: payload.signer,
    hasTrailer: payload.hasTrailer,
    decodedBytes: 66_560,
  });
  const content = Buffer.concat(decoder.push(body));
  decoder.finish();
  return { content, decoder };
}

function exampleBody(signatures: readonly [string, string, string], ending: string): Buffer {
  return Buffer.concat([
    Buffer.from(`10000;chunk-signature=${signatures[0]}\r\n`),
    Buffer.alloc(65_536, 'a'),
    Buffer.from(`\r\n400;chunk-signature=${signatures[1]}\r\n`),
    Buffer.alloc(1024, 'a'),
    Buffer.from(`\r\n0;chunk-signature=${signatures[2]}\r\n${ending}`),
  ]);
}

describe("AWS's examples are accepted (S3 API reference, Authenticating Requests)", () => {
  it.each([
    ['GET Object', GET_OBJECT],
    ['PUT Object', PUT_OBJECT],
    ['GET Bucket Lifecycle', GET_LIFECYCLE],
    ['GET Bucket (List Objects)', LIST_OBJECTS],
    ['the seed of a chunked upload', CHUNKED],
    ['the seed of a chunked upload with a trailer', CHUNKED_WITH_TRAILER],
  ])('%s', async (_name, example) => {
    const { identity } = await authenticate(toRequest(example), OPTIONS);
    expect(identity).toMatchObject({
      accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
      ownerId: 'owner',
      displayName: 'Owner',
    });
  });

  it('the chunked upload: every chunk signature verifies, and its body has the length that AWS says', async () => {
    const body = exampleBody(
      [
        'ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648',
        '0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497',
        'b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9',
      ],
      '\r\n',
    );
    expect(body).toHaveLength(66_824);
    const { content } = decodeExample(await authenticate(toRequest(CHUNKED), OPTIONS), body);
    expect(content.equals(Buffer.alloc(66_560, 'a'))).toBe(true);
  });

  it('the chunked upload with a trailer: chunk and trailer signatures verify', async () => {
    const body = exampleBody(
      [
        'b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2',
        '1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7',
        '2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992',
      ],
      'x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n',
    );
    const { content, decoder } = decodeExample(
      await authenticate(toRequest(CHUNKED_WITH_TRAILER), OPTIONS),
      body,
    );
    expect(content).toHaveLength(66_560);
    expect(decoder.trailers.get('x-amz-checksum-crc32c')).toBe('sOO8/Q==');
  });
});

describe('a request that differs from what was signed is refused', () => {
  it.each<[string, Example, Record<string, string | null>, string]>([
    ['another range', GET_OBJECT, { Range: 'bytes=0-10' }, 'SignatureDoesNotMatch'],
    [
      'another payload hash',
      GET_OBJECT,
      { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' },
      'SignatureDoesNotMatch',
    ],
    ['another host', GET_OBJECT, { Host: 'otherbucket.s3.amazonaws.com' }, 'SignatureDoesNotMatch'],
    ['another time', GET_OBJECT, { 'x-amz-date': '20130524T000001Z' }, 'SignatureDoesNotMatch'],
    ['an added x-amz- header', PUT_OBJECT, { 'x-amz-copy-source': '/b/k' }, 'AccessDenied'],
    ['an added x-amz-meta- header', PUT_OBJECT, { 'x-amz-meta-a': 'b' }, 'AccessDenied'],
    ['an added Content-Range', PUT_OBJECT, { 'Content-Range': 'bytes 0-1/*' }, 'AccessDenied'],
    ['no time', GET_OBJECT, { 'x-amz-date': null }, 'AccessDenied'],
    ['no Host', GET_OBJECT, { Host: null }, 'AccessDenied'],
  ])('%s', async (_claim, example, changes, code) => {
    expect((await refusal(example, changes)).code).toBe(code);
  });

  it('without an authorization it is nobody’s, whatever else was signed', async () => {
    const { identity, signature } = await authenticate(
      toRequest(GET_OBJECT, { Authorization: null }),
      OPTIONS,
    );
    expect([identity.isAnonymous, signature]).toEqual([true, 'none']);
  });

  it('unsigned x-amz- headers are named (403 AccessDenied, HeadersNotSigned)', async () => {
    const error = await refusal(PUT_OBJECT, { 'x-amz-acl': 'public-read', 'x-amz-meta-a': 'b' });
    expect(error.status).toBe(403);
    expect(error.message).toBe('There were headers present in the request which were not signed');
    expect(error.details).toEqual({ HeadersNotSigned: 'x-amz-acl, x-amz-meta-a' });
  });

  it('an unsigned Content-Type is no reason (restic and mc send one)', async () => {
    expect(
      await authenticate(toRequest(PUT_OBJECT, { 'Content-Type': 'text/plain' }), OPTIONS),
    ).toBeDefined();
  });

  it('SignatureDoesNotMatch shows the string to sign and the canonical request, as S3 does', async () => {
    const error = await refusal(GET_OBJECT, { Range: 'bytes=1-2' });
    expect(error.details['StringToSign']).toMatch(
      /^AWS4-HMAC-SHA256\n20130524T000000Z\n20130524\/us-east-1\/s3\/aws4_request\n[0-9a-f]{64}$/,
    );
    expect(error.details['CanonicalRequest']).toContain(
      'GET\n/test.txt\n\nhost:examplebucket.s3.amazonaws.com\nrange:bytes=1-2\n',
    );
    expect(error.details['SignatureProvided']).toBe(GET_OBJECT.signature);
    expect(error.details['StringToSignBytes']).toMatch(/^41 57 53 34 /);
  });

  it.each([
    [16, 'RequestTimeTooSkewed'],
    [-16, 'RequestTimeTooSkewed'],
  ])('a clock that is %i minutes off is too far off (15 minutes are allowed)', async (minutes, code) => {
    const options = { ...OPTIONS, clock: () => Date.UTC(2013, 4, 24, 0, minutes) };
    await expect(async () => authenticate(toRequest(GET_OBJECT), options)).rejects.toMatchObject({
      code,
      status: 403,
    });
  });

  it('a clock that is 14 minutes off is accepted', async () => {
    const options = { ...OPTIONS, clock: () => Date.UTC(2013, 4, 24, 0, 14) };
    expect(await authenticate(toRequest(GET_OBJECT), options)).toBeDefined();
  });

  it('an unknown access key is InvalidAccessKeyId', async () => {
    const options = { ...OPTIONS, credentials: fixedCredentials([]) };
    await expect(async () => authenticate(toRequest(GET_OBJECT), options)).rejects.toMatchObject({
      code: 'InvalidAccessKeyId',
      details: { AWSAccessKeyId: 'AKIAIOSFODNN7EXAMPLE' },
    });
  });

  it('another region is AuthorizationHeaderMalformed and names the right one', async () => {
    await expect(async () =>
      authenticate(toRequest(GET_OBJECT), {
        ...OPTIONS,
        region: 'eu-central-1',
        authorizations: new AuthorizationParser('eu-central-1'),
      }),
    ).rejects.toMatchObject({
      code: 'AuthorizationHeaderMalformed',
      details: { Region: 'eu-central-1' },
      message:
        "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-central-1'",
    });
  });

  const signed = 'SignedHeaders=host,Signature=' + '0'.repeat(64);
  it.each([
    ['SigV2', 'AWS AKIAIOSFODNN7EXAMPLE:frJIUN8DYpKDtOLCwo//yllqDzg=', 'InvalidRequest'],
    ['SigV4A', `AWS4-ECDSA-P256-SHA256 Credential=${SCOPE},${signed}`, 'InvalidRequest'],
    ['Basic', 'Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==', 'InvalidArgument'],
    ['nothing', '', 'InvalidArgument'],
    ['no Credential', `AWS4-HMAC-SHA256 ${signed}`, 'AuthorizationHeaderMalformed'],
    [
      'a short Credential',
      `AWS4-HMAC-SHA256 Credential=AK/s3/aws4_request,${signed}`,
      'AuthorizationHeaderMalformed',
    ],
    [
      'another service',
      `AWS4-HMAC-SHA256 Credential=AK/20130524/us-east-1/ec2/aws4_request,${signed}`,
      'AuthorizationHeaderMalformed',
    ],
    [
      'another terminal',
      `AWS4-HMAC-SHA256 Credential=AK/20130524/us-east-1/s3/aws3_request,${signed}`,
      'AuthorizationHeaderMalformed',
    ],
    [
      'no date',
      `AWS4-HMAC-SHA256 Credential=AK/today/us-east-1/s3/aws4_request,${signed}`,
      'AuthorizationHeaderMalformed',
    ],
    [
      'another day',
      `AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130523/us-east-1/s3/aws4_request,${signed}`,
      'AuthorizationHeaderMalformed',
    ],
    [
      'no SignedHeaders',
      `AWS4-HMAC-SHA256 Credential=${SCOPE},Signature=${'0'.repeat(64)}`,
      'AuthorizationHeaderMalformed',
    ],
    [
      'a short Signature',
      `AWS4-HMAC-SHA256 Credential=${SCOPE},SignedHeaders=host,Signature=00`,
      'AuthorizationHeaderMalformed',
    ],
    ['no fields', 'AWS4-HMAC-SHA256', 'AuthorizationHeaderMalformed'],
    ['commas', 'AWS4-HMAC-SHA256 ,,,', 'AuthorizationHeaderMalformed'],
  ])('an Authorization header with %s is refused', async (_claim, authorization, code) => {
    expect((await refusal(GET_OBJECT, { Authorization: authorization })).code).toBe(code);
  });

  it('SigV2 is refused in so many words', async () => {
    const error = await refusal(GET_OBJECT, { Authorization: 'AWS AK:c2lnbmF0dXJl' });
    expect(error.message).toBe(
      'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.',
    );
  });

  it.each([
    ['Bad Date', 'AccessDenied'],
    ['', 'AccessDenied'],
    ['Tue, 07 Jul 1950 21:53:04 GMT', 'AccessDenied'],
    ['Wed, 07 Jul 2010 21:53:04 GMT', 'RequestTimeTooSkewed'],
    ['Wed, 07 Jul 9999 21:53:04 GMT', 'RequestTimeTooSkewed'],
    ['Fri, 24 May 2013 00:00:00 GMT', 'InvalidRequest'],
  ])('SigV2 of the date %j is refused with %s', async (date, code) => {
    const headers = { Authorization: 'AWS AK:c2lnbmF0dXJl', 'x-amz-date': date };
    expect((await refusal(GET_OBJECT, headers)).code).toBe(code);
  });
});

describe('canonical forms (S3 encodes once and normalizes nothing)', () => {
  it.each([
    ['/bucket/a..b/../c//d/./e', '/bucket/a..b/../c//d/./e'],
    ['/b/a%20b', '/b/a%20b'],
    ['/b/a+b', '/b/a%2Bb'],
    ['/b/a%2bb%2fc', '/b/a%2Bb/c'],
    ['/b/%c3%a9', '/b/%C3%A9'],
    ['/b/%41~%7e', '/b/A~~'],
    ["/b/!'()*", '/b/%21%27%28%29%2A'],
    ['/b/%', '/b/%25'],
  ])('of the path %s is %s', (raw, canonical) => {
    expect(canonicalPath(raw)).toBe(canonical);
  });

  it.each([
    ['', ''],
    ['acl', 'acl='],
    ['b=2&a=1', 'a=1&b=2'],
    ['a-b=1&a=2', 'a=2&a-b=1'],
    ['a=2&a=1', 'a=1&a=2'],
    ['prefix=a/b c&x=%7e', 'prefix=a%2Fb%20c&x=~'],
    ['p=a+b', 'p=a%20b'],
    ['p=%2B&&q', 'p=%2B&q='],
    ['p=a=b', 'p=a%3Db'],
  ])('of the query %s is %s', (raw, canonical) => {
    expect(canonicalQuery(raw)).toBe(canonical);
  });
});

describe('the Authorization header', () => {
  const hex = (digit: string): string => digit.repeat(64);
  const start = `AWS4-HMAC-SHA256 Credential=${SCOPE}, SignedHeaders=host;x-amz-date, `;

  it('says the same the second time, but for the signature', () => {
    const parser = new AuthorizationParser('us-east-1');
    const first = parser.parse(`${start}Signature=${hex('a')}`);
    expect(parser.parse(`${start}Signature=${hex('b')}`)).toEqual({ ...first, signature: hex('b') });
    expect(parser.parse(`${start}Signature=${hex('a')}`)).toEqual(first);
  });

  it('takes no other field for the signature, however well it knows what comes before', () => {
    const parser = new AuthorizationParser('us-east-1');
    const signed = `${start}Signature=${hex('a')}, `;
    expect(parser.parse(`${signed}NoSignature=${hex('b')}`).signature).toBe(hex('a'));
    expect(parser.parse(`${signed}NoSignature=${hex('c')}`).signature).toBe(hex('a'));
    expect(parser.parse(`${signed}Signature=${hex('d')}`).signature).toBe(hex('d'));
  });

  it('is refused each time for what stands before the signature', () => {
    const parser = new AuthorizationParser('eu-central-1');
    const header = `${start}Signature=${hex('a')}`;
    for (const _time of [1, 2]) expect(() => parser.parse(header)).toThrow("the region 'us-east-1' is wrong");
  });

  it('is remembered of so many senders, and of more is parsed again', () => {
    const parser = new AuthorizationParser('us-east-1');
    for (let sender = 0; sender < 2500; sender += 1) {
      const header = `AWS4-HMAC-SHA256 Credential=K${sender}/20130524/us-east-1/s3/aws4_request,SignedHeaders=host,Signature=${hex('a')}`;
      expect(parser.parse(header).accessKeyId).toBe(`K${sender}`);
    }
  });
});
