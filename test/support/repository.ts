/** Where things are in this repository, seen from a test or from a compiled tool. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

function findRoot(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  let folder = here;
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error(`no package.json above ${here}`);
    folder = parent;
  }
  return folder;
}

export const repositoryRoot = findRoot();

/** The program as it is shipped. `npm test` builds it first; a tool that runs by itself calls `buildProgram`. */
export function cliEntry(): string {
  const entry = join(repositoryRoot, 'dist', 'cli', 'main.js');
  if (!existsSync(entry)) throw new Error(`${entry} is not built: npm run build`);
  return entry;
}

export function buildProgram(): void {
  const { status } = spawnSync('npm', ['run', 'build', '--silent'], {
    cwd: repositoryRoot,
    stdio: 'inherit',
  });
  if (status !== 0) throw new Error('npm run build failed');
}
