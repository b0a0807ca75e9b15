/**
 * What the campaign sends: arbitrary requests which are malformed in one way each. An arbitrary yields a plain description, which
 * fast-check can print and shrink; `encodeCase` makes bytes of it, since signatures need the time and the server's address.
 */
import fc from 'fast-check';
import { createHmac } from 'node:crypto';
import type { OperationName } from '../../src/s3/operations/names.js';
import type { S3Access } from '../support/s3-client.js';
import { encodeAwsChunked } from '../unit/s3/chunk-encoder.js';
import {
  encodeRequest,
  encodeSigned,
  type HeaderPairs,
  type PlainRequest,
  signRequest,
} from './signed-request.js';
import {
  ALL_OPERATIONS,
  FUZZ_KEY,
  type FuzzTarget,
  OPERATIONS_WITH_DOCUMENTS,
  validRequest,
} from './valid-requests.js';

/** A change of one thing in a request that is valid otherwise. */
type Spoiling =
  | { readonly what: 'method'; readonly to: string }
  | { readonly what: 'path'; readonly append: string }
  | { readonly what: 'query'; readonly append: string }
  | { readonly what: 'header'; readonly name: string; readonly value: string }
  | { readonly what: 'body-byte'; readonly at: number; readonly to: number }
  | { readonly what: 'body-cut'; readonly keep: number }
  | { readonly what: 'body'; readonly text: string };

export type FuzzCase =
  | { readonly kind: 'bytes'; readonly text: string }
  | { readonly kind: 'odd'; readonly request: OddRequest; readonly isSigned: boolean }
  /** The change is made before (`isSigned`) or after signing. */
  | {
      readonly kind: 'spoiled';
      readonly operation: OperationName;
      readonly spoiling: Spoiling;
      readonly isSigned: boolean;
    }
  | { readonly kind: 'chunked'; readonly body: ChunkedBody }
  | { readonly kind: 'framing'; readonly headers: HeaderPairs; readonly body: string }
  | { readonly kind: 'document'; readonly operation: OperationName; readonly text: string }
  | { readonly kind: 'form'; readonly form: OddForm }
  | { readonly kind: 'pipelined'; readonly count: number; readonly garbage: string }
  | { readonly kind: 'gone'; readonly operation: OperationName; readonly keep: number };

interface OddRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: HeaderPairs;
  readonly body: string;
}

interface ChunkedBody {
  readonly isSigned: boolean;
  readonly hasTrailer: boolean;
  readonly chunks: readonly string[];
  readonly decodedLength: number | null;
  readonly spoil: { readonly at: number; readonly remove: number; readonly insert: string } | null;
}

interface OddForm {
  readonly boundary: string;
  readonly fields: readonly (readonly [string, string])[];
  readonly policy: string | null;
  readonly isSigned: boolean;
  readonly tail: string;
}

const SECRET_BYTE = fc.integer({ min: 0, max: 255 });
/** Text of one character a byte. */
const anyBytes = (maxLength: number): fc.Arbitrary<string> =>
  fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes).toString('latin1'));
