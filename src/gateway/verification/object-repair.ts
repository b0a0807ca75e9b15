/**
 * Makes the mirrors equal in one object, where it is decidable what is right.
 *
 * - Rotten bytes are healed from a mirror that has them intact (protocol/heal.ts).
 * - Different last writes go the way of a recovery (DESIGN.md section 5.4): the highest last tag is right, whoever has it. That state is
 *   written anew, as a client would, so that it gets a new tag, rows, and lands on every mirror in sync; no rule of the protocol is bent for it.
 * - The same last write with other bytes, or another size, has no direction: that needs an operator.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { MirrorId } from '../../protocol/authority-state.js';
import type { Extent } from '../../protocol/extent.js';
import { invariant, InvariantViolation } from '../../protocol/invariant.js';
import type { ObjectId } from '../../protocol/object-id.js';
import { isLater } from '../../protocol/tag.js';
import type { ObjectState } from '../../protocol/write.js';
import { PUSH_EXTENTS_MAX } from '../../wire/contract.js';
import type { RemoteRead } from '../../wire/osd-connection.js';
import type { MirrorSet } from '../mirror-set.js';
import type { MirroredObjectStorage } from '../mirrored-object-storage.js';
import { type ContentSink, ObjectStorageError, type StagedContent } from '../object-storage.js';
import {
  type ComparedMirror,
  compareContent,
  examineAll,
  type Finding,
  fingerprintOf,
  type Pace,
  type StateSeen,
  statesOf,
} from './object-comparison.js';

const NO_DIRECTION =
  'the mirrors have the same last write with something else, intact on each: nothing says which is right';

const HEAL_LOOKS_MAX = 40;
const HEAL_LOOK_DELAY_MS = 50;
const HEAL_LOOK_DELAY_MAX_MS = 2000;

export interface Patient {
  readonly objectId: ObjectId;
  readonly finding: Finding;
  readonly states: readonly StateSeen[];
  readonly mirrors: readonly ComparedMirror[];
}

export interface RepairContext {
  readonly set: MirrorSet;
  readonly storage: MirroredObjectStorage;
  readonly pace: Pace;
  readonly signal: AbortSignal;
}

/** What was done, or why nothing could be, for people. Whether it helped only another look can tell. */
export async function repairObject(context: RepairContext, patient: Patient): Promise<string> {
  context.signal.throwIfAborted();
  try {
    switch (patient.finding.kind) {
      case 'damaged':
        return await heal(context, patient);
      case 'last-tag':
        return await writeAnew(context, patient);
      case 'state':
      case 'content':
        return NO_DIRECTION;
    }
  } catch (error) {
    if (error instanceof InvariantViolation || context.signal.aborted) throw error;
    if (error instanceof ObjectStorageError && error.kind === 'changed') return error.message;
    return `the repair failed: ${error instanceof Error ? error.message : String(error)}`;
  }
}

async function heal({ set, pace, signal }: RepairContext, patient: Patient): Promise<string> {
  const { objectId, mirrors, finding } = patient;
  const healedFrom = new Set<MirrorId>();
  for (const { mirror, connection } of mirrors) {
    const damaged = finding.damage.get(mirror);
    if (damaged === undefined) continue;
    if (damaged === null) return `the record of the object on ${mirror} can not be read`;
    const intact = mirrors.filter((other) => isIntactWhere(damaged, finding.damage.get(other.mirror)));
    if (intact.length === 0) return `no mirror has intact bytes for ${mirror}`;
    const sources = intact.map((other) => ({ mirror: other.mirror, url: other.connection.url }));
    const extents = damaged.slice(0, PUSH_EXTENTS_MAX);
    await connection.orderHeal({ epoch: set.epoch, objectId, extents, sources });
    await untilIntact({ mirror, connection }, objectId, extents, { pace, signal });
    for (const source of sources) healedFrom.add(source.mirror);
  }
  return `healed from ${[...healedFrom].join(', ')}`;
}

/** Damage is told in the same windows on every mirror. */
function isIntactWhere(extents: readonly Extent[], damaged: readonly Extent[] | null | undefined): boolean {
  if (damaged === undefined) return true;
  if (damaged === null) return false;
  const offsets = new Set(damaged.map(({ offset }) => offset));
  return extents.every(({ offset }) => !offsets.has(offset));
}

