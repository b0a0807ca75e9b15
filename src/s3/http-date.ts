/** Dates on the wire. All times are milliseconds since 1970. */

/** RFC 9110 section 5.6.7 (IMF-fixdate). */
export function toHttpDate(timeMs: number): string {
  return new Date(timeMs).toUTCString();
}

const MINUTE_MS = 60_000;
/** The minute that was written last, to the colon behind it: a listing has a thousand dates, most of them close together. */
let writtenMinute = { startMs: Number.NaN, text: '' };

/** ISO 8601 with milliseconds, as S3's XML has it. */
export function toIsoDate(timeMs: number): string {
  const offsetMs = timeMs - writtenMinute.startMs;
  if (!(offsetMs >= 0 && offsetMs < MINUTE_MS)) {
    const startMs = Math.floor(timeMs / MINUTE_MS) * MINUTE_MS;
    writtenMinute = { startMs, text: new Date(startMs).toISOString().slice(0, -'00.000Z'.length) };
    return toIsoDate(timeMs);
  }
  const rest = String(Math.trunc(offsetMs)).padStart(5, '0');
  return `${writtenMinute.text}${rest.slice(0, 2)}.${rest.slice(2)}Z`;
}

/** Null when the text is no date: RFC 9110 section 13.1.3 then wants the header ignored. */
export function parseHttpDate(text: string): number | null {
  const timeMs = Date.parse(text);
  return Number.isNaN(timeMs) ? null : timeMs;
}

const BASIC_ISO = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;

/** The date that was read last: of many requests in one second. */
let readDate: { readonly text: string; readonly timeMs: number | null } = { text: '', timeMs: null };

/** Parses the `20260102T030405Z` of x-amz-date; null when it is none. */
export function parseBasicIsoDate(text: string): number | null {
  if (text === readDate.text) return readDate.timeMs;
  const timeMs = parseNewBasicIsoDate(text);
  if (timeMs !== null) readDate = { text, timeMs };
  return timeMs;
}

function parseNewBasicIsoDate(text: string): number | null {
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
