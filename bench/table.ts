/** A result as people and machines read it. */
export type Cell = string | number;

export interface BenchTable {
  readonly title: string;
  /** What it was measured with, and how to read it. */
  readonly note: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

export function perSecond(count: number, seconds: number): number {
  return Math.round(count / seconds);
}

/** MB are 10^6 bytes. */
export function megabytesPerSecond(bytes: number, seconds: number): string {
  return (bytes / seconds / 1e6).toFixed(1);
}

export function toMarkdown({ title, note, columns, rows }: BenchTable): string {
  const line = (cells: readonly Cell[]) => `| ${cells.join(' | ')} |`;
  const rule = line(columns.map((_, index) => (index === 0 ? '---' : '---:')));
  return [`## ${title}`, '', note, '', line(columns), rule, ...rows.map(line), ''].join('\n');
}

export function toText({ title, note, columns, rows }: BenchTable): string {
  const widths = columns.map((column, index) =>
    Math.max(column.length, ...rows.map((row) => String(row[index] ?? '').length)),
  );
  const line = (cells: readonly Cell[]) =>
    cells
      .map((cell, index) => {
        const width = widths[index] ?? 0;
        return index === 0 ? String(cell).padEnd(width) : String(cell).padStart(width);
      })
      .join('  ');
  const rule = widths.map((width) => '-'.repeat(width)).join('  ');
  return [`\n${title}`, note, '', line(columns), rule, ...rows.map(line)].join('\n');
}
