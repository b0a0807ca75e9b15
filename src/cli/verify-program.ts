/** The flags and the help of `tally verify`. */
import { type Command, InvalidArgumentError } from 'commander';
import { addCommand, connectToSet, type ProgramContext } from './command.js';
import type { Flags } from './flags.js';
import { stopVerification, verify } from './run-verify.js';

type VerifyFlags = Flags & {
  readonly repair?: boolean;
  readonly quick?: boolean;
  readonly rate?: number;
  readonly wait?: boolean;
  readonly stop?: boolean;
};

const MEBIBYTE = 1024 * 1024;
/** What the admin API takes. */
const RATE_MIN = 1024;
const RATE_MAX = 2 ** 40;

function readRate(text: string): number {
  const bytesPerSecond = Math.round(Number(text) * MEBIBYTE);
  if (bytesPerSecond >= RATE_MIN && bytesPerSecond <= RATE_MAX) return bytesPerSecond;
  throw new InvalidArgumentError('It must be a rate in MiB/s.');
}

export function addVerify(program: Command, context: ProgramContext): void {
  addCommand(program, 'verify', 'compare the mirrors object by object, while clients go on', [
    'tally verify --wait                 # exit code 0: they are identical',
    'tally verify --repair --wait',
    'tally verify --quick --wait --json',
    'tally verify --stop',
  ])
    .option('--repair', 'heal what is damaged, and write anew what one mirror has not; never by a guess')
    .option('--quick', 'compare what is on record of each object, and read no content')
    .option('--rate <MiB/s>', 'what each mirror reads at the most (default: 32)', readRate)
    .option('-w, --wait', 'wait for the end; exit code 0: every object was compared, none differs any more')
    .option('--stop', 'start nothing, but end the one that runs, for good')
    .option('--mirror-set <name>', 'which mirror set, where there are several (default: the first)')
    .option('--admin-url <url>', 'URL of the admin API')
    .option('--admin-token-file <file>', 'file with its token')
    .option('--json', 'print JSON')
    .action(async (flags: VerifyFlags) => {
      const client = await connectToSet(flags, context);
      if (flags.stop === true) {
        context.onExit(await stopVerification(client, flags.json === true));
        return;
      }
      const { repair = false, quick = false, rate = null, wait = false, json = false } = flags;
      const order = { repairs: repair, isQuick: quick, bytesPerSecond: rate };
      context.onExit(await verify(client, { ...order, waits: wait, isJson: json }));
    });
}
