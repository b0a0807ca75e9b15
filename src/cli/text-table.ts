/** Tables for a terminal. */
import pico from 'picocolors';

export type Paint = (text: string) => string;
export interface Cell {
  readonly text: string;
  readonly paint: Paint;
}

const plain: Paint = (text) => text;
const COLUMN_GAP = '  ';

export function cell(text: string, paint: Paint = plain): Cell {
  return { text, paint };
}

/** Left-aligned columns, as wide as their widest cell. */
export function renderTable(rows: readonly (readonly Cell[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach(({ text }, column) => (widths[column] = Math.max(widths[column] ?? 0, text.length)));
  }
  return rows
    .map((row) =>
      row
        .map(({ text, paint }, column) => {
          const isLast = column === row.length - 1;
          return paint(text) + (isLast ? '' : ' '.repeat((widths[column] ?? 0) - text.length));
        })
        .join(COLUMN_GAP),
    )
    .join('\n');
}

/** A table with a line of titles above. */
export function renderTitled(titles: readonly string[], rows: readonly (readonly Cell[])[]): string {
  return renderTable([titles.map((title) => cell(title, pico.dim)), ...rows]);
}

/** Text from clients, such as a key: what could move the cursor or break the line is shown as an escape. */
export function printable(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are what this is about
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
