/**
 * Writes whose outcome is still open, as a read has to know them: what an answer shows that may yet turn out not to have
 * happened, or hides that may (F26).
 */
import { type ObjectId, parseObjectId } from '../protocol/object-id.js';
import type { Tag } from '../protocol/tag.js';
import type { RemoteListPage } from '../wire/osd-connection.js';
import type { InFlightWrites, SettledOutcome } from '../writer/in-flight-writes.js';
import type { ListRequest } from './object-storage.js';

export interface OpenWrite {
  readonly outcome: Promise<SettledOutcome>;
}

export interface OpenWrites {
  /** What an answer about one object shows or hides. `lastTag` null: it shows no object. */
  ofObject(id: ObjectId, lastTag: Tag | null): readonly OpenWrite[];
  inListing(request: ListRequest, page: RemoteListPage): readonly OpenWrite[];
}

/** True for an object that a listing would show if it were there. */
export function isListed({ container, prefix }: ListRequest, id: ObjectId): boolean {
  const parts = parseObjectId(id);
  return parts.container === container && parts.name.startsWith(prefix);
}

/** Those of the only writer. */
export class OwnOpenWrites implements OpenWrites {
  readonly #inFlight: InFlightWrites;

  constructor(inFlight: InFlightWrites) {
    this.#inFlight = inFlight;
  }

  ofObject(id: ObjectId, lastTag: Tag | null): readonly OpenWrite[] {
    if (lastTag === null) return this.#inFlight.openRemovals((removed) => removed === id);
    const shown = this.#inFlight.openWrite(id, lastTag);
    return shown === undefined ? [] : [shown];
  }

  inListing(request: ListRequest, page: RemoteListPage): readonly OpenWrite[] {
    const shown: OpenWrite[] = [];
    for (const entry of page.entries) {
      const write =
        entry.kind === 'object' ? this.#inFlight.openWrite(entry.id, entry.state.lastTag) : undefined;
      if (write !== undefined) shown.push(write);
    }
    return [...shown, ...this.#inFlight.openRemovals((id) => isListed(request, id))];
  }
}
