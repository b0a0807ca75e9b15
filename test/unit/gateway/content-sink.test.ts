/** Uploads on their way to mirrors in sync, and to those that are being rebuilt. */
import { crc32c } from '@node-rs/crc32';
import { describe, expect, it } from 'vitest';
import { makeFreeBytes } from '../../../src/cli/engine.js';
import { MirroredContentSink, ReadyContent } from '../../../src/gateway/content-sink.js';
import { toMirrorId } from '../../../src/protocol/authority-state.js';
import type { OsdConnection, RemoteStage } from '../../../src/wire/osd-connection.js';
import { silentLogger } from '../osd/osd-harness.js';
import { patternBytes } from '../osd/osd-writer.js';

const A = toMirrorId('osd-a');
const B = toMirrorId('osd-b');
const MEBIBYTE = 1024 * 1024;
/** As much as comes from a socket at once. */
const PIECE_BYTES = 64 * 1024;

/** An OSD that takes stages, in the way that a test says. */
class StageTaker {
  readonly mirror;
  readonly taken: Buffer[] = [];
  readonly discarded: string[] = [];
  isAborted = false;
  /** Waited for by each piece, and by the end. */
  onWrite = async (): Promise<void> => undefined;
  onFinish = async (): Promise<void> => undefined;

  constructor(mirror: typeof A) {
    this.mirror = mirror;
  }

  get target() {
    const stage: RemoteStage = {
      write: async (piece, onTaken) => {
        try {
          await this.onWrite();
          this.taken.push(Buffer.from(piece));
        } finally {
          onTaken?.();
        }
      },
      finish: async () => {
        await this.onFinish();
        const bytes = Buffer.concat(this.taken);
        return { stageId: `of ${this.mirror}`, lengthBytes: bytes.length, contentChecksum: crc32c(bytes) };
      },
      abort: () => {
        this.isAborted = true;
      },
    };
    const connection = {
      openStage: () => stage,
      discardStage: async (stageId: string) => void this.discarded.push(stageId),
    } as unknown as OsdConnection;
    return { mirror: this.mirror, connection };
  }
}

/** As in a gateway: nothing is left of a piece then, not even its length. */
const freeBytes = makeFreeBytes();

const never = (): Promise<void> => new Promise(() => undefined);

async function upload(inSync: StageTaker, rebuilding: StageTaker, bytes: Buffer): Promise<ReadyContent> {
  const targets = { inSync: [inSync.target], rebuilding: [rebuilding.target] };
  const sink = new MirroredContentSink(async () => targets, bytes.length, silentLogger());
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    const piece = Buffer.from(bytes.subarray(at, at + PIECE_BYTES));
    await sink.write(piece, () => {
      freeBytes(piece);
    });
  }
  const content = await sink.finish();
  if (!(content instanceof ReadyContent)) throw new Error('it is of another kind');
  return content;
}

describe('an upload while a mirror is being rebuilt', () => {
  const bytes = patternBytes(3 * MEBIBYTE, 1);

  it('goes to that mirror, too', async () => {
    const [a, b] = [new StageTaker(A), new StageTaker(B)];
    const content = await upload(a, b, bytes);
    for (const taker of [a, b]) {
      expect(content.contentFor(taker.mirror)).toEqual({ kind: 'stage', stageId: `of ${taker.mirror}` });
      expect(Buffer.concat(taker.taken).equals(bytes)).toBe(true);
    }
  });

  it('waits for nobody who takes nothing, and holds no more than a few pieces for him', async () => {
    const [a, b] = [new StageTaker(A), new StageTaker(B)];
    b.onWrite = never;
    const content = await upload(a, b, patternBytes(20 * MEBIBYTE, 2));
    expect(content.contentFor(A)).not.toBeNull();
    expect(content.contentFor(B)).toBeNull();
    expect(b.isAborted).toBe(true);
  });

  it('waits for nobody who takes nothing of a client’s single bytes, either, and holds few of them', async () => {
    const [a, b] = [new StageTaker(A), new StageTaker(B)];
    b.onWrite = never;
    const targets = { inSync: [a.target], rebuilding: [b.target] };
    const sink = new MirroredContentSink(async () => targets, MEBIBYTE, silentLogger());
    for (let count = 0; count < 1000; count += 1) await sink.write(Buffer.from('x'));
    expect(b.isAborted).toBe(true);
    sink.abort();
  });

  it('goes on without one that takes it too late, which keeps nothing of it', async () => {
    const [a, b] = [new StageTaker(A), new StageTaker(B)];
    let finish = (): void => undefined;
    b.onFinish = () =>
      new Promise((resolve) => {
        finish = resolve;
      });
    const content = await upload(a, b, bytes);
    expect(content.contentFor(B)).toBeNull();
    finish();
    await expect.poll(() => b.discarded).toEqual(['of osd-b']);
    expect(content.contentFor(A)).not.toBeNull();
  });

  it('goes on without one that fails', async () => {
    for (const broken of ['onWrite', 'onFinish'] as const) {
      const [a, b] = [new StageTaker(A), new StageTaker(B)];
      b[broken] = async () => Promise.reject(new Error('the line is dead'));
      const content = await upload(a, b, bytes);
      expect(content.contentFor(A)).not.toBeNull();
      expect(content.contentFor(B)).toBeNull();
    }
  });

  it('is lost when no mirror in sync takes it, whoever else does', async () => {
    const [a, b] = [new StageTaker(A), new StageTaker(B)];
    a.onWrite = async () => Promise.reject(new Error('the line is dead'));
    await expect(upload(a, b, bytes)).rejects.toMatchObject({ kind: 'unavailable' });
  });
});

