/**
 * The commands, their flags and their help. Each ends in an exit code.
 *
 * Commands that need servers or a store load them when they run, so that `tally status` answers at once.
 */
import { Argument, Command, InvalidArgumentError } from 'commander';
import { addBench } from './bench-program.js';
import { addCommand, connect, connectToSet, load, type ProgramContext } from './command.js';
import { completionScript, SHELLS, type Shell } from './completion.js';
import { confirmConfiguration, showConfiguration } from './config-commands.js';
import { loadLayers } from './configuration.js';
import { ENVIRONMENT_VARIABLES } from './environment.js';
import type { ExitCode } from './exit-codes.js';
import { type Flags, layerOfFlags } from './flags.js';
import { readInvocation } from './invocation.js';
import { addLooks } from './look-program.js';
import { force } from './run-force.js';
import { publishedSchema } from './published-schema.js';
import { type PaceFlags, readPaceFlags } from './pace-flags.js';
import { changePace, reconcile } from './run-reconcile.js';
import { scrub } from './run-scrub.js';
import { showStatus } from './show-status.js';
import { readSoftwareVersion } from './software-version.js';
import { addUser } from './user-program.js';
import { addVerify } from './verify-program.js';

const EXIT_CODES_HELP = `
Exit codes: 0 done, in sync · 1 not in sync, or a fault was found · 64 wrong command line · 69 no answer, or port taken · 70 a bug of Tally
  73 folder in use or not empty · 74 disk or file failed · 75 another gateway took over · 77 no permission
  78 wrong configuration · 130 stopped at once`;

const ENVIRONMENT_NAME_LENGTH = Math.max(...Object.keys(ENVIRONMENT_VARIABLES).map(({ length }) => length));
const ENVIRONMENT_HELP = `
Environment (over the configuration file, under the flags):
${Object.entries(ENVIRONMENT_VARIABLES)
  .map(([name, what]) => `  ${name.padEnd(ENVIRONMENT_NAME_LENGTH)} ${what}`)
  .join('\n')}`;

const HELP_COMMAND = ['help [command]', 'help with a command, with examples'] as const;

type RunFlags = Flags &
  PaceFlags & {
    readonly restart?: boolean;
    readonly watch?: boolean;
    readonly interval?: number;
    readonly wait?: boolean;
    readonly mirror?: string;
    readonly iUnderstand?: string;
    readonly object?: string;
    readonly objectVersion?: string;
    readonly giveUp?: boolean;
    readonly putBack?: boolean;
    readonly ifMissing?: boolean;
  };

export function makeProgram(context: ProgramContext): Command {
  const program = new Command('tally')
    .description(
      'An S3 gateway that keeps every object on two or more servers, and knows what they do not share yet.',
    )
    .version(readSoftwareVersion())
    .commandsGroup('Set it up:')
    .helpCommand(...HELP_COMMAND)
    .showHelpAfterError('(tally --help shows what there is)')
    .addHelpText('after', EXIT_CODES_HELP)
    .addHelpText('after', ENVIRONMENT_HELP)
    .exitOverride();
  const run =
    (command: (flags: RunFlags) => Promise<ExitCode>) =>
    async (flags: RunFlags): Promise<void> => {
      context.onExit(await command(flags));
    };
  addUp(program, context, run);
  addServices(program, context, run);
  addFormat(program, context, run);
  addOperations(program, context, run);
  addCare(program, context, run);
  addVerify(program, context);
  addForce(program, context, run);
  addHealth(program, context, run);
  addConfig(program, context, run);
  addLooks(program, context);
  addBench(program, context);
  addUser(program, context);
  addCompletion(program);
  group(program);
  return program;
}

/** How `tally --help` is divided; the others are for setting it up. */
const GROUPS: Readonly<Record<string, readonly string[]>> = {
  'Run it:': ['up', 'gateway', 'osd', 'format', 'health'],
  'Look at it:': ['status', 'tags', 'bucket', 'doctor', 'bench'],
  'Care for it:': ['reconcile', 'scrub', 'verify', 'force'],
};

