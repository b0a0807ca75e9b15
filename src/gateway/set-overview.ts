/** What operators are told of a mirror set, put together from those who know. It asks nobody and changes nothing. */
import type { MirrorId } from '../protocol/authority-state.js';
import type { WritesMode } from '../protocol/forwarding.js';
import type { CopyPace } from '../protocol/pace.js';
import type { OsdIdentity } from '../wire/osd-connection.js';
import { incompatibilityOf } from './contract-watch.js';
import type { HealthMonitor } from './health-monitor.js';
import { type LostObjects, toLossStatus } from './lost-objects.js';
import { adviceFor } from './mirror-advice.js';
import type { MirrorSet } from './mirror-set.js';
import type { MirrorCondition, MirrorSetPhase, MirrorSetStatus, MirrorStatus } from './mirror-set-status.js';
import type { RecoveryRunner } from './recovery-runner.js';

/** Objects that the status names; how many there are it says all the same. */
const LOST_OBJECTS_SHOWN_MAX = 100;

export interface SetParts {
  readonly set: MirrorSet;
  readonly runner: RecoveryRunner;
  readonly health: HealthMonitor;
  readonly lost: LostObjects;
  readonly writes: WritesMode;
  readonly pace: CopyPace | null;
  readonly isStopped: boolean;
}

export function overviewOf(parts: SetParts): MirrorSetStatus {
  const { set, runner, lost, writes, pace } = parts;
  const phase = phaseOf(parts);
  const mirrors = set.members.map(({ mirror }) => mirrorStatus(parts, mirror));
  // While a mirror is out, nothing is cleared on those that are in: the longest of their tables is what it lacks.
  const isWhole = set.inSync.length === set.members.length && phase === 'active';
  const tables = mirrors.filter(({ mirror }) => set.inSync.includes(mirror)).map(({ identity }) => identity);
  const longest = isWhole
    ? null
    : tables.reduce((a, b) => ((b?.rowCount ?? 0) > (a?.rowCount ?? -1) ? b : a), null);
  return {
    setId: set.setId,
    epoch: set.epoch,
    phase,
    waitingFor: runner.waitingFor,
    inSync: set.inSync,
    writes,
    writer: set.state.writer ?? null,
    mirrors,
    unmatchedWrites: longest?.rowCount ?? 0,
    unmatchedBytes: longest?.rowBytes ?? 0,
    oldestUnmatchedMs: longest?.oldestRowMs ?? null,
    writesInFlight: set.inFlightCount,
    operation: runner.current,
    pace,
    lostObjectCount: lost.all.length,
    lostObjects: lost.all.slice(0, LOST_OBJECTS_SHOWN_MAX).map(toLossStatus),
    forced: set.state.forced ?? [],
  };
}

function phaseOf({ set, runner, isStopped }: SetParts): MirrorSetPhase {
  if (isStopped) return 'stopped';
  if (set.gate.isOpen) return 'active';
  return runner.waitingFor === null ? 'recovering' : 'waiting';
}

function mirrorStatus({ set, health }: SetParts, mirror: MirrorId): MirrorStatus {
  const { identity, lastSeenMs, isReachable } = health.healthOf(mirror);
  const member = set.state.members.find((candidate) => candidate.mirror === mirror);
  const isInSync = set.inSync.includes(mirror) && set.gate.isOpen;
  const isRebuilding = set.rebuilding.includes(mirror);
  const outOfSync = isRebuilding ? 'rebuilding' : conditionOf(identity);
  const connection = set.connectionOf(mirror);
  const incompatibility = incompatibilityOf(mirror, connection);
  const unreachable = incompatibility === null ? 'away' : 'incompatible';
  const condition = isInSync ? 'in-sync' : isReachable ? outOfSync : unreachable;
  const fullCopyReason = member?.fullCopyReason ?? identity?.selfDoubt ?? null;
  const { url } = connection;
  const seen = { mirror, url, condition, fullCopyReason, incompatibility, lastSeenMs, identity };
  return { ...seen, advice: adviceFor(seen) };
}

/** The condition of a mirror that answers and is not in sync. */
function conditionOf(identity: OsdIdentity | null): MirrorCondition {
  switch (identity?.fault?.kind) {
    case 'no-space':
      return 'no-space';
    case 'disk-failed':
      return 'failed';
    case undefined:
      return 'behind';
  }
}
