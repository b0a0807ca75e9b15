/** What a store that does one write at a time says of many. */
import type { WriteOutcome, WriteReply } from '../../src/store/object-store.js';

export function outcomesOf(writing: readonly Promise<WriteReply>[]): Promise<readonly WriteOutcome[]> {
  const failed = (error: unknown): WriteOutcome => ({
    kind: 'failed',
    failure: error instanceof Error ? error : new Error('not an error', { cause: error }),
  });
  return Promise.all(writing.map((one) => one.catch(failed)));
}
