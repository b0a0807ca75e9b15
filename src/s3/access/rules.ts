/**
 * What each operation needs: the policy action (Service Authorization Reference "Actions defined by Amazon S3"), the ACL
 * permission that serves as well (UserGuide "Mapping of ACL permissions and access policy permissions"), and whether it changes
 * anything. A full Record: an operation that nobody thought about does not compile.
 */
import type { OperationName } from '../operations/names.js';
import type { AskedPermission } from './acl.js';

export interface AccessRule {
  readonly action: string;
  /** With a versionId, where S3 has an action of its own for that. */
  readonly versionAction: string | null;
  /** Null: no ACL grants this. */
  readonly acl: { readonly of: 'bucket' | 'object'; readonly permission: AskedPermission } | null;
  readonly isWrite: boolean;
  /** The operation asks for each key by itself, and not for the bucket. */
  readonly isPerKey: boolean;
}

type Acl = AccessRule['acl'];
const LIST: Acl = { of: 'bucket', permission: 'READ' };
const STORE: Acl = { of: 'bucket', permission: 'WRITE' };
const READ: Acl = { of: 'object', permission: 'READ' };

function reads(action: string, acl: Acl = null, versionAction: string | null = null): AccessRule {
  return {
    action: `s3:${action}`,
    versionAction: toAction(versionAction),
    acl,
    isWrite: false,
    isPerKey: false,
  };
}

function writes(action: string, acl: Acl = null, versionAction: string | null = null): AccessRule {
  return {
    action: `s3:${action}`,
    versionAction: toAction(versionAction),
    acl,
    isWrite: true,
    isPerKey: false,
  };
}

function toAction(name: string | null): string | null {
  return name === null ? null : `s3:${name}`;
}

