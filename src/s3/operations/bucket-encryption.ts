/**
 * GetBucketEncryption, PutBucketEncryption, DeleteBucketEncryption (S3 API reference): how new objects are encrypted that do not say so themselves: by the
 * current master key (AES256), or by one that is named (aws:kms).
 */
import type { BucketConfiguration, DefaultEncryption } from '../bucket-configuration.js';
import { NAMED_KEY, namedMasterKey, toServerAlgorithm } from '../encryption/encryption-wish.js';
import { S3Error } from '../errors.js';
import { readDocument } from '../payload/document.js';
import { NO_BODY, type S3Response } from '../response.js';
import { checkChildren, childrenNamed, childText, type XmlElement } from '../xml/parse.js';
import { element, optionalElement, textElement } from '../xml/render.js';
import type { BucketContext } from './context.js';
import { xmlAnswer } from './xml-answer.js';

export function getBucketEncryption({ bucket }: BucketContext): Promise<S3Response> {
  const { defaultEncryption } = bucket.configuration;
  if (defaultEncryption === null) {
    const details = { BucketName: bucket.name };
    return Promise.reject(new S3Error('ServerSideEncryptionConfigurationNotFoundError', { details }));
  }
  const rule = element(
    'Rule',
    element(
      'ApplyServerSideEncryptionByDefault',
      textElement('SSEAlgorithm', defaultEncryption.algorithm),
      optionalElement('KMSMasterKeyID', defaultEncryption.keyId),
    ),
    textElement('BucketKeyEnabled', false),
  );
  return Promise.resolve(xmlAnswer('ServerSideEncryptionConfiguration', rule));
}

function onlyChild(parent: XmlElement, name: string): XmlElement {
  const [child, second] = childrenNamed(parent, name);
  if (child === undefined || second !== undefined) throw new S3Error('MalformedXML');
  return child;
}

/** Bucket keys are a matter of key management services. */
function readRule(rule: XmlElement): DefaultEncryption {
  checkChildren(rule, ['ApplyServerSideEncryptionByDefault', 'BucketKeyEnabled', 'BlockedEncryptionTypes']);
  const bucketKey = childText(rule, 'BucketKeyEnabled')?.trim() ?? 'false';
  if (bucketKey !== 'true' && bucketKey !== 'false') throw new S3Error('MalformedXML');
  if (bucketKey === 'true') throw new S3Error('NotImplemented', { details: { Element: 'BucketKeyEnabled' } });
  const [blocked] = childrenNamed(rule, 'BlockedEncryptionTypes');
  const types = blocked === undefined ? [] : childrenNamed(blocked, 'EncryptionType');
  if (types.some(({ text }) => text.trim() !== 'NONE')) {
    throw new S3Error('NotImplemented', { details: { Element: 'BlockedEncryptionTypes' } });
  }
  const byDefault = onlyChild(rule, 'ApplyServerSideEncryptionByDefault');
  checkChildren(byDefault, ['SSEAlgorithm', 'KMSMasterKeyID']);
  const algorithm = childText(byDefault, 'SSEAlgorithm')?.trim();
  if (algorithm === undefined) throw new S3Error('MalformedXML');
  const serverAlgorithm = toServerAlgorithm(algorithm);
  if (serverAlgorithm === null) throw new S3Error('MalformedXML');
  const keyId = childText(byDefault, 'KMSMasterKeyID')?.trim() ?? null;
  if (keyId !== null && serverAlgorithm !== NAMED_KEY) {
    throw new S3Error('InvalidArgument', {
      message: 'a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms',
      details: { ArgumentName: 'ApplyServerSideEncryptionByDefault' },
    });
  }
  return { algorithm: serverAlgorithm, keyId };
}

function configure(context: BucketContext, defaultEncryption: DefaultEncryption | null): Promise<void> {
  return context.services.buckets.configure(context.bucket, (present): BucketConfiguration => ({
    ...present,
    defaultEncryption,
  }));
}

export async function putBucketEncryption(context: BucketContext): Promise<S3Response> {
  const root = await readDocument(context);
  if (root?.name !== 'ServerSideEncryptionConfiguration') throw new S3Error('MalformedXML');
  checkChildren(root, ['Rule']);
  const encryption = readRule(onlyChild(root, 'Rule'));
  namedMasterKey(context.services.encryption, encryption.keyId);
  await configure(context, encryption);
  return { status: 200, headers: [], body: NO_BODY };
}

export async function deleteBucketEncryption(context: BucketContext): Promise<S3Response> {
  await configure(context, null);
  return { status: 204, headers: [], body: NO_BODY };
}
