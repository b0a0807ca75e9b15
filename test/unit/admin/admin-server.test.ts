import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { FastifyInstance, InjectOptions } from 'fastify';
import openapiTS, { astToString } from 'openapi-typescript';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ADMIN_ERRORS } from '../../../src/admin/admin-errors.js';
import type { AdminLimits } from '../../../src/admin/admin-limits.js';
import { History, HISTORY_SAMPLES_MAX } from '../../../src/admin/history.js';
import type { AuditEntry } from '../../../src/admin/audit-log.js';
import type { AdminToken } from '../../../src/admin/access.js';
import { createAdminServer } from '../../../src/admin/admin-server.js';
import { S3Figures } from '../../../src/admin/s3-figures.js';
import type { MoveProgress } from '../../../src/gateway/placement/object-mover.js';
import { toMirrorId } from '../../../src/protocol/authority-state.js';
import { InvariantViolation } from '../../../src/protocol/invariant.js';
import { toEpoch } from '../../../src/protocol/tag.js';
import {
  contractErrorCodes,
  contractOperations,
  contractResponse,
  contractResponses,
  contractSecurity,
  openOperations,
} from './contract.js';
import { FakeBrowser, FakeControl, makeOperation, makeRow, NOW_MS } from './fake-control.js';

const DOCUMENT = readFileSync(join(import.meta.dirname, '../../../openapi/admin.yaml'), 'utf8');
/** In place of what the build makes. */
const consoleFiles = join(import.meta.dirname, 'console-files');
let consoleFolder: string;
const TOKEN = 'a-token-for-this-test';
const READ_TOKEN = 'a-token-that-may-look';
const METRICS_TOKEN = 'a-token-for-metrics-only';
const authorization = `Bearer ${TOKEN}`;

let tokens: readonly AdminToken[];
let control: FakeControl;
/** Mirror sets beside the first one. */
let furtherControls: Map<string, FakeControl>;
let moveProgress: MoveProgress | null;
let browser: FakeBrowser;
let figures: S3Figures;
let app: FastifyInstance;
let violations: InvariantViolation[];
let audited: AuditEntry[];

function makeServer(limits: Partial<AdminLimits> = {}): FastifyInstance {
  return createAdminServer({
    sets: { controls: new Map([['test', control], ...furtherControls]), moveProgress: () => moveProgress },
    tokens: () => tokens,
    audit: { record: (entry) => audited.push(entry) },
    figures,
    certificates: () => [{ use: 'the admin API', expiresMs: 1_800_000_000_000 }],
    browser,
    consoleFolder,
    document: DOCUMENT,
    logger: pino({ level: 'silent' }),
    clock: () => NOW_MS,
    softwareVersion: '0.1.0',
    limits: { streamPollMs: 5, ...limits },
    onInvariantViolation: (violation) => violations.push(violation),
  });
}

beforeEach(() => {
  consoleFolder = consoleFiles;
  tokens = [
    { name: 'alice', role: 'operate', token: TOKEN },
    { name: 'watcher', role: 'read', token: READ_TOKEN },
    { name: 'prometheus', role: 'metrics', token: METRICS_TOKEN },
  ];
  control = new FakeControl();
  furtherControls = new Map();
  moveProgress = null;
  browser = new FakeBrowser();
  figures = new S3Figures();
  violations = [];
  audited = [];
  app = makeServer();
});

afterEach(async () => {
  await app.close();
});

/** Asks, and holds the answer to openapi/admin.yaml. */
async function ask(operation: string, options: InjectOptions = {}) {
  const [method = '', path = ''] = operation.split(' ');
  const response = await app.inject({
    method: method as 'GET',
    url: path.replace('{id}', 'op-1'),
    headers: { authorization },
    ...options,
  });
  const contract = contractResponse(operation, response.statusCode);
  expect(response.headers['content-type']).toContain(contract.contentType);
  for (const header of contract.headers) expect(response.headers).toHaveProperty(header.toLowerCase());
  expect(contract.faultsOf(response.json())).toEqual([]);
  return response;
}

