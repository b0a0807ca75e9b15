/**
 * The operation table: every S3 operation, which requests it is, and what Tally does about it. It is a full Record, so an
 * operation that is named and missing here does not compile. README's table is made from `describeOperations`.
 */
import { CHECKSUM_ALGORITHMS, CHECKSUMS } from '../payload/checksums.js';
import { appendObject } from './append-object.js';
import {
  createBucket,
  deleteBucket,
  getBucketLocation,
  getBucketVersioning,
  headBucket,
  listBuckets,
} from './bucket-actions.js';
import { deleteObject, deleteObjects } from './delete-object.js';
import { getObject, headObject } from './get-object.js';
import { listObjects, listObjectsV2 } from './list-objects.js';
import { OPERATION_NAMES, type OperationName } from './names.js';
import { honours, match, missing, type Method, type Operation } from './operation.js';
import { patchObject } from './patch-object.js';
import { putObject } from './put-object.js';
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
const WRITE_HEADERS = [...PAYLOAD_HEADERS, 'x-amz-acl', 'x-amz-storage-class'];
const LIST_QUERY = ['prefix', 'delimiter', 'max-keys', 'encoding-type'];

const WRITES = honours([], WRITE_HEADERS, true);
const READS = honours([...RESPONSE_OVERRIDES, 'versionId'], ['x-amz-checksum-mode']);

