/**
 * PostObject, the upload of an HTML form (S3 API reference "POST Object"). The fields of the form stand for the headers of a PutObject;
 * its file streams to the store like any other content.
 */
import type { StagedContent } from '../../gateway/object-storage.js';
import { authorize, wishOf } from '../access/authorize.js';
import { ACL_HEADERS } from '../access/acl-wire.js';
import { authenticateForm } from '../auth/form-signature.js';
import { checkFormPolicy, parseFormPolicy } from '../auth/form-policy.js';
import { STORED_HEADER_NAMES } from '../attributes.js';
import type { Bucket } from '../buckets.js';
import type { CustomerKey } from '../encryption/customer-key.js';
import { ENCRYPTION_HEADERS } from '../encryption/encryption-wish.js';
import { openSink, storedSize } from '../encryption/sealed-sink.js';
import { encryptionHeaders, type Seal } from '../encryption/seals.js';
import { S3Error } from '../errors.js';
import { quoteEtag } from '../etags.js';
import { checkBucketName, checkKey } from '../keys.js';
import { CHECKSUM_ALGORITHMS, CHECKSUMS } from '../payload/checksums.js';
import { readExpectations } from '../payload/expectations.js';
import { openForm, type Form, type FormFile } from '../payload/form-data.js';
import { receivePayload, type ReceivedPayload } from '../payload/receive.js';
import { originOf } from '../request.js';
import { NO_BODY, type S3Response } from '../response.js';
import { readObjectTagging } from '../tagging.js';
import { parseXml } from '../xml/parse.js';
import { element, textElement, XML_CONTENT_TYPE, XML_DECLARATION } from '../xml/render.js';
import { invariant } from '../../protocol/invariant.js';
import { commitObject, versionHeaders, type CommittedObject } from './commit-object.js';
import { objectId, type ObjectContext, type UnsignedContext } from './context.js';
import { checksumHeaders, METADATA_PREFIX } from './object-headers.js';
import { newObjectAttributes } from './put-object.js';
import { openWriteSeal } from './write-seal.js';
import { encodeName } from '../uri.js';

type Fields = ReadonlyMap<string, string>;

const UNSIGNED = { kind: 'unsigned', isStated: true } as const;
const FILE_NAME = '${filename}';
const SIGNATURE_FIELDS = [
  'x-amz-algorithm',
  'x-amz-credential',
  'x-amz-date',
  'x-amz-security-token',
  'x-amz-signature',
];
/** Fields that stand for the header of the same name. */
const HEADER_FIELDS: readonly string[] = [
  ...STORED_HEADER_NAMES,
  ...ACL_HEADERS,
  ...CHECKSUM_ALGORITHMS.map((algorithm) => CHECKSUMS[algorithm].header),
  ...ENCRYPTION_HEADERS,
  'x-amz-object-lock-legal-hold',
  'x-amz-object-lock-mode',
  'x-amz-object-lock-retain-until-date',
  'x-amz-storage-class',
];

function toHeaderValue(name: string, text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(text)) {
    throw new S3Error('InvalidArgument', { details: { ArgumentName: name } });
  }
  return Buffer.from(text, 'utf8').toString('latin1');
}

function headerOfField(name: string, value: string): readonly [header: string, value: string] | null {
  if (name === 'acl') return ['x-amz-acl', value];
  if (name === 'tagging') {
    const tags = readObjectTagging(parseXml(Buffer.from(value)));
    const pairs = tags.map(([key, text]) => `${encodeURIComponent(key)}=${encodeURIComponent(text)}`);
    return ['x-amz-tagging', pairs.join('&')];
  }
  if (HEADER_FIELDS.includes(name) || name.startsWith(METADATA_PREFIX))
    return [name, toHeaderValue(name, value)];
  if (!name.startsWith('x-amz-') || SIGNATURE_FIELDS.includes(name)) return null;
  if (name === 'x-amz-checksum-algorithm' || name === 'x-amz-sdk-checksum-algorithm') return null;
  throw new S3Error('NotImplemented', { details: { Field: name.slice(0, 128) } });
}

/** The headers of the PutObject that the form stands for; of the request's own only what says who asks stays. */
function headersOf(fields: Fields, sent: Fields): Fields {
  const headers = new Map<string, string>();
  for (const name of ['host', 'referer', 'user-agent']) {
    const value = sent.get(name);
    if (value !== undefined) headers.set(name, value);
  }
  for (const [name, value] of fields) {
    const header = headerOfField(name, value);
    if (header !== null) headers.set(...header);
  }
  if (headers.get('x-amz-storage-class') !== undefined && headers.get('x-amz-storage-class') !== 'STANDARD') {
    throw new S3Error('NotImplemented', { details: { Field: 'x-amz-storage-class' } });
  }
  return headers;
}

function readKey({ fields, file }: Form): string {
  const key = fields.get('key')?.replaceAll(FILE_NAME, () => file.name);
  if (key === undefined) {
    throw new S3Error('InvalidArgument', {
      message:
        "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.",
      details: { ArgumentName: 'key' },
    });
  }
  if (key === '') throw new S3Error('UserKeyMustBeSpecified');
  checkKey(key);
  return key;
}

interface SizeLimits {
  readonly minBytes: number;
  readonly maxBytes: number | null;
}

interface Upload {
  readonly context: ObjectContext;
  readonly limits: SizeLimits;
}

