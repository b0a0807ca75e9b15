/** What all commands share: their common flags, their configuration, and their way to the admin API. */
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { AdminClient } from './admin-client.js';
import { type Configuration, loadConfiguration } from './configuration.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { type Flags, layerOfFlags } from './flags.js';
import { fetchTrusting } from './open-tls.js';
import { OperationalError } from './operational-error.js';
import { readAdminToken } from './secrets.js';
import { clientOfSet } from './show-status.js';

export interface ProgramContext {
  readonly argv: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  readonly workingFolder: string;
  readonly onExit: (exitCode: ExitCode) => void;
}

/** Throws OperationalError. */
export function load(flags: Flags, { environment }: ProgramContext): Promise<Configuration> {
  return loadConfiguration({
    file: flags.config ?? null,
    flags: layerOfFlags(flags),
    environment,
    usesRunFile: true,
  });
}

/** Throws OperationalError. */
export async function connect(flags: Flags, context: ProgramContext): Promise<AdminClient> {
  const configuration = await load(flags, context);
  const { url, token } = configuration.admin;
  if (token.kind === 'file' && token.isDefault && !existsSync(token.path)) {
    throw new OperationalError(
      'no-data-folder',
      EXIT.configuration,
      `There is no Tally in ${configuration.dataFolder}: start one with "tally up", name its folder with --data, or give --admin-url and TALLY_ADMIN_TOKEN_FILE.`,
    );
  }
  return new AdminClient(
    url,
    await readAdminToken(configuration),
    await fetchTrusting(configuration.tls.adminClient, 'admin.caFile'),
  );
}

/** A client of the set that was named. Throws OperationalError. */
export async function connectToSet(flags: Flags, context: ProgramContext): Promise<AdminClient> {
  const client = await connect(flags, context);
  return flags.mirrorSet === undefined ? client : clientOfSet(client, flags.mirrorSet);
}

/** A command that every command is like. */
export function addCommand(
  program: Command,
  name: string,
  summary: string,
  examples: readonly string[],
): Command {
  return program
    .command(name)
    .description(summary)
    .option('-d, --data <folder>', 'data folder (default: ./data)')
    .option('-c, --config <file>', 'configuration file')
    .option('--verbose', 'show where an error came from')
    .addHelpText('after', `\nExamples:\n${examples.map((example) => `  $ ${example}`).join('\n')}`);
}
