/**
 * How a reconciliation says that it ended because a participant could not read a record of its own database (openapi/osd.yaml,
 * `Progress.failure`): a stable code, the mirror, and for people what it is.
 *
 *   damaged-record: osd-1: the record of "bucket/name" fails its checksum
 */
import { type MirrorId, toMirrorId } from '../protocol/authority-state.js';

const PATTERN = /^damaged-record: (?<mirror>[^:\s]+): (?<detail>.+)$/s;

export interface RecordDamage {
  readonly mirror: MirrorId;
  /** For people. */
  readonly detail: string;
}

/** Null: it ended for something else. */
export function parseRecordDamage(failure: string): RecordDamage | null {
  const { mirror, detail } = PATTERN.exec(failure)?.groups ?? {};
  return mirror === undefined || detail === undefined ? null : { mirror: toMirrorId(mirror), detail };
}
