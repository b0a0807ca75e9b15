/** What every command has in common. */
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { makeProgram } from '../../../src/cli/program.js';

const program = makeProgram({
  argv: [],
  environment: {},
  workingFolder: '/',
  onExit: () => undefined,
});

function leavesOf(command: Command, path = ''): { readonly path: string; readonly command: Command }[] {
  return command.commands.flatMap((child) => {
    const name = `${path} ${child.name()}`.trim();
    return child.commands.length === 0 ? [{ path: name, command: child }] : leavesOf(child, name);
  });
}

function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (piece) => (text += piece) });
  command.outputHelp();
  return text;
}

const leaves = leavesOf(program).filter(({ path }) => path !== 'help');
/** Services, whose output is a log; what prints a file; and one whose answer is its exit code. */
const WITHOUT_JSON = ['gateway', 'osd', 'completion', 'config schema', 'health'];

describe('every command', () => {
  it('that an operator needs is there', () => {
    const names = leaves.map(({ path }) => path);
    for (const wanted of [
      ...['up', 'gateway', 'osd', 'format', 'status', 'reconcile', 'verify', 'scrub', 'tags', 'force'],
      ...['user add', 'user list', 'user remove', 'bucket list', 'bench', 'doctor', 'config check'],
    ]) {
      expect(names).toContain(wanted);
    }
  });

  it.each(leaves)('$path has help with examples, which are of this command', ({ path, command }) => {
    const help = helpOf(command);
    expect(help).toContain('Examples:');
    expect(help.split('Examples:')[1]).toContain(`tally ${path}`);
  });

  it.each(leaves.filter(({ path }) => !WITHOUT_JSON.includes(path)))('$path has --json', ({ command }) => {
    expect(command.options.map(({ long }) => long)).toContain('--json');
  });

  it.each(leaves)('$path takes a token where it speaks to the admin API', ({ command }) => {
    const flags = command.options.map(({ long }) => long);
    expect(flags.includes('--admin-token-file')).toBe(flags.includes('--admin-url'));
  });

  it.each(['x', '0', '-1', '', '1e9'])('status takes no interval of %j', async (interval) => {
    const argv = ['node', 'tally', 'status', '--interval', interval];
    await expect(program.parseAsync(argv)).rejects.toThrow('It must be from 0.1 to 86400 seconds.');
  });
});
