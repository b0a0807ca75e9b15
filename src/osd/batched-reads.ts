/** Several reads in one request: small contents come along, a large one is to be read by itself. */
import type { Epoch } from '../protocol/tag.js';
import type { StoreRead } from '../store/object-store.js';
import {
  BATCH_READ_BYTES_MAX,
  BATCHED_READ_BYTES_MAX,
  type BatchedRead,
  type BatchedReply,
  type ReadBatch,
} from '../wire/reads-frame.js';
import type { ErrorResponder } from './error-responses.js';
import type { LocalOsd } from './local-osd.js';
import { type OsdTrace, traced } from './osd-trace.js';

const NO_BYTES = Buffer.alloc(0);

interface ReadTogetherParts {
  readonly osd: LocalOsd;
  readonly responder: ErrorResponder;
  readonly trace: OsdTrace | null;
}

/** One reply for each read, in order. A read that fails is a reply too, so that it harms no other. */
export async function readTogether(
  { osd, responder, trace }: ReadTogetherParts,
  { epoch, reads }: ReadBatch,
): Promise<readonly BatchedReply[]> {
  const replies = await Promise.all(
    reads.map(async (read) => {
      const { traceparent } = read;
      const work = trace === null || traceparent === undefined ? null : trace.begin('read', traceparent);
      try {
        return await traced(work, () => readOne(osd, epoch, read));
      } catch (error) {
        const { code, message } = responder.refusalOf(error);
        return { kind: 'refused' as const, code, message };
      }
    }),
  );
  return withinLimit(replies);
}

async function readOne(osd: LocalOsd, epoch: Epoch, { id, range }: BatchedRead): Promise<BatchedReply> {
  if (range.kind === 'none') {
    const state = await osd.head(epoch, id);
    return state === null ? { kind: 'absent' } : { kind: 'here', state, extent: null, bytes: NO_BYTES };
  }
  const read = await osd.openRead(epoch, id, range);
  if (read === null) return { kind: 'absent' };
  const { state, extent } = read;
  if (extent !== null && extent.length > BATCHED_READ_BYTES_MAX) {
    if (read.bytes === null) await read.body[Symbol.asyncIterator]().return?.();
    return { kind: 'alone' };
  }
  return { kind: 'here', state, extent, bytes: read.bytes ?? (await collect(read)) };
}

async function collect(read: StoreRead): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of read.body) pieces.push(piece);
  const [only] = pieces;
  return pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces);
}

/** What does not fit into the answer any more goes alone. */
function withinLimit(replies: readonly BatchedReply[]): readonly BatchedReply[] {
  let bytes = 0;
  return replies.map((reply) => {
    if (reply.kind !== 'here') return reply;
    bytes += reply.bytes.length;
    return bytes <= BATCH_READ_BYTES_MAX ? reply : { kind: 'alone' };
  });
}
