/** A write draft on its way to another process: what it has to say to each mirror is said beforehand. */
import type { MirrorId } from '../../protocol/authority-state.js';
import type { TransactionContent } from '../../wire/osd-connection.js';
import type { WriteDraft } from '../../writer/write-draft.js';

interface MirrorContent {
  readonly mirror: MirrorId;
  readonly content: TransactionContent | null;
  readonly whyMissing: string | null;
}

export interface DraftMessage {
  readonly draft: Omit<WriteDraft, 'contentFor' | 'whyMissing'>;
  readonly contents: readonly MirrorContent[];
}

/** Bytes that are the same for all mirrors travel once: structured cloning keeps what is one thing one thing. */
export function toDraftMessage(
  { contentFor, whyMissing, ...draft }: WriteDraft,
  mirrors: readonly MirrorId[],
): DraftMessage {
  const contents = mirrors.map((mirror) => ({
    mirror,
    content: contentFor(mirror),
    whyMissing: whyMissing?.(mirror) ?? null,
  }));
  return { draft, contents };
}

export function fromDraftMessage({ draft, contents }: DraftMessage): WriteDraft {
  const byMirror = new Map(contents.map((content) => [content.mirror, content]));
  return {
    ...draft,
    contentFor: (mirror) => byMirror.get(mirror)?.content ?? null,
    whyMissing: (mirror) => byMirror.get(mirror)?.whyMissing ?? null,
  };
}
