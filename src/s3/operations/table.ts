/**
 * The operation table: every S3 operation, which requests it is, and what Tally does about it. It is a full Record, so an
 * operation that is named and missing here does not compile. README's table is made from `describeOperations`.
 */
import { CHECKSUM_ALGORITHMS, CHECKSUMS } from '../payload/checksums.js';
import { abortMultipartUpload } from './abort-multipart-upload.js';
import { ACL_HEADERS } from '../access/acl-wire.js';
import { appendObject } from './append-object.js';
import { getBucketAcl, putBucketAcl } from './bucket-acl.js';
import { createBucket, deleteBucket, getBucketLocation, headBucket, listBuckets } from './bucket-actions.js';
import { deleteBucketEncryption, getBucketEncryption, putBucketEncryption } from './bucket-encryption.js';
import { deleteBucketCors, getBucketCors, putBucketCors } from './bucket-cors.js';
import {
  deleteBucketPolicy,
  getBucketPolicy,
  getBucketPolicyStatus,
  putBucketPolicy,
} from './bucket-policy.js';
import { completeMultipartUpload } from './complete-multipart-upload.js';
import { copyObject } from './copy-object.js';
import { createMultipartUpload } from './create-multipart-upload.js';
import { deleteBucketLifecycle, getBucketLifecycle, putBucketLifecycle } from './bucket-lifecycle.js';
import { deleteBucketTagging, getBucketTagging, putBucketTagging } from './bucket-tagging.js';
import { getBucketVersioning, putBucketVersioning } from './bucket-versioning.js';
import { deleteObject, deleteObjects } from './delete-object.js';
import { getObjectAttributes } from './get-object-attributes.js';
import { getObject, headObject } from './get-object.js';
import { listMultipartUploads } from './list-multipart-uploads.js';
import { listObjectVersions } from './list-object-versions.js';
import { listObjects, listObjectsV2 } from './list-objects.js';
import { listParts } from './list-parts.js';
import { OPERATION_NAMES, type OperationName } from './names.js';
import { getObjectAcl, putObjectAcl } from './object-acl.js';
import {
  deleteBucketOwnershipControls,
  getBucketOwnershipControls,
  putBucketOwnershipControls,
} from './ownership-controls.js';
import { postObject } from './post-object.js';
import { preflight } from './preflight.js';
import {
  deletePublicAccessBlock,
  getPublicAccessBlock,
  putPublicAccessBlock,
} from './public-access-block.js';
import * as unset from './unset-configuration.js';
import { honours, match, missing, type Method, type Operation } from './operation.js';
import {
  getObjectLegalHold,
  getObjectLockConfiguration,
  getObjectRetention,
  putObjectLegalHold,
  putObjectLockConfiguration,
  putObjectRetention,
} from './object-lock-actions.js';
import { deleteObjectTagging, getObjectTagging, putObjectTagging } from './object-tagging.js';
import { patchObject } from './patch-object.js';
import { putObject } from './put-object.js';
import { RENAME_HEADERS, renameObject } from './rename-object.js';
import { uploadPartCopy } from './upload-part-copy.js';
import { uploadPart } from './upload-part.js';
import { CUSTOMER_KEY_HEADERS, SOURCE_CUSTOMER_KEY_HEADERS } from '../encryption/customer-key.js';
import { ENCRYPTION_HEADERS, WRITE_ONLY_HEADERS } from '../encryption/encryption-wish.js';
import { BYPASS_HEADERS, LOCK_HEADERS } from '../versions/object-lock.js';
import type { TargetLevel } from '../request.js';

