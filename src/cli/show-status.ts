/** `tally status`: one look, or a look every second. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { AdminClient, AdminSets, AdminStatus } from './admin-client.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { OperationalError } from './operational-error.js';
import { formatBytes, formatDuration } from '../gateway/figures.js';
import { describeBriefly } from './reconcile-text.js';
import { isAllInSync, renderStatus } from './status-table.js';

export interface StatusOptions {
  readonly isJson: boolean;
  readonly isWatch: boolean;
  readonly intervalMs: number;
  /** Only this mirror set; null: all. */
  readonly set: string | null;
}

const CLEAR_SCREEN = '\u001b[H\u001b[2J';

interface Look {
  readonly text: string;
  readonly json: unknown;
  readonly isAllInSync: boolean;
}

/** With `isWatch` it goes on until it is interrupted. */
export async function showStatus(client: AdminClient, options: StatusOptions): Promise<ExitCode> {
  const { isJson, isWatch, intervalMs, set } = options;
  for (;;) {
    const look = set === null ? await lookAtAll(client) : await lookAtOne(await clientOfSet(client, set));
    const clear = isWatch && !isJson && process.stdout.isTTY ? CLEAR_SCREEN : '';
    const text = isJson ? JSON.stringify(look.json, null, isWatch ? 0 : 2) : look.text;
    process.stdout.write(`${clear}${text}\n${isWatch && clear === '' && !isJson ? '\n' : ''}`);
    if (!isWatch) return look.isAllInSync ? EXIT.ok : EXIT.notInSync;
    await sleep(intervalMs);
  }
}

/** The first set's routes are the ones without a name. Throws OperationalError. */
export async function clientOfSet(client: AdminClient, set: string): Promise<AdminClient> {
  const names = (await client.sets()).sets.map(({ setId }) => setId);
  if (!names.includes(set)) {
    throw new OperationalError(
      'no-such-set',
      EXIT.usage,
      `There is no mirror set ${set}, but ${names.join(', ')}.`,
    );
  }
  return names[0] === set ? client : client.ofSet(set);
}

async function lookAtOne(client: AdminClient): Promise<Look> {
  const status = await client.status();
  return { text: await renderAll(client, status), json: status, isAllInSync: isAllInSync(status) };
}

async function lookAtAll(client: AdminClient): Promise<Look> {
  const { sets, move } = await client.sets();
  if (sets.length === 1) return lookAtOne(client);
  const looks: Look[] = [];
  for (const { setId } of sets) looks.push(await lookAtOne(await clientOfSet(client, setId)));
  return {
    text: [...looks.map(({ text }) => text), ...describeMove(move)].join('\n\n'),
    json: { sets: looks.map(({ json }) => json), move },
    isAllInSync: looks.every((look) => look.isAllInSync),
  };
}

function describeMove(move: AdminSets['move']): string[] {
  if (move === null || move.phase === 'settled') return [];
  const failures =
    move.failures === 0 ? '' : `; ${move.failures} could not be moved yet, and are tried again`;
  return [
    `Objects are moving to their mirror sets: ${move.objectsMoved} moved so far, ${formatBytes(move.bytesMoved)}${failures}.`,
  ];
}

async function renderAll(client: AdminClient, status: AdminStatus): Promise<string> {
  const last = (await client.operations()).find(({ state }) => state !== 'running');
  const endedMs = last?.endedMs ?? null;
  if (last === undefined || endedMs === null) return renderStatus(status);
  const age = formatDuration(status.nowMs - endedMs);
  return `${renderStatus(status)}\nLast reconciliation, ${age} ago (${last.reason}): ${describeBriefly(last)}.`;
}