describe('the admin API and openapi/admin.yaml', () => {
  it('have the same operations', async () => {
    await app.ready();
    const isConsole = (route: string) => route === 'GET /' || /^\w+ \/console/.test(route);
    const routes = [...listRoutes(app.printRoutes({ commonPrefix: false }))]
      .filter((route) => !isConsole(route))
      .sort();
    expect(routes.length).toBeGreaterThan(0);
    expect(routes).toEqual([...contractOperations].sort());
  });

  it('have the same error codes', () => {
    expect(contractErrorCodes).toEqual(Object.keys(ADMIN_ERRORS));
  });

  it('every example in it is valid, and every JSON answer has one', () => {
    expect(contractResponses.length).toBeGreaterThan(0);
    for (const { operation, status, contentType, examples, faultsOf } of contractResponses) {
      expect(examples, `${operation} ${status}`).not.toEqual([]);
      if (contentType !== 'application/json') continue;
      for (const example of examples) expect(faultsOf(example), `${operation} ${status}`).toEqual([]);
    }
  });

  it('exactly the operations that it calls open need no token', async () => {
    for (const operation of contractOperations) {
      const [method = '', path = ''] = operation.split(' ');
      const { statusCode } = await app.inject({ method: method as 'GET', url: path.replace('{id}', 'op-1') });
      expect(statusCode === 401, operation).toBe(!openOperations.includes(operation));
    }
  });
});

describe('roles', () => {
  const statusOf = async (operation: string, token: string) => {
    const [method = '', path = ''] = operation.split(' ');
    const url = path.replace('{id}', 'op-1');
    const options = { method: method as 'GET', url, headers: { authorization: `Bearer ${token}` } };
    return (await app.inject(options)).statusCode;
  };

  it.each([
    ['operateToken', TOKEN],
    ['readToken', READ_TOKEN],
    ['metricsToken', METRICS_TOKEN],
  ])('%s opens exactly the operations that the document says it opens', async (scheme, token) => {
    let openedCount = 0;
    for (const [operation, schemes] of contractSecurity) {
      if (schemes.length === 0) continue;
      const isOpened = schemes.includes(scheme);
      // Else a stream of the reconciliation that an earlier one has started would not end.
      control.known.clear();
      expect((await statusOf(operation, token)) !== 403, `${operation} by ${scheme}`).toBe(isOpened);
      if (isOpened) openedCount += 1;
    }
    expect(openedCount).toBeGreaterThan(0);
  });

  it('only GET is opened to a token that may look, whatever the path', async () => {
    furtherControls = new Map([['second', new FakeControl()]]);
    await app.close();
    app = makeServer();
    expect(await statusOf('GET /sets/second/status', READ_TOKEN)).toBe(200);
    expect(await statusOf('POST /sets/second/reconcile', READ_TOKEN)).toBe(403);
    expect(await statusOf('DELETE /nowhere', READ_TOKEN)).toBe(403);
    expect(await statusOf('GET /nowhere', READ_TOKEN)).toBe(404);
    expect(await statusOf('GET /nowhere', METRICS_TOKEN)).toBe(403);
  });

  it('are told to their owner, and a refusal says which one is needed and is on record', async () => {
    const headers = { authorization: `Bearer ${READ_TOKEN}` };
    expect((await ask('GET /access', { headers })).json()).toEqual({ name: 'watcher', role: 'read' });
    const refused = await ask('POST /reconcile', { headers });
    expect(refused.json()).toEqual({
      code: 'forbidden',
      message: 'This needs the role operate; the token "watcher" has read.',
    });
    expect(control.known.size).toBe(0);
    await ask('GET /status', { headers: { authorization: `Bearer ${METRICS_TOKEN}` } });
    expect(audited.map(({ by, action, status }) => `${by} ${action} ${status}`)).toEqual([
      'watcher POST /reconcile 403',
      'prometheus GET /status 403',
    ]);
  });
});

