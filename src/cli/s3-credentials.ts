/** The accounts and keys of the S3 endpoint, as the configuration has them. */
import { createHash } from 'node:crypto';
import type { Credential } from '../s3/auth/credentials.js';
import type { FurtherS3Key, S3Keys } from './secrets.js';

const DISPLAY_NAME = 'tally';

/** S3 wants a canonical user id, 64 hex digits: the same for one mirror set whatever its keys are. */
function defaultOwner(setId: string): string {
  return createHash('sha256').update(`tally:${setId}`).digest('hex');
}

/** The first key is the default account's; further ones are too, unless they name another. */
export function s3Credentials(
  setId: string,
  { accessKey, secretKey }: S3Keys,
  further: readonly FurtherS3Key[],
): readonly [Credential, ...Credential[]] {
  const ownerId = defaultOwner(setId);
  const first: Credential = {
    accessKeyId: accessKey,
    secretAccessKey: secretKey,
    ownerId,
    displayName: DISPLAY_NAME,
  };
  return [
    first,
    ...further.map(({ key, secretKey: secretAccessKey }): Credential => {
      const account = key.ownerId ?? ownerId;
      return {
        accessKeyId: key.accessKeyId,
        secretAccessKey,
        ownerId: account,
        displayName: key.displayName ?? (account === ownerId ? DISPLAY_NAME : account),
        ...(key.email !== null && { email: key.email }),
        limits: { isReadOnly: key.isReadOnly, buckets: key.buckets },
      };
    }),
  ];
}
