import { crc32c } from '@node-rs/crc32';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { CHUNK_BYTES, ChunkChecksummer, combineChecksums } from '../../../src/store/chunk-checksums.js';
import { patternBytes } from './store-driver.js';

it('checksums combine to that of the whole', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 300 }), (left, right) => {
      const whole = crc32c(Buffer.concat([left, right]));
      expect(combineChecksums(crc32c(left), crc32c(right), right.length)).toBe(whole);
    }),
  );
});

it('a chunk checksummer sees the same content however it is cut', () => {
  const bytes = patternBytes(3 * CHUNK_BYTES + 77, 1);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: bytes.length }), { maxLength: 8 }), (cuts) => {
      const checksummer = new ChunkChecksummer();
      const bounds = [0, ...cuts.sort((left, right) => left - right), bytes.length];
      bounds.slice(1).forEach((end, index) => checksummer.update(bytes.subarray(bounds[index], end)));
      const { chunks, content } = checksummer.finish();
      expect(content).toBe(crc32c(bytes));
      const at = [0, 1, 2, 3].map((chunk) => bytes.subarray(chunk * CHUNK_BYTES, (chunk + 1) * CHUNK_BYTES));
      expect(chunks).toEqual(at.map((chunk) => crc32c(chunk)));
    }),
    { numRuns: 20 },
  );
});
