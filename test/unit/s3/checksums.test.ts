import { describe, expect, it } from 'vitest';
import { CHECKSUM_ALGORITHMS, CHECKSUMS, isBase64Of } from '../../../src/s3/payload/checksums.js';

/** The check values of the algorithms' catalogue entries, over "123456789". */
const CHECK_VALUES = {
  CRC32: 'cbf43926',
  CRC32C: 'e3069283',
  CRC64NVME: 'ae8b14860a799888',
  SHA1: 'f7c3bc1d808e04732adf679965ccc34ca7ae3441',
  SHA256: '15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225',
} as const;

describe('checksums (UserGuide, Checking object integrity)', () => {
  it.each(CHECKSUM_ALGORITHMS)(
    '%s of the check string is the catalogued value, in one piece and in several',
    async (algorithm) => {
      const expected = Buffer.from(CHECK_VALUES[algorithm], 'hex').toString('base64');
      for (const pieces of [['123456789'], ['1', '23456', '', '789']]) {
        const checksum = await CHECKSUMS[algorithm].open();
        for (const piece of pieces) checksum.update(Buffer.from(piece));
        expect(checksum.digestBase64()).toBe(expected);
      }
      expect(isBase64Of(expected, CHECKSUMS[algorithm].digestBytes)).toBe(true);
    },
  );

  it('concurrent CRC64NVME checksums do not mix', async () => {
    const checksums = await Promise.all([CHECKSUMS.CRC64NVME.open(), CHECKSUMS.CRC64NVME.open()]);
    for (const piece of ['123', '456', '789'])
      for (const checksum of checksums) checksum.update(Buffer.from(piece));
    const [left, right] = checksums.map((checksum) => checksum.digestBase64());
    expect(left).toBe(right);
  });

  it.each(['', 'AAAA', 'AAAAAA', 'AAAAAA=', '!AAAAA==', 'AAAAAB==', 'AAAAAA==\n'])(
    '%j is not the base64 of 4 bytes',
    (text) => {
      expect(isBase64Of(text, 4)).toBe(false);
    },
  );
});
