import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  applyRewrite,
  countReferences,
  covers,
  cutMap,
  type ExtentMap,
  inlineBytes,
  mapBytes,
  planRewrite,
  referenceChanges,
  type RewriteLimits,
  sliceMap,
  spliceExtent,
  type StoredExtent,
} from '../../../src/store/extent-map.js';
import { type BlobId, toBlobId } from '../../../src/store/keys.js';
import { patternBytes } from './store-driver.js';

const LIMITS: RewriteLimits = {
  inlineBytesMax: 64,
  extentCountMax: 8,
  smallExtentBytes: 48,
  consolidatedBytesMax: 200,
};

/** Blobs and a plain byte array beside the map. */
class ModelObject {
  map: ExtentMap = [];
  bytes = Buffer.alloc(0);
  readonly blobs = new Map<BlobId, Buffer>();
  copiedBytes = 0;

  addBlob(bytes: Buffer): BlobId {
    const blobId = toBlobId(this.blobs.size + 1);
    this.blobs.set(blobId, bytes);
    return blobId;
  }

  splice(offset: number, bytes: Buffer, isBlob: boolean): void {
    const source = isBlob
      ? ({
          kind: 'blob',
          blobId: this.addBlob(Buffer.concat([Buffer.from('??'), bytes])),
          blobOffset: 2,
        } as const)
      : ({ kind: 'inline', bytes } as const);
    this.map = spliceExtent(this.map, { offset, length: bytes.length, source });
    const grown = Buffer.alloc(Math.max(this.bytes.length, offset + bytes.length));
    this.bytes.copy(grown);
    bytes.copy(grown, offset);
    this.bytes = grown;
  }

  rewrite(limits: RewriteLimits): void {
    const runs = planRewrite(this.map, limits);
    if (runs.length === 0) return;
    const bytes = Buffer.concat(
      runs.flatMap(({ start, end }) => this.map.slice(start, end).map((e) => this.read(e))),
    );
    this.copiedBytes += bytes.length;
    this.map = applyRewrite(this.map, runs, this.addBlob(bytes));
  }

  read({ source, length }: StoredExtent): Buffer {
    if (source.kind === 'inline') return source.bytes;
    if (source.kind === 'lost') throw new Error('nothing is lost here');
    return this.blobs.get(source.blobId)!.subarray(source.blobOffset, source.blobOffset + length);
  }

  content(map: ExtentMap = this.map): Buffer {
    return Buffer.concat(map.map((extent) => this.read(extent)));
  }
}

const step = fc.record({
  kind: fc.constantFrom('splice', 'append', 'cut'),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  length: fc.integer({ min: 0, max: 60 }),
  isBlob: fc.boolean(),
});

describe('an extent map', () => {
  it('is what a byte array is, whatever is written to it', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const model = new ModelObject();
        steps.forEach(({ kind, at, length, isBlob }, index) => {
          const offset = kind === 'append' ? model.bytes.length : Math.round(at * model.bytes.length);
          if (kind === 'cut') {
            model.map = cutMap(model.map, offset);
            model.bytes = model.bytes.subarray(0, offset);
          } else model.splice(offset, patternBytes(length, index), isBlob);
          model.rewrite(LIMITS);
          expect(covers(model.map, model.bytes.length)).toBe(true);
          expect(model.content().equals(model.bytes)).toBe(true);
          expect(inlineBytes(model.map)).toBeLessThanOrEqual(LIMITS.inlineBytesMax);
          const [from, to] = [Math.floor(offset / 2), Math.min(offset, mapBytes(model.map))];
          expect(model.content(sliceMap(model.map, from, to)).equals(model.bytes.subarray(from, to))).toBe(
            true,
          );
        });
      }),
    );
  });

  it('changes of references add up to the counts', () => {
    const blobExtent = fc.record({
      blobId: fc.integer({ min: 1, max: 5 }),
      length: fc.integer({ min: 1, max: 9 }),
    });
    const toMap = (extents: readonly { blobId: number; length: number }[]): ExtentMap => {
      let offset = 0;
      return extents.map(({ blobId, length }) => {
        offset += length;
        return {
          offset: offset - length,
          length,
          source: { kind: 'blob', blobId: toBlobId(blobId), blobOffset: 0 },
        };
      });
    };
    fc.assert(
      fc.property(fc.array(blobExtent), fc.array(blobExtent), (left, right) => {
        const [before, after] = [toMap(left), toMap(right)];
        const counts = countReferences(before);
        for (const { blobId, change } of referenceChanges(before, after)) {
          expect(change).not.toBe(0);
          counts.set(blobId, (counts.get(blobId) ?? 0) + change);
        }
        for (const [blobId, count] of counts) expect(count).toBe(countReferences(after).get(blobId) ?? 0);
      }),
    );
  });

  it('stays small under 10,000 small appends, and each byte is copied a few times', () => {
    const limits: RewriteLimits = {
      ...LIMITS,
      inlineBytesMax: 1_000,
      extentCountMax: 16,
      smallExtentBytes: 4_000,
      consolidatedBytesMax: 32_000,
    };
    const model = new ModelObject();
    const piece = patternBytes(100, 1);
    for (let index = 0; index < 10_000; index += 1) {
      const offset = mapBytes(model.map);
      model.map = spliceExtent(model.map, { offset, length: 100, source: { kind: 'inline', bytes: piece } });
      model.rewrite(limits);
    }
    expect(mapBytes(model.map)).toBe(1_000_000);
    expect(model.map.length).toBeLessThan(1_000_000 / limits.smallExtentBytes);
    expect(model.copiedBytes).toBeLessThan(4 * 1_000_000);
  });
});
