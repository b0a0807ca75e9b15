/** One valid request of each operation of the table, to be spoiled. */
import { OPERATION_NAMES, type OperationName } from '../../src/s3/operations/names.js';
import type { Match } from '../../src/s3/operations/operation.js';
import { OPERATIONS } from '../../src/s3/operations/table.js';
import type { HeaderPairs, PlainRequest } from './signed-request.js';

/** What the requests are about: settings are not tried on the bucket of the objects, or one policy would end the campaign. */
export interface FuzzTarget {
  readonly objects: string;
  readonly settings: string;
  readonly uploadId: string;
}

export const FUZZ_KEY = 'object';

const XMLNS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';

const BODIES: Partial<Record<OperationName, string>> = {
  CompleteMultipartUpload: `<CompleteMultipartUpload ${XMLNS}><Part><PartNumber>1</PartNumber><ETag>"0"</ETag></Part></CompleteMultipartUpload>`,
  CreateBucket: `<CreateBucketConfiguration ${XMLNS}><LocationConstraint>us-east-1</LocationConstraint></CreateBucketConfiguration>`,
  DeleteObjects: `<Delete ${XMLNS}><Quiet>true</Quiet><Object><Key>nothing &amp; nobody</Key></Object></Delete>`,
  PutBucketAcl: `<AccessControlPolicy ${XMLNS}><Owner><ID>tally</ID></Owner><AccessControlList><Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group"><URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee><Permission>READ</Permission></Grant></AccessControlList></AccessControlPolicy>`,
  PutBucketCors: `<CORSConfiguration ${XMLNS}><CORSRule><AllowedOrigin>http://*.test</AllowedOrigin><AllowedMethod>GET</AllowedMethod><MaxAgeSeconds>5</MaxAgeSeconds></CORSRule></CORSConfiguration>`,
  PutBucketLifecycleConfiguration: `<LifecycleConfiguration ${XMLNS}><Rule><ID>r</ID><Filter><Prefix>old/</Prefix></Filter><Status>Enabled</Status><Expiration><Days>3000</Days></Expiration></Rule></LifecycleConfiguration>`,
  PutBucketOwnershipControls: `<OwnershipControls ${XMLNS}><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>`,
  PutBucketPolicy:
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::fuzz-settings/*","Condition":{"StringLike":{"aws:Referer":["a*","b"]}}}]}',
  PutBucketTagging: `<Tagging ${XMLNS}><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>`,
  PutBucketVersioning: `<VersioningConfiguration ${XMLNS}><Status>Enabled</Status></VersioningConfiguration>`,
  PutObject: 'the content of an object',
  AppendObject: 'more of it',
  PatchObject: 'patch',
  PutObjectAcl: `<AccessControlPolicy ${XMLNS}><Owner><ID>tally</ID></Owner><AccessControlList/></AccessControlPolicy>`,
  PutObjectLegalHold: `<LegalHold ${XMLNS}><Status>OFF</Status></LegalHold>`,
  PutObjectLockConfiguration: `<ObjectLockConfiguration ${XMLNS}><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>`,
  PutObjectRetention: `<Retention ${XMLNS}><Mode>GOVERNANCE</Mode><RetainUntilDate>2030-01-01T00:00:00Z</RetainUntilDate></Retention>`,
  PutObjectTagging: `<Tagging ${XMLNS}><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>`,
  PutPublicAccessBlock: `<PublicAccessBlockConfiguration ${XMLNS}><BlockPublicAcls>false</BlockPublicAcls></PublicAccessBlockConfiguration>`,
  UploadPart: 'a part',
};

const HEADER_VALUES: Readonly<Record<string, string>> = {
  'x-amz-write-offset-bytes': '0',
  'x-amz-rename-source': `/fuzz-objects/${FUZZ_KEY}`,
};

const EXTRA_HEADERS: Partial<Record<OperationName, HeaderPairs>> = {
  GetObjectAttributes: [['x-amz-object-attributes', 'ETag,ObjectSize,ObjectParts']],
  PatchObject: [['content-range', 'bytes 0-4/*']],
  PreflightRequest: [
    ['origin', 'http://a.test'],
    ['access-control-request-method', 'GET'],
  ],
};

function queryOf({ query }: Match, { uploadId }: FuzzTarget): string {
  const values: Readonly<Record<string, string>> = {
    uploadId,
    partNumber: '1',
    'list-type': '2',
    'x-id': 'x',
  };
  const fields = query.map((name) => {
    const value = values[name];
    return value === undefined ? name : `${name}=${value}`;
  });
  return fields.length === 0 ? '' : `?${fields.join('&')}`;
}

function pathOf(name: OperationName, { level }: Match, target: FuzzTarget): string {
  switch (level) {
    case 'service':
      return '/';
    case 'bucket': {
      const isAboutObjects = name.startsWith('List') || name === 'DeleteObjects' || name === 'PostObject';
      return `/${isAboutObjects ? target.objects : target.settings}`;
    }
    case 'object':
      return `/${target.objects}/${FUZZ_KEY}`;
  }
}

/** `name` is matched by it, and when that operation is there it succeeds or fails for a reason of state. */
export function validRequest(name: OperationName, target: FuzzTarget): PlainRequest {
  const { match } = OPERATIONS[name];
  const headers: (readonly [string, string])[] = [...(EXTRA_HEADERS[name] ?? [])];
  if (match.header !== null) {
    const source = `/${target.objects}/${FUZZ_KEY}`;
    headers.push([match.header, HEADER_VALUES[match.header] ?? source]);
  }
  const body = Buffer.from(BODIES[name] ?? '');
  return {
    method: match.method,
    target: pathOf(name, match, target) + queryOf(match, target),
    headers,
    body,
    payload: null,
  };
}

export const ALL_OPERATIONS: readonly OperationName[] = OPERATION_NAMES;
/** Those whose requests have a document. */
export const OPERATIONS_WITH_DOCUMENTS = ALL_OPERATIONS.filter(
  (name) => BODIES[name]?.startsWith('<') === true,
);
