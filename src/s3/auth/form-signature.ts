/**
 * Who signed the policy of a form: SigV4 (S3 API reference "Authenticating Requests in Browser-Based Uploads Using POST"), and its
 * predecessor, an HMAC-SHA1 of the policy under the secret key, which forms in the wild still use. (Requests signed that way are refused.)
 */
import { createHmac } from 'node:crypto';
import { S3Error } from '../errors.js';
import { parseBasicIsoDate } from '../http-date.js';
import type { AuthenticationOptions } from './authenticate.js';
import { ALGORITHM, parseCredential } from './authorization-header.js';
import { ANONYMOUS, identityOf, type Credential, type Identity } from './credentials.js';
import { sign, signaturesEqual } from './sigv4.js';

type Fields = ReadonlyMap<string, string>;

function required(fields: Fields, name: string): string {
  const value = fields.get(name);
  if (value !== undefined) return value;
  throw new S3Error('InvalidArgument', {
    message: `Bucket POST must contain a field named '${name}'.  If it is specified, please check the order of the fields.`,
    details: { ArgumentName: name },
  });
}

function findCredential(options: AuthenticationOptions, accessKeyId: string): Credential {
  const credential = options.credentials.lookup(accessKeyId);
  if (credential !== null) return credential;
  throw new S3Error('InvalidAccessKeyId', { details: { AWSAccessKeyId: accessKeyId.slice(0, 128) } });
}

function checkOldSignature(fields: Fields, policy: string, options: AuthenticationOptions): Identity {
  const credential = findCredential(options, required(fields, 'awsaccesskeyid'));
  const expected = createHmac('sha1', credential.secretAccessKey).update(policy, 'utf8').digest('base64');
  if (!signaturesEqual(required(fields, 'signature'), expected)) throw new S3Error('SignatureDoesNotMatch');
  return identityOf(credential);
}

function checkSignature(fields: Fields, policy: string, options: AuthenticationOptions): Identity {
  const algorithm = required(fields, 'x-amz-algorithm');
  if (algorithm !== ALGORITHM) {
    throw new S3Error('InvalidArgument', {
      message: `X-Amz-Algorithm only supports "${ALGORITHM}"`,
      details: { ArgumentName: 'x-amz-algorithm', ArgumentValue: algorithm.slice(0, 64) },
    });
  }
  const { accessKeyId, scope } = parseCredential(required(fields, 'x-amz-credential'), options.region);
  const date = required(fields, 'x-amz-date');
  if (parseBasicIsoDate(date) === null || date.slice(0, 8) !== scope.date) {
    throw new S3Error('InvalidArgument', {
      message: 'X-Amz-Date must be formated via ISO8601 Long format, on the day of the credential',
      details: { ArgumentName: 'x-amz-date' },
    });
  }
  if (fields.has('x-amz-security-token')) throw new S3Error('InvalidToken');
  const credential = findCredential(options, accessKeyId);
  const expected = sign(options.signingKeys.get(credential.secretAccessKey, scope), policy);
  if (!signaturesEqual(required(fields, 'x-amz-signature'), expected)) {
    throw new S3Error('SignatureDoesNotMatch');
  }
  return identityOf(credential);
}

/**
 * Nobody without a policy. The policy's own expiry is the only limit in time. Throws S3Error InvalidArgument, InvalidAccessKeyId,
 * InvalidToken, SignatureDoesNotMatch, AuthorizationHeaderMalformed.
 */
export function authenticateForm(fields: Fields, options: AuthenticationOptions): Identity {
  const policy = fields.get('policy');
  if (policy === undefined) {
    const isSigned = fields.has('signature') || fields.has('x-amz-signature');
    if (isSigned) required(fields, 'policy');
    return ANONYMOUS;
  }
  return fields.has('awsaccesskeyid') || fields.has('signature')
    ? checkOldSignature(fields, policy, options)
    : checkSignature(fields, policy, options);
}
