/** Follows what an OSD does for requests that somebody else follows already (tracing). Where there is none, nothing is wrapped. */
import type { TransactionBatch, TransactionBatchReply } from '../wire/osd-connection.js';

export interface OsdTrace {
  /** `traceparent`: of whoever sent it. The returned function is called once, with why it failed or null. */
  begin(name: 'write' | 'stage', traceparent: string): (failure: string | null) => void;
}

type Transact = (batch: TransactionBatch) => Promise<TransactionBatchReply>;

/** Each write of a batch has a span of its own: they belong to different requests, and share their commit. */
export function traceWrites(trace: OsdTrace, transact: Transact): Transact {
  return async (batch) => {
    const ends = batch.writes.map(({ traceparent }) =>
      traceparent === undefined ? null : trace.begin('write', traceparent),
    );
    try {
      const answer = await transact(batch);
      ends.forEach((end, index) => {
        const reply = answer.writes[index];
        end?.(reply?.kind === 'refused' ? reply.code : null);
      });
      return answer;
    } catch (error) {
      for (const end of ends) end?.(error instanceof Error ? error.message : String(error));
      throw error;
    }
  };
}
