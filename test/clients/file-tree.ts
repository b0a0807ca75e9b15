/** A folder of files for clients which carry whole folders, and whether one that came back is the same. */
import { mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { SeededRandom } from '../support/seeded-random.js';

/** Long ago, and to the second, which is what every client can keep. */
const MODIFIED_SECONDS = 1_500_000_000;

/** Sizes in bytes by name. */
export type FileSizes = Readonly<Record<string, number>>;

export function writeTree(folder: string, files: FileSizes): void {
  Object.entries(files).forEach(([name, lengthBytes], index) => {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, new SeededRandom(lengthBytes + index).bytes(lengthBytes));
    utimesSync(path, MODIFIED_SECONDS + index, MODIFIED_SECONDS + index);
  });
}

function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}

/** What tells two folders apart, in words; with `times`, modification times to the second too. */
export function treeDifferences(left: string, right: string, times = false): string[] {
  const names = filesOf(left);
  const others = filesOf(right);
  if (names.join('\n') !== others.join('\n')) return [`${names.join(', ')} against ${others.join(', ')}`];
  const seconds = (path: string) => Math.floor(statSync(path).mtimeMs / 1000);
  return names.filter((name) => {
    const [here, there] = [join(left, name), join(right, name)];
    return !readFileSync(here).equals(readFileSync(there)) || (times && seconds(here) !== seconds(there));
  });
}
