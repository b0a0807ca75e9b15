import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Compile } from 'typebox/schema';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { toEpoch } from '../../../src/protocol/tag.js';
import { OSD_PATHS, OSD_PATHS_WITHOUT_SECRET } from '../../../src/wire/contract.js';
import { OSD_ERROR_STATUS } from '../../../src/wire/error-codes.js';
import { makeDecoder } from '../../../src/wire/decoder.js';
import type { RemotePush } from '../../../src/wire/osd-connection.js';
import { paceRequest } from '../../../src/wire/messages.js';
import { tagRowSchema } from '../../../src/wire/schemas.js';
import { MemoryOsdStore } from '../../fakes/memory-osd-store.js';
import { type RunningOsd, startOsd } from './osd-harness.js';
import { commit, EPOCH, itemOf, objectNamed, SECRET, SET_ID, tagAt } from './osd-writer.js';
import { encodeForwarded, encodeForwardedReply } from '../../../src/wire/forward-frame.js';
import { answersOf, batchOf, forwardedOf, M0, orderFor } from './forwarded-writes.js';
import { encodeTransactions } from '../../../src/wire/transaction-frame.js';
import { encodeReads } from '../../../src/wire/reads-frame.js';
import { encodePushes } from '../../../src/wire/push-frame.js';
import { splitFrame } from '../../../src/wire/frame.js';

interface Operation {
  readonly operationId: string;
  readonly security?: readonly unknown[];
}

interface OsdDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly schemas: Readonly<
      Record<string, { readonly enum?: readonly string[]; readonly description?: string }>
    >;
  };
}

const text = readFileSync(join(import.meta.dirname, '../../../openapi/osd.yaml'), 'utf8');
const document = parse(text) as OsdDocument;
const ID = objectNamed('key');

let running: RunningOsd;
beforeAll(async () => {
  running = await startOsd(new MemoryOsdStore(SET_ID, 1));
  await running.connection.fence(EPOCH);
  await running.connection.activate(EPOCH);
  await commit(running.connection, {
    kind: 'replace',
    objectId: ID,
    tag: tagAt(1, 1),
    bytes: Buffer.from('hello'),
  });
  await commit(running.connection, { kind: 'remove', objectId: objectNamed('gone'), tag: tagAt(1, 2) });
});
afterAll(() => running.close());

/** How many routes (one for each method) the running server has. */
function servedRouteCount(): number {
  const methodLists = running.app.printRoutes({ commonPrefix: false }).matchAll(/\(([A-Z, ]+)\)/g);
  return [...methodLists].flatMap(([, methods]) => (methods ?? '').split(', ')).length;
}

function check(schemaName: string, value: unknown): void {
  const schema = { $ref: `#/components/schemas/${schemaName}`, components: document.components };
  const validator = Compile(schema);
  const [isValid, errors] = validator.Errors(value);
  expect({ schemaName, isValid, errors: isValid ? [] : errors }).toEqual({
    schemaName,
    isValid: true,
    errors: [],
  });
}

async function get(path: string): Promise<unknown> {
  const response = await fetch(running.url + path, {
    headers: { authorization: `Bearer ${SECRET}`, 'tally-epoch': '1' },
  });
  return response.headers.get('content-type') === 'application/vnd.tally.frame'
    ? splitFrame(Buffer.from(await response.arrayBuffer())).header
    : response.json();
}

async function post(path: string, body: Buffer): Promise<Buffer> {
  const headers = { authorization: `Bearer ${SECRET}`, 'content-type': 'application/json' };
  const response = await fetch(running.url + path, { method: 'POST', headers, body: new Uint8Array(body) });
  expect(response.status).toBe(200);
  return Buffer.from(await response.arrayBuffer());
}

