/** `tally tags` and `tally bucket list`: looks at what is there, for people. */
import type { AdminTagTable, AdminClient } from './admin-client.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { formatBytes, formatCount, formatDuration, plural } from '../gateway/figures.js';
import { cell, printable, renderTitled } from './text-table.js';

export const TAG_ROWS_DEFAULT = 50;
export const TAG_ROWS_MAX = 100_000;
/** What the admin API gives at once. */
const TAG_PAGE_MAX = 1000;

type TagRow = AdminTagTable['rows'][number];

export interface TagsOptions {
  readonly mirror: string;
  readonly limit: number;
  readonly isJson: boolean;
}

/** The first rows, and whether there are more. Nothing holds the table still between two pages. */
async function firstRows(
  client: AdminClient,
  { mirror, limit }: TagsOptions,
): Promise<{ readonly rows: readonly TagRow[]; readonly hasMore: boolean }> {
  const rows: TagRow[] = [];
  let after: string | null = null;
  while (rows.length < limit) {
    const page: AdminTagTable = await client.tagTable(
      mirror,
      after,
      Math.min(TAG_PAGE_MAX, limit - rows.length),
    );
    rows.push(...page.rows);
    after = page.next;
    if (after === null) break;
  }
  const hasMore = after !== null && (await client.tagTable(mirror, after, 1)).rows.length > 0;
  return { rows, hasMore };
}

function describeRange({ kind, offset, length }: TagRow): string {
  if (kind === 'remove' || kind === 'set-attributes') return '-';
  if (kind === 'replace') return formatBytes(length);
  return `${formatCount(offset)} + ${formatBytes(length)}`;
}

export function renderTags(rows: readonly TagRow[], hasMore: boolean, nowMs: number): string {
  if (rows.length === 0) return 'No rows: every mirror has every write of this one.';
  const titles = ['TAG', 'EPOCH', 'WRITE', 'BYTES', 'AGE', 'BUCKET', 'KEY'];
  const cells = rows.map((row) =>
    [
      row.tag,
      String(row.epoch),
      row.kind,
      describeRange(row),
      formatDuration(nowMs - row.writtenMs),
      printable(row.bucket),
      printable(row.key) + (row.version === '' ? '' : ` (version ${printable(row.version)})`),
    ].map((text) => cell(text)),
  );
  const end = hasMore
    ? `The first ${plural(rows.length, 'row')}; --limit shows more.`
    : `${plural(rows.length, 'row')}.`;
  return `${renderTitled(titles, cells)}\n\n${end}`;
}

export async function showTags(client: AdminClient, options: TagsOptions): Promise<ExitCode> {
  const { rows, hasMore } = await firstRows(client, options);
  const text = options.isJson
    ? JSON.stringify({ mirror: options.mirror, rows, hasMore }, null, 2)
    : renderTags(rows, hasMore, Date.now());
  process.stdout.write(`${text}\n`);
  return EXIT.ok;
}

export async function listBuckets(client: AdminClient, isJson: boolean): Promise<ExitCode> {
  const buckets = await client.buckets();
  if (isJson) {
    process.stdout.write(`${JSON.stringify({ buckets }, null, 2)}\n`);
    return EXIT.ok;
  }
  const rows = buckets.map(({ name, createdMs }) => [
    cell(printable(name)),
    cell(new Date(createdMs).toISOString()),
  ]);
  process.stdout.write(
    rows.length === 0 ? 'There are no buckets.\n' : `${renderTitled(['BUCKET', 'MADE'], rows)}\n`,
  );
  return EXIT.ok;
}
