/** What a running process uses, from /proc (proc(5)). Linux only. */
import { readFileSync } from 'node:fs';

const KIB = 1024;
/** `sysconf(_SC_CLK_TCK)` on every Linux that Node.js supports. */
const TICKS_PER_SECOND = 100;
const USER_TICKS_FIELD = 11;
const SYSTEM_TICKS_FIELD = 12;

export interface MemoryUse {
  readonly residentBytes: number;
  /** The most it ever had. */
  readonly residentBytesMax: number;
}

function statusBytes(status: string, field: string): number {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status);
  if (match?.[1] === undefined) throw new Error(`/proc has no ${field}`);
  return Number(match[1]) * KIB;
}

export function memoryOf(processId: number): MemoryUse {
  const status = readFileSync(`/proc/${processId}/status`, 'utf8');
  return { residentBytes: statusBytes(status, 'VmRSS'), residentBytesMax: statusBytes(status, 'VmHWM') };
}

/** Processor time that all threads of a process have used so far, user and system together. */
export function cpuSecondsOf(processId: number): number {
  const stat = readFileSync(`/proc/${processId}/stat`, 'utf8');
  // The second field is the name in parentheses, which may hold anything; the fields after it are plain.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[USER_TICKS_FIELD]) + Number(fields[SYSTEM_TICKS_FIELD])) / TICKS_PER_SECOND;
}

/** Bytes that a process has had sent to a disk, less those that were overwritten before they got there. */
export function diskBytesWrittenBy(processId: number): number {
  const io = readFileSync(`/proc/${processId}/io`, 'utf8');
  const field = (name: string): number => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(io)?.[1] ?? 0);
  return field('write_bytes') - field('cancelled_write_bytes');
}
