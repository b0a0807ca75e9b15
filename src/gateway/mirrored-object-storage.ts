/**
 * The gateway's storage of whole objects: `ObjectStorage` over one mirror set. Guarantees as stated at the port.
 *
 * A mutation holds its object's lock from the look at the present state to the outcome, so that on each object there is
 * one write at a time and `previousTag` is what the mirrors have (F4, F23).
 */
import { mayBeShown } from '../protocol/forwarding.js';
import { invariant } from '../protocol/invariant.js';
import type { MirrorId } from '../protocol/authority-state.js';
import type { ObjectId } from '../protocol/object-id.js';
import { type Soon, whenKnown } from '../protocol/soon.js';
import type { Epoch, Tag } from '../protocol/tag.js';
import { COMPOSE_SOURCES_MAX } from '../protocol/compose.js';
import {
  composedContent,
  type ContentTarget,
  type ContentTargets,
  MirroredContentSink,
  ReadyContent,
} from './content-sink.js';
import type { Logger } from './logger.js';
import { MirroredReads } from './mirrored-reads.js';
import type { SetWriter } from './set-writer.js';
import type { FarWriter, Hold, ObjectWriters } from './object-writers.js';
import type { OpenWrites } from './open-writes.js';
import {
  ATTRIBUTES_BYTES_MAX,
  type AttributesRequest,
  type ContentSink,
  type ContentSource,
  type ListPage,
  type ListRequest,
  type ObjectHead,
  type ObjectRead,
  type ObjectStorage,
  ObjectStorageError,
  type RangeWriteRequest,
  type ReadRange,
  type RemoveRequest,
  type ReplaceRequest,
  type StagedContent,
} from './object-storage.js';
import type { SettledWrite } from '../writer/in-flight-writes.js';
import type { WriteDraft } from '../writer/write-draft.js';

/** How often a mutation starts over because the mirror set changed between its look at the object and its write. */
const WRITE_ATTEMPTS_MAX = 16;

const NO_BYTES = { kind: 'none' } as const;

const NO_CONTENT = { offset: 0, length: 0, contentChecksum: 0, contentFor: () => NO_BYTES };

function contentOf(content: StagedContent): ReadyContent {
  if (!(content instanceof ReadyContent)) throw new TypeError('the content was staged by another storage');
  return content;
}

function checkAttributes(attributes: string): string {
  if (Buffer.byteLength(attributes) > ATTRIBUTES_BYTES_MAX) {
    throw new RangeError(`attributes are longer than ${ATTRIBUTES_BYTES_MAX} bytes`);
  }
  return attributes;
}

function replacement(objectId: ObjectId, content: ReadyContent, attributes: string): WriteDraft {
  return {
    objectId,
    kind: 'replace',
    mode: 'overwrite',
    previousTag: null,
    offset: 0,
    length: content.sizeBytes,
    attributes,
    contentChecksum: content.checksum,
    contentFor: (mirror) => content.contentFor(mirror),
    whyMissing: (mirror) => content.whyMissing(mirror),
  };
}

function removal(objectId: ObjectId): WriteDraft {
  return {
    objectId,
    kind: 'remove',
    mode: 'overwrite',
    previousTag: null,
    attributes: null,
    ...NO_CONTENT,
  };
}

/** The error for a write that no mirror took. */
function refusalError(code: string): ObjectStorageError {
  if (code === 'source-changed')
    return new ObjectStorageError('changed', 'what was to be copied has changed');
  if (code === 'no-space') return new ObjectStorageError('no-space', 'no mirror has room for it');
  return new ObjectStorageError('unavailable', `no mirror took the write: ${code}`);
}

export interface RewriteRequest {
  readonly id: ObjectId;
  /** Null: the object is removed. */
  readonly content: StagedContent | null;
  /** Null for a removal. */
  readonly attributes: string | null;
  /** Called under the object's write lock; rejects when the mirrors are not any more as the caller saw them. */
  readonly confirm: () => Promise<void>;
}

const NO_OBJECTS: readonly ObjectId[] = [];

interface Prepared {
  readonly draft: WriteDraft;
  /** The size of the object after the write. */
  readonly sizeBytes: number;
}

type Prepare = (current: ObjectHead | null) => Prepared | null;