describe('openapi/osd.yaml', () => {
  it('has every route of the server, and no other', () => {
    const documented = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => ({ method: method.toUpperCase(), path })),
    );
    const isServed = ({ method, path }: { method: string; path: string }): boolean =>
      running.app.hasRoute({ method, url: path.replaceAll(/\{(\w+)\}/g, ':$1') });
    expect(documented.filter((route) => !isServed(route))).toEqual([]);
    expect(documented.length).toBeGreaterThan(20);
    expect(servedRouteCount()).toBe(documented.length);
    expect(Object.keys(document.paths).sort()).toEqual(Object.values(OSD_PATHS).sort());
  });

  it('says which paths need no secret', () => {
    const open = Object.entries(document.paths).filter(([, operations]) =>
      Object.values(operations).every(({ security }) => security?.length === 0),
    );
    expect(open.map(([path]) => path)).toEqual(OSD_PATHS_WITHOUT_SECRET);
  });

  it('has every error code with its status, and no other', () => {
    const errors = document.components.schemas['ErrorCode'];
    expect([...(errors?.enum ?? [])].sort()).toEqual(Object.keys(OSD_ERROR_STATUS).sort());
    const rows = [...(errors?.description ?? '').matchAll(/\| `([a-z-]+)` \| (\d+) \|/g)];
    const statuses: unknown = Object.fromEntries(rows.map(([, code, status]) => [code, Number(status)]));
    expect(statuses).toEqual(OSD_ERROR_STATUS);
  });

  it('describes what the server really answers', async () => {
    check('Identity', await get('/v1/identity'));
    const id = encodeURIComponent(ID);
    check('ReadHeader', await get(`/v1/object?id=${id}`));
    check('ReadHeader', await get(`/v1/object?id=${id}&range=9-`));
    check('Refusal', await get('/v1/object?id=x'));
    const reads = [
      { id: ID, range: { kind: 'whole' } },
      { id: ID, range: { kind: 'between', first: 9, last: null } },
      { id: ID, range: { kind: 'none' } },
      { id: objectNamed('absent'), range: { kind: 'suffix', lengthBytes: 1 } },
    ] as const;
    const batch = encodeReads({ epoch: EPOCH, reads });
    check('ReadBatch', JSON.parse(batch.toString('utf8')));
    check('ReadBatchReply', splitFrame(await post(OSD_PATHS.reads, batch)).header);
    const stale = encodeReads({ epoch: toEpoch(EPOCH - 1), reads });
    check('ReadBatchReply', splitFrame(await post(OSD_PATHS.reads, stale)).header);
    check('ListPage', await get('/v1/objects?container=bucket&prefix=&after=&delimiter=&limit=5'));
    const { rows } = (await get('/v1/tag-table?limit=5')) as { rows: unknown[] };
    expect(rows.length).toBe(2);
    for (const row of rows) check('TagRow', row);
    const { summaries } = (await get('/v1/summaries?limit=5')) as { summaries: unknown[] };
    for (const summary of summaries) check('ObjectSummary', summary);
    for (const state of await running.connection.states([ID, objectNamed('gone')]))
      check('ObjectState', state);
  });

  it('describes batches of pushes', async () => {
    const push: RemotePush = {
      ...{ epoch: toEpoch(EPOCH - 1), objectId: ID, expectedLastTag: null, lastTag: null, state: null },
      ...{ content: { kind: 'whole' }, bytes: { kind: 'none' }, contentChecksum: 0, rows: [] },
    };
    const staged = { ...push, bytes: { kind: 'stage', stageId: 'no such stage' } } as const;
    const batch = encodePushes([push, staged]);
    check('PushBatch', splitFrame(batch).header);
    const answer = await post(OSD_PATHS.pushBatches, batch);
    check('PushBatchReply', JSON.parse(answer.toString('utf8')));
    check('PushBatchReply', {
      replies: [{ kind: 'landed' }, { kind: 'failed', code: 'closing', message: '' }],
    });
  });

  it('describes transactions, pushes and reconciliations', async () => {
    const { connection } = running;
    const batch = {
      setId: SET_ID,
      epoch: EPOCH,
      floor: tagAt(1, 0),
      writes: [
        itemOf({ kind: 'replace', objectId: ID, tag: tagAt(1, 3), bytes: Buffer.from('again') }),
        itemOf({
          kind: 'extend',
          objectId: ID,
          tag: tagAt(1, 9),
          previousTag: tagAt(1, 8),
          bytes: Buffer.from('gap'),
        }),
      ],
      clears: [],
    };
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    const followed = { ...batch, writes: batch.writes.map((item) => ({ ...item, traceparent })) };
    check('TransactionBatch', splitFrame(encodeTransactions(followed)).header);
    check('TransactionBatch', splitFrame(encodeTransactions(batch)).header);
    check('TransactionBatchReply', await connection.transact(batch));
    const writerOrder = orderFor([{ mirror: M0, url: running.url }]);
    check('WriterOrder', writerOrder);
    await connection.appointWriter(writerOrder);
    const missing = [{ mirror: M0, code: 'no-space' }];
    const forwarded = batchOf([
      forwardedOf(1, { kind: 'remove', objectId: ID }),
      forwardedOf(2, { kind: 'replace', objectId: ID, bytes: Buffer.from('x'), stages: [], missing }),
      forwardedOf(0, { kind: 'remove', objectId: ID }),
    ]);
    check('ForwardedBatch', splitFrame(encodeForwarded(forwarded)).header);
    const answered = await connection.forward(forwarded);
    expect(answersOf(answered.writes[1] ?? expect.fail())).toEqual({ [M0]: 'no-space' });
    check('ForwardedBatchReply', JSON.parse(encodeForwardedReply(answered).toString('utf8')));
    const stage = connection.openStage();
    await stage.write(Buffer.from('staged'));
    check('Staged', await stage.finish());
    const epoch = (await connection.fence(toEpoch(2))).fencedEpoch;
    const { storeId } = await connection.identity();
    const order = {
      setId: SET_ID,
      epoch,
      driver: 'm0',
      participants: [{ mirror: 'm0', url: running.url, storeId, role: { kind: 'trusted' } }],
      complete: false,
      mode: 'fenced',
      absentStoreIds: [],
      pace: null,
    };
    check('ReconcileOrder', order);
    const response = await fetch(running.url + OSD_PATHS.reconciliations, {
      method: 'POST',
      headers: { authorization: `Bearer ${SECRET}`, 'content-type': 'application/json' },
      body: JSON.stringify(order),
    });
    check('Progress', await response.json());
    const pace = { bytesPerSecond: null, sharePercent: 50, isPaused: true };
    check('ReconcileOrder', { ...order, pace });
    check('Pace', pace);
    check('Progress', await connection.setReconcilePace(epoch, pace));
    await expect(connection.setReconcilePace(toEpoch(99), pace)).rejects.toMatchObject({
      code: 'unknown-reconciliation',
    });
    check('ClearsReply', await connection.dropRows(SET_ID, epoch, [], []));
  });

  it('its schemas refuse what the code refuses', () => {
    const pace = { bytesPerSecond: 1024 * 1024, sharePercent: 5, isPaused: false };
    for (const good of [pace, { ...pace, bytesPerSecond: null }, { ...pace, sharePercent: 100 }]) {
      check('Pace', paceRequest.decode(good));
    }
    for (const bad of [
      { ...pace, bytesPerSecond: 1024 * 1024 - 1 },
      { ...pace, sharePercent: 4 },
      { ...pace, sharePercent: 101 },
      { ...pace, more: 1 },
    ]) {
      expect(() => check('Pace', bad)).toThrow();
      expect(() => paceRequest.decode(bad)).toThrow();
    }
    const row = {
      ...{ tag: tagAt(1, 1), objectId: ID, kind: 'replace', mode: 'extend' },
      ...{ offset: 0, length: 1, checksum: 2, commitSequence: 3, writtenMs: 4 },
    };
    check('TagRow', row);
    const decoder = makeDecoder('row', tagRowSchema);
    for (const bad of [
      { ...row, tag: 'x' },
      { ...row, kind: 'x' },
      { ...row, length: -1 },
      { ...row, more: 1 },
    ]) {
      expect(() => check('TagRow', bad)).toThrow();
      expect(() => decoder.decode(bad)).toThrow();
    }
  });
});
