/**
 * The additional checksums of S3 (UserGuide "Checking object integrity"): values are base64 of the big-endian digest, and
 * cover the whole object (`FULL_OBJECT`).
 */
import { crc32, crc32c } from '@node-rs/crc32';
import type { IHasher } from 'hash-wasm';
import { RunningHash } from './running-hash.js';

export const CHECKSUM_ALGORITHMS = ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const;
export type ChecksumAlgorithm = (typeof CHECKSUM_ALGORITHMS)[number];

/** A checksum with its value in base64. */
export interface ChecksumValue {
  readonly algorithm: ChecksumAlgorithm;
  readonly base64: string;
}

/** A running checksum. */
export interface Checksum {
  update(piece: Buffer): void;
  /** Once, at the end. */
  digestBase64(): string;
}

interface ChecksumKind {
  /** Lower case; the name of a request header, a trailer and a response header. */
  readonly header: string;
  readonly digestBytes: number;
  /** Of no bytes at all. */
  readonly emptyBase64: string;
  readonly open: () => Checksum | Promise<Checksum>;
}

type Crc = (piece: Buffer, state?: number) => number;

function openCrc(crc: Crc): Checksum {
  let state = 0;
  return {
    update(piece) {
      state = crc(piece, state);
    },
    digestBase64() {
      const digest = Buffer.alloc(4);
      digest.writeUInt32BE(state >>> 0);
      return digest.toString('base64');
    },
  };
}

function openHash(name: 'sha1' | 'sha256'): Checksum {
  const hash = new RunningHash(name);
  return {
    update(piece) {
      hash.update(piece);
    },
    digestBase64: () => hash.digest().toString('base64'),
  };
}

/** The reflected polynomial of CRC-64/NVME. */
const CRC64NVME_POLYNOMIAL = '9a6c9329ac4bc9b5';
const IDLE_HASHERS_MAX = 64;
/** A hasher is a WebAssembly instance, too dear to make one for each request. */
const idleHashers: IHasher[] = [];

async function createHasher(): Promise<IHasher> {
  // Loaded by the first who needs it.
  const { createCRC64 } = await import('hash-wasm');
  return createCRC64(CRC64NVME_POLYNOMIAL);
}

async function openCrc64(): Promise<Checksum> {
  const hasher = idleHashers.pop() ?? (await createHasher());
  hasher.init();
  return {
    update(piece) {
      hasher.update(piece);
    },
    digestBase64() {
      const text = Buffer.from(hasher.digest('binary')).toString('base64');
      if (idleHashers.length < IDLE_HASHERS_MAX) idleHashers.push(hasher);
      return text;
    },
  };
}

export const CHECKSUMS: Record<ChecksumAlgorithm, ChecksumKind> = {
  CRC32: {
    header: 'x-amz-checksum-crc32',
    digestBytes: 4,
    emptyBase64: 'AAAAAA==',
    open: () => openCrc(crc32),
  },
  CRC32C: {
    header: 'x-amz-checksum-crc32c',
    digestBytes: 4,
    emptyBase64: 'AAAAAA==',
    open: () => openCrc(crc32c),
  },
  CRC64NVME: {
    header: 'x-amz-checksum-crc64nvme',
    digestBytes: 8,
    emptyBase64: 'AAAAAAAAAAA=',
    open: openCrc64,
  },
  SHA1: {
    header: 'x-amz-checksum-sha1',
    digestBytes: 20,
    emptyBase64: '2jmj7l5rSw0yVb/vlWAYkK/YBwk=',
    open: () => openHash('sha1'),
  },
  SHA256: {
    header: 'x-amz-checksum-sha256',
    digestBytes: 32,
    emptyBase64: '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=',
    open: () => openHash('sha256'),
  },
};

const BY_HEADER: ReadonlyMap<string, ChecksumAlgorithm> = new Map(
  CHECKSUM_ALGORITHMS.map((algorithm) => [CHECKSUMS[algorithm].header, algorithm]),
);

export function checksumOfHeader(header: string): ChecksumAlgorithm | null {
  return BY_HEADER.get(header) ?? null;
}

export function toChecksumAlgorithm(text: string): ChecksumAlgorithm | null {
  return CHECKSUM_ALGORITHMS.find((algorithm) => algorithm === text.toUpperCase()) ?? null;
}

/** True when the text is the canonical base64 of so many bytes. */
export function isBase64Of(text: string, sizeBytes: number): boolean {
  const bytes = Buffer.from(text, 'base64');
  return bytes.length === sizeBytes && bytes.toString('base64') === text;
}
