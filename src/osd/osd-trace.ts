/** Follows what an OSD does for requests that somebody else follows already (tracing). Where there is none, nothing is wrapped. */
import type { TransactionBatch, TransactionBatchReply } from '../wire/osd-connection.js';

export interface FollowedWork {
  /** What `work` sends to others belongs to it. */
  runIn<Value>(work: () => Value): Value;
  /** Called once, with why it failed or null. */
  end(failure: string | null): void;
}

export interface OsdTrace {
  /** `traceparent`: of whoever sent it. */
  begin(name: 'write' | 'forwarded write' | 'stage' | 'read' | 'list', traceparent: string): FollowedWork;
}

/** `traceparent` undefined: nobody follows it. */
export async function traced<Value>(
  followed: FollowedWork | null,
  work: () => Promise<Value>,
  failureOf: (value: Value) => string | null = () => null,
): Promise<Value> {
  if (followed === null) return work();
  try {
    const value = await work();
    followed.end(failureOf(value));
    return value;
  } catch (error) {
    followed.end(error instanceof Error ? error.message : String(error));
    throw error;
  }
}

type Transact = (batch: TransactionBatch) => Promise<TransactionBatchReply>;

/** Each write of a batch has a span of its own: they belong to different requests, and share their commit. */
export function traceWrites(trace: OsdTrace, transact: Transact): Transact {
  return async (batch) => {
    const works = batch.writes.map(({ traceparent }) =>
      traceparent === undefined ? null : trace.begin('write', traceparent),
    );
    try {
      const answer = await transact(batch);
      works.forEach((work, index) => {
        const reply = answer.writes[index];
        work?.end(reply?.kind === 'refused' ? reply.code : null);
      });
      return answer;
    } catch (error) {
      for (const work of works) work?.end(error instanceof Error ? error.message : String(error));
      throw error;
    }
  };
}
