/**
 * A campaign against a real gateway with two OSDs: malformed requests, one after the other and several at once, and afterwards a look at
 * the process and at the objects that none of them was about.
 */
import fc from 'fast-check';
import { readdirSync } from 'node:fs';
import { SeededRandom } from '../support/seeded-random.js';
import { until } from '../support/patience.js';
import type { S3Access } from '../support/s3-client.js';
import { TallySystem } from '../support/tally-system.js';
import { checkExchange } from './claims.js';
import { exchangeRaw } from './raw-exchange.js';
import { encodeCase, type FuzzCase, fuzzCase } from './spoiled-requests.js';
import { FUZZ_KEY, type FuzzTarget } from './valid-requests.js';

export interface CampaignWish {
  readonly seed: number;
  /** How many batches of cases. */
  readonly runs: number;
  /** fast-check's name of one counterexample. */
  readonly path?: string;
}

export interface CampaignResult {
  readonly requests: number;
  /** In words; empty: every claim held. */
  readonly findings: readonly string[];
}

const BATCH_MAX = 8;
const UNTOUCHED = 'nobody-asks-for-this';
const UNTOUCHED_SIZES = [0, 10, 70_000, 1_000_000];
const DESCRIPTORS_GROWTH_MAX = 40;
const RESIDENT_BYTES_MAX = 400 * 1024 * 1024;
const CALM_WITHIN_MS = 30_000;

export function replayCommand({ seed, runs }: CampaignWish): string {
  return `npm run test:fuzz -- --runs ${runs} --seed ${seed}`;
}

function countDescriptors(processId: number): number {
  return readdirSync(`/proc/${processId}/fd`).length;
}

function untouchedContent(index: number): Buffer {
  return new SeededRandom(index + 1).bytes(UNTOUCHED_SIZES[index] ?? 0);
}

async function prepare({ s3 }: TallySystem): Promise<FuzzTarget> {
  const target = { objects: 'fuzz-objects', settings: 'fuzz-settings' };
  for (const bucket of [UNTOUCHED, target.objects, target.settings]) await s3.createBucket(bucket);
  for (const index of UNTOUCHED_SIZES.keys())
    await s3.put(UNTOUCHED, `key/${index}`, untouchedContent(index));
  await s3.put(target.objects, FUZZ_KEY, Buffer.from('the object that the requests are about'));
  await s3.put(target.settings, 'keeps-the-bucket', Buffer.from('x'));
  const path = `/${target.objects}/${FUZZ_KEY}`;
  const { body } = await s3.request({ method: 'POST', path, query: { uploads: '' } });
  const uploadId = /<UploadId>([^<]*)/.exec(body.toString())?.[1] ?? '';
  return { ...target, uploadId };
}

async function sendCase(fuzz: FuzzCase, target: FuzzTarget, access: S3Access): Promise<void> {
  const bytes = encodeCase(fuzz, target, access);
  const port = Number(new URL(access.endpoint).port);
  const leaves = fuzz.kind === 'gone' ? 'destroy' : 'end';
  checkExchange(fuzz, await exchangeRaw(port, { bytes, leaves }));
}

/** What the campaign may not have changed: the process, what it holds, and other people's objects. */
async function lookAfterwards(system: TallySystem, descriptorsBefore: number): Promise<string[]> {
  const { gateway, osds, s3 } = system;
  const findings: string[] = [];
  for (const { process } of [{ process: gateway }, ...osds])
    if (!process.isRunning) findings.push(`${process.name} ended\n${process.logTail()}`);
  if (findings.length > 0) return findings;
  await until(
    'file descriptors are let go',
    () => countDescriptors(gateway.processId),
    (count) => count <= descriptorsBefore + DESCRIPTORS_GROWTH_MAX,
    { withinMs: CALM_WITHIN_MS },
  ).catch((error: unknown) => findings.push(String(error)));
  const { residentBytes } = gateway.memory();
  if (residentBytes > RESIDENT_BYTES_MAX) findings.push(`the gateway holds ${residentBytes} bytes`);
  for (const index of UNTOUCHED_SIZES.keys()) {
    const content = await s3.get(UNTOUCHED, `key/${index}`);
    if (content?.equals(untouchedContent(index)) !== true) findings.push(`key/${index} is not what it was`);
  }
  const keys = await s3.listKeys(UNTOUCHED);
  if (keys.length !== UNTOUCHED_SIZES.length) findings.push(`keys that nobody wrote: ${keys.join(', ')}`);
  return findings;
}

export async function runCampaign(wish: CampaignWish): Promise<CampaignResult> {
  const system = await TallySystem.start();
  let requests = 0;
  try {
    const target = await prepare(system);
    const descriptorsBefore = countDescriptors(system.gateway.processId);
    const holds = fc.asyncProperty(
      fc.array(fuzzCase, { minLength: 1, maxLength: BATCH_MAX }),
      async (batch) => {
        requests += batch.length;
        await Promise.all(batch.map((fuzz) => sendCase(fuzz, target, system.access)));
        if (!system.gateway.isRunning)
          throw new Error(
            `the gateway ended: ${JSON.stringify(system.gateway.lastExit)}\n${system.gateway.logTail()}`,
          );
      },
    );
    const { seed, runs, path } = wish;
    const outcome = await fc.check(holds, { seed, numRuns: runs, ...(path !== undefined && { path }) });
    const findings = outcome.failed
      ? [`${String(outcome.errorInstance)}\n${fc.defaultReportMessage(outcome) ?? ''}`]
      : [];
    findings.push(...(await lookAfterwards(system, descriptorsBefore)));
    return { requests, findings };
  } finally {
    await system.dispose();
  }
}
