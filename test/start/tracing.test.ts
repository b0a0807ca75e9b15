/** One PUT followed through three real processes: the gateway and both OSDs. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type CollectedSpan, OtlpCollector } from '../support/otlp-collector.js';
import { until } from '../support/patience.js';
import { TallySystem } from '../support/tally-system.js';

const WITHIN_MS = 30_000;
const CALLER_TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const CALLER_SPAN = '00f067aa0ba902b7';

let folder: string;
let collector: OtlpCollector;
let system: TallySystem;

beforeAll(async () => {
  collector = await OtlpCollector.start();
  folder = mkdtempSync(join(tmpdir(), 'tally-tracing-'));
  const configurationFile = join(folder, 'tally.yaml');
  writeFileSync(configurationFile, `tracing: { endpoint: '${collector.endpoint}' }\n`);
  system = await TallySystem.start({ configurationFile });
  await system.s3.createBucket('bucket');
});

afterAll(async () => {
  await system.dispose();
  await collector.stop();
  rmSync(folder, { recursive: true });
});

/** The spans of one trace, once all of them have come. */
function trace(traceId: string, count: number): Promise<readonly CollectedSpan[]> {
  const seen = () => collector.spans.filter((span) => span.traceId === traceId);
  return until(`${count} spans came`, seen, (spans) => spans.length >= count, { withinMs: WITHIN_MS });
}

function only(
  spans: readonly CollectedSpan[],
  service: string,
  name: string,
  instance?: string,
): CollectedSpan {
  const found = spans.filter(
    (span) =>
      span.service === service &&
      span.name === name &&
      (instance === undefined || span.instance === instance),
  );
  expect(found, `${service}: ${name}`).toHaveLength(1);
  return found[0]!;
}

async function put(key: string, lengthBytes: number): Promise<void> {
  const headers = { traceparent: `00-${CALLER_TRACE}-${CALLER_SPAN}-01` };
  const { status } = await system.s3.request({
    method: 'PUT',
    path: `/bucket/${key}`,
    headers,
    body: Buffer.alloc(lengthBytes, 1),
  });
  expect(status).toBe(200);
}

it('a PUT is one trace of spans from all three processes, each below the one that caused it', async () => {
  await put('small', 1000);
  const spans = await trace(CALLER_TRACE, 5);
  expect(spans).toHaveLength(5);
  const request = only(spans, 'tally-gateway', 'S3 PutObject');
  expect(request).toMatchObject({ parentSpanId: CALLER_SPAN, kind: 2, isError: false });
  expect(request.attributes).toMatchObject({
    'http.response.status_code': '200',
    'tally.received_bytes': '1000',
  });
  for (const mirror of ['osd-0', 'osd-1']) {
    const write = only(spans, 'tally-gateway', `write to ${mirror}`);
    expect(write).toMatchObject({ parentSpanId: request.spanId, kind: 3 });
    const done = only(spans, 'tally-osd', 'OSD write', mirror);
    expect(done).toMatchObject({ parentSpanId: write.spanId, kind: 2 });
  }
});

it('writes that share a batch stay in the traces of their own requests; a large one has its stages', async () => {
  collector.spans.length = 0;
  const count = 24;
  const outcomes = await Promise.all(
    Array.from({ length: count }, (_, index) =>
      system.s3.put('bucket', `many-${index}`, Buffer.from(`${index}`)),
    ),
  );
  expect(outcomes.every(({ status }) => status === 200)).toBe(true);
  const puts = await until(
    'every request has its span',
    () => collector.spans.filter(({ name }) => name === 'S3 PutObject'),
    (seen) => seen.length === count,
    { withinMs: WITHIN_MS },
  );
  expect(new Set(puts.map(({ traceId }) => traceId)).size).toBe(count);
  for (const { traceId } of puts) expect((await trace(traceId, 5)).length).toBe(5);
  collector.spans.length = 0;
  await put('large', 5_000_000);
  const spans = await trace(CALLER_TRACE, 7);
  for (const mirror of ['osd-0', 'osd-1']) only(spans, 'tally-osd', 'OSD stage', mirror);
});

it('a caller that wants no trace gets none', async () => {
  collector.spans.length = 0;
  const headers = { traceparent: `00-${'1'.repeat(32)}-${CALLER_SPAN}-00` };
  await system.s3.request({ method: 'PUT', path: '/bucket/untraced', headers, body: Buffer.from('x') });
  const other = await system.s3.put('bucket', 'traced', Buffer.from('x'));
  expect(other.status).toBe(200);
  await until(
    'the later one came',
    () => collector.spans.length,
    (seen) => seen >= 5,
    { withinMs: WITHIN_MS },
  );
  expect(collector.spans.filter(({ traceId }) => traceId === '1'.repeat(32))).toEqual([]);
});
