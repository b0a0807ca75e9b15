/**
 * Reads the Authorization header (S3 API reference "Authenticating Requests: Using the Authorization Header"):
 *
 *   AWS4-HMAC-SHA256 Credential=<key>/<date>/<region>/s3/aws4_request, SignedHeaders=<a;b>, Signature=<64 hex>
 */
import { S3Error } from '../errors.js';
import type { SigningScope } from './signing-key.js';

export const ALGORITHM = 'AWS4-HMAC-SHA256';
const SIGNED_HEADERS_MAX = 200;
const SIGNATURE = /^[0-9a-f]{64}$/;
const DATE = /^\d{8}$/;

export interface ParsedAuthorization {
  readonly accessKeyId: string;
  readonly scope: SigningScope;
  readonly signedHeaders: readonly string[];
  /** 64 lower-case hex digits. */
  readonly signature: string;
}

function malformed(problem: string, details: Readonly<Record<string, string>> = {}): S3Error {
  return new S3Error('AuthorizationHeaderMalformed', {
    message: `The authorization header is malformed; ${problem}`,
    details,
  });
}

/** SigV2 had `AWS <access key>:<signature>`. */
export function isSigV2(header: string): boolean {
  return header === 'AWS' || header.startsWith('AWS ');
}

/** Refuses every scheme but SigV4, and says so. */
function checkScheme(header: string, scheme: string): void {
  if (scheme === ALGORITHM) return;
  if (isSigV2(scheme) || scheme.startsWith('AWS4-')) {
    throw new S3Error('InvalidRequest', {
      message: `The authorization mechanism you have provided is not supported. Please use ${ALGORITHM}.`,
    });
  }
  throw new S3Error('InvalidArgument', {
    message: 'Unsupported Authorization Type',
    details: { ArgumentName: 'Authorization', ArgumentValue: header.slice(0, 128) },
  });
}

function parseFields(text: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const part of text.split(',')) {
    const field = part.trim();
    const equals = field.indexOf('=');
    if (equals < 0) throw malformed('it has a part that is not name=value.');
    fields.set(field.slice(0, equals), field.slice(equals + 1));
  }
  return fields;
}

/** Says what is wrong with a credential. */
type CredentialFault = (problem: string, details?: Readonly<Record<string, string>>) => S3Error;

/** Parses a credential scope and holds it to this server. `region` is the one configured. */
export function parseCredential(
  text: string,
  region: string,
  fault: CredentialFault = malformed,
): { accessKeyId: string; scope: SigningScope } {
  const parts = text.split('/');
  const [terminal, service, scopeRegion, date] = parts.toReversed();
  const accessKeyId = parts.slice(0, -4).join('/');
  if (
    terminal === undefined ||
    service === undefined ||
    scopeRegion === undefined ||
    date === undefined ||
    accessKeyId === ''
  ) {
    throw fault(
      'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".',
    );
  }
  if (!DATE.test(date)) {
    throw fault(
      `incorrect date format "${date}". This date in the credential must be in the format "yyyyMMdd".`,
    );
  }
  if (scopeRegion !== region) {
    throw fault(`the region '${scopeRegion}' is wrong; expecting '${region}'`, { Region: region });
  }
  if (service !== 's3') throw fault(`incorrect service "${service}". This endpoint belongs to "s3".`);
  if (terminal !== 'aws4_request') {
    throw fault(`incorrect terminal "${terminal}". This endpoint uses "aws4_request".`);
  }
  return { accessKeyId, scope: { date, region: scopeRegion, service } };
}

const KNOWN_MAX = 1_000;
const KNOWN_LENGTH_MAX = 512;
/** As the last field, where every client that we know has it. */
const SIGNATURE_FIELD = /,\s*Signature=([0-9a-f]{64})$/;

/**
 * Parses headers for one region. All that stands before the signature is the same in many requests of one client on one day, so it is
 * remembered what that says; strangers can fill this memory, and then it is emptied.
 */
export class AuthorizationParser {
  readonly #region: string;
  readonly #known = new Map<string, Omit<ParsedAuthorization, 'signature'>>();

  constructor(region: string) {
    this.#region = region;
  }

  /** Throws as `parseAuthorization` does. */
  parse(header: string): ParsedAuthorization {
    const signature = SIGNATURE_FIELD.exec(header)?.[1];
    if (signature === undefined) return parseAuthorization(header, this.#region);
    const start = header.slice(0, -signature.length);
    const known = this.#known.get(start);
    if (known !== undefined) {
      const { accessKeyId, scope, signedHeaders } = known;
      return { accessKeyId, scope, signedHeaders, signature };
    }
    const parsed = parseAuthorization(header, this.#region);
    if (this.#known.size >= KNOWN_MAX) this.#known.clear();
    if (start.length <= KNOWN_LENGTH_MAX) this.#known.set(start, parsed);
    return parsed;
  }
}

/** Throws S3Error AuthorizationHeaderMalformed, InvalidRequest (SigV2) or InvalidArgument (another scheme). */
function parseAuthorization(header: string, region: string): ParsedAuthorization {
  const space = header.indexOf(' ');
  const scheme = space < 0 ? header : header.slice(0, space);
  checkScheme(header, scheme);
  const fields = parseFields(header.slice(scheme.length));
  const credential = fields.get('Credential');
  const signedHeaders = fields.get('SignedHeaders');
  const signature = fields.get('Signature');
  if (credential === undefined) throw malformed('it has no Credential.');
  if (signedHeaders === undefined || signedHeaders === '') throw malformed('it has no SignedHeaders.');
  if (signature === undefined || !SIGNATURE.test(signature))
    throw malformed('its Signature is not 64 hex digits.');
  const names = signedHeaders.split(';');
  if (names.length > SIGNED_HEADERS_MAX) throw malformed('it signs too many headers.');
  return { ...parseCredential(credential, region), signedHeaders: names, signature };
}
