/** Paths of requests with their parameters, and the other way round: queries as an OSD takes them apart. */
import type { ObjectId } from '../protocol/object-id.js';
import type { Epoch } from '../protocol/tag.js';
import { OSD_PATHS } from './contract.js';
import { MalformedMessage } from './malformed-message.js';
import { type RemoteListRequest, type RemoteRange, type RowCursor, ROWS_PAGE_MAX } from './osd-connection.js';
import { asCount, asObjectId, asTag, asText, type JsonRecord } from './record-reader.js';

/** Entries on one page of a listing. */
const LIST_PAGE_MAX = 1000;

export const STATE_PARAMETERS: ReadonlySet<string> = new Set(['id']);
export const OBJECT_PARAMETERS: ReadonlySet<string> = new Set(['id', 'range']);
export const ROWS_PARAMETERS: ReadonlySet<string> = new Set(['afterObjectId', 'afterTag', 'limit']);
export const SUMMARIES_PARAMETERS: ReadonlySet<string> = new Set(['after', 'limit']);
export const LIST_PARAMETERS: ReadonlySet<string> = new Set([
  ...['container', 'prefix', 'after', 'afterVersion', 'delimiter', 'limit'],
]);

const DECIMAL_PATTERN = /^(?:0|[1-9][0-9]{0,15})$/;

function query(path: string, parameters: Readonly<Record<string, string | number | null>>): string {
  const fields: string[] = [];
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null) fields.push(`${name}=${encodeURIComponent(value)}`);
  }
  return `${path}?${fields.join('&')}`;
}

export function stagePath(stageId: string): string {
  return OSD_PATHS.stage.replace('{stageId}', encodeURIComponent(stageId));
}

export function reconciliationPath(epoch: Epoch): string {
  return OSD_PATHS.reconciliation.replace('{epoch}', String(epoch));
}

export function reconciliationPacePath(epoch: Epoch): string {
  return OSD_PATHS.reconciliationPace.replace('{epoch}', String(epoch));
}

export function objectStatePath(id: ObjectId): string {
  return query(OSD_PATHS.objectState, { id });
}

/** `range` is one of: absent (all), `<first>-<last>`, `<first>-`, `-<length>`; `last` is inclusive. */
export function objectPath(id: ObjectId, range: RemoteRange): string {
  return query(OSD_PATHS.object, { id, range: rangeText(range) });
}

/** The same of what is kept aside of an object with lost bytes. */
export function keptObjectPath(id: ObjectId, range: RemoteRange): string {
  return query(OSD_PATHS.keptObject, { id, range: rangeText(range) });
}

export function lostObjectsPath(after: ObjectId | null, limit: number): string {
  return query(OSD_PATHS.lostObjects, { after, limit });
}

/** Null: everything. */
export function rangeText(range: RemoteRange): string | null {
  switch (range.kind) {
    case 'whole':
      return null;
    case 'between':
      return `${range.first}-${range.last ?? ''}`;
    case 'suffix':
      return `-${range.lengthBytes}`;
  }
}

export function listPath(request: RemoteListRequest): string {
  const { container, prefix, after, afterVersion = null, delimiter, limit } = request;
  return query(OSD_PATHS.objects, { container, prefix, after, afterVersion, delimiter, limit });
}

export function rowsPath(after: RowCursor | null, limit: number): string {
  return query(OSD_PATHS.tagTable, {
    afterObjectId: after?.objectId ?? null,
    afterTag: after?.tag ?? null,
    limit,
  });
}

export function summariesPath(after: ObjectId | null, limit: number): string {
  return query(OSD_PATHS.summaries, { after, limit });
}

// --- the OSD's side; all throw MalformedMessage

/** A decimal count as text, up to `max`. */
export function countOfText(value: unknown, name: string, max = Number.MAX_SAFE_INTEGER): number {
  const text = asText(value, name);
  if (!DECIMAL_PATTERN.test(text)) throw new MalformedMessage(`${name} is no decimal count`);
  const count = asCount(Number(text), name);
  if (count > max) throw new MalformedMessage(`${name} is over ${max}`);
  return count;
}

function limitOf(parameters: JsonRecord, max: number): number {
  const limit = countOfText(parameters['limit'], 'limit', max);
  if (limit === 0) throw new MalformedMessage('limit is 0');
  return limit;
}

export function rangeOfText(value: unknown): RemoteRange {
  if (value === undefined) return { kind: 'whole' };
  const [first, last, ...rest] = asText(value, 'range').split('-');
  if (first === undefined || last === undefined || rest.length > 0) {
    throw new MalformedMessage('range is none of first-last, first-, -length');
  }
  if (first === '') return { kind: 'suffix', lengthBytes: countOfText(last, 'range') };
  return {
    kind: 'between',
    first: countOfText(first, 'range'),
    last: last === '' ? null : countOfText(last, 'range'),
  };
}

export function listRequestOf(parameters: JsonRecord): RemoteListRequest {
  const { afterVersion } = parameters;
  return {
    container: asText(parameters['container'], 'container'),
    prefix: asText(parameters['prefix'], 'prefix'),
    after: asText(parameters['after'], 'after'),
    ...(afterVersion !== undefined && { afterVersion: asText(afterVersion, 'afterVersion') }),
    delimiter: asText(parameters['delimiter'], 'delimiter'),
    limit: limitOf(parameters, LIST_PAGE_MAX),
  };
}

export function rowsRequestOf(parameters: JsonRecord): { after: RowCursor | null; limit: number } {
  const limit = limitOf(parameters, ROWS_PAGE_MAX);
  const { afterObjectId, afterTag } = parameters;
  if (afterObjectId === undefined && afterTag === undefined) return { after: null, limit };
  const after = { objectId: asObjectId(afterObjectId, 'afterObjectId'), tag: asTag(afterTag, 'afterTag') };
  return { after, limit };
}

/** `max`: what may be asked for at once. */
export function idsRequestOf(parameters: JsonRecord, max: number): { after: ObjectId | null; limit: number } {
  const limit = limitOf(parameters, max);
  const { after } = parameters;
  return { after: after === undefined ? null : asObjectId(after, 'after'), limit };
}
