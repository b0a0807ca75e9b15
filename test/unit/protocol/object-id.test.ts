import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compareUtf8,
  CONTAINER_BYTES_MAX,
  makeObjectId,
  OBJECT_NAME_BYTES_MAX,
  parseObjectId,
  toObjectId,
  VERSION_BYTES_MAX,
} from '../../../src/protocol/object-id.js';

const text = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 20 })
  .filter((value) => !value.includes('\u0000'));

describe('an object id', () => {
  it('says its container, name and version, also after a way through text', () => {
    fc.assert(
      fc.property(text, text, fc.option(text, { nil: '' }), (container, name, version) => {
        const id = makeObjectId(container, name, version);
        expect(parseObjectId(id)).toEqual({ container, name, version });
        expect(toObjectId(id)).toBe(id);
      }),
    );
  });

  it('takes names of exactly the limit in UTF-8 bytes, and no more', () => {
    const name = 'ä'.repeat(OBJECT_NAME_BYTES_MAX / 2);
    expect(parseObjectId(makeObjectId('bucket', name)).name).toBe(name);
    expect(() => makeObjectId('bucket', `${name}a`)).toThrow(RangeError);
    expect(() => makeObjectId('b'.repeat(CONTAINER_BYTES_MAX + 1), 'a')).toThrow(RangeError);
    expect(() => makeObjectId('bucket', 'a', 'v'.repeat(VERSION_BYTES_MAX + 1))).toThrow(RangeError);
  });

  it.each([
    ['an empty container', '', 'a', ''],
    ['an empty name', 'bucket', '', ''],
    ['NUL in the container', 'buck\u0000et', 'a', ''],
    ['NUL in the name', 'bucket', 'a\u0000b', ''],
    ['NUL in the version', 'bucket', 'a', '\u0000'],
    ['half a surrogate pair', 'bucket', '\ud800', ''],
  ])('is not made with %s', (_what, container, name, version) => {
    expect(() => makeObjectId(container, name, version)).toThrow(RangeError);
  });

  it.each(['', 'a', 'a\u0000b', 'a\u0000b\u0000c\u0000d', '\u0000b\u0000'])(
    'is not read from %j',
    (value) => {
      expect(() => toObjectId(value)).toThrow(RangeError);
    },
  );
});

describe('the order of names', () => {
  it('is that of their UTF-8 bytes, as S3 and LevelDB have it', () => {
    const anyText = fc.string({ unit: 'binary', maxLength: 12 });
    fc.assert(
      fc.property(anyText, anyText, (left, right) => {
        expect(Math.sign(compareUtf8(left, right))).toBe(
          Buffer.compare(Buffer.from(left), Buffer.from(right)),
        );
      }),
    );
  });

  it('puts a surrogate pair after U+FFFD, which UTF-16 does not', () => {
    expect(compareUtf8('\u{1f600}', '\ufffd')).toBeGreaterThan(0);
    expect(['\ufffd', '\u{1f600}'].sort()).toEqual(['\u{1f600}', '\ufffd']);
  });
});
