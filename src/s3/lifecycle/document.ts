/**
 * The lifecycle configuration as clients write it (S3 API reference "PutBucketLifecycleConfiguration") and as it is stored: its
 * rules as JSON, one document of the bucket. There is one storage class, so transitions are refused as not implemented.
 */
import { randomBytes } from 'node:crypto';
import { decodeTagSet, type BucketDocument, type TagSet } from '../bucket-configuration.js';
import { S3Error } from '../errors.js';
import { parseIsoDate, toIsoDate } from '../http-date.js';
import { asFields, countField, listField, textField, wordField, type Fields } from '../stored-fields.js';
import { checkObjectTags, readTag } from '../tagging.js';
import { checkChildren, childrenNamed, childText, type XmlElement } from '../xml/parse.js';
import { element, optionalElement, textElement } from '../xml/render.js';
import { DAY_MS, type Expiration, type LifecycleFilter, type LifecycleRule } from './rules.js';

const RULES_MAX = 1000;
const ID_LENGTH_MAX = 255;
const PREFIX_LENGTH_MAX = 1024;
const NEWER_VERSIONS_MAX = 100;
const INTEGER = /^[+-]?\d{1,15}$/;
const TRANSITIONS = ['Transition', 'NoncurrentVersionTransition'];
const ACTIONS = ['Expiration', 'NoncurrentVersionExpiration', 'AbortIncompleteMultipartUpload'];
const NO_FILTER: LifecycleFilter = { prefix: '', tags: [], sizeGreaterThan: null, sizeLessThan: null };

function malformed(): S3Error {
  return new S3Error('MalformedXML');
}

function invalidArgument(message: string): S3Error {
  return new S3Error('InvalidArgument', { message });
}

function invalidRequest(message: string): S3Error {
  return new S3Error('InvalidRequest', { message });
}

function onlyChild(parent: XmlElement, name: string): XmlElement | null {
  const [only, second] = childrenNamed(parent, name);
  if (second !== undefined) throw malformed();
  return only ?? null;
}

function readInteger(parent: XmlElement, name: string): number | null {
  const text = childText(parent, name)?.trim();
  if (text === undefined) return null;
  if (!INTEGER.test(text)) throw malformed();
  return Number(text);
}

function readPositive(parent: XmlElement, name: string, action: string): number | null {
  const count = readInteger(parent, name);
  if (count !== null && count <= 0) {
    throw invalidArgument(`'${name}' for ${action} action must be a positive integer`);
  }
  return count;
}

function readSize(parent: XmlElement, name: string): number | null {
  const size = readInteger(parent, name);
  if (size !== null && size < 0) throw invalidArgument(`'${name}' must not be negative`);
  return size;
}

/** One level of a filter: Filter itself, or And in it. */
function readPredicates(item: XmlElement, tagName: readonly string[]): LifecycleFilter {
  const tags = tagName.flatMap((name) => childrenNamed(item, name)).map(readTag);
  return {
    prefix: childText(item, 'Prefix') ?? '',
    tags,
    sizeGreaterThan: readSize(item, 'ObjectSizeGreaterThan'),
    sizeLessThan: readSize(item, 'ObjectSizeLessThan'),
  };
}

/** Both must hold. Throws S3Error MalformedXML where one has no answer to that. */
function both(left: LifecycleFilter, right: LifecycleFilter): LifecycleFilter {
  const isWithin = left.prefix.startsWith(right.prefix) || right.prefix.startsWith(left.prefix);
  if (!isWithin) throw malformed();
  return {
    prefix: left.prefix.length > right.prefix.length ? left.prefix : right.prefix,
    tags: [...left.tags, ...right.tags],
    sizeGreaterThan: left.sizeGreaterThan ?? right.sizeGreaterThan,
    sizeLessThan: left.sizeLessThan ?? right.sizeLessThan,
  };
}

/** AWS wants one predicate, or And with several; several without And are taken as And, as Ceph does. */
function readFilter(item: XmlElement): LifecycleFilter {
  const names = ['Prefix', 'ObjectSizeGreaterThan', 'ObjectSizeLessThan', 'Tag'];
  checkChildren(item, [...names, 'And']);
  if (childrenNamed(item, 'Tag').length > 1) throw malformed();
  const outer = readPredicates(item, ['Tag']);
  const and = onlyChild(item, 'And');
  if (and === null) return outer;
  checkChildren(and, names);
  return both(outer, readPredicates(and, ['Tag']));
}

