/**
 * What buckets of Tally can't be told (website, replication, logging and so on): asking for it gets the answer of a
 * bucket that was never told, which clients know how to read; removing it is done already. Putting it stays 501.
 */
import { S3Error } from '../errors.js';
import { NO_BODY, type S3Response } from '../response.js';
import { xmlResponse } from '../xml-response.js';
import { document, textElement } from '../xml/render.js';
import type { Action, BucketContext } from './context.js';

function lacking(
  code: 'NoSuchWebsiteConfiguration' | 'ReplicationConfigurationNotFoundError',
): Action<BucketContext> {
  return ({ bucket }) => Promise.reject(new S3Error(code, { details: { BucketName: bucket.name } }));
}

export const getBucketReplication = lacking('ReplicationConfigurationNotFoundError');
export const getBucketWebsite = lacking('NoSuchWebsiteConfiguration');

function saying(...content: readonly [name: string, ...content: string[]]): Action<BucketContext> {
  return () => Promise.resolve(xmlResponse(document(...content)));
}

export const getBucketAccelerateConfiguration = saying('AccelerateConfiguration');
export const getBucketLogging = saying('BucketLoggingStatus');
export const getBucketNotificationConfiguration = saying('NotificationConfiguration');
export const getBucketRequestPayment = saying(
  'RequestPaymentConfiguration',
  textElement('Payer', 'BucketOwner'),
);

export function removeNothing(): Promise<S3Response> {
  return Promise.resolve({ status: 204, headers: [], body: NO_BODY });
}
