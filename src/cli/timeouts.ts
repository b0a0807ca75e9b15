import type { OsdTimeouts } from '../wire/osd-connection.js';

/**
 * How long gateway and OSDs wait for an OSD. A mirror that exceeds `answerMs` for one write is left out for it, so this is
 * also the longest pause that a dead mirror costs a client.
 */
export const OSD_TIMEOUTS: OsdTimeouts = { connectMs: 1000, answerMs: 5000, bodyIdleMs: 15_000 };

export const GATEWAY_STOP_WITHIN_MS = 20_000;
/** Of that: how long requests in flight may go on. */
export const GATEWAY_DRAIN_MS = 8000;
export const ADMIN_DRAIN_MS = 500;
export const OSD_STOP_WITHIN_MS = 10_000;
/** A store or gateway that was killed a moment ago may still be letting go of its files. */
export const PREDECESSOR_WAIT_MS = 5000;
export const PREDECESSOR_POLL_MS = 200;
