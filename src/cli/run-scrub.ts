/** `tally scrub`: makes OSDs read everything that they have, and with `--wait` shows them until they are through. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { AdminMirror } from '../admin/schemas.js';
import type { AdminClient } from './admin-client.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { formatBytes, plural } from './figures.js';

export interface ScrubOptions {
  /** Null: every mirror in sync. */
  readonly mirror: string | null;
  readonly isJson: boolean;
  readonly waits: boolean;
}

const POLL_MS = 500;

type Scrub = NonNullable<NonNullable<AdminMirror['identity']>['care']['scrub']>;

/** One line. */
export function describeScrub({
  state,
  objectsExamined,
  bytesExamined,
  objectsDamaged,
  objectsHealed,
  failure,
}: Scrub): string {
  const found =
    objectsDamaged === 0 ? 'nothing damaged' : `${objectsDamaged} damaged, ${objectsHealed} of them healed`;
  const end = failure === null ? '' : `: ${failure}`;
  return `scrub ${state}${end}, ${plural(objectsExamined, 'object')} (${formatBytes(bytesExamined)}) read, ${found}`;
}

/** Exit code 1: something is damaged still, or a scrub failed. */
export async function scrub(client: AdminClient, options: ScrubOptions): Promise<ExitCode> {
  const mirrors = await client.scrub(options.mirror);
  if (!options.waits) {
    const text = `${mirrors.join(', ')} read all they have now. "tally status" shows how far they are.`;
    process.stdout.write(`${options.isJson ? JSON.stringify({ mirrors }, null, 2) : text}\n`);
    return EXIT.ok;
  }
  for (;;) {
    const scrubs = await look(client, mirrors);
    if (scrubs.every(({ scrub: { state } }) => state === 'done' || state === 'failed')) {
      return report(scrubs, options);
    }
    await sleep(POLL_MS);
  }
}

interface MirrorScrub {
  readonly mirror: string;
  readonly scrub: Scrub;
}

async function look(client: AdminClient, mirrors: readonly string[]): Promise<MirrorScrub[]> {
  const { mirrors: all } = await client.status();
  return all.flatMap(({ mirror, identity }) => {
    const found = identity?.care.scrub ?? null;
    return mirrors.includes(mirror) && found !== null ? [{ mirror, scrub: found }] : [];
  });
}

function report(scrubs: readonly MirrorScrub[], { isJson }: ScrubOptions): ExitCode {
  const lines = scrubs.map(({ mirror, scrub: found }) => `${mirror}: ${describeScrub(found)}.`);
  process.stdout.write(`${isJson ? JSON.stringify(scrubs, null, 2) : lines.join('\n')}\n`);
  const isWell = scrubs.every(
    ({ scrub: { state, objectsDamaged, objectsHealed } }) =>
      state === 'done' && objectsHealed === objectsDamaged,
  );
  return isWell ? EXIT.ok : EXIT.notInSync;
}
