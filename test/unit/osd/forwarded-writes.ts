/** Forwards writes the way a gateway does: orders, numbered requests, checksums. */
import { type MirrorId, toMirrorId } from '../../../src/protocol/authority-state.js';
import { type Epoch, toGeneratorId } from '../../../src/protocol/tag.js';
import type {
  ForwardedBatch,
  ForwardedContent,
  ForwardedReply,
  ForwardedWrite,
  OsdConnection,
  WriterMember,
  WriterOrder,
} from '../../../src/wire/osd-connection.js';
import { forwardedChecksum } from '../../../src/wire/transaction-checksum.js';
import { EPOCH, type ItemDraft, itemOf, SET_ID, tagAt } from './osd-writer.js';

export const GENERATOR = toGeneratorId(0);
export const M0 = toMirrorId('osd-0');

export function orderFor(members: readonly WriterMember[], change: Partial<WriterOrder> = {}): WriterOrder {
  const mirrors = members.map(({ mirror }) => mirror);
  return {
    setId: SET_ID,
    epoch: EPOCH,
    generator: GENERATOR,
    revision: 1,
    self: M0,
    inSync: mirrors,
    members,
    rowsKeptFor: mirrors,
    givenUp: [],
    ...change,
  };
}

export interface ForwardedDraft extends Omit<ItemDraft, 'tag' | 'staged'> {
  readonly stages?: Extract<ForwardedContent, { kind: 'stages' }>['stages'];
  readonly missing?: Extract<ForwardedContent, { kind: 'stages' }>['missing'];
}

export function forwardedOf(request: number, draft: ForwardedDraft): ForwardedWrite {
  const { stages, missing = [] } = draft;
  const { transaction, content, contentChecksum } = itemOf({ ...draft, tag: tagAt(1, 1) });
  const { objectId, kind, previousTag, offset, length, mode, attributes } = transaction;
  const fields = { request, objectId, kind, previousTag, offset, length, mode, attributes };
  const checksum = forwardedChecksum(SET_ID, fields, contentChecksum);
  if (stages !== undefined)
    return { ...fields, content: { kind: 'stages', stages, missing }, contentChecksum, checksum };
  if (content.kind === 'stage') throw new Error('a draft of a forwarded write has no single stage');
  return { ...fields, content, contentChecksum, checksum };
}

export function batchOf(
  writes: readonly ForwardedWrite[],
  change: Partial<ForwardedBatch> = {},
): ForwardedBatch {
  return { setId: SET_ID, epoch: EPOCH, generator: GENERATOR, requestFloor: 1, writes, ...change };
}

export async function forwardOne(
  osd: OsdConnection,
  request: number,
  draft: ForwardedDraft,
  change: { readonly epoch?: Epoch; readonly requestFloor?: number } = {},
): Promise<ForwardedReply> {
  const { writes } = await osd.forward(batchOf([forwardedOf(request, draft)], change));
  const [reply] = writes;
  if (reply === undefined) throw new Error('no reply');
  return reply;
}

/** What each mirror said, in words. Throws when the write was not carried out. */
export function answersOf(reply: ForwardedReply): Record<MirrorId, string> {
  if (reply.kind === 'refused') throw new Error(`refused: ${reply.code}`);
  return Object.fromEntries(
    reply.answers.map(({ mirror, answer }) => [
      mirror,
      answer.kind === 'refused' ? answer.code : answer.kind,
    ]),
  );
}
