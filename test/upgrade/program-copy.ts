/** The built program in a folder of its own, where it can be changed: a neighbour of another release, without building one. */
import {
  appendFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cliEntry, repositoryRoot } from '../support/repository.js';

const PARTS = ['dist', 'openapi', 'schema', 'package.json'];

export class ProgramCopy {
  readonly #folder = mkdtempSync(join(tmpdir(), 'tally-other-'));

  constructor() {
    // It must be there.
    cliEntry();
    for (const part of PARTS)
      cpSync(join(repositoryRoot, part), join(this.#folder, part), { recursive: true });
    symlinkSync(join(repositoryRoot, 'node_modules'), join(this.#folder, 'node_modules'));
  }

  get entry(): string {
    return join(this.#folder, 'dist/cli/main.js');
  }

  /** It speaks these versions of the contract, and no other. */
  speak(least: number, greatest: number): this {
    const folder = join(this.#folder, 'dist/cli');
    let changedCount = 0;
    for (const name of readdirSync(folder)) {
      const text = readFileSync(join(folder, name), 'utf8');
      const changed = text.replace(
        /(\bCONTRACT = )\{[^}]*\}/,
        `$1{ least: ${least}, greatest: ${greatest} }`,
      );
      if (changed === text) continue;
      writeFileSync(join(folder, name), changed);
      changedCount += 1;
    }
    if (changedCount !== 1) throw new Error(`${changedCount} files of ${folder} say what this build speaks`);
    return this;
  }

  /** As an upgrade does it below a running process. */
  replace(): void {
    appendFileSync(this.entry, '\n// of another build\n');
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