const CHECKSUM_HEADERS = CHECKSUM_ALGORITHMS.map((algorithm) => CHECKSUMS[algorithm].header);
const PAYLOAD_HEADERS = [
  ...CHECKSUM_HEADERS,
  'x-amz-decoded-content-length',
  'x-amz-sdk-checksum-algorithm',
  'x-amz-trailer',
];
const RESPONSE_OVERRIDES = [
  'response-cache-control',
  'response-content-disposition',
  'response-content-encoding',
  'response-content-language',
  'response-content-type',
  'response-expires',
];
/** s3fs says of plain writes, too, that the metadata is to be what comes along. */
const METADATA_DIRECTIVE = 'x-amz-metadata-directive';
/** What a new object may be told besides its content. */
const OBJECT_HEADERS = [...ACL_HEADERS, 'x-amz-storage-class', 'x-amz-tagging', ...LOCK_HEADERS];
const WRITE_HEADERS = [...PAYLOAD_HEADERS, ...OBJECT_HEADERS];
const COPY_CONDITIONS = [
  'x-amz-copy-source-if-match',
  'x-amz-copy-source-if-modified-since',
  'x-amz-copy-source-if-none-match',
  'x-amz-copy-source-if-unmodified-since',
  'x-amz-source-expected-bucket-owner',
];
const COPY_HEADERS = [
  ...COPY_CONDITIONS,
  'x-amz-checksum-algorithm',
  METADATA_DIRECTIVE,
  'x-amz-tagging-directive',
];
const DELETE_CONDITIONS = ['x-amz-if-match-last-modified-time', 'x-amz-if-match-size'];
const LIST_QUERY = ['prefix', 'delimiter', 'max-keys', 'encoding-type'];
/** Ceph's gateway has it: any order will do. Ours is one. */
const ANY_ORDER = 'allow-unordered';

const READS = honours(
  [...RESPONSE_OVERRIDES, 'partNumber', 'versionId'],
  ['x-amz-checksum-mode', ...WRITE_ONLY_HEADERS, ...CUSTOMER_KEY_HEADERS],
);

