/**
 * Spans: what one request costs, in which process. They are kept until they are sent (otlp-exporter.ts); nothing waits for that.
 *
 * Which span is the present one follows the asynchronous calls (AsyncLocalStorage), so that nothing between a request and its
 * writes has to know of it. None of this is loaded unless tracing is on.
 *
 * Why not the OpenTelemetry SDK: trace, its OTLP exporter and its context manager are 13 packages of 28 MiB, for a few spans a request.
 * What goes out is the same OTLP.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import { formatTraceparent, parseTraceparent, type TraceContext } from './trace-context.js';

export type SpanKind = 'internal' | 'server' | 'client';
export type AttributeValue = string | number | boolean;

export interface EndedSpan {
  readonly context: TraceContext;
  /** Null: the trace begins with it. */
  readonly parentSpanId: string | null;
  readonly name: string;
  readonly kind: SpanKind;
  /** Unix ms, with fractions. */
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  /** Null: it went well. */
  readonly failure: string | null;
}

export interface SpanSink {
  take(span: EndedSpan): void;
}

export interface TracerOptions {
  readonly sink: SpanSink;
  /** Of the traces that begin here, the part that is kept; a caller's own decision holds. 0 to 1. */
  readonly sampleRatio: number;
}

const TRACE_ID_BYTES = 16;
const SPAN_ID_BYTES = 8;

class Span {
  readonly context: TraceContext;
  readonly #sink: SpanSink;
  readonly #kind: SpanKind;
  readonly #parentSpanId: string | null;
  readonly #startMs: number;
  readonly #attributes: Record<string, AttributeValue> = {};
  name: string;

  constructor(
    sink: SpanSink,
    identity: { readonly name: string; readonly kind: SpanKind },
    place: { readonly context: TraceContext; readonly parentSpanId: string | null },
  ) {
    this.#sink = sink;
    this.name = identity.name;
    this.#kind = identity.kind;
    this.context = place.context;
    this.#parentSpanId = place.parentSpanId;
    this.#startMs = performance.timeOrigin + performance.now();
  }

  get traceparent(): string {
    return formatTraceparent(this.context);
  }

  set(name: string, value: AttributeValue): void {
    this.#attributes[name] = value;
  }

  /** Once. `failure`: why it did not go well; null when it did. */
  end(failure: string | null): void {
    if (!this.context.isSampled) return;
    this.#sink.take({
      context: this.context,
      parentSpanId: this.#parentSpanId,
      name: this.name,
      kind: this.#kind,
      startMs: this.#startMs,
      endMs: performance.timeOrigin + performance.now(),
      attributes: this.#attributes,
      failure,
    });
  }
}

export class Tracer {
  readonly #options: TracerOptions;
  readonly #present = new AsyncLocalStorage<Span>();

  constructor(options: TracerOptions) {
    this.#options = options;
  }

  /** The span that the caller runs in. */
  get present(): Span | null {
    return this.#present.getStore() ?? null;
  }

  /** `parent`: the caller's traceparent, the span that it belongs to, or null for a trace of its own. */
  begin(name: string, kind: SpanKind, parent: Span | string | null): Span {
    const { sink, sampleRatio } = this.#options;
    const given = typeof parent === 'string' ? parseTraceparent(parent) : (parent?.context ?? null);
    const spanId = randomBytes(SPAN_ID_BYTES).toString('hex');
    const context =
      given === null
        ? {
            traceId: randomBytes(TRACE_ID_BYTES).toString('hex'),
            spanId,
            isSampled: Math.random() < sampleRatio,
          }
        : { ...given, spanId };
    return new Span(sink, { name, kind }, { context, parentSpanId: given?.spanId ?? null });
  }

  /** What `work` calls runs in the span. */
  runIn<Value>(span: Span, work: () => Value): Value {
    return this.#present.run(span, work);
  }
}
