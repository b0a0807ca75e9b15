/** The keys of one request: what it seals new content with, and what it opens an object with. */
import { S3Error } from '../errors.js';
import type { HeaderList } from '../response.js';
import type { ObjectAttributes } from '../attributes.js';
import { ALGORITHM, type CustomerKey } from './customer-key.js';
import { DataKey } from './data-key.js';
import type { EncryptionSettings, EncryptionWish } from './encryption-wish.js';
import { ENCRYPTION_HEADER, KMS_KEY_HEADER, NAMED_KEY } from './encryption-wish.js';
import type { Sealing } from './sealing.js';

/** What new content is sealed with. */
export interface Seal {
  readonly dataKey: DataKey;
  readonly sealing: Sealing;
}

function wrapFor(wish: Exclude<EncryptionWish, { kind: 'none' }>, dataKey: DataKey): Sealing {
  const isCustomers = wish.kind === 'customer';
  return {
    masterKeyId: isCustomers ? null : wish.masterKey.id,
    isNamed: !isCustomers && wish.algorithm === NAMED_KEY,
    wrappedKey: dataKey.wrap(isCustomers ? wish.customerKey.key : wish.masterKey.key),
    pieces: null,
  };
}

/** Null: not encrypted. */
export function newSeal(wish: EncryptionWish): Seal | null {
  if (wish.kind === 'none') return null;
  const dataKey = DataKey.create();
  return { dataKey, sealing: wrapFor(wish, dataKey) };
}

/** The same content under another key; none of it is touched. */
export function reseal(wish: Exclude<EncryptionWish, { kind: 'none' }>, seal: Seal): Seal {
  const { pieces } = seal.sealing;
  return { dataKey: seal.dataKey, sealing: { ...wrapFor(wish, seal.dataKey), pieces } };
}

/** What a refusal says; the codes are the same for reads, parts and copies. */
export interface KeyRefusals {
  readonly needed: string;
  readonly notApplicable: string;
  readonly wrong: () => S3Error;
}

const READ_REFUSALS: KeyRefusals = {
  needed:
    'The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.',
  notApplicable: 'The encryption parameters are not applicable to this object.',
  wrong: () => new S3Error('AccessDenied'),
};

export const UPLOAD_REFUSALS: KeyRefusals = {
  needed:
    'The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate encryption parameters.',
  notApplicable:
    'The multipart upload initiate did not request encryption. Please resend the request without sending encryption parameters.',
  wrong: () =>
    new S3Error('InvalidRequest', {
      message: 'The provided encryption parameters did not match the ones used originally.',
    }),
};

function unwrapWithMaster(sealing: Sealing, masterKeyId: string, settings: EncryptionSettings): DataKey {
  const masterKey = settings.masterKeys?.find(masterKeyId) ?? null;
  const dataKey = masterKey === null ? null : DataKey.unwrap(sealing.wrappedKey, masterKey);
  if (dataKey !== null) return dataKey;
  throw new S3Error('InternalError', {
    message: `This object is encrypted, and the master key ${masterKeyId} of this server ${masterKey === null ? 'is not configured' : 'is not the one that encrypted it'}.`,
  });
}

/** Null: it is not encrypted. `customerKey` is the request's. Throws S3Error InvalidRequest, AccessDenied, InternalError. */
export function openSeal(
  { sealing }: Pick<ObjectAttributes, 'sealing'>,
  customerKey: CustomerKey | null,
  settings: EncryptionSettings,
  refusals = READ_REFUSALS,
): Seal | null {
  if (sealing?.masterKeyId === null) {
    if (customerKey === null) throw new S3Error('InvalidRequest', { message: refusals.needed });
    const dataKey = DataKey.unwrap(sealing.wrappedKey, customerKey.key);
    if (dataKey === null) throw refusals.wrong();
    return { dataKey, sealing };
  }
  if (customerKey !== null) throw new S3Error('InvalidRequest', { message: refusals.notApplicable });
  if (sealing === null) return null;
  return { dataKey: unwrapWithMaster(sealing, sealing.masterKeyId, settings), sealing };
}

/** What an answer says of the encryption of its object. */
export function encryptionHeaders(
  { sealing }: Pick<ObjectAttributes, 'sealing'>,
  customerKey: CustomerKey | null,
): HeaderList {
  if (sealing === null) return [];
  if (sealing.masterKeyId !== null) {
    return sealing.isNamed
      ? [ENCRYPTION_HEADER, NAMED_KEY, KMS_KEY_HEADER, sealing.masterKeyId]
      : [ENCRYPTION_HEADER, ALGORITHM];
  }
  if (customerKey === null) return [];
  return [
    `${ENCRYPTION_HEADER}-customer-algorithm`,
    ALGORITHM,
    `${ENCRYPTION_HEADER}-customer-key-MD5`,
    customerKey.md5Base64,
  ];
}
