/**
 * The answer of GET /v1/objects, a page of a listing: thousands of entries, so it is checked by hand.
 *
 *   { entries: [{ kind: "object", id, state } | { kind: "common-prefix", prefix }], truncated }
 */
import { parseJson } from './frame.js';
import type { RemoteListPage } from './osd-connection.js';
import { asFlag, asList, asObjectId, asRecord, asText, asWord } from './record-reader.js';
import { presentObjectOf } from './reads-frame.js';

const ENTRY_KINDS = ['object', 'common-prefix'] as const;

function entryOf(value: unknown): RemoteListPage['entries'][number] {
  const record = asRecord(value, 'entry');
  const kind = asWord(record['kind'], 'kind', ENTRY_KINDS);
  if (kind === 'common-prefix') return { kind, prefix: asText(record['prefix'], 'prefix') };
  return { kind, id: asObjectId(record['id'], 'id'), state: presentObjectOf(record['state']) };
}

/** Throws MalformedMessage. */
export function decodeListPage(body: Buffer): RemoteListPage {
  const record = asRecord(parseJson(body.toString('utf8')), 'answer');
  return {
    entries: asList(record['entries'], 'entries').map(entryOf),
    truncated: asFlag(record['truncated'], 'truncated'),
  };
}
