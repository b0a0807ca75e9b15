import type { OsdTimeouts } from '../wire/osd-connection.js';

/**
 * How long gateway and OSDs wait for an OSD. A mirror that exceeds `answerMs` for one write is left out for it, so this is
 * also the longest pause that a dead mirror costs a client.
 */
export const OSD_TIMEOUTS: OsdTimeouts = { connectMs: 1000, answerMs: 5000, bodyIdleMs: 15_000 };

/** What a gateway needs to end, once its requests have drained: its mirror sets, its files, and its admin API last. */
export const GATEWAY_END_MS = 12_000;
export const ADMIN_DRAIN_MS = 500;
/** The same of an OSD: its store. */
export const OSD_END_MS = 10_000;
/** A store or gateway that was killed a moment ago may still be letting go of its files. */
export const PREDECESSOR_WAIT_MS = 5000;
export const PREDECESSOR_POLL_MS = 200;
