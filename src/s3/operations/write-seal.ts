/** The encryption of what a request writes. */
import type { CustomerKey } from '../encryption/customer-key.js';
import { readEncryptionWish } from '../encryption/encryption-wish.js';
import { newSeal, type Seal } from '../encryption/seals.js';
import type { ObjectContext } from './context.js';

export interface WriteSeal {
  /** Null: the content is not encrypted. */
  readonly seal: Seal | null;
  /** The request's; null: it brought none. */
  readonly customerKey: CustomerKey | null;
}

/** As the headers ask, else as the bucket has it. Throws S3Error. */
export function openWriteSeal({ request, services, bucket }: ObjectContext): WriteSeal {
  const wish = readEncryptionWish(request, services.encryption, bucket.configuration.defaultEncryption);
  return { seal: newSeal(wish), customerKey: wish.kind === 'customer' ? wish.customerKey : null };
}