/** What may stand in a header without ending it. */
const headerText = fc.oneof(
  { weight: 3, arbitrary: fc.string({ maxLength: 40 }) },
  { weight: 2, arbitrary: anyBytes(40).map((text) => text.replaceAll(/[\r\n\0]/g, '')) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      ...[
        '',
        ' ',
        '-1',
        '0',
        '1e9',
        '99999999999999999999',
        'NaN',
        'bytes=0-',
        'bytes=5-1',
        'bytes=-0',
        'bytes=0-0,2-3',
      ],
      ...['*', '"', '""', 'W/"x"', ',', 'AAAAAA==', 'chunked', 'gzip', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD'],
      ...[
        'Thu, 01 Jan 1970 00:00:00 GMT',
        'yesterday',
        '2026-01-01T00:00:00Z',
        '/',
        '//',
        '/%',
        '/b/k?versionId=%ff',
      ],
    ),
  },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 20_000 }).map((length) => 'x'.repeat(length)) },
);
const HEADER_NAMES = [
  ...[
    'range',
    'if-match',
    'if-none-match',
    'if-modified-since',
    'if-unmodified-since',
    'content-md5',
    'content-type',
  ],
  ...[
    'content-encoding',
    'content-range',
    'content-disposition',
    'cache-control',
    'expires',
    'expect',
    'origin',
  ],
  ...[
    'authorization',
    'x-amz-date',
    'date',
    'x-amz-content-sha256',
    'x-amz-decoded-content-length',
    'x-amz-trailer',
  ],
  ...[
    'x-amz-copy-source',
    'x-amz-copy-source-range',
    'x-amz-copy-source-if-match',
    'x-amz-metadata-directive',
  ],
  ...['x-amz-acl', 'x-amz-grant-read', 'x-amz-tagging', 'x-amz-tagging-directive', 'x-amz-storage-class'],
  ...[
    'x-amz-checksum-crc32',
    'x-amz-checksum-sha256',
    'x-amz-checksum-algorithm',
    'x-amz-sdk-checksum-algorithm',
  ],
  ...['x-amz-checksum-type', 'x-amz-mp-object-size', 'x-amz-write-offset-bytes', 'x-amz-object-lock-mode'],
  ...['x-amz-object-lock-retain-until-date', 'x-amz-object-lock-legal-hold', 'x-amz-server-side-encryption'],
  ...[
    'x-amz-server-side-encryption-customer-algorithm',
    'x-amz-expected-bucket-owner',
    'x-amz-object-attributes',
  ],
  ...[
    'x-amz-max-parts',
    'x-amz-part-number-marker',
    'x-amz-meta-a',
    'x-amz-meta-',
    'x-amz-security-token',
    'x-amz-nobody',
  ],
  ...[
    'x-amz-bypass-governance-retention',
    'x-amz-website-redirect-location',
    'x-amz-rename-source',
    'x-amz-mfa',
  ],
  ...['transfer-encoding', 'connection', 'te', 'trailer', 'upgrade', 'host', 'cookie', 'x-forwarded-for'],
] as const;
const headerName = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...HEADER_NAMES) },
  { weight: 1, arbitrary: fc.stringMatching(/^[a-z][a-z-]{0,20}$/) },
);
const header = fc.tuple(headerName, headerText);

