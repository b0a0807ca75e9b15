import type { MirrorId } from '../protocol/authority-state.js';
import type { ObjectId } from '../protocol/object-id.js';
import type { Tag } from '../protocol/tag.js';
import type { WriteKind, WriteMode } from '../protocol/write.js';
import type { TransactionContent } from '../wire/osd-connection.js';

/** A write as the gateway has decided it, before it gets its tag. Offsets and lengths are bytes. */
export interface WriteDraft {
  readonly objectId: ObjectId;
  readonly kind: WriteKind;
  readonly mode: WriteMode;
  readonly previousTag: Tag | null;
  readonly offset: number;
  readonly length: number;
  readonly attributes: string | null;
  readonly contentChecksum: number;
  /** The content as it travels to that mirror; null when that mirror was never given it. */
  readonly contentFor: (mirror: MirrorId) => TransactionContent | null;
  /** The code of what kept the content from that mirror; absent or null: it was not in sync when the upload began. */
  readonly whyMissing?: (mirror: MirrorId) => string | null;
}
