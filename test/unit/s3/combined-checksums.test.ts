/** Checksums of an object from those of its parts. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CHECKSUMS, type ChecksumAlgorithm } from '../../../src/s3/payload/checksums.js';
import { combineChecksums } from '../../../src/s3/payload/combined-checksums.js';
import { makeObjectParts, partChecksum, partExtent } from '../../../src/s3/object-parts.js';

async function digest(algorithm: ChecksumAlgorithm, bytes: Uint8Array): Promise<string> {
  const checksum = await CHECKSUMS[algorithm].open();
  checksum.update(Buffer.from(bytes));
  return checksum.digestBase64();
}

describe('combined checksums', () => {
  it.each(['CRC32', 'CRC32C', 'CRC64NVME'] as const)(
    'FULL_OBJECT: the %s of any parts combined is that of their bytes together',
    async (algorithm) => {
      await fc.assert(
        fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 }), async (parts) => {
          const digests = await Promise.all(
            parts.map(async (bytes) => ({ base64: await digest(algorithm, bytes), sizeBytes: bytes.length })),
          );
          const combined = await combineChecksums(algorithm, 'FULL_OBJECT', digests);
          expect(combined.base64).toBe(await digest(algorithm, Buffer.concat(parts)));
        }),
        { numRuns: 40 },
      );
    },
  );
});

describe('the parts of an object', () => {
  it('each has its place and its checksum again', () => {
    const sizes = [10, 10, 10, 7, 10, 1];
    const digests = sizes.map((size, index) => Buffer.alloc(4, index * 16 + size).toString('base64'));
    const parts = makeObjectParts(sizes, digests, 0);
    let offset = 0;
    sizes.forEach((length, index) => {
      expect(partExtent(parts, index + 1)).toEqual({ offset, length });
      expect(partChecksum(parts, index + 1, 4)).toBe(digests[index]);
      offset += length;
    });
    expect(partExtent(parts, sizes.length + 1)).toBeNull();
  });

  it('of ten thousand parts with SHA-256 the sizes are kept and the checksums are not', () => {
    const sizes = Array.from({ length: 10_000 }, () => 5 * 1024 * 1024);
    const parts = makeObjectParts(
      sizes,
      sizes.map(() => Buffer.alloc(32).toString('base64')),
      1000,
    );
    expect(parts.checksums).toBeUndefined();
    expect(partExtent(parts, 10_000)).toEqual({ offset: 9_999 * 5 * 1024 * 1024, length: 5 * 1024 * 1024 });
  });
});
