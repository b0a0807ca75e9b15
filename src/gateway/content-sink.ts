/**
 * Content on its way to the mirrors, ahead of the write that will name it.
 *
 * Up to INLINE_CONTENT_BYTES_MAX it waits in memory and later travels inside the transaction; from there on it streams into
 * a stage on every mirror in sync, at the pace of the slowest. A mirror whose stage fails is dropped from the upload
 * (and left out of the set when the write is committed without it); the upload goes on while one is left. A mirror that is being
 * rebuilt is given it as well, as far as it keeps up (lagging-stage.ts).
 */
import { crc32c } from '@node-rs/crc32';
import type { MirrorId } from '../protocol/authority-state.js';
import { composedBytes, type ComposeSource, composeText } from '../protocol/compose.js';
import { invariant } from '../protocol/invariant.js';
import { sharedUse } from '../protocol/shared-use.js';
import type { Soon } from '../protocol/soon.js';
import {
  INLINE_CONTENT_BYTES_MAX,
  type OsdConnection,
  OsdRefusal,
  type RemoteStage,
  type TransactionContent,
} from '../wire/osd-connection.js';
import { LaggingStage } from './lagging-stage.js';
import type { Logger } from './logger.js';
import { type ContentSink, ObjectStorageError, type StagedContent } from './object-storage.js';

export interface ContentTarget {
  readonly mirror: MirrorId;
  readonly connection: OsdConnection;
}

/** Where an upload goes. */
export interface ContentTargets {
  readonly inSync: readonly ContentTarget[];
  /** Those that take the writes of this epoch without being waited for. */
  readonly rebuilding: readonly ContentTarget[];
}

interface LaggingTarget extends ContentTarget {
  readonly lagging: LaggingStage;
}

interface OpenStage extends ContentTarget {
  readonly stage: RemoteStage;
}

interface FinishedStage extends ContentTarget {
  readonly stageId: string;
}

/** Pieces of small content in memory; more are put together. Each takes a kilobyte beside its bytes, which a client may send one by one. */
const HELD_PIECES_MAX = 64;

interface HeldPiece {
  readonly bytes: Buffer;
  readonly onTaken: (() => void) | undefined;
}

const NOBODY: ReadonlySet<MirrorId> = new Set();

/** Content that is ready for one write. */
export class ReadyContent implements StagedContent {
  readonly sizeBytes: number;
  /** CRC32C of all of it. */
  readonly checksum: number;
  /** All of it, when it travels inside the transaction: the same to every mirror. */
  readonly #inline: TransactionContent | null;
  readonly #stages: readonly FinishedStage[];
  readonly #outOfSpace: ReadonlySet<MirrorId>;
  /** What it is made of, when it is made of stored objects; null otherwise. */
  readonly sources: readonly ComposeSource[] | null;
  #isUsed = false;

  constructor(fields: {
    readonly sizeBytes: number;
    readonly checksum: number;
    readonly bytes: Buffer | null;
    readonly stages: readonly FinishedStage[];
    /** Mirrors whose disk was full. */
    readonly outOfSpace?: ReadonlySet<MirrorId>;
    readonly sources?: readonly ComposeSource[];
  }) {
    this.sizeBytes = fields.sizeBytes;
    this.checksum = fields.checksum;
    this.#inline = fields.bytes === null ? null : { kind: 'bytes', bytes: fields.bytes };
    this.#stages = fields.stages;
    this.#outOfSpace = fields.outOfSpace ?? NOBODY;
    this.sources = fields.sources ?? null;
  }

