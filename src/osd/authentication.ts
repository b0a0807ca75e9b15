/** Who may talk to an OSD: whoever has one of the mirror set's shared secrets. */
import { timingSafeEqual } from 'node:crypto';
import { authorizationOf, secretsNow, type SetSecrets } from '../wire/contract.js';

/** Throws RangeError for a secret that is none. */
export function makeAuthenticator(secrets: SetSecrets): (authorization: string | undefined) => boolean {
  let read = secretsNow(secrets);
  let accepted = read.map((secret) => Buffer.from(authorizationOf(secret)));
  return (authorization) => {
    if (typeof secrets !== 'string' && secrets() !== read) {
      read = secrets();
      accepted = read.map((secret) => Buffer.from(authorizationOf(secret)));
    }
    const given = Buffer.from(authorization ?? '');
    // All are looked at, whichever it is.
    return accepted.map((expected) => isSame(given, expected)).includes(true);
  };
}

function isSame(given: Buffer, expected: Buffer): boolean {
  const isSameLength = given.length === expected.length;
  // Takes the same time wherever the first difference is; only the length shows.
  return timingSafeEqual(isSameLength ? given : expected, expected) && isSameLength;
}
