/**
 * Versions of the OSD's contract: parts of a mirror set are upgraded one at a time, so neighbours differ for a while.
 *
 * Each side says in a header of every request, and of its answers, which versions it speaks: the least and the greatest. Of those that
 * both speak the greatest is in use. Where there is none they don't work together, and each says who has to be upgraded.
 *
 *   version 1   before there were versions: whoever says nothing speaks this one, and no other
 *   version 2   the header; batches of pushes; pushes with lost bytes, and which objects have some; traces of reads and of
 *               forwarded writes; fences for one run. An answer may have members that its reader does not know; it drops them
 *   version 3   transactions in bytes
 *
 * What a change of the contract takes:
 * - A new member of an answer: nothing, where a reader is right without it. It must go to no caller of version 1, who refuses what it does not know.
 * - A new member of a request, a new route, a new word, another meaning: a new version. Whoever sends it looks first whether the peer speaks it
 *   (`OsdConnection.contract`), and does without it otherwise: an OSD refuses members of requests that it does not know.
 * - `least` moves when the older ones can't be spoken any more: then the upgrade has to pass by a release that speaks both.
 */
import { MalformedMessage } from './malformed-message.js';

export interface ContractRange {
  readonly least: number;
  readonly greatest: number;
}

/** What this build speaks. */
export const CONTRACT: ContractRange = { least: 1, greatest: 3 };

/** The version that brought `traceparent` to reads and forwarded writes. */
export const TRACED_READS_SINCE = 2;

/** The version that brought lost bytes: in a push, as a list, and what is kept beside them. */
export const LOST_BYTES_SINCE = 2;

/** The version that brought transactions in bytes. */
export const BYTE_TRANSACTIONS_SINCE = 3;

const UNSAID: ContractRange = { least: 1, greatest: 1 };
const RANGE_PATTERN = /^([1-9][0-9]{0,5})-([1-9][0-9]{0,5})$/;

/** As the header has it. */
export function formatContract({ least, greatest }: ContractRange): string {
  return `${least}-${greatest}`;
}

/** Undefined: nothing was said. Throws MalformedMessage. */
export function parseContract(text: string | undefined): ContractRange {
  if (text === undefined) return UNSAID;
  const [, least, greatest] = RANGE_PATTERN.exec(text) ?? [];
  const range = { least: Number(least), greatest: Number(greatest) };
  if (!(range.least <= range.greatest)) throw new MalformedMessage('no range of contract versions');
  return range;
}

/** The greatest that both speak; null: none. */
export function agreeOnContract(one: ContractRange, other: ContractRange): number | null {
  const greatest = Math.min(one.greatest, other.greatest);
  return greatest >= Math.max(one.least, other.least) ? greatest : null;
}

function versions({ least, greatest }: ContractRange): string {
  return least === greatest ? String(least) : `${least} to ${greatest}`;
}

/** Why two parts don't work together, and what helps. Precondition: there is no version that both speak. */
export function describeContractGap(
  here: { readonly name: string; readonly speaks: ContractRange },
  there: { readonly name: string; readonly speaks: ContractRange },
): string {
  const late = there.speaks.greatest < here.speaks.least ? there.name : here.name;
  return `${there.name} speaks contract ${versions(there.speaks)}, and ${here.name} ${versions(here.speaks)}: upgrade ${late} first`;
}