  /** How it travels to a mirror; null when that mirror was never given it. */
  contentFor(mirror: MirrorId): TransactionContent | null {
    this.#isUsed = true;
    if (this.sources !== null) return { kind: 'compose', sources: this.sources };
    if (this.#inline !== null) return this.#inline;
    const stage = this.#stages.find((candidate) => candidate.mirror === mirror);
    return stage === undefined ? null : { kind: 'stage', stageId: stage.stageId };
  }

  /** The code of what kept it from a mirror, where that is known. */
  whyMissing(mirror: MirrorId): string | null {
    return this.#outOfSpace.has(mirror) ? 'no-space' : null;
  }

  discard(): void {
    if (this.#isUsed) return;
    this.#isUsed = true;
    // An OSD that does not hear this lets go of the stage by itself after a while.
    for (const { connection, stageId } of this.#stages)
      connection.discardStage(stageId).catch(() => undefined);
  }
}

/** Content that moves no bytes. */
export function composedContent(sources: readonly ComposeSource[]): ReadyContent {
  const checksum = crc32c(composeText(sources));
  return new ReadyContent({ sizeBytes: composedBytes(sources), checksum, bytes: null, stages: [], sources });
}

export class MirroredContentSink implements ContentSink {
  readonly #targets: () => Promise<ContentTargets>;
  readonly #expectedBytes: number | null;
  readonly #logger: Logger;
  #pieces: HeldPiece[] = [];
  #stages: OpenStage[] | null = null;
  #lagging: readonly LaggingTarget[] = [];
  /** Null: nobody. */
  #outOfSpace: Set<MirrorId> | null = null;
  #targetCount = 0;
  #sizeBytes = 0;
  #checksum = 0;
  #isOver = false;

  /**
   * `targets` is asked once, when the first bytes go out. `expectedBytes`: null when nobody knows yet how much will be written.
   */
  constructor(targets: () => Promise<ContentTargets>, expectedBytes: number | null, logger: Logger) {
    this.#targets = targets;
    this.#expectedBytes = expectedBytes;
    this.#logger = logger;
  }

  write(bytes: Buffer, onTaken?: () => void): Promise<void> | undefined {
    invariant(!this.#isOver, 'a content sink takes no pieces after its end');
    this.#sizeBytes += bytes.length;
    invariant(
      this.#expectedBytes === null || this.#sizeBytes <= this.#expectedBytes,
      'content is no longer than was said',
    );
    this.#checksum = crc32c(bytes, this.#checksum);
    const piece = { bytes, onTaken };
    if (this.#stages !== null) return this.#writeToStages(piece);
    this.#hold(piece);
    // What is known to be too large for that need not wait in memory until it is.
    const sizeBytes = this.#expectedBytes ?? this.#sizeBytes;
    return sizeBytes > INLINE_CONTENT_BYTES_MAX ? this.#goStreaming() : undefined;
  }

  #hold(piece: HeldPiece): void {
    this.#pieces.push(piece);
    if (this.#pieces.length < HELD_PIECES_MAX) return;
    const bytes = Buffer.concat(this.#pieces.map((held) => held.bytes));
    for (const { onTaken } of this.#pieces) onTaken?.();
    this.#pieces = [{ bytes, onTaken: undefined }];
  }

  finish(): Soon<StagedContent> {
    invariant(!this.#isOver, 'a content sink is finished once');
    this.#isOver = true;
    invariant(
      this.#expectedBytes === null || this.#sizeBytes === this.#expectedBytes,
      'content is as long as was said',
    );
    return this.#stages === null ? this.#finishInMemory() : this.#finishStages(this.#stages);
  }

  #finishInMemory(): ReadyContent {
    const [only] = this.#pieces;
    const isOne = only !== undefined && this.#pieces.length === 1;
    const bytes = isOne ? only.bytes : Buffer.concat(this.#pieces.map((piece) => piece.bytes));
    this.#pieces = [];
    return new ReadyContent({ sizeBytes: this.#sizeBytes, checksum: this.#checksum, bytes, stages: [] });
  }

  async #finishStages(open: readonly OpenStage[]): Promise<ReadyContent> {
    const finishing = Promise.all(open.map((one) => this.#finishStage(one)));
    const lagging = this.#lagging.map((target) => this.#finishLagging(target, finishing));
    const stages = (await finishing).filter((stage) => stage !== null);
    if (stages.length === 0) {
      for (const target of this.#lagging) target.lagging.abort();
      throw this.#lost();
    }
    for (const stage of await Promise.all(lagging)) if (stage !== null) stages.push(stage);
    return new ReadyContent({
      sizeBytes: this.#sizeBytes,
      checksum: this.#checksum,
      bytes: null,
      stages,
      outOfSpace: this.#outOfSpace ?? NOBODY,
    });
  }

  abort(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#pieces = [];
    for (const { stage } of this.#stages ?? []) stage.abort();
    for (const { lagging } of this.#lagging) lagging.abort();
  }

  async #goStreaming(): Promise<void> {
    const targets = await this.#targets();
    if (this.#isOver) return;
    const { inSync, rebuilding } = targets;
    this.#targetCount = inSync.length;
    const expectedBytes = this.#expectedBytes;
    this.#stages = inSync.map((target) => ({ ...target, stage: target.connection.openStage(expectedBytes) }));
    this.#lagging = rebuilding.map((target) => ({
      ...target,
      lagging: new LaggingStage(target.connection, expectedBytes),
    }));
    const pieces = this.#pieces;
    this.#pieces = [];
    for (const piece of pieces) await this.#writeToStages(piece);
  }

  async #writeToStages({ bytes, onTaken }: HeldPiece): Promise<void> {
    const stages = this.#stages ?? [];
    const [first, second] = stages;
    if (first === undefined) throw this.#lost();
    const onUnused = onTaken && sharedUse(stages.length + this.#lagging.length, onTaken);
    const piece = { bytes, onTaken: onUnused };
    for (const { lagging } of this.#lagging) lagging.write(bytes, onUnused);
    if (second === undefined) {
      await this.#writeToStage(first, piece);
    } else {
      await Promise.all(stages.map((open) => this.#writeToStage(open, piece)));
    }
    if (this.#stages?.length === 0) throw this.#lost();
  }

  async #writeToStage(open: OpenStage, { bytes, onTaken }: HeldPiece): Promise<void> {
    try {
      await open.stage.write(bytes, onTaken);
    } catch (error) {
      this.#drop(open, error);
    }
  }

  async #finishStage(open: OpenStage): Promise<FinishedStage | null> {
    try {
      const { stageId, lengthBytes, contentChecksum } = await open.stage.finish();
      if (lengthBytes === this.#sizeBytes && contentChecksum === this.#checksum) {
        return { mirror: open.mirror, connection: open.connection, stageId };
      }
      this.#drop(open, new Error('the mirror received other bytes than were sent'));
      open.connection.discardStage(stageId).catch(() => undefined);
    } catch (error) {
      this.#drop(open, error);
    }
    return null;
  }

  /** What a mirror that is being rebuilt was given; null: it goes without. */
  async #finishLagging(
    { mirror, connection, lagging }: LaggingTarget,
    others: Promise<unknown>,
  ): Promise<FinishedStage | null> {
    const staged = await lagging.finish(others);
    if (staged === null) return null;
    const { stageId, lengthBytes, contentChecksum } = staged;
    if (lengthBytes === this.#sizeBytes && contentChecksum === this.#checksum)
      return { mirror, connection, stageId };
    connection.discardStage(stageId).catch(() => undefined);
    return null;
  }

  #drop(open: OpenStage, error: unknown): void {
    this.#logger.warn({ mirror: open.mirror, err: error }, 'a mirror lost an upload; it goes on without it');
    this.#stages = (this.#stages ?? []).filter((candidate) => candidate !== open);
    if (error instanceof OsdRefusal && error.code === 'no-space')
      this.#outOfSpace = (this.#outOfSpace ?? new Set()).add(open.mirror);
    open.stage.abort();
  }

  #lost(): ObjectStorageError {
    if (this.#targetCount > 0 && this.#outOfSpace?.size === this.#targetCount) {
      return new ObjectStorageError('no-space', 'no mirror has room for it');
    }
    return new ObjectStorageError('unavailable', 'no mirror could take the content');
  }
}
