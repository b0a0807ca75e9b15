/** `tally verify`: compares the mirrors object by object, and with `--wait` shows it to its end. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { AdminClient, AdminVerification, VerifyRequest } from './admin-client.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { formatBytes, formatCount, formatDuration, plural } from '../gateway/figures.js';
import { OperationalError } from './operational-error.js';
import { WorkDisplay } from './work-display.js';

export interface VerifyOptions extends VerifyRequest {
  readonly isJson: boolean;
  readonly waits: boolean;
}

const POLL_MS = 500;

/** Exit code 0: every object was compared, and the mirrors are identical now. */
export async function verify(client: AdminClient, options: VerifyOptions): Promise<ExitCode> {
  const { verification: begun, isNew } = await client.verify(options);
  if (!isNew) process.stderr.write(`${describeRunning(begun)}\n`);
  if (!options.waits) {
    const text = `The mirrors are compared now. "tally verify --wait" waits for the end, and says what was found.`;
    process.stdout.write(`${options.isJson ? JSON.stringify(begun, null, 2) : text}\n`);
    return EXIT.ok;
  }
  const ended = await follow(client, begun, options);
  process.stdout.write(`${options.isJson ? JSON.stringify(ended, null, 2) : describeEnd(ended)}\n`);
  return isIdentical(ended) ? EXIT.ok : EXIT.notInSync;
}

function isIdentical({ state, differenceCount, repairedCount, objectsChanging }: AdminVerification): boolean {
  return state === 'done' && differenceCount === repairedCount && objectsChanging === 0;
}

function describeRunning({ repairs, isQuick }: AdminVerification): string {
  const how = `${isQuick ? 'quick' : 'full'}, ${repairs ? 'with' : 'without'} repair`;
  return `A verification is running already (${how}): this is about that one.`;
}

async function follow(
  client: AdminClient,
  begun: AdminVerification,
  { isJson }: VerifyOptions,
): Promise<AdminVerification> {
  const display = new WorkDisplay({
    isSilent: isJson,
    whenLeft:
      'The verification goes on. "tally verify --wait" waits for it again, "tally verify --stop" ends it.',
  });
  const startMs = performance.now();
  try {
    for (;;) {
      const found = await client.verification();
      if (found?.id !== begun.id)
        throw new OperationalError(
          'gateway-gone',
          EXIT.unavailable,
          'The gateway has lost that verification.',
        );
      if (found.state !== 'running' && found.state !== 'waiting') return found;
      const elapsedMs = Math.max(1, performance.now() - startMs);
      const bytesPerSecond = ((found.bytesCompared - begun.bytesCompared) / elapsedMs) * 1000;
      display.show(found.objectsCompared, found.objectsExpected, describeProgress(found, bytesPerSecond));
      await sleep(POLL_MS);
    }
  } finally {
    display.end();
  }
}

/** Exit code 0: it is over. */
export async function stopVerification(client: AdminClient, isJson: boolean): Promise<ExitCode> {
  const stopped = await client.stopVerification();
  process.stdout.write(`${isJson ? JSON.stringify(stopped, null, 2) : describeEnd(stopped)}\n`);
  return EXIT.ok;
}

function describeProgress(found: AdminVerification, bytesPerSecond: number): string {
  if (found.state === 'waiting') return 'It waits until there are two mirrors in sync to compare.';
  const { objectsCompared, objectsExpected, bytesCompared, differenceCount } = found;
  const objects = `${formatCount(objectsCompared)} of about ${plural(objectsExpected, 'object')} compared`;
  const rate = `${formatBytes(bytesCompared)}, ${formatBytes(Math.max(0, bytesPerSecond))}/s`;
  return `${objects} (${rate}), ${plural(differenceCount, 'difference')}`;
}

function describeEnd(found: AdminVerification): string {
  const { state, failure, isQuick, objectsCompared, bytesCompared, startedMs, endedMs } = found;
  const { objectsChanging, differenceCount, repairedCount, differences } = found;
  const read = isQuick ? 'content not read' : `${formatBytes(bytesCompared)} read on each mirror`;
  const took = formatDuration((endedMs ?? startedMs) - startedMs);
  const lines = [`${plural(objectsCompared, 'object')} compared, ${read}, in ${took}.`];
  if (state === 'stopped') lines.unshift('The verification was stopped by an operator.');
  if (state === 'failed') lines.unshift(`The verification failed: ${failure ?? 'nobody knows why'}.`);
  if (objectsChanging > 0)
    lines.push(`${plural(objectsChanging, 'object')} kept changing and could not be compared.`);
  for (const difference of differences) lines.push(describeDifference(difference));
  if (differences.length < differenceCount)
    lines.push(`... and ${differenceCount - differences.length} more; the log of the gateway has them all.`);
  if (differenceCount > 0) lines.push(`${plural(differenceCount, 'difference')}, ${repairedCount} repaired.`);
  else if (isIdentical(found)) lines.push('The mirrors are identical.');
  return lines.join('\n');
}

function describeDifference(difference: AdminVerification['differences'][number]): string {
  const { bucket, key, version, kind, mirrors, outcome, detail } = difference;
  const name = `${bucket}/${key}${version === '' ? '' : ` (version ${version})`}`;
  const sides = mirrors.map(({ mirror, lastTag, sizeBytes, isDamaged }) => {
    if (isDamaged) return `${mirror}: damaged`;
    if (sizeBytes === null) return `${mirror}: ${lastTag === null ? 'nothing' : `removed at ${lastTag}`}`;
    return `${mirror}: ${sizeBytes} bytes at ${lastTag ?? '-'}`;
  });
  return `  ${name}: ${kind} (${sides.join('; ')}): ${outcome}, ${detail}`;
}
