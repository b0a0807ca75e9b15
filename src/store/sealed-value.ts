/**
 * The frame around every value that the store keeps in LevelDB. LevelDB checks its own blocks only on demand, so that a
 * flipped bit in a table would be handed out as content; and a value that lands under another key would be believed.
 *
 *   version u8 | body | CRC32C u32 of key, version and body          integers are big-endian, u64 below 2^53
 */
import { ByteReader, ByteWriter } from '../protocol/bytes.js';
import { DamagedRecord } from './object-store.js';
import { checksumUpTo } from './short-checksum.js';

const VERSION_BYTES = 1;
const CHECKSUM_BYTES = 4;

function checksumOf(key: Buffer, sealed: Buffer): number {
  return checksumUpTo(sealed, sealed.length - CHECKSUM_BYTES, checksumUpTo(key, key.length));
}

/** Makes the value to store under `key`; `fill` writes exactly `bodyBytes` bytes. */
export function sealValue(
  key: Buffer,
  version: number,
  bodyBytes: number,
  fill: (writer: ByteWriter) => void,
): Buffer {
  const writer = new ByteWriter(VERSION_BYTES + bodyBytes + CHECKSUM_BYTES);
  writer.u8(version);
  fill(writer);
  writer.u32(checksumOf(key, writer.bytes));
  return writer.bytes;
}

/** Checks a stored value and gives its body to `read`. Throws DamagedRecord for anything that does not fit. */
export function openValue<T>(key: Buffer, version: number, sealed: Buffer, read: (body: ByteReader) => T): T {
  const fault = faultOf(key, version, sealed);
  if (fault !== null) throw new DamagedRecord(key, fault);
  try {
    return read(new ByteReader(sealed.subarray(0, sealed.length - CHECKSUM_BYTES), VERSION_BYTES));
  } catch (cause) {
    throw new DamagedRecord(key, "can't be read", { cause });
  }
}

function faultOf(key: Buffer, version: number, sealed: Buffer): string | null {
  if (sealed.length < VERSION_BYTES + CHECKSUM_BYTES) return 'is too short';
  const stated = sealed.readUInt32BE(sealed.length - CHECKSUM_BYTES);
  if (stated !== checksumOf(key, sealed)) return 'fails its checksum';
  return sealed[0] === version ? null : `has version ${sealed[0] ?? 0}, not ${version}`;
}
