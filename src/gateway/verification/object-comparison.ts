/**
 * One object as the mirrors in sync have it, side by side.
 *
 * Two mirrors with the same last tag have the same write, so what was read at the same last tag on both can be compared at any
 * time, whoever writes meanwhile. Different last tags mean something only while no write of the object is in flight.
 */
import type { MirrorId } from '../../protocol/authority-state.js';
import type { Extent } from '../../protocol/extent.js';
import { invariant } from '../../protocol/invariant.js';
import type { ObjectId } from '../../protocol/object-id.js';
import type { Tag } from '../../protocol/tag.js';
import type { ObjectState } from '../../protocol/write.js';
import { windowsOf } from '../../wire/examined-windows.js';
import {
  EXAMINATIONS_MAX,
  type ExaminationReply,
  type ExaminationRequest,
  type OsdConnection,
  OsdRefusal,
} from '../../wire/osd-connection.js';
import type { DifferenceKind, MirrorView } from './verification.js';

/** Content in one request, so that it is answered in time by a slow disk. */
const EXAMINED_REQUEST_BYTES_MAX = 8 * 1024 * 1024;

export interface ComparedMirror {
  readonly mirror: MirrorId;
  readonly connection: OsdConnection;
}

/** Resolves when so much more may be read. */
export type Pace = (bytes: number) => Promise<void>;

export interface Finding {
  readonly kind: DifferenceKind;
  readonly mirrors: readonly MirrorView[];
  /** What is damaged on each mirror that is; null: not even the record can be read. */
  readonly damage: ReadonlyMap<MirrorId, readonly Extent[] | null>;
}

/** `changing`: it was written to while its content was read. */
export type Look =
  | { readonly kind: 'same' }
  | { readonly kind: 'changing' }
  | { readonly kind: 'differs'; readonly finding: Finding };

const SAME: Look = { kind: 'same' };

/** The state of one object on one mirror; `unreadable`: its record is damaged. */
export type StateSeen = ObjectState | null | 'unreadable';

export async function statesOf(id: ObjectId, mirrors: readonly ComparedMirror[]): Promise<StateSeen[]> {
  return Promise.all(
    mirrors.map(async ({ connection }) => {
      try {
        const [state] = await connection.states([id]);
        return state ?? null;
      } catch (error) {
        if (isDamage(error)) return 'unreadable';
        throw error;
      }
    }),
  );
}

export function isDamage(error: unknown): boolean {
  return error instanceof OsdRefusal && (error.code === 'damaged' || error.code === 'io-error');
}

/** The same text for states that differ in the same way. */
export function fingerprintOf(states: readonly StateSeen[]): string {
  return JSON.stringify(states);
}

function viewsOf(
  mirrors: readonly ComparedMirror[],
  states: readonly StateSeen[],
  damage: Finding['damage'] = new Map(),
): MirrorView[] {
  return mirrors.map(({ mirror }, index) => {
    const state = states[index] ?? null;
    const isDamaged = state === 'unreadable' || damage.has(mirror);
    if (state === null || state === 'unreadable')
      return { mirror, lastTag: null, sizeBytes: null, isDamaged };
    const sizeBytes = state.kind === 'present' ? state.sizeBytes : null;
    return { mirror, lastTag: state.lastTag, sizeBytes, isDamaged };
  });
}

/** What the records alone say. */
export function compareStates(mirrors: readonly ComparedMirror[], states: readonly StateSeen[]): Look {
  const differs = (kind: DifferenceKind, damage: Finding['damage'] = new Map()): Look => ({
    kind: 'differs',
    finding: { kind, mirrors: viewsOf(mirrors, states, damage), damage },
  });
  const unreadable = mirrors.filter((_, index) => states[index] === 'unreadable');
  if (unreadable.length > 0)
    return differs('damaged', new Map(unreadable.map(({ mirror }) => [mirror, null])));
  const present = states
    .filter((state) => state !== 'unreadable')
    .filter((state) => state?.kind === 'present');
  // A tombstone is as good as nothing: each mirror drops its own when it may.
  if (present.length === 0) return SAME;
  const [first] = present;
  const known = states.filter((state) => state !== 'unreadable');
  if (known.some((state) => state?.lastTag !== first?.lastTag)) return differs('last-tag');
  if (present.length < states.length) return differs('state');
  const isSame = present.every(
    ({ sizeBytes, attributes, lastChecksum }) =>
      sizeBytes === first?.sizeBytes &&
      attributes === first.attributes &&
      lastChecksum === first.lastChecksum,
  );
  return isSame ? SAME : differs('state');
}

