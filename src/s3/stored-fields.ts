/** Reading the JSON that S3 keeps in the mirrored store. What does not fit is a broken invariant: only s3/ writes it. */
import { invariant } from '../protocol/invariant.js';

export type Fields = Readonly<Record<string, unknown>>;

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function asFields(value: unknown): Fields {
  invariant(isFields(value), 'a stored record is a JSON object');
  return value;
}

export function textField(fields: Fields, name: string): string {
  const value = fields[name];
  invariant(typeof value === 'string', 'a text attribute is text', { name });
  return value;
}

export function optionalText(fields: Fields, name: string): string | null {
  return fields[name] === undefined ? null : textField(fields, name);
}

export function countField(fields: Fields, name: string): number {
  const value = fields[name];
  invariant(typeof value === 'number' && Number.isSafeInteger(value), 'a number attribute is an integer', {
    name,
  });
  return value;
}

export function textMap(value: unknown): Readonly<Record<string, string>> {
  if (value === undefined) return {};
  const entries = Object.entries(asFields(value)).map(([name, text]): [string, string] => {
    invariant(typeof text === 'string', 'a map attribute holds text', { name });
    return [name, text];
  });
  return Object.fromEntries(entries);
}

/** One of a closed set of words. */
export function wordField<Word extends string>(fields: Fields, name: string, words: readonly Word[]): Word {
  const text = textField(fields, name);
  const word = words.find((candidate) => candidate === text);
  invariant(word !== undefined, 'a word attribute is one of the known words', { name, text });
  return word;
}

export function listField(fields: Fields, name: string): readonly unknown[] {
  const value = fields[name];
  if (value === undefined) return [];
  invariant(Array.isArray(value), 'a list attribute is a list', { name });
  return value;
}
