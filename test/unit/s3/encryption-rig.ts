/** Keys and headers for tests of encryption. */
import { createHash, createHmac } from 'node:crypto';
import { MasterKeys } from '../../../src/s3/encryption/master-keys.js';
import type { Answer } from './harness.js';

const NAMES = ['algorithm', 'key', 'key-MD5'] as const;
type Headers = Record<string, string>;

/** A key that only this test knows by its name. */
function makeKey(name: string): Buffer {
  return createHmac('sha256', 'keys of tests').update(name).digest();
}

function keyHeaders(prefix: string, name: string): Headers {
  const key = makeKey(name);
  const values = ['AES256', key.toString('base64'), createHash('md5').update(key).digest('base64')];
  return Object.fromEntries(NAMES.map((header, index) => [prefix + header, values[index] ?? '']));
}

export function customerKey(name: string): Headers {
  return keyHeaders('x-amz-server-side-encryption-customer-', name);
}

export function sourceCustomerKey(name: string): Headers {
  return keyHeaders('x-amz-copy-source-server-side-encryption-customer-', name);
}

export const BY_SERVER: Headers = { 'x-amz-server-side-encryption': 'AES256' };

export function byNamedKey(name: string): Headers {
  return {
    'x-amz-server-side-encryption': 'aws:kms',
    'x-amz-server-side-encryption-aws-kms-key-id': name,
  };
}

export function masterKeys(...names: readonly string[]): MasterKeys {
  return MasterKeys.parse(names.map((name) => `${name} ${makeKey(name).toString('base64')}`).join('\n'));
}

/** What an answer says of encryption. */
export function saysOf({ headers }: Answer): Headers {
  const entries = Object.entries(headers).flatMap(([name, value]): [string, string][] => {
    const short = name.replace('x-amz-server-side-encryption', 'sse');
    return short === name ? [] : [[short, String(value)]];
  });
  return Object.fromEntries(entries);
}

export const SAYS_SERVER = { sse: 'AES256' };

export function saysNamed(name: string): Headers {
  return { sse: 'aws:kms', 'sse-aws-kms-key-id': name };
}

export function saysCustomer(name: string): Headers {
  return {
    'sse-customer-algorithm': 'AES256',
    'sse-customer-key-md5': createHash('md5').update(makeKey(name)).digest('base64'),
  };
}
