import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeAccessLog, makeAuditLog, makeLogger } from '../../../src/cli/logging.js';
import { useTemporaryFolder } from './temporary-folder.js';

const temporary = useTemporaryFolder();

function settings(hasAccessLog = false) {
  return { log: { level: 'info', folder: temporary(), hasAccessLog } } as const;
}

async function linesOf(name: string): Promise<Record<string, unknown>[]> {
  const text = await readFile(join(temporary(), `${name}.log`), 'utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

const request = {
  requestId: 'ID1',
  operation: 'PutObject',
  method: 'PUT',
  path: '/bucket/key',
  accessKeyId: 'KEY',
  remoteAddress: '10.0.0.9',
  status: 200,
  errorCode: null,
  durationMs: 1.5,
  receivedBytes: 5,
  sentBytes: 0,
} as const;

describe('logs', () => {
  it('have no secret, however deep it stands', async () => {
    const secrets = {
      secret: 'hidden-1',
      secretKey: 'hidden-2',
      secretAccessKey: 'hidden-3',
      token: 'hidden-4',
      authorization: 'Bearer hidden-5',
      password: 'hidden-6',
      TALLY_SET_SECRET: 'hidden-7',
      TALLY_SECRET_KEY: 'hidden-8',
      TALLY_ADMIN_TOKEN: 'hidden-9',
      TALLY_METRICS_TOKEN: 'hidden-10',
      TALLY_ADMIN_READ_TOKEN: 'hidden-12',
    };
    const logger = makeLogger('gateway', settings());
    logger.info(secrets, 'at the top');
    logger.info({ a: secrets, b: { c: secrets }, d: { e: { f: secrets } } }, 'below');
    logger.child({ headers: { authorization: 'hidden-11' } }).warn('of a child');
    const text = await readFile(join(temporary(), 'gateway.log'), 'utf8');
    expect(text.match(/\[secret\]/g)).toHaveLength(4 * Object.keys(secrets).length + 1);
    expect(text).not.toContain('hidden');
  });

  it('lose a fact that cannot be written, and neither the line nor the process', async () => {
    const logger = makeLogger('osd-0', settings());
    const error = Object.assign(new Error('Corruption: block checksum mismatch'), { key: Buffer.from('k') });
    logger.error({ err: error, secret: 'hidden' }, 'a record is damaged');
    logger.info({ count: 1 }, 'it goes on');
    const [first, second] = await linesOf('osd-0');
    expect(first).toMatchObject({
      level: 50,
      msg: 'a record is damaged',
      failure: expect.stringContaining('block checksum mismatch') as unknown,
      unloggable: expect.stringMatching(/./) as unknown,
    });
    expect(JSON.stringify(first)).not.toContain('hidden');
    expect(second).toMatchObject({ msg: 'it goes on', count: 1 });
  });

  it('of audits are written at once, whatever the level of the others', async () => {
    const { log } = settings();
    const audit = makeAuditLog('gateway', { log: { ...log, level: 'fatal' } });
    audit.record({
      by: 'alice',
      action: 'POST /reconcile',
      target: '/reconcile',
      status: 202,
      remoteAddress: '10.0.0.9',
      requestId: 'req-1',
    });
    expect(await linesOf('audit')).toMatchObject([
      {
        ...{ log: 'audit', by: 'alice', action: 'POST /reconcile', status: 202 },
        ...{ remoteAddress: '10.0.0.9', requestId: 'req-1' },
      },
    ]);
  });

  it('of accesses are made only when they are wanted, a line for each request', async () => {
    expect(makeAccessLog('gateway', settings())).toBeNull();
    await mkdir(temporary(), { recursive: true });
    const access = makeAccessLog('gateway', settings(true));
    access?.requestEnded(request);
    access?.requestEnded({ ...request, requestId: 'ID2' });
    await access?.close();
    expect(await linesOf('access')).toMatchObject([
      { log: 'access', ...request },
      { log: 'access', requestId: 'ID2' },
    ]);
  });
});
