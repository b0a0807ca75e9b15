/**
 * Mirrors that were away are let in as rebuilding (DESIGN.md section 5): fenced at an epoch of their own, identity and
 * witness checked, on record, and only then allowed to take writes. The writer runs it between two epochs.
 */
import type { AuthorityState, MirrorId } from '../../src/protocol/authority-state.js';
import { fullCopyReason, type MirrorReport } from '../../src/protocol/recovery-plan.js';
import type { Epoch } from '../../src/protocol/tag.js';
import type { StoreId } from '../../src/protocol/token.js';
import type { SimulatedAuthority } from './authority.js';
import type { CatchUpOrder } from './catch-up.js';
import {
  AttemptFailed,
  beginCopy,
  fenceRun,
  keepRecords,
  mayResume,
  recordCopyBegin,
  type Steps,
} from './recovery.js';
import type { Rules } from './rules.js';

interface AdmissionPorts {
  readonly rules: Rules;
  readonly authority: SimulatedAuthority;
  readonly newStoreId: () => StoreId;
}

export interface AdmittedMirrors {
  readonly state: AuthorityState;
  readonly order: CatchUpOrder;
}

/** Null: another recovery has begun. A mirror that does not do as it is told stays out. */
export function* admission(
  ports: AdmissionPorts,
  start: {
    readonly epoch: Epoch;
    readonly inSync: readonly MirrorId[];
    readonly returning: readonly MirrorId[];
  },
): Steps<AdmittedMirrors | null> {
  const { authority } = ports;
  const { epoch, inSync, returning } = start;
  const trusted: MirrorReport[] = [];
  for (const mirror of inSync) {
    const response = yield { mirror, request: { kind: 'report' } };
    // What it says comes with its answer to the advance in the real set: of that very run, or not at all.
    const report = response?.kind === 'report' ? response.report : null;
    if (report?.incarnation !== authority.state.incarnations[mirror]) return null;
    if (report !== null) trusted.push(report);
  }
  const admitted: MirrorReport[] = [];
  const copied: MirrorId[] = [];
  for (const mirror of returning) {
    const report = yield* fenceRun(ports, mirror, epoch);
    if (report === null || report === 'knows-better') continue;
    const reports = [...trusted, report];
    const reason = fullCopyReason(authority.state, report, reports);
    if (reason !== null && !(yield* prepareCopy(ports, { epoch, mirror, reason, reports }))) continue;
    admitted.push(report);
    if (reason !== null) copied.push(mirror);
  }
  const state = authority.admit(epoch, admitted);
  if (state === null) return null;
  try {
    yield* keepRecords(ports, state);
  } catch (error) {
    if (error instanceof AttemptFailed) return null;
    throw error;
  }
  const targets: MirrorId[] = [];
  for (const { mirror } of admitted) {
    const rebuilt = yield { mirror, request: { kind: 'rebuild', epoch } };
    if (rebuilt?.kind === 'fence' && rebuilt.verdict.kind === 'move') targets.push(mirror);
  }
  const configured = state.members.map(({ mirror }) => mirror);
  return { state, order: { epoch, inSync, targets, copied, configured } };
}

interface CopyStart {
  readonly epoch: Epoch;
  readonly mirror: MirrorId;
  readonly reason: string;
  readonly reports: readonly MirrorReport[];
}

/** True when the mirror is ready to be copied to in full. */
function* prepareCopy(ports: AdmissionPorts, { epoch, mirror, reason, reports }: CopyStart): Steps<boolean> {
  const { authority, rules } = ports;
  if (authority.state.epoch !== epoch) return false;
  if (mayResume(ports, mirror, reports)) return true;
  authority.persist(rules.requireFullCopy(authority.state, mirror, reason));
  try {
    yield* beginCopy(mirror, epoch, yield* recordCopyBegin(ports, epoch, mirror));
    return true;
  } catch (error) {
    if (error instanceof AttemptFailed) return false;
    throw error;
  }
}
