/**
 * Content of one object on its way from a source to a target, through the driver.
 *
 * The source's store checks every chunk before it is sent; the checksum of what came is told to the target, which checks it
 * again before it lands (F30). Small content is gathered in one buffer, large content streams into a stage of the target
 * with its backpressure and is never held whole.
 */
import type { MirrorId } from '../../protocol/authority-state.js';
import { type Extent, extentBytes } from '../../protocol/extent.js';
import type { ObjectId } from '../../protocol/object-id.js';
import type { Epoch, Tag } from '../../protocol/tag.js';
import { ContentChecksum } from '../../wire/content-checksum.js';
import {
  INLINE_CONTENT_BYTES_MAX,
  type OsdConnection,
  OsdRefusal,
  type RemoteStage,
  type PushContent,
} from '../../wire/osd-connection.js';
import { ReconcileFailure, describePlace } from './reconcile-failure.js';

/** This source can't give these bytes. */
export class SourceUnfit extends Error {
  readonly code = 'source-unfit';
  /** True: it has them, and they are damaged. False: it has another state of the object by now. */
  get isDamaged(): boolean {
    return this.cause !== undefined;
  }

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'SourceUnfit';
  }
}

export interface ContentOrder {
  readonly epoch: Epoch;
  readonly objectId: ObjectId;
  /** The state that the source must have; null: none, and then there is nothing to read. */
  readonly lastTag: Tag | null;
  /** Within the object's size. */
  readonly extents: readonly Extent[];
}

export interface RelayedContent {
  readonly bytes: PushContent;
  readonly contentChecksum: number;
}

/** Where content is read. */
export interface ContentSource {
  readonly mirror: MirrorId;
  readonly osd: OsdConnection;
}

/**
 * Brings content within reach of a push to `target`. Throws SourceUnfit. `goOn`: waited for before each piece of content that
 * streams; what it rejects with ends the relay.
 */
export async function relayContent(
  order: ContentOrder,
  source: ContentSource,
  target: OsdConnection,
  goOn: (bytes: number) => Promise<void> = async () => undefined,
): Promise<RelayedContent> {
  const lengthBytes = extentBytes(order.extents);
  if (lengthBytes === 0) return { bytes: { kind: 'none' }, contentChecksum: 0 };
  const checksum = new ContentChecksum();
  if (lengthBytes <= INLINE_CONTENT_BYTES_MAX) {
    const pieces: Buffer[] = [];
    for await (const { bytes } of sourcePieces(order, source)) {
      checksum.update(bytes);
      pieces.push(bytes);
    }
    return { bytes: { kind: 'bytes', bytes: Buffer.concat(pieces) }, contentChecksum: checksum.value };
  }
  const stage = target.openStage(lengthBytes);
  try {
    for await (const { bytes, giveBack } of sourcePieces(order, source)) {
      checksum.update(bytes);
      await goOn(bytes.length);
      await stage.write(bytes, giveBack);
    }
    return await finishStage(stage, lengthBytes, checksum.value);
  } catch (error) {
    stage.abort();
    throw error;
  }
}

async function finishStage(
  stage: RemoteStage,
  lengthBytes: number,
  checksum: number,
): Promise<RelayedContent> {
  const staged = await stage.finish();
  if (staged.lengthBytes !== lengthBytes || staged.contentChecksum !== checksum) {
    throw new ReconcileFailure('refused', 'staged content differs from what was sent');
  }
  return { bytes: { kind: 'stage', stageId: staged.stageId }, contentChecksum: checksum };
}

interface SourcePiece {
  readonly bytes: Buffer;
  /** Nobody looks at the bytes any more: their memory is used again. */
  readonly giveBack: () => void;
}

/** All extents' bytes in order, exactly as many as the extents say. */
async function* sourcePieces(order: ContentOrder, source: ContentSource): AsyncGenerator<SourcePiece> {
  const place = describePlace(order.objectId, source.mirror);
  for (const extent of order.extents) {
    const range = {
      kind: 'between',
      first: extent.offset,
      last: extent.offset + extent.length - 1,
    } as const;
    let remainingBytes = extent.length;
    try {
      const read = await source.osd.read(order.epoch, order.objectId, range);
      if (read?.state.lastTag !== order.lastTag) throw new SourceUnfit(`${place} has another last tag`);
      const { body } = read;
      for await (const bytes of body) {
        remainingBytes -= bytes.length;
        yield { bytes, giveBack: () => body.giveBack?.(bytes) };
      }
    } catch (error) {
      if (error instanceof OsdRefusal && error.code === 'damaged') {
        throw new SourceUnfit(`${place} is damaged`, { cause: error });
      }
      throw error;
    }
    if (remainingBytes !== 0) throw new SourceUnfit(`${place} is shorter than its size`);
  }
}
