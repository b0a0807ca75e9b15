/** Who may talk to an OSD: whoever has the mirror set's shared secret. */
import { timingSafeEqual } from 'node:crypto';
import { authorizationOf } from '../wire/contract.js';

/** Throws RangeError for a secret that is none. */
export function makeAuthenticator(secret: string): (authorization: string | undefined) => boolean {
  const expected = Buffer.from(authorizationOf(secret));
  return (authorization) => {
    const given = Buffer.from(authorization ?? '');
    const isSameLength = given.length === expected.length;
    // Takes the same time wherever the first difference is; only the length shows.
    return timingSafeEqual(isSameLength ? given : expected, expected) && isSameLength;
  };
}
