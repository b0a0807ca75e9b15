/** An OSD without disk or network: the real `LocalOsd` over a memory store. Passes the conformance suite of the port. */
import { DEFAULT_OSD_LIMITS, type OsdLimits } from '../../src/osd/limits.js';
import { LocalOsd } from '../../src/osd/local-osd.js';
import type { PacerTimer } from '../../src/osd/reconcile/copy-pacer.js';
import type { InvariantViolation } from '../../src/protocol/invariant.js';
import type { ObjectStore } from '../../src/store/object-store.js';
import type { OsdConnection } from '../../src/wire/osd-connection.js';

/** So few that whoever dies in the middle of a copy leaves most of it to do. */
const PUSHES_IN_FLIGHT_MAX = 32;

export interface MemoryOsdOptions {
  readonly store: ObjectStore;
  readonly incarnation?: string;
  /** For reconciliations that this OSD drives; by default there are no peers. */
  readonly connect?: (url: string) => OsdConnection;
  readonly timer?: PacerTimer;
  readonly limits?: Partial<OsdLimits>;
  /** Default: it is thrown. */
  readonly onInvariantViolation?: (violation: InvariantViolation) => void;
}

const quiet = { info: () => {}, warn: () => {}, error: () => {}, fatal: () => {} };

export function createMemoryOsd(options: MemoryOsdOptions): LocalOsd {
  const { store, incarnation = 'memory-run' } = options;
  const noPeer = (url: string): OsdConnection => {
    throw new Error(`there is no peer ${url}`);
  };
  return new LocalOsd({
    store,
    incarnation,
    softwareVersion: 'memory',
    processId: 0,
    logger: quiet,
    clock: () => Date.now(),
    limits: {
      ...DEFAULT_OSD_LIMITS,
      reconcileObjectsInFlight: PUSHES_IN_FLIGHT_MAX,
      ...options.limits,
    },
    connect: options.connect ?? noPeer,
    ...(options.timer !== undefined && { timer: options.timer }),
    onInvariantViolation:
      options.onInvariantViolation ??
      ((violation) => {
        throw violation;
      }),
  });
}
