/** How a request wants what it writes to be encrypted (UserGuide "Protecting data with encryption"), and the bucket's default. */
import type { BucketConfiguration } from '../bucket-configuration.js';
import { S3Error } from '../errors.js';
import type { S3Request } from '../request.js';
import {
  ALGORITHM,
  CUSTOMER_KEY_HEADERS,
  readCustomerKey,
  type CustomerKey,
  type PlainHttpRule,
} from './customer-key.js';
import type { MasterKey, MasterKeys } from './master-keys.js';

export const ENCRYPTION_HEADER = 'x-amz-server-side-encryption';
const KMS_KEY_HEADER = 'x-amz-server-side-encryption-aws-kms-key-id';
/** What a request that reads must not say. */
export const WRITE_ONLY_HEADERS = [ENCRYPTION_HEADER, KMS_KEY_HEADER];
/** What a request that writes may say. */
export const ENCRYPTION_HEADERS = [ENCRYPTION_HEADER, KMS_KEY_HEADER, ...CUSTOMER_KEY_HEADERS];

export interface EncryptionSettings {
  /** Null: no SSE-S3. */
  readonly masterKeys: MasterKeys | null;
  readonly customerKeysOverHttp: PlainHttpRule;
}

export type EncryptionWish =
  | { readonly kind: 'none' }
  | { readonly kind: 'customer'; readonly customerKey: CustomerKey }
  | { readonly kind: 'master'; readonly masterKey: MasterKey };

const NONE: EncryptionWish = { kind: 'none' };

/** Throws S3Error NotImplemented without master keys. */
export function requireMasterKeys({ masterKeys }: EncryptionSettings): MasterKeys {
  if (masterKeys !== null) return masterKeys;
  throw new S3Error('NotImplemented', {
    message: 'This server has no master key, so it cannot encrypt with keys of its own (SSE-S3).',
  });
}

/** False for what is no algorithm at all. Throws S3Error NotImplemented for keys of a key management service. */
export function isDoneAlgorithm(text: string): boolean {
  if (text === 'aws:kms' || text === 'aws:kms:dsse') {
    throw new S3Error('NotImplemented', {
      message: `Encryption with keys of a key management service (${text}) is not implemented.`,
    });
  }
  return text === ALGORITHM;
}

/** What the headers ask for; null: nothing. Throws S3Error. */
function readHeaders(request: S3Request, settings: EncryptionSettings): EncryptionWish | null {
  const { headers } = request;
  const algorithm = headers.get(ENCRYPTION_HEADER)?.trim();
  const customerKey = readCustomerKey(request, settings.customerKeysOverHttp);
  if (customerKey !== null && algorithm !== undefined) {
    throw new S3Error('InvalidArgument', {
      message:
        'Server Side Encryption with Customer provided key is incompatible with the encryption method specified',
      details: { ArgumentName: ENCRYPTION_HEADER, ArgumentValue: algorithm.slice(0, 64) },
    });
  }
  if (headers.has(KMS_KEY_HEADER) && algorithm !== 'aws:kms' && algorithm !== 'aws:kms:dsse') {
    throw new S3Error('InvalidArgument', {
      message: `Server Side Encryption with AWS KMS managed key requires HTTP header ${ENCRYPTION_HEADER} : aws:kms`,
      details: { ArgumentName: ENCRYPTION_HEADER },
    });
  }
  if (customerKey !== null) return { kind: 'customer', customerKey };
  if (algorithm === undefined) return null;
  if (!isDoneAlgorithm(algorithm)) {
    throw new S3Error('InvalidArgument', {
      message: 'The encryption method specified is not supported',
      details: { ArgumentName: ENCRYPTION_HEADER, ArgumentValue: algorithm.slice(0, 64) },
    });
  }
  return { kind: 'master', masterKey: requireMasterKeys(settings).current };
}

/** Throws S3Error InvalidArgument, InvalidEncryptionAlgorithmError, InvalidRequest, NotImplemented. */
export function readEncryptionWish(
  request: S3Request,
  settings: EncryptionSettings,
  /** Whether the request says nothing: what then? */
  { isEncryptedByDefault }: Pick<BucketConfiguration, 'isEncryptedByDefault'>,
): EncryptionWish {
  const asked = readHeaders(request, settings);
  if (asked !== null) return asked;
  if (!isEncryptedByDefault) return NONE;
  return { kind: 'master', masterKey: requireMasterKeys(settings).current };
}

/** Whether the request itself says how to encrypt. */
export function asksForEncryption({ headers }: S3Request): boolean {
  return ENCRYPTION_HEADERS.some((name) => headers.has(name));
}