describe('the pieces of an upload', () => {
  /** Lets each write of a taker go on when it is told to. */
  function hold(taker: StageTaker): { release: () => void; fail: () => void } {
    let settle: { resolve: () => void; reject: (error: Error) => void } | null = null;
    taker.onWrite = () =>
      new Promise((resolve, reject) => {
        settle = { resolve, reject };
      });
    return {
      release: () => settle?.resolve(),
      fail: () => settle?.reject(new Error('the line is dead')),
    };
  }

  it.each(['release', 'fail'] as const)(
    'are their owner’s again when every mirror is through with them, the slowest one too (%s)',
    async (ending) => {
      const [a, b, c] = [new StageTaker(A), new StageTaker(B), new StageTaker(toMirrorId('osd-c'))];
      const [first, second, rebuilding] = [hold(a), hold(b), hold(c)];
      const targets = { inSync: [a.target, b.target], rebuilding: [c.target] };
      const sink = new MirroredContentSink(async () => targets, MEBIBYTE, silentLogger());
      let takenCount = 0;
      const writing = sink.write(Buffer.alloc(PIECE_BYTES), () => {
        takenCount += 1;
      });
      for (const { release } of [first, rebuilding]) {
        await new Promise(setImmediate);
        release();
        await new Promise(setImmediate);
        expect(takenCount).toBe(0);
      }
      second[ending]();
      await writing;
      expect(takenCount).toBe(1);
    },
  );

  it.each([1000, null])('are put together when many wait in memory (length said: %s)', async (sizeBytes) => {
    const targets = { inSync: [new StageTaker(A).target], rebuilding: [] };
    const sink = new MirroredContentSink(async () => targets, sizeBytes, silentLogger());
    const bytes = patternBytes(1000, 3);
    let takenCount = 0;
    for (const byte of bytes) {
      const piece = Buffer.from(Uint8Array.of(byte).buffer);
      await sink.write(piece, () => {
        takenCount += 1;
        freeBytes(piece);
      });
    }
    expect(takenCount).toBeGreaterThan(900);
    const content = await sink.finish();
    expect(content).toMatchObject({ sizeBytes: 1000, checksum: crc32c(bytes) });
    expect(content instanceof ReadyContent && content.contentFor(A)).toEqual({ kind: 'bytes', bytes });
  });

  it('are let go of by a mirror that is being rebuilt and takes nothing', async () => {
    const [a, b] = [new StageTaker(A), new StageTaker(B)];
    const { fail } = hold(b);
    const targets = { inSync: [a.target], rebuilding: [b.target] };
    const sink = new MirroredContentSink(async () => targets, 20 * MEBIBYTE, silentLogger());
    let takenCount = 0;
    const count = (20 * MEBIBYTE) / PIECE_BYTES;
    for (let index = 0; index < count; index += 1) {
      await sink.write(Buffer.alloc(PIECE_BYTES), () => {
        takenCount += 1;
      });
    }
    await sink.finish();
    expect(b.isAborted).toBe(true);
    // The stage itself has one, and what waits behind it is let go of when that one is.
    expect(takenCount).toBeGreaterThan(count - MEBIBYTE / PIECE_BYTES);
    fail();
    await expect.poll(() => takenCount).toBe(count);
  });
});
