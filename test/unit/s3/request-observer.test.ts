import { connect } from 'node:net';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EndedRequest } from '../../../src/s3/request-observer.js';
import { KEY, TestServer, until } from './harness.js';

let server: TestServer;
let begun: number;
let ended: EndedRequest[];

beforeEach(async () => {
  begun = 0;
  ended = [];
  const observer = {
    requestBegan: () => {
      begun += 1;
    },
    requestEnded: (request: EndedRequest) => {
      ended.push(request);
    },
  };
  server = await TestServer.start({ options: { observer } });
  await server.send({ method: 'PUT', target: '/bucket' });
  ended = [];
});
afterEach(async () => {
  await server.close();
});

describe('the observer of S3 requests', () => {
  it('is told of a request that went well, by the id that the client has', async () => {
    const put = await server.send({ method: 'PUT', target: '/bucket/key?x-id=PutObject', body: 'hello' });
    const get = await server.send({ method: 'GET', target: '/bucket/key' });
    expect(ended).toMatchObject([
      {
        requestId: put.headers['x-amz-request-id'],
        operation: 'PutObject',
        method: 'PUT',
        path: '/bucket/key',
        accessKeyId: KEY.accessKeyId,
        status: 200,
        errorCode: null,
        receivedBytes: 5,
        sentBytes: 0,
      },
      {
        requestId: get.headers['x-amz-request-id'],
        operation: 'GetObject',
        status: 200,
        receivedBytes: 0,
        sentBytes: 5,
      },
    ]);
    expect(ended.every(({ durationMs }) => durationMs > 0)).toBe(true);
  });

  it('is told the code of a refusal, and nothing of the query, which may hold a signature', async () => {
    await server.send({ method: 'GET', target: '/bucket/none' });
    const presigned = '/bucket/key?X-Amz-Signature=forged&X-Amz-Algorithm=AWS4-HMAC-SHA256';
    await fetch(server.url + presigned);
    expect(ended).toMatchObject([
      { operation: 'GetObject', status: 404, errorCode: 'NoSuchKey' },
      { operation: 'GetObject', path: '/bucket/key', accessKeyId: null },
    ]);
    expect(ended[1]?.status).toBeGreaterThanOrEqual(400);
    expect(JSON.stringify(ended)).not.toContain('forged');
  });

  it('is told once of a client that goes away in the middle of its upload', async () => {
    const head = server.head(
      { method: 'PUT', target: '/bucket/upload', payload: 'UNSIGNED-PAYLOAD' },
      { 'content-length': '1000' },
    );
    const socket = connect(server.port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write(`${head}abc`);
    await until(() => begun === 2);
    socket.destroy();
    await until(() => ended.length === 1);
    expect(ended).toMatchObject([{ operation: 'PutObject', status: null, errorCode: 'ClientGone' }]);
  });
});
