/** GetBucketVersioning and PutBucketVersioning (S3 API reference). */
import type { BucketConfiguration } from '../bucket-configuration.js';
import { S3Error } from '../errors.js';
import { readDocument } from '../payload/document.js';
import { NO_BODY, type S3Response } from '../response.js';
import { checkChildren, childText } from '../xml/parse.js';
import { textElement } from '../xml/render.js';
import type { BucketContext } from './context.js';
import { xmlAnswer } from './xml-answer.js';

type Versioning = BucketConfiguration['versioning'];
const STATUSES: Record<Versioning, string | null> = {
  unversioned: null,
  enabled: 'Enabled',
  suspended: 'Suspended',
};

/** A bucket that never had versioning has an empty configuration. */
export function getBucketVersioning({ bucket }: BucketContext): Promise<S3Response> {
  const status = STATUSES[bucket.configuration.versioning];
  return Promise.resolve(
    xmlAnswer('VersioningConfiguration', status === null ? '' : textElement('Status', status)),
  );
}

function toVersioning(status: string | null): Versioning {
  if (status === 'Enabled') return 'enabled';
  if (status === 'Suspended') return 'suspended';
  if (status === null) {
    throw new S3Error('IllegalVersioningConfigurationException', {
      message: 'The Versioning element must be specified',
    });
  }
  throw new S3Error('MalformedXML');
}

export async function putBucketVersioning(context: BucketContext): Promise<S3Response> {
  const root = await readDocument(context);
  if (root?.name !== 'VersioningConfiguration') throw new S3Error('MalformedXML');
  checkChildren(root, ['Status', 'MfaDelete']);
  if (childText(root, 'MfaDelete') === 'Enabled') {
    throw new S3Error('NotImplemented', { details: { Element: 'MfaDelete' } });
  }
  const versioning = toVersioning(childText(root, 'Status'));
  await context.services.buckets.configure(context.bucket, (present) => {
    if (present.objectLock !== null && versioning !== 'enabled') {
      throw new S3Error('InvalidBucketState', {
        message:
          'An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.',
      });
    }
    return { ...present, versioning };
  });
  return { status: 200, headers: [], body: NO_BODY };
}