export const OPERATIONS: Record<OperationName, Operation> = {
  AbortMultipartUpload: {
    kind: 'object',
    match: match('DELETE', 'object', ['uploadId']),
    honours: honours([], ['x-amz-if-match-initiated-time']),
    act: abortMultipartUpload,
  },
  AppendObject: {
    kind: 'object',
    match: match('PUT', 'object', [], 'x-amz-write-offset-bytes'),
    honours: honours([], WRITE_HEADERS, true),
    act: appendObject,
  },
  CompleteMultipartUpload: {
    kind: 'object',
    match: match('POST', 'object', ['uploadId']),
    honours: honours(
      [],
      [...PAYLOAD_HEADERS, ...CUSTOMER_KEY_HEADERS, 'x-amz-checksum-type', 'x-amz-mp-object-size'],
    ),
    act: completeMultipartUpload,
  },
  CopyObject: {
    kind: 'object',
    match: match('PUT', 'object', [], 'x-amz-copy-source'),
    honours: honours(
      [],
      [...OBJECT_HEADERS, ...COPY_HEADERS, ...ENCRYPTION_HEADERS, ...SOURCE_CUSTOMER_KEY_HEADERS],
      true,
    ),
    act: copyObject,
  },
  CreateBucket: {
    kind: 'new-bucket',
    match: match('PUT', 'bucket'),
    honours: honours(
      [],
      [...PAYLOAD_HEADERS, ...ACL_HEADERS, 'x-amz-bucket-object-lock-enabled', 'x-amz-object-ownership'],
    ),
    act: createBucket,
  },
  CreateBucketMetadataConfiguration: missing('POST', 'bucket', ['metadataConfiguration']),
  CreateBucketMetadataTableConfiguration: missing('POST', 'bucket', ['metadataTable']),
  CreateMultipartUpload: {
    kind: 'object',
    match: match('POST', 'object', ['uploads']),
    honours: honours(
      [],
      [
        ...OBJECT_HEADERS,
        ...ENCRYPTION_HEADERS,
        METADATA_DIRECTIVE,
        'x-amz-checksum-algorithm',
        'x-amz-checksum-type',
      ],
      true,
    ),
    act: createMultipartUpload,
  },
  CreateSession: missing('GET', 'bucket', ['session']),
  DeleteBucket: { kind: 'bucket', match: match('DELETE', 'bucket'), honours: honours(), act: deleteBucket },
  DeleteBucketAnalyticsConfiguration: missing('DELETE', 'bucket', ['analytics']),
  DeleteBucketCors: {
    kind: 'bucket',
    match: match('DELETE', 'bucket', ['cors']),
    honours: honours(),
    act: deleteBucketCors,
  },
  DeleteBucketEncryption: {
    kind: 'bucket',
    match: match('DELETE', 'bucket', ['encryption']),
    honours: honours(),
    act: deleteBucketEncryption,
  },
  DeleteBucketIntelligentTieringConfiguration: missing('DELETE', 'bucket', ['intelligent-tiering']),
  DeleteBucketInventoryConfiguration: missing('DELETE', 'bucket', ['inventory']),
  DeleteBucketLifecycle: {
    kind: 'bucket',
    match: match('DELETE', 'bucket', ['lifecycle']),
    honours: honours(),
    act: deleteBucketLifecycle,
  },
  DeleteBucketMetadataConfiguration: missing('DELETE', 'bucket', ['metadataConfiguration']),
  DeleteBucketMetadataTableConfiguration: missing('DELETE', 'bucket', ['metadataTable']),
  DeleteBucketMetricsConfiguration: missing('DELETE', 'bucket', ['metrics']),
  DeleteBucketOwnershipControls: {
    kind: 'bucket',
    match: match('DELETE', 'bucket', ['ownershipControls']),
    honours: honours(),
    act: deleteBucketOwnershipControls,
  },
  DeleteBucketPolicy: {
    kind: 'bucket',
    match: match('DELETE', 'bucket', ['policy']),
    honours: honours(),
    act: deleteBucketPolicy,
  },
  DeleteBucketReplication: {
    kind: 'bucket',
    match: match('DELETE', 'bucket', ['replication']),
    honours: honours(),
    act: unset.removeNothing,
  },
  DeleteBucketTagging: {
    kind: 'bucket',
    match: match('DELETE', 'bucket', ['tagging']),
    honours: honours(),
    act: deleteBucketTagging,
  },
  DeleteBucketWebsite: {
    kind: 'bucket',
    match: match('DELETE', 'bucket', ['website']),
    honours: honours(),
    act: unset.removeNothing,
  },
  DeleteObject: {
    kind: 'object',
    match: match('DELETE', 'object'),
    honours: honours(['versionId'], [...BYPASS_HEADERS, ...DELETE_CONDITIONS]),
    act: deleteObject,
  },
  DeleteObjectAnnotation: missing('DELETE', 'object', ['annotation']),
  DeleteObjectTagging: {
    kind: 'object',
    match: match('DELETE', 'object', ['tagging']),
    honours: honours(['versionId']),
    act: deleteObjectTagging,
  },
  DeleteObjects: {
    kind: 'bucket',
    match: match('POST', 'bucket', ['delete']),
    honours: honours([], [...PAYLOAD_HEADERS, ...BYPASS_HEADERS]),
    act: deleteObjects,
  },
  DeletePublicAccessBlock: {
    kind: 'bucket',
    match: match('DELETE', 'bucket', ['publicAccessBlock']),
    honours: honours(),
    act: deletePublicAccessBlock,
  },
  GetBucketAbac: missing('GET', 'bucket', ['abac']),
  GetBucketAccelerateConfiguration: {
    kind: 'bucket',
    match: match('GET', 'bucket', ['accelerate']),
    honours: honours(),
    act: unset.getBucketAccelerateConfiguration,
  },
  GetBucketAcl: {
    kind: 'bucket',
    match: match('GET', 'bucket', ['acl']),
    honours: honours(),
    act: getBucketAcl,
  },
  GetBucketAnalyticsConfiguration: missing('GET', 'bucket', ['analytics', 'id']),
  GetBucketCors: {
    kind: 'bucket',
    match: match('GET', 'bucket', ['cors']),
    honours: honours(),
    act: getBucketCors,
  },
  GetBucketEncryption: {
    kind: 'bucket',
    match: match('GET', 'bucket', ['encryption']),
    honours: honours(),
    act: getBucketEncryption,
  },
  GetBucketIntelligentTieringConfiguration: missing('GET', 'bucket', ['intelligent-tiering', 'id']),
  GetBucketInventoryConfiguration: missing('GET', 'bucket', ['inventory', 'id']),
  GetBucketLifecycleConfiguration: {
    kind: 'bucket',
    match: match('GET', 'bucket', ['lifecycle']),
    honours: honours(),
    act: getBucketLifecycle,
  },
  GetBucketLocation: {
    kind: 'bucket',
    match: match('GET', 'bucket', ['location']),
    honours: honours(),
    act: getBucketLocation,
  },
  GetBucketLogging: {
    kind: 'bucket',
    match: match('GET', 'bucket', ['logging']),
    honours: honours(),
    act: unset.getBucketLogging,
  },
  GetBucketMetadataConfiguration: missing('GET', 'bucket', ['metadataConfiguration']),
  GetBucketMetadataTableConfiguration: missing('GET', 'bucket', ['metadataTable']),
  GetBucketMetricsConfiguration: missing('GET', 'bucket', ['metrics', 'id']),
  GetBucketNotificationConfiguration: {
    kind: 'bucket',
    match: match('GET', 'bucket', ['notification']),
    honours: honours(),
    act: unset.getBucketNotificationConfiguration,
  },
  GetBucketOwnershipControls: {
    kind: 'bucket',
    match: match('GET', 'bucket', ['ownershipControls']),
    honours: honours(),
    act: getBucketOwnershipControls,
  },
  GetBucketPolicy: {
    kind: 'bucket',
    match: match('GET', 'bucket', ['policy']),
    honours: honours(),
    act: getBucketPolicy,
  },
  GetBucketPolicyStatus: {
    kind: 'bucket',
    match: match('GET', 'bucket', ['policyStatus']),
    honours: honours(),
    act: getBucketPolicyStatus,
  },
  GetBucketReplication: {
    kind: 'bucket',
    match: match('GET', 'bucket', ['replication']),
    honours: honours(),
    act: unset.getBucketReplication,
  },
  GetBucketRequestPayment: {
    kind: 'bucket',
    match: match('GET', 'bucket', ['requestPayment']),
    honours: honours(),
    act: unset.getBucketRequestPayment,
  },
  GetBucketTagging: {
    kind: 'bucket',
    match: match('GET', 'bucket', ['tagging']),
    honours: honours(),
    act: getBucketTagging,
  },
  GetBucketVersioning: {
    kind: 'bucket',
    match: match('GET', 'bucket', ['versioning']),
    honours: honours(),
    act: getBucketVersioning,
  },
  GetBucketWebsite: {
    kind: 'bucket',
    match: match('GET', 'bucket', ['website']),
    honours: honours(),
    act: unset.getBucketWebsite,
  },
  GetObject: { kind: 'object', match: match('GET', 'object'), honours: READS, act: getObject },
  GetObjectAcl: {
    kind: 'object',
    match: match('GET', 'object', ['acl']),
    honours: honours(['versionId']),
    act: getObjectAcl,
  },
  GetObjectAnnotation: missing('GET', 'object', ['annotation', 'annotationName']),
  GetObjectAttributes: {
    kind: 'object',
    match: match('GET', 'object', ['attributes']),
    honours: honours(
      ['versionId'],
      ['x-amz-object-attributes', 'x-amz-max-parts', 'x-amz-part-number-marker', ...CUSTOMER_KEY_HEADERS],
    ),
    act: getObjectAttributes,
  },
  GetObjectLegalHold: {
    kind: 'object',
    match: match('GET', 'object', ['legal-hold']),
    honours: honours(['versionId']),
    act: getObjectLegalHold,
  },
  GetObjectLockConfiguration: {
    kind: 'bucket',
    match: match('GET', 'bucket', ['object-lock']),
    honours: honours(),
    act: getObjectLockConfiguration,
  },
  GetObjectRetention: {
    kind: 'object',
    match: match('GET', 'object', ['retention']),
    honours: honours(['versionId']),
    act: getObjectRetention,
  },
  GetObjectTagging: {
    kind: 'object',
    match: match('GET', 'object', ['tagging']),
    honours: honours(['versionId']),
    act: getObjectTagging,
  },
  GetObjectTorrent: missing('GET', 'object', ['torrent']),
  GetPublicAccessBlock: {
    kind: 'bucket',
    match: match('GET', 'bucket', ['publicAccessBlock']),
    honours: honours(),
    act: getPublicAccessBlock,
  },
  HeadBucket: { kind: 'bucket', match: match('HEAD', 'bucket'), honours: honours(), act: headBucket },
  HeadObject: { kind: 'object', match: match('HEAD', 'object'), honours: READS, act: headObject },
  ListBucketAnalyticsConfigurations: missing('GET', 'bucket', ['analytics']),
  ListBucketIntelligentTieringConfigurations: missing('GET', 'bucket', ['intelligent-tiering']),
  ListBucketInventoryConfigurations: missing('GET', 'bucket', ['inventory']),
  ListBucketMetricsConfigurations: missing('GET', 'bucket', ['metrics']),
  ListBuckets: {
    kind: 'service',
    match: match('GET', 'service'),
    honours: honours(['prefix', 'continuation-token', 'max-buckets', 'bucket-region']),
    act: listBuckets,
  },
  ListDirectoryBuckets: missing('GET', 'service', ['max-directory-buckets']),
  ListMultipartUploads: {
    kind: 'bucket',
    match: match('GET', 'bucket', ['uploads']),
    honours: honours([
      'prefix',
      'delimiter',
      'encoding-type',
      'key-marker',
      'max-uploads',
      'upload-id-marker',
    ]),
    act: listMultipartUploads,
  },
  ListObjectAnnotations: missing('GET', 'object', ['annotation']),
  ListObjectVersions: {
    kind: 'bucket',
    match: match('GET', 'bucket', ['versions']),
    honours: honours([...LIST_QUERY, 'key-marker', 'version-id-marker']),
    act: listObjectVersions,
  },
  ListObjects: {
    kind: 'bucket',
    match: match('GET', 'bucket'),
    // A form upload's success_action_redirect has the last three, and may well lead to the bucket.
    honours: honours([...LIST_QUERY, ANY_ORDER, 'marker', 'bucket', 'key', 'etag']),
    act: listObjects,
  },
  ListObjectsV2: {
    kind: 'bucket',
    match: match('GET', 'bucket', ['list-type']),
    honours: honours([...LIST_QUERY, ANY_ORDER, 'continuation-token', 'start-after', 'fetch-owner']),
    act: listObjectsV2,
  },
  ListParts: {
    kind: 'object',
    match: match('GET', 'object', ['uploadId']),
    honours: honours(['max-parts', 'part-number-marker'], CUSTOMER_KEY_HEADERS),
    act: listParts,
  },
  PatchObject: {
    kind: 'object',
    match: match('PATCH', 'object'),
    honours: honours([], PAYLOAD_HEADERS),
    act: patchObject,
  },
  PostObject: { kind: 'unsigned', match: match('POST', 'bucket'), act: postObject },
  PreflightRequest: { kind: 'unsigned', match: match('OPTIONS', 'object'), act: preflight },
  PutBucketAbac: missing('PUT', 'bucket', ['abac']),
  PutBucketAccelerateConfiguration: missing('PUT', 'bucket', ['accelerate']),
  PutBucketAcl: {
    kind: 'bucket',
    match: match('PUT', 'bucket', ['acl']),
    honours: honours([], [...PAYLOAD_HEADERS, ...ACL_HEADERS]),
    act: putBucketAcl,
  },
  PutBucketAnalyticsConfiguration: missing('PUT', 'bucket', ['analytics']),
  PutBucketCors: {
    kind: 'bucket',
    match: match('PUT', 'bucket', ['cors']),
    honours: honours([], PAYLOAD_HEADERS),
    act: putBucketCors,
  },
  PutBucketEncryption: {
    kind: 'bucket',
    match: match('PUT', 'bucket', ['encryption']),
    honours: honours([], PAYLOAD_HEADERS),
    act: putBucketEncryption,
  },
  PutBucketIntelligentTieringConfiguration: missing('PUT', 'bucket', ['intelligent-tiering']),
  PutBucketInventoryConfiguration: missing('PUT', 'bucket', ['inventory']),
  PutBucketLifecycleConfiguration: {
    kind: 'bucket',
    match: match('PUT', 'bucket', ['lifecycle']),
    honours: honours([], [...PAYLOAD_HEADERS, 'x-amz-transition-default-minimum-object-size']),
    act: putBucketLifecycle,
  },
  PutBucketLogging: missing('PUT', 'bucket', ['logging']),
  PutBucketMetricsConfiguration: missing('PUT', 'bucket', ['metrics']),
  PutBucketNotificationConfiguration: missing('PUT', 'bucket', ['notification']),
  PutBucketOwnershipControls: {
    kind: 'bucket',
    match: match('PUT', 'bucket', ['ownershipControls']),
    honours: honours([], PAYLOAD_HEADERS),
    act: putBucketOwnershipControls,
  },
  PutBucketPolicy: {
    kind: 'bucket',
    match: match('PUT', 'bucket', ['policy']),
    honours: honours([], [...PAYLOAD_HEADERS, 'x-amz-confirm-remove-self-bucket-access']),
    act: putBucketPolicy,
  },
  PutBucketReplication: missing('PUT', 'bucket', ['replication']),
  PutBucketRequestPayment: missing('PUT', 'bucket', ['requestPayment']),
  PutBucketTagging: {
    kind: 'bucket',
    match: match('PUT', 'bucket', ['tagging']),
    honours: honours([], PAYLOAD_HEADERS),
    act: putBucketTagging,
  },
  PutBucketVersioning: {
    kind: 'bucket',
    match: match('PUT', 'bucket', ['versioning']),
    honours: honours([], PAYLOAD_HEADERS),
    act: putBucketVersioning,
  },
  PutBucketWebsite: missing('PUT', 'bucket', ['website']),
  PutObject: {
    kind: 'object',
    match: match('PUT', 'object'),
    honours: honours([], [...WRITE_HEADERS, ...ENCRYPTION_HEADERS, METADATA_DIRECTIVE], true),
    act: putObject,
  },
  PutObjectAcl: {
    kind: 'object',
    match: match('PUT', 'object', ['acl']),
    honours: honours(['versionId'], [...PAYLOAD_HEADERS, ...ACL_HEADERS]),
    act: putObjectAcl,
  },
  PutObjectAnnotation: missing('PUT', 'object', ['annotation']),
  PutObjectLegalHold: {
    kind: 'object',
    match: match('PUT', 'object', ['legal-hold']),
    honours: honours(['versionId'], PAYLOAD_HEADERS),
    act: putObjectLegalHold,
  },
  PutObjectLockConfiguration: {
    kind: 'bucket',
    match: match('PUT', 'bucket', ['object-lock']),
    honours: honours([], [...PAYLOAD_HEADERS, 'x-amz-bucket-object-lock-token']),
    act: putObjectLockConfiguration,
  },
  PutObjectRetention: {
    kind: 'object',
    match: match('PUT', 'object', ['retention']),
    honours: honours(['versionId'], [...PAYLOAD_HEADERS, ...BYPASS_HEADERS]),
    act: putObjectRetention,
  },
  PutObjectTagging: {
    kind: 'object',
    match: match('PUT', 'object', ['tagging']),
    honours: honours(['versionId'], PAYLOAD_HEADERS),
    act: putObjectTagging,
  },
  PutPublicAccessBlock: {
    kind: 'bucket',
    match: match('PUT', 'bucket', ['publicAccessBlock']),
    honours: honours([], PAYLOAD_HEADERS),
    act: putPublicAccessBlock,
  },
  RenameObject: {
    kind: 'object',
    match: match('PUT', 'object', ['renameObject']),
    honours: honours([], RENAME_HEADERS),
    act: renameObject,
  },
  RestoreObject: missing('POST', 'object', ['restore']),
  SelectObjectContent: missing('POST', 'object', ['select']),
  UpdateBucketMetadataAnnotationTableConfiguration: missing('PUT', 'bucket', ['metadataAnnotationTable']),
  UpdateBucketMetadataInventoryTableConfiguration: missing('PUT', 'bucket', ['metadataInventoryTable']),
  UpdateBucketMetadataJournalTableConfiguration: missing('PUT', 'bucket', ['metadataJournalTable']),
  UpdateObjectEncryption: missing('PUT', 'object', ['encryption']),
  UploadPart: {
    kind: 'object',
    match: match('PUT', 'object', ['partNumber', 'uploadId']),
    honours: honours([], [...PAYLOAD_HEADERS, ...CUSTOMER_KEY_HEADERS]),
    act: uploadPart,
  },
  UploadPartCopy: {
    kind: 'object',
    match: match('PUT', 'object', ['partNumber', 'uploadId'], 'x-amz-copy-source'),
    honours: honours(
      [],
      [
        'x-amz-copy-source-range',
        ...COPY_CONDITIONS,
        ...CUSTOMER_KEY_HEADERS,
        ...SOURCE_CUSTOMER_KEY_HEADERS,
      ],
    ),
    act: uploadPartCopy,
  },
  WriteGetObjectResponse: missing('POST', 'bucket', [], 'x-amz-request-route'),
};

interface OperationDescription {
  readonly name: OperationName;
  readonly method: Method;
  readonly level: TargetLevel;
  readonly query: readonly string[];
  readonly header: string | null;
  readonly isImplemented: boolean;
}

/** The table for people, by name. */
export function describeOperations(): readonly OperationDescription[] {
  return OPERATION_NAMES.map((name) => {
    const operation = OPERATIONS[name];
    return { name, ...operation.match, isImplemented: operation.kind !== 'not-implemented' };
  });
}