/** Of what was removed the tag may stay with the OSD that issued it. */
type Mutated = Omit<ObjectHead, 'lastTag'> & { readonly lastTag: Tag | null };

/** One mutation, for as often as it has to be tried. */
interface Mutation {
  readonly id: ObjectId;
  /** What `prepare` is given; asked under the lock. Null: it needs nothing. */
  readonly look: (() => Promise<ObjectHead | null>) | null;
  /** Null: there is nothing to do. */
  readonly prepare: Prepare;
  /** Objects that must stay as they are meanwhile. */
  readonly sourceIds: readonly ObjectId[];
  attemptsLeft: number;
}

function hasWritten(mutated: Mutated | null): mutated is ObjectHead {
  return mutated !== null && mutated.lastTag !== null;
}

/** What became of a mutation under one hold. Null: there was nothing to do. */
type Attempted = Mutated | null | 'hold-lost';

type Decided =
  | { readonly kind: 'written'; readonly lastTag: Tag | null }
  /** Nobody has it, and it may be made anew. */
  | { readonly kind: 'again' };

function mutatedBy({ draft, sizeBytes }: Prepared, lastTag: Tag | null): Mutated {
  return { id: draft.objectId, sizeBytes, lastTag, attributes: draft.attributes ?? '' };
}

export class MirroredObjectStorage implements ObjectStorage {
  readonly #set: SetWriter;
  readonly #reads: MirroredReads;
  readonly #writers: ObjectWriters;
  readonly #logger: Logger;

  constructor(
    set: SetWriter,
    {
      writers,
      openWrites,
      logger,
    }: { readonly writers: ObjectWriters; readonly openWrites: OpenWrites; readonly logger: Logger },
  ) {
    this.#set = set;
    this.#writers = writers;
    this.#logger = logger;
    this.#reads = new MirroredReads(set, openWrites, logger);
  }

  head(id: ObjectId): Promise<ObjectHead | null> {
    return this.#reads.head(id);
  }

  read(id: ObjectId, range: ReadRange, expectedTag?: Tag): Promise<ObjectRead | null> {
    return this.#reads.read(id, range, expectedTag);
  }

  list(request: ListRequest): Promise<ListPage> {
    return this.#reads.list(request);
  }

