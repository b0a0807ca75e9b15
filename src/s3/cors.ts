/** CORS configurations (UserGuide "Using cross-origin resource sharing"): their XML, and which rule a request falls under. Pure. */
import { S3Error } from './errors.js';
import { matchesWildcard } from './access/wildcard.js';
import type { BucketDocument } from './bucket-configuration.js';
import { asFields, listField, optionalText, type Fields } from './stored-fields.js';
import { checkChildren, childrenNamed, childText, type XmlElement } from './xml/parse.js';
import { document, element, optionalElement, textElement } from './xml/render.js';

export const CORS_METHODS = ['GET', 'PUT', 'HEAD', 'POST', 'DELETE'];
const RULES_MAX = 100;
const CONFIGURATION_BYTES_MAX = 64 * 1024;

export interface CorsRule {
  readonly id: string | null;
  readonly origins: readonly string[];
  readonly methods: readonly string[];
  /** Patterns of request headers, in lower case. */
  readonly headers: readonly string[];
  readonly exposed: readonly string[];
  readonly maxAgeSeconds: number | null;
}

export type CorsConfiguration = readonly CorsRule[];

function texts(item: XmlElement, name: string): readonly string[] {
  return childrenNamed(item, name).map((child) => child.text.trim());
}

function checkWildcards(name: string, values: readonly string[]): void {
  const wrong = values.find((value) => value.split('*').length > 2);
  if (wrong === undefined) return;
  throw new S3Error('InvalidRequest', {
    message: `${name} "${wrong.slice(0, 128)}" can not have more than one wildcard.`,
  });
}

function readMaxAge(item: XmlElement): number | null {
  const text = childText(item, 'MaxAgeSeconds')?.trim();
  if (text === undefined) return null;
  if (!/^\d{1,9}$/.test(text)) throw new S3Error('MalformedXML');
  return Number(text);
}

function readRule(item: XmlElement): CorsRule {
  checkChildren(item, [
    'ID',
    'AllowedHeader',
    'AllowedMethod',
    'AllowedOrigin',
    'ExposeHeader',
    'MaxAgeSeconds',
  ]);
  const rule: CorsRule = {
    id: childText(item, 'ID'),
    origins: texts(item, 'AllowedOrigin'),
    methods: texts(item, 'AllowedMethod'),
    headers: texts(item, 'AllowedHeader').map((name) => name.toLowerCase()),
    exposed: texts(item, 'ExposeHeader'),
    maxAgeSeconds: readMaxAge(item),
  };
  if (rule.origins.length === 0 || rule.methods.length === 0) throw new S3Error('MalformedXML');
  const method = rule.methods.find((name) => !CORS_METHODS.includes(name));
  if (method !== undefined) {
    throw new S3Error('InvalidRequest', {
      message: `Found unsupported HTTP method in CORS config. Unsupported method is ${method.slice(0, 32)}`,
    });
  }
  checkWildcards('AllowedOrigin', rule.origins);
  checkWildcards('AllowedHeader', rule.headers);
  // They go into response headers.
  if (![...rule.exposed, ...rule.headers].every((name) => /^[!-~]+$/.test(name)))
    throw new S3Error('MalformedXML');
  return rule;
}

/** Throws S3Error MalformedXML or InvalidRequest. */
export function readCors(root: XmlElement): CorsConfiguration {
  if (root.name !== 'CORSConfiguration') throw new S3Error('MalformedXML');
  checkChildren(root, ['CORSRule']);
  const rules = childrenNamed(root, 'CORSRule').map(readRule);
  if (rules.length === 0 || rules.length > RULES_MAX) throw new S3Error('MalformedXML');
  if (Buffer.byteLength(JSON.stringify(rules)) > CONFIGURATION_BYTES_MAX) {
    throw new S3Error('InvalidRequest', { message: 'The CORS configuration is larger than 64 KB' });
  }
  return rules;
}

export function renderCors(configuration: CorsConfiguration): string {
  const list = (name: string, values: readonly string[]): string =>
    values.map((value) => textElement(name, value)).join('');
  return document(
    'CORSConfiguration',
    ...configuration.map((rule) =>
      element(
        'CORSRule',
        optionalElement('ID', rule.id),
        list('AllowedMethod', rule.methods),
        list('AllowedOrigin', rule.origins),
        list('AllowedHeader', rule.headers),
        list('ExposeHeader', rule.exposed),
        rule.maxAgeSeconds === null ? '' : textElement('MaxAgeSeconds', rule.maxAgeSeconds),
      ),
    ),
  );
}

function textList(fields: Fields, name: string): readonly string[] {
  return listField(fields, name).filter((item) => typeof item === 'string');
}

function decodeRule(value: unknown): CorsRule {
  const fields = asFields(value);
  const { maxAgeSeconds } = fields;
  return {
    id: fields['id'] === null ? null : optionalText(fields, 'id'),
    origins: textList(fields, 'origins'),
    methods: textList(fields, 'methods'),
    headers: textList(fields, 'headers'),
    exposed: textList(fields, 'exposed'),
    maxAgeSeconds: typeof maxAgeSeconds === 'number' ? maxAgeSeconds : null,
  };
}

export const CORS_DOCUMENT: BucketDocument<CorsConfiguration> = {
  kind: 'cors',
  encode: (rules) => JSON.stringify({ rules }),
  decode: (text) => listField(asFields(JSON.parse(text)), 'rules').map(decodeRule),
};

export interface CorsRequest {
  readonly origin: string;
  readonly method: string;
  /** Of Access-Control-Request-Headers. */
  readonly headers: readonly string[];
}

/** The first rule that covers the request; null: none does. */
export function findCorsRule(configuration: CorsConfiguration, request: CorsRequest): CorsRule | null {
  const { origin, method, headers } = request;
  return (
    configuration.find(
      (rule) =>
        rule.methods.includes(method) &&
        rule.origins.some((pattern) => matchesWildcard(pattern, origin)) &&
        headers.every((name) => rule.headers.some((pattern) => matchesWildcard(pattern, name.toLowerCase()))),
    ) ?? null
  );
}
