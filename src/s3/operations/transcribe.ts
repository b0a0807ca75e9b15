/**
 * Copies of content that can not share the stored bytes of their source, since one of them is encrypted and the other is not, or with another data key: the
 * bytes go through the gateway.
 */
import { createHash } from 'node:crypto';
import type { StagedContent } from '../../gateway/object-storage.js';
import type { Extent } from '../../protocol/extent.js';
import type { ObjectId } from '../../protocol/object-id.js';
import { openSink } from '../encryption/sealed-sink.js';
import type { Seal } from '../encryption/seals.js';
import { S3Error } from '../errors.js';
import type { ObjectContext } from './context.js';
import type { CopySource } from './copy-source.js';
import { readContent } from './read-content.js';

interface Transcript {
  /** The caller's, who names or discards it. */
  readonly content: StagedContent;
  /** Of the plain bytes. */
  readonly md5: Buffer;
}

/** Throws S3Error InvalidRequest for what is too large (UserGuide "Copying objects": 5 GB); ObjectStorageError. */
export function checkCopySize(sizeBytes: number, bytesMax: number): void {
  if (sizeBytes <= bytesMax) return;
  throw new S3Error('InvalidRequest', {
    message: `The specified copy source is larger than the maximum allowable size for a copy source: ${bytesMax}`,
  });
}

interface CopyTarget {
  readonly target: ObjectId;
  /** That of the copy; null: it is not encrypted. */
  readonly seal: Seal | null;
}

export async function transcribe(
  context: ObjectContext,
  source: CopySource,
  extent: Extent,
  { target, seal }: CopyTarget,
): Promise<Transcript> {
  const { services } = context;
  checkCopySize(extent.length, services.limits.singlePutBytesMax);
  const md5 = createHash('md5');
  const sink = openSink(services.storage, { target, sizeBytes: extent.length, seal });
  try {
    for await (const piece of await readContent(services, source, extent)) {
      md5.update(piece);
      await sink.write(piece);
    }
    return { content: await sink.finish(), md5: md5.digest() };
  } catch (error) {
    sink.abort();
    throw error;
  }
}
