import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ANSWER_HEADERS_BYTES_MAX, AnswerParser } from '../../../src/wire/answer-parser.js';
import { MalformedMessage } from '../../../src/wire/malformed-message.js';

interface Heard {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly trailers: Readonly<Record<string, string>> | null;
  readonly isReusable: boolean;
}

/** What is heard of an answer that comes in these pieces. */
function hear(pieces: readonly Buffer[]): Heard {
  let status = 0;
  let headers = {};
  let trailers: Record<string, string> | null = null;
  const body: Buffer[] = [];
  const parser = new AnswerParser({
    onHead: (heardStatus, fields) => {
      status = heardStatus;
      headers = Object.fromEntries(fields);
    },
    onPiece: (piece) => {
      expect(piece.length).toBeGreaterThan(0);
      body.push(piece);
    },
    onEnd: (fields) => {
      trailers = Object.fromEntries(fields);
    },
  });
  for (const piece of pieces) parser.feed(piece);
  return {
    ...{ status, headers, trailers },
    ...{ body: Buffer.concat(body).toString('latin1'), isReusable: parser.isReusable },
  };
}

const hearText = (text: string): Heard => hear([Buffer.from(text, 'latin1')]);

const CHUNKED = [
  'HTTP/1.1 200 OK',
  'Content-Type: application/vnd.frame',
  'Transfer-Encoding: chunked',
  'Trailer: tally-error',
  '',
  '5',
  'he\r\no',
  '1A',
  'abcdefghijklmnopqrstuvwxyz',
  '0',
  'tally-error: damaged',
  '',
  '',
].join('\r\n');
const COUNTED = 'HTTP/1.1 404 \r\ncontent-length: 3\r\nconnection: close\r\n\r\n\r\n\n';

describe('an answer', () => {
  it('in chunks: head, body and trailers', () => {
    expect(hearText(CHUNKED)).toEqual({
      status: 200,
      headers: {
        'content-type': 'application/vnd.frame',
        'transfer-encoding': 'chunked',
        trailer: 'tally-error',
      },
      body: 'he\r\noabcdefghijklmnopqrstuvwxyz',
      trailers: { 'tally-error': 'damaged' },
      isReusable: true,
    });
  });

  it('of a known length, on a connection that ends with it', () => {
    expect(hearText(COUNTED)).toMatchObject({ status: 404, body: '\r\n\n', trailers: {}, isReusable: false });
    expect(hearText('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')).toMatchObject({
      body: '',
      trailers: {},
    });
  });

  it('is the same in whatever pieces it comes', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(CHUNKED, COUNTED),
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
        (text, lengths) => {
          const bytes = Buffer.from(text, 'latin1');
          const pieces: Buffer[] = [];
          for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
            const end = at + (lengths[turn % lengths.length] ?? 1);
            pieces.push(bytes.subarray(at, end));
            at = end;
          }
          expect(hear(pieces)).toEqual(hear([bytes]));
        },
      ),
    );
  });

  it('that is cut short has no end', () => {
    for (let length = 1; length < CHUNKED.length; length += 1) {
      const { trailers, isReusable } = hearText(CHUNKED.slice(0, length));
      expect({ trailers, isReusable }).toEqual({ trailers: null, isReusable: false });
    }
  });
});

describe('what no OSD sends is malformed:', () => {
  const head = 'HTTP/1.1 200 OK\r\n';
  const chunked = `${head}transfer-encoding: chunked\r\n\r\n`;
  it.each([
    ['another protocol', 'HTTP/2 200\r\n'],
    ['an interim answer', 'HTTP/1.1 100 Continue\r\n\r\n'],
    ['a line without CR', 'HTTP/1.1 200 OK\n'],
    ['a header without a name', `${head}: value\r\n`],
    ['a header that goes on', `${head}a: b\r\n c\r\n`],
    ['a body to the end of the connection', `${head}\r\n`],
    ['a body of two lengths', `${head}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n`],
    ['a length that comes twice', `${head}content-length: 1\r\ncontent-length: 2\r\n\r\n`],
    ['a length that is none', `${head}content-length: -1\r\n\r\n`],
    ['another coding', `${head}transfer-encoding: gzip\r\n\r\n`],
    ['a chunk with an extension', `${chunked}5;name=value\r\n`],
    ['a chunk without a length', `${chunked}\r\n`],
    ['a chunk that is longer than it says', `${chunked}1\r\nab\r\n`],
    ['bytes behind the end', `${head}content-length: 1\r\n\r\nab`],
    ['a head without end', `${head}a: ${'b'.repeat(ANSWER_HEADERS_BYTES_MAX)}`],
  ])('%s', (_what, text) => {
    expect(() => hearText(text)).toThrow(MalformedMessage);
  });
});
