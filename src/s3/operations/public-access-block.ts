/** GetPublicAccessBlock, PutPublicAccessBlock, DeletePublicAccessBlock (S3 API reference, each by its name). */
import { BLOCKS, type Block, type BucketAccess } from '../access/settings.js';
import type { BucketConfiguration } from '../bucket-configuration.js';
import { S3Error } from '../errors.js';
import { readDocument } from '../payload/document.js';
import { NO_BODY, type S3Response } from '../response.js';
import { xmlResponse } from '../xml-response.js';
import { checkChildren, childText, type XmlElement } from '../xml/parse.js';
import { document, textElement } from '../xml/render.js';
import type { BucketContext } from './context.js';

function readBlocks(root: XmlElement | null): readonly Block[] {
  if (root?.name !== 'PublicAccessBlockConfiguration') throw new S3Error('MalformedXML');
  checkChildren(root, BLOCKS);
  return BLOCKS.filter((name) => {
    const text = childText(root, name)?.trim().toLowerCase() ?? 'false';
    if (text !== 'true' && text !== 'false') throw new S3Error('MalformedXML');
    return text === 'true';
  });
}

function withBlock(block: BucketAccess['block']): (present: BucketConfiguration) => BucketConfiguration {
  return (present) => ({ ...present, access: { ...present.access, block } });
}

export function getPublicAccessBlock({ bucket }: BucketContext): Promise<S3Response> {
  const { block } = bucket.configuration.access;
  if (block === null) {
    return Promise.reject(
      new S3Error('NoSuchPublicAccessBlockConfiguration', { details: { BucketName: bucket.name } }),
    );
  }
  const elements = BLOCKS.map((name) => textElement(name, block.includes(name)));
  return Promise.resolve(xmlResponse(document('PublicAccessBlockConfiguration', ...elements)));
}

export async function putPublicAccessBlock(context: BucketContext): Promise<S3Response> {
  const blocks = readBlocks(await readDocument(context));
  await context.services.buckets.configure(context.bucket, withBlock(blocks));
  return { status: 200, headers: [], body: NO_BODY };
}

export async function deletePublicAccessBlock({ services, bucket }: BucketContext): Promise<S3Response> {
  await services.buckets.configure(bucket, withBlock(null));
  return { status: 204, headers: [], body: NO_BODY };
}
