/**
 * Entity tags. A PutObject's is the MD5 of its content in hex, as clients expect. After an append or a PATCH nobody
 * has read the whole content, so its ETag is
 *
 *   hex(MD5(<ETag before> "@" <offset> "+" <MD5 of what was written, hex>)) "-" <number of writes>
 *
 * which has the shape of a multipart ETag (clients do not take it for an MD5 of the content) and differs after every
 * write, even one of the same bytes at the same place.
 */
import { createHash } from 'node:crypto';
import type { ObjectAttributes } from './attributes.js';

export function contentEtag(md5: Buffer): string {
  return md5.toString('hex');
}

export function etagAfterRangeWrite(before: ObjectAttributes, offset: number, md5: Buffer): string {
  const text = `${before.etag}@${offset}+${md5.toString('hex')}`;
  return `${createHash('md5').update(text, 'latin1').digest('hex')}-${before.writes + 1}`;
}

export function quoteEtag(etag: string): string {
  return `"${etag}"`;
}

/** An If-Match or If-None-Match value: `*`, or the tags of the list without quotes and weakness. */
export type EtagCondition = '*' | readonly string[];

const LISTED = /(?:W\/)?"([^"]*)"|([^\s,"]+)/g;

/** S3 takes unquoted tags too. */
export function parseEtagCondition(text: string): EtagCondition {
  if (text.trim() === '*') return '*';
  return Array.from(text.matchAll(LISTED), (match) => match[1] ?? match[2] ?? '');
}

export function etagMatches(condition: EtagCondition, etag: string): boolean {
  return condition === '*' || condition.includes(etag);
}
