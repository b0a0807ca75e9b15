import { crc32c } from '@node-rs/crc32';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeObjectId, toObjectId } from '../../../src/protocol/object-id.js';
import { authorizationOf } from '../../../src/wire/contract.js';
import { ContentChecksum } from '../../../src/wire/content-checksum.js';
import { MalformedMessage } from '../../../src/wire/malformed-message.js';
import { identityAnswer, reconcileRequest, rowsAnswer } from '../../../src/wire/messages.js';
import type { RemoteRange } from '../../../src/wire/osd-connection.js';
import { parseOsdUrl } from '../../../src/wire/osd-url.js';
import { asEpoch, asObjectId, asTag } from '../../../src/wire/record-reader.js';
import { countOfText, objectPath, rangeOfText, rowsRequestOf } from '../../../src/wire/request-paths.js';
import { transactionChecksum, type TransactionFields } from '../../../src/wire/transaction-checksum.js';
import { tagAt, itemOf } from '../osd/osd-writer.js';
import { objectIds } from './arbitraries.js';

describe('where an OSD listens', () => {
  it.each([
    ['http://127.0.0.1:7001', 'http://127.0.0.1:7001', null],
    ['http://osd-0:7001/', 'http://osd-0:7001', null],
    ['https://osd-0', 'https://osd-0', null],
    ['unix:/run/osd 0.sock', 'http://localhost', '/run/osd 0.sock'],
    ['http+unix:/run/osd.sock', 'http://localhost', '/run/osd.sock'],
    ['http+unix://%2Frun%2fosd.sock', 'http://localhost', '/run/osd.sock'],
    ['unix:///run/osd.sock', 'http://localhost', '/run/osd.sock'],
  ])('%s is understood', (url, origin, socketPath) => {
    expect(parseOsdUrl(url)).toEqual({ origin, socketPath });
  });

  it.each([
    '',
    'ftp://x',
    'osd-0:7001',
    'unix:relative',
    'http://x/path',
    'http://u:p@x',
    'http://x/?q',
    'unix:',
  ])('%j is refused', (url) => {
    expect(() => parseOsdUrl(url)).toThrow(RangeError);
  });
});

describe('the secret', () => {
  it('is long enough, and fits into a header', () => {
    expect(authorizationOf('0123456789abcdef')).toBe('Bearer 0123456789abcdef');
    for (const secret of [
      '',
      'too-short',
      'with space in the mid',
      'line\nfeed-feed-feed',
      'ümlaut-ümlaut-ümlaut',
    ])
      expect(() => authorizationOf(secret)).toThrow(RangeError);
  });
});

describe('queries', () => {
  it('a range says the same after its journey', () => {
    const ranges: RemoteRange[] = [
      { kind: 'whole' },
      { kind: 'between', first: 0, last: 0 },
      { kind: 'between', first: 5, last: null },
      { kind: 'suffix', lengthBytes: 7 },
    ];
    for (const range of ranges) {
      const path = objectPath(makeObjectId('bucket', 'key'), range);
      const text = new URL(path, 'http://x').searchParams.get('range') ?? undefined;
      expect(rangeOfText(text)).toEqual(range);
    }
  });

  it.each(['', '-', '1', '1-2-3', 'a-b', '-1-', '01-2', '1e3-', ' 1-2', '99999999999999999-'])(
    'the range %j is refused',
    (text) => {
      expect(() => rangeOfText(text)).toThrow(MalformedMessage);
    },
  );

  it('an object id says the same after its journey', () => {
    fc.assert(
      fc.property(objectIds, (id) => {
        const { searchParams } = new URL(objectPath(id, { kind: 'whole' }), 'http://x');
        expect(asObjectId(searchParams.get('id'), 'id')).toBe(id);
        expect(toObjectId(id)).toBe(id);
      }),
    );
  });

  it('limits and cursors are strict', () => {
    expect(rowsRequestOf({ limit: '5' })).toEqual({ after: null, limit: 5 });
    for (const limit of ['0', '1001', '-1', '', undefined, ['5', '6']])
      expect(() => rowsRequestOf({ limit })).toThrow(MalformedMessage);
    expect(() => rowsRequestOf({ limit: '5', afterTag: tagAt(1, 1) })).toThrow(MalformedMessage);
    expect(() => countOfText('7', 'x', 6)).toThrow(MalformedMessage);
  });
});

