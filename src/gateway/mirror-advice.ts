/** What an operator does about a mirror that needs somebody, in the words of what to type. Commands, console and API say the same. */
import type { MirrorId } from '../protocol/authority-state.js';
import { unreachable } from '../protocol/invariant.js';
import type { StoreFault } from '../protocol/store-fault.js';
import type { MirrorStatus } from './mirror-set-status.js';

/** In sync or not: with all disks full, nobody is left out. */
function adviceOnFault(mirror: MirrorId, { kind, detail }: StoreFault): string {
  switch (kind) {
    case 'no-space':
      return `${mirror} has no space left (${detail}): free some on its disk, and it takes writes again by itself`;
    case 'disk-failed':
      return `${mirror} takes no writes, because its disk failed (${detail}): look at the disk, then stop its OSD and start it again`;
    default:
      return unreachable(kind);
  }
}

/** One sentence without a full stop; null: it needs nobody. */
export function adviceFor({
  mirror,
  condition,
  incompatibility,
  identity,
}: Omit<MirrorStatus, 'advice'>): string | null {
  if (condition === 'incompatible') return incompatibility;
  if (condition === 'away') {
    return `${mirror} does not answer: on its machine, start it with "tally osd --name ${mirror}" or "systemctl start tally-osd@${mirror}", or see in its log why it ended`;
  }
  const fault = identity?.fault ?? null;
  return fault === null ? null : adviceOnFault(mirror, fault);
}
