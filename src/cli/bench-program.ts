/** The flags and the help of `tally bench`. */
import { type Command, InvalidArgumentError } from 'commander';
import { addCommand, load, type ProgramContext } from './command.js';
import type { Flags } from './flags.js';

type BenchFlags = Flags & { readonly size: number; readonly concurrency: number; readonly seconds: number };

const UNITS: Readonly<Record<string, number>> = { '': 1, B: 1, KiB: 1024, MiB: 1024 ** 2 };
/** An object is made in memory. */
const SIZE_BYTES_MAX = 64 * 1024 ** 2;
const SIZE_BYTES_DEFAULT = 4096;
const CONCURRENCY_MAX = 256;
const CONCURRENCY_DEFAULT = 16;
const SECONDS_MAX = 3600;
const SECONDS_DEFAULT = 5;

function readSize(text: string): number {
  const [, figure, unit = ''] = /^(\d+)\s*([A-Za-z]*)$/.exec(text) ?? [];
  const sizeBytes = Number(figure) * (UNITS[unit] ?? Number.NaN);
  if (sizeBytes >= 1 && sizeBytes <= SIZE_BYTES_MAX) return sizeBytes;
  throw new InvalidArgumentError('It must be a size such as 200, 4KiB or 8MiB, 64MiB at the most.');
}

function readWhole(max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= 1 && value <= max) return value;
    throw new InvalidArgumentError(`It must be from 1 to ${max}.`);
  };
}

export function addBench(program: Command, context: ProgramContext): void {
  addCommand(program, 'bench', 'a short load on the S3 endpoint, in a bucket of its own, as a table', [
    'tally bench',
    'tally bench --size 1MiB --concurrency 4 --seconds 10',
    "tally bench --json | jq '.phases[] | [.operation, .requestCount / .seconds]'",
  ])
    .option('--size <size>', 'of each object: 200, 4KiB, 8MiB', readSize, SIZE_BYTES_DEFAULT)
    .option('--concurrency <n>', 'requests in flight', readWhole(CONCURRENCY_MAX), CONCURRENCY_DEFAULT)
    .option('--seconds <s>', 'for PUT, for GET and for HEAD', readWhole(SECONDS_MAX), SECONDS_DEFAULT)
    .option('--json', 'print JSON')
    .action(async (flags: BenchFlags) => {
      const { size, concurrency, seconds, json = false } = flags;
      const configuration = await load(flags, context);
      const command = await import('./bench/run-bench.js').then(({ bench }) => bench);
      const options = { sizeBytes: size, concurrency, seconds, isJson: json };
      context.onExit(await command(configuration, options));
    });
}