/** fastify prints its routes as a tree; this reads it back. */
function* listRoutes(tree: string): Generator<string> {
  const stack: string[] = [];
  for (const line of tree.split('\n')) {
    const [, indent, segment, , methods] = /^([│├└─ ]*)(\S+?)( \((.*)\))?$/.exec(line) ?? [];
    if (indent === undefined || segment === undefined) continue;
    stack.length = indent.length / 4 - 1;
    stack.push(segment);
    const path = stack
      .join('')
      .replace(/:(\w+)/g, '{$1}')
      .replace(/^\/\//, '/');
    for (const method of methods?.split(', ') ?? []) yield `${method} ${path}`;
  }
}

describe('a token that was changed', () => {
  it('opens from then on, and the one before nothing any more', async () => {
    const ask = async (token: string) =>
      (await app.inject({ url: '/access', headers: { authorization: `Bearer ${token}` } })).statusCode;
    expect(await ask(TOKEN)).toBe(200);
    tokens = tokens.map((token) =>
      token.name === 'alice' ? { ...token, token: 'her-new-token-here' } : token,
    );
    expect(await ask('her-new-token-here')).toBe(200);
    expect(await ask(TOKEN)).toBe(401);
    expect(await ask(READ_TOKEN)).toBe(200);
  });
});

describe('the admin API', () => {
  it('refuses a missing and a wrong token with 401, on unknown paths too', async () => {
    for (const given of [undefined, 'Bearer wrong', TOKEN, `Basic ${TOKEN}`, `Bearer ${TOKEN}x`, 'Bearer ']) {
      const headers = given === undefined ? {} : { authorization: given };
      expect((await ask('GET /status', { headers })).statusCode).toBe(401);
      expect((await app.inject({ url: '/nowhere', headers })).statusCode).toBe(401);
    }
  });

  it('answers unknown paths and methods as not-found', async () => {
    for (const [method, url] of [
      ['GET', '/nowhere'],
      ['DELETE', '/status'],
      ['GET', '/reconcile/op-1/nothing'],
    ] as const) {
      const response = await app.inject({ method, url, headers: { authorization } });
      expect(response.statusCode).toBe(404);
      expect(response.json()).toEqual({ code: 'not-found', message: ADMIN_ERRORS['not-found'].message });
    }
  });

  it('tells the status with the time and the version', async () => {
    const response = await ask('GET /status');
    expect(response.json()).toEqual({ softwareVersion: '0.1.0', nowMs: NOW_MS, ...control.current });
  });

  it('tells what operators decided against the rules', async () => {
    const words = 'go on with osd-1 alone at epoch 3';
    const decision = { mirror: toMirrorId('osd-1'), epoch: toEpoch(3), atMs: NOW_MS, risks: ['some'], words };
    control.current = { ...control.current, forced: [decision] };
    expect((await ask('GET /status')).json()).toMatchObject({ forced: [{ mirror: 'osd-1', words }] });
  });

  it('tells the events', async () => {
    expect((await ask('GET /events')).json()).toEqual({ events: control.happened });
  });

  it('is ready exactly while the set is active', async () => {
    expect((await ask('GET /health/ready', { headers: {} })).statusCode).toBe(200);
    control.current = { ...control.current, phase: 'waiting', waitingFor: 'osd-0 must come back' };
    const response = await ask('GET /health/ready', { headers: {} });
    expect(response.statusCode).toBe(503);
    expect(response.json<{ message: string }>().message).toContain('osd-0 must come back');
    expect((await ask('GET /health/live', { headers: {} })).statusCode).toBe(200);
  });

  it('has the routes of each further set under its name, and lists the sets', async () => {
    const second = new FakeControl();
    second.current = { ...second.current, setId: 'second', phase: 'waiting', waitingFor: 'osd-2' };
    furtherControls = new Map([['second', second]]);
    moveProgress = { phase: 'moving', objectsMoved: 3, bytesMoved: 12, failures: 0 };
    const both = makeServer();
    const get = async (url: string) => both.inject({ url, headers: { authorization } });
    expect((await get('/sets/second/status')).json()).toMatchObject({ setId: 'second', phase: 'waiting' });
    expect((await get('/status')).json()).toMatchObject({ setId: control.current.setId });
    const listed = await get('/sets');
    expect(listed.json()).toMatchObject({
      sets: [
        { setId: control.current.setId, path: '/', phase: 'active' },
        { setId: 'second', path: '/sets/second', waitingFor: 'osd-2' },
      ],
      move: moveProgress,
    });
    expect(contractResponse('GET /sets', 200).faultsOf(listed.json())).toEqual([]);
    const started = await both.inject({
      method: 'POST',
      url: '/sets/second/reconcile',
      headers: { authorization },
    });
    expect(started.headers.location).toBe('/sets/second/reconcile/op-1');
    expect(control.known.size).toBe(0);
    expect((await both.inject({ url: '/sets/second/status' })).statusCode).toBe(401);
    expect((await get('/sets/third/status')).statusCode).toBe(404);
    expect((await both.inject({ url: '/health/ready' })).statusCode).toBe(200);
    await both.close();
  });

  it('starts a reconciliation once, and names the one that runs', async () => {
    const first = await ask('POST /reconcile');
    expect(first.statusCode).toBe(202);
    expect(first.headers.location).toBe('/reconcile/op-1');
    const second = await ask('POST /reconcile');
    expect(second.statusCode).toBe(409);
    expect(second.headers.location).toBe('/reconcile/op-1');
    expect(second.json()).toMatchObject({ code: 'already-running', operation: { id: 'op-1' } });
    expect((await ask('GET /reconcile')).json<{ operations: unknown[] }>().operations).toHaveLength(1);
    expect((await ask('GET /reconcile/{id}')).json()).toEqual(control.known.get('op-1'));
  });

  it('knows no reconciliation that there is none of', async () => {
    expect((await ask('GET /reconcile/{id}')).json()).toMatchObject({ code: 'no-such-operation' });
    expect((await ask('GET /reconcile/{id}/events')).json()).toMatchObject({ code: 'no-such-operation' });
  });

  it('pages through a tag table with a cursor, each row once', async () => {
    control.table = Array.from({ length: 25 }, (_, index) => makeRow(index));
    const keys: string[] = [];
    let after = '';
    for (let page = 0; page < 10; page += 1) {
      const url = `/tag-table?mirror=osd-0&limit=10${after}`;
      const { rows, next } = (await ask('GET /tag-table', { url })).json<{
        rows: { key: string }[];
        next: string | null;
      }>();
      keys.push(...rows.map(({ key }) => key));
      if (next === null) break;
      after = `&after=${next}`;
    }
    expect(keys).toEqual(control.table.map((_, index) => `key-${String(index).padStart(3, '0')}`));
  });

  it.each([
    ['', 400, 'bad-request'],
    ['?mirror=osd-0&limit=0', 400, 'bad-request'],
    ['?mirror=osd-0&limit=1001', 400, 'bad-request'],
    ['?mirror=osd-0&limit=ten', 400, 'bad-request'],
    ['?mirror=osd-0&colour=red', 400, 'bad-request'],
    ['?mirror=osd-0&after=nonsense', 400, 'bad-cursor'],
    ['?mirror=osd-7', 404, 'no-such-mirror'],
  ])('answers /tag-table%s with %i %s', async (query, status, code) => {
    const response = await ask('GET /tag-table', { url: `/tag-table${query}` });
    expect(response.statusCode).toBe(status);
    expect(response.json()).toMatchObject({ code });
  });

  it('says so when the OSD of a tag table does not answer', async () => {
    control.isUnreachable = true;
    const response = await ask('GET /tag-table', { url: '/tag-table?mirror=osd-0' });
    expect(response.statusCode).toBe(502);
  });

  it('turns an unknown error into 500 without its words, and a broken invariant into a stop', async () => {
    control.failure = new Error('the secret detail');
    const response = await ask('GET /status');
    expect(response.statusCode).toBe(500);
    expect(response.body).not.toContain('secret detail');
    expect(violations).toEqual([]);
    control.failure = new InvariantViolation('something holds');
    await ask('GET /status');
    expect(violations).toHaveLength(1);
  });

  it('refuses a large body', async () => {
    const payload = 'x'.repeat(20_000);
    const headers = { authorization, 'content-type': 'text/plain' };
    expect((await ask('POST /reconcile', { payload, headers })).statusCode).toBe(413);
  });
});

describe('the document', () => {
  it('is served as it is, to anybody', async () => {
    const { headers, body } = await app.inject('/openapi.yaml');
    expect(headers['content-type']).toContain('application/yaml');
    expect(body).toBe(DOCUMENT);
  });

  it('is what the types of the console and of the commands are made of', async () => {
    const made = astToString(await openapiTS(DOCUMENT));
    const committed = join(import.meta.dirname, '../../../src/api/admin-api.ts');
    const plain = (text: string) => text.replaceAll(/\/\*[^]*?\*\/|[\s;'"|,()]/g, '');
    // What differs is the layout: the file is formatted.
    expect(plain(readFileSync(committed, 'utf8')), 'npm run generate').toBe(plain(made));
  });
});

describe('the history', () => {
  it('has a sample from each moment that was looked at, and only later ones when asked', async () => {
    const history = new History(control, () => NOW_MS + 1000);
    history.sample();
    expect(history.since(0)).toEqual([
      {
        atMs: NOW_MS + 1000,
        unmatchedWrites: 2,
        unmatchedBytes: 2048,
        oldestAgeMs: 6000,
        mirrors: [
          { mirror: 'osd-0', rowCount: 2 },
          { mirror: 'osd-1', rowCount: 0 },
        ],
      },
    ]);
    expect(history.since(NOW_MS + 1000)).toEqual([]);
    for (let count = 0; count < HISTORY_SAMPLES_MAX + 5; count += 1) history.sample();
    expect(history.since(0)).toHaveLength(HISTORY_SAMPLES_MAX);
    expect((await ask('GET /history')).json()).toEqual({ samples: [] });
  });
});

describe('buckets, objects and keys', () => {
  const target = '/objects?bucket=photos&key=a%20b';

  it('an object is uploaded, listed, linked and deleted, and each change is on record', async () => {
    const headers = { authorization, 'content-type': 'text/plain' };
    const put = await app.inject({ method: 'PUT', url: target, headers, payload: 'hello' });
    expect(put.statusCode).toBe(204);
    expect(browser.stored.get('a b')).toEqual({ contentType: 'text/plain', text: 'hello' });
    const listing = await ask('GET /objects', { url: '/objects?bucket=photos' });
    expect(listing.json()).toMatchObject({ objects: [{ key: 'a b', sizeBytes: 5 }], next: null });
    const link = await ask('POST /links', {
      payload: { bucket: 'photos', key: 'a b', expiresSeconds: 60 },
      headers: { authorization, host: 'tally.example:9001' },
    });
    expect(link.json()).toEqual({ url: 'http://tally.example:9000/photos/a b?expires=60' });
    const gone = await app.inject({ method: 'DELETE', url: target, headers: { authorization } });
    expect(gone.statusCode).toBe(204);
    expect(browser.stored.size).toBe(0);
    expect(audited.map(({ action, status }) => `${action} ${status}`)).toEqual([
      'PUT /objects 204',
      'POST /links 200',
      'DELETE /objects 204',
    ]);
  });

  it('buckets and keys are listed, keys without their secrets', async () => {
    expect((await ask('GET /buckets')).json()).toMatchObject({ buckets: [{ name: 'photos' }] });
    const keys = await ask('GET /keys');
    expect(keys.body).not.toContain('secret');
    expect(keys.json()).toMatchObject({ keys: [{ accessKeyId: 'KEY', buckets: null }] });
  });

  it('what S3 refuses is refused with its words', async () => {
    const missing = await ask('GET /objects', { url: '/objects?bucket=nowhere' });
    expect(missing.json()).toMatchObject({ code: 'no-such-object' });
    const locked = await ask('DELETE /objects', { url: '/objects?bucket=locked&key=x' });
    expect(locked.json()).toEqual({ code: 's3-refused', message: 'Access Denied' });
  });

  it('an upload without a length, and one that is too long, are refused before they are read', async () => {
    const chunked = await ask('PUT /objects', {
      url: target,
      headers: { authorization, 'transfer-encoding': 'chunked' },
      payload: Readable.from(['x']),
    });
    expect(chunked.statusCode).toBe(400);
    const long = await ask('PUT /objects', {
      url: target,
      headers: { authorization, 'content-length': String(6 * 1024 ** 3) },
    });
    expect(long.statusCode).toBe(413);
  });

  it('a link is good for a week at most', async () => {
    const payload = { bucket: 'photos', key: 'a', expiresSeconds: 604_801 };
    expect((await ask('POST /links', { payload })).statusCode).toBe(400);
  });
});

describe('the console', () => {
  it('is served without a token, and may run nothing but its own files', async () => {
    for (const url of ['/console/', '/console/index.html', '/console/code.js']) {
      const { statusCode, headers } = await app.inject(url);
      expect(statusCode, url).toBe(200);
      const policy = String(headers['content-security-policy']);
      expect(policy).toContain("default-src 'none'");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).not.toContain('unsafe');
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'referrer-policy': 'no-referrer',
      });
    }
    const root = await app.inject('/');
    expect([root.statusCode, root.headers.location]).toEqual([302, '/console/']);
  });

  it('stays that of this version when another one is installed under it', async () => {
    consoleFolder = mkdtempSync(join(tmpdir(), 'tally-console-'));
    cpSync(consoleFiles, consoleFolder, { recursive: true });
    const before = await app.inject('/console/code.js');
    const running = makeServer();
    rmSync(consoleFolder, { recursive: true });
    for (const url of ['/console/', '/console/index.html', '/console/code.js']) {
      expect((await running.inject(url)).statusCode, url).toBe(200);
    }
    const after = await running.inject('/console/code.js');
    expect([after.body, after.headers]).toEqual([before.body, before.headers]);
    await running.close();
  });

  it('is sent once to a browser that keeps it', async () => {
    const { headers, body } = await app.inject('/console/code.js');
    expect(headers).toMatchObject({ 'cache-control': 'no-cache', 'content-length': String(body.length) });
    expect(headers['content-type']).toMatch(/^text\/javascript/);
    const etag = String(headers.etag);
    const again = await app.inject({ url: '/console/code.js', headers: { 'if-none-match': etag } });
    expect([again.statusCode, again.body]).toEqual([304, '']);
    const other = await app.inject({ url: '/console/code.js', headers: { 'if-none-match': '"other"' } });
    expect(other.statusCode).toBe(200);
  });

  it('gives no other files', async () => {
    for (const url of ['/console/../contract.ts', '/console/%2e%2e/contract.ts', '/console/nothing.js']) {
      expect((await app.inject(url)).statusCode, url).toBeGreaterThanOrEqual(400);
    }
  });
});

