import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { S3Error } from '../../../src/s3/errors.js';
import { AwsChunkedDecoder } from '../../../src/s3/payload/aws-chunked.js';
import { encodeAwsChunked, makeSigner, SEED, type EncodeOptions } from './chunk-encoder.js';

const TRAILER = [['x-amz-checksum-crc32', 'AAAAAA==']] as const;
const FORMS: readonly (readonly [name: string, options: EncodeOptions])[] = [
  ['signed', { seed: SEED, trailers: null }],
  ['signed with a trailer', { seed: SEED, trailers: TRAILER }],
  ['unsigned with a trailer', { seed: null, trailers: TRAILER }],
  ['unsigned with an empty trailer', { seed: null, trailers: [] }],
];

function makeDecoder(options: EncodeOptions, decodedBytes: number): AwsChunkedDecoder {
  return new AwsChunkedDecoder({
    signer: options.seed === null ? null : makeSigner(),
    hasTrailer: options.trailers !== null,
    decodedBytes,
  });
}

function decode(options: EncodeOptions, decodedBytes: number, pieces: readonly Buffer[]): Buffer {
  const decoder = makeDecoder(options, decodedBytes);
  const content = Buffer.concat(
    pieces.map((piece) => {
      const own = Buffer.from(piece);
      const decoded = Buffer.concat(decoder.push(own));
      // Its memory is used again while the next one comes.
      own.fill(0xff);
      return decoded;
    }),
  );
  decoder.finish();
  return content;
}

/** The outcome of a decoding that may refuse. Anything thrown that is no S3Error of a client's mistake is a failure. */
function outcome(run: () => Buffer): Buffer | string {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof S3Error) || error.status >= 500) throw error;
    return error.code;
  }
}

function split(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [
    0,
    ...cuts.map((cut) => cut % (bytes.length + 1)).sort((left, right) => left - right),
    bytes.length,
  ];
  return places.slice(1).map((place, index) => bytes.subarray(places[index], place));
}

const chunksArbitrary = fc.array(
  fc.uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  {
    maxLength: 6,
  },
);
const formArbitrary = fc.constantFrom(...FORMS.map(([, options]) => options));

