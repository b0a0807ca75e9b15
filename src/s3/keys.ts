/** The rules for bucket names and object keys. Dots and slashes in a key are ordinary bytes: no path is ever made of it. */
import { OBJECT_NAME_BYTES_MAX } from '../protocol/object-id.js';
import { S3Error } from './errors.js';

const BUCKET_NAME = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const IP_ADDRESS = /^\d{1,3}(\.\d{1,3}){3}$/;
const RESERVED_PREFIXES = ['xn--', 'sthree-', 'amzn-s3-demo-'];
const RESERVED_SUFFIXES = ['-s3alias', '--ol-s3', '.mrap', '--x-s3', '--table-s3'];

/** UserGuide "General purpose bucket naming rules". */
function isBucketName(name: string): boolean {
  return (
    BUCKET_NAME.test(name) &&
    !name.includes('..') &&
    !IP_ADDRESS.test(name) &&
    !RESERVED_PREFIXES.some((prefix) => name.startsWith(prefix)) &&
    !RESERVED_SUFFIXES.some((suffix) => name.endsWith(suffix))
  );
}

export function checkBucketName(name: string): void {
  if (!isBucketName(name)) throw new S3Error('InvalidBucketName', { details: { BucketName: name } });
}

/** A new bucket's name must be a host's name too, else it can't be addressed in virtual-host style: no label has a hyphen at an end. */
export function checkNewBucketName(name: string): void {
  checkBucketName(name);
  if (name.includes('-.') || name.includes('.-')) {
    throw new S3Error('InvalidBucketName', { details: { BucketName: name } });
  }
}

/** UserGuide "Naming Amazon S3 objects": up to 1,024 bytes of UTF-8. NUL is our separator in object ids. */
export function checkKey(key: string): void {
  if (key.includes('\u0000')) {
    throw new S3Error('InvalidArgument', {
      message: 'An object key must not contain NUL.',
      details: { ArgumentName: 'key' },
    });
  }
  if (!key.isWellFormed()) throw new S3Error('InvalidURI');
  if (key.length * 3 <= OBJECT_NAME_BYTES_MAX) return;
  const sizeBytes = Buffer.byteLength(key, 'utf8');
  if (sizeBytes > OBJECT_NAME_BYTES_MAX) {
    throw new S3Error('KeyTooLongError', {
      details: { Size: String(sizeBytes), MaxSizeAllowed: String(OBJECT_NAME_BYTES_MAX) },
    });
  }
}
