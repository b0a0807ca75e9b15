/**
 * One state of the exhaustive model: fixed shape, small integers only, so that it is a few hundred bytes long.
 *
 * Tags are numbers too: epoch * TAGS_PER_EPOCH + counter, 0 for none. Writes are numbered in the order of issue; write 0 is the
 * base that every mirror starts with. Lists are indexed by mirror, by write or by store.
 */
export const TAGS_PER_EPOCH = 8;
/** Writes that a run has at most, the base included. */
const WRITES_MAX = 3;
/** Ids that one mirror's store goes through at most: its first, a blank disk's, and that of each full copy. */
export const STORES_PER_MIRROR = 4;

/** The position of `remove` among the kinds (names.ts). */
const REMOVE = 2;

export const NONE = 0;
export const PRESENT = 1;
export const TOMBSTONE = 2;

/** What is on one disk. */
export interface Image {
  object: number;
  lastTag: number;
  /** Which write made each half of the content. A range write makes the left one. */
  left: number;
  right: number;
  /** The tag of the tombstone that was dropped last. */
  forgotten: number;
  /** By write: the commit sequence of its row; 0: no row. */
  rows: number[];
  /** The set of those rows that a push has left uncertain. */
  uncertain: number;
  sequence: number;
  store: number;
  /** 0: none, 1: full copy in progress, 2: state lost. */
  doubt: number;
  blank: number;
  fenced: number;
  /** By store: the sequence that it is known to have come to. */
  witnesses: number[];
}

export interface Mirror {
  image: Image;
  run: number;
  active: number;
  opened: number;
  rebuilding: number;
  floor: number;
  /** 1: it lost state, and no recovery has taken notice yet. */
  damaged: number;
}

export const UNISSUED = 0;
export const PENDING = 1;
export const ACKNOWLEDGED = 2;
export const ABANDONED = 3;

export interface Write {
  status: number;
  kind: number;
  tag: number;
  epoch: number;
  previous: number;
  left: number;
  right: number;
  isReady: number;
  attempts: number;
  /** By mirror: copies of the request that are on their way, or lost. */
  requests: number[];
  unanswered: number[];
  /** By mirror, 0: not sent, 1: waits, 2: committed, 3: refused, 4: unknown. */
  answers: number[];
  tokens: number[];
  stores: number[];
  /** By mirror: 1 while the clear is on its way. */
  clears: number[];
  clearEpoch: number;
}

/** Sets of mirrors are bit masks. */
export interface State {
  mirrors: Mirror[];
  writes: Write[];
  gateway: {
    open: number;
    epoch: number;
    inSync: number;
    rebuilding: number;
    counter: number;
    known: number;
  };
  authority: {
    epoch: number;
    active: number;
    inSync: number;
    rebuilding: number;
    runs: number[];
    sequences: number[];
    stores: number[];
    fullCopy: number[];
    copyStores: number[];
  };
  /** One attempt: stage 0 none, 1 fencing, 2 repairing, 3 rows dropped. */
  recovery: {
    stage: number;
    runs: number[];
    trusted: number;
    byRows: number;
    inFull: number;
    complete: number;
    /** Those that its push is still to land at. */
    toLand: number;
  };
  /** What an online catch-up saw of each mirror; `surveyed` is a set of mirrors. */
  catchUp: { surveyed: number; tags: number[]; rows: number[]; uncertain: number[] };
  /** Repaired content on its way. `whole` 0: the left half alone. */
  push: {
    epoch: number;
    source: number;
    fromTrusted: number;
    targets: number;
    expected: number[];
    whole: number;
    object: number;
    lastTag: number;
    left: number;
    right: number;
    forgotten: number;
    rows: number[];
    uncertain: number;
  };
  snapshot: { of: number; image: Image };
  /** What the clients and the activations know. */
  truth: { settled: number; final: number; activation: number };
  /** How much of each kind of trouble there was. */
  spent: { restarts: number; damages: number; repeats: number };
}

export type Shape = number | Shape[] | { [key: string]: Shape };

function zeros(count: number): number[] {
  return Array.from({ length: count }, () => 0);
}

export function newImage(mirrors: number): Image {
  return {
    object: NONE,
    lastTag: 0,
    left: 0,
    right: 0,
    forgotten: 0,
    rows: zeros(WRITES_MAX),
    uncertain: 0,
    sequence: 0,
    store: 0,
    doubt: 0,
    blank: 1,
    fenced: 0,
    witnesses: zeros(mirrors * STORES_PER_MIRROR),
  };
}

function newWrite(mirrors: number): Write {
  return {
    status: UNISSUED,
    kind: 0,
    tag: 0,
    epoch: 0,
    previous: 0,
    left: 0,
    right: 0,
    isReady: 0,
    attempts: 0,
    requests: zeros(mirrors),
    unanswered: zeros(mirrors),
    answers: zeros(mirrors),
    tokens: zeros(mirrors),
    stores: zeros(mirrors),
    clears: zeros(mirrors),
    clearEpoch: 0,
  };
}

