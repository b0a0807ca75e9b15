/**
 * How services end on SIGTERM, and in which order they may start: real processes, real connections.
 *
 * A load balancer asks for readiness; a client keeps its connection, has an upload half-way, or never finishes it.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import aws4 from 'aws4';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../support/patience.js';
import { TallySystem } from '../support/tally-system.js';

const WITHIN_MS = 60_000;
const DELAY_SECONDS = 3;
const DRAIN_SECONDS = 2;

let folder: string;
let system: TallySystem;
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tally-shutdown-'));
  const configurationFile = join(folder, 'tally.yaml');
  const shutdown = `{ delaySeconds: ${DELAY_SECONDS}, drainSeconds: ${DRAIN_SECONDS} }`;
  writeFileSync(configurationFile, `shutdown: ${shutdown}\n`);
  system = await TallySystem.start({ configurationFile });
  await system.s3.createBucket('bucket');
});

afterAll(async () => {
  agent.destroy();
  await system.dispose();
  rmSync(folder, { recursive: true });
});

/** The head is sent at once; the body is the caller's to write. */
function begin(method: 'GET' | 'PUT', path: string, lengthBytes = 0): ClientRequest {
  const { endpoint, accessKeyId, secretAccessKey, region } = system.access;
  const { host, hostname, port } = new URL(endpoint);
  const headers = {
    'x-amz-content-sha256': 'UNSIGNED-PAYLOAD',
    ...(method === 'PUT' && { 'content-length': String(lengthBytes) }),
  };
  const signed = aws4.sign(
    { service: 's3', region, method, host, path, headers },
    { accessKeyId, secretAccessKey },
  );
  const options = { hostname, port, method, path, headers: signed.headers as Record<string, string>, agent };
  const sent = request(options);
  sent.flushHeaders();
  return sent;
}

async function answerOf(sent: ClientRequest): Promise<IncomingMessage> {
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  answer.resume();
  return answer;
}

async function readiness(url: string): Promise<{ readonly status: number; readonly text: string }> {
  const answer = await fetch(`${url}/health/ready`);
  return { status: answer.status, text: await answer.text() };
}

function untilUnready(url: string) {
  return until(
    'it is not ready',
    () => readiness(url),
    ({ status }) => status === 503,
    {
      withinMs: WITHIN_MS,
    },
  );
}

async function isLive(url: string): Promise<boolean> {
  return (await fetch(`${url}/health/live`)).status === 200;
}

describe('on SIGTERM', () => {
  it('a gateway is not ready any more, and serves on: what is half-way is finished, connections are ended by their answers', async () => {
    const kept = await answerOf(begin('GET', '/bucket?list-type=2').end());
    expect(kept.headers.connection).toBe('keep-alive');
    const upload = begin('PUT', '/bucket/half-way', 10);
    upload.write('hello');
    const stopped = system.gateway.stop();
    expect((await untilUnready(system.adminUrl)).text).toContain('The gateway is stopping.');
    expect(await isLive(system.adminUrl)).toBe(true);
    // Somebody who has not noticed yet.
    expect((await system.s3.put('bucket', 'late', Buffer.from('late'))).status).toBe(200);
    upload.end('world');
    const answer = await answerOf(upload);
    expect([answer.statusCode, answer.headers.connection]).toEqual([200, 'close']);
    expect(await stopped).toEqual({ code: 0, signal: null });
    system.gateway.start();
    await system.untilInSync();
    expect(await system.s3.get('bucket', 'half-way')).toEqual(Buffer.from('helloworld'));
  });

  it('a gateway waits for an upload that never ends no longer than it is told to', async () => {
    const upload = begin('PUT', '/bucket/never', 10);
    upload.write('hello');
    const cut = once(upload, 'error');
    await until(
      'the upload is under way',
      () => system.admin.metric('tally_s3_requests_in_flight'),
      (count) => count >= 1,
      {
        withinMs: WITHIN_MS,
      },
    );
    expect(await system.gateway.stop()).toEqual({ code: 0, signal: null });
    await cut;
    system.gateway.start();
    await system.untilInSync();
    expect(await system.s3.get('bucket', 'never')).toBeNull();
  });

  it('an OSD is not ready any more, serves on, and then ends well; the other one goes on', async () => {
    const [, osd] = system.osds;
    const stopped = osd.process.stop();
    await untilUnready(osd.url);
    expect(await isLive(osd.url)).toBe(true);
    expect((await system.s3.put('bucket', 'meanwhile', Buffer.from('x'))).status).toBe(200);
    expect(await stopped).toEqual({ code: 0, signal: null });
    expect((await system.s3.put('bucket', 'afterwards', Buffer.from('x'))).status).toBe(200);
    osd.process.start();
    await system.untilInSync();
  });
});

/** As in `system.processes`. */
const PARTS = ['gateway', 'osd-0', 'osd-1'];

describe('the order of a start', () => {
  const orders = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
  ] as const;

  it.each(orders)(
    'may be %i, %i, %i (gateway, osd-0, osd-1): each waits for the others, and says so',
    async (...order) => {
      await system.killAll();
      for (const [position, index] of order.entries()) {
        system.processes[index]?.start();
        const missing = order.slice(position + 1).map((part) => PARTS[part] ?? '');
        if (missing.length === 0 || missing.includes('gateway')) continue;
        const { text } = await until(
          'it says that it waits',
          () => readiness(system.adminUrl),
          (seen) => seen.text.includes('waiting: '),
          { withinMs: WITHIN_MS },
        );
        for (const name of missing) expect(text).toContain(name);
      }
      await system.untilInSync();
      expect((await readiness(system.adminUrl)).status).toBe(200);
    },
  );
});
