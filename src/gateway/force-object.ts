/**
 * `tally force --object`: an operator decides on an object that is intact nowhere. It is given up, or what a mirror keeps of it from before its last
 * write is written again. Said first what is lost by it, then done with exactly the words that are asked for; the decision goes on
 * the authority's record before anything is written.
 *
 * What is written is a write like any other, with a tag of its own, to every mirror: so it is settled like any other, and who was
 * away gets it like any other.
 */
import type { ForcedDecision, MirrorId } from '../protocol/authority-state.js';
import { recordDecision } from '../protocol/forced-trust.js';
import type { ObjectId } from '../protocol/object-id.js';
import { ForceRefusal } from './force.js';
import type { Logger } from './logger.js';
import { describeId, type KnownLoss, type LostObjects } from './lost-objects.js';
import type { MirrorSet } from './mirror-set.js';
import type { ObjectHead, ObjectStorage } from './object-storage.js';

/** `give-up`: the object is removed. `put-back`: what is kept of it takes its place. */
export type ObjectChoice = 'give-up' | 'put-back';

export interface ForceObjectOrder {
  readonly objectId: ObjectId;
  readonly choice: ObjectChoice;
}

export interface ForceObjectPlan {
  readonly choice: ObjectChoice;
  readonly epoch: number;
  /** What is lost by it, one sentence each. */
  readonly risks: readonly string[];
  /** What has to be said, letter by letter. */
  readonly words: string;
}

export interface ForceObjectContext {
  readonly set: MirrorSet;
  readonly storage: ObjectStorage;
  readonly lost: LostObjects;
  readonly logger: Logger;
  /** Unix ms. */
  readonly clock: () => number;
}

interface Looked {
  readonly plan: ForceObjectPlan;
  readonly loss: KnownLoss;
  /** Whom the decision is about: who keeps the copy, or says that the bytes are lost. */
  readonly mirror: MirrorId;
}

async function look(
  { set, lost }: ForceObjectContext,
  { objectId, choice }: ForceObjectOrder,
): Promise<Looked> {
  await lost.look();
  const loss = lost.of(objectId);
  const [teller] = loss?.mirrors ?? [];
  if (loss === null || teller === undefined)
    throw new ForceRefusal(
      'not-lost',
      `no mirror in sync says that bytes of ${describeId(objectId)} are lost`,
    );
  const { kept } = loss;
  if (choice === 'put-back' && kept === null)
    throw new ForceRefusal('nothing-kept', `no mirror keeps an older copy of ${describeId(objectId)}`);
  const { epoch } = set;
  const place = describeId(objectId);
  const words =
    choice === 'give-up' ? `give up ${place} at epoch ${epoch}` : `put back ${place} at epoch ${epoch}`;
  return {
    plan: { choice, epoch, risks: describeRisks(set, loss, choice), words },
    loss,
    mirror: choice === 'put-back' && kept !== null ? kept.mirror : teller,
  };
}

function describeRisks(set: MirrorSet, loss: KnownLoss, choice: ObjectChoice): string[] {
  const { sizeBytes, lostBytes, kept } = loss;
  const risks = [`its last write is lost, ${sizeBytes} bytes, which may have been acknowledged`];
  if (lostBytes < sizeBytes)
    risks.push(`${sizeBytes - lostBytes} of these bytes can still be read in ranges: they are lost with it`);
  const away = set.members.map(({ mirror }) => mirror).filter((mirror) => !set.inSync.includes(mirror));
  for (const mirror of away)
    risks.push(`${mirror} is not in sync: should it have the write intact, it is given up all the same`);
  if (kept !== null && choice === 'give-up')
    risks.push(`what ${kept.mirror} keeps from before that write, ${kept.sizeBytes} bytes, is lost as well`);
  if (kept !== null && choice === 'put-back')
    risks.push(
      `what ${kept.mirror} keeps is older, and it may be a write that was never acknowledged: clients see the object go back`,
    );
  return risks;
}

/** Throws ForceRefusal. */
export async function planForceObject(
  context: ForceObjectContext,
  order: ForceObjectOrder,
): Promise<ForceObjectPlan> {
  return (await look(context, order)).plan;
}

/** Resolves when it is done on every mirror in sync. Throws ForceRefusal, ObjectStorageError. */
export async function forceObject(
  context: ForceObjectContext,
  order: ForceObjectOrder,
  words: string,
): Promise<ForceObjectPlan> {
  const { set, logger, clock, lost } = context;
  const looked = await look(context, order);
  const { plan, loss, mirror } = looked;
  if (words !== plan.words) throw new ForceRefusal('wrong-words', `say: ${plan.words}`);
  const { risks } = plan;
  await set.runTransition(async () => {
    if (set.epoch !== plan.epoch || set.state.phase !== 'active')
      throw new ForceRefusal('wrong-words', 'the mirror set has moved on; look again');
    const decision: ForcedDecision = { mirror, epoch: set.epoch, atMs: clock(), risks, words };
    logger.warn({ decision, audit: true }, 'an operator decides on an object that is intact nowhere');
    await set.saveState(recordDecision(set.state, decision));
  });
  if (plan.choice === 'give-up') await giveUp(context, loss);
  else await putBack(context, loss);
  await lost.look();
  return plan;
}

/** It must still be the write that the operator was told of. */
function confirm(loss: KnownLoss, current: ObjectHead | null): void {
  if (current?.lastTag !== loss.lastTag)
    throw new ForceRefusal('not-lost', `the object was written meanwhile: ${describeId(loss.objectId)}`);
}

async function giveUp({ storage }: ForceObjectContext, loss: KnownLoss): Promise<void> {
  await storage.remove({
    id: loss.objectId,
    decide: (current) => {
      confirm(loss, current);
    },
  });
}

async function putBack({ storage, set }: ForceObjectContext, loss: KnownLoss): Promise<void> {
  const { objectId, kept } = loss;
  const connection = kept === null ? null : set.connectionOf(kept.mirror);
  const read = (await connection?.readKept(set.epoch, objectId, { kind: 'whole' })) ?? null;
  if (read === null)
    throw new ForceRefusal('nothing-kept', `the older copy of ${describeId(objectId)} is gone`);
  const sink = storage.openContent(objectId, read.state.sizeBytes);
  const { body } = read;
  try {
    for await (const piece of body) await sink.write(piece, () => body.giveBack?.(piece));
  } catch (error) {
    sink.abort();
    throw error;
  }
  const content = await sink.finish();
  try {
    await storage.replace({
      id: objectId,
      content,
      attributes: (current) => {
        confirm(loss, current);
        return read.state.attributes;
      },
    });
  } finally {
    content.discard();
  }
}