export const OPERATIONS: Record<OperationName, Operation> = {
  AbortMultipartUpload: missing('DELETE', 'object', ['uploadId']),
  AppendObject: {
    kind: 'object',
    match: match('PUT', 'object', [], 'x-amz-write-offset-bytes'),
    honours: WRITES,
    act: appendObject,
  },
  CompleteMultipartUpload: missing('POST', 'object', ['uploadId']),
  CopyObject: missing('PUT', 'object', [], 'x-amz-copy-source'),
  CreateBucket: {
    kind: 'new-bucket',
    match: match('PUT', 'bucket'),
    honours: honours(
      [],
      [...PAYLOAD_HEADERS, 'x-amz-acl', 'x-amz-bucket-object-lock-enabled', 'x-amz-object-ownership'],
    ),
    act: createBucket,
  },
  CreateBucketMetadataConfiguration: missing('POST', 'bucket', ['metadataConfiguration']),
  CreateBucketMetadataTableConfiguration: missing('POST', 'bucket', ['metadataTable']),
  CreateMultipartUpload: missing('POST', 'object', ['uploads']),
  CreateSession: missing('GET', 'bucket', ['session']),
  DeleteBucket: { kind: 'bucket', match: match('DELETE', 'bucket'), honours: honours(), act: deleteBucket },
  DeleteBucketAnalyticsConfiguration: missing('DELETE', 'bucket', ['analytics']),
  DeleteBucketCors: missing('DELETE', 'bucket', ['cors']),
  DeleteBucketEncryption: missing('DELETE', 'bucket', ['encryption']),
  DeleteBucketIntelligentTieringConfiguration: missing('DELETE', 'bucket', ['intelligent-tiering']),
  DeleteBucketInventoryConfiguration: missing('DELETE', 'bucket', ['inventory']),
  DeleteBucketLifecycle: missing('DELETE', 'bucket', ['lifecycle']),
  DeleteBucketMetadataConfiguration: missing('DELETE', 'bucket', ['metadataConfiguration']),
  DeleteBucketMetadataTableConfiguration: missing('DELETE', 'bucket', ['metadataTable']),
  DeleteBucketMetricsConfiguration: missing('DELETE', 'bucket', ['metrics']),
  DeleteBucketOwnershipControls: missing('DELETE', 'bucket', ['ownershipControls']),
  DeleteBucketPolicy: missing('DELETE', 'bucket', ['policy']),
  DeleteBucketReplication: missing('DELETE', 'bucket', ['replication']),
  DeleteBucketTagging: missing('DELETE', 'bucket', ['tagging']),
  DeleteBucketWebsite: missing('DELETE', 'bucket', ['website']),
  DeleteObject: {
    kind: 'object',
    match: match('DELETE', 'object'),
    honours: honours(['versionId']),
    act: deleteObject,
  },
  DeleteObjectAnnotation: missing('DELETE', 'object', ['annotation']),
  DeleteObjectTagging: missing('DELETE', 'object', ['tagging']),
  DeleteObjects: {
    kind: 'bucket',
    match: match('POST', 'bucket', ['delete']),
    honours: honours([], PAYLOAD_HEADERS),
    act: deleteObjects,
  },
  DeletePublicAccessBlock: missing('DELETE', 'bucket', ['publicAccessBlock']),
  GetBucketAbac: missing('GET', 'bucket', ['abac']),
  GetBucketAccelerateConfiguration: missing('GET', 'bucket', ['accelerate']),
  GetBucketAcl: missing('GET', 'bucket', ['acl']),
  GetBucketAnalyticsConfiguration: missing('GET', 'bucket', ['analytics', 'id']),
  GetBucketCors: missing('GET', 'bucket', ['cors']),
  GetBucketEncryption: missing('GET', 'bucket', ['encryption']),
  GetBucketIntelligentTieringConfiguration: missing('GET', 'bucket', ['intelligent-tiering', 'id']),
  GetBucketInventoryConfiguration: missing('GET', 'bucket', ['inventory', 'id']),
  GetBucketLifecycleConfiguration: missing('GET', 'bucket', ['lifecycle']),
  GetBucketLocation: {
    kind: 'bucket',
    match: match('GET', 'bucket', ['location']),
    honours: honours(),
    act: getBucketLocation,
  },
  GetBucketLogging: missing('GET', 'bucket', ['logging']),
  GetBucketMetadataConfiguration: missing('GET', 'bucket', ['metadataConfiguration']),
  GetBucketMetadataTableConfiguration: missing('GET', 'bucket', ['metadataTable']),
  GetBucketMetricsConfiguration: missing('GET', 'bucket', ['metrics', 'id']),
  GetBucketNotificationConfiguration: missing('GET', 'bucket', ['notification']),
  GetBucketOwnershipControls: missing('GET', 'bucket', ['ownershipControls']),
  GetBucketPolicy: missing('GET', 'bucket', ['policy']),
  GetBucketPolicyStatus: missing('GET', 'bucket', ['policyStatus']),
  GetBucketReplication: missing('GET', 'bucket', ['replication']),
  GetBucketRequestPayment: missing('GET', 'bucket', ['requestPayment']),
  GetBucketTagging: missing('GET', 'bucket', ['tagging']),
  GetBucketVersioning: {
    kind: 'bucket',
    match: match('GET', 'bucket', ['versioning']),
    honours: honours(),
    act: getBucketVersioning,
  },
  GetBucketWebsite: missing('GET', 'bucket', ['website']),
  GetObject: { kind: 'object', match: match('GET', 'object'), honours: READS, act: getObject },
  GetObjectAcl: missing('GET', 'object', ['acl']),
  GetObjectAnnotation: missing('GET', 'object', ['annotation', 'annotationName']),
  GetObjectAttributes: missing('GET', 'object', ['attributes']),
  GetObjectLegalHold: missing('GET', 'object', ['legal-hold']),
  GetObjectLockConfiguration: missing('GET', 'bucket', ['object-lock']),
  GetObjectRetention: missing('GET', 'object', ['retention']),
  GetObjectTagging: missing('GET', 'object', ['tagging']),
  GetObjectTorrent: missing('GET', 'object', ['torrent']),
  GetPublicAccessBlock: missing('GET', 'bucket', ['publicAccessBlock']),
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
  ListMultipartUploads: missing('GET', 'bucket', ['uploads']),
  ListObjectAnnotations: missing('GET', 'object', ['annotation']),
  ListObjectVersions: missing('GET', 'bucket', ['versions']),
  ListObjects: {
    kind: 'bucket',
    match: match('GET', 'bucket'),
    honours: honours([...LIST_QUERY, 'marker']),
    act: listObjects,
  },
  ListObjectsV2: {
    kind: 'bucket',
    match: match('GET', 'bucket', ['list-type']),
    honours: honours([...LIST_QUERY, 'continuation-token', 'start-after', 'fetch-owner']),
    act: listObjectsV2,
  },
  ListParts: missing('GET', 'object', ['uploadId']),
  PatchObject: {
    kind: 'object',
    match: match('PATCH', 'object'),
    honours: honours([], PAYLOAD_HEADERS),
    act: patchObject,
  },
  PostObject: missing('POST', 'bucket'),
  PreflightRequest: missing('OPTIONS', 'object'),
  PutBucketAbac: missing('PUT', 'bucket', ['abac']),
  PutBucketAccelerateConfiguration: missing('PUT', 'bucket', ['accelerate']),
  PutBucketAcl: missing('PUT', 'bucket', ['acl']),
  PutBucketAnalyticsConfiguration: missing('PUT', 'bucket', ['analytics']),
  PutBucketCors: missing('PUT', 'bucket', ['cors']),
  PutBucketEncryption: missing('PUT', 'bucket', ['encryption']),
  PutBucketIntelligentTieringConfiguration: missing('PUT', 'bucket', ['intelligent-tiering']),
  PutBucketInventoryConfiguration: missing('PUT', 'bucket', ['inventory']),
  PutBucketLifecycleConfiguration: missing('PUT', 'bucket', ['lifecycle']),
  PutBucketLogging: missing('PUT', 'bucket', ['logging']),
  PutBucketMetricsConfiguration: missing('PUT', 'bucket', ['metrics']),
  PutBucketNotificationConfiguration: missing('PUT', 'bucket', ['notification']),
  PutBucketOwnershipControls: missing('PUT', 'bucket', ['ownershipControls']),
  PutBucketPolicy: missing('PUT', 'bucket', ['policy']),
  PutBucketReplication: missing('PUT', 'bucket', ['replication']),
  PutBucketRequestPayment: missing('PUT', 'bucket', ['requestPayment']),
  PutBucketTagging: missing('PUT', 'bucket', ['tagging']),
  PutBucketVersioning: missing('PUT', 'bucket', ['versioning']),
  PutBucketWebsite: missing('PUT', 'bucket', ['website']),
  PutObject: { kind: 'object', match: match('PUT', 'object'), honours: WRITES, act: putObject },
  PutObjectAcl: missing('PUT', 'object', ['acl']),
  PutObjectAnnotation: missing('PUT', 'object', ['annotation']),
  PutObjectLegalHold: missing('PUT', 'object', ['legal-hold']),
  PutObjectLockConfiguration: missing('PUT', 'bucket', ['object-lock']),
  PutObjectRetention: missing('PUT', 'object', ['retention']),
  PutObjectTagging: missing('PUT', 'object', ['tagging']),
  PutPublicAccessBlock: missing('PUT', 'bucket', ['publicAccessBlock']),
  RenameObject: missing('PUT', 'object', ['renameObject']),
  RestoreObject: missing('POST', 'object', ['restore']),
  SelectObjectContent: missing('POST', 'object', ['select']),
  UpdateBucketMetadataAnnotationTableConfiguration: missing('PUT', 'bucket', ['metadataAnnotationTable']),
  UpdateBucketMetadataInventoryTableConfiguration: missing('PUT', 'bucket', ['metadataInventoryTable']),
  UpdateBucketMetadataJournalTableConfiguration: missing('PUT', 'bucket', ['metadataJournalTable']),
  UpdateObjectEncryption: missing('PUT', 'object', ['encryption']),
  UploadPart: missing('PUT', 'object', ['partNumber', 'uploadId']),
  UploadPartCopy: missing('PUT', 'object', ['partNumber', 'uploadId'], 'x-amz-copy-source'),
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