const pathPiece = fc.oneof(
  fc.constantFrom(
    ...[
      '%ff',
      '%00',
      '\0',
      '%',
      '%2',
      '%zz',
      '..',
      '.',
      '/',
      '//',
      '%2e%2e',
      '%2F',
      '\\',
      '+',
      ' ',
      '\u00e9',
      '%C3%A9',
      '%ED%A0%80',
    ],
    ...[
      'fuzz-objects',
      FUZZ_KEY,
      'a',
      '*',
      '%EF%BF%BF',
      '%F0%9F%90%98',
      '#',
      '@',
      ':',
      ';',
      '&',
      '=',
      '~',
      '%7F',
      '%0d%0a',
    ],
  ),
  anyBytes(6).map((text) => text.replaceAll(/[\r\n ?]/g, '')),
  fc.integer({ min: 900, max: 1100 }).map((length) => 'k'.repeat(length)),
);
const path = fc.array(pathPiece, { maxLength: 6 }).map((pieces) => pieces.join(''));
const QUERY_NAMES = [
  ...[
    'acl',
    'cors',
    'policy',
    'versionId',
    'uploadId',
    'uploads',
    'partNumber',
    'tagging',
    'delete',
    'list-type',
    'versions',
  ],
  ...[
    'prefix',
    'delimiter',
    'marker',
    'max-keys',
    'continuation-token',
    'start-after',
    'encoding-type',
    'key-marker',
  ],
  ...[
    'version-id-marker',
    'upload-id-marker',
    'max-uploads',
    'max-parts',
    'part-number-marker',
    'fetch-owner',
  ],
  ...[
    'response-content-type',
    'response-expires',
    'retention',
    'legal-hold',
    'lifecycle',
    'attributes',
    'max-buckets',
  ],
  ...[
    'X-Amz-Algorithm',
    'X-Amz-Signature',
    'X-Amz-Credential',
    'X-Amz-Expires',
    'X-Amz-Date',
    'x-amz-acl',
    'x-id',
    'Signature',
  ],
] as const;
const queryField = fc
  .tuple(fc.oneof(fc.constantFrom(...QUERY_NAMES), pathPiece), fc.option(fc.oneof(pathPiece, headerText)))
  .map(([name, value]) => (value === null ? name : `${name}=${value}`).replaceAll(/[\s#]/g, '+'));
const query = fc.array(queryField, { minLength: 1, maxLength: 4 }).map((fields) => fields.join('&'));
const METHODS = ['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'PATCH', 'OPTIONS'];
const method = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...METHODS) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('TRACE', 'PROPFIND', 'LOCK', 'get', 'M-SEARCH', 'CONNECT', 'BREW', ''),
  },
  { weight: 1, arbitrary: fc.stringMatching(/^[A-Z]{1,12}$/) },
);
const operation = fc.constantFrom(...ALL_OPERATIONS);

const oddRequest: fc.Arbitrary<OddRequest> = fc.record({
  method,
  target: fc
    .tuple(path, fc.option(query))
    .map(([left, right]) => `/${left}${right === null ? '' : `?${right}`}`),
  headers: fc.array(header, { maxLength: 6 }),
  body: anyBytes(200),
});

const spoiling: fc.Arbitrary<Spoiling> = fc.oneof(
  fc.record({ what: fc.constant('method' as const), to: method }),
  fc.record({ what: fc.constant('path' as const), append: path }),
  fc.record({ what: fc.constant('query' as const), append: query }),
  fc.record({ what: fc.constant('header' as const), name: headerName, value: headerText }),
  fc.record({ what: fc.constant('body-byte' as const), at: fc.nat(400), to: SECRET_BYTE }),
  fc.record({ what: fc.constant('body-cut' as const), keep: fc.nat(300) }),
  fc.record({ what: fc.constant('body' as const), text: anyBytes(300) }),
);

const chunkedBody: fc.Arbitrary<ChunkedBody> = fc.record({
  isSigned: fc.boolean(),
  hasTrailer: fc.boolean(),
  chunks: fc.array(anyBytes(64), { maxLength: 4 }),
  decodedLength: fc.option(fc.oneof(fc.nat(300), fc.constantFrom(-1, 2 ** 53))),
  spoil: fc.option(
    fc.record({
      at: fc.nat(600),
      remove: fc.nat(20),
      insert: fc.oneof(
        anyBytes(20),
        fc.constantFrom('\r\n', 'ffffffffffffffff', ';chunk-signature=', '0', '-1\r\n', '00000010\r\n'),
      ),
    }),
  ),
});

const framing = fc.record({
  kind: fc.constant('framing' as const),
  headers: fc.array(
    fc.oneof(
      fc.tuple(
        fc.constant('content-length'),
        fc.oneof(
          fc.constantFrom('', '-1', '+1', '0x10', '1,1', '1 1', '9'.repeat(30), '5368709121'),
          fc.nat(400).map(String),
        ),
      ),
      fc.tuple(
        fc.constant('transfer-encoding'),
        fc.constantFrom(
          'chunked',
          'gzip',
          'gzip, chunked',
          'chunked, chunked',
          'identity',
          ' chunked',
          'xchunked',
        ),
      ),
      header,
    ),
    { maxLength: 4 },
  ),
  body: fc.oneof(
    anyBytes(300),
    fc.constantFrom('5\r\nhello\r\n0\r\n\r\n', '5\r\nhel', 'zz\r\n', '5;ext=1\r\nhello\r\n0\r\nA: b\r\n\r\n'),
  ),
});

const documentText = fc.oneof(
  fc.constantFrom(
    '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;&b;">]><Delete><Object><Key>&c;</Key></Object></Delete>',
    '<!DOCTYPE a SYSTEM "file:///etc/passwd"><Tagging/>',
    '<?xml version="1.0" encoding="UTF-16"?><Tagging/>',
    '<a xmlns:b="c"><b:d></b:e></a>',
    '<Tagging><TagSet><Tag><Key>&#0;</Key><Value>&#xD800;</Value></Tag></TagSet></Tagging>',
    '<![CDATA[',
    '',
    ' ',
    '<a/><a/>',
    '\xff\xfe<\0a\0/\0>\0',
  ),
  fc.integer({ min: 1, max: 20_000 }).map((depth) => '<a>'.repeat(depth)),
  fc
    .integer({ min: 1, max: 20_000 })
    .map((count) => `<Delete>${'<Object><Key>k</Key></Object>'.repeat(count)}</Delete>`),
  fc.integer({ min: 1, max: 60_000 }).map((length) => `<Tagging a="${'x'.repeat(length)}"/>`),
  anyBytes(300),
);

const oddForm: fc.Arbitrary<OddForm> = fc.record({
  boundary: fc.oneof(fc.constant('border'), fc.constantFrom('', '"', 'a b', 'x'.repeat(300))),
  fields: fc.array(
    fc.tuple(
      fc.oneof(
        fc.constantFrom(
          'key',
          'file',
          'acl',
          'success_action_status',
          'success_action_redirect',
          'tagging',
          'x-amz-meta-a',
          'policy',
          'x-amz-signature',
          'bucket',
        ),
        fc.string({ maxLength: 20 }),
      ),
      fc.oneof(
        anyBytes(60),
        fc.constantFrom('${filename}', 'k', '201', 'http://a.test/?', '\0', '\r\n--border\r\n'),
      ),
    ),
    { maxLength: 6 },
  ),
  policy: fc.option(
    fc.oneof(
      anyBytes(60),
      fc.constantFrom('{', '[]', 'null', '{"expiration":1}', '{"expiration":"2099-01-01T00:00:00Z"}'),
      fc.json().map((conditions) => `{"expiration":"2099-01-01T00:00:00Z","conditions":${conditions}}`),
      fc.constant(
        '{"expiration":"2099-01-01T00:00:00.000Z","conditions":[["starts-with","$key",""],["content-length-range",0,9]]}',
      ),
    ),
  ),
  isSigned: fc.boolean(),
  tail: fc.oneof(fc.constant('\r\n--border--\r\n'), fc.constant(''), anyBytes(20)),
});

export const fuzzCase: fc.Arbitrary<FuzzCase> = fc.oneof(
  { weight: 1, arbitrary: anyBytes(300).map((text) => ({ kind: 'bytes' as const, text })) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('odd' as const), request: oddRequest, isSigned: fc.boolean() }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('spoiled' as const),
      operation,
      spoiling,
      isSigned: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('chunked' as const), body: chunkedBody }) },
  { weight: 2, arbitrary: framing },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('document' as const),
      operation: fc.constantFrom(...OPERATIONS_WITH_DOCUMENTS),
      text: documentText,
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('form' as const), form: oddForm }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('pipelined' as const),
      count: fc.integer({ min: 1, max: 5 }),
      garbage: anyBytes(100),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('gone' as const), operation, keep: fc.nat(900) }),
  },
);