function checkFilter(filter: LifecycleFilter): LifecycleFilter {
  const { prefix, tags, sizeGreaterThan, sizeLessThan } = filter;
  if (Buffer.byteLength(prefix) > PREFIX_LENGTH_MAX) {
    throw invalidRequest(`The maximum size of a prefix is ${PREFIX_LENGTH_MAX}.`);
  }
  const keys = new Set(tags.map(([key]) => key));
  if (keys.size < tags.length) throw invalidRequest('Duplicate Tag Keys are not allowed.');
  if (sizeGreaterThan !== null && sizeLessThan !== null && sizeGreaterThan >= sizeLessThan) {
    throw invalidRequest('ObjectSizeLessThan has to be a value greater than ObjectSizeGreaterThan.');
  }
  checkObjectTags(tags);
  return filter;
}

function readDate(text: string, action: string): number {
  const dateMs = parseIsoDate(text);
  if (dateMs === null) throw malformed();
  if (dateMs % DAY_MS !== 0) throw invalidArgument(`'Date' must be at midnight GMT (${action})`);
  return dateMs;
}

function readExpiration(item: XmlElement): Expiration {
  checkChildren(item, ['Days', 'Date', 'ExpiredObjectDeleteMarker']);
  if (item.children.length !== 1) throw malformed();
  const days = readPositive(item, 'Days', 'Expiration');
  if (days !== null) return { kind: 'days', days };
  const date = childText(item, 'Date');
  if (date !== null) return { kind: 'date', dateMs: readDate(date, 'Expiration') };
  if (childText(item, 'ExpiredObjectDeleteMarker')?.trim().toLowerCase() !== 'true') throw malformed();
  return { kind: 'delete-markers' };
}

function readNoncurrent(item: XmlElement): LifecycleRule['noncurrent'] {
  checkChildren(item, ['NoncurrentDays', 'NewerNoncurrentVersions']);
  const action = 'NoncurrentVersionExpiration';
  const days = readPositive(item, 'NoncurrentDays', action);
  const newerVersions = readPositive(item, 'NewerNoncurrentVersions', action);
  if (days === null) throw malformed();
  if (newerVersions !== null && newerVersions > NEWER_VERSIONS_MAX) {
    throw invalidArgument(`'NewerNoncurrentVersions' must be at most ${NEWER_VERSIONS_MAX}`);
  }
  return { days, newerVersions };
}

function readAbort(item: XmlElement): number {
  checkChildren(item, ['DaysAfterInitiation']);
  const days = readPositive(item, 'DaysAfterInitiation', 'AbortIncompleteMultipartUpload');
  if (days === null) throw malformed();
  return days;
}

function refuseTransitions(item: XmlElement): void {
  for (const transition of TRANSITIONS.flatMap((name) => childrenNamed(item, name))) {
    const date = childText(transition, 'Date');
    if (date !== null) readDate(date, 'Transition');
    throw new S3Error('NotImplemented', { details: { Element: transition.name } });
  }
}

function readId(item: XmlElement): string {
  const id = childText(item, 'ID') ?? '';
  if (id.length > ID_LENGTH_MAX) {
    throw invalidArgument(`ID length should not exceed allowed limit of ${ID_LENGTH_MAX}`);
  }
  return id === '' ? randomBytes(24).toString('base64url') : id;
}

function checkRule(rule: LifecycleRule): LifecycleRule {
  const { filter, expiration, noncurrent, abortDays } = rule;
  if (expiration === null && noncurrent === null && abortDays === null) {
    throw invalidRequest('At least one action needs to be specified in a rule');
  }
  const hasSizes = filter.sizeGreaterThan !== null || filter.sizeLessThan !== null;
  if (expiration?.kind === 'delete-markers' && (filter.tags.length > 0 || hasSizes)) {
    throw invalidRequest('ExpiredObjectDeleteMarker cannot be specified with Tags or object sizes.');
  }
  if (abortDays !== null && (filter.tags.length > 0 || hasSizes)) {
    throw invalidRequest('AbortIncompleteMultipartUpload cannot be specified with Tags or object sizes.');
  }
  return rule;
}

function readRule(item: XmlElement): LifecycleRule {
  checkChildren(item, ['ID', 'Status', 'Prefix', 'Filter', ...ACTIONS, ...TRANSITIONS]);
  const status = childText(item, 'Status');
  if (status !== 'Enabled' && status !== 'Disabled') throw malformed();
  const oldPrefix = childText(item, 'Prefix');
  const filter = onlyChild(item, 'Filter');
  if ((oldPrefix === null) === (filter === null)) throw malformed();
  const expiration = onlyChild(item, 'Expiration');
  const noncurrent = onlyChild(item, 'NoncurrentVersionExpiration');
  const abort = onlyChild(item, 'AbortIncompleteMultipartUpload');
  const id = readId(item);
  refuseTransitions(item);
  return checkRule({
    id,
    isEnabled: status === 'Enabled',
    filter: checkFilter(filter === null ? { ...NO_FILTER, prefix: oldPrefix ?? '' } : readFilter(filter)),
    hasOldForm: filter === null,
    expiration: expiration === null ? null : readExpiration(expiration),
    noncurrent: noncurrent === null ? null : readNoncurrent(noncurrent),
    abortDays: abort === null ? null : readAbort(abort),
  });
}

