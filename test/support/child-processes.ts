/** The processes that a process has started, by what the kernel says. Linux only. */
import { readFileSync } from 'node:fs';

/** Oldest first; none when it is gone. */
export function childrenOf(processId: number): number[] {
  try {
    const text = readFileSync(`/proc/${processId}/task/${processId}/children`, 'utf8');
    return text.split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}
