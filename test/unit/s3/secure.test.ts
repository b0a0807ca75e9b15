import { readFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { S3Session } from '../../../src/s3/session/s3-session.js';
import type { WatchedTls } from '../../../src/tls/watched-tls.js';
import { TestAuthority } from '../../support/certificates.js';
import { TlsRig } from '../tls/tls-rig.js';
import { customerKey } from './encryption-rig.js';
import { KEY, REGION, TestServer, type Wish } from './harness.js';

let rig: TlsRig;
let authority: TestAuthority;
let server: TestServer;
let source: WatchedTls;

beforeAll(async () => {
  rig = new TlsRig();
  authority = new TestAuthority(rig.folder, 'ca');
  source = await rig.watch({ ...authority.issue('server'), caFile: null });
  server = await TestServer.start({
    options: {
      tls: { source, logger: rig.logger },
      encryption: { customerKeysOverHttp: 'never' },
    },
  });
  await send({ method: 'PUT', target: '/bucket' });
});

afterAll(async () => {
  await server.close();
  await rig.close();
});

function send(wish: Wish): Promise<{ readonly status: number; readonly text: string }> {
  const { headers } = server.sign(wish);
  const body = typeof wish.body === 'string' ? wish.body : '';
  const { method = 'GET', target: path } = wish;
  const options = { host: '127.0.0.1', port: server.port, ca: readFileSync(authority.caFile), agent: false };
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      { ...options, method, path, headers: { ...headers, 'content-length': String(body.length) } },
      (response) => {
        const pieces: Buffer[] = [];
        response.on('data', (piece: Buffer) => pieces.push(piece));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(pieces).toString('utf8') }),
        );
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

describe('S3 over TLS', () => {
  it("takes customers' keys where plain HTTP never may bring them", async () => {
    const headers = customerKey('a');
    const put = await send({ method: 'PUT', target: '/bucket/sealed', body: 'sealed', headers });
    const got = await send({ target: '/bucket/sealed', headers });
    expect([put.status, got.status, got.text]).toEqual([200, 200, 'sealed']);
  });

  it('is what policies call secure transport', async () => {
    const policy = {
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Allow',
          Principal: '*',
          Action: 's3:GetObject',
          Resource: 'arn:aws:s3:::bucket/*',
          Condition: { Bool: { 'aws:SecureTransport': 'true' } },
        },
      ],
    };
    await send({ method: 'PUT', target: '/bucket/open', body: 'open' });
    await send({ method: 'PUT', target: '/bucket?policy', body: JSON.stringify(policy) });
    const got = await fetchAnonymously('/bucket/open');
    expect(got).toBe(200);
  });

  it('answers those who speak plain HTTP to it with nothing in the clear', async () => {
    expect(await server.sendRaw('GET / HTTP/1.1\r\nhost: a\r\n\r\n')).not.toContain('HTTP/1.1');
    expect(rig.lines.map(({ message }) => message)).toContain('a TLS handshake failed');
  });

  it.each([
    ['TLSv1.1', false],
    ['TLSv1.2', true],
    ['TLSv1.3', true],
  ] as const)('%s is spoken: %s', async (version, isSpoken) => {
    const outcome = await new Promise<string>((resolve) => {
      const socket = connectTls({
        ...{ host: '127.0.0.1', port: server.port, ca: readFileSync(authority.caFile) },
        ...{ minVersion: version, maxVersion: version, ciphers: 'ALL:@SECLEVEL=0' },
      });
      socket.on('secureConnect', () => {
        resolve(socket.getProtocol() ?? 'none');
        socket.destroy();
      });
      socket.on('error', () => resolve('refused'));
    });
    expect(outcome).toBe(isSpoken ? version : 'refused');
  });
});

describe('a session of the S3 endpoint over TLS', () => {
  async function bucketsOf(shows: string): Promise<string> {
    const session = new S3Session({
      origin: server.url.replace('http:', 'https:'),
      tls: shows === 'server' ? source : await rig.watch({ ...authority.issue(shows), caFile: null }),
      credential: KEY,
      region: REGION,
      clock: Date.now,
    });
    try {
      return (await session.buckets()).map(({ name }) => name).join();
    } catch (error) {
      return error instanceof Error ? error.message : 'no error';
    }
  }

  it('speaks to the server that shows our own certificate, and to no other', async () => {
    expect(await bucketsOf('server')).toBe('bucket');
    expect(await bucketsOf('other')).toBe('another server than our own answers there');
  });
});

function fetchAnonymously(path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: server.port, ca: readFileSync(authority.caFile) };
    const request = httpsRequest({ ...options, path, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    request.on('error', reject);
    request.end();
  });
}
