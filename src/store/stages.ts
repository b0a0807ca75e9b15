/**
 * Stages: content that comes ahead of the transaction that will name it.
 *
 * What fits in a record stays in memory; more goes to a blob, which is on disk when the stage is finished. A stage is
 * used up by the first transaction that commits with it; one that is refused leaves it, for a retry or for `discard`.
 */
import { randomBytes } from 'node:crypto';
import { crc32c } from '@node-rs/crc32';
import { invariant } from '../protocol/invariant.js';
import { CHUNK_BYTES, ChunkChecksummer } from './chunk-checksums.js';
import type { ExtentSource } from './extent-map.js';
import { type StagedBlob, StoreError, type StageWriter } from './object-store.js';
import type { BlobId } from './keys.js';
import type { PackedContent, PackListener } from './packed-lane.js';
import type { Fragment } from './segment-format.js';
import type { FinishedBlob, SegmentWriter } from './segment-writer.js';
import type { StoreCore } from './store-core.js';

/** Content that is at hand: in memory, or in a blob that is on disk and not counted yet. */
export interface StoredContent {
  readonly source: Exclude<ExtentSource, { kind: 'lost' }>;
  readonly lengthBytes: number;
  readonly contentChecksum: number;
}

type Stage = { readonly kind: 'open' } | { readonly kind: 'finished'; readonly content: StoredContent };

export class Stages {
  readonly #core: StoreCore;
  /** A stage of an earlier run must never pass for one of this run. */
  readonly #runId = randomBytes(6).toString('hex');
  readonly #stages = new Map<string, Stage>();
  #lastNumber = 0;

  constructor(core: StoreCore) {
    this.#core = core;
  }

