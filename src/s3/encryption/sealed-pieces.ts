/**
 * How encrypted content lies in the mirrored store.
 *
 *   content   piece | piece | ...                 one piece for each upload: a PutObject, a part, a copy that was encrypted anew
 *   piece     chunk | chunk | ...                 of CHUNK_BYTES plain bytes each, the last one may be shorter; none for no bytes
 *   chunk     nonce 12 | ciphertext | tag 16      AES-256-GCM under the object's data key (data-key.ts)
 *   nonce     piece id 8, random | index of the chunk in its piece 4, big-endian
 *   additional data   1 byte: the format | 1 byte: 1 for the last chunk of its piece, else 0
 *
 * Guarantees: a byte is handed out only after its chunk was authenticated. Chunks that were left out, repeated, exchanged, cut off or taken from
 * another piece are refused. A range is read from the chunks that it touches and no others. Pieces are composed without being read, for nothing in
 * a piece depends on where in the object it stands.
 *
 * Nonces: all pieces of an object have one data key. Two of them have the same piece id with a chance of one in 2^38 at the 10,000 parts that an upload
 * can have; within a piece the index tells chunks apart.
 *
 * Left out: that the pieces of an object are those, and in the order, that its attributes say, is vouched for by the store, not by a tag.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { ObjectStorageError } from '../../gateway/object-storage.js';
import { extentEnd, type Extent } from '../../protocol/extent.js';
import { invariant, InvariantViolation } from '../../protocol/invariant.js';

export const CHUNK_BYTES = 64 * 1024;
const FORMAT = 1;
const CIPHER = 'aes-256-gcm';
const PIECE_ID_BYTES = 8;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const OVERHEAD_BYTES = NONCE_BYTES + TAG_BYTES;
const SEALED_CHUNK_BYTES = CHUNK_BYTES + OVERHEAD_BYTES;

function damaged(message: string, cause?: unknown): ObjectStorageError {
  return new ObjectStorageError('damaged', message, { cause });
}

function additionalData(isLast: boolean): Buffer {
  return Buffer.from([FORMAT, isLast ? 1 : 0]);
}

/** What a piece of so many plain bytes takes in the store. */
export function sealedSize(plainBytes: number): number {
  return plainBytes + Math.ceil(plainBytes / CHUNK_BYTES) * OVERHEAD_BYTES;
}

/** How many plain bytes a piece has that takes so many in the store. */
export function plainSize(sealedBytes: number): number {
  const chunks = Math.ceil(sealedBytes / SEALED_CHUNK_BYTES);
  const plainBytes = sealedBytes - chunks * OVERHEAD_BYTES;
  invariant(
    sealedSize(Math.max(plainBytes, 0)) === sealedBytes,
    'a sealed piece has a size that sealing makes',
    {
      sealedBytes,
    },
  );
  return plainBytes;
}

/** Seals one piece: what is pushed comes out encrypted, chunk by chunk. */
export class PieceSealer {
  readonly #key: Buffer;
  readonly #pieceId = randomBytes(PIECE_ID_BYTES);
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #index = 0;
  #isOver = false;

  constructor(key: Buffer) {
    this.#key = key;
  }