function spoil(request: PlainRequest, change: Spoiling): PlainRequest {
  const { body, target } = request;
  switch (change.what) {
    case 'method':
      return { ...request, method: change.to };
    case 'path': {
      const [path, ...rest] = target.split('?');
      return { ...request, target: [`${path ?? ''}${change.append}`, ...rest].join('?') };
    }
    case 'query':
      return { ...request, target: `${target}${target.includes('?') ? '&' : '?'}${change.append}` };
    case 'header':
      return { ...request, headers: [...request.headers, [change.name, change.value]] };
    case 'body-byte': {
      const changed = Buffer.from(body);
      if (changed.length > 0) changed[change.at % changed.length] = change.to;
      return { ...request, body: changed };
    }
    case 'body-cut':
      return { ...request, body: body.subarray(0, change.keep) };
    case 'body':
      return { ...request, body: Buffer.from(change.text, 'latin1') };
  }
}

function encodeSpoiled(
  { operation: name, spoiling: change, isSigned }: FuzzCase & { kind: 'spoiled' },
  target: FuzzTarget,
  access: S3Access,
): Buffer {
  const valid = validRequest(name, target);
  if (isSigned) return encodeSigned(spoil(valid, change), access);
  const signed = signRequest(valid, access).headers;
  const { method: verb, target: changed, headers, body } = spoil({ ...valid, headers: signed }, change);
  return encodeRequest(verb, changed, [...headers, ['content-length', String(body.length)]], body);
}

