/**
 * What becomes of a mirror that can not read a record of its own database (F19), as a reconciliation has found out.
 *
 * Every further reconciliation with that store would end in the same way, so where another mirror has everything it is put on record that
 * this store takes part in nothing any more, until an operator formats another one in its place. The only source stays: what
 * it can show is shown, and nobody but an operator gives up what it alone has.
 */
import { type MirrorId, recordDamagedStore } from '../protocol/authority-state.js';
import type { MirrorReport } from '../protocol/recovery-plan.js';
import { parseRecordDamage, type RecordDamage } from '../wire/record-damage.js';
import type { MirrorSet } from './mirror-set.js';

/** Who took part, and in what role. */
export interface TakingPart {
  readonly reports: readonly Pick<MirrorReport, 'mirror' | 'storeId'>[];
  readonly sources: readonly MirrorId[];
}

export interface DamagedStore extends RecordDamage, Pick<MirrorReport, 'storeId'> {
  /** Nobody else has everything: then it stays as it is, and these can't be brought up. */
  readonly onlySourceOf: readonly MirrorId[] | null;
}

/** The store that a reconciliation failed for; null: it failed for something else. */
export function findDamagedStore(failure: string, { reports, sources }: TakingPart): DamagedStore | null {
  const damage = parseRecordDamage(failure);
  const storeId = reports.find((report) => report.mirror === damage?.mirror)?.storeId;
  if (damage === null || storeId === undefined) return null;
  const isOnlySource = sources.length === 1 && sources.includes(damage.mirror);
  const others = reports.map((report) => report.mirror).filter((mirror) => mirror !== damage.mirror);
  return { ...damage, storeId, onlySourceOf: isOnlySource ? others : null };
}

/** For operators: what it is, and what to type. */
export function describeDamagedStore({ mirror, detail, onlySourceOf }: DamagedStore): string {
  const damage = `the database of ${mirror} is damaged (${detail})`;
  if (onlySourceOf === null)
    return `${damage}, so it is not copied to: stop its OSD, move its folder away, "tally format --name ${mirror}", start it, and it is copied in full`;
  const [target] = onlySourceOf;
  return `${damage}, and it is the only one in sync, so ${onlySourceOf.join(', ')} can't be brought up. To give up what only ${mirror} has, and that is every write since: stop the OSD of ${mirror}, then "tally force --mirror ${target ?? ''}"`;
}

/** Precondition: nobody else changes the authority's state, and it is no only source. */
export async function putDamageOnRecord(set: MirrorSet, damaged: DamagedStore): Promise<void> {
  const { mirror, storeId } = damaged;
  const reason = describeDamagedStore(damaged);
  await set.saveState(recordDamagedStore(set.state, mirror, { storeId, reason }));
}
