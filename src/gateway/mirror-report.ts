import type { MirrorId } from '../protocol/authority-state.js';
import type { MirrorReport } from '../protocol/recovery-plan.js';
import type { OsdIdentity } from '../wire/osd-connection.js';

/** What the protocol wants to know of what an OSD says of itself. */
export function toReport(mirror: MirrorId, identity: OsdIdentity): MirrorReport {
  const { storeId, incarnation, commitSequence, selfDoubt, blank, witnesses } = identity;
  return { mirror, storeId, incarnation, commitSequence, selfDoubt, blank, witnesses };
}
