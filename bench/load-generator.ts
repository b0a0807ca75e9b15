/**
 * A child process that loads an S3 endpoint with autocannon. Every request has a key of its own and is signed as it is made:
 * that costs this process about 10 µs, and the measured ones nothing. It gets one `LoadOrder`, answers one `LoadFigures`, and ends.
 */
import autocannon from 'autocannon';
import { signHeaders } from '../test/support/s3-client.js';
import { SeededRandom } from '../test/support/seeded-random.js';
import type { LoadFigures, LoadOrder } from './load.js';

const RESULT_SAMPLE_MS = 100;

function percentile(sorted: Float64Array, fraction: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] ?? 0;
}

/** The path of the n-th request: a new one for each PUT, the stored ones in turn for GET. */
function targetOf({ bucket, keyPrefix, keyCount, method }: LoadOrder, index: number): string {
  const key = method === 'GET' ? index % keyCount : index;
  return `/${bucket}/${keyPrefix}${key}`;
}

/** Text, since autocannon decodes every answer as UTF-8: with random bytes that takes it 20 ms per MiB, with ASCII next to nothing. */
function makeBody(lengthBytes: number): Buffer {
  return Buffer.from(
    new SeededRandom(1).bytes(lengthBytes).toString('base64').slice(0, lengthBytes),
    'latin1',
  );
}

function makeRequest(order: LoadOrder): autocannon.Request {
  const body = order.method === 'PUT' ? makeBody(order.sizeBytes) : null;
  let count = order.firstIndex;
  return {
    method: order.method,
    setupRequest: (request) => {
      const target = targetOf(order, count);
      count += 1;
      // The spelling is autocannon's: it sets this very header itself, and two would be one too many.
      const headers = signHeaders(order.access, {
        method: order.method,
        target,
        headers: body === null ? {} : { 'Content-Length': String(body.length) },
        body: body === null ? 'none' : 'unsigned',
      });
      return { ...request, path: target, headers, ...(body !== null && { body }) };
    },
  };
}

function run(order: LoadOrder): Promise<LoadFigures> {
  const latenciesMs: number[] = [];
  const startMs = performance.now();
  return new Promise((resolve, reject) => {
    const instance = autocannon(
      {
        url: order.access.endpoint,
        connections: order.connections,
        sampleInt: RESULT_SAMPLE_MS,
        timeout: 60,
        requests: [makeRequest(order)],
        ...(order.amount === null ? { duration: order.seconds } : { amount: order.amount }),
      },
      (error: unknown, result) => {
        if (error instanceof Error) {
          reject(error);
          return;
        }
        const sorted = Float64Array.from(latenciesMs).sort();
        const { user, system } = process.cpuUsage();
        resolve({
          requests: result['2xx'],
          failures: result.non2xx + result.errors,
          seconds: (performance.now() - startMs) / 1000,
          p50Ms: percentile(sorted, 0.5),
          p99Ms: percentile(sorted, 0.99),
          cpuSeconds: (user + system) / 1e6,
        });
      },
    );
    instance.on('response', (_client, statusCode, _bytes, responseMs) => {
      if (statusCode < 300) latenciesMs.push(responseMs);
    });
  });
}

process.once('message', (order: LoadOrder) => {
  run(order).then(
    (figures) => process.send?.(figures, () => process.disconnect()),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
