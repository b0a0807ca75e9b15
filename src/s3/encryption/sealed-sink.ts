/** A content sink that encrypts what it is given, as one piece. */
import type { ContentSink, ObjectStorage, StagedContent } from '../../gateway/object-storage.js';
import type { ObjectId } from '../../protocol/object-id.js';
import { PieceSealer, sealedSize } from './sealed-pieces.js';
import type { Seal } from './seals.js';

class SealedSink implements ContentSink {
  readonly #sink: ContentSink;
  readonly #sealer: PieceSealer;

  constructor(sink: ContentSink, seal: Seal) {
    this.#sink = sink;
    this.#sealer = new PieceSealer(seal.dataKey.contentKey);
  }

  async write(piece: Buffer): Promise<void> {
    for (const sealed of this.#sealer.push(piece)) await this.#sink.write(sealed);
  }

  async finish(): Promise<StagedContent> {
    for (const sealed of this.#sealer.finish()) await this.#sink.write(sealed);
    return this.#sink.finish();
  }

  abort(): void {
    this.#sink.abort();
  }
}

interface SinkWish {
  /** The object that the content is for. */
  readonly target: ObjectId;
  /** Of plain bytes; null: not known. */
  readonly sizeBytes: number | null;
  /** Null: it is not encrypted. */
  readonly seal: Seal | null;
}

export function openSink(storage: ObjectStorage, { target, sizeBytes, seal }: SinkWish): ContentSink {
  if (seal === null) return storage.openContent(target, sizeBytes);
  return new SealedSink(storage.openContent(target, sizeBytes === null ? null : sealedSize(sizeBytes)), seal);
}

/** What so many plain bytes take in the store, as one piece. */
export function storedSize(sizeBytes: number, seal: Seal | null): number {
  return seal === null ? sizeBytes : sealedSize(sizeBytes);
}