export const ACCESS_RULES: Record<OperationName, AccessRule> = {
  AbortMultipartUpload: writes('AbortMultipartUpload', STORE),
  AppendObject: writes('PutObject', STORE),
  CompleteMultipartUpload: writes('PutObject', STORE),
  CopyObject: writes('PutObject', STORE),
  CreateBucket: writes('CreateBucket'),
  CreateBucketMetadataConfiguration: writes('CreateBucketMetadataTableConfiguration'),
  CreateBucketMetadataTableConfiguration: writes('CreateBucketMetadataTableConfiguration'),
  CreateMultipartUpload: writes('PutObject', STORE),
  CreateSession: reads('CreateSession'),
  DeleteBucket: writes('DeleteBucket'),
  DeleteBucketAnalyticsConfiguration: writes('PutAnalyticsConfiguration'),
  DeleteBucketCors: writes('PutBucketCORS'),
  DeleteBucketEncryption: writes('PutEncryptionConfiguration'),
  DeleteBucketIntelligentTieringConfiguration: writes('PutIntelligentTieringConfiguration'),
  DeleteBucketInventoryConfiguration: writes('PutInventoryConfiguration'),
  DeleteBucketLifecycle: writes('PutLifecycleConfiguration'),
  DeleteBucketMetadataConfiguration: writes('DeleteBucketMetadataTableConfiguration'),
  DeleteBucketMetadataTableConfiguration: writes('DeleteBucketMetadataTableConfiguration'),
  DeleteBucketMetricsConfiguration: writes('PutMetricsConfiguration'),
  DeleteBucketOwnershipControls: writes('PutBucketOwnershipControls'),
  DeleteBucketPolicy: writes('DeleteBucketPolicy'),
  DeleteBucketReplication: writes('PutReplicationConfiguration'),
  DeleteBucketTagging: writes('PutBucketTagging'),
  DeleteBucketWebsite: writes('DeleteBucketWebsite'),
  DeleteObject: writes('DeleteObject', STORE, 'DeleteObjectVersion'),
  DeleteObjectAnnotation: writes('DeleteObjectAnnotation'),
  DeleteObjectTagging: writes('DeleteObjectTagging', null, 'DeleteObjectVersionTagging'),
  DeleteObjects: { ...writes('DeleteObject', STORE, 'DeleteObjectVersion'), isPerKey: true },
  DeletePublicAccessBlock: writes('PutBucketPublicAccessBlock'),
  GetBucketAbac: reads('GetBucketAbac'),
  GetBucketAccelerateConfiguration: reads('GetAccelerateConfiguration'),
  GetBucketAcl: reads('GetBucketAcl', { of: 'bucket', permission: 'READ_ACP' }),
  GetBucketAnalyticsConfiguration: reads('GetAnalyticsConfiguration'),
  GetBucketCors: reads('GetBucketCORS'),
  GetBucketEncryption: reads('GetEncryptionConfiguration'),
  GetBucketIntelligentTieringConfiguration: reads('GetIntelligentTieringConfiguration'),
  GetBucketInventoryConfiguration: reads('GetInventoryConfiguration'),
  GetBucketLifecycleConfiguration: reads('GetLifecycleConfiguration'),
  GetBucketLocation: reads('GetBucketLocation'),
  GetBucketLogging: reads('GetBucketLogging'),
  GetBucketMetadataConfiguration: reads('GetBucketMetadataTableConfiguration'),
  GetBucketMetadataTableConfiguration: reads('GetBucketMetadataTableConfiguration'),
  GetBucketMetricsConfiguration: reads('GetMetricsConfiguration'),
  GetBucketNotificationConfiguration: reads('GetBucketNotification'),
  GetBucketOwnershipControls: reads('GetBucketOwnershipControls'),
  GetBucketPolicy: reads('GetBucketPolicy'),
  GetBucketPolicyStatus: reads('GetBucketPolicyStatus'),
  GetBucketReplication: reads('GetReplicationConfiguration'),
  GetBucketRequestPayment: reads('GetBucketRequestPayment'),
  GetBucketTagging: reads('GetBucketTagging'),
  GetBucketVersioning: reads('GetBucketVersioning'),
  GetBucketWebsite: reads('GetBucketWebsite'),
  GetObject: reads('GetObject', READ, 'GetObjectVersion'),
  GetObjectAcl: reads('GetObjectAcl', { of: 'object', permission: 'READ_ACP' }, 'GetObjectVersionAcl'),
  GetObjectAnnotation: reads('GetObjectAnnotation'),
  GetObjectAttributes: reads('GetObjectAttributes', READ, 'GetObjectVersionAttributes'),
  GetObjectLegalHold: reads('GetObjectLegalHold'),
  GetObjectLockConfiguration: reads('GetBucketObjectLockConfiguration'),
  GetObjectRetention: reads('GetObjectRetention'),
  GetObjectTagging: reads('GetObjectTagging', null, 'GetObjectVersionTagging'),
  GetObjectTorrent: reads('GetObjectTorrent', READ, 'GetObjectVersionTorrent'),
  GetPublicAccessBlock: reads('GetBucketPublicAccessBlock'),
  HeadBucket: reads('ListBucket', LIST),
  HeadObject: reads('GetObject', READ, 'GetObjectVersion'),
  ListBucketAnalyticsConfigurations: reads('GetAnalyticsConfiguration'),
  ListBucketIntelligentTieringConfigurations: reads('GetIntelligentTieringConfiguration'),
  ListBucketInventoryConfigurations: reads('GetInventoryConfiguration'),
  ListBucketMetricsConfigurations: reads('GetMetricsConfiguration'),
  ListBuckets: reads('ListAllMyBuckets'),
  ListDirectoryBuckets: reads('ListAllMyDirectoryBuckets'),
  ListMultipartUploads: reads('ListBucketMultipartUploads', LIST),
  ListObjectAnnotations: reads('ListObjectAnnotations'),
  ListObjectVersions: reads('ListBucketVersions', LIST),
  ListObjects: reads('ListBucket', LIST),
  ListObjectsV2: reads('ListBucket', LIST),
  ListParts: reads('ListMultipartUploadParts', STORE),
  PatchObject: writes('PutObject', STORE),
  PostObject: writes('PutObject', STORE),
  // Answered to anybody by the bucket's CORS configuration (operations/preflight.ts).
  PreflightRequest: reads('GetObject'),
  PutBucketAbac: writes('PutBucketAbac'),
  PutBucketAccelerateConfiguration: writes('PutAccelerateConfiguration'),
  PutBucketAcl: writes('PutBucketAcl', { of: 'bucket', permission: 'WRITE_ACP' }),
  PutBucketAnalyticsConfiguration: writes('PutAnalyticsConfiguration'),
  PutBucketCors: writes('PutBucketCORS'),
  PutBucketEncryption: writes('PutEncryptionConfiguration'),
  PutBucketIntelligentTieringConfiguration: writes('PutIntelligentTieringConfiguration'),
  PutBucketInventoryConfiguration: writes('PutInventoryConfiguration'),
  PutBucketLifecycleConfiguration: writes('PutLifecycleConfiguration'),
  PutBucketLogging: writes('PutBucketLogging'),
  PutBucketMetricsConfiguration: writes('PutMetricsConfiguration'),
  PutBucketNotificationConfiguration: writes('PutBucketNotification'),
  PutBucketOwnershipControls: writes('PutBucketOwnershipControls'),
  PutBucketPolicy: writes('PutBucketPolicy'),
  PutBucketReplication: writes('PutReplicationConfiguration'),
  PutBucketRequestPayment: writes('PutBucketRequestPayment'),
  PutBucketTagging: writes('PutBucketTagging'),
  PutBucketVersioning: writes('PutBucketVersioning'),
  PutBucketWebsite: writes('PutBucketWebsite'),
  PutObject: writes('PutObject', STORE),
  PutObjectAcl: writes('PutObjectAcl', { of: 'object', permission: 'WRITE_ACP' }, 'PutObjectVersionAcl'),
  PutObjectAnnotation: writes('PutObjectAnnotation'),
  PutObjectLegalHold: writes('PutObjectLegalHold'),
  PutObjectLockConfiguration: writes('PutBucketObjectLockConfiguration'),
  PutObjectRetention: writes('PutObjectRetention'),
  PutObjectTagging: writes('PutObjectTagging', null, 'PutObjectVersionTagging'),
  PutPublicAccessBlock: writes('PutBucketPublicAccessBlock'),
  RenameObject: writes('PutObject', STORE),
  RestoreObject: writes('RestoreObject'),
  SelectObjectContent: reads('GetObject', READ),
  UpdateBucketMetadataAnnotationTableConfiguration: writes(
    'UpdateBucketMetadataAnnotationTableConfiguration',
  ),
  UpdateBucketMetadataInventoryTableConfiguration: writes('UpdateBucketMetadataInventoryTableConfiguration'),
  UpdateBucketMetadataJournalTableConfiguration: writes('UpdateBucketMetadataJournalTableConfiguration'),
  UpdateObjectEncryption: writes('UpdateObjectEncryption'),
  UploadPart: writes('PutObject', STORE),
  UploadPartCopy: writes('PutObject', STORE),
  WriteGetObjectResponse: writes('WriteGetObjectResponse'),
};

/** Actions that a policy may name and no operation above needs by itself. */
const FURTHER_ACTIONS = [
  's3:BypassGovernanceRetention',
  's3:GetObjectVersionForReplication',
  's3:ObjectOwnerOverrideToBucketOwner',
  's3:ReplicateDelete',
  's3:ReplicateObject',
  's3:ReplicateTags',
];

/** Every action, lower case. */
export function knownActions(): ReadonlySet<string> {
  const actions = Object.values(ACCESS_RULES).flatMap(({ action, versionAction }) => [
    action,
    versionAction ?? action,
  ]);
  return new Set([...actions, ...FURTHER_ACTIONS].map((action) => action.toLowerCase()));
}
