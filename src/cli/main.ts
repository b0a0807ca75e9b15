#!/usr/bin/env node
/** The entry point: runs a command, and turns what it threw into one sentence and an exit code. */
import { CommanderError } from 'commander';
import pico from 'picocolors';
import { EXIT, type ExitCode } from './exit-codes.js';
import { explainError } from './explain-error.js';
import { makeProgram } from './program.js';

async function main(argv: readonly string[], environment: NodeJS.ProcessEnv): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT.ok;
  const program = makeProgram({
    argv,
    environment,
    workingFolder: process.cwd(),
    onExit: (code) => {
      exitCode = code;
    },
  });
  try {
    await program.parseAsync(argv);
    return exitCode;
  } catch (error) {
    // commander has printed help, version, or what is wrong with the command line.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    const explanation = explainError(error);
    const isVerbose = argv.includes('--verbose');
    if (argv.includes('--json')) {
      process.stdout.write(`${JSON.stringify({ code: explanation.code, message: explanation.message })}\n`);
    } else process.stderr.write(`${asErrors(explanation.message)}\n`);
    if (isVerbose || explanation.exitCode === EXIT.bug) process.stderr.write(`${traceOf(error)}\n`);
    return explanation.exitCode;
  }
}

/** A configuration may have several faults, a line for each. */
function asErrors(message: string): string {
  return message
    .split('\n')
    .map((line) => `${pico.red('error')} ${line}`)
    .join('\n');
}

function traceOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `\ncaused by ${traceOf(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}

process.exit(await main(process.argv, process.env));
