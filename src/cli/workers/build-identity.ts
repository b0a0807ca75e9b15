/**
 * Which build a process runs. A gateway and its workers speak a language of their own, which has no versions: they are of one build, or
 * don't work together. An upgrade replaces the files below a running gateway, and the next worker that it starts would be of the new one.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { programFile } from '../program-files.js';

const PROGRAM_FOLDER = programFile('dist/cli');

/** A name for the content of all its files. */
export function readBuildIdentity(): string {
  const names = readdirSync(PROGRAM_FOLDER, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.js'))
    .sort();
  const hash = createHash('sha256');
  for (const name of names) hash.update(`${name}\0`).update(readFileSync(join(PROGRAM_FOLDER, name)));
  return hash.digest('hex');
}
