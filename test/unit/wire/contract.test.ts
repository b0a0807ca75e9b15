import { crc32c } from '@node-rs/crc32';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeObjectId, toObjectId } from '../../../src/protocol/object-id.js';
import { authorizationOf } from '../../../src/wire/contract.js';
import { ContentChecksum } from '../../../src/wire/content-checksum.js';
import { MalformedMessage } from '../../../src/wire/malformed-message.js';
import {
  agreeOnContract,
  CONTRACT,
  describeContractGap,
  formatContract,
  parseContract,
} from '../../../src/wire/contract-version.js';
import { encodeFrame, splitFrame } from '../../../src/wire/frame.js';
import {
  evidenceAnswer,
  evidenceRequest,
  identityAnswer,
  pushAnswer,
  reconcileRequest,
  rowsAnswer,
} from '../../../src/wire/messages.js';
import type { RemoteRange } from '../../../src/wire/osd-connection.js';
import { parseOsdUrl } from '../../../src/wire/osd-url.js';
import { decodeReads } from '../../../src/wire/reads-frame.js';
import { asEpoch, asObjectId, asTag } from '../../../src/wire/record-reader.js';
import { countOfText, objectPath, rangeOfText, rowsRequestOf } from '../../../src/wire/request-paths.js';
import { transactionChecksum, type TransactionFields } from '../../../src/wire/transaction-checksum.js';
import { decodeTransactions, encodeTransactions } from '../../../src/wire/transaction-frame.js';
import { EPOCH, itemOf, SET_ID, tagAt } from '../osd/osd-writer.js';
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

  it('schemas refuse wrong types, missing members, and bad brands', () => {
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
      { ...row, offset: undefined },
    ];
    for (const bad of wrong) expect(() => rowsAnswer.decode({ rows: [bad] })).toThrow(MalformedMessage);
    for (const bad of [null, [], 'x', 5]) expect(() => identityAnswer.decode(bad)).toThrow(MalformedMessage);
    expect(() => rowsAnswer.decodeBytes(Buffer.from('{'))).toThrow(MalformedMessage);
    expect(() => reconcileRequest.decode({})).toThrow(/order/);
  });

  it('of an answer what nobody knows here is dropped, at any depth; of a request it is refused', () => {
    const id = makeObjectId('b', 'k');
    const state = { kind: 'tombstone', lastTag: tagAt(1, 1), lastChecksum: 2 };
    const known = { objects: [{ state, rows: [], hasMoreRows: false }] };
    const newer = {
      objects: [{ state: { ...state, more: 1 }, rows: [], hasMoreRows: false, more: {} }],
      more: 1,
    };
    expect(evidenceAnswer.decode(newer)).toEqual(known);
    const newerReply = { kind: 'refused', code: 'changed', why: 'x' };
    expect(pushAnswer.decode(newerReply)).toEqual({ kind: 'refused', code: 'changed' });
    expect(() => pushAnswer.decode({ ...newerReply, code: 'a-new-word' })).toThrow(MalformedMessage);

    expect(() => evidenceRequest.decode({ epoch: 1, ids: [id], more: 1 })).toThrow(MalformedMessage);
    const batch = { setId: SET_ID, epoch: EPOCH, floor: tagAt(1, 0), clears: [] };
    const writes = [itemOf({ kind: 'remove', objectId: id, tag: tagAt(1, 1) })];
    const frame = splitFrame(encodeTransactions({ ...batch, writes })).header as {
      readonly writes: object[];
    };
    expect(() => decodeTransactions(encodeFrame({ ...frame, more: 1 }, []))).toThrow(/more/);
    const more = frame.writes.map((write) => ({ ...write, more: 1 }));
    expect(() => decodeTransactions(encodeFrame({ ...frame, writes: more }, []))).toThrow(/more/);
    const reads = { epoch: EPOCH, reads: [{ id, range: null, more: 1 }] };
    expect(() => decodeReads(Buffer.from(JSON.stringify(reads)))).toThrow(/more/);
  });
});

describe('versions of the contract', () => {
  const range = (least: number, greatest = least) => ({ least, greatest });

  it('are told in a header; whoever says nothing is of the time before there were any', () => {
    expect(parseContract(formatContract(CONTRACT))).toEqual(CONTRACT);
    expect(parseContract(undefined)).toEqual(range(1));
    for (const text of ['', '2', '3-2', '0-1', '1-2-3', '1-1000000', '1.5-2', ' 1-2'])
      expect(() => parseContract(text)).toThrow(MalformedMessage);
  });

  it('the greatest that both speak is in use; where there is none, the older side is told to go first', () => {
    expect(agreeOnContract(range(1, 3), range(2, 5))).toBe(3);
    expect(agreeOnContract(range(2, 5), range(1, 3))).toBe(3);
    expect(agreeOnContract(range(4, 5), range(3))).toBeNull();
    const here = { name: 'this gateway', speaks: range(4, 5) };
    expect(describeContractGap(here, { name: 'osd-1', speaks: range(3) })).toBe(
      'osd-1 speaks contract 3, and this gateway 4 to 5: upgrade osd-1 first',
    );
    expect(describeContractGap(here, { name: 'osd-1', speaks: range(6, 7) })).toBe(
      'osd-1 speaks contract 6 to 7, and this gateway 4 to 5: upgrade this gateway first',
    );
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