describe('metrics', () => {
  it('are opened by the token for metrics, which opens nothing else', async () => {
    const read = (url: string, token: string) =>
      app.inject({ url, headers: { authorization: `Bearer ${token}` } }).then(({ statusCode }) => statusCode);
    expect(await read('/metrics', TOKEN)).toBe(200);
    expect(await read('/metrics', METRICS_TOKEN)).toBe(200);
    expect(await read('/metrics', 'wrong')).toBe(401);
    expect(await read('/metrics', READ_TOKEN)).toBe(200);
    expect(await read('/status', METRICS_TOKEN)).toBe(403);
  });

  it('tell of the mirrors, the tag tables, the recovery and the S3 operations', async () => {
    const ended = { operation: 'PutObject', durationMs: 3, receivedBytes: 5, sentBytes: 0 };
    figures.requestBegan();
    figures.requestBegan();
    figures.requestBegan();
    figures.requestEnded({ ...ended, status: 200, errorCode: null });
    figures.requestEnded({ ...ended, status: 404, errorCode: 'NoSuchBucket', durationMs: 60_000 });
    control.current = { ...control.current, operation: makeOperation() };
    const { body } = await app.inject({ url: '/metrics', headers: { authorization } });
    for (const line of [
      'tally_epoch{set="set-1"} 3',
      'tally_mirror_set_state{set="set-1",state="active"} 1',
      'tally_mirror_state{set="set-1",mirror="osd-1",state="away"} 1',
      'tally_mirror_state{set="set-1",mirror="osd-1",state="in-sync"} 0',
      'tally_mirror_needs_full_copy{set="set-1",mirror="osd-1"} 1',
      'tally_tag_table_rows{set="set-1",mirror="osd-0"} 2',
      'tally_tag_table_oldest_row_age_seconds{set="set-1",mirror="osd-0"} 5',
      'tally_unmatched_bytes{set="set-1"} 2048',
      'tally_mirror_set_events_total{set="set-1",kind="excluded"} 1',
      'tally_recovery_running{set="set-1"} 1',
      'tally_recovery_bytes_done{set="set-1"} 1024',
      'tally_s3_requests_in_flight 1',
      'tally_s3_requests_total{operation="PutObject"} 2',
      'tally_s3_errors_total{operation="PutObject",code="NoSuchBucket",status="404"} 1',
      'tally_s3_received_bytes_total{operation="PutObject"} 10',
      'tally_s3_request_duration_seconds_bucket{operation="PutObject",le="0.0025"} 0',
      'tally_s3_request_duration_seconds_bucket{operation="PutObject",le="0.005"} 1',
      'tally_s3_request_duration_seconds_bucket{operation="PutObject",le="+Inf"} 2',
      'tally_s3_request_duration_seconds_count{operation="PutObject"} 2',
      'tally_s3_request_duration_seconds_sum{operation="PutObject"} 60.003',
    ]) {
      expect(body.split('\n')).toContain(line);
    }
    expect(body).toContain('nodejs_eventloop_lag_p99_seconds ');
    expect(body).not.toContain('tally_tag_table_rows{set="set-1",mirror="osd-1"}');
  });
});

