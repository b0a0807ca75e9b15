import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { completionScript } from '../../../src/cli/completion.js';
import { makeProgram } from '../../../src/cli/program.js';

const program = makeProgram({ argv: [], environment: {}, workingFolder: '/', onExit: () => undefined });

/** What bash offers for the last word. */
function offered(...words: string[]): string[] {
  const list = ['tally', ...words].map((word) => `'${word}'`).join(' ');
  const ask = `COMP_WORDS=(${list}); COMP_CWORD=${words.length}; _tally; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync('bash', ['-c', `${completionScript(program, 'bash')}\n${ask}`], {
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  return stdout.trim().split('\n');
}

describe('completion', () => {
  it('offers commands, their commands, and their flags in bash', () => {
    expect(offered('sta')).toEqual(['status']);
    expect(offered('user', '')).toEqual(expect.arrayContaining(['add', 'list', 'remove']));
    expect(offered('user', 'add', '--re')).toEqual(['--read-only']);
    expect(offered('status', '--json', '--wa')).toEqual(['--watch']);
    expect(offered('user', '--re')).toEqual(['']);
  });

  it('knows every command and flag, in each shell', () => {
    for (const shell of ['bash', 'zsh', 'fish'] as const) {
      const text = completionScript(program, shell);
      for (const command of program.commands) {
        expect(text).toContain(command.name());
        for (const { long } of command.options) expect(text).toContain(long!.slice(2));
      }
    }
  });

  it('every command stands in a group of the help', () => {
    expect(program.helpInformation()).not.toMatch(/^Commands:/m);
    for (const command of program.commands) expect(command.helpGroup()).not.toBe('');
  });
});
