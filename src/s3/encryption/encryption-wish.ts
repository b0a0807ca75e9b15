/**
 * How a request wants what it writes to be encrypted (UserGuide "Protecting data with encryption"), and the bucket's default.
 *
 * SSE-KMS (`aws:kms`) is SSE-S3 with a key that is named: any of the master keys, by its name. There is no service behind it, so a key has no policy of its own: whoever may
 * write may name it, whoever may read reads. What only such a service can do is refused: encryption contexts, bucket keys, two layers.
 */
import type { DefaultEncryption } from '../bucket-configuration.js';
import { S3Error } from '../errors.js';
import type { S3Request } from '../request.js';
import {
  CUSTOMER_KEY_HEADERS,
  readCustomerKey,
  type CustomerKey,
  type PlainHttpRule,
} from './customer-key.js';
import type { MasterKey, MasterKeys } from './master-keys.js';
import { SERVER_ALGORITHMS, type ServerAlgorithm } from './server-algorithm.js';

export const ENCRYPTION_HEADER = 'x-amz-server-side-encryption';
export const KMS_KEY_HEADER = 'x-amz-server-side-encryption-aws-kms-key-id';
/** What keys of the server are asked for by name with. */
export const NAMED_KEY: ServerAlgorithm = 'aws:kms';
const TWO_LAYERS = 'aws:kms:dsse';
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
  | { readonly kind: 'master'; readonly masterKey: MasterKey; readonly algorithm: ServerAlgorithm };

const NONE: EncryptionWish = { kind: 'none' };

/** Throws S3Error NotImplemented without master keys. */
function requireMasterKeys({ masterKeys }: EncryptionSettings): MasterKeys {
  if (masterKeys !== null) return masterKeys;
  throw new S3Error('NotImplemented', {
    message: 'This server has no master key, so it cannot encrypt with keys of its own (SSE-S3).',
  });
}

/** Null for what is no algorithm at all. Throws S3Error NotImplemented for two layers of encryption. */
export function toServerAlgorithm(text: string): ServerAlgorithm | null {
  if (text === TWO_LAYERS) {
    throw new S3Error('NotImplemented', {
      message: `Encryption in two layers (${text}) is not implemented.`,
    });
  }
  return SERVER_ALGORITHMS.find((name) => name === text) ?? null;
}

/** The key of that name; null: the one that is current. Throws S3Error KMS.NotFoundException, NotImplemented. */
export function namedMasterKey(settings: EncryptionSettings, keyId: string | null): MasterKey {
  const masterKeys = requireMasterKeys(settings);
  if (keyId === null) return masterKeys.current;
  const key = masterKeys.find(keyId);
  if (key !== null) return { id: keyId, key };
  throw new S3Error('KMS.NotFoundException', { details: { KeyId: keyId.slice(0, 128) } });
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
  if (headers.has(KMS_KEY_HEADER) && algorithm !== NAMED_KEY && algorithm !== TWO_LAYERS) {
    throw new S3Error('InvalidArgument', {
      message: `Server Side Encryption with AWS KMS managed key requires HTTP header ${ENCRYPTION_HEADER} : aws:kms`,
      details: { ArgumentName: ENCRYPTION_HEADER },
    });
  }
  if (customerKey !== null) return { kind: 'customer', customerKey };
  if (algorithm === undefined) return null;
  const serverAlgorithm = toServerAlgorithm(algorithm);
  if (serverAlgorithm === null) {
    throw new S3Error('InvalidArgument', {
      message: 'The encryption method specified is not supported',
      details: { ArgumentName: ENCRYPTION_HEADER, ArgumentValue: algorithm.slice(0, 64) },
    });
  }
  const keyId = headers.get(KMS_KEY_HEADER)?.trim() ?? null;
  return { kind: 'master', masterKey: namedMasterKey(settings, keyId), algorithm: serverAlgorithm };
}

/** Throws S3Error InvalidArgument, InvalidEncryptionAlgorithmError, InvalidRequest, NotImplemented. */
export function readEncryptionWish(
  request: S3Request,
  settings: EncryptionSettings,
  /** When the request says nothing; null: not at all. */
  byDefault: DefaultEncryption | null,
): EncryptionWish {
  const asked = readHeaders(request, settings);
  if (asked !== null) return asked;
  if (byDefault === null) return NONE;
  const { algorithm, keyId } = byDefault;
  return { kind: 'master', masterKey: namedMasterKey(settings, keyId), algorithm };
}

/** Whether the request itself says how to encrypt. */
export function asksForEncryption({ headers }: S3Request): boolean {
  return ENCRYPTION_HEADERS.some((name) => headers.has(name));
}
