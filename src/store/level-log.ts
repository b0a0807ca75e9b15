/**
 * Reads the files that LevelDB writes as logs: its write-ahead logs and its MANIFEST (google/leveldb, doc/log_format.md).
 *
 *   file     blocks of 32 KiB
 *   block    records; what is left at its end, if shorter than a header, is zero
 *   record   masked CRC32C u32 of type and data | length u16 | type u8 | data        integers are little-endian
 *   type     1 whole, 2 first, 3 middle, 4 last piece of a logical record
 */
import { crc32c } from '@node-rs/crc32';

const BLOCK_BYTES = 32 * 1024;
const HEADER_BYTES = 7;
const TYPE_AT = 6;
const MASK_DELTA = 0xa282ead8;
const WHOLE = 1;
const FIRST = 2;
const MIDDLE = 3;
const LAST = 4;

export interface LevelLog {
  readonly records: readonly Buffer[];
  /**
   * Why a piece of the log can't be read, or null. A log that just ends in the middle of a record is sound: that is how
   * the writer's death leaves it.
   */
  readonly damage: string | null;
}

function statedChecksum(block: Buffer, at: number): number {
  const masked = (block.readUInt32LE(at) - MASK_DELTA) >>> 0;
  return ((masked >>> 17) | (masked << 15)) >>> 0;
}

function isChecked(block: Buffer, at: number, end: number): boolean {
  return statedChecksum(block, at) === crc32c(block.subarray(at + TYPE_AT, end));
}

function isZero(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0);
}

/** True when the record is there whole, if only its length were another one: its checksum, which leaves the length out, says so. */
function isWholeByAnotherLength(block: Buffer, at: number): boolean {
  const stated = statedChecksum(block, at);
  let checksum = 0;
  for (let end = at + TYPE_AT; end < block.length; end += 1) {
    checksum = crc32c(block.subarray(end, end + 1), checksum);
    if (checksum === stated) return true;
  }
  return false;
}

/**
 * True when the last record of the file was cut off by the death of its writer: it says that it goes on past the end,
 * and nothing readable comes after it. A flipped bit in a length says the same, and hides that record and those behind it; then the
 * record's own bytes are all there, or readable ones follow.
 */
function isTornTail(block: Buffer, at: number, end: number): boolean {
  if (end <= block.length || block.length === BLOCK_BYTES) return false;
  if (isWholeByAnotherLength(block, at)) return false;
  for (let later = at + 1; later + HEADER_BYTES < block.length; later += 1) {
    const laterEnd = later + HEADER_BYTES + block.readUInt16LE(later + 4);
    const type = block[later + TYPE_AT] ?? 0;
    if (type < WHOLE || type > LAST || laterEnd > block.length) continue;
    if (isChecked(block, later, laterEnd)) return false;
  }
  return true;
}

class LogReader {
  readonly records: Buffer[] = [];
  damage: string | null = null;
  #pieces: Buffer[] | null = null;

  readBlock(block: Buffer, blockAt: number): void {
    let at = 0;
    while (at + HEADER_BYTES <= block.length) {
      const end = at + HEADER_BYTES + block.readUInt16LE(at + 4);
      const isPadding = isZero(block.subarray(at));
      if (isPadding || isTornTail(block, at, end)) return;
      if (end > block.length || !isChecked(block, at, end)) {
        // Where this record ends is not known either, so LevelDB drops the rest of the block too.
        this.#note(`the record at byte ${blockAt + at} fails its checksum`);
        return;
      }
      this.#take(block[at + TYPE_AT] ?? 0, block.subarray(at + HEADER_BYTES, end), blockAt + at);
      at = end;
    }
  }

  #note(damage: string): void {
    this.damage ??= damage;
    this.#pieces = null;
  }

  #take(type: number, data: Buffer, at: number): void {
    const pieces = this.#pieces;
    const continues = type === MIDDLE || type === LAST;
    if (continues !== (pieces !== null)) this.#note(`the record at byte ${at} lacks its other pieces`);
    if (type === WHOLE) this.records.push(data);
    else if (type === FIRST) this.#pieces = [data];
    else if (type === MIDDLE && pieces !== null) pieces.push(data);
    else if (type === LAST && pieces !== null) {
      this.records.push(Buffer.concat([...pieces, data]));
      this.#pieces = null;
    } else if (!continues) this.#note(`the record at byte ${at} has the unknown type ${type}`);
  }
}

export function readLevelLog(file: Buffer): LevelLog {
  const reader = new LogReader();
  for (let at = 0; at < file.length; at += BLOCK_BYTES)
    reader.readBlock(file.subarray(at, at + BLOCK_BYTES), at);
  return { records: reader.records, damage: reader.damage };
}
