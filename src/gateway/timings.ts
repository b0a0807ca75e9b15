/** Everything in the gateway that waits, in milliseconds. */
export interface GatewayTimings {
  /** Between two looks at each OSD. */
  readonly healthPollMs: number;
  /** An in-sync mirror that has not answered for this long is left out, even when nobody writes. */
  readonly mirrorLostMs: number;
  /** At the start: how long to wait for all configured mirrors before going on with those that are there. */
  readonly startupWaitMs: number;
  /** How long a request waits for the mirror set to become active. */
  readonly gateWaitMs: number;
  /** How long reads are answered after the mirrors in sync said that they may be (protocol/read-lease.ts): the longest wait for an answer. */
  readonly readLeaseMs: number;
  /** A mirror whose reconciliation failed is not tried again for this long; doubles up to the maximum. */
  readonly rejoinBackoffMs: number;
  readonly rejoinBackoffMaxMs: number;
  /** Between two looks at a running reconciliation. */
  readonly progressPollMs: number;
  /** Between two looks for objects that are intact nowhere. */
  readonly lostObjectsPauseMs: number;
}

export const defaultTimings: GatewayTimings = {
  healthPollMs: 500,
  mirrorLostMs: 2000,
  startupWaitMs: 5000,
  gateWaitMs: 30_000,
  readLeaseMs: 6000,
  rejoinBackoffMs: 1000,
  rejoinBackoffMaxMs: 60_000,
  progressPollMs: 50,
  lostObjectsPauseMs: 5000,
};