/** Authenticates, holds the form to its policy, and decides on access. */
async function admit(context: UnsignedContext, bucket: Bucket, form: Form): Promise<Upload> {
  const { services, request, authentication } = context;
  const key = readKey(form);
  const identity = authenticateForm(form.fields, authentication);
  const policyText = form.fields.get('policy');
  const policy = policyText === undefined ? null : parseFormPolicy(policyText);
  if (policy !== null) {
    const fields = new Map([...form.fields, ['bucket', bucket.name], ['key', key]]);
    checkFormPolicy(policy, fields, services.clock());
  }
  const object: ObjectContext = {
    services,
    request: { ...request, headers: headersOf(form.fields, request.headers) },
    identity,
    payload: UNSIGNED,
    signature: identity.isAnonymous ? 'none' : 'form',
    bucket,
    key,
  };
  await authorize(object, wishOf('PostObject', bucket, key, null));
  return { context: object, limits: policy ?? { minBytes: 0, maxBytes: null } };
}

async function stage(
  { context, limits }: Upload,
  file: FormFile,
  seal: Seal | null,
): Promise<{ content: StagedContent; received: ReceivedPayload }> {
  const { services, request } = context;
  const expectations = { ...readExpectations(request, UNSIGNED, services.limits), sizeBytes: null };
  const sink = openSink(services.storage, { target: objectId(context), sizeBytes: null, seal });
  let sizeBytes = 0;
  try {
    const received = await receivePayload(
      { mode: UNSIGNED, body: file, expectations },
      services.limits,
      (piece) => {
        sizeBytes += piece.length;
        if (limits.maxBytes !== null && sizeBytes > limits.maxBytes) {
          throw new S3Error('EntityTooLarge', { details: { MaxSizeAllowed: String(limits.maxBytes) } });
        }
        return sink.write(piece);
      },
    );
    if (sizeBytes < limits.minBytes) {
      throw new S3Error('EntityTooSmall', {
        details: { ProposedSize: String(sizeBytes), MinSizeAllowed: String(limits.minBytes) },
      });
    }
    return { content: await sink.finish(), received };
  } catch (error) {
    sink.abort();
    throw error;
  }
}

interface StoredUpload {
  readonly committed: CommittedObject;
  readonly customerKey: CustomerKey | null;
}

async function store(upload: Upload, file: FormFile): Promise<StoredUpload> {
  const { context } = upload;
  const { seal, customerKey } = openWriteSeal(context);
  const makeAttributes = newObjectAttributes(context, seal);
  const { content, received } = await stage(upload, file, seal);
  try {
    const sizeBytes = storedSize(received.sizeBytes, seal);
    invariant(content.sizeBytes === sizeBytes, 'the store has as many bytes as the client sent');
    const committed = await context.services.buckets.withBucket(context.bucket, () =>
      commitObject(context, { content, attributes: makeAttributes(received), conditions: null }),
    );
    return { committed, customerKey };
  } finally {
    content.discard();
  }
}

/** Null: none, or one that is no URL. */
function redirectOf(fields: Fields): URL | null {
  const text = fields.get('success_action_redirect') ?? fields.get('redirect');
  if (text === undefined || !URL.canParse(text)) return null;
  const url = new URL(text);
  return url.protocol === 'http:' || url.protocol === 'https:' ? url : null;
}

function answer({
  context,
  stored: { committed, customerKey },
  fields,
}: {
  readonly context: ObjectContext;
  readonly stored: StoredUpload;
  readonly fields: Fields;
}): S3Response {
  const { bucket, key, request } = context;
  const etag = quoteEtag(committed.attributes.etag);
  const place = `${originOf(request)}/${encodeName(bucket.name)}/${encodeName(key)}`;
  const headers = [
    'ETag',
    etag,
    ...checksumHeaders(committed.attributes.checksum),
    ...encryptionHeaders(committed.attributes, customerKey),
    ...versionHeaders(committed),
  ];
  const redirect = redirectOf(fields);
  if (redirect !== null) {
    const query = `bucket=${encodeURIComponent(bucket.name)}&key=${encodeURIComponent(key)}&etag=${encodeURIComponent(etag)}`;
    redirect.search = redirect.search === '' ? query : `${redirect.search}&${query}`;
    return { status: 303, headers: [...headers, 'Location', redirect.href], body: NO_BODY };
  }
  headers.push('Location', place);
  switch (fields.get('success_action_status')) {
    case '200':
      return { status: 200, headers, body: NO_BODY };
    case '201': {
      // Unlike other documents, without a namespace.
      const text =
        XML_DECLARATION +
        element(
          'PostResponse',
          textElement('Location', place),
          textElement('Bucket', bucket.name),
          textElement('Key', key),
          textElement('ETag', etag),
        );
      headers.push('Content-Type', XML_CONTENT_TYPE);
      return { status: 201, headers, body: { kind: 'bytes', bytes: text } };
    }
    default:
      return { status: 204, headers, body: NO_BODY };
  }
}

export async function postObject(context: UnsignedContext): Promise<S3Response> {
  const { services, request } = context;
  invariant(request.target.level === 'bucket', 'a form is posted to a bucket');
  const contentType = request.headers.get('content-type') ?? '';
  if (!/^multipart\/form-data\s*;/i.test(contentType)) {
    throw new S3Error('PreconditionFailed', {
      message: 'Bucket POST must be of the enclosure-type multipart/form-data',
      details: { Condition: 'Bucket POST must be of the enclosure-type multipart/form-data' },
    });
  }
  checkBucketName(request.target.bucket);
  const bucket = await services.buckets.get(request.target.bucket);
  const form = await openForm(contentType, request.body);
  try {
    const upload = await admit(context, bucket, form);
    const stored = await store(upload, form.file);
    return answer({ context: upload.context, stored, fields: form.fields });
  } finally {
    await form.close();
  }
}
