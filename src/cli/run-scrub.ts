/** `tally scrub`: makes OSDs read everything that they have, and with `--wait` shows them until they are through. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { AdminMirror, AdminClient } from './admin-client.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { formatBytes, plural } from '../gateway/figures.js';
import { WorkDisplay } from './work-display.js';

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
  const scrubs = await follow(client, mirrors, options);
  return report(scrubs, options);
}

async function follow(
  client: AdminClient,
  mirrors: readonly string[],
  { isJson }: ScrubOptions,
): Promise<readonly MirrorScrub[]> {
  const display = new WorkDisplay({
    isSilent: isJson,
    whenLeft: 'The scrub goes on. "tally status" shows it, "tally scrub --wait" waits for it again.',
  });
  const startMs = performance.now();
  let firstBytes: number | null = null;
  try {
    for (;;) {
      const scrubs = await look(client, mirrors);
      if (hasEnded(scrubs, mirrors)) return scrubs;
      const sum = (read: (of: MirrorScrub) => number) => scrubs.reduce((total, of) => total + read(of), 0);
      const bytes = sum(({ scrub: { bytesExamined } }) => bytesExamined);
      firstBytes ??= bytes;
      const rate = ((bytes - firstBytes) / Math.max(1, performance.now() - startMs)) * 1000;
      const done = sum(({ scrub: { objectsExamined } }) => objectsExamined);
      const away = scrubs.filter(({ isAway }) => isAway).map(({ mirror }) => mirror);
      const waits = away.length === 0 ? '' : `; waits for ${away.join(', ')}, which does not answer`;
      const words = `${plural(done, 'object')} read on ${plural(scrubs.length, 'mirror')}, ${formatBytes(bytes)}, ${formatBytes(rate)}/s${waits}`;
      display.show(
        done,
        sum(({ objectCount }) => objectCount),
        words,
      );
      await sleep(POLL_MS);
    }
  } finally {
    display.end();
  }
}

interface MirrorScrub {
  readonly mirror: string;
  /** It does not answer; it goes on with its scrub once it is back. */
  readonly isAway: boolean;
  readonly objectCount: number;
  readonly scrub: Scrub;
}

/** A mirror that went away has not ended, nor one of which nothing is known. */
export function hasEnded(scrubs: readonly MirrorScrub[], mirrors: readonly string[]): boolean {
  const ended = scrubs.filter(
    ({ isAway, scrub: { state } }) => !isAway && (state === 'done' || state === 'failed'),
  );
  return mirrors.every((mirror) => ended.some((of) => of.mirror === mirror));
}

async function look(client: AdminClient, mirrors: readonly string[]): Promise<MirrorScrub[]> {
  const { mirrors: all } = await client.status();
  return all.flatMap(({ mirror, identity, condition }) => {
    const found = identity?.care.scrub ?? null;
    if (identity === null || found === null || !mirrors.includes(mirror)) return [];
    const isAway = condition === 'away' || condition === 'incompatible';
    return [{ mirror, isAway, objectCount: identity.objectCount, scrub: found }];
  });
}

function report(scrubs: readonly MirrorScrub[], { isJson }: ScrubOptions): ExitCode {
  const found = scrubs.map(({ mirror, scrub: of }) => ({ mirror, scrub: of }));
  const lines = found.map(({ mirror, scrub: of }) => `${mirror}: ${describeScrub(of)}.`);
  process.stdout.write(`${isJson ? JSON.stringify(found, null, 2) : lines.join('\n')}\n`);
  const isWell = scrubs.every(
    ({ scrub: { state, objectsDamaged, objectsHealed } }) =>
      state === 'done' && objectsHealed === objectsDamaged,
  );
  return isWell ? EXIT.ok : EXIT.notInSync;
}
