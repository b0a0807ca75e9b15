/**
 * The threads that V8 keeps beside the main one of a process, for its collector and compiler. Node gives each process four, which on
 * a machine with fewer processors than that get in the way of the main threads (measured: bench/README.md).
 */
const HELPER_THREADS_MAX = 4;

/** Arguments for node, for each of so many processes that share the processors. */
export function helperThreadArguments(processCount: number, processorCount: number): string[] {
  const share = Math.floor(processorCount / processCount);
  return [`--v8-pool-size=${Math.min(HELPER_THREADS_MAX, Math.max(1, share))}`];
}