/** Throws S3Error MalformedXML, InvalidArgument, InvalidRequest or NotImplemented. */
export function readLifecycle(root: XmlElement | null): readonly LifecycleRule[] {
  if (root?.name !== 'LifecycleConfiguration') throw malformed();
  checkChildren(root, ['Rule']);
  if (root.children.length === 0 || root.children.length > RULES_MAX) throw malformed();
  const rules = root.children.map(readRule);
  if (new Set(rules.map(({ id }) => id)).size < rules.length) {
    throw invalidArgument('Rule ID must be unique. Found same ID for more than one rule');
  }
  return rules;
}

function tagElement([key, value]: TagSet[number]): string {
  return element('Tag', textElement('Key', key), textElement('Value', value));
}

function filterElement({ prefix, tags, sizeGreaterThan, sizeLessThan }: LifecycleFilter): string {
  const sizes = [
    sizeGreaterThan === null ? '' : textElement('ObjectSizeGreaterThan', sizeGreaterThan),
    sizeLessThan === null ? '' : textElement('ObjectSizeLessThan', sizeLessThan),
  ].filter((text) => text !== '');
  const predicates = [...tags.map(tagElement), ...sizes];
  if (prefix !== '' || predicates.length === 0) predicates.unshift(textElement('Prefix', prefix));
  return element('Filter', predicates.length > 1 ? element('And', ...predicates) : predicates.join(''));
}

function expirationElement(expiration: Expiration | null): string {
  switch (expiration?.kind) {
    case undefined:
      return '';
    case 'days':
      return element('Expiration', textElement('Days', expiration.days));
    case 'date':
      return element('Expiration', textElement('Date', toIsoDate(expiration.dateMs)));
    case 'delete-markers':
      return element('Expiration', textElement('ExpiredObjectDeleteMarker', true));
  }
}

export function ruleElement(rule: LifecycleRule): string {
  const { id, isEnabled, filter, hasOldForm, expiration, noncurrent, abortDays } = rule;
  const newer = noncurrent?.newerVersions ?? null;
  return element(
    'Rule',
    textElement('ID', id),
    hasOldForm ? textElement('Prefix', filter.prefix) : filterElement(filter),
    textElement('Status', isEnabled ? 'Enabled' : 'Disabled'),
    expirationElement(expiration),
    noncurrent === null
      ? ''
      : element(
          'NoncurrentVersionExpiration',
          optionalElement('NewerNoncurrentVersions', newer === null ? null : String(newer)),
          textElement('NoncurrentDays', noncurrent.days),
        ),
    abortDays === null
      ? ''
      : element('AbortIncompleteMultipartUpload', textElement('DaysAfterInitiation', abortDays)),
  );
}

function optionalCount(fields: Fields, name: string): number | null {
  return fields[name] === null ? null : countField(fields, name);
}

function decodeExpiration(value: unknown): Expiration | null {
  if (value === null) return null;
  const fields = asFields(value);
  const kind = wordField(fields, 'kind', ['days', 'date', 'delete-markers'] as const);
  if (kind === 'days') return { kind, days: countField(fields, 'days') };
  return kind === 'date' ? { kind, dateMs: countField(fields, 'dateMs') } : { kind };
}

function decodeNoncurrent(value: unknown): LifecycleRule['noncurrent'] {
  if (value === null) return null;
  const fields = asFields(value);
  return { days: countField(fields, 'days'), newerVersions: optionalCount(fields, 'newerVersions') };
}

function decodeRule(value: unknown): LifecycleRule {
  const fields = asFields(value);
  const filter = asFields(fields['filter']);
  return {
    id: textField(fields, 'id'),
    isEnabled: fields['isEnabled'] === true,
    filter: {
      prefix: textField(filter, 'prefix'),
      tags: decodeTagSet(filter, 'tags'),
      sizeGreaterThan: optionalCount(filter, 'sizeGreaterThan'),
      sizeLessThan: optionalCount(filter, 'sizeLessThan'),
    },
    hasOldForm: fields['hasOldForm'] === true,
    expiration: decodeExpiration(fields['expiration']),
    noncurrent: decodeNoncurrent(fields['noncurrent']),
    abortDays: optionalCount(fields, 'abortDays'),
  };
}

/** `{"v":1,"rules":[…]}`, the rules field by field. */
export const LIFECYCLE: BucketDocument<readonly LifecycleRule[]> = {
  kind: 'lifecycle',
  encode: (rules) => JSON.stringify({ v: 1, rules }),
  decode: (text) => listField(asFields(JSON.parse(text)), 'rules').map(decodeRule),
};
