/**
 * `tally force`: goes on with one mirror when the mirror set waits. Says first what is at risk; acts only when that is answered with the
 * very words that are asked for, typed at a terminal or given as `--i-understand`.
 */
import type { AdminForcePlan, AdminClient } from './admin-client.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { OperationalError } from './operational-error.js';
import { askAtTerminal } from './terminal-question.js';

export interface ForceOptions {
  readonly mirror: string;
  /** What was said on the command line; null: nothing. */
  readonly words: string | null;
  readonly isJson: boolean;
}

function describePlan({ mirror, risks, words }: AdminForcePlan): string {
  return [
    `Going on with ${mirror} alone. What is at risk:`,
    ...risks.map((risk) => `  - ${risk}`),
    '',
    'This can not be taken back. Better: bring the missing mirror back. To go on all the same, say:',
    `  ${words}`,
  ].join('\n');
}

export async function force(client: AdminClient, options: ForceOptions): Promise<ExitCode> {
  const { mirror, isJson } = options;
  const plan = await client.planForce(mirror);
  if (isJson) process.stdout.write(`${JSON.stringify(plan, null, 2)}\n`);
  else process.stdout.write(`${describePlan(plan)}\n`);
  const words = options.words ?? (isJson || !process.stdin.isTTY ? null : await askAtTerminal('> '));
  if (words === null) return EXIT.notInSync;
  if (words !== plan.words) {
    throw new OperationalError('wrong-words', EXIT.usage, `Nothing was done. To go on, say: ${plan.words}`);
  }
  await client.force(mirror, words);
  if (!isJson) process.stdout.write(`It is on record, and ${mirror} takes over. "tally status" shows it.\n`);
  return EXIT.ok;
}
