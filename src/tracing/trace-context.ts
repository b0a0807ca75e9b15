/** Who a span belongs to, and its text on the way from process to process: W3C Trace Context, section 3.2, version 00. */

export interface TraceContext {
  /** 32 lower-case hex digits. */
  readonly traceId: string;
  /** 16 of them. */
  readonly spanId: string;
  /** False: nobody keeps the spans of this trace. */
  readonly isSampled: boolean;
}

const TRACEPARENT_PATTERN = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const SAMPLED_FLAG = 1;
/** Of a version that we do not know there may be more. */
const TRACEPARENT_CHARACTERS_MAX = 512;

/** Null: there is none, or none that means anything; a trace then begins here. */
export function parseTraceparent(text: string | undefined): TraceContext | null {
  if (text === undefined || text.length > TRACEPARENT_CHARACTERS_MAX) return null;
  const [, version, traceId, spanId, flags, rest] = TRACEPARENT_PATTERN.exec(text) ?? [];
  if (version === undefined || traceId === undefined || spanId === undefined || flags === undefined)
    return null;
  if (version === 'ff' || (version === '00' && rest !== undefined)) return null;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & SAMPLED_FLAG) === SAMPLED_FLAG };
}

export function formatTraceparent({ traceId, spanId, isSampled }: TraceContext): string {
  return `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`;
}
