import { readFileSync } from 'node:fs';
import { programFile } from './program-files.js';

/** The version in package.json. */
export function readSoftwareVersion(): string {
  const value: unknown = JSON.parse(readFileSync(programFile('package.json'), 'utf8'));
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
