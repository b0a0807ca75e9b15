/** The built program in a folder of its own, where it can be changed: a neighbour of another release, without building one. */
import {
  appendFileSync,
  cpSync,
  mkdtempSync,
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
    const path = join(this.#folder, 'dist/wire/contract-version.js');
    const text = readFileSync(path, 'utf8');
    const changed = text.replace(/(CONTRACT = )\{[^}]*\}/, `$1{ least: ${least}, greatest: ${greatest} }`);
    if (changed === text) throw new Error(`${path} does not say what this build speaks`);
    writeFileSync(path, changed);
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
