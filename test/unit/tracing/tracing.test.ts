import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OtlpExporter } from '../../../src/tracing/otlp-exporter.js';
import { formatTraceparent, parseTraceparent } from '../../../src/tracing/trace-context.js';
import { type EndedSpan, Tracer } from '../../../src/tracing/tracer.js';
import { OtlpCollector } from '../../support/otlp-collector.js';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

describe('a traceparent (W3C Trace Context)', () => {
  it('is read as it was written', () => {
    for (const isSampled of [true, false]) {
      const context = { traceId: TRACE, spanId: SPAN, isSampled };
      expect(parseTraceparent(formatTraceparent(context))).toEqual(context);
    }
    expect(formatTraceparent({ traceId: TRACE, spanId: SPAN, isSampled: true })).toBe(
      `00-${TRACE}-${SPAN}-01`,
    );
  });

  it.each([
    [`01-${TRACE}-${SPAN}-01-what-is-to-come`, true],
    [`00-${TRACE}-${SPAN}-03`, true],
    [`00-${TRACE}-${SPAN}-01-more`, false],
    [`ff-${TRACE}-${SPAN}-01`, false],
    [`00-${'0'.repeat(32)}-${SPAN}-01`, false],
    [`00-${TRACE}-${'0'.repeat(16)}-01`, false],
    [`00-${TRACE.toUpperCase()}-${SPAN}-01`, false],
    [`01-${TRACE}-${SPAN}-01-${'x'.repeat(1000)}`, false],
    ['', false],
    ['nonsense', false],
  ])('%s means something: %s', (text, isMeant) => {
    expect(parseTraceparent(text) !== null).toBe(isMeant);
  });
});

describe('a tracer', () => {
  const spans: EndedSpan[] = [];
  const make = (sampleRatio: number) =>
    new Tracer({ sink: { take: (span) => spans.push(span) }, sampleRatio });
  beforeEach(() => {
    spans.length = 0;
  });

  it('knows the present span in everything that the work calls, and in nothing else', async () => {
    const tracer = make(1);
    const outer = tracer.begin('outer', 'server', null);
    const other = tracer.begin('other', 'server', null);
    const later = async () => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return tracer.present;
    };
    expect(await Promise.all([tracer.runIn(outer, later), tracer.runIn(other, later)])).toEqual([
      outer,
      other,
    ]);
    expect(tracer.present).toBeNull();
  });

  it('puts a span into the trace of its parent, here or in another process', () => {
    const tracer = make(0);
    const caller = `00-${TRACE}-${SPAN}-01`;
    const server = tracer.begin('server', 'server', caller);
    tracer.begin('client', 'client', server).end(null);
    server.end('it failed');
    expect(
      spans.map(({ name, context, parentSpanId, failure }) => [name, context.traceId, parentSpanId, failure]),
    ).toEqual([
      ['client', TRACE, server.context.spanId, null],
      ['server', TRACE, SPAN, 'it failed'],
    ]);
  });

  it('keeps no span of a trace that is not sampled, and tells others that it is not', () => {
    const tracer = make(0);
    const span = tracer.begin('a', 'server', null);
    expect(span.traceparent).toMatch(/-00$/);
    span.end(null);
    make(1).begin('b', 'server', `00-${TRACE}-${SPAN}-00`).end(null);
    expect(spans).toEqual([]);
  });
});

describe('an exporter', () => {
  let collector: OtlpCollector;
  const complaints: object[] = [];
  const makeExporter = (endpoint: string) =>
    new OtlpExporter({
      endpoint,
      service: { name: 'tally-test', instance: 'one', version: '1' },
      logger: { warn: (facts) => complaints.push(facts) },
    });
  beforeEach(async () => {
    complaints.length = 0;
    collector = await OtlpCollector.start();
  });
  afterEach(() => collector.stop());

  it('sends spans in batches, the last of them when it is stopped', async () => {
    const exporter = makeExporter(`${collector.endpoint}/`);
    const tracer = new Tracer({ sink: exporter, sampleRatio: 1 });
    const before = BigInt(Date.now()) * 1_000_000n;
    for (let count = 0; count < 700; count += 1) {
      const span = tracer.begin(`span ${count}`, 'client', null);
      span.set('text', 'ä');
      span.set('count', count);
      span.set('isFlag', true);
      span.end(count === 0 ? 'it failed' : null);
    }
    await exporter.stop();
    expect(collector.spans).toHaveLength(700);
    expect(collector.requestCount).toBe(2);
    const [first] = collector.spans;
    expect(first).toMatchObject({
      service: 'tally-test',
      instance: 'one',
      name: 'span 0',
      kind: 3,
      isError: true,
    });
    expect(first?.attributes).toEqual({ text: 'ä', count: '0', isFlag: true });
    expect(first!.startNano).toBeGreaterThanOrEqual(before - 5_000_000_000n);
    expect(first!.endNano).toBeGreaterThanOrEqual(first!.startNano);
    expect(complaints).toEqual([]);
  });

  it('that is refused drops what it has, says so once, and holds nobody up', async () => {
    collector.status = 503;
    const exporter = makeExporter(collector.endpoint);
    const tracer = new Tracer({ sink: exporter, sampleRatio: 1 });
    for (let count = 0; count < 10_000; count += 1) tracer.begin('span', 'internal', null).end(null);
    await exporter.stop();
    expect(collector.spans).toEqual([]);
    expect(complaints).toHaveLength(1);
    // What did not fit into the queue, and the first batch.
    expect(complaints[0]).toMatchObject({ droppedCount: 10_000 - 8192 + 512 });
  });
});
