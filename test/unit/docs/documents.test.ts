/** What is written for people holds together: a merge that doubles a chapter, or a file that moved, is noticed. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { repositoryRoot } from '../../support/repository.js';

const DOCUMENTS = [
  'README.md',
  'CONTRIBUTING.md',
  'bench/README.md',
  'docs/threat-model.md',
  'docs/two-machines.md',
  'docs/two-machines.transcript.md',
  'test/s3-suite/README.md',
];

/** Without what stands in fenced blocks, where a comment of a shell looks like a heading. */
async function readProse(document: string): Promise<string> {
  const text = await readFile(join(repositoryRoot, document), 'utf8');
  return text.replaceAll(/^```.*?^```/gms, '');
}

describe.each(DOCUMENTS)('%s', (document) => {
  it('has each chapter once', async () => {
    const headings = (await readProse(document)).match(/^#+ .*$/gm) ?? [];
    const titles = headings.map((heading) => heading.replace(/^#+ /, ''));
    expect(titles.filter((title, index) => titles.indexOf(title) !== index)).toEqual([]);
  });

  it('links to files that are there', async () => {
    const targets = [...(await readProse(document)).matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(
      ([, target]) => target!,
    );
    const folder = join(repositoryRoot, dirname(document));
    expect(targets.filter((target) => !existsSync(join(folder, target)))).toEqual([]);
  });
});
