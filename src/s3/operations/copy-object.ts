/**
 * CopyObject (S3 API reference "CopyObject"): the copy shares the source's stored bytes. Since nobody reads them, the ETag, the parts and
 * the checksum go along with the content; only a checksum by another algorithm makes them be read (not moved).
 *
 * What is encrypted is copied so too: only its data key is wrapped anew, for the key that the copy asks for. Bytes move when one of the two is
 * encrypted and the other is not. A copy that says nothing of encryption is encrypted when its bucket says so, or when its source is, by this server.
 */
import type { StagedContent } from '../../gateway/object-storage.js';
import type { ObjectAttributes } from '../attributes.js';
import { readConditions } from '../conditions.js';
import type { CustomerKey } from '../encryption/customer-key.js';
import { asksForEncryption, readEncryptionWish, type EncryptionWish } from '../encryption/encryption-wish.js';
import { encryptionHeaders, newSeal, reseal, type Seal } from '../encryption/seals.js';
import { S3Error } from '../errors.js';
import { contentEtag, isContentEtag, quoteEtag, sealedEtag } from '../etags.js';
import { toIsoDate } from '../http-date.js';
import type { ChecksumValue } from '../payload/checksums.js';
import { checksumTypeOf } from '../payload/combined-checksums.js';
import type { S3Request } from '../request.js';
import type { S3Response } from '../response.js';
import { document, textElement, XML_CONTENT_TYPE } from '../xml/render.js';
import { commitObject, versionHeaders, type CommittedObject } from './commit-object.js';
import { objectId, type ObjectContext } from './context.js';
import { sourceChecksum, withCopySource, type CopySource } from './copy-source.js';
import { newObjectAttributes } from './put-object.js';
import { transcribe } from './transcribe.js';
import { checksumElements, readChecksumAlgorithm } from './upload-target.js';

const NOTHING_RECEIVED = { sizeBytes: 0, md5: Buffer.alloc(0), checksum: null };

type Directive = 'COPY' | 'REPLACE';

function readDirective(request: S3Request, header: string): Directive {
  const text = request.headers.get(header)?.trim() ?? 'COPY';
  if (text === 'COPY' || text === 'REPLACE') return text;
  throw new S3Error('InvalidArgument', {
    message: `Unknown directive in ${header}.`,
    details: { ArgumentName: header, ArgumentValue: text.slice(0, 64) },
  });
}

interface CopyWish {
  readonly metadata: Directive;
  readonly tagging: Directive;
}

/** UserGuide "Copying objects": onto itself only with something new. Throws S3Error InvalidRequest. */
function checkSelfCopy(request: S3Request, source: CopySource, wish: CopyWish): void {
  const changesNothing = source.isTarget && wish.metadata === 'COPY' && !asksForEncryption(request);
  if (!changesNothing) return;
  throw new S3Error('InvalidRequest', {
    message:
      "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
  });
}

async function chooseChecksum(context: ObjectContext, source: CopySource): Promise<ChecksumValue | null> {
  const algorithm = readChecksumAlgorithm(context.request);
  const { checksum } = source.attributes;
  if (algorithm === null || (checksum?.algorithm === algorithm && checksumTypeOf(checksum) === 'FULL_OBJECT'))
    return checksum;
  return sourceChecksum(context, source, { offset: 0, length: source.sizeBytes }, algorithm);
}

/** The stored bytes of a copy, and how they are to be read. */
interface CopiedContent {
  readonly content: StagedContent;
  readonly seal: Seal | null;
  /** Of the plain bytes; null: nobody has read them. */
  readonly md5: Buffer | null;
}

/** Throws S3Error as `readEncryptionWish`. */
function readCopyEncryption(context: ObjectContext, { seal }: CopySource): EncryptionWish {
  const { request, services, bucket } = context;
  const isSourceEncryptedHere = seal !== null && seal.sealing.masterKeyId !== null;
  const asItsSource = isSourceEncryptedHere ? ({ algorithm: 'AES256', keyId: null } as const) : null;
  return readEncryptionWish(
    request,
    services.encryption,
    bucket.configuration.defaultEncryption ?? asItsSource,
  );
}

