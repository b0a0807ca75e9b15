/**
 * Entity tags. A PutObject's is the MD5 of its content in hex, as clients expect. After an append or a PATCH nobody
 * has read the whole content, so its ETag is
 *
 *   hex(MD5(<ETag before> "@" <offset> "+" <MD5 of what was written, hex>)) "-" <number of writes>
 *
 * which has the shape of a multipart ETag (clients do not take it for an MD5 of the content) and differs after every
 * write, even one of the same bytes at the same place.
 *
 * Of what is encrypted with a customer's key an ETag tells nothing: it is a keyed digest of what it would have been, in the same shape.
 */
import { createHash } from 'node:crypto';
import type { ObjectAttributes } from './attributes.js';
import type { Seal } from './encryption/seals.js';

export function contentEtag(md5: Buffer, seal: Seal | null): string {
  return sealedEtag(md5.toString('hex'), seal);
}

const WITH_COUNT = /-\d+$/;

/** The ETag that takes the place of this one when content is sealed. */
export function sealedEtag(etag: string, seal: Seal | null): string {
  if (seal?.sealing.masterKeyId !== null) return etag;
  return seal.dataKey.digest(etag) + (WITH_COUNT.exec(etag)?.[0] ?? '');
}

export function etagAfterRangeWrite(before: ObjectAttributes, offset: number, md5: Buffer): string {
  const text = `${before.etag}@${offset}+${md5.toString('hex')}`;
  return `${createHash('md5').update(text, 'latin1').digest('hex')}-${before.writes + 1}`;
}

/** Of a completed multipart upload: hex(MD5(the parts' MD5s)) "-" <parts>. */
export function multipartEtag(partEtags: readonly string[]): string {
  const hash = createHash('md5');
  for (const etag of partEtags) hash.update(Buffer.from(etag, 'hex'));
  return `${hash.digest('hex')}-${partEtags.length}`;
}

/** A part that was copied and never read: has the shape of an MD5, and follows from what was copied. */
export function copiedPartEtag(source: ObjectAttributes, offset: number, lengthBytes: number): string {
  return createHash('md5').update(`${source.etag}@${offset}+${lengthBytes}`, 'latin1').digest('hex');
}

const PLAIN_MD5 = /^[0-9a-f]{32}$/;

/** False for what was appended to, patched or uploaded in parts. */
export function isContentEtag(etag: string): boolean {
  return PLAIN_MD5.test(etag);
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