function group(program: Command): void {
  for (const command of program.commands) {
    const heading = Object.keys(GROUPS).find((title) => GROUPS[title]?.includes(command.name()));
    if (heading !== undefined) command.helpGroup(heading);
    // Its own, else that of the program with its heading.
    if (command.commands.length > 0) command.helpCommand(...HELP_COMMAND);
  }
}

function addCompletion(program: Command): void {
  program
    .command('completion')
    .description('a script that completes commands and flags in your shell')
    .addArgument(new Argument('<shell>', 'the shell').choices([...SHELLS]))
    .addHelpText(
      'after',
      '\nExamples:\n  $ source <(tally completion bash)    # in ~/.bashrc; zsh: in ~/.zshrc\n  $ tally completion fish > ~/.config/fish/completions/tally.fish',
    )
    .action((shell: Shell) => {
      process.stdout.write(completionScript(program, shell));
    });
}

type Run = (command: (flags: RunFlags) => Promise<ExitCode>) => (flags: RunFlags) => Promise<void>;

function addUp(program: Command, context: ProgramContext, run: Run): void {
  const { argv, environment, workingFolder } = context;
  addCommand(
    program,
    'up',
    'start everything on this machine: one gateway and its OSDs, each a process of its own',
    [
      'tally up',
      'tally up --data /srv/tally --s3-port 8000 --admin-port 8001 --osd-ports 8010,8011',
      'tally up --restart',
    ],
  )
    .option('--s3-port <port>', 'port of the S3 endpoint on loopback (default: 9000)')
    .option('--s3-listen <host:port>', 'listen for S3 elsewhere than on loopback')
    .option('--admin-port <port>', 'port of the admin API on loopback (default: 9001)')
    .option('--admin-listen <host:port>', 'listen for the admin API elsewhere than on loopback')
    .option('--osd-ports <ports>', 'one OSD for each of these ports (default: 9010,9011)')
    .option('--workers <count>', 'processes that serve the S3 endpoint; auto: one for each core (default: 1)')
    .option('--restart', 'start a service again when it dies')
    .option('--log-level <level>', 'trace, debug, info, warn, error or fatal (default: info)')
    .option('--json', 'print JSON, one object a line')
    .action(
      run(async (flags) => {
        const command = await import('./up/run-up.js').then(({ runUp }) => runUp);
        return command({
          layer: await loadLayers({
            file: flags.config ?? null,
            flags: layerOfFlags(flags),
            environment,
            usesRunFile: false,
          }),
          invocation: readInvocation(argv, environment, workingFolder),
          environment,
          restarts: flags.restart === true,
          isJson: flags.json === true,
        });
      }),
    );
}

function addServices(program: Command, context: ProgramContext, run: Run): void {
  addCommand(program, 'gateway', 'run one gateway: S3 endpoint and admin API', [
    'tally gateway --config /etc/tally/tally.yaml',
    'tally gateway --data ./data        # next to a running "tally up" whose gateway died',
  ])
    .option('--set <name>', 'name of the mirror set')
    .option('--members <list>', 'its members: osd-0=http://host:port,osd-1=http://host:port')
    .option('--authority <file>', "file with the synchronization authority's state")
    .option('--s3-listen <host:port>', 'address of the S3 endpoint')
    .option('--admin-listen <host:port>', 'address of the admin API')
    .option('--workers <count>', 'processes that serve the S3 endpoint; auto: one for each core (default: 1)')
    .option('--log-level <level>', 'trace, debug, info, warn, error or fatal (default: info)')
    .action(
      run(async (flags) => {
        const command = await import('./run-gateway.js').then(({ runGateway }) => runGateway);
        return command(await load(flags, context));
      }),
    );
  addCommand(program, 'osd', 'run one OSD over a store that exists', [
    'tally osd --name osd-1              # next to a running "tally up" whose osd-1 died',
    'tally osd --name osd-0 --store /srv/tally/osd-0 --listen 10.0.0.1:9010 --config /etc/tally/tally.yaml',
  ])
    .option('-n, --name <name>', 'which member of the mirror set it is')
    .option('--store <folder>', 'folder of its store (default: <data>/<name>)')
    .option('--listen <host:port>', 'where it listens (default: as in the URL of that member)')
    .option('--log-level <level>', 'trace, debug, info, warn, error or fatal (default: info)')
    .action(
      run(async (flags) => {
        const command = await import('./run-osd.js').then(({ runOsd }) => runOsd);
        return command(await load(flags, context));
      }),
    );
}

