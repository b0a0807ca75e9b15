/**
 * The common part of PutObject, append and PATCH: the payload goes to the store as it comes, and is named by one mutation once
 * all of it is there and verified. Whatever fails before that leaves nothing behind.
 */
import type { StagedContent } from '../../gateway/object-storage.js';
import { invariant } from '../../protocol/invariant.js';
import type { ObjectId } from '../../protocol/object-id.js';
import { readExpectations, type PayloadExpectations } from '../payload/expectations.js';
import { receivePayload, type ReceivedPayload } from '../payload/receive.js';
import type { ObjectContext } from './context.js';

type Commit<Result> = (content: StagedContent, received: ReceivedPayload) => Promise<Result>;

export function contentExpectations(context: ObjectContext): PayloadExpectations {
  return readExpectations(context.request, context.payload, context.services.limits);
}

async function stage(
  context: ObjectContext,
  target: ObjectId,
  expectations: PayloadExpectations,
): Promise<{ content: StagedContent; received: ReceivedPayload }> {
  const { services, request, payload } = context;
  const sink = services.storage.openContent(target, expectations.sizeBytes);
  try {
    const received = await receivePayload(
      { mode: payload, body: request.body, expectations },
      services.limits,
      (piece) => sink.write(piece),
    );
    const content = await sink.finish();
    return { content, received };
  } catch (error) {
    sink.abort();
    throw error;
  }
}

/** Stores the payload for `target`, which `commit` names. Rejects with what the payload, the store or `commit` refuses. */
export async function storeContent<Result>(
  context: ObjectContext,
  target: ObjectId,
  expectations: PayloadExpectations,
  commit: Commit<Result>,
): Promise<Result> {
  const { content, received } = await stage(context, target, expectations);
  try {
    invariant(content.sizeBytes === received.sizeBytes, 'the store has as many bytes as the client sent');
    return await context.services.buckets.withBucket(context.bucket, () => commit(content, received));
  } finally {
    content.discard();
  }
}
