/** Services: do they answer, are their ports theirs, and are all of one version? */
import { stat } from 'node:fs/promises';
import { createConnection } from 'node:net';
import type { AdminStatus } from '../admin-client.js';
import type { Fetch } from '../../wire/trusting-fetch.js';
import { type Address, formatAddress } from '../address.js';
import { isTaken } from '../up/ports.js';
import { fail, type Finding, ok, warn } from './finding.js';

const ANSWER_WITHIN_MS = 3000;

export interface Service {
  readonly name: string;
  /** Of its health. */
  readonly url: string;
  readonly fetch: Fetch;
}

/** Null: it lives. Otherwise why it seems not to. */
export async function whyNotAlive({ url, fetch }: Service): Promise<string | null> {
  try {
    const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
    const { status } = await fetch(`${url}/health/live`, { method: 'GET', headers: {}, signal });
    return status === 200 ? null : `it answers ${status}`;
  } catch (error) {
    const cause = error instanceof Error ? (error.cause ?? error) : error;
    return cause instanceof Error && cause.message !== '' ? cause.message : 'no answer';
  }
}

export function judgeService({ name, url }: Service, problem: string | null): Finding {
  if (problem === null) return ok('answers', `${name} at ${url}`);
  const start = name === 'gateway' ? '"tally gateway"' : `"tally osd --name ${name}"`;
  return fail(
    'answers',
    `${name} at ${url} does not: ${problem}`,
    `Start it (${start}), or look at the network.`,
  );
}

/** A port of this machine: free, or taken by the service that it is for. */
export async function examinePort(what: string, address: Address, isServing: boolean): Promise<Finding> {
  const place = `${formatAddress(address)} (${what})`;
  try {
    const isUsed = await isTaken({ what, address, flag: '' });
    if (!isUsed) return ok('port', `${place} is free`);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return fail('port', message, 'Correct the address in the configuration.');
  }
  return isServing
    ? ok('port', `${place} is in use by it`)
    : fail('port', `${place} is taken by somebody else`, 'Stop that, or choose another port.');
}

/** For others than the owner. */
const FOREIGN_RIGHTS = 0o077;

/** The socket of an OSD on this machine. Without it everything works, over TCP. */
export async function examineSocket(name: string, path: string, isServing: boolean): Promise<Finding> {
  const place = `${path} (${name})`;
  if (!(await isListenedAt(path))) {
    if (!isServing) return ok('socket', `${place}: nobody is there`);
    return warn(
      'socket',
      `${place}: nobody is there, though ${name} answers; it is called over TCP`,
      `Restart ${name} with this configuration, as the user that calls it.`,
    );
  }
  const { mode } = await stat(path);
  if ((mode & FOREIGN_RIGHTS) === 0) return ok('socket', `${place} is answered`);
  return warn('socket', `${place} may be opened by others than its owner`, `chmod 600 ${path}`);
}

function isListenedAt(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    socket.setTimeout(ANSWER_WITHIN_MS, () => socket.destroy());
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
    socket.once('close', () => resolve(false));
  });
}

/** Do gateway and OSDs understand each other? */
export function judgeContract(statuses: readonly AdminStatus[]): readonly Finding[] {
  if (statuses.length === 0) return [];
  const apart = statuses.flatMap(({ mirrors }) =>
    mirrors.filter(({ condition }) => condition === 'incompatible'),
  );
  const advice = 'Install that release on its machine, and restart its service.';
  return apart.length === 0
    ? [ok('contract', 'gateway and OSDs understand each other')]
    : apart.map(({ mirror, incompatibility }) => fail('contract', incompatibility ?? mirror, advice));
}

/** `here`: the version of this command. */
export function judgeVersions(here: string, statuses: readonly AdminStatus[]): Finding {
  const parts = new Map([['this command', here]]);
  for (const { softwareVersion, mirrors } of statuses) {
    parts.set('gateway', softwareVersion);
    for (const { mirror, identity } of mirrors) {
      if (identity !== null) parts.set(mirror, identity.softwareVersion);
    }
  }
  if (new Set(parts.values()).size === 1) return ok('versions', `${[...parts.keys()].join(', ')}: ${here}`);
  const all = [...parts].map(([part, version]) => `${part} ${version}`).join(', ');
  return warn('versions', all, 'Bring all parts to one version.');
}