function encodeChunkedCase(body: ChunkedBody, target: FuzzTarget, access: S3Access): Buffer {
  const chunks = body.chunks.filter((text) => text !== '').map((text) => Buffer.from(text, 'latin1'));
  const decoded = body.decodedLength ?? Buffer.concat(chunks).length;
  const payload = body.isSigned
    ? `STREAMING-AWS4-HMAC-SHA256-PAYLOAD${body.hasTrailer ? '-TRAILER' : ''}`
    : 'STREAMING-UNSIGNED-PAYLOAD-TRAILER';
  const headers: (readonly [string, string])[] = [
    ['x-amz-decoded-content-length', String(decoded)],
    ['content-encoding', 'aws-chunked'],
  ];
  if (body.hasTrailer) headers.push(['x-amz-trailer', 'x-amz-checksum-crc32']);
  const request = {
    method: 'PUT',
    target: `/${target.objects}/chunked`,
    headers,
    body: Buffer.alloc(0),
    payload,
  };
  const signed = signRequest(request, access);
  let encoded = encodeAwsChunked(chunks, {
    seed: body.isSigned ? signed.seed : null,
    trailers: body.hasTrailer ? [['x-amz-checksum-crc32', 'AAAAAA==']] : null,
  });
  if (body.spoil !== null) {
    const at = body.spoil.at % (encoded.length + 1);
    const rest = encoded.subarray(at + body.spoil.remove);
    encoded = Buffer.concat([encoded.subarray(0, at), Buffer.from(body.spoil.insert, 'latin1'), rest]);
  }
  const length = ['content-length', String(encoded.length)] as const;
  return encodeRequest('PUT', request.target, [...signed.headers, length], encoded);
}

function encodeForm(form: OddForm, target: FuzzTarget, access: S3Access): Buffer {
  const fields: (readonly [string, string])[] = [];
  if (form.policy !== null) {
    const policy = Buffer.from(form.policy, 'latin1').toString('base64');
    const signature = createHmac('sha1', access.secretAccessKey).update(policy).digest('base64');
    fields.push(['policy', policy], ['AWSAccessKeyId', access.accessKeyId]);
    fields.push(['signature', form.isSigned ? signature : 'AAAA']);
  }
  const parts = [...fields, ...form.fields].map(
    ([name, value]) =>
      `--border\r\nContent-Disposition: form-data; name="${name}"${name === 'file' ? '; filename="f"' : ''}\r\n\r\n${value}\r\n`,
  );
  const body = Buffer.from(`${parts.join('')}${form.tail}`, 'latin1');
  const headers: HeaderPairs = [
    ['host', new URL(access.endpoint).host],
    ['content-type', `multipart/form-data; boundary=${form.boundary}`],
    ['content-length', String(body.length)],
  ];
  return encodeRequest('POST', `/${target.objects}`, headers, body);
}

function encodeOdd(request: OddRequest, isSigned: boolean, access: S3Access): Buffer {
  const body = Buffer.from(request.body, 'latin1');
  if (isSigned) return encodeSigned({ ...request, body, payload: null }, access);
  const framed: HeaderPairs = [
    ...request.headers,
    ['host', 'localhost'],
    ['content-length', String(body.length)],
  ];
  return encodeRequest(request.method, request.target, framed, body);
}

function encodePipelined(count: number, garbage: string, target: FuzzTarget, access: S3Access): Buffer {
  const one = encodeSigned(validRequest('GetObject', target), access);
  return Buffer.concat([...Array.from({ length: count }, () => one), Buffer.from(garbage, 'latin1')]);
}

export function encodeCase(fuzz: FuzzCase, target: FuzzTarget, access: S3Access): Buffer {
  switch (fuzz.kind) {
    case 'bytes':
      return Buffer.from(fuzz.text, 'latin1');
    case 'odd':
      return encodeOdd(fuzz.request, fuzz.isSigned, access);
    case 'spoiled':
      return encodeSpoiled(fuzz, target, access);
    case 'chunked':
      return encodeChunkedCase(fuzz.body, target, access);
    case 'framing': {
      const body = Buffer.from(fuzz.body, 'latin1');
      const plain = { method: 'PUT', target: `/${target.objects}/framed`, headers: fuzz.headers, body };
      const { headers } = signRequest({ ...plain, payload: 'UNSIGNED-PAYLOAD' }, access);
      return encodeRequest('PUT', plain.target, headers, body);
    }
    case 'document': {
      const body = Buffer.from(fuzz.text, 'latin1');
      return encodeSigned({ ...validRequest(fuzz.operation, target), body }, access);
    }
    case 'form':
      return encodeForm(fuzz.form, target, access);
    case 'pipelined':
      return encodePipelined(fuzz.count, fuzz.garbage, target, access);
    case 'gone':
      return encodeSigned(validRequest(fuzz.operation, target), access).subarray(0, fuzz.keep);
  }
}
