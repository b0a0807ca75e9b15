import { readFileSync } from 'node:fs';

/** The version in package.json, which lies two folders above this file, built or not. */
export function readSoftwareVersion(): string {
  const value: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  if (
    typeof value === 'object' &&
    value !== null &&
    'version' in value &&
    typeof value.version === 'string'
  ) {
    return value.version;
  }
  return 'unknown';
}