describe('metrics of several mirror sets', () => {
  it('are told apart by the name of the set', async () => {
    const second = new FakeControl();
    second.current = { ...second.current, setId: 'second', epoch: 8, phase: 'waiting' };
    furtherControls = new Map([['second', second]]);
    moveProgress = { phase: 'moving', objectsMoved: 3, bytesMoved: 12, failures: 0 };
    await app.close();
    app = makeServer();
    const lines = (await app.inject({ url: '/metrics', headers: { authorization } })).body.split('\n');
    for (const line of [
      'tally_epoch{set="set-1"} 3',
      'tally_epoch{set="second"} 8',
      'tally_mirror_set_state{set="set-1",state="active"} 1',
      'tally_mirror_set_state{set="second",state="active"} 0',
      'tally_tag_table_rows{set="second",mirror="osd-0"} 2',
      'tally_mirror_set_events_total{set="second",kind="excluded"} 1',
      'tally_recovery_running{set="second"} 0',
      'tally_move_running 1',
      'tally_moved_bytes_total 12',
      'tally_certificate_expiry_timestamp_seconds{use="the admin API"} 1800000000',
    ]) {
      expect(lines).toContain(line);
    }
  });
});

describe('the audit log', () => {
  it('has every action with its outcome, and every wrong token, without the token', async () => {
    await ask('POST /reconcile');
    await ask('POST /reconcile');
    await ask('GET /status');
    await ask('GET /status', { headers: {} });
    await ask('GET /status', { headers: { authorization: 'Bearer guessed-wrong' } });
    await app.inject({ method: 'DELETE', url: '/nowhere', headers: { authorization } });
    const outcome = ({ by, action, target, status }: AuditEntry) => `${by} ${action} ${target} ${status}`;
    expect(audited.map(outcome)).toEqual([
      'alice POST /reconcile /reconcile 202',
      'alice POST /reconcile /reconcile 409',
      'null GET /status /status 401',
      'alice DELETE unknown /nowhere 404',
    ]);
    expect(JSON.stringify(audited)).not.toContain('guessed-wrong');
    expect(audited[0]?.remoteAddress).toBe('127.0.0.1');
  });
});

