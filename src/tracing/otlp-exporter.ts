/**
 * Sends spans to a collector: OTLP/HTTP with JSON (OTLP specification 1.x, "OTLP/HTTP", "JSON Protobuf Encoding").
 *
 * Spans wait in a bounded queue, and go in batches, one at a time. A collector that is away costs spans, and nothing else: what finds the
 * queue full is dropped and counted, a batch that is not taken is not sent again.
 */
import type { AttributeValue, EndedSpan, SpanKind, SpanSink } from './tracer.js';

export interface OtlpLogger {
  warn(facts: object, message: string): void;
}

export interface OtlpExporterOptions {
  /** Of the collector, such as http://127.0.0.1:4318. */
  readonly endpoint: string;
  readonly service: { readonly name: string; readonly instance: string; readonly version: string };
  readonly logger: OtlpLogger;
}

const QUEUE_SPANS_MAX = 8192;
const BATCH_SPANS_MAX = 512;
const SEND_EVERY_MS = 1000;
const ANSWER_WITHIN_MS = 5000;
/** A collector that is away is told of at most so often. */
const COMPLAIN_EVERY_MS = 60_000;

/** SpanKind of opentelemetry/proto/trace/v1. */
const KINDS: Readonly<Record<SpanKind, number>> = { internal: 1, server: 2, client: 3 };
const STATUS_ERROR = 2;

export class OtlpExporter implements SpanSink {
  readonly #options: OtlpExporterOptions;
  readonly #url: string;
  #queue: EndedSpan[] = [];
  #timer: NodeJS.Timeout | null = null;
  #sending: Promise<void> | null = null;
  #droppedCount = 0;
  #complainedMs = Number.NEGATIVE_INFINITY;

  constructor(options: OtlpExporterOptions) {
    this.#options = options;
    this.#url = `${options.endpoint.replace(/\/+$/, '')}/v1/traces`;
  }

  take(span: EndedSpan): void {
    if (this.#queue.length >= QUEUE_SPANS_MAX) {
      this.#droppedCount += 1;
      return;
    }
    this.#queue.push(span);
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#sending ??= this.#sendAll().finally(() => {
        this.#sending = null;
      });
    }, SEND_EVERY_MS).unref();
  }

  /** Sends what waits. */
  async stop(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#sending;
    await this.#sendAll();
  }

  /** Never rejects. */
  async #sendAll(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, BATCH_SPANS_MAX);
      try {
        await this.#send(batch);
      } catch (error) {
        this.#droppedCount += batch.length;
        this.#complain(error);
      }
    }
  }

  async #send(batch: readonly EndedSpan[]): Promise<void> {
    const answer = await fetch(this.#url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(encodeSpans(batch, this.#options.service)),
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    });
    await answer.arrayBuffer();
    if (!answer.ok) throw new Error(`the collector answered ${answer.status}`);
  }

  #complain(error: unknown): void {
    if (performance.now() - this.#complainedMs < COMPLAIN_EVERY_MS) return;
    this.#complainedMs = performance.now();
    const facts = { url: this.#url, err: error, droppedCount: this.#droppedCount };
    this.#options.logger.warn(facts, 'spans could not be sent to the collector');
    this.#droppedCount = 0;
  }
}

/** An ExportTraceServiceRequest. */
function encodeSpans(spans: readonly EndedSpan[], service: OtlpExporterOptions['service']): object {
  const resource = {
    'service.name': service.name,
    'service.instance.id': service.instance,
    'service.version': service.version,
  };
  const scope = { name: 'tally', version: service.version };
  return {
    resourceSpans: [
      {
        resource: { attributes: encodeAttributes(resource) },
        scopeSpans: [{ scope, spans: spans.map(encodeSpan) }],
      },
    ],
  };
}

function encodeSpan(span: EndedSpan): object {
  const { context, parentSpanId, name, kind, startMs, endMs, attributes, failure } = span;
  return {
    traceId: context.traceId,
    spanId: context.spanId,
    ...(parentSpanId !== null && { parentSpanId }),
    name,
    kind: KINDS[kind],
    startTimeUnixNano: toNanoseconds(startMs),
    endTimeUnixNano: toNanoseconds(endMs),
    attributes: encodeAttributes(attributes),
    ...(failure !== null && { status: { code: STATUS_ERROR, message: failure } }),
  };
}

/** 64 bits are text in JSON; whole microseconds are what the clock has. */
function toNanoseconds(ms: number): string {
  return `${Math.round(ms * 1000)}000`;
}

function encodeAttributes(attributes: Readonly<Record<string, AttributeValue>>): object[] {
  return Object.entries(attributes).map(([key, value]) => ({ key, value: encodeValue(value) }));
}

function encodeValue(value: AttributeValue): object {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}
