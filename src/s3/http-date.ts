/** Dates on the wire. All times are milliseconds since 1970. */

/** RFC 9110 section 5.6.7 (IMF-fixdate). */
export function toHttpDate(timeMs: number): string {
  return new Date(timeMs).toUTCString();
}

/** ISO 8601 with milliseconds, as S3's XML has it. */
export function toIsoDate(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

/** Null when the text is no date: RFC 9110 section 13.1.3 then wants the header ignored. */
export function parseHttpDate(text: string): number | null {
  const timeMs = Date.parse(text);
  return Number.isNaN(timeMs) ? null : timeMs;
}

const BASIC_ISO = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;

/** Parses the `20260102T030405Z` of x-amz-date; null when it is none. */
export function parseBasicIsoDate(text: string): number | null {
  const match = BASIC_ISO.exec(text);
  if (match === null) return null;
  const [, year, month, day, hour, minute, second] = match;
  const timeMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(timeMs) ? null : timeMs;
}

/** Makes the `20260102T030405Z` that a string to sign holds. */
export function toBasicIsoDate(timeMs: number): string {
  return new Date(timeMs).toISOString().replace(/[-:]|\.\d{3}/g, '');
}

const ISO_8601 = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?$/;

/** Parses an ISO 8601 date or time; without a zone it is UTC. Null when it is none. */
export function parseIsoDate(text: string): number | null {
  const match = ISO_8601.exec(text.trim());
  if (match === null) return null;
  const [whole, time, , , zone] = match;
  const timeMs = Date.parse(time !== undefined && zone === undefined ? `${whole}Z` : whole);
  return Number.isNaN(timeMs) ? null : timeMs;
}