/** Or until that has taken too long. */
async function untilIntact(
  mirror: ComparedMirror,
  objectId: ObjectId,
  extents: readonly Extent[],
  { pace, signal }: Pick<RepairContext, 'pace' | 'signal'>,
): Promise<void> {
  // Heals land in one batch, so that one window tells of all.
  const request = { objectId, extent: extents[0] ?? { offset: 0, length: 0 } };
  for (let look = 1; look <= HEAL_LOOKS_MAX; look += 1) {
    const [[reply] = []] = await examineAll([mirror], [request], pace);
    if (reply?.state === null || reply?.contentChecksum !== null) return;
    await sleep(Math.min(look * HEAL_LOOK_DELAY_MS, HEAL_LOOK_DELAY_MAX_MS), undefined, { signal });
  }
}

/** The mirrors with the highest last tag. */
function sourcesOf({
  objectId,
  mirrors,
  states,
}: Patient): { readonly mirror: ComparedMirror; readonly state: ObjectState }[] {
  let best: { readonly mirror: ComparedMirror; readonly state: ObjectState }[] = [];
  for (const [index, mirror] of mirrors.entries()) {
    const state = states[index] ?? null;
    invariant(state !== 'unreadable', 'an object whose record can not be read is damaged', { objectId });
    if (state === null) continue;
    const highest = best[0]?.state.lastTag ?? null;
    if (isLater(state.lastTag, highest)) best = [{ mirror, state }];
    else if (state.lastTag === highest) best.push({ mirror, state });
  }
  return best;
}

async function writeAnew(context: RepairContext, patient: Patient): Promise<string> {
  const { set, storage, pace } = context;
  const { objectId, mirrors, states } = patient;
  const sources = sourcesOf(patient);
  const [source] = sources;
  invariant(source !== undefined, 'some mirror knows of an object that the mirrors have differently', {
    objectId,
  });
  const sourceMirrors = sources.map(({ mirror }) => mirror);
  const sourceStates = sources.map(({ state }) => state);
  if (new Set(sourceStates.map((state) => fingerprintOf([state]))).size > 1) return NO_DIRECTION;
  const confirm = async (): Promise<void> => {
    if (fingerprintOf(await statesOf(objectId, mirrors)) !== fingerprintOf(states)) throw changedMeanwhile();
  };
  const { mirror, connection } = source.mirror;
  const { state } = source;
  if (state.kind === 'tombstone') {
    await storage.rewrite({ id: objectId, content: null, attributes: null, confirm });
    return `removed everywhere: the last write is the removal on ${mirror}`;
  }
  const isOneContent =
    sources.length === 1 ||
    (await compareContent(objectId, sourceMirrors, sourceStates, pace)).kind === 'same';
  if (!isOneContent) return NO_DIRECTION;
  const read = await connection.read(set.epoch, objectId, { kind: 'whole' });
  if (read?.state.lastTag !== state.lastTag) {
    if (read?.bytes === null) void read.body[Symbol.asyncIterator]().return?.();
    throw changedMeanwhile();
  }
  const sink = storage.openContent(objectId, state.sizeBytes);
  const content = await fill(sink, read, pace);
  try {
    await storage.rewrite({ id: objectId, content, attributes: state.attributes, confirm });
  } finally {
    content.discard();
  }
  return `written anew from ${mirror}, which had the last write`;
}

function changedMeanwhile(): ObjectStorageError {
  return new ObjectStorageError('changed', 'the object was written meanwhile');
}

async function fill(
  sink: ContentSink,
  { bytes, body }: Pick<RemoteRead, 'bytes' | 'body'>,
  pace: Pace,
): Promise<StagedContent> {
  try {
    for await (const piece of bytes === null ? body : [bytes]) {
      await pace(piece.length);
      await sink.write(piece, () => {
        if (bytes === null) body.giveBack?.(piece);
      });
    }
    return await sink.finish();
  } catch (error) {
    sink.abort();
    throw error;
  }
}
