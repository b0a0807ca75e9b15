/** The flags and the help of `tally user`. */
import type { Command } from 'commander';
import { addCommand, load, type ProgramContext } from './command.js';
import type { Flags } from './flags.js';
import { addKey, listKeys, removeKey } from './user-commands.js';

type AddFlags = Flags & {
  readonly readOnly?: boolean;
  readonly bucket?: readonly string[];
  readonly owner?: string;
  readonly displayName?: string;
  readonly email?: string;
};

type RemoveFlags = Flags & { readonly yes?: boolean };

function append(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

export function addUser(program: Command, context: ProgramContext): void {
  const user = program
    .command('user')
    .description('S3 keys beside the first one; a running gateway takes them without a restart');
  addCommand(user, 'add', 'make a key, and print its secret this once', [
    'tally user add',
    'tally user add backup --bucket backups --display-name "Nightly backup"',
    'tally user add --read-only --bucket photos --bucket films',
    'tally user add --owner alice --json',
  ])
    .argument('[access-key]', 'its id (default: a random one)')
    .option('--read-only', 'it may read, and nothing else')
    .option('-b, --bucket <name>', 'only this bucket; may be given several times (default: all)', append)
    .option('--owner <id>', 'the account that it acts for (default: that of the first key)')
    .option('--display-name <name>', 'name of the account')
    .option('--email <address>', 'for grants by e-mail address')
    .option('--json', 'print JSON')
    .action(async (accessKey: string | undefined, flags: AddFlags) => {
      const request = {
        accessKeyId: accessKey ?? null,
        isReadOnly: flags.readOnly === true,
        buckets: flags.bucket ?? null,
        ownerId: flags.owner ?? null,
        displayName: flags.displayName ?? null,
        email: flags.email ?? null,
      };
      context.onExit(await addKey(await load(flags, context), request, flags.json === true));
    });
  addCommand(user, 'list', 'all keys, without their secrets', ['tally user list', 'tally user list --json'])
    .option('--json', 'print JSON')
    .action(async (flags: Flags) => {
      context.onExit(await listKeys(await load(flags, context), flags.json === true));
    });
  addCommand(user, 'remove', 'take a key away; asks for its id once more', [
    'tally user remove TALLYABCDEFGHIJKLMNO',
    'tally user remove backup --yes      # for scripts',
  ])
    .argument('<access-key>', 'its id')
    .option('-y, --yes', 'without a question')
    .option('--json', 'print JSON')
    .action(async (accessKey: string, flags: RemoveFlags) => {
      const request = { accessKeyId: accessKey, isSure: flags.yes === true, isJson: flags.json === true };
      context.onExit(await removeKey(await load(flags, context), request));
    });
}
