/**
 * The checksum of an object from those of its parts (UserGuide "Checking object integrity"): COMPOSITE is the checksum of
 * the parts' raw checksums, with "-<parts>" behind; FULL_OBJECT is that of the whole content, which a CRC yields without a look
 * at the bytes: crc(A B) = crc(A) * x^(8 * length of B) + crc(B) in GF(2)[x] modulo the CRC's polynomial.
 */
import { CHECKSUMS, type ChecksumAlgorithm, type ChecksumValue } from './checksums.js';

export type ChecksumType = 'COMPOSITE' | 'FULL_OBJECT';

export interface PartDigest {
  readonly base64: string;
  readonly sizeBytes: number;
}

interface CrcKind {
  readonly bits: bigint;
  /** Reflected. */
  readonly polynomial: bigint;
}

const CRCS: Partial<Record<ChecksumAlgorithm, CrcKind>> = {
  CRC32: { bits: 32n, polynomial: 0xedb88320n },
  CRC32C: { bits: 32n, polynomial: 0x82f63b78n },
  CRC64NVME: { bits: 64n, polynomial: 0x9a6c9329ac4bc9b5n },
};

/** Base64 has no dash. */
export function checksumTypeOf(checksum: ChecksumValue): ChecksumType {
  return checksum.base64.includes('-') ? 'COMPOSITE' : 'FULL_OBJECT';
}

/** Whether the parts' checksums of this algorithm can be combined into one of that type. */
export function allowsType(algorithm: ChecksumAlgorithm, type: ChecksumType): boolean {
  if (algorithm === 'CRC64NVME') return type === 'FULL_OBJECT';
  return type === 'COMPOSITE' || CRCS[algorithm] !== undefined;
}

/** The type that AWS takes when none is named. */
export function defaultType(algorithm: ChecksumAlgorithm): ChecksumType {
  return algorithm === 'CRC64NVME' ? 'FULL_OBJECT' : 'COMPOSITE';
}

/** The product of two reflected polynomials; the highest bit is x^0. */
function multiply(kind: CrcKind, left: bigint, right: bigint): bigint {
  let product = 0n;
  let factor = right;
  for (let bit = 1n << (kind.bits - 1n); bit > 0n; bit >>= 1n) {
    if ((left & bit) !== 0n) product ^= factor;
    factor = (factor & 1n) === 0n ? factor >> 1n : (factor >> 1n) ^ kind.polynomial;
  }
  return product;
}

/** x to the power of 8 times the size. */
function shiftOf(kind: CrcKind, sizeBytes: number): bigint {
  let power = 1n << (kind.bits - 1n);
  let square = 1n << (kind.bits - 2n);
  for (let exponent = BigInt(sizeBytes) * 8n; exponent > 0n; exponent >>= 1n) {
    if ((exponent & 1n) === 1n) power = multiply(kind, power, square);
    square = multiply(kind, square, square);
  }
  return power;
}

function combineCrcs(kind: CrcKind, parts: readonly PartDigest[]): string {
  const shifts = new Map<number, bigint>();
  let crc = 0n;
  for (const { base64, sizeBytes } of parts) {
    const shift = shifts.get(sizeBytes) ?? shiftOf(kind, sizeBytes);
    shifts.set(sizeBytes, shift);
    crc = multiply(kind, shift, crc) ^ BigInt(`0x${Buffer.from(base64, 'base64').toString('hex')}`);
  }
  const digits = Number(kind.bits) / 4;
  return Buffer.from(crc.toString(16).padStart(digits, '0'), 'hex').toString('base64');
}

async function composite(algorithm: ChecksumAlgorithm, parts: readonly PartDigest[]): Promise<string> {
  const checksum = await CHECKSUMS[algorithm].open();
  checksum.update(Buffer.concat(parts.map(({ base64 }) => Buffer.from(base64, 'base64'))));
  return `${checksum.digestBase64()}-${parts.length}`;
}

/** Throws RangeError for a type that `allowsType` does not allow. */
export async function combineChecksums(
  algorithm: ChecksumAlgorithm,
  type: ChecksumType,
  parts: readonly PartDigest[],
): Promise<ChecksumValue> {
  if (type === 'COMPOSITE') return { algorithm, base64: await composite(algorithm, parts) };
  const kind = CRCS[algorithm];
  if (kind === undefined) throw new RangeError(`${algorithm} can not be combined`);
  return { algorithm, base64: combineCrcs(kind, parts) };
}