function addFormat(program: Command, context: ProgramContext, run: Run): void {
  addCommand(program, 'format', 'make a new, empty store in an empty folder', [
    'tally format --name osd-1           # after its disk was replaced',
    'tally format --store /srv/tally/osd-0 --set main',
  ])
    .option('-n, --name <name>', 'which member of the mirror set it is for')
    .option('--store <folder>', 'folder of the store (default: <data>/<name>)')
    .option('--set <name>', 'name of the mirror set')
    .option('--if-missing', 'leave a store that is there alone, and call that success')
    .option('--json', 'print JSON')
    .action(
      run(async (flags) => {
        const command = await import('./run-format.js').then(({ runFormat }) => runFormat);
        return command(await load(flags, context), {
          isJson: flags.json === true,
          onlyIfMissing: flags.ifMissing === true,
        });
      }),
    );
}

const WATCH_INTERVAL_SECONDS = 1;
const WATCH_INTERVAL_SECONDS_MIN = 0.1;
const WATCH_INTERVAL_SECONDS_MAX = 86_400;

function readInterval(text: string): number {
  const seconds = text.trim() === '' ? Number.NaN : Number(text);
  if (seconds >= WATCH_INTERVAL_SECONDS_MIN && seconds <= WATCH_INTERVAL_SECONDS_MAX) return seconds;
  throw new InvalidArgumentError(
    `It must be from ${WATCH_INTERVAL_SECONDS_MIN} to ${WATCH_INTERVAL_SECONDS_MAX} seconds.`,
  );
}

function addOperations(program: Command, context: ProgramContext, run: Run): void {
  addCommand(program, 'status', 'are the mirrors in sync, and if not, how much is left?', [
    'tally status',
    'tally status --watch',
    "tally status --json | jq '.mirrors[].condition'",
  ])
    .option('-w, --watch', 'look again and again, until Ctrl-C')
    .option('--interval <seconds>', 'how often, with --watch', readInterval, WATCH_INTERVAL_SECONDS)
    .option('--mirror-set <name>', 'which mirror set, where there are several (default: all)')
    .option('--admin-url <url>', 'URL of the admin API')
    .option('--admin-token-file <file>', 'file with its token')
    .option('--json', 'print JSON')
    .action(
      run(async (flags) =>
        showStatus(await connect(flags, context), {
          isJson: flags.json === true,
          isWatch: flags.watch === true,
          intervalMs: (flags.interval ?? WATCH_INTERVAL_SECONDS) * 1000,
          set: flags.mirrorSet ?? null,
        }),
      ),
    );
  addCommand(program, 'reconcile', 'compare the mirrors now, and copy what some of them lack', [
    'tally reconcile --wait',
    'tally reconcile --wait --json',
    'tally reconcile --pace 20MiB/s',
    'tally reconcile --pause',
  ])
    .option('-w, --wait', 'show it to its end; exit code 0: all mirrors are in sync')
    .option(
      '--pace <pace>',
      'start nothing, but change what copying beside clients may take: 20MiB/s, 50%, unlimited',
    )
    .option('--pause', 'start nothing, but stop copying beside clients until --resume')
    .option('--resume', 'start nothing, but let copying go on')
    .option('--mirror-set <name>', 'which mirror set, where there are several (default: the first)')
    .option('--admin-url <url>', 'URL of the admin API')
    .option('--admin-token-file <file>', 'file with its token')
    .option('--json', 'print JSON')
    .action(
      run(async (flags) => {
        const isJson = flags.json === true;
        const waits = flags.wait === true;
        const change = readPaceFlags(flags);
        const client = await connectToSet(flags, context);
        return change === null
          ? reconcile(client, { isJson, waits })
          : changePace(client, change, { isJson });
      }),
    );
}

