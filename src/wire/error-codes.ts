/** The stable codes with which an OSD refuses a whole request, and the HTTP status of each. */
export const OSD_ERROR_STATUS = {
  // The caller's mistake.
  'bad-request': 400,
  unauthorized: 401,
  'no-such-route': 404,
  'no-such-object': 404,
  'unknown-reconciliation': 404,
  'request-timeout': 408,
  'body-too-large': 413,
  'unsupported-media-type': 415,
  'headers-too-large': 431,
  // The request does not fit the OSD's build, epoch or identity.
  'wrong-contract': 409,
  'wrong-set': 409,
  'stale-epoch': 409,
  'not-active': 409,
  'not-fenced': 409,
  'not-driver': 409,
  'no-writer': 409,
  'stale-order': 409,
  // The world's failure.
  damaged: 500,
  'io-error': 503,
  overloaded: 503,
  closing: 503,
  'too-many-stages': 503,
  'too-many-writers': 503,
  'no-space': 507,
  // Our bug.
  'internal-error': 500,
} as const satisfies Record<string, number>;

export type OsdErrorCode = keyof typeof OSD_ERROR_STATUS;
