/** `tally status`: one look, or a look every second. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { AdminClient } from './admin-client.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import type { AdminStatus } from '../admin/schemas.js';
import { formatDuration } from './figures.js';
import { describeBriefly } from './reconcile-text.js';
import { isAllInSync, renderStatus } from './status-table.js';

export interface StatusOptions {
  readonly isJson: boolean;
  readonly isWatch: boolean;
  readonly intervalMs: number;
}

const CLEAR_SCREEN = '\u001b[H\u001b[2J';

/** With `isWatch` it goes on until it is interrupted. */
export async function showStatus(client: AdminClient, options: StatusOptions): Promise<ExitCode> {
  const { isJson, isWatch, intervalMs } = options;
  for (;;) {
    const status = await client.status();
    const clear = isWatch && !isJson && process.stdout.isTTY ? CLEAR_SCREEN : '';
    const text = isJson ? JSON.stringify(status, null, isWatch ? 0 : 2) : await renderAll(client, status);
    process.stdout.write(`${clear}${text}\n${isWatch && clear === '' && !isJson ? '\n' : ''}`);
    if (!isWatch) return isAllInSync(status) ? EXIT.ok : EXIT.notInSync;
    await sleep(intervalMs);
  }
}

async function renderAll(client: AdminClient, status: AdminStatus): Promise<string> {
  const last = (await client.operations()).find(({ state }) => state !== 'running');
  const endedMs = last?.endedMs ?? null;
  if (last === undefined || endedMs === null) return renderStatus(status);
  const age = formatDuration(status.nowMs - endedMs);
  return `${renderStatus(status)}\nLast reconciliation, ${age} ago (${last.reason}): ${describeBriefly(last)}.`;
}
