/**
 * The common part of PutObject, append and PATCH: the payload goes to the store as it comes, and is named by one mutation once
 * all of it is there and verified. Whatever fails before that leaves nothing behind.
 */
import type { ContentSink, StagedContent } from '../../gateway/object-storage.js';
import { invariant } from '../../protocol/invariant.js';
import type { ObjectId } from '../../protocol/object-id.js';
import { endingWith, type Soon } from '../../protocol/soon.js';
import { openSink, storedSize } from '../encryption/sealed-sink.js';
import type { Seal } from '../encryption/seals.js';
import { readExpectations, type PayloadExpectations } from '../payload/expectations.js';
import { receivePayload, type ReceivedPayload } from '../payload/receive.js';
import type { ObjectContext } from './context.js';

type Commit<Result> = (content: StagedContent, received: ReceivedPayload) => Promise<Result>;

export function contentExpectations(context: ObjectContext): PayloadExpectations {
  return readExpectations(context.request, context.payload, context.services.limits);
}

interface ContentWish {
  /** What `commit` names. */
  readonly target: ObjectId;
  readonly expectations: PayloadExpectations;
  /** What to encrypt it with; null: with nothing. */
  readonly seal: Seal | null;
}

function receive(
  { services, request, payload }: ObjectContext,
  expectations: PayloadExpectations,
  sink: ContentSink,
): Soon<ReceivedPayload> {
  const { body } = request;
  const { limits, freeBytes } = services;
  return receivePayload({ mode: payload, body, expectations, freeBytes }, limits, (piece, onTaken) =>
    sink.write(piece, onTaken),
  );
}

async function stage(
  context: ObjectContext,
  { target, expectations, seal }: ContentWish,
): Promise<{ content: StagedContent; received: ReceivedPayload }> {
  const sink = openSink(context.services.storage, { target, sizeBytes: expectations.sizeBytes, seal });
  try {
    const received = await receive(context, expectations, sink);
    const finishing = sink.finish();
    const content = finishing instanceof Promise ? await finishing : finishing;
    return { content, received };
  } catch (error) {
    sink.abort();
    throw error;
  }
}

/** Rejects with what the payload, the store or `commit` refuses. */
export function storeContent<Result>(
  context: ObjectContext,
  wish: ContentWish,
  commit: Commit<Result>,
): Promise<Result> {
  const { bucket, services } = context;
  return stage(context, wish).then(({ content, received }) => {
    const name = (): Promise<Result> => {
      const sizeBytes = storedSize(received.sizeBytes, wish.seal);
      invariant(content.sizeBytes === sizeBytes, 'the store has as many bytes as the client sent');
      return services.buckets.withBucket(bucket, () => commit(content, received));
    };
    return endingWith(name, () => {
      content.discard();
    });
  });
}
