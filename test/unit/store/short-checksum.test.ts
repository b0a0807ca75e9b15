import { crc32c } from '@node-rs/crc32';
import { describe, expect, it } from 'vitest';
import { checksumUpTo } from '../../../src/store/short-checksum.js';
import { patternBytes } from './store-driver.js';

describe('the checksum of few bytes', () => {
  it('is that of the native function, for any length, alone and behind others', () => {
    const bytes = patternBytes(400, 7);
    const before = crc32c('what comes before');
    for (let end = 0; end <= bytes.length; end += 1) {
      expect(checksumUpTo(bytes, end)).toBe(crc32c(bytes.subarray(0, end)));
      expect(checksumUpTo(bytes, end, before)).toBe(crc32c(bytes.subarray(0, end), before));
    }
  });
});
