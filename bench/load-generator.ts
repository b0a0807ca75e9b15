/**
 * A child process that loads an S3 endpoint. Every request is signed as it is made: that costs this process about 10 µs, and
 * the measured ones nothing. It gets one `LoadOrder`, answers one `LoadFigures`, and ends.
 *
 * autocannon makes the load, but for HEAD: it waits for the body that such an answer speaks of and does not have. HEADs
 * come from undici, one after another on each connection.
 */
import autocannon from 'autocannon';
import { Client } from 'undici';
import { signHeaders } from '../test/support/s3-client.js';
import { SeededRandom } from '../test/support/seeded-random.js';
import type { LoadFigures, LoadMethod, LoadOrder } from './load.js';
import { percentile } from './measurement.js';

const RESULT_SAMPLE_MS = 100;
const ANSWER_WITHIN_SECONDS = 60;
const LIST_KEYS = 1000;
/** Names are numbers, in the order of their text: after each of these there are more than LIST_KEYS of 5000 names. */
const LIST_STARTS = 5;

class Counters {
  readonly latenciesMs: number[] = [];
  puts = 0;
  failures = 0;
  readonly #startMs = performance.now();

  figures(): LoadFigures {
    const sorted = Float64Array.from(this.latenciesMs).sort();
    const { user, system } = process.cpuUsage();
    return {
      requests: sorted.length,
      puts: this.puts,
      failures: this.failures,
      seconds: (performance.now() - this.#startMs) / 1000,
      latencyMs: {
        p50: percentile(sorted, 0.5),
        p99: percentile(sorted, 0.99),
        p999: percentile(sorted, 0.999),
      },
      cpuSeconds: (user + system) / 1e6,
    };
  }
}

/** The target of the next request of its kind: a new key for PUT and DELETE, the stored ones in turn for the others. */
class Targets {
  readonly #order: LoadOrder;
  readonly #next = new Map<LoadMethod, number>();

  constructor(order: LoadOrder) {
    this.#order = order;
  }

  next(method: LoadMethod): string {
    const { bucket, keyPrefix, firstIndex, stored } = this.#order;
    const index = this.#next.get(method) ?? firstIndex;
    this.#next.set(method, index + 1);
    switch (method) {
      case 'PUT':
      case 'DELETE':
        return `/${bucket}/${keyPrefix}${index}`;
      case 'GET':
      case 'HEAD':
        return `/${bucket}/${stored.keyPrefix}${index % stored.keyCount}`;
      case 'LIST': {
        const after = `${stored.keyPrefix}${index % LIST_STARTS}`;
        return `/${bucket}?list-type=2&max-keys=${LIST_KEYS}&prefix=${stored.keyPrefix}&start-after=${after}`;
      }
    }
  }
}

/** Text, since autocannon decodes every answer as UTF-8: with random bytes that takes it 20 ms per MiB, with ASCII next to nothing. */
function makeBody(lengthBytes: number): Buffer {
  return Buffer.from(
    new SeededRandom(1).bytes(lengthBytes).toString('base64').slice(0, lengthBytes),
    'latin1',
  );
}

function makeRequest(order: LoadOrder, name: LoadMethod, targets: Targets): autocannon.Request {
  const method = name === 'LIST' ? 'GET' : name;
  const body = method === 'PUT' ? makeBody(order.sizeBytes) : null;
  return {
    method,
    setupRequest: (request) => {
      const target = targets.next(name);
      // The spelling is autocannon's: it sets this very header itself, and two would be one too many.
      const headers = signHeaders(order.access, {
        method,
        target,
        headers: body === null ? {} : { 'Content-Length': String(body.length) },
        body: body === null ? 'none' : 'unsigned',
      });
      return { ...request, path: target, headers, ...(body !== null && { body }) };
    },
  };
}

function runAutocannon(order: LoadOrder): Promise<LoadFigures> {
  const counters = new Counters();
  const targets = new Targets(order);
  return new Promise((resolve, reject) => {
    const instance = autocannon(
      {
        url: order.access.endpoint,
        connections: order.connections,
        sampleInt: RESULT_SAMPLE_MS,
        timeout: ANSWER_WITHIN_SECONDS,
        requests: order.methods.map((method) => ({
          ...makeRequest(order, method, targets),
          onResponse: (status: number) => {
            if (method === 'PUT' && status < 300) counters.puts += 1;
          },
        })),
        ...(order.amount === null ? { duration: order.seconds } : { amount: order.amount }),
      },
      (error: unknown, result) => {
        if (error instanceof Error) {
          reject(error);
          return;
        }
        counters.failures = result.non2xx + result.errors;
        resolve(counters.figures());
      },
    );
    instance.on('response', (_client, statusCode, _bytes, responseMs) => {
      if (statusCode < 300) counters.latenciesMs.push(responseMs);
    });
  });
}

async function runHeads(order: LoadOrder): Promise<LoadFigures> {
  const counters = new Counters();
  const targets = new Targets(order);
  const endMs = performance.now() + order.seconds * 1000;
  let leftCount = order.amount ?? Number.POSITIVE_INFINITY;
  const isOver = (): boolean => leftCount <= 0 || (order.amount === null && performance.now() >= endMs);
  const keepAsking = async (): Promise<void> => {
    const client = new Client(order.access.endpoint);
    while (!isOver()) {
      leftCount -= 1;
      const path = targets.next('HEAD');
      const headers = signHeaders(order.access, { method: 'HEAD', target: path, headers: {}, body: 'none' });
      const startMs = performance.now();
      // Left to itself undici closes the connection after a HEAD, and new ones would be what is measured.
      const { statusCode, body } = await client.request({ method: 'HEAD', path, headers, reset: false });
      await body.dump();
      if (statusCode < 300) counters.latenciesMs.push(performance.now() - startMs);
      else counters.failures += 1;
    }
    await client.close();
  };
  await Promise.all(Array.from({ length: order.connections }, keepAsking));
  return counters.figures();
}

process.once('message', (order: LoadOrder) => {
  const running = order.methods.includes('HEAD') ? runHeads(order) : runAutocannon(order);
  running.then(
    (figures) => process.send?.(figures, () => process.disconnect()),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