  /** Throws StoreError `overloaded`. */
  open(): StageWriter {
    if (this.#stages.size >= this.#core.parts.limits.stageCountMax) {
      throw new StoreError('overloaded', 'too many stages are open');
    }
    this.#lastNumber += 1;
    const stageId = `${this.#runId}-${this.#lastNumber}`;
    this.#stages.set(stageId, { kind: 'open' });
    return new DiskStageWriter(this.#core, stageId, (content) => {
      if (content === null) this.#stages.delete(stageId);
      else this.#stages.set(stageId, { kind: 'finished', content });
    });
  }

  /** The content of a finished stage; null for any other. */
  peek(stageId: string): StoredContent | null {
    const stage = this.#stages.get(stageId);
    return stage?.kind === 'finished' ? stage.content : null;
  }

  /** Hands over the content of a finished stage, which is no more. */
  use(stageId: string): StoredContent {
    const content = this.peek(stageId);
    invariant(content !== null, 'a stage is used once', { stageId });
    this.#stages.delete(stageId);
    return content;
  }

  discard(stageId: string): void {
    const content = this.peek(stageId);
    if (content === null) return;
    this.#stages.delete(stageId);
    discardContent(this.#core, content);
  }

  discardAll(): void {
    for (const stageId of this.#stages.keys()) this.discard(stageId);
  }
}

export function discardContent(core: StoreCore, { source }: StoredContent): void {
  if (source.kind === 'blob') core.parts.ledger.discard(source.blobId);
}

/** Writes bytes into a blob of their own. Throws StoreError `no-space` or `io-error`. */
export async function storeBytes(core: StoreCore, pieces: AsyncIterable<Buffer>): Promise<StoredContent> {
  const writer = core.openBlob();
  try {
    for await (const piece of pieces) await writer.append(piece);
    return await finishBlob(core, writer);
  } catch (error) {
    await writer.abandon();
    core.failOn(error);
    throw error;
  }
}

/** Hears, once, where content is; or StoreError `no-space` or `io-error`. */
export interface StoreListener {
  stored(content: StoredContent): void;
  fail(failure: unknown): void;
}

/** The same for what is packed with others: no more than `writeGatherBytes`. */
export function storeSmall(
  core: StoreCore,
  bytes: Buffer,
  contentChecksum: number,
  listener: StoreListener,
): void {
  const content = new SmallContent(core, bytes, contentChecksum, listener);
  core.parts.packed.add(content, content);
}

class SmallContent implements PackedContent, PackListener {
  readonly blobId: BlobId;
  readonly blobOffset = 0;
  readonly pieces: readonly Buffer[];
  readonly lengthBytes: number;
  readonly chunks: readonly number[];
  readonly #core: StoreCore;
  readonly #contentChecksum: number;
  readonly #listener: StoreListener;

  constructor(core: StoreCore, bytes: Buffer, contentChecksum: number, listener: StoreListener) {
    this.blobId = core.parts.ledger.allocate();
    this.pieces = [bytes];
    this.lengthBytes = bytes.length;
    this.chunks = bytes.length <= CHUNK_BYTES ? [contentChecksum] : chunksOf(bytes);
    this.#core = core;
    this.#contentChecksum = contentChecksum;
    this.#listener = listener;
  }

  packed(fragment: Fragment): void {
    const { blobId, lengthBytes } = this;
    const blob = { blobId, lengthBytes, contentChecksum: this.#contentChecksum, fragments: [fragment] };
    this.#listener.stored(register(this.#core, blob));
  }

  fail(failure: unknown): void {
    this.#core.failOn(failure);
    this.#listener.fail(failure);
  }
}

function chunksOf(bytes: Buffer): readonly number[] {
  const checksummer = new ChunkChecksummer();
  checksummer.update(bytes);
  return checksummer.finish().chunks;
}

async function finishBlob(core: StoreCore, writer: SegmentWriter): Promise<StoredContent> {
  return register(core, await writer.finish());
}

function register(core: StoreCore, blob: FinishedBlob): StoredContent {
  core.parts.ledger.register(blob);
  const { blobId, lengthBytes, contentChecksum } = blob;
  return { source: { kind: 'blob', blobId, blobOffset: 0 }, lengthBytes, contentChecksum };
}

class DiskStageWriter implements StageWriter {
  readonly #core: StoreCore;
  readonly #stageId: string;
  /** Called once: with the content, or with null when there will be none. */
  readonly #settle: (content: StoredContent | null) => void;
  readonly #small: Buffer[] = [];
  #smallBytes = 0;
  #writer: SegmentWriter | null = null;
  #isSettled = false;

  constructor(core: StoreCore, stageId: string, settle: (content: StoredContent | null) => void) {
    this.#core = core;
    this.#stageId = stageId;
    this.#settle = settle;
  }

  write(piece: Buffer): Promise<void> | undefined {
    this.#assertOpen();
    const { limits, freeSpace } = this.#core.parts;
    if (!freeSpace.hasRoomFor(piece.length))
      return this.#giveUp(new StoreError('no-space', 'the disk is nearly full'));
    freeSpace.admit(piece.length);
    if (this.#writer === null) {
      this.#small.push(Buffer.from(piece));
      this.#smallBytes += piece.length;
      if (this.#smallBytes <= limits.inlineBytesMax) return undefined;
      this.#writer = this.#core.openBlob();
      return this.#guard(this.#appendAll(this.#writer, this.#small.splice(0)));
    }
    const busy = this.#append(this.#writer, piece);
    return busy === undefined ? undefined : this.#guard(busy);
  }

  #append(writer: SegmentWriter, piece: Buffer): Promise<void> | undefined {
    try {
      return writer.append(piece);
    } catch (error) {
      return this.#giveUp(error);
    }
  }

  async #appendAll(writer: SegmentWriter, pieces: readonly Buffer[]): Promise<void> {
    for (const piece of pieces) await writer.append(piece);
  }

  async finish(): Promise<StagedBlob> {
    this.#assertOpen();
    const content =
      this.#writer === null ? this.#finishSmall() : await this.#guard(finishBlob(this.#core, this.#writer));
    this.#isSettled = true;
    this.#settle(content);
    return {
      stageId: this.#stageId,
      lengthBytes: content.lengthBytes,
      contentChecksum: content.contentChecksum,
    };
  }

  #finishSmall(): StoredContent {
    const bytes = Buffer.concat(this.#small);
    return { source: { kind: 'inline', bytes }, lengthBytes: bytes.length, contentChecksum: crc32c(bytes) };
  }

  async abort(): Promise<void> {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#settle(null);
    this.#small.length = 0;
    if (this.#writer !== null) await this.#writer.abandon();
  }

  #assertOpen(): void {
    this.#core.assertUsable();
    if (this.#isSettled) throw new StoreError('closed', 'the stage is finished or aborted');
  }

  async #guard<T>(step: Promise<T>): Promise<T> {
    try {
      return await step;
    } catch (error) {
      return this.#giveUp(error);
    }
  }

  async #giveUp(error: unknown): Promise<never> {
    this.#core.failOn(error);
    await this.abort();
    throw error;
  }
}