describe('GET and POST /force/object', () => {
  const query = { bucket: 'photos', key: 'cat.jpg', choice: 'give-up' };

  it('go on record with the object, and with what was said', async () => {
    const { words } = (await ask('GET /force/object', { query })).json<{ words: string }>();
    await ask('POST /force/object', { payload: { ...query, words: 'yes' } });
    await ask('POST /force/object', { payload: { ...query, words } });
    expect(audited.map(({ about, status }) => ({ about, status }))).toEqual([
      { about: { ...query, words: 'yes' }, status: 409 },
      { about: { ...query, words }, status: 200 },
    ]);
  });

  it('says what is lost, and does it for these words alone', async () => {
    const plan = (await ask('GET /force/object', { query })).json<{ words: string }>();
    const wrong = await ask('POST /force/object', { payload: { ...query, words: 'yes' } });
    expect(wrong.json()).toMatchObject({ code: 'wrong-words' });
    const right = await ask('POST /force/object', { payload: { ...query, words: plan.words } });
    expect(right.json()).toEqual(plan);
    const whole = await ask('GET /force/object', { query: { ...query, key: 'dog.jpg' } });
    expect(whole.json()).toMatchObject({ code: 'not-lost' });
    const gone = await ask('GET /force/object', { query: { ...query, choice: 'put-back' } });
    expect(gone.json()).toMatchObject({ code: 'nothing-kept' });
    const unknown = await ask('GET /force/object', { query: { ...query, choice: 'keep' } });
    expect(unknown.statusCode).toBe(400);
  });
});

