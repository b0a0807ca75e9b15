/** A running OSD as the mirror comparison sees it. */
import type { Epoch } from '../../src/protocol/tag.js';
import type { OsdConnection } from '../../src/wire/osd-connection.js';
import type { MirrorView } from './mirror-comparison.js';

/** `epoch`: the one that the mirror set is active at; reads of a lower one are refused. */
export function viewOsd(name: string, connection: OsdConnection, epoch: Epoch): MirrorView {
  return {
    name,
    summaries: (after, limit) => connection.summaries(after, limit),
    states: (ids) => connection.states(ids),
    content: async (id) => (await connection.read(epoch, id, { kind: 'whole' }))?.body ?? null,
  };
}
