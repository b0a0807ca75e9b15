/** The one table that turns what went wrong into what an OSD answers (STYLE.md 12, 15). */
import { InvariantViolation } from '../protocol/invariant.js';
import { describeKey } from '../store/keys.js';
import { DamagedRecord, StoreError, type StoreErrorCode } from '../store/object-store.js';
import { OSD_ERROR_STATUS, type OsdErrorCode } from '../wire/error-codes.js';
import { MalformedMessage } from '../wire/malformed-message.js';
import { OsdRefusal, OsdUnreachable } from '../wire/osd-connection.js';

export function refusal(code: OsdErrorCode, message: string, options?: ErrorOptions): OsdRefusal {
  return new OsdRefusal(code, OSD_ERROR_STATUS[code], message, options);
}

const STORE_ERROR_CODES: Readonly<Record<StoreErrorCode, OsdErrorCode>> = {
  'io-error': 'io-error',
  damaged: 'damaged',
  'incomplete-store': 'io-error',
  'in-use': 'io-error',
  'no-space': 'no-space',
  overloaded: 'overloaded',
  closed: 'closing',
};

function storeRefusal(error: StoreError): OsdRefusal {
  const { message } = error;
  const said =
    error instanceof DamagedRecord
      ? `${describeKey(Buffer.from(error.keyHex, 'hex'))} ${error.fault}`
      : message;
  return refusal(STORE_ERROR_CODES[error.code], said, { cause: error });
}

/** Fastify's own errors, by their stable codes; anything else of its with a 4xx status is a bad request. */
const FASTIFY_ERROR_CODES: Readonly<Record<string, OsdErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'body-too-large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported-media-type',
  FST_ERR_BAD_URL: 'bad-request',
};

function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

function isCallersMistake(error: unknown): boolean {
  if (!(error instanceof Error) || !('statusCode' in error)) return false;
  return typeof error.statusCode === 'number' && error.statusCode >= 400 && error.statusCode < 500;
}

/** What is answered, or null for what nobody foresaw: that is `internal-error`, and belongs in the log. */
export function foreseenRefusal(error: unknown): OsdRefusal | null {
  if (error instanceof OsdRefusal) return error;
  if (error instanceof MalformedMessage) return refusal('bad-request', error.message);
  if (error instanceof StoreError) return storeRefusal(error);
  if (error instanceof InvariantViolation || error instanceof OsdUnreachable) return null;
  const fastifyCode = FASTIFY_ERROR_CODES[codeOf(error) ?? ''];
  if (fastifyCode !== undefined) return refusal(fastifyCode, error instanceof Error ? error.message : '');
  if (isCallersMistake(error)) return refusal('bad-request', error instanceof Error ? error.message : '');
  return null;
}

/** The store's own errors as refusals; everything else as it is. */
export function withoutStoreError(error: unknown): unknown {
  return error instanceof StoreError ? storeRefusal(error) : error;
}

/** Runs work on the store; what the store reports as its own errors comes out as a refusal. */
export async function refuseStoreErrors<Value>(work: () => Promise<Value>): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    throw withoutStoreError(error);
  }
}