/** Every mirror in sync at epoch 1, with the base, which is cleared. `isAbsent`: the base is a removal that nobody remembers. */
export function firstState(mirrors: number, isAbsent = false): State {
  const all = 2 ** mirrors - 1;
  const baseTag = TAGS_PER_EPOCH + 1;
  const witnesses = zeros(mirrors * STORES_PER_MIRROR).map((_, store) => (store < mirrors ? 1 : 0));
  const kind = isAbsent ? REMOVE : 0;
  const base = { ...newWrite(mirrors), status: ACKNOWLEDGED, kind, tag: baseTag, epoch: 1 };
  const object = isAbsent ? { forgotten: baseTag } : { object: PRESENT, lastTag: baseTag };
  return {
    mirrors: Array.from({ length: mirrors }, (_, store) => ({
      image: {
        ...newImage(mirrors),
        ...{ ...object, sequence: 1, store, blank: 0, fenced: 1, witnesses },
      },
      ...{ run: 1, active: 1, opened: 0, rebuilding: 0, floor: 0, damaged: 0 },
    })),
    writes: [base, ...Array.from({ length: WRITES_MAX - 1 }, () => newWrite(mirrors))],
    gateway: { open: 1, epoch: 1, inSync: all, rebuilding: 0, counter: 1, known: 0 },
    authority: {
      ...{ epoch: 1, active: 1, inSync: all, rebuilding: 0 },
      runs: zeros(mirrors).fill(1),
      sequences: zeros(mirrors).fill(1),
      stores: zeros(mirrors).map((_, store) => store),
      fullCopy: zeros(mirrors),
      copyStores: zeros(mirrors),
    },
    recovery: { stage: 0, runs: zeros(mirrors), trusted: 0, byRows: 0, inFull: 0, complete: 0, toLand: 0 },
    catchUp: { surveyed: 0, tags: zeros(mirrors), rows: zeros(mirrors), uncertain: zeros(mirrors) },
    push: {
      ...{ epoch: 0, source: 0, fromTrusted: 0, targets: 0, expected: zeros(mirrors), whole: 0 },
      ...{ object: 0, lastTag: 0, left: 0, right: 0, forgotten: 0, rows: zeros(WRITES_MAX), uncertain: 0 },
    },
    snapshot: { of: mirrors, image: newImage(mirrors) },
    truth: { settled: 0, final: 0, activation: 1 },
    spent: { restarts: 0, damages: 0, repeats: 0 },
  };
}

/** The bytes that a state of this shape takes: every number in it is from 0 to 255. */
export function sizeOf(shape: Shape): number {
  if (typeof shape === 'number') return 1;
  return Object.values(shape).reduce((sum: number, item: Shape) => sum + sizeOf(item), 0);
}

/** Writes a state to `bytes` from `at`; returns where it ends. */
export function encode(shape: Shape, bytes: Uint8Array, at: number): number {
  let end = at;
  if (typeof shape === 'number') {
    bytes[end] = shape;
    return end + 1;
  }
  if (Array.isArray(shape)) {
    for (const item of shape) end = encode(item, bytes, end);
    return end;
  }
  for (const key in shape) end = encode(shape[key] ?? 0, bytes, end);
  return end;
}

export function copyOfImage(image: Image): Image {
  return { ...image, rows: [...image.rows], witnesses: [...image.witnesses] };
}

function copyOfWrite(write: Write): Write {
  return {
    ...write,
    requests: [...write.requests],
    unanswered: [...write.unanswered],
    answers: [...write.answers],
    tokens: [...write.tokens],
    stores: [...write.stores],
    clears: [...write.clears],
  };
}

/** A copy that may be changed. */
export function copyOfState({ authority, catchUp, ...state }: State): State {
  return {
    mirrors: state.mirrors.map((mirror) => ({ ...mirror, image: copyOfImage(mirror.image) })),
    writes: state.writes.map(copyOfWrite),
    gateway: { ...state.gateway },
    authority: {
      ...authority,
      runs: [...authority.runs],
      sequences: [...authority.sequences],
      stores: [...authority.stores],
      fullCopy: [...authority.fullCopy],
      copyStores: [...authority.copyStores],
    },
    recovery: { ...state.recovery, runs: [...state.recovery.runs] },
    catchUp: {
      ...catchUp,
      tags: [...catchUp.tags],
      rows: [...catchUp.rows],
      uncertain: [...catchUp.uncertain],
    },
    push: { ...state.push, expected: [...state.push.expected], rows: [...state.push.rows] },
    snapshot: { of: state.snapshot.of, image: copyOfImage(state.snapshot.image) },
    truth: { ...state.truth },
    spent: { ...state.spent },
  };
}

/** Reads states of the shape of `template`. */
export class Decoder {
  readonly #template: State;
  #bytes: Uint8Array = new Uint8Array();
  #at = 0;

  constructor(template: State) {
    this.#template = template;
  }

  decode(bytes: Uint8Array, at: number): State {
    this.#bytes = bytes;
    this.#at = at;
    return this.#read(this.#template as unknown as Shape) as unknown as State;
  }

  #read(template: Shape): Shape {
    if (typeof template === 'number') {
      const value = this.#bytes[this.#at] ?? 0;
      this.#at += 1;
      return value;
    }
    if (Array.isArray(template)) return template.map((item) => this.#read(item));
    const copy: Record<string, Shape> = { ...template };
    for (const key in template) copy[key] = this.#read(template[key] ?? 0);
    return copy;
  }
}
