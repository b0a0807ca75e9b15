import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HmacKey } from '../../../src/s3/auth/hmac.js';

describe('HMAC-SHA256 with a key that is kept', () => {
  it('RFC 4231, test case 2', () => {
    expect(new HmacKey(Buffer.from('Jefe')).signHex('what do ya want for nothing?')).toBe(
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    );
  });

  it('is that of node for any key and any texts, long and short, one after the other', () => {
    const latin1 = fc.uint8Array({ maxLength: 1500 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.array(latin1, { maxLength: 4 }), (bytes, texts) => {
        const key = Buffer.from(bytes);
        const kept = new HmacKey(key);
        for (const text of texts) {
          expect(kept.signHex(text)).toBe(createHmac('sha256', key).update(text, 'latin1').digest('hex'));
        }
      }),
    );
  });
});