async function copyContent(
  context: ObjectContext,
  source: CopySource,
  wish: EncryptionWish,
): Promise<CopiedContent> {
  const { head } = source;
  const sharesBytes = (source.seal === null) === (wish.kind === 'none');
  if (!sharesBytes) {
    const seal = newSeal(wish);
    const whole = { offset: 0, length: source.sizeBytes };
    return { ...(await transcribe(context, source, whole, { target: objectId(context), seal })), seal };
  }
  const content = context.services.storage.composeContent([
    { head, extent: { offset: 0, length: head.sizeBytes } },
  ]);
  const seal = source.seal === null || wish.kind === 'none' ? null : reseal(wish, source.seal);
  return { content, seal, md5: null };
}

function keepsKeyElsewhere(seal: Seal | null): boolean {
  return seal !== null && seal.sealing.masterKeyId === null;
}

/** An ETag that hides what it stands for goes on to do so as long as nobody has read the bytes, but no more in the shape of an MD5. */
function etagOfCopy({ attributes: { etag }, seal: from }: CopySource, { seal, md5 }: CopiedContent): string {
  if (keepsKeyElsewhere(seal)) return keepsKeyElsewhere(from) ? etag : sealedEtag(etag, seal);
  if (!keepsKeyElsewhere(from) || !isContentEtag(etag)) return etag;
  return md5 === null ? `${etag}-1` : contentEtag(md5, seal);
}

interface CopyPlan {
  readonly source: CopySource;
  readonly copied: CopiedContent;
  readonly wish: CopyWish;
  readonly checksum: ChecksumValue | null;
}

function describeCopy(context: ObjectContext, plan: CopyPlan): ObjectAttributes {
  const { source, copied, wish, checksum } = plan;
  const { attributes: from } = source;
  return {
    ...newObjectAttributes(context, copied.seal)(NOTHING_RECEIVED),
    etag: etagOfCopy(source, copied),
    writes: from.writes,
    parts: from.parts,
    checksum,
    ...(wish.metadata === 'COPY' && { headers: from.headers, metadata: from.metadata }),
    ...(wish.tagging === 'COPY' && { tags: from.tags }),
  };
}

interface Copied {
  readonly committed: CommittedObject;
  readonly customerKey: CustomerKey | null;
  readonly sourceVersionId: string | null;
}

async function copy(context: ObjectContext, source: CopySource, wish: CopyWish): Promise<Copied> {
  const { services, request, bucket } = context;
  checkSelfCopy(request, source, wish);
  const encryption = readCopyEncryption(context, source);
  const conditions = readConditions(request);
  const checksum = await chooseChecksum(context, source);
  const copied = await copyContent(context, source, encryption);
  const { content } = copied;
  try {
    const attributes = describeCopy(context, { source, copied, wish, checksum });
    const committed = await services.buckets.withBucket(bucket, () =>
      commitObject(context, { content, attributes, conditions }),
    );
    const customerKey = encryption.kind === 'customer' ? encryption.customerKey : null;
    return { committed, customerKey, sourceVersionId: source.versionId };
  } finally {
    content.discard();
  }
}

export async function copyObject(context: ObjectContext): Promise<S3Response> {
  const wish: CopyWish = {
    metadata: readDirective(context.request, 'x-amz-metadata-directive'),
    tagging: readDirective(context.request, 'x-amz-tagging-directive'),
  };
  const { committed, customerKey, sourceVersionId } = await withCopySource(context, (source) =>
    copy(context, source, wish),
  );
  const { etag, modifiedMs, checksum } = committed.attributes;
  const result = document(
    'CopyObjectResult',
    textElement('LastModified', toIsoDate(modifiedMs)),
    textElement('ETag', quoteEtag(etag)),
    checksumElements(checksum),
  );
  return {
    status: 200,
    headers: [
      'Content-Type',
      XML_CONTENT_TYPE,
      ...versionHeaders(committed),
      ...encryptionHeaders(committed.attributes, customerKey),
      ...(sourceVersionId === null ? [] : ['x-amz-copy-source-version-id', sourceVersionId]),
    ],
    body: { kind: 'bytes', bytes: result },
  };
}
