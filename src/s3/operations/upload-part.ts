/** UploadPart (S3 API reference "UploadPart"). A part that is sent again takes the place of the one before. */
import type { StagedContent } from '../../gateway/object-storage.js';
import { encodeObjectAttributes, NO_ANNOTATIONS, type ObjectAttributes } from '../attributes.js';
import { readCustomerKey, type CustomerKey } from '../encryption/customer-key.js';
import { encryptionHeaders, openSeal, UPLOAD_REFUSALS, type Seal } from '../encryption/seals.js';
import { S3Error } from '../errors.js';
import { contentEtag, quoteEtag } from '../etags.js';
import { placeOf } from '../multipart/upload-directory.js';
import { partObjectId, type UploadChecksum, type UploadRecord } from '../multipart/upload-record.js';
import type { ChecksumValue } from '../payload/checksums.js';
import type { PayloadExpectations } from '../payload/expectations.js';
import { NO_BODY, type S3Response } from '../response.js';
import type { ObjectContext } from './context.js';
import { contentExpectations, storeContent } from './store-content.js';
import { partChecksumHeaders, readPartNumber, uploadName } from './upload-target.js';

/** Throws S3Error InvalidRequest for a checksum that the upload was not begun with. */
function expectPart(stated: PayloadExpectations, upload: UploadChecksum | null): PayloadExpectations {
  if (upload === null) return stated;
  if (stated.checksum === null) return { ...stated, computes: upload.algorithm };
  if (stated.checksum.algorithm === upload.algorithm) return stated;
  throw new S3Error('InvalidRequest', {
    message: `Checksum Type mismatch occurred, expected checksum Type: ${upload.algorithm.toLowerCase()}, actual checksum Type: ${stated.checksum.algorithm.toLowerCase()}`,
  });
}

interface StoredPart {
  readonly etag: string;
  readonly checksum: ChecksumValue | null;
  /** The upload's; null: it is not encrypted. */
  readonly seal: Seal | null;
}

export interface UploadKey {
  readonly upload: UploadRecord;
  readonly seal: Seal | null;
  /** The request's; null: it brought none. */
  readonly customerKey: CustomerKey | null;
}

/** The upload with what its parts are sealed with. Throws S3Error NoSuchUpload, InvalidRequest, InvalidArgument. */
export async function openUpload(context: ObjectContext): Promise<UploadKey> {
  const { request, services } = context;
  const upload = await services.uploads.get(uploadName(context));
  const customerKey = readCustomerKey(request, services.encryption.customerKeysOverHttp);
  const seal = openSeal(upload.object, customerKey, services.encryption, UPLOAD_REFUSALS);
  return { upload, seal, customerKey };
}

/** Stores one part, under its bucket's lock. Throws S3Error NoSuchUpload, ObjectStorageError. */
export async function storePart(
  context: ObjectContext,
  partNumber: number,
  content: StagedContent,
  { etag, checksum, seal }: StoredPart,
): Promise<ObjectAttributes> {
  const { uploads, storage, clock } = context.services;
  const name = uploadName(context);
  const attributes: ObjectAttributes = {
    ...NO_ANNOTATIONS,
    etag,
    modifiedMs: clock(),
    writes: 1,
    headers: {},
    metadata: {},
    checksum,
    parts: null,
    uploadId: null,
    rename: null,
    sealing: seal === null ? null : seal.sealing,
  };
  const id = partObjectId(placeOf(name), partNumber);
  await uploads.withUpload(name, () =>
    storage.replace({ id, content, attributes: encodeObjectAttributes(attributes) }),
  );
  return attributes;
}

export async function uploadPart(context: ObjectContext): Promise<S3Response> {
  const partNumber = readPartNumber(context.request);
  const { upload, seal, customerKey } = await openUpload(context);
  const expectations = expectPart(contentExpectations(context), upload.checksum);
  const target = partObjectId(placeOf(uploadName(context)), partNumber);
  const wish = { target, expectations, seal };
  const stored = await storeContent(context, wish, (content, received) =>
    storePart(context, partNumber, content, {
      etag: contentEtag(received.md5, seal),
      checksum: received.checksum,
      seal,
    }),
  );
  return {
    status: 200,
    headers: [
      'ETag',
      quoteEtag(stored.etag),
      ...partChecksumHeaders(stored.checksum),
      ...encryptionHeaders(stored, customerKey),
    ],
    body: NO_BODY,
  };
}