describe('what comes from outside is typed once', () => {
  it('brands refuse what they do not name', () => {
    for (const tag of ['', 'A'.repeat(28), 'f'.repeat(27), 5, null])
      expect(() => asTag(tag, 'tag')).toThrow(MalformedMessage);
    for (const epoch of [-1, 1.5, 2 ** 48, '1', Number.NaN])
      expect(() => asEpoch(epoch, 'epoch')).toThrow(MalformedMessage);
    for (const id of ['', 'a', 'a\u0000b', 'a\u0000\u0000', `a\u0000${'k'.repeat(1025)}\u0000`, '\ud800'])
      expect(() => asObjectId(id, 'id')).toThrow(MalformedMessage);
  });

  it('schemas refuse wrong types, missing and unknown members, and bad brands', () => {
    const row = {
      ...{ tag: tagAt(1, 1), objectId: makeObjectId('b', 'k'), kind: 'replace', mode: 'extend' },
      ...{ offset: 0, length: 1, checksum: 2, commitSequence: 3, writtenMs: 4 },
    };
    expect(rowsAnswer.decode({ rows: [row] })).toEqual({ rows: [row] });
    const wrong: object[] = [
      { ...row, tag: 'x' },
      { ...row, objectId: 'no id' },
      { ...row, kind: 'constructor' },
      { ...row, length: -1 },
      { ...row, length: 1.5 },
      { ...row, checksum: 2 ** 32 },
      { ...row, more: 1 },
      { ...row, offset: undefined },
    ];
    for (const bad of wrong) expect(() => rowsAnswer.decode({ rows: [bad] })).toThrow(MalformedMessage);
    for (const bad of [null, [], 'x', 5]) expect(() => identityAnswer.decode(bad)).toThrow(MalformedMessage);
    expect(() => rowsAnswer.decodeBytes(Buffer.from('{'))).toThrow(MalformedMessage);
    expect(() => reconcileRequest.decode({})).toThrow(/order/);
  });
});

describe('checksums', () => {
  const { transaction } = itemOf({
    kind: 'replace',
    objectId: makeObjectId('b', 'k'),
    tag: tagAt(1, 1),
    bytes: Buffer.from('x'),
  });
  const { checksum: _checksum, ...fields } = transaction;

  it('F24: every field of a transaction, and its content, is in its checksum', () => {
    const changes: Partial<TransactionFields>[] = [
      { setId: 'other' },
      { tag: tagAt(1, 2) },
      { objectId: makeObjectId('b', 'l') },
      { kind: 'remove' },
      { mode: 'overwrite' },
      { previousTag: tagAt(1, 0) },
      { offset: 1 },
      { length: 2 },
      { attributes: null },
      { attributes: '' },
    ];
    const sums = changes.map((change) => transactionChecksum({ ...fields, ...change }, 5));
    expect(new Set([...sums, transactionChecksum(fields, 5), transactionChecksum(fields, 6)]).size).toBe(12);
  });

  it('text can not move from one field into the next', () => {
    const left = transactionChecksum({ ...fields, setId: 'a', objectId: makeObjectId('bc', 'k') }, 0);
    const right = transactionChecksum({ ...fields, setId: 'ab', objectId: makeObjectId('c', 'k') }, 0);
    expect(left).not.toBe(right);
  });

  it('content in pieces sums up to the same', () => {
    const checksum = new ContentChecksum();
    expect(checksum.value).toBe(0);
    checksum.update(Buffer.from('hello, '));
    checksum.update(Buffer.from('mirrors'));
    expect(checksum.value).toBe(crc32c('hello, mirrors'));
  });
});
