/**
 * Compares two mirrors object by object and byte by byte, through what each OSD serves of itself: I7 as a checker.
 *
 * Tombstones are passed over: each mirror lets go of one when it learns of the floor, which no order binds.
 */
import { createHash } from 'node:crypto';
import { type ObjectId, parseObjectId } from '../../src/protocol/object-id.js';
import type { ObjectSummary } from '../../src/protocol/reconcile-plan.js';
import type { ObjectState } from '../../src/protocol/write.js';
import { ROWS_PAGE_MAX, SUMMARIES_PAGE_MAX } from '../../src/wire/osd-connection.js';

/** What is asked of a mirror: an `OsdConnection` has it, and so has a store that was opened after its OSD stopped. */
export interface MirrorView {
  readonly name: string;
  summaries(after: ObjectId | null, limit: number): Promise<readonly ObjectSummary[]>;
  states(ids: readonly ObjectId[]): Promise<readonly (ObjectState | null)[]>;
  /** All bytes of a present object; null: it is not there. */
  content(id: ObjectId): Promise<AsyncIterable<Buffer> | null>;
}

export interface MirrorComparison {
  readonly objectCount: number;
  readonly contentBytes: number;
  readonly tombstoneCount: number;
  /** In words, at most DIFFERENCES_MAX; empty: the mirrors are identical. */
  readonly differences: readonly string[];
}

const DIFFERENCES_MAX = 20;

async function allSummaries(mirror: MirrorView): Promise<ObjectSummary[]> {
  const all: ObjectSummary[] = [];
  for (;;) {
    const page = await mirror.summaries(all.at(-1)?.objectId ?? null, SUMMARIES_PAGE_MAX);
    all.push(...page);
    if (page.length < SUMMARIES_PAGE_MAX) return all;
  }
}

function label(id: ObjectId): string {
  const { container, name, version } = parseObjectId(id);
  return JSON.stringify(version === '' ? `${container}/${name}` : `${container}/${name}?${version}`);
}

async function digestOf(mirror: MirrorView, id: ObjectId): Promise<{ digest: string; lengthBytes: number }> {
  const hash = createHash('sha1');
  let lengthBytes = 0;
  const body = await mirror.content(id);
  if (body === null) return { digest: 'absent', lengthBytes: 0 };
  for await (const piece of body) {
    hash.update(piece);
    lengthBytes += piece.length;
  }
  return { digest: hash.digest('hex'), lengthBytes };
}

function describeState(state: ObjectState | null | undefined): string {
  if (state === null || state === undefined) return 'nothing';
  return JSON.stringify(Object.entries(state).sort(([left], [right]) => (left < right ? -1 : 1)));
}

async function compareStates(
  left: MirrorView,
  right: MirrorView,
  ids: readonly ObjectId[],
): Promise<string[]> {
  const differences: string[] = [];
  for (let start = 0; start < ids.length; start += ROWS_PAGE_MAX) {
    const page = ids.slice(start, start + ROWS_PAGE_MAX);
    const [ours, theirs] = await Promise.all([left.states(page), right.states(page)]);
    page.forEach((id, index) => {
      const here = describeState(ours[index]);
      const there = describeState(theirs[index]);
      if (here !== there)
        differences.push(`${label(id)}: ${left.name} has ${here}, ${right.name} has ${there}`);
    });
  }
  return differences;
}

function presentIds(summaries: readonly ObjectSummary[]): ObjectId[] {
  return summaries.filter(({ sizeBytes }) => sizeBytes !== null).map(({ objectId }) => objectId);
}

/** Precondition: nobody writes meanwhile. */
export async function compareMirrors(left: MirrorView, right: MirrorView): Promise<MirrorComparison> {
  const [ours, theirs] = await Promise.all([allSummaries(left), allSummaries(right)]);
  const ids = [...new Set([...presentIds(ours), ...presentIds(theirs)])];
  const differences = await compareStates(left, right, ids);
  let contentBytes = 0;
  for (const id of ids) {
    if (differences.length >= DIFFERENCES_MAX) break;
    const [here, there] = await Promise.all([digestOf(left, id), digestOf(right, id)]);
    contentBytes += here.lengthBytes;
    if (here.digest !== there.digest) {
      differences.push(
        `${label(id)}: ${left.name} has ${here.lengthBytes} bytes of SHA-1 ${here.digest}, ${right.name} ${there.lengthBytes} bytes of ${there.digest}`,
      );
    }
  }
  const tombstoneCount = ours.length + theirs.length - presentIds(ours).length - presentIds(theirs).length;
  return {
    objectCount: ids.length,
    contentBytes,
    tombstoneCount,
    differences: differences.slice(0, DIFFERENCES_MAX),
  };
}