function addCare(program: Command, context: ProgramContext, run: Run): void {
  addCommand(
    program,
    'scrub',
    'make the OSDs read all they have, and heal what is damaged from another mirror',
    ['tally scrub --wait', 'tally scrub --mirror osd-1'],
  )
    .option('-m, --mirror <name>', 'only this mirror (default: all that are in sync)')
    .option('-w, --wait', 'wait for the end; exit code 0: nothing is damaged any more')
    .option('--mirror-set <name>', 'which mirror set, where there are several (default: the first)')
    .option('--admin-url <url>', 'URL of the admin API')
    .option('--admin-token-file <file>', 'file with its token')
    .option('--json', 'print JSON')
    .action(
      run(async (flags) =>
        scrub(await connectToSet(flags, context), {
          mirror: flags.mirror ?? null,
          isJson: flags.json === true,
          waits: flags.wait === true,
        }),
      ),
    );
}

function addForce(program: Command, context: ProgramContext, run: Run): void {
  addCommand(
    program,
    'force',
    'go on with one mirror when the mirror set waits, or decide on an object that is intact nowhere; may lose acknowledged writes',
    [
      'tally force --mirror osd-1           # says what is at risk, and what to type',
      "tally force --mirror osd-1 --i-understand 'go on with osd-1 alone at epoch 12'",
      'tally force --object photos/cat.jpg --put-back   # what a mirror keeps from before its last write',
    ],
  )
    .option('-m, --mirror <name>', 'the mirror to go on with; every other one is copied from it in full')
    .option('--object <bucket/key>', 'an object that "tally status" names as intact nowhere')
    .option('--object-version <id>', 'its version, where it has one')
    .option('--give-up', 'the object is removed')
    .option('--put-back', 'what a mirror keeps from before its last write takes its place')
    .option('--i-understand <words>', 'the words that it asks for, for scripts')
    .option('--mirror-set <name>', 'which mirror set, where there are several (default: the first)')
    .option('--admin-url <url>', 'URL of the admin API')
    .option('--admin-token-file <file>', 'file with its token')
    .option('--json', 'print JSON')
    .action(
      run(async (flags) =>
        force(await connectToSet(flags, context), {
          mirror: flags.mirror,
          object: flags.object,
          version: flags.objectVersion,
          givesUp: flags.giveUp === true,
          putsBack: flags.putBack === true,
          words: flags.iUnderstand ?? null,
          isJson: flags.json === true,
        }),
      ),
    );
}

function addConfig(program: Command, context: ProgramContext, run: Run): void {
  const config = program.command('config').description('look at the configuration');
  addCommand(
    config,
    'check',
    'is it right, and are its files? What is wrong is named with its line and column',
    ['tally config check --config /etc/tally/tally.yaml'],
  )
    .option('--json', 'print JSON')
    .action(run(async (flags) => confirmConfiguration(await load(flags, context), flags.json === true)));
  addCommand(config, 'show', 'every setting as it holds, defaults included, without secrets', [
    'tally config show --config /etc/tally/tally.yaml',
    'tally config show --json',
  ])
    .option('--json', 'print JSON')
    .action(run(async (flags) => showConfiguration(await load(flags, context), flags.json === true)));
  config
    .command('schema')
    .description('the JSON Schema of a configuration file, for editors')
    .addHelpText('after', '\nExamples:\n  $ tally config schema > tally.schema.json')
    .action(() => {
      process.stdout.write(publishedSchema());
    });
}

function addHealth(program: Command, context: ProgramContext, run: Run): void {
  addCommand(
    program,
    'health',
    'is the service of this configuration alive? For supervisors and containers',
    ['tally health                        # the gateway', 'tally health --name osd-0           # an OSD'],
  )
    .option('-n, --name <name>', 'which OSD (default: TALLY_OSD_NAME; without that, the gateway)')
    .action(
      run(async (flags) => {
        const command = await import('./check-health.js').then(({ checkHealth }) => checkHealth);
        return command(await load(flags, context));
      }),
    );
}