  openContent(_target: ObjectId, sizeBytes: number | null): ContentSink {
    const targets = async (): Promise<ContentTargets> => {
      await this.#set.pass();
      const targetOf = (mirror: MirrorId): ContentTarget => ({
        mirror,
        connection: this.#set.connectionOf(mirror),
      });
      const { inSync, rebuilding } = this.#set;
      return { inSync: inSync.map(targetOf), rebuilding: rebuilding.map(targetOf) };
    };
    return new MirroredContentSink(targets, sizeBytes, this.#logger);
  }

  composeContent(sources: readonly ContentSource[]): StagedContent {
    if (sources.length > COMPOSE_SOURCES_MAX)
      throw new RangeError(`more than ${COMPOSE_SOURCES_MAX} sources`);
    return composedContent(
      sources.map(({ head, extent }) => ({ objectId: head.id, expectedTag: head.lastTag, extent })),
    );
  }

  replace(request: ReplaceRequest): Promise<ObjectHead> {
    const content = contentOf(request.content);
    const { id, attributes } = request;
    const prepare = (current: ObjectHead | null): Prepared => ({
      sizeBytes: content.sizeBytes,
      draft: replacement(
        id,
        content,
        checkAttributes(typeof attributes === 'string' ? attributes : attributes(current)),
      ),
    });
    const sourceIds = content.sources?.map(({ objectId }) => objectId) ?? NO_OBJECTS;
    return this.#mustMutate(id, typeof attributes !== 'string', prepare, sourceIds);
  }

  async writeRange(request: RangeWriteRequest): Promise<ObjectHead> {
    const content = contentOf(request.content);
    const { id } = request;
    const prepare = (current: ObjectHead | null): Prepared => {
      const { offset, attributes } = request.decide(current);
      if (current === null) throw new RangeError('a range write needs an object');
      if (offset < 0 || offset > current.sizeBytes) throw new RangeError('a range write leaves no hole');
      const end = offset + content.sizeBytes;
      return {
        sizeBytes: Math.max(current.sizeBytes, end),
        draft: {
          objectId: id,
          kind: offset === current.sizeBytes ? 'extend' : 'range-write',
          mode: end > current.sizeBytes ? 'extend' : 'overwrite',
          previousTag: current.lastTag,
          offset,
          length: content.sizeBytes,
          attributes: checkAttributes(attributes),
          contentChecksum: content.checksum,
          contentFor: (mirror) => content.contentFor(mirror),
          whyMissing: (mirror) => content.whyMissing(mirror),
        },
      };
    };
    return this.#mustMutate(id, true, prepare);
  }

  async setAttributes({ id, decide }: AttributesRequest): Promise<ObjectHead> {
    return this.#mustMutate(id, true, (current) => {
      const attributes = checkAttributes(decide(current));
      if (current === null) throw new RangeError('attributes need an object');
      const previousTag = current.lastTag;
      const { sizeBytes } = current;
      const draft: WriteDraft = {
        objectId: id,
        kind: 'set-attributes',
        mode: 'overwrite',
        previousTag,
        attributes,
        ...NO_CONTENT,
      };
      return { sizeBytes, draft };
    });
  }

  async remove({ id, decide }: RemoveRequest): Promise<boolean> {
    const look = (): Promise<ObjectHead | null> => this.#reads.head(id);
    const prepare = (current: ObjectHead | null): Prepared | null => {
      decide?.(current);
      return current === null ? null : { sizeBytes: 0, draft: removal(id) };
    };
    const mutation = { id, look, prepare, sourceIds: NO_OBJECTS, attemptsLeft: WRITE_ATTEMPTS_MAX };
    return (await this.#mutate(mutation)) !== null;
  }

  /** Runs `work` while no mutation of the object is under way: what was begun before has its outcome. Clients wait for it. */
  betweenMutations<Result>(id: ObjectId, work: () => Promise<Result>): Promise<Result> {
    return this.#writers.hold([id], work);
  }

  /** Replaces or removes an object on every mirror in sync, although they do not have the same of it now. */
  async rewrite({ id, content, attributes, confirm }: RewriteRequest): Promise<void> {
    const look = async (): Promise<null> => {
      await confirm();
      return null;
    };
    const ready = content === null ? null : contentOf(content);
    const prepare = (): Prepared => ({
      sizeBytes: ready?.sizeBytes ?? 0,
      draft: ready === null ? removal(id) : replacement(id, ready, checkAttributes(attributes ?? '')),
    });
    await this.#mutate({ id, look, prepare, sourceIds: NO_OBJECTS, attemptsLeft: WRITE_ATTEMPTS_MAX });
  }

  /** Null when `prepare` finds nothing to do. */
  #mutate(mutation: Mutation): Promise<Mutated | null> {
    const { id, sourceIds } = mutation;
    const holding = this.#writers.hold([id, ...sourceIds], (hold) =>
      Promise.resolve(this.#attempt(mutation, hold)),
    );
    return holding.then((result) => {
      if (result !== 'hold-lost') return result;
      mutation.attemptsLeft -= 1;
      return this.#mutate(mutation);
    });
  }

  #attempt(mutation: Mutation, hold: Hold): Soon<Attempted> {
    if (mutation.attemptsLeft === 0)
      throw new ObjectStorageError('unavailable', 'the mirrors keep coming and going');
    return whenKnown(this.#set.gate.isOpen ? undefined : this.#set.pass(), () => {
      if (hold.isLost) return 'hold-lost';
      const { look, prepare } = mutation;
      const { epoch } = this.#set;
      return whenKnown(look === null ? null : look(), (current) => {
        // A recovery that came between may have decided an older write of this object.
        if (!this.#set.gate.isOpen || this.#set.epoch !== epoch) return this.#attemptAgain(mutation, hold);
        const prepared = prepare(current);
        return prepared === null ? null : this.#write(mutation, hold, prepared, epoch);
      });
    });
  }

  #attemptAgain(mutation: Mutation, hold: Hold): Soon<Attempted> {
    mutation.attemptsLeft -= 1;
    return this.#attempt(mutation, hold);
  }

  /** As `#mutate` for a `prepare` that always finds something to do. */
  #mustMutate(
    id: ObjectId,
    needsCurrent: boolean,
    prepare: Prepare,
    sourceIds = NO_OBJECTS,
  ): Promise<ObjectHead> {
    const far = needsCurrent || sourceIds.length > 0 ? null : this.#writers.far(id);
    if (far !== null) return this.#commitFar(far, id, prepare);
    const look = needsCurrent ? () => this.#reads.head(id) : null;
    const mutation = { id, look, prepare, sourceIds, attemptsLeft: WRITE_ATTEMPTS_MAX };
    return this.#mutate(mutation).then((mutated) => {
      invariant(hasWritten(mutated), 'a replacement or a range write always writes', { id });
      return mutated;
    });
  }

  /** A write that depends on nothing is one message to the writer of its object. */
  async #commitFar(far: FarWriter, id: ObjectId, prepare: Prepare): Promise<ObjectHead> {
    const prepared = prepare(null);
    invariant(prepared !== null, 'a write that depends on nothing writes', { id });
    const { draft, sizeBytes } = prepared;
    return { id, sizeBytes, lastTag: await far.commit(draft), attributes: draft.attributes ?? '' };
  }

  /** Makes a write that depends on nothing, for somebody in another process. */
  async commit(draft: WriteDraft): Promise<Tag> {
    const { objectId: id, length: sizeBytes } = draft;
    const prepare = (): Prepared => ({ draft, sizeBytes });
    const mutation = {
      ...{ id, look: null, prepare, sourceIds: NO_OBJECTS },
      attemptsLeft: WRITE_ATTEMPTS_MAX,
    };
    const head = await this.#mutate(mutation);
    const lastTag = head?.lastTag ?? null;
    invariant(lastTag !== null, 'a write that depends on nothing writes', { id });
    return lastTag;
  }

  #write(mutation: Mutation, hold: Hold, prepared: Prepared, epoch: Epoch): Soon<Attempted> {
    return whenKnown(hold.write(prepared.draft, epoch), (written) => {
      if (written.kind === 'stale') return this.#attemptAgain(mutation, hold);
      if (written.kind === 'lost') return 'hold-lost';
      return written.settled.then((settled) => this.#conclude(mutation, hold, prepared, settled));
    });
  }

  #conclude(mutation: Mutation, hold: Hold, prepared: Prepared, settled: SettledWrite): Soon<Attempted> {
    const { outcome, tag } = settled;
    if (outcome.kind === 'refused') throw refusalError(outcome.code);
    if (outcome.kind === 'undecided') {
      return this.#awaitDecision(hold, prepared.draft, settled).then((decided) =>
        decided.kind === 'again' ? this.#attemptAgain(mutation, hold) : mutatedBy(prepared, decided.lastTag),
      );
    }
    invariant(tag !== null, 'a write that is acknowledged has its tag');
    return mutatedBy(prepared, tag);
  }

  /** After the recovery the mirrors either all have the write or none has: nobody else wrote to the object meanwhile. */
  async #awaitDecision(hold: Hold, draft: WriteDraft, settled: SettledWrite): Promise<Decided> {
    let head: ObjectHead | null;
    try {
      // Not before the activation: until then a mirror that has it may still come back as a source.
      await this.#set.pass();
      head = await this.#reads.head(draft.objectId);
    } catch (error) {
      if (settled.hasNotBegun) throw error;
      throw new ObjectStorageError('outcome-unknown', 'the write may or may not have happened', {
        cause: error,
      });
    }
    const shown = head?.lastTag ?? null;
    const isKnown = settled.tag !== null;
    if (hold.isLost && !isKnown)
      throw new ObjectStorageError('outcome-unknown', 'somebody else may have written since');
    const hasHappened =
      draft.kind === 'remove' ? shown === null : shown !== null && mayBeShown(settled, shown);
    if (hasHappened) return { kind: 'written', lastTag: shown ?? settled.tag };
    if (hold.isLost) throw new ObjectStorageError('outcome-unknown', 'somebody else may have written since');
    // It was forwarded, and lost with the OSD that was to write it.
    if (settled.issuedAfter !== null) return { kind: 'again' };
    throw new ObjectStorageError('unavailable', 'the write was lost with the mirror that had it');
  }
}
