import { describe, expect, it } from 'vitest';
import type { AdminTagTable } from '../../../src/admin/schemas.js';
import { renderTags } from '../../../src/cli/look-commands.js';
import { printable } from '../../../src/cli/text-table.js';

const NOW_MS = 1_800_000_000_000;

function makeRow(change: Partial<AdminTagTable['rows'][number]> = {}): AdminTagTable['rows'][number] {
  return {
    ...{
      tag: '3-41-1',
      epoch: 3,
      bucket: 'photos',
      key: 'cat.jpg',
      version: '',
      kind: 'replace',
      mode: 'overwrite',
    },
    ...{ offset: 0, length: 2048, checksum: 1, commitSequence: 7, writtenMs: NOW_MS - 65_000 },
    ...change,
  };
}

describe('tally tags', () => {
  it('shows each write with what it touches and how old it is', () => {
    const text = renderTags(
      [
        makeRow(),
        makeRow({ kind: 'range-write', offset: 4096, length: 10 }),
        makeRow({ kind: 'remove', length: 0, version: 'v1' }),
      ],
      false,
      NOW_MS,
    );
    expect(text).toMatch(/^3-41-1 +3 +replace +2\.0 KiB +1 min 5 s +photos +cat\.jpg$/m);
    expect(text).toMatch(/ range-write +4,096 \+ 10 B /);
    expect(text).toMatch(/ remove +- .* cat\.jpg \(version v1\)$/m);
    expect(text).toMatch(/\n3 rows\.$/);
  });

  it('says when there is more, and what it means when there is nothing', () => {
    expect(renderTags([makeRow()], true, NOW_MS)).toContain('The first 1 row; --limit shows more.');
    expect(renderTags([], false, NOW_MS)).toBe('No rows: every mirror has every write of this one.');
  });

  it('a key can neither move the cursor nor break the line', () => {
    const text = renderTags([makeRow({ key: 'a\u001b[2J\nb\u202ec' })], false, NOW_MS);
    expect(text).toContain(String.raw`a\u001b[2J\u000ab\u202ec`);
    expect(printable('größe 漢字 🐈')).toBe('größe 漢字 🐈');
  });
});