describe('GET and POST /force', () => {
  it('say what is at risk, and act on the right words only', async () => {
    const query = { mirror: 'osd-1' };
    expect((await ask('GET /force', { query })).json()).toMatchObject({ code: 'not-waiting' });
    control.current = { ...control.current, phase: 'waiting' };
    const plan = (await ask('GET /force', { query })).json<{ words: string }>();
    const wrong = await ask('POST /force', { payload: { mirror: 'osd-1', words: 'yes' } });
    expect(wrong.json()).toMatchObject({ code: 'wrong-words' });
    const right = await ask('POST /force', { payload: { mirror: 'osd-1', words: plan.words } });
    expect(right.statusCode).toBe(202);
    expect((await ask('GET /force', { query: { mirror: 'osd-9' } })).statusCode).toBe(404);
    expect((await ask('POST /force', { payload: { mirror: 'osd-1' } })).statusCode).toBe(400);
  });
});

describe('POST /scrub', () => {
  it('starts the mirrors in sync, or one, and knows no other', async () => {
    expect((await ask('POST /scrub')).json()).toEqual({ mirrors: ['osd-0'] });
    expect((await ask('POST /scrub', { query: { mirror: 'osd-1' } })).statusCode).toBe(404);
  });
});

describe('the pace of copying', () => {
  const change = (payload: object) => ask('PATCH /pace', { payload });

  it('changes in what is asked for alone, and is in the status', async () => {
    expect((await ask('GET /pace')).json()).toEqual(control.pace());
    const paused = { bytesPerSecond: 20 * 1024 * 1024, sharePercent: 50, isPaused: true };
    expect((await change({ isPaused: true })).json()).toEqual(paused);
    expect((await change({ bytesPerSecond: null })).json()).toEqual({ ...paused, bytesPerSecond: null });
    expect((await ask('GET /status')).json()).toMatchObject({ pace: { isPaused: true } });
    expect(audited.map(({ action }) => action)).toEqual(['PATCH /pace', 'PATCH /pace']);
  });

  it.each([{}, { sharePercent: 0 }, { sharePercent: 101 }, { bytesPerSecond: 1000 }, { speed: 1 }])(
    'refuses %j',
    async (payload) => {
      const before = control.pace();
      expect((await change(payload)).statusCode).toBe(400);
      expect(control.pace()).toEqual(before);
    },
  );

  it('is refused where there is none', async () => {
    control.current = { ...control.current, pace: null };
    expect((await ask('GET /pace')).json()).toMatchObject({ code: 'not-paced' });
    expect((await change({ isPaused: true })).statusCode).toBe(409);
  });
});

