/** How this process was called, for the commands that it prints to be pasted. */
import { basename, relative, resolve } from 'node:path';

export interface Invocation {
  /** What stands before `status`: `tally`, `npx tally` or `node dist/cli/main.js`. */
  readonly command: string;
  readonly workingFolder: string;
}

export function readInvocation(
  argv: readonly string[],
  environment: NodeJS.ProcessEnv,
  workingFolder: string,
): Invocation {
  const script = argv[1] ?? 'tally';
  // npm sets this for `npm start`, `npx` and `npm exec` alike.
  if (environment['npm_command'] !== undefined) return { command: 'npx tally', workingFolder };
  if (basename(script) === 'tally') return { command: 'tally', workingFolder };
  return { command: `node ${showPath(resolve(script), workingFolder)}`, workingFolder };
}

/** The shorter of absolute and relative, quoted for a shell when needed. */
export function showPath(path: string, workingFolder: string): string {
  const relativePath = relative(workingFolder, path);
  const shown = relativePath === '' ? '.' : relativePath.startsWith('..') ? path : relativePath;
  return /^[\w./@%+=:,-]+$/.test(shown) ? shown : `'${shown.replaceAll("'", String.raw`'\''`)}'`;
}