  /** The sealed bytes that are ready. The last chunk is known to be the last only at the end, so it waits. */
  push(piece: Buffer): Buffer[] {
    invariant(!this.#isOver, 'a sealed piece takes no bytes after its end');
    this.#waiting.push(piece);
    this.#waitingBytes += piece.length;
    if (this.#waitingBytes <= CHUNK_BYTES) return [];
    const all = this.#waiting.length === 1 ? piece : Buffer.concat(this.#waiting);
    const sealed: Buffer[] = [];
    let offset = 0;
    for (; all.length - offset > CHUNK_BYTES; offset += CHUNK_BYTES) {
      sealed.push(this.#seal(all.subarray(offset, offset + CHUNK_BYTES), false));
    }
    this.#waiting = [all.subarray(offset)];
    this.#waitingBytes = all.length - offset;
    return sealed;
  }

  /** The last of the sealed bytes. */
  finish(): Buffer[] {
    invariant(!this.#isOver, 'a sealed piece ends once');
    this.#isOver = true;
    if (this.#waitingBytes === 0) return [];
    return [this.#seal(Buffer.concat(this.#waiting), true)];
  }

  #seal(plain: Buffer, isLast: boolean): Buffer {
    const sealed = Buffer.allocUnsafe(plain.length + OVERHEAD_BYTES);
    this.#pieceId.copy(sealed);
    sealed.writeUInt32BE(this.#index, PIECE_ID_BYTES);
    this.#index += 1;
    const cipher = createCipheriv(CIPHER, this.#key, sealed.subarray(0, NONCE_BYTES), {
      authTagLength: TAG_BYTES,
    });
    cipher.setAAD(additionalData(isLast));
    cipher.update(plain).copy(sealed, NONCE_BYTES);
    cipher.final();
    cipher.getAuthTag().copy(sealed, NONCE_BYTES + plain.length);
    return sealed;
  }
}

/** A chunk that a range touches, in order. */
interface WantedChunk {
  readonly pieceIndex: number;
  readonly index: number;
  readonly isLast: boolean;
  readonly plainBytes: number;
  /** What of its plain bytes the range takes. */
  readonly from: number;
  readonly to: number;
}

export interface UnsealingPlan {
  /** The stored bytes to read. */
  readonly extent: Extent;
  readonly chunks: () => Iterable<WantedChunk>;
}

function* wantedChunks(pieceSizes: readonly number[], wanted: Extent): Generator<WantedChunk> {
  const end = extentEnd(wanted);
  let start = 0;
  for (const [pieceIndex, sizeBytes] of pieceSizes.entries()) {
    const pieceStart = start;
    start += sizeBytes;
    if (start <= wanted.offset) continue;
    const last = Math.ceil(sizeBytes / CHUNK_BYTES) - 1;
    let index = Math.max(0, Math.floor((wanted.offset - pieceStart) / CHUNK_BYTES));
    for (; index <= last; index += 1) {
      const chunkStart = pieceStart + index * CHUNK_BYTES;
      if (chunkStart >= end) return;
      const plainBytes = Math.min(CHUNK_BYTES, start - chunkStart);
      const from = Math.max(0, wanted.offset - chunkStart);
      const to = Math.min(plainBytes, end - chunkStart);
      yield { pieceIndex, index, isLast: index === last, plainBytes, from, to };
    }
  }
}

/** Where the chunk with the plain byte at `offset` lies in the store. */
function sealedChunkAt(pieceSizes: readonly number[], offset: number): Extent {
  let plain = 0;
  let sealed = 0;
  for (const sizeBytes of pieceSizes) {
    const within = offset - plain;
    if (within < sizeBytes) {
      const index = Math.floor(within / CHUNK_BYTES);
      const plainBytes = Math.min(CHUNK_BYTES, sizeBytes - index * CHUNK_BYTES);
      return { offset: sealed + index * SEALED_CHUNK_BYTES, length: plainBytes + OVERHEAD_BYTES };
    }
    plain += sizeBytes;
    sealed += sealedSize(sizeBytes);
  }
  throw new InvariantViolation('a byte that is read lies within the pieces', { offset });
}

/** Which stored bytes hold the plain ones of `wanted`, which lies within the pieces. `pieceSizes` are plain bytes. */
export function planUnsealing(pieceSizes: readonly number[], wanted: Extent): UnsealingPlan {
  if (wanted.length === 0) return { extent: { offset: 0, length: 0 }, chunks: () => [] };
  const { offset } = sealedChunkAt(pieceSizes, wanted.offset);
  const last = sealedChunkAt(pieceSizes, extentEnd(wanted) - 1);
  return {
    extent: { offset, length: extentEnd(last) - offset },
    chunks: () => wantedChunks(pieceSizes, wanted),
  };
}

function openChunk(key: Buffer, sealed: Buffer, { isLast }: WantedChunk): Buffer {
  const tagAt = sealed.length - TAG_BYTES;
  const decipher = createDecipheriv(CIPHER, key, sealed.subarray(0, NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(additionalData(isLast));
  decipher.setAuthTag(sealed.subarray(tagAt));
  const plain = decipher.update(sealed.subarray(NONCE_BYTES, tagAt));
  try {
    decipher.final();
  } catch (error) {
    throw damaged('an encrypted chunk is not what was stored', error);
  }
  return plain;
}

/** Cuts a stream of stored bytes into chunks. */
class ChunkReader {
  readonly #pieces: AsyncIterator<Buffer>;
  #waiting: Buffer = Buffer.alloc(0);

  constructor(pieces: AsyncIterator<Buffer>) {
    this.#pieces = pieces;
  }

  async take(sizeBytes: number): Promise<Buffer> {
    const taken = [this.#waiting];
    let takenBytes = this.#waiting.length;
    while (takenBytes < sizeBytes) {
      const next = await this.#pieces.next();
      if (next.done === true) throw damaged('encrypted content ends early');
      taken.push(next.value);
      takenBytes += next.value.length;
    }
    const all = taken.length === 1 ? this.#waiting : Buffer.concat(taken);
    this.#waiting = all.subarray(sizeBytes);
    return all.subarray(0, sizeBytes);
  }

  /** All of it was taken: the source comes to its own end, and need not be broken off. */
  async end(): Promise<void> {
    const rest = this.#waiting.length > 0 ? null : await this.#pieces.next();
    if (rest?.done !== true) throw damaged('encrypted content is longer than it was stored');
  }

  async letGo(): Promise<void> {
    await this.#pieces.return?.();
  }
}

/**
 * The plain bytes of a plan, from the stored bytes of its extent. Throws ObjectStorageError `damaged`; what was yielded before is right. When it is told to
 * return it lets go of the source.
 */
export async function* unseal(
  key: Buffer,
  plan: UnsealingPlan,
  stored: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer, void, undefined> {
  const reader = new ChunkReader(stored[Symbol.asyncIterator]());
  let pieceIndex = -1;
  let pieceId: Buffer = Buffer.alloc(0);
  let isRead = false;
  try {
    for (const chunk of plan.chunks()) {
      const sealed = await reader.take(chunk.plainBytes + OVERHEAD_BYTES);
      const ownPieceId = sealed.subarray(0, PIECE_ID_BYTES);
      if (chunk.pieceIndex !== pieceIndex) {
        pieceIndex = chunk.pieceIndex;
        pieceId = ownPieceId;
      }
      if (!ownPieceId.equals(pieceId) || sealed.readUInt32BE(PIECE_ID_BYTES) !== chunk.index) {
        throw damaged('an encrypted chunk is not where it was stored');
      }
      const plain = openChunk(key, sealed, chunk);
      yield chunk.from === 0 && chunk.to === plain.length ? plain : plain.subarray(chunk.from, chunk.to);
    }
    await reader.end();
    isRead = true;
  } finally {
    if (!isRead) await reader.letGo();
  }
}
