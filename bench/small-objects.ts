/** Claim: many requests for small and middling objects at once, every write synced on both mirrors before its answer. */
import { generateLoad, type LoadMethod, type LoadOrder, measureUsage } from './load.js';
import { type Measurement, rateOf } from './measurement.js';
import type { SmallOperation } from './suites.js';
import { BENCH_BUCKET, type BenchTarget } from './target.js';

const FILL_CONNECTIONS = 16;
const FILL_BYTES_MAX = 64 * 1024 * 1024;
const FILL_KEYS_MAX = 2000;
/** DELETE removes what was put for it, so it is measured over so many requests, not over a time. */
const DELETES_PER_SECOND_WISHED = 1000;

const METHODS: Readonly<Record<SmallOperation, readonly LoadMethod[]>> = {
  put: ['PUT'],
  get: ['GET'],
  head: ['HEAD'],
  delete: ['DELETE'],
  /** 70 % GET, 20 % PUT, 10 % LIST. */
  mixed: ['GET', 'GET', 'PUT', 'GET', 'GET', 'LIST', 'GET', 'GET', 'PUT', 'GET'],
};

export interface SmallOptions {
  readonly suite: string;
  readonly operation: SmallOperation;
  readonly sizeBytes: number;
  readonly seconds: number;
  /** Of the same load, before it counts: a process runs its code some 20,000 times until that is compiled as it will stay. */
  readonly warmUpSeconds: number;
  readonly connections: readonly number[];
}

/** The order without what differs from one load to the next. */
export type BaseOrder = Omit<LoadOrder, 'methods' | 'connections' | 'seconds' | 'amount'>;

async function put(base: BaseOrder, amount: number): Promise<void> {
  const order: LoadOrder = { ...base, methods: ['PUT'], connections: FILL_CONNECTIONS, seconds: 0, amount };
  const { failures } = await generateLoad(order);
  if (failures > 0) throw new Error(`${failures} of ${amount} objects could not be stored`);
}

/** Stores what the measured requests will ask for. */
async function fill(base: BaseOrder): Promise<void> {
  await put({ ...base, keyPrefix: base.stored.keyPrefix }, base.stored.keyCount);
}

/** Bytes of content that the answers of `requests` carried. */
function contentBytesOf(methods: readonly LoadMethod[], requests: number, sizeBytes: number): number {
  const carrying = methods.filter((method) => method === 'PUT' || method === 'GET').length;
  return (requests * sizeBytes * carrying) / methods.length;
}

/** Loads a target without counting. `base.keyPrefix` is of this load alone. */
export async function warmUp(base: BaseOrder, connections: number, options: SmallOptions): Promise<void> {
  const { operation, warmUpSeconds: seconds } = options;
  await generateLoad({
    ...base,
    ...{ methods: METHODS[operation], connections, seconds, amount: null },
    keyPrefix: `warm-up-${base.keyPrefix}`,
  });
}

/** `base.keyPrefix` is of this load alone. */
export async function measureLoad(
  target: BenchTarget,
  base: BaseOrder,
  connections: number,
  options: SmallOptions,
): Promise<Measurement> {
  const { operation, seconds, sizeBytes, suite } = options;
  const methods = METHODS[operation];
  const order: LoadOrder = { ...base, ...{ methods, connections, seconds, amount: null } };
  const deletes = seconds * DELETES_PER_SECOND_WISHED;
  if (operation === 'delete') await put(order, deletes);
  const load = operation === 'delete' ? { ...order, amount: deletes } : order;
  const { result, usage } = await measureUsage(target.processes, () => generateLoad(load));
  return {
    suite,
    operation: suite,
    target: target.name,
    syncs: target.syncs,
    connections,
    requests: result.requests,
    failures: result.failures,
    seconds: result.seconds,
    contentBytes: contentBytesOf(methods, result.requests, sizeBytes),
    storedBytes: result.puts * sizeBytes,
    latencyMs: result.latencyMs,
    usage,
    generatorCpuSeconds: result.cpuSeconds,
  };
}

/** Stores what the loads of a target need. */
export async function prepare(
  target: BenchTarget,
  { suite, operation, sizeBytes }: SmallOptions,
): Promise<BaseOrder> {
  const keyCount = Math.max(16, Math.min(FILL_KEYS_MAX, FILL_BYTES_MAX / sizeBytes));
  const stored = { keyPrefix: `stored-${suite}-`, keyCount };
  const base: BaseOrder = {
    ...{ access: target.access, bucket: BENCH_BUCKET, keyPrefix: '', firstIndex: 0, sizeBytes, stored },
  };
  if (operation !== 'put' && operation !== 'delete') await fill(base);
  return base;
}

/** One target after the other, so that they don't share the processors. */
export async function benchSmallObjects(
  targets: readonly BenchTarget[],
  options: SmallOptions,
  report: (line: string) => void,
): Promise<Measurement[]> {
  const measurements: Measurement[] = [];
  const { suite, operation } = options;
  for (const target of targets) {
    if (!target.serves(operation)) continue;
    const base = await prepare(target, options);
    for (const connections of options.connections) {
      const load = { ...base, keyPrefix: `${suite}-${connections}-` };
      if (operation !== 'delete') await warmUp(load, connections, options);
      const measurement = await measureLoad(target, load, connections, options);
      report(
        `${suite}  ${target.name}  ${connections} connections  ${rateOf(measurement).toFixed(0)} requests/s`,
      );
      measurements.push(measurement);
    }
  }
  return measurements;
}

/** With fewer, some pages of 1,000 would be short. */
export const LISTED_KEYS_MIN = 5000;

/** LIST of 1,000 names out of many. */
export async function benchList(
  target: BenchTarget,
  options: Pick<SmallOptions, 'seconds' | 'warmUpSeconds' | 'connections'> & { readonly keyCount: number },
  report: (line: string) => void,
): Promise<Measurement[]> {
  const { keyCount, seconds, warmUpSeconds } = options;
  const stored = { keyPrefix: 'listed-', keyCount };
  const base: BaseOrder = {
    ...{ access: target.access, bucket: BENCH_BUCKET, keyPrefix: '', firstIndex: 0, sizeBytes: 64, stored },
  };
  await fill(base);
  const measurements: Measurement[] = [];
  for (const connections of options.connections) {
    const order: LoadOrder = { ...base, methods: ['LIST'], connections, seconds, amount: null };
    await generateLoad({ ...order, seconds: warmUpSeconds });
    const { result, usage } = await measureUsage(target.processes, () => generateLoad(order));
    const { requests, failures, latencyMs, cpuSeconds: generatorCpuSeconds } = result;
    const operation = `list 1000 of ${keyCount}`;
    report(`${operation}  ${connections} connections  p50 ${latencyMs.p50.toFixed(1)} ms`);
    measurements.push({
      ...{ suite: 'list', operation, target: target.name, syncs: target.syncs, connections },
      ...{ requests, failures, seconds: result.seconds, contentBytes: 0, storedBytes: 0 },
      ...{ latencyMs, usage, generatorCpuSeconds },
    });
  }
  return measurements;
}
