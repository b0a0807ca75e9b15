/**
 * Percent-encoding as S3 does it: names are UTF-8, unreserved is `A-Za-z0-9-._~`, `+` is a plus in a path and a space in
 * a query. Raw text comes from node as one character a byte (latin1).
 */
import { S3Error } from './errors.js';

const UNRESERVED = /^[A-Za-z0-9\-._~]$/;
const PLAIN_PATH = /^[A-Za-z0-9\-._~/]*$/;
const PLAIN_VALUE = /^[A-Za-z0-9\-._~]*$/;
const HIGH = /[\u0080-\u00ff]/g;

function encodedByte(byte: number, keep: string): string {
  const character = String.fromCharCode(byte);
  if (UNRESERVED.test(character) || keep.includes(character)) return character;
  return '%' + byte.toString(16).toUpperCase().padStart(2, '0');
}

const ENCODED_IN_PATH: readonly string[] = Array.from({ length: 256 }, (_, byte) => encodedByte(byte, '/'));
const ENCODED_IN_QUERY: readonly string[] = Array.from({ length: 256 }, (_, byte) => encodedByte(byte, ''));

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

function reencode(raw: string, table: readonly string[], plusIsSpace: boolean): string {
  let text = '';
  for (let index = 0; index < raw.length; index += 1) {
    let byte = raw.charCodeAt(index) & 0xff;
    if (byte === 0x25 && index + 2 < raw.length) {
      const high = hexDigit(raw.charCodeAt(index + 1));
      const low = hexDigit(raw.charCodeAt(index + 2));
      if (high >= 0 && low >= 0) {
        byte = high * 16 + low;
        index += 2;
      }
    } else if (byte === 0x2b && plusIsSpace) {
      byte = 0x20;
    }
    text += table[byte] ?? '';
  }
  return text;
}

/** The CanonicalURI of SigV4 for S3: each byte encoded once, `/` kept, nothing normalized. */
export function canonicalPath(rawPath: string): string {
  return PLAIN_PATH.test(rawPath) ? rawPath : reencode(rawPath, ENCODED_IN_PATH, false);
}

function canonicalValue(raw: string): string {
  return PLAIN_VALUE.test(raw) ? raw : reencode(raw, ENCODED_IN_QUERY, true);
}

function compareText(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

/** The CanonicalQueryString of SigV4: sorted by name, then by value. */
export function canonicalQuery(rawQuery: string): string {
  if (rawQuery === '') return '';
  const pairs: [name: string, value: string][] = [];
  for (const field of rawQuery.split('&')) {
    if (field === '') continue;
    const equals = field.indexOf('=');
    const name = equals < 0 ? field : field.slice(0, equals);
    pairs.push([canonicalValue(name), equals < 0 ? '' : canonicalValue(field.slice(equals + 1))]);
  }
  pairs.sort((left, right) => compareText(left[0], right[0]) || compareText(left[1], right[1]));
  return pairs.map(([name, value]) => `${name}=${value}`).join('&');
}

/** Percent-encoding of text for `encoding-type=url` answers; `/` is kept. */
export function encodeName(text: string): string {
  return PLAIN_PATH.test(text)
    ? text
    : reencode(Buffer.from(text, 'utf8').toString('latin1').replaceAll('%', '%25'), ENCODED_IN_PATH, false);
}

/** Decodes percent-encoded UTF-8. Throws S3Error InvalidURI for a broken escape and for bytes that are no UTF-8. */
export function decodePercent(raw: string): string {
  if (!raw.includes('%') && raw.search(HIGH) < 0) return raw;
  try {
    return decodeURIComponent(
      raw.replace(HIGH, (character) => ENCODED_IN_PATH[character.charCodeAt(0)] ?? ''),
    );
  } catch (cause) {
    throw new S3Error('InvalidURI', { cause });
  }
}

const NO_QUERY: ReadonlyMap<string, string> = new Map();

/** Parses a query. Throws S3Error: InvalidURI as `decodePercent`, InvalidArgument when a name comes twice. */
export function parseQuery(rawQuery: string): ReadonlyMap<string, string> {
  if (rawQuery === '') return NO_QUERY;
  const query = new Map<string, string>();
  for (const field of rawQuery.split('&')) {
    if (field === '') continue;
    const equals = field.indexOf('=');
    const name = decodePercent((equals < 0 ? field : field.slice(0, equals)).replaceAll('+', ' '));
    const value = equals < 0 ? '' : decodePercent(field.slice(equals + 1).replaceAll('+', ' '));
    if (query.has(name)) {
      throw new S3Error('InvalidArgument', {
        message: 'A query parameter is given more than once.',
        details: { ArgumentName: name },
      });
    }
    query.set(name, value);
  }
  return query;
}
