/** Every error of the admin API, spelled once. `openapi/admin.yaml` lists them, and a test compares the two. */
export const ADMIN_ERRORS = {
  'bad-request': { status: 400, message: 'The request is not well-formed.' },
  'bad-cursor': { status: 400, message: 'The cursor is none that this API has given out.' },
  unauthorized: { status: 401, message: 'A bearer token is needed: Authorization: Bearer <token>.' },
  forbidden: { status: 403, message: 'This token may not do that.' },
  'not-found': { status: 404, message: 'There is no such resource.' },
  'no-such-operation': { status: 404, message: 'There is no such reconciliation, or it is too long ago.' },
  'no-such-mirror': { status: 404, message: 'The mirror set has no such mirror.' },
  'mirror-away': { status: 409, message: 'A mirror that does not answer can not be trusted.' },
  'mirror-blank': { status: 409, message: 'An empty store can not be trusted.' },
  'not-waiting': { status: 409, message: 'The mirror set waits for no decision.' },
  'wrong-words': { status: 409, message: 'These are not the words that the present plan asks for.' },
  'not-lost': { status: 409, message: 'No mirror in sync says that bytes of this object are lost.' },
  'nothing-kept': { status: 409, message: 'No mirror keeps an older copy of this object.' },
  'not-paced': {
    status: 409,
    message: 'Writes wait while anything is copied, so it is copied as fast as it goes.',
  },
  'no-such-object': { status: 404, message: 'There is no such bucket or object.' },
  'already-running': { status: 409, message: 'A reconciliation is running.' },
  'verification-running': { status: 409, message: 'A verification is running.' },
  'no-verification': { status: 409, message: 'No verification is running.' },
  's3-refused': { status: 409, message: 'The S3 endpoint refused.' },
  'payload-too-large': { status: 413, message: 'The body is too large.' },
  'internal-error': { status: 500, message: 'A bug of Tally; the log of the gateway has the details.' },
  'mirror-unreachable': { status: 502, message: 'The OSD of that mirror does not answer.' },
  'not-ready': { status: 503, message: 'The mirror set is not active.' },
  'too-many-streams': {
    status: 503,
    message: 'Too many clients follow reconciliations; ask for it without /events.',
  },
} as const;

export type AdminErrorCode = keyof typeof ADMIN_ERRORS;

/** Answered as the status of its code, with { code, message }. */
export class AdminError extends Error {
  readonly code: AdminErrorCode;

  constructor(code: AdminErrorCode, message: string = ADMIN_ERRORS[code].message, options?: ErrorOptions) {
    super(message, options);
    this.name = 'AdminError';
    this.code = code;
  }
}
