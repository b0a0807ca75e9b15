/**
 * Prometheus' text form of figures that live elsewhere. Nothing is counted here: every metric reads its figures when somebody asks
 * for the text, so between two scrapes it costs nothing. The only place that knows prom-client.
 */
import {
  collectDefaultMetrics,
  Counter,
  Gauge,
  Histogram,
  type MetricValueWithName,
  Registry,
} from 'prom-client';
import type { HistogramSnapshot } from './histogram.js';

type Labels = Readonly<Record<string, string>>;

export interface Sample {
  readonly labels?: Labels;
  readonly value: number;
}

export interface HistogramSample {
  readonly labels?: Labels;
  readonly histogram: HistogramSnapshot;
}

export interface MetricDescription {
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly string[];
}

export interface MetricsText {
  readonly contentType: string;
  readonly text: string;
}

/** A histogram whose buckets were counted by somebody else. prom-client renders what `getForPromString` returns. */
class PulledHistogram extends Histogram {
  readonly #description: MetricDescription;
  readonly #read: () => Iterable<HistogramSample>;

  constructor(description: MetricDescription, registry: Registry, read: () => Iterable<HistogramSample>) {
    const { name, help, labels = [] } = description;
    super({ name, help, labelNames: [...labels], registers: [registry] });
    this.#description = description;
    this.#read = read;
  }

  async getForPromString() {
    const { name, help } = this.#description;
    const values: MetricValueWithName<string>[] = [];
    for (const { labels = {}, histogram } of this.#read()) {
      const { bounds, cumulativeCounts, count, sum } = histogram;
      bounds.forEach((le, bucket) => {
        const value = cumulativeCounts[bucket] ?? 0;
        values.push({ metricName: `${name}_bucket`, labels: { ...labels, le }, value });
      });
      values.push({ metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: count });
      values.push({ metricName: `${name}_sum`, labels, value: sum });
      values.push({ metricName: `${name}_count`, labels, value: count });
    }
    return { name, help, type: 'histogram', values };
  }
}

export class Exposition {
  readonly #registry = new Registry();
  #hasProcess = false;

  gauge(
    { name, help, labels = [] }: MetricDescription,
    read: () => Iterable<Sample> | Promise<Iterable<Sample>>,
  ): void {
    new Gauge({
      ...{ name, help, labelNames: [...labels], registers: [this.#registry] },
      async collect() {
        this.reset();
        for (const sample of await read()) this.set(sample.labels ?? {}, sample.value);
      },
    });
  }

  counter(
    { name, help, labels = [] }: MetricDescription,
    read: () => Iterable<Sample> | Promise<Iterable<Sample>>,
  ): void {
    new Counter({
      ...{ name, help, labelNames: [...labels], registers: [this.#registry] },
      async collect() {
        this.reset();
        for (const sample of await read()) this.inc(sample.labels ?? {}, sample.value);
      },
    });
  }

  histogram(description: MetricDescription, read: () => Iterable<HistogramSample>): void {
    new PulledHistogram(description, this.#registry, read);
  }

  /** The first time it adds what node knows of this process: CPU, memory, event loop lag. Nobody asks, nobody measures. */
  async render(): Promise<MetricsText> {
    if (!this.#hasProcess) collectDefaultMetrics({ register: this.#registry });
    this.#hasProcess = true;
    return { contentType: this.#registry.contentType, text: await this.#registry.metrics() };
  }
}

/** A gauge of which exactly one state is 1. */
export function stateSamples(states: readonly string[], state: string, labels: Labels = {}): Sample[] {
  return states.map((candidate) => ({
    labels: { ...labels, state: candidate },
    value: candidate === state ? 1 : 0,
  }));
}
