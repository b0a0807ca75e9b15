/**
 * `tally force`: goes on with one mirror when the mirror set waits, or decides on an object that is intact nowhere. Says first what is at risk; acts
 * only when that is answered with the very words that are asked for, typed at a terminal or given as `--i-understand`.
 */
import type { AdminClient, AdminForceObjectOrder } from './admin-client.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { OperationalError } from './operational-error.js';
import { askAtTerminal } from './terminal-question.js';

export interface ForceOptions {
  /** Undefined: it is about an object. */
  readonly mirror: string | undefined;
  /** As bucket/key. */
  readonly object: string | undefined;
  readonly version: string | undefined;
  readonly givesUp: boolean;
  readonly putsBack: boolean;
  /** What was said on the command line; null: nothing. */
  readonly words: string | null;
  readonly isJson: boolean;
}

/** One decision: how it is told, and how it is made. */
interface Decision {
  readonly title: string;
  readonly better: string;
  readonly done: string;
  readonly plan: () => Promise<{ readonly risks: readonly string[]; readonly words: string }>;
  readonly make: (words: string) => Promise<unknown>;
}

function describe({ title, better }: Decision, risks: readonly string[], words: string): string {
  return [
    title,
    ...risks.map((risk) => `  - ${risk}`),
    '',
    `This can not be taken back. ${better} To go on all the same, say:`,
    `  ${words}`,
  ].join('\n');
}

function wrongUse(message: string): OperationalError {
  return new OperationalError('usage', EXIT.usage, message);
}

function aboutMirror(client: AdminClient, mirror: string): Decision {
  return {
    title: `Going on with ${mirror} alone. What is at risk:`,
    better: 'Better: bring the missing mirror back.',
    done: `It is on record, and ${mirror} takes over. "tally status" shows it.`,
    plan: () => client.planForce(mirror),
    make: (words) => client.force(mirror, words),
  };
}

function aboutObject(client: AdminClient, order: AdminForceObjectOrder): Decision {
  const name = `${order.bucket}/${order.key}`;
  const isGivenUp = order.choice === 'give-up';
  return {
    title: `${isGivenUp ? 'Giving up' : 'Putting back an older copy of'} ${name}. What is lost:`,
    better: 'Better: bring a mirror back that may have it, or write the object anew.',
    done: isGivenUp ? `It is on record, and ${name} is gone.` : `It is on record, and ${name} is put back.`,
    plan: () => client.planForceObject(order),
    make: (words) => client.forceObject(order, words),
  };
}

function orderOf({ object = '', version, givesUp, putsBack }: ForceOptions): AdminForceObjectOrder {
  const slash = object.indexOf('/');
  if (slash <= 0 || slash === object.length - 1) throw wrongUse('An object is named as bucket/key.');
  if (givesUp === putsBack) throw wrongUse('Say --give-up or --put-back.');
  return {
    bucket: object.slice(0, slash),
    key: object.slice(slash + 1),
    ...(version !== undefined && { version }),
    choice: givesUp ? 'give-up' : 'put-back',
  };
}

function decisionOf(client: AdminClient, options: ForceOptions): Decision {
  const { mirror, object } = options;
  if ((mirror === undefined) === (object === undefined)) throw wrongUse('Name a mirror or an object.');
  return mirror === undefined ? aboutObject(client, orderOf(options)) : aboutMirror(client, mirror);
}

export async function force(client: AdminClient, options: ForceOptions): Promise<ExitCode> {
  const { isJson } = options;
  const decision = decisionOf(client, options);
  const plan = await decision.plan();
  const text = isJson ? JSON.stringify(plan, null, 2) : describe(decision, plan.risks, plan.words);
  process.stdout.write(`${text}\n`);
  const words = options.words ?? (isJson || !process.stdin.isTTY ? null : await askAtTerminal('> '));
  if (words === null) return EXIT.notInSync;
  if (words !== plan.words) {
    throw new OperationalError('wrong-words', EXIT.usage, `Nothing was done. To go on, say: ${plan.words}`);
  }
  await decision.make(words);
  if (!isJson) process.stdout.write(`${decision.done}\n`);
  return EXIT.ok;
}
