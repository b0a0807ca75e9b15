/** README's table of operations, as the operation table of the code has it. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { describeOperations } from '../../src/s3/operations/table.js';
import { repositoryRoot } from '../support/repository.js';

export const README = join(repositoryRoot, 'README.md');
const BEGIN = '<!-- operations: written by "npm run docs" -->';
const END = '<!-- end of operations -->';
const PLACES = { service: '/', bucket: '/bucket', object: '/bucket/key' };

type Operation = ReturnType<typeof describeOperations>[number];

function requestOf({ method, level, query, header }: Operation): string {
  const target = PLACES[level] + (query.length === 0 ? '' : `?${query.join('&')}`);
  return `\`${method} ${target}\`${header === null ? '' : ` with \`${header}\``}`;
}

function renderTable(): string {
  const operations = describeOperations();
  const done = operations.filter(({ isImplemented }) => isImplemented);
  const missing = operations.filter(({ isImplemented }) => !isImplemented);
  return [
    `<details><summary>All operations: ${done.length} that Tally does, ${missing.length} that it answers with 501</summary>`,
    '',
    '| operation | request |',
    '| --- | --- |',
    ...done.map((operation) => `| ${operation.name} | ${requestOf(operation)} |`),
    '',
    `Answered with 501 \`NotImplemented\`: ${missing.map(({ name }) => name).join(', ')}.`,
    '',
    '</details>',
  ].join('\n');
}

/** README as it should be: the text between the markers comes from the code, all else from the file. */
export async function renderReadme(): Promise<{ readonly present: string; readonly wanted: string }> {
  const present = await readFile(README, 'utf8');
  const begin = present.indexOf(BEGIN);
  const end = present.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`README.md has no "${BEGIN}" ... "${END}"`);
  const text = `${present.slice(0, begin + BEGIN.length)}\n\n${renderTable()}\n\n${present.slice(end)}`;
  const wanted = await format(text, { ...(await resolveConfig(README)), parser: 'markdown' });
  return { present, wanted };
}
