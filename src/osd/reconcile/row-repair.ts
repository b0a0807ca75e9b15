/**
 * Recovery by rows (DESIGN.md section 5.4): one page of objects at a time is matched, planned, pushed, and its rows dropped.
 *
 * Rows of a page are dropped only when every object on it is repaired on every participant, and all configured mirrors
 * take part with no full copy to come. They are dropped with the participants' commit sequences as witnesses, which are
 * asked for after the pushes. Otherwise they stay.
 */
import type { MirrorId } from '../../protocol/authority-state.js';
import { invariant } from '../../protocol/invariant.js';
import type { ObjectId } from '../../protocol/object-id.js';
import { type ObjectEvidence, planObject } from '../../protocol/reconcile-plan.js';
import type { ObjectState, TagRow } from '../../protocol/write.js';
import type { OsdLimits } from '../limits.js';
import { workOn } from './bounded-work.js';
import { carriedRows, collapsedRow } from './carried-rows.js';
import { type ObjectPush, type PushContext, pushObject, unmatchedBytes } from './object-push.js';
import type { ReconcilePeer } from './reconcile-peer.js';
import { readRecords } from './record-reads.js';
import type { RowDropper } from './row-dropper.js';
import { type ObjectRows, RowMerge } from './row-merge.js';

/** Ids per request for states: each may come with attributes of full length. */
export const STATES_PAGE_MAX = 100;

export interface RowRepairOptions {
  readonly context: PushContext;
  /** Those that are brought up to date by rows, and their sources. */
  readonly peers: readonly ReconcilePeer[];
  /** Null: rows stay. */
  readonly dropper: RowDropper | null;
  readonly limits: OsdLimits;
}

export async function repairByRows(options: RowRepairOptions): Promise<void> {
  const { context, peers, dropper, limits } = options;
  const merge = new RowMerge(peers, context.scope.epoch, limits.reconcileObjectRowsMax);
  for (;;) {
    context.scope.checkCancelled();
    context.progress.enter('matching');
    const page = await nextPage(merge, limits);
    if (page.length === 0) return;
    for (const object of page) context.progress.rowsCompared(object.matchedCount, object.unmatchedCount);
    const unmatched = page.filter((object) => object.unmatchedCount > 0);
    const repairs = await planPage(options, unmatched);
    for (const pushes of repairs) context.progress.objectToDo(bytesToDo(pushes));
    context.progress.enter('copying');
    await workOn(repairs, limits.reconcileObjectsInFlight, async (pushes) => {
      for (const push of pushes) await pushObject(context, push);
      context.progress.objectDone();
    });
    if (dropper !== null) {
      context.progress.enter('clearing');
      await dropper.dropPage(page);
    }
  }
}

function bytesToDo(pushes: readonly ObjectPush[]): number {
  let bytes = 0;
  for (const { content, state } of pushes) bytes += unmatchedBytes(content, state);
  return bytes;
}

async function nextPage(merge: RowMerge, limits: OsdLimits): Promise<ObjectRows[]> {
  const page: ObjectRows[] = [];
  let rowCount = 0;
  while (page.length < limits.reconcilePageObjectsMax && rowCount < limits.reconcilePageRowsMax) {
    const id = await merge.nextId();
    if (id === null) break;
    const object = await merge.take(id);
    for (const rows of object.rows.values()) rowCount += rows.length;
    page.push(object);
  }
  return page;
}

/** The pushes of each object that needs any. */
async function planPage(options: RowRepairOptions, objects: readonly ObjectRows[]): Promise<ObjectPush[][]> {
  const repairs: ObjectPush[][] = [];
  for (let start = 0; start < objects.length; start += STATES_PAGE_MAX) {
    const group = objects.slice(start, start + STATES_PAGE_MAX);
    const ids = group.map(({ objectId }) => objectId);
    const states = await Promise.all(
      options.peers.map(({ mirror, osd }) =>
        readRecords(mirror, osd.states(ids, options.context.scope.epoch)),
      ),
    );
    for (const [index, object] of group.entries()) {
      const byMirror = new Map<MirrorId, ObjectState | null>();
      for (const [peerIndex, { mirror }] of options.peers.entries()) {
        byMirror.set(mirror, states[peerIndex]?.[index] ?? null);
      }
      const pushes = planPushes(options.peers, object, byMirror);
      if (pushes.length > 0) repairs.push(pushes);
    }
  }
  return repairs;
}

type StatesByMirror = ReadonlyMap<MirrorId, ObjectState | null>;

function planPushes(
  peers: readonly ReconcilePeer[],
  object: ObjectRows,
  states: StatesByMirror,
): ObjectPush[] {
  const trusted = peers.filter(({ isTrusted }) => isTrusted);
  const repair = planObject(
    evidenceOf(object, states),
    trusted.map(({ mirror }) => mirror),
  );
  if (repair === null) return [];
  const { objectId, source, content } = repair;
  const state = states.get(source) ?? null;
  return repair.targets.map(({ mirror, lastTag }) => ({
    objectId,
    sources: sourcesOf(trusted, source, states),
    state,
    content,
    rows: carriedRows(object, state, source, mirror),
    target: peerNamed(peers, mirror),
    targetLastTag: lastTag,
  }));
}

function evidenceOf(object: ObjectRows, states: StatesByMirror): ObjectEvidence {
  const { objectId } = object;
  const mirrors = [...states].map(([mirror, state]) => ({
    mirror,
    rows: object.isOverLimit ? [] : (object.rows.get(mirror) ?? []),
    lastTag: state?.lastTag ?? null,
    sizeBytes: state?.kind === 'present' ? state.sizeBytes : 0,
  }));
  if (!object.isOverLimit) return { objectId, mirrors };
  // Too many rows to look at: one that stands for all of them, on one mirror only, is unmatched and wants everything.
  const [first, ...others] = mirrors;
  invariant(first !== undefined, 'somebody takes part in a reconciliation');
  return { objectId, mirrors: [{ ...first, rows: standIn(objectId, states) }, ...others] };
}

function standIn(objectId: ObjectId, states: StatesByMirror): TagRow[] {
  for (const state of states.values()) {
    if (state !== null) return [{ ...collapsedRow(objectId, state), kind: 'replace' }];
  }
  return [];
}

/** The chosen source first, then the trusted mirrors that have the same last write. */
function sourcesOf(
  trusted: readonly ReconcilePeer[],
  source: MirrorId,
  states: StatesByMirror,
): ReconcilePeer[] {
  const lastTag = states.get(source)?.lastTag;
  const equal = trusted.filter(({ mirror }) => mirror !== source && states.get(mirror)?.lastTag === lastTag);
  return [peerNamed(trusted, source), ...equal];
}

function peerNamed(peers: readonly ReconcilePeer[], mirror: MirrorId): ReconcilePeer {
  const peer = peers.find((candidate) => candidate.mirror === mirror);
  invariant(peer !== undefined, 'a plan names participants only', { mirror });
  return peer;
}
