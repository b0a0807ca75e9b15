/**
 * Reads over the mirrors in sync, never from any other.
 *
 * A read goes to the mirror that the object's name picks, and to the next one when that fails or its bytes are rotten, in the
 * middle of a body too: the rest comes from another mirror that has the same last tag. A read whose answer carries the tag of a write that is
 * still in flight waits until that write is decided, and is done again if it was not acknowledged (F26).
 */
import type { MirrorId } from '../protocol/authority-state.js';
import { extentEnd } from '../protocol/extent.js';
import type { ObjectId } from '../protocol/object-id.js';
import { parseObjectId } from '../protocol/object-id.js';
import type { Tag } from '../protocol/tag.js';
import {
  type OsdConnection,
  OsdRefusal,
  type PresentObject,
  type RemoteListPage,
  type RemoteRead,
} from '../wire/osd-connection.js';
import type { Logger } from './logger.js';
import type { SetWriter } from './set-writer.js';
import type { OpenWrite, OpenWrites } from './open-writes.js';
import { ReadRepair } from './read-repair.js';
import {
  type ListPage,
  type ListRequest,
  type ObjectBody,
  type ObjectHead,
  type ObjectRead,
  ObjectStorageError,
  type ReadRange,
} from './object-storage.js';

/** How often a read is done again because a write or a change of the in-sync set came between. */
const READ_ATTEMPTS_MAX = 8;

function toHead(id: ObjectId, state: PresentObject): ObjectHead {
  return { id, sizeBytes: state.sizeBytes, lastTag: state.lastTag, attributes: state.attributes };
}

/** A cheap, even spread of objects over mirrors. */
function hashOf(id: string): number {
  let hash = 0;
  for (let index = 0; index < id.length; index += 1) hash = (Math.imul(hash, 31) + id.charCodeAt(index)) | 0;
  return hash >>> 0;
}

function isDamage(error: unknown): boolean {
  return error instanceof OsdRefusal && error.code === 'damaged';
}

export class MirroredReads {
  readonly #set: SetWriter;
  readonly #openWrites: OpenWrites;
  readonly #logger: Logger;
  readonly #repair: ReadRepair;

  constructor(set: SetWriter, openWrites: OpenWrites, logger: Logger) {
    this.#set = set;
    this.#openWrites = openWrites;
    this.#logger = logger;
    this.#repair = new ReadRepair(set, logger);
  }

  async head(id: ObjectId): Promise<ObjectHead | null> {
    const state = await this.#decided(
      id,
      (connection) => connection.head(this.#set.epoch, id),
      (found) => this.#openWrites.ofObject(id, found?.lastTag ?? null),
    );
    return state === null ? null : toHead(id, state);
  }

