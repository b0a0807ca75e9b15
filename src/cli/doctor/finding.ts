/** What `tally doctor` says of one thing that it looked at. */
import pico from 'picocolors';
import { cell, renderTable } from '../text-table.js';

export type Verdict = 'ok' | 'warn' | 'fail';

export interface Finding {
  /** What was looked at, in one or two words. */
  readonly check: string;
  readonly verdict: Verdict;
  readonly message: string;
  /** What to do; null: nothing. */
  readonly advice: string | null;
}

export function ok(check: string, message: string): Finding {
  return { check, verdict: 'ok', message, advice: null };
}

export function warn(check: string, message: string, advice: string): Finding {
  return { check, verdict: 'warn', message, advice };
}

export function fail(check: string, message: string, advice: string): Finding {
  return { check, verdict: 'fail', message, advice };
}

const PAINT = { ok: pico.green, warn: pico.yellow, fail: pico.red } as const;

export function renderFindings(findings: readonly Finding[]): string {
  const rows = findings.flatMap(({ check, verdict, message, advice }) => [
    [cell(verdict, PAINT[verdict]), cell(check), cell(message)],
    ...(advice === null ? [] : [[cell(''), cell(''), cell(`-> ${advice}`, pico.bold)]]),
  ]);
  const count = (verdict: Verdict) => findings.filter((finding) => finding.verdict === verdict).length;
  return `${renderTable(rows)}\n\n${count('ok')} ok, ${count('warn')} to look at, ${count('fail')} failed.`;
}
