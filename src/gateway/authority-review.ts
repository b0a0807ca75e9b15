/** What the mirrors that answer say of themselves, and of the authority (F31). */
import type { AuthorityState } from '../protocol/authority-state.js';
import type { AuthorityWitness } from '../protocol/lost-authority.js';
import type { MirrorReport } from '../protocol/recovery-plan.js';
import type { WrittenMirror } from '../writer/mirror-writer.js';
import { decodeAuthorityState } from './authority-storage.js';
import type { Logger } from './logger.js';
import { toReport } from './mirror-report.js';

export interface SeenMirror {
  readonly report: MirrorReport;
  readonly witness: AuthorityWitness;
}

/** Null: it does not answer. */
export async function lookAtMirror(
  { mirror, connection }: WrittenMirror,
  logger: Logger,
): Promise<SeenMirror | null> {
  try {
    const [identity, text] = await Promise.all([connection.identity(), connection.authorityRecord()]);
    const { fencedEpoch, blank } = identity;
    const record = text === null ? null : readRecord(mirror, text, logger);
    return { report: toReport(mirror, identity), witness: { mirror, fencedEpoch, blank, record } };
  } catch {
    return null;
  }
}

function readRecord(mirror: string, text: string, logger: Logger): AuthorityState | null {
  try {
    return decodeAuthorityState(text);
  } catch (error) {
    logger.error({ mirror, err: error }, 'the copy of the authority’s state on a mirror can not be read');
    return null;
  }
}