describe('/verify', () => {
  it('starts a verification, one at a time, and says what it found', async () => {
    expect((await ask('GET /verify')).json()).toEqual({ verification: null });
    const started = await ask('POST /verify', { query: { repair: 'true', bytesPerSecond: '2048' } });
    expect(started.statusCode).toBe(202);
    const order = { repairs: true, isQuick: false, bytesPerSecond: 2048 };
    expect(started.json()).toMatchObject({ verification: order });
    const second = await ask('POST /verify', { query: { quick: 'true' } });
    expect(second.statusCode).toBe(409);
    expect(second.json()).toMatchObject({ code: 'verification-running', verification: order });
    expect((await ask('GET /verify')).json()).toMatchObject({
      verification: { differences: [{ bucket: 'photos', key: 'key', version: 'v1', kind: 'last-tag' }] },
    });
    expect((await ask('POST /verify', { query: { bytesPerSecond: '1' } })).statusCode).toBe(400);
    expect((await ask('DELETE /verify')).json()).toMatchObject({ verification: { state: 'stopped' } });
    expect((await ask('DELETE /verify')).json()).toMatchObject({ code: 'no-verification' });
    expect((await ask('POST /verify')).statusCode).toBe(202);
  });
});

describe('following a reconciliation', () => {
  async function listen(limits: Partial<AdminLimits> = {}): Promise<string> {
    await app.close();
    app = makeServer(limits);
    await app.listen({ host: '127.0.0.1', port: 0 });
    const address = app.server.address();
    if (address === null || typeof address === 'string') throw new Error('it listens');
    return `http://127.0.0.1:${address.port}`;
  }

  it('sends every change, ends with the operation, and then closes', async () => {
    control.known.set('op-1', makeOperation());
    const url = await listen();
    const response = await fetch(`${url}/reconcile/op-1/events`, { headers: { authorization } });
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    setTimeout(() => control.known.set('op-1', makeOperation({ attempts: 2 })), 50);
    setTimeout(() => control.known.set('op-1', makeOperation({ state: 'done', endedMs: NOW_MS + 9 })), 100);
    const events = (await response.text()).trim().split('\n\n');
    expect(events.map((event) => event.split('\n')[0])).toEqual([
      'event: progress',
      'event: progress',
      'event: end',
    ]);
    const last: unknown = JSON.parse(events.at(-1)!.split('\ndata: ')[1]!);
    expect(contractResponse('GET /reconcile/{id}', 200).faultsOf(last)).toEqual([]);
    expect(last).toMatchObject({ state: 'done' });
  });

  it('turns away more clients than the limit, and lets others in when one is gone', async () => {
    control.known.set('op-1', makeOperation());
    const url = await listen({ streamsMax: 2 });
    const follow = (signal?: AbortSignal) =>
      fetch(`${url}/reconcile/op-1/events`, { headers: { authorization }, ...(signal && { signal }) });
    const gone = new AbortController();
    const kept = [await follow(gone.signal), await follow()];
    const refused = await follow();
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ code: 'too-many-streams' });
    gone.abort();
    await expect.poll(async () => (await follow()).status).toBe(200);
    expect(kept).toHaveLength(2);
  });

  it('ends the streams when the server closes', async () => {
    control.known.set('op-1', makeOperation());
    const url = await listen();
    const response = await fetch(`${url}/reconcile/op-1/events`, { headers: { authorization } });
    const text = response.text();
    await app.close();
    expect(await text).toContain('event: progress');
  });

  it('says that it is still there when nothing changes', async () => {
    control.known.set('op-1', makeOperation());
    const url = await listen({ streamHeartbeatMs: 20 });
    const response = await fetch(`${url}/reconcile/op-1/events`, { headers: { authorization } });
    setTimeout(() => control.known.delete('op-1'), 100);
    expect(await response.text()).toContain(': still running');
  });
});
