/** Requests followed through real processes: the gateway with its workers, and both OSDs. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type CollectedSpan, OtlpCollector } from '../support/otlp-collector.js';
import { until } from '../support/patience.js';
import { type SystemOptions, TallySystem } from '../support/tally-system.js';

const WITHIN_MS = 30_000;
const CALLER_TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const CALLER_SPAN = '00f067aa0ba902b7';

let folder: string;
let collector: OtlpCollector;
let system: TallySystem;

function useTracedSystem(options: SystemOptions = {}): void {
  beforeAll(async () => {
    collector = await OtlpCollector.start();
    folder = mkdtempSync(join(tmpdir(), 'tally-tracing-'));
    const configurationFile = join(folder, 'tally.yaml');
    writeFileSync(configurationFile, `tracing: { endpoint: '${collector.endpoint}' }\n`);
    system = await TallySystem.start({ configurationFile, ...options });
    await system.s3.createBucket('bucket');
  });

  afterAll(async () => {
    await system.dispose();
    await collector.stop();
    rmSync(folder, { recursive: true });
  });

  beforeEach(() => {
    collector.spans.length = 0;
  });
}

/** The spans of one trace, once so many of each of these have come; there may be others of questions that were asked first. */
function trace(traceId: string, wanted: Readonly<Record<string, number>>): Promise<readonly CollectedSpan[]> {
  const seen = () => collector.spans.filter((span) => span.traceId === traceId);
  const isThere = (spans: readonly CollectedSpan[]) =>
    Object.entries(wanted).every(
      ([name, count]) => spans.filter((span) => span.name === name).length >= count,
    );
  return until(`${JSON.stringify(wanted)} came`, seen, isThere, { withinMs: WITHIN_MS });
}

const WHOLE_PUT = { 'S3 PutObject': 1, 'write to osd-0': 1, 'write to osd-1': 1, 'OSD write': 2 };

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

async function ask(
  method: 'GET' | 'HEAD',
  path: string,
  query: Readonly<Record<string, string>> = {},
): Promise<void> {
  const headers = { traceparent: `00-${CALLER_TRACE}-${CALLER_SPAN}-01` };
  const { status } = await system.s3.request({ method, path, query, headers });
  expect(status).toBe(200);
}

describe('a system', () => {
  useTracedSystem();

  it('a PUT is one trace of spans from all three processes, each below the one that caused it', async () => {
    await put('small', 1000);
    const spans = await trace(CALLER_TRACE, WHOLE_PUT);
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
    for (const { traceId } of puts) {
      const spans = await trace(traceId, WHOLE_PUT);
      expect(spans.filter(({ name }) => name === 'OSD write')).toHaveLength(2);
    }
    collector.spans.length = 0;
    await put('large', 5_000_000);
    const spans = await trace(CALLER_TRACE, { ...WHOLE_PUT, 'OSD stage': 2 });
    for (const mirror of ['osd-0', 'osd-1']) only(spans, 'tally-osd', 'OSD stage', mirror);
  });

  it('a caller that wants no trace gets none', async () => {
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

  it('a GET, a HEAD and a listing are traces of the gateway and of the OSD that answered', async () => {
    await system.s3.put('bucket', 'read', Buffer.alloc(2_000_000, 1));
    const cases = [
      ['GET', '/bucket/read', 'S3 GetObject', /^read from osd-[01]$/, 'OSD read'],
      ['HEAD', '/bucket/read', 'S3 HeadObject', /^look at osd-[01]$/, 'OSD read'],
      ['GET', '/bucket', 'S3 ListObjectsV2', /^list from osd-[01]$/, 'OSD list'],
    ] as const;
    for (const [method, path, operation, asked, done] of cases) {
      collector.spans.length = 0;
      await ask(method, path, path === '/bucket' ? { 'list-type': '2' } : {});
      const spans = await trace(CALLER_TRACE, { [operation]: 1, [done]: 1 });
      const request = only(spans, 'tally-gateway', operation);
      const questions = spans.filter(({ name }) => asked.test(name));
      expect(questions.length, operation).toBeGreaterThan(0);
      for (const question of questions) {
        expect(question).toMatchObject({ service: 'tally-gateway', parentSpanId: request.spanId, kind: 3 });
      }
      const ids = questions.map(({ spanId }) => spanId);
      const answers = spans.filter(({ name, service }) => name === done && service === 'tally-osd');
      expect(answers.length, operation).toBeGreaterThan(0);
      for (const { parentSpanId } of answers) expect(ids).toContain(parentSpanId);
    }
  });
});

describe('a system whose writes are forwarded', () => {
  useTracedSystem({ writes: 'forwarded' });

  it('a PUT is followed to the OSD that issues its tag, and from there to the other one', async () => {
    await put('forwarded', 1000);
    const spans = await trace(CALLER_TRACE, { 'S3 PutObject': 1, 'OSD forwarded write': 1, 'OSD write': 1 });
    const request = only(spans, 'tally-gateway', 'S3 PutObject');
    const [forward] = spans.filter(({ name }) => name.startsWith('forward a write to '));
    expect(forward).toMatchObject({ service: 'tally-gateway', parentSpanId: request.spanId, kind: 3 });
    const writer = only(spans, 'tally-osd', 'OSD forwarded write');
    expect(writer.parentSpanId).toBe(forward?.spanId);
    expect(forward?.name).toBe(`forward a write to ${writer.instance}`);
    const other = writer.instance === 'osd-0' ? 'osd-1' : 'osd-0';
    const sent = only(spans, 'tally-osd', `write to ${other}`, writer.instance);
    expect(sent.parentSpanId).toBe(writer.spanId);
    expect(only(spans, 'tally-osd', 'OSD write', other).parentSpanId).toBe(sent.spanId);
  });
});

describe('a system with two workers', () => {
  useTracedSystem({ workers: 2 });

  it('a PUT that comes in at the one and is written by the other stays one trace', async () => {
    const writers = new Set<string>();
    for (let index = 0; index < 30 && writers.size < 2; index += 1) {
      collector.spans.length = 0;
      await put(`spread-${index}`, 1000);
      const spans = await trace(CALLER_TRACE, WHOLE_PUT);
      const request = only(spans, 'tally-gateway', 'S3 PutObject');
      const byId = new Map(spans.map((span) => [span.spanId, span]));
      for (const mirror of ['osd-0', 'osd-1']) {
        const write = only(spans, 'tally-gateway', `write to ${mirror}`);
        writers.add(write.instance === request.instance ? 'its own' : 'the other');
        const cause = byId.get(write.parentSpanId ?? '');
        if (write.instance === request.instance) expect(cause).toBe(request);
        else expect(cause).toMatchObject({ instance: write.instance, parentSpanId: request.spanId });
        expect(only(spans, 'tally-osd', 'OSD write', mirror).parentSpanId).toBe(write.spanId);
      }
    }
    expect([...writers].sort()).toEqual(['its own', 'the other']);
  });
});