describe('aws-chunked decoding (S3 API reference, Transferring Payload in Multiple Chunks)', () => {
  it('any split of the input gives the same output', () => {
    fc.assert(
      fc.property(
        formArbitrary,
        chunksArbitrary,
        fc.array(fc.nat(), { maxLength: 20 }),
        (options, chunks, cuts) => {
          const content = Buffer.concat(chunks);
          const body = encodeAwsChunked(chunks, options);
          expect(decode(options, content.length, split(body, cuts)).equals(content)).toBe(true);
        },
      ),
    );
  });

  it('one byte at a time gives the same output', () => {
    for (const [, options] of FORMS) {
      const chunks = [Buffer.from('hello, '), Buffer.from('world')];
      const pieces = Array.from(encodeAwsChunked(chunks, options), (byte) => Buffer.from([byte]));
      expect(decode(options, 12, pieces).toString()).toBe('hello, world');
    }
  });

  it('no changed byte of a signed body ever gives other content', () => {
    const signed = FORMS.map(([, options]) => options).filter(({ seed }) => seed !== null);
    fc.assert(
      fc.property(
        fc.constantFrom(...signed),
        chunksArbitrary,
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (options, chunks, place, flip) => {
          const content = Buffer.concat(chunks);
          const body = encodeAwsChunked(chunks, options);
          const at = place % body.length;
          body[at] = (body[at] ?? 0) ^ flip;
          const result = outcome(() => decode(options, content.length, [body]));
          // Case of a hex size and the like say the same in another way.
          expect(typeof result === 'string' || result.equals(content)).toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('every flipped bit of the data of a signed body is refused', () => {
    const data = Buffer.from('some data to protect');
    const body = encodeAwsChunked([data], { seed: SEED, trailers: null });
    const start = body.indexOf(data);
    for (let bit = 0; bit < data.length * 8; bit += 1) {
      const changed = Buffer.from(body);
      const at = start + (bit >> 3);
      changed[at] = (changed[at] ?? 0) ^ (1 << (bit & 7));
      expect(outcome(() => decode({ seed: SEED, trailers: null }, data.length, [changed]))).toBe(
        'SignatureDoesNotMatch',
      );
    }
  });

  it.each(FORMS)('every truncation is refused: %s', (_name, options) => {
    const body = encodeAwsChunked([Buffer.from('hello'), Buffer.from(' world')], options);
    for (let length = 0; length < body.length; length += 1) {
      expect(outcome(() => decode(options, 11, [body.subarray(0, length)]))).toBe('IncompleteBody');
    }
  });

  it.each(FORMS)('anything after the end is refused: %s', (_name, options) => {
    const body = Buffer.concat([encodeAwsChunked([Buffer.from('hello')], options), Buffer.from('x')]);
    expect(outcome(() => decode(options, 5, [body]))).toBe('IncompleteBody');
  });

  it.each(FORMS)('x-amz-decoded-content-length is enforced both ways: %s', (_name, options) => {
    const body = encodeAwsChunked([Buffer.from('hello')], options);
    expect(outcome(() => decode(options, 4, [body]))).toBe('IncompleteBody');
    expect(outcome(() => decode(options, 6, [body]))).toBe('IncompleteBody');
  });

  it('chunks in another order are refused, for each signature covers the one before', () => {
    const options = { seed: SEED, trailers: null };
    const body = encodeAwsChunked([Buffer.from('aaaaa'), Buffer.from('bbbbb')], options).toString('latin1');
    const first = body.slice(0, body.indexOf('5;', 1));
    const second = body.slice(first.length, body.indexOf('0;chunk', first.length));
    const swapped = Buffer.from(body.replace(first + second, second + first), 'latin1');
    expect(outcome(() => decode(options, 10, [swapped]))).toBe('SignatureDoesNotMatch');
  });

  it('a chunk that is left out is refused', () => {
    const options = { seed: SEED, trailers: null };
    const body = encodeAwsChunked([Buffer.from('aaaaa'), Buffer.from('bbbbb')], options).toString('latin1');
    const without = Buffer.from(body.slice(body.indexOf('5;', 1)), 'latin1');
    expect(outcome(() => decode(options, 5, [without]))).toBe('SignatureDoesNotMatch');
  });

  it('the trailer of minio-go, whose lines end in LF CR LF, is read', () => {
    const decoder = makeDecoder({ seed: null, trailers: [] }, 5);
    const body = '5\r\nhello\r\n0\r\nx-amz-checksum-crc32c:AAAAAA==\n\r\n\r\n';
    expect(Buffer.concat(decoder.push(Buffer.from(body))).toString()).toBe('hello');
    decoder.finish();
    expect(decoder.trailers).toEqual(new Map([['x-amz-checksum-crc32c', 'AAAAAA==']]));
  });

  it.each([
    ['a size that is no number', 'xyz\r\nhello\r\n', 'InvalidChunkSizeError'],
    ['a negative size', '-5\r\nhello\r\n', 'InvalidChunkSizeError'],
    ['no size', '\r\nhello\r\n', 'InvalidChunkSizeError'],
    ['a size of 17 digits', '00000000000000005\r\nhello\r\n', 'InvalidChunkSizeError'],
    ['a size beyond all bounds', 'ffffffffffffffff\r\nhello\r\n', 'IncompleteBody'],
    ['a size line that never ends', '5'.repeat(5000), 'InvalidChunkSizeError'],
    ['a size line without CR', '5\nhello\r\n', 'InvalidChunkSizeError'],
    ['data that is longer than its size', '5\r\nhello!\r\n', 'InvalidChunkSizeError'],
    ['data without a line end', '5\r\nhello0\r\n', 'InvalidChunkSizeError'],
    ['an extension nobody knows', '5;a=b\r\nhello\r\n', 'InvalidChunkSizeError'],
    ['a trailer without a name', '5\r\nhello\r\n0\r\n:value\r\n\r\n', 'MalformedTrailerError'],
    ['a trailer without a colon', '5\r\nhello\r\n0\r\nvalue\r\n\r\n', 'MalformedTrailerError'],
    ['a trailer twice', '5\r\nhello\r\n0\r\na:1\r\na:2\r\n\r\n', 'MalformedTrailerError'],
    [
      'a signature in an unsigned trailer',
      '5\r\nhello\r\n0\r\nx-amz-trailer-signature:00\r\n\r\n',
      'MalformedTrailerError',
    ],
    [
      'too many trailers',
      `5\r\nhello\r\n0\r\n${Array.from({ length: 20 }, (_, n) => `a${n}:1\r\n`).join('')}\r\n`,
      'MalformedTrailerError',
    ],
  ])('of an unsigned body with %s is refused', (_claim, body, code) => {
    expect(outcome(() => decode({ seed: null, trailers: [] }, 5, [Buffer.from(body)]))).toBe(code);
  });

  it('signed chunks without a signature, and a signed trailer without one, are refused', () => {
    expect(
      outcome(() => decode({ seed: SEED, trailers: null }, 5, [Buffer.from('5\r\nhello\r\n0\r\n\r\n')])),
    ).toBe('SignatureDoesNotMatch');
    const body = encodeAwsChunked([Buffer.from('hello')], { seed: SEED, trailers: TRAILER }).toString(
      'latin1',
    );
    const unsigned = Buffer.from(body.replace(/x-amz-trailer-signature:.*\r\n/, ''), 'latin1');
    expect(outcome(() => decode({ seed: SEED, trailers: TRAILER }, 5, [unsigned]))).toBe(
      'SignatureDoesNotMatch',
    );
    const changed = Buffer.from(body.replace('AAAAAA==', 'AAAAAB=='), 'latin1');
    expect(outcome(() => decode({ seed: SEED, trailers: TRAILER }, 5, [changed]))).toBe(
      'SignatureDoesNotMatch',
    );
  });

  it('arbitrary bytes are refused or decoded, and never crash the decoder', () => {
    fc.assert(
      fc.property(formArbitrary, fc.uint8Array({ maxLength: 200 }), (options, bytes) => {
        outcome(() => decode(options, 5, [Buffer.from(bytes)]));
      }),
    );
  });
});
