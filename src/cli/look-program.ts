/** The flags and the help of `tally tags`, `tally bucket` and `tally doctor`. */
import { type Command, InvalidArgumentError } from 'commander';
import { addCommand, connect, connectToSet, load, type ProgramContext } from './command.js';
import { runDoctor } from './doctor/run-doctor.js';
import type { Flags } from './flags.js';
import { listBuckets, showTags, TAG_ROWS_DEFAULT, TAG_ROWS_MAX } from './look-commands.js';

type TagsFlags = Flags & { readonly mirror: string; readonly limit: number };

function readLimit(text: string): number {
  const limit = Number(text);
  if (/^\d+$/.test(text) && limit >= 1 && limit <= TAG_ROWS_MAX) return limit;
  throw new InvalidArgumentError(`It must be from 1 to ${TAG_ROWS_MAX}.`);
}

export function addLooks(program: Command, context: ProgramContext): void {
  addCommand(program, 'tags', 'the tag table of a mirror: writes that some other mirror may lack', [
    'tally tags --mirror osd-0',
    'tally tags --mirror osd-0 --limit 1000',
    "tally tags --mirror osd-0 --json | jq -r '.rows[].key'",
  ])
    .requiredOption('-m, --mirror <name>', 'the mirror')
    .option('-l, --limit <rows>', 'so many rows at the most', readLimit, TAG_ROWS_DEFAULT)
    .option('--mirror-set <name>', 'the mirror set that it is of (default: the first)')
    .option('--admin-url <url>', 'URL of the admin API')
    .option('--admin-token-file <file>', 'file with its token')
    .option('--json', 'print JSON')
    .action(async (flags: TagsFlags) => {
      const { mirror, limit } = flags;
      const client = await connectToSet(flags, context);
      context.onExit(await showTags(client, { mirror, limit, isJson: flags.json === true }));
    });
  addCommand(program, 'doctor', 'look at disks, ports, secrets, clocks and versions, and say what to do', [
    'tally doctor',
    'tally doctor --config /etc/tally/tally.yaml --name osd-0',
    'tally doctor --json | jq \'.findings[] | select(.verdict != "ok")\'',
  ])
    .option('-n, --name <name>', 'the OSD of this machine (default: those with a store in the data folder)')
    .option('--store <folder>', 'folder of its store (default: <data>/<name>)')
    .option('--admin-url <url>', 'URL of the admin API')
    .option('--admin-token-file <file>', 'file with its token')
    .option('--json', 'print JSON')
    .action(async (flags: Flags) => {
      context.onExit(await runDoctor(await load(flags, context), flags.json === true));
    });
  const bucket = program.command('bucket').description('look at the buckets');
  addCommand(bucket, 'list', 'all buckets of the first account', [
    'tally bucket list',
    "tally bucket list --json | jq -r '.buckets[].name'",
  ])
    .option('--admin-url <url>', 'URL of the admin API')
    .option('--admin-token-file <file>', 'file with its token')
    .option('--json', 'print JSON')
    .action(async (flags: Flags) => {
      context.onExit(await listBuckets(await connect(flags, context), flags.json === true));
    });
}
