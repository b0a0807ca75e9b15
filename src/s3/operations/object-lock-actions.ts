/** The actions of object lock (S3 API reference, each by its name); the rules are in versions/object-lock.ts. */
import type { Retention } from '../attributes.js';
import type { DefaultRetention } from '../bucket-configuration.js';
import { S3Error } from '../errors.js';
import { parseIsoDate, toIsoDate } from '../http-date.js';
import { readDocument } from '../payload/document.js';
import { NO_BODY, type S3Response } from '../response.js';
import {
  bypassesGovernance,
  checkRetainUntil,
  checkRetentionChange,
  requireObjectLock,
  toLegalHold,
  toRetentionMode,
} from '../versions/object-lock.js';
import { checkChildren, childrenNamed, childText, type XmlElement } from '../xml/parse.js';
import { element, textElement } from '../xml/render.js';
import { annotateObject } from './annotate-object.js';
import type { BucketContext, ObjectContext } from './context.js';
import { requireVersion } from './find-version.js';
import { xmlAnswer } from './xml-answer.js';

/** UserGuide "Object Lock considerations": up to 100 years. */
const PERIOD_MAX = { days: 36_500, years: 100 };
const INTEGER = /^[+-]?\d{1,9}$/;
const DONE: S3Response = { status: 200, headers: [], body: NO_BODY };

function onlyChild(parent: XmlElement, name: string): XmlElement | null {
  const [only, second] = childrenNamed(parent, name);
  if (second !== undefined) throw new S3Error('MalformedXML');
  return only ?? null;
}

function readPeriod(text: string, unit: 'days' | 'years'): number {
  if (!INTEGER.test(text.trim())) throw new S3Error('MalformedXML');
  const count = Number(text);
  if (count <= 0)
    throw new S3Error('InvalidRetentionPeriod', {
      message: 'Default retention period must be a positive integer value.',
    });
  if (count > PERIOD_MAX[unit])
    throw new S3Error('InvalidRetentionPeriod', { message: 'Default retention period too large.' });
  return count;
}

function readDefaultRetention(rule: XmlElement): DefaultRetention {
  checkChildren(rule, ['DefaultRetention']);
  const retention = onlyChild(rule, 'DefaultRetention');
  if (retention === null) throw new S3Error('MalformedXML');
  checkChildren(retention, ['Mode', 'Days', 'Years']);
  const mode = toRetentionMode(childText(retention, 'Mode') ?? '');
  const days = childText(retention, 'Days');
  const years = childText(retention, 'Years');
  if (mode === null) throw new S3Error('MalformedXML');
  if (days !== null && years === null) return { mode, unit: 'days', count: readPeriod(days, 'days') };
  if (years !== null && days === null) return { mode, unit: 'years', count: readPeriod(years, 'years') };
  throw new S3Error('MalformedXML');
}

export async function putObjectLockConfiguration(context: BucketContext): Promise<S3Response> {
  const root = await readDocument(context);
  if (root?.name !== 'ObjectLockConfiguration') throw new S3Error('MalformedXML');
  checkChildren(root, ['ObjectLockEnabled', 'Rule']);
  if (childText(root, 'ObjectLockEnabled') !== 'Enabled') throw new S3Error('MalformedXML');
  const rule = onlyChild(root, 'Rule');
  const defaultRetention = rule === null ? null : readDefaultRetention(rule);
  await context.services.buckets.configure(context.bucket, (present) => {
    if (present.versioning !== 'enabled') {
      throw new S3Error('InvalidBucketState', {
        message: "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration",
      });
    }
    return { ...present, objectLock: { defaultRetention } };
  });
  return DONE;
}

export function getObjectLockConfiguration({ bucket }: BucketContext): Promise<S3Response> {
  const { objectLock } = bucket.configuration;
  if (objectLock === null) {
    throw new S3Error('ObjectLockConfigurationNotFoundError', { details: { BucketName: bucket.name } });
  }
  const retention = objectLock.defaultRetention;
  const rule =
    retention === null
      ? ''
      : element(
          'Rule',
          element(
            'DefaultRetention',
            textElement('Mode', retention.mode),
            textElement(retention.unit === 'days' ? 'Days' : 'Years', retention.count),
          ),
        );
  return Promise.resolve(
    xmlAnswer('ObjectLockConfiguration', textElement('ObjectLockEnabled', 'Enabled'), rule),
  );
}

/** An empty Retention takes it off, where that is allowed. */
function readRetention(root: XmlElement | null, nowMs: number): Retention | null {
  if (root?.name !== 'Retention') throw new S3Error('MalformedXML');
  checkChildren(root, ['Mode', 'RetainUntilDate']);
  const mode = childText(root, 'Mode');
  const until = childText(root, 'RetainUntilDate');
  if (mode === null && until === null) return null;
  const known = toRetentionMode(mode ?? '');
  const untilMs = parseIsoDate(until ?? '');
  if (known === null || untilMs === null) throw new S3Error('MalformedXML');
  checkRetainUntil(untilMs, nowMs);
  return { mode: known, untilMs };
}

export async function putObjectRetention(context: ObjectContext): Promise<S3Response> {
  requireObjectLock(context.bucket.configuration);
  const nowMs = context.services.clock();
  const retention = readRetention(await readDocument(context), nowMs);
  const bypasses = bypassesGovernance(context.request);
  await annotateObject(context, (before) => {
    checkRetentionChange(before, retention, { nowMs, bypasses });
    return { ...before, retention };
  });
  return DONE;
}

export async function getObjectRetention(context: ObjectContext): Promise<S3Response> {
  requireObjectLock(context.bucket.configuration);
  const { retention } = (await requireVersion(context)).attributes;
  if (retention === null)
    throw new S3Error('NoSuchObjectLockConfiguration', { details: { Key: context.key } });
  return xmlAnswer(
    'Retention',
    textElement('Mode', retention.mode),
    textElement('RetainUntilDate', toIsoDate(retention.untilMs)),
  );
}

export async function putObjectLegalHold(context: ObjectContext): Promise<S3Response> {
  requireObjectLock(context.bucket.configuration);
  const root = await readDocument(context);
  if (root?.name !== 'LegalHold') throw new S3Error('MalformedXML');
  checkChildren(root, ['Status']);
  const legalHold = toLegalHold(childText(root, 'Status') ?? '');
  if (legalHold === null) throw new S3Error('MalformedXML');
  await annotateObject(context, (before) => ({ ...before, legalHold }));
  return DONE;
}

export async function getObjectLegalHold(context: ObjectContext): Promise<S3Response> {
  requireObjectLock(context.bucket.configuration);
  const { legalHold } = (await requireVersion(context)).attributes;
  if (legalHold === null)
    throw new S3Error('NoSuchObjectLockConfiguration', { details: { Key: context.key } });
  return xmlAnswer('LegalHold', textElement('Status', legalHold));
}