  async read(id: ObjectId, range: ReadRange, expectedTag?: Tag): Promise<ObjectRead | null> {
    let servedBy: MirrorId | null = null;
    const read = await this.#decided(
      id,
      (connection, mirror) => {
        servedBy = mirror;
        return this.#noteDamage(mirror, id, connection.read(this.#set.epoch, id, range));
      },
      (found) => this.#openWrites.ofObject(id, found?.state.lastTag ?? null),
      (found) => {
        letGo(found);
      },
    );
    if (read === null) {
      if (expectedTag !== undefined) throw changed(id);
      return null;
    }
    if (expectedTag !== undefined && read.state.lastTag !== expectedTag) {
      letGo(read);
      throw changed(id);
    }
    return {
      head: toHead(id, read.state),
      extent: read.extent,
      bytes: read.bytes,
      body: read.bytes === null ? this.#releasableBody(id, read, servedBy) : read.body,
    };
  }

  async list(request: ListRequest): Promise<ListPage> {
    const page = await this.#decided(
      `${request.container}/${request.prefix}`,
      (connection) => connection.list(this.#set.epoch, request),
      (found) => this.#openWrites.inListing(request, found),
    );
    return toListPage(page);
  }

  /** A mirror whose bytes are rotten is told to heal them, whatever becomes of this read. */
  #noteDamage<Answer>(mirror: MirrorId, id: ObjectId, reading: Promise<Answer>): Promise<Answer> {
    return reading.catch((error: unknown) => {
      if (isDamage(error)) this.#repair.found(mirror, id);
      throw error;
    });
  }

  /** Asks one mirror after the other until one answers, and again until nothing in the answer is in flight. */
  async #decided<Answer>(
    spreadBy: string,
    ask: (connection: OsdConnection, mirror: MirrorId) => Promise<Answer>,
    openWritesIn: (answer: Answer) => readonly OpenWrite[],
    discard: (answer: Answer) => void = () => undefined,
  ): Promise<Answer> {
    for (let attempt = 1; attempt <= READ_ATTEMPTS_MAX; attempt += 1) {
      const passing = this.#set.passToRead();
      if (passing instanceof Promise) await passing;
      const epoch = this.#set.epoch;
      const answer = await this.#askAnyone(spreadBy, ask);
      if (answer === null) continue;
      const openWrites = openWritesIn(answer.value);
      const isDecided = openWrites.length === 0 || (await this.#areAcknowledged(openWrites));
      if (isDecided && this.#wasInSync(answer.mirror, epoch)) return answer.value;
      discard(answer.value);
      // Only the end of the recovery decides.
      if (!isDecided) await this.#set.pass();
    }
    throw new ObjectStorageError(
      'unavailable',
      'the object keeps changing or its mirrors keep coming and going',
    );
  }

  /** An answer counts when its mirror was in sync from the question to the answer. */
  #wasInSync(mirror: MirrorId, epochAtStart: number): boolean {
    return this.#set.epoch === epochAtStart || this.#set.readable.includes(mirror);
  }

  /** Waits for the outcomes. An answer that shows a write which was refused or is undecided is no good. */
  async #areAcknowledged(writes: readonly OpenWrite[]): Promise<boolean> {
    const outcomes = await Promise.all(writes.map((write) => write.outcome));
    return outcomes.every((outcome) => outcome.kind === 'acknowledged');
  }

  /** Null: nobody in sync answered, and a recovery or an exclusion may change that. */
  async #askAnyone<Answer>(
    spreadBy: string,
    ask: (connection: OsdConnection, mirror: MirrorId) => Promise<Answer>,
  ): Promise<{ readonly value: Answer; readonly mirror: MirrorId } | null> {
    const mirrors = this.#set.readable;
    if (mirrors.length === 0) return null;
    const first = hashOf(spreadBy) % mirrors.length;
    let damage: unknown = null;
    for (let step = 0; step < mirrors.length; step += 1) {
      const mirror = mirrors[(first + step) % mirrors.length];
      if (mirror === undefined) continue;
      try {
        return { value: await ask(this.#set.connectionOf(mirror), mirror), mirror };
      } catch (error) {
        this.#logger.warn({ mirror, err: error }, 'a mirror could not serve a read; the next one is asked');
        if (isDamage(error)) damage = error;
      }
    }
    if (damage !== null)
      throw new ObjectStorageError('damaged', 'no mirror has an intact copy', { cause: damage });
    // Give the health monitor time to notice what we noticed.
    await new Promise((resolve) => setTimeout(resolve, 250));
    return null;
  }

  /** A generator that was not started yet runs nothing when it is told to return: then the mirror must be let go here. */
  #releasableBody(id: ObjectId, read: RemoteRead, servedBy: MirrorId | null): ObjectBody {
    const reads = [read];
    return {
      giveBack: (piece) => {
        // Each knows its own.
        for (const { body } of reads) body.giveBack?.(piece);
      },
      [Symbol.asyncIterator]: () => {
        const pieces = this.#bodyOf(id, reads, servedBy);
        let isStarted = false;
        return {
          next: () => {
            isStarted = true;
            return pieces.next();
          },
          return: async () => {
            if (!isStarted) letGo(read);
            return pieces.return();
          },
        };
      },
    };
  }

  /** The body, carried on from another mirror when the first one breaks off; that read comes to `reads`, too. */
  async *#bodyOf(
    id: ObjectId,
    reads: RemoteRead[],
    servedBy: MirrorId | null,
  ): AsyncGenerator<Buffer, void, undefined> {
    const [read] = reads;
    if (read === undefined || read.extent === null) return;
    let position = read.extent.offset;
    const end = extentEnd(read.extent);
    const tried = new Set(servedBy === null ? [] : [servedBy]);
    let from = servedBy;
    let current: RemoteRead | null = read;
    let cause: unknown = null;
    while (current !== null) {
      try {
        for await (const piece of current.body) {
          position += piece.length;
          yield piece;
        }
        if (position === end) return;
        cause = new Error('the body ended early');
      } catch (error) {
        cause = error;
        if (from !== null && isDamage(error)) this.#repair.found(from, id);
      }
      this.#logger.warn({ err: cause }, 'a mirror broke off a read; the rest comes from another one');
      const rest = await this.#readRest(id, read.state.lastTag, position, end, tried);
      current = rest?.read ?? null;
      if (current !== null) reads.push(current);
      from = rest?.mirror ?? null;
    }
    throw new ObjectStorageError(
      isDamage(cause) ? 'damaged' : 'unavailable',
      'the rest of the object can not be had from any mirror',
      { cause },
    );
  }

  async #readRest(
    id: ObjectId,
    lastTag: Tag,
    position: number,
    end: number,
    tried: Set<MirrorId>,
  ): Promise<{ readonly read: RemoteRead; readonly mirror: MirrorId } | null> {
    for (const mirror of this.#set.readable) {
      if (tried.has(mirror)) continue;
      tried.add(mirror);
      try {
        const range = { kind: 'between' as const, first: position, last: end - 1 };
        const reading = this.#set.connectionOf(mirror).read(this.#set.epoch, id, range);
        const rest = await this.#noteDamage(mirror, id, reading);
        if (rest?.state.lastTag === lastTag) return { read: rest, mirror };
        letGo(rest);
      } catch (error) {
        this.#logger.warn({ mirror, err: error }, 'nor could this mirror');
      }
    }
    return null;
  }
}

function letGo(read: RemoteRead | null): void {
  if (read?.bytes === null) void read.body[Symbol.asyncIterator]().return?.();
}

function changed(id: ObjectId): ObjectStorageError {
  return new ObjectStorageError('changed', `${parseObjectId(id).name} changed between two reads of it`);
}

function toListPage(page: RemoteListPage): ListPage {
  const entries = page.entries.map((entry): ListPage['entries'][number] => {
    if (entry.kind === 'common-prefix') return entry;
    const { name, version } = parseObjectId(entry.id);
    return { kind: 'object', name, version, head: toHead(entry.id, entry.state) };
  });
  return { entries, truncated: page.truncated };
}
