/** What the client is told when the store fails. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ObjectStorageError, type ObjectStorageErrorKind } from '../../../src/gateway/object-storage.js';
import { InvariantViolation } from '../../../src/protocol/invariant.js';
import type { MemoryOperation } from '../../fakes/memory-object-storage.js';
import { elements, TestServer, until, type Answer } from './harness.js';

type Fault = (operation: MemoryOperation) => void | Promise<void>;

let server: TestServer;
let fault: Fault;
let violations: InvariantViolation[];

beforeEach(async () => {
  fault = () => {};
  violations = [];
  server = await TestServer.start({
    storage: { beforeEach: (operation) => fault(operation), pieceBytesMax: 64 * 1024 },
    options: { onInvariantViolation: (violation) => violations.push(violation) },
  });
  await server.send({ method: 'PUT', target: '/bucket' });
  await server.send({ method: 'PUT', target: '/bucket/there', body: 'old content' });
});
afterEach(async () => {
  await server.close();
});

function failing(at: MemoryOperation, error: () => Error): Fault {
  return (operation) => {
    if (operation === at) throw error();
  };
}

function storageError(kind: ObjectStorageErrorKind): () => Error {
  return () => new ObjectStorageError(kind, 'made by the test');
}

function put(): Promise<Answer> {
  return server.send({ method: 'PUT', target: '/bucket/there', body: 'new content' });
}

describe('a failure of the store becomes an S3 error', () => {
  it.each<[ObjectStorageErrorKind, number, string]>([
    ['unavailable', 503, 'ServiceUnavailable'],
    ['outcome-unknown', 500, 'InternalError'],
    ['no-space', 507, 'InsufficientCapacity'],
    ['damaged', 500, 'InternalError'],
  ])('%s is %i %s', async (kind, status, code) => {
    for (const at of ['write', 'finish', 'replace'] as const) {
      fault = failing(at, storageError(kind));
      const answer = await put();
      expect([answer.status, answer.code]).toEqual([status, code]);
      expect(answer.text).not.toContain('made by the test');
    }
    fault = () => {};
    expect((await server.send({ target: '/bucket/there' })).text).toBe('old content');
    expect(server.storage.counters).toMatchObject({ openSinks: 0, heldContents: 0 });
  });

  it('unavailable says when to try again', async () => {
    fault = failing('replace', storageError('unavailable'));
    expect((await put()).headers['retry-after']).toBe('1');
  });

  it('outcome-unknown says in so many words that the outcome is unknown', async () => {
    fault = failing('replace', storageError('outcome-unknown'));
    expect(elements((await put()).text, 'Message')[0]).toMatch(
      /outcome of this request is unknown: it may or may not/,
    );
  });

  it('what nobody foresaw is InternalError and tells nothing of the inside', async () => {
    fault = failing('replace', () => new TypeError('secret detail'));
    const answer = await put();
    expect([answer.status, answer.code]).toEqual([500, 'InternalError']);
    expect(answer.text).not.toContain('secret');
  });

  it('a broken invariant is answered, and reported so that the process stops', async () => {
    fault = failing('replace', () => new InvariantViolation('the test breaks nothing'));
    expect((await put()).code).toBe('InternalError');
    await until(() => violations.length === 1);
  });
});

describe('reading (F26)', () => {
  const large = Buffer.alloc(400_000, 'x');

  it('an object that changes between the look at it and the read is read again, as one state', async () => {
    let changes = 0;
    fault = async (operation) => {
      if (operation !== 'read' || changes >= 2) return;
      changes += 1;
      const content = await server.storage.openContent().finish();
      const { id } = (
        await server.storage.list({
          container: 'bucket',
          prefix: 'there',
          after: '',
          delimiter: '',
          limit: 1,
        })
      ).entries.map((entry) => (entry.kind === 'object' ? entry.head : null))[0]!;
      await server.storage.setAttributes({ id, decide: (current) => current!.attributes });
      content.discard();
    };
    const answer = await server.send({ target: '/bucket/there', headers: { 'If-None-Match': '"other"' } });
    expect([answer.status, answer.text, changes]).toEqual([200, 'old content', 2]);
  });

  it('an object that never stops changing is given up after a few attempts: 503', async () => {
    let reads = 0;
    fault = (operation) => {
      if (operation !== 'read') return;
      reads += 1;
      throw new ObjectStorageError('changed', 'again');
    };
    const answer = await server.send({ target: '/bucket/there', headers: { 'If-Match': '*' } });
    expect([answer.status, answer.code, reads]).toEqual([503, 'ServiceUnavailable', 5]);
  });

  it('a body that fails before its first byte is an S3 error', async () => {
    await server.send({ method: 'PUT', target: '/bucket/large', body: large });
    fault = failing('read-piece', storageError('damaged'));
    for (const target of ['/bucket/large', '/bucket/there']) {
      expect((await server.send({ target })).code).toBe('InternalError');
    }
    expect(server.storage.counters.openReads).toBe(0);
  });

  it('a body that fails half-way destroys the connection, so that nobody takes it for whole', async () => {
    await server.send({ method: 'PUT', target: '/bucket/large', body: large });
    let pieces = 0;
    fault = (operation) => {
      if (operation === 'read-piece') pieces += 1;
      if (pieces === 3) throw new ObjectStorageError('damaged', 'no intact copy');
    };
    await expect(server.send({ target: '/bucket/large' })).rejects.toThrow(
      /aborted|socket hang up|ECONNRESET/,
    );
    expect(server.storage.counters.openReads).toBe(0);
  });
});
