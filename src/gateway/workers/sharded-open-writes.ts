/**
 * Open writes when there are several writers: a read asks the writer of what its answer shows, unless it knows already that
 * everything up to there has its outcome (F26). One answer tells that of all earlier writes, so those who read what was not
 * written lately ask nobody.
 */
import type { ObjectId } from '../../protocol/object-id.js';
import { writerOf } from '../../protocol/shard.js';
import { type GeneratorId, type Tag, tagGenerator } from '../../protocol/tag.js';
import type { RemoteListPage } from '../../wire/osd-connection.js';
import type { SettledOutcome } from '../../writer/in-flight-writes.js';
import type { ListRequest } from '../object-storage.js';
import { type OpenWrite, type OpenWrites, OwnOpenWrites } from '../open-writes.js';
import type { SetWriter } from '../set-writer.js';
import type { WriterDirectory } from './sharded-writers.js';
import type { DecidedBody, DecidedReply } from './writer-service.js';

export class ShardedOpenWrites implements OpenWrites {
  readonly #directory: WriterDirectory;
  readonly #own: OwnOpenWrites;
  readonly #indexes: ReadonlyMap<GeneratorId, number>;
  /** By writer: below this tag everything has its outcome. */
  readonly #floors = new Map<number, Tag>();

  /** `generators`: of the writers, by index. */
  constructor(directory: WriterDirectory, set: SetWriter, generators: readonly GeneratorId[]) {
    this.#directory = directory;
    this.#own = new OwnOpenWrites(set.inFlight);
    this.#indexes = new Map(generators.map((generator, index) => [generator, index]));
  }

  ofObject(id: ObjectId, lastTag: Tag | null): readonly OpenWrite[] {
    const { count, own } = this.#directory;
    if (lastTag === null) {
      const index = writerOf(id, count);
      if (index === own) return this.#own.ofObject(id, null);
      return [this.#ask(index, { shown: [], removal: id, listing: null })];
    }
    const index = this.#writerOfTag(lastTag);
    if (index === null || this.#isDecided(index, lastTag)) return [];
    if (index === own) return this.#own.ofObject(id, lastTag);
    return [this.#ask(index, { shown: [{ id, tag: lastTag }], removal: null, listing: null })];
  }

  inListing(request: ListRequest, page: RemoteListPage): readonly OpenWrite[] {
    const shown = new Map<number, DecidedBody['shown'][number][]>();
    for (const entry of page.entries) {
      if (entry.kind !== 'object') continue;
      const { id } = entry;
      const tag = entry.state.lastTag;
      const index = this.#writerOfTag(tag);
      if (index === null || index === this.#directory.own || this.#isDecided(index, tag)) continue;
      const others = shown.get(index);
      if (others === undefined) shown.set(index, [{ id, tag }]);
      else others.push({ id, tag });
    }
    const asked: OpenWrite[] = [];
    for (let index = 0; index < this.#directory.count; index += 1) {
      if (index === this.#directory.own) continue;
      asked.push(this.#ask(index, { shown: shown.get(index) ?? [], removal: null, listing: request }));
    }
    return [...this.#own.inListing(request, page), ...asked];
  }

  /** Null: a writer of an earlier time. A recovery has decided all that it wrote. */
  #writerOfTag(tag: Tag): number | null {
    return this.#indexes.get(tagGenerator(tag)) ?? null;
  }

  #isDecided(index: number, tag: Tag): boolean {
    const floor = this.#floors.get(index);
    return floor !== undefined && tag < floor;
  }

  #ask(index: number, body: DecidedBody): OpenWrite {
    return { outcome: this.#outcomeOf(index, body) };
  }

  async #outcomeOf(index: number, body: DecidedBody): Promise<SettledOutcome> {
    let reply: DecidedReply;
    try {
      reply = await this.#directory.peer(index).call<DecidedReply>('decided', body);
    } catch {
      // It has ended, so the gates are shut; the recovery that opens them decides.
      return { kind: 'undecided' };
    }
    const known = this.#floors.get(index);
    if (reply.floor !== null && (known === undefined || reply.floor > known))
      this.#floors.set(index, reply.floor);
    return reply.areAcknowledged ? { kind: 'acknowledged' } : { kind: 'undecided' };
  }
}