/** Reads all of an object on each mirror. Precondition: `compareStates` found them the same, and present. */
export async function compareContent(
  id: ObjectId,
  mirrors: readonly ComparedMirror[],
  states: readonly StateSeen[],
  pace: Pace,
): Promise<Look> {
  const [state] = states;
  invariant(state !== undefined && state !== 'unreadable' && state?.kind === 'present', 'there is content');
  const damage = new Map<MirrorId, Extent[]>();
  let isOther = false;
  for (const requests of requestsFor([{ objectId: id, sizeBytes: state.sizeBytes }])) {
    const replies = await examineAll(mirrors, requests, pace);
    for (const [index, { extent }] of requests.entries()) {
      const ofWindow = replies.map((ofMirror) => ofMirror[index]);
      if (ofWindow.some((reply) => reply?.state?.lastTag !== state.lastTag)) return { kind: 'changing' };
      for (const [place, { mirror }] of mirrors.entries()) {
        if (ofWindow[place]?.contentChecksum !== null) continue;
        const extents = damage.get(mirror) ?? [];
        extents.push(extent);
        damage.set(mirror, extents);
      }
      isOther ||= !areChecksumsSame(ofWindow);
    }
  }
  if (damage.size === 0 && !isOther) return SAME;
  // What is rotten is healed first; whether the rest is the same shows afterwards.
  const kind = damage.size > 0 ? 'damaged' : 'content';
  return { kind: 'differs', finding: { kind, mirrors: viewsOf(mirrors, states, damage), damage } };
}

/** Those that are intact. */
function areChecksumsSame(replies: readonly (ExaminationReply | undefined)[]): boolean {
  const checksums = replies.map((reply) => reply?.contentChecksum ?? null).filter((sum) => sum !== null);
  return new Set(checksums).size <= 1;
}

export interface SizedObject {
  readonly objectId: ObjectId;
  readonly sizeBytes: number;
}

/** The windows of some objects, as many in one request as it may have. */
export function* requestsFor(
  objects: Iterable<SizedObject>,
): Generator<readonly ExaminationRequest[], void, undefined> {
  let requests: ExaminationRequest[] = [];
  let bytes = 0;
  for (const { objectId, sizeBytes } of objects) {
    for (const extent of windowsOf(sizeBytes)) {
      const isFull =
        requests.length === EXAMINATIONS_MAX || bytes + extent.length > EXAMINED_REQUEST_BYTES_MAX;
      if (isFull) {
        yield requests;
        requests = [];
        bytes = 0;
      }
      requests.push({ objectId, extent });
      bytes += extent.length;
    }
  }
  if (requests.length > 0) yield requests;
}

export async function examineAll(
  mirrors: readonly ComparedMirror[],
  requests: readonly ExaminationRequest[],
  pace: Pace,
): Promise<(readonly ExaminationReply[])[]> {
  await pace(requests.reduce((sum, { extent }) => sum + extent.length, 0));
  return Promise.all(mirrors.map(({ connection }) => connection.examine(requests)));
}

/** True when a window shows the same object with the same bytes everywhere, at the tag at which it was listed. */
export function isWindowSame(replies: readonly (ExaminationReply | undefined)[], lastTag: Tag): boolean {
  const attributes = replies[0]?.state?.attributes;
  return replies.every(
    (reply) =>
      reply !== undefined &&
      reply.contentChecksum !== null &&
      reply.contentChecksum === replies[0]?.contentChecksum &&
      reply.state?.lastTag === lastTag &&
      reply.state.attributes === attributes,
  );
}
