/**
 * How node is started for a service: what has to be said before V8 makes its heap. `engine.ts` has what can be said later.
 *
 * `tally up` starts its services so; systemd units and the image say SERVICE_NODE_OPTIONS in NODE_OPTIONS, and SERVICE_ENVIRONMENT. Figures: bench/README.md.
 */

/**
 * The threads that V8 keeps beside the main one of a process, for its collector and compiler. Node gives each process four, which on
 * a machine with fewer processors than that get in the way of the main threads.
 */
const HELPER_THREADS_MAX = 4;

/** Of each half of the young generation, in MiB. Node's 16 take 16 MiB more; 4 save little, and cost a PUT of 4 KiB a tenth of its time. */
const SEMI_SPACE = '--max-semi-space-size=8';

/** For who starts one service, and does not know how many share the processors. */
export const SERVICE_NODE_OPTIONS = SEMI_SPACE;

/**
 * For the C library (glibc; others don't read it): all threads of a process share one heap. Otherwise each has its own, and what LevelDB's
 * threads let go in one of them is no room for another: an OSD under mixed load is 20 to 35 MiB larger.
 */
export const SERVICE_ENVIRONMENT: Readonly<Record<string, string>> = { MALLOC_ARENA_MAX: '1' };

/** Arguments for node, for each of so many services that share the processors. */
export function nodeArguments(processCount: number, processorCount: number): string[] {
  const share = Math.floor(processorCount / processCount);
  return [`--v8-pool-size=${Math.min(HELPER_THREADS_MAX, Math.max(1, share))}`, SEMI_SPACE];
}
