import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { makeFreeBytes, settleHeap } from '../../../src/cli/engine.js';
import { nodeArguments, SERVICE_ENVIRONMENT, SERVICE_NODE_OPTIONS } from '../../../src/cli/node-arguments.js';
import { repositoryRoot } from '../../support/repository.js';

it('processes that share few processors get one helper thread each, and never more than the four of node', () => {
  expect(nodeArguments(3, 2)).toContain('--v8-pool-size=1');
  expect(nodeArguments(3, 8)).toContain('--v8-pool-size=2');
  expect(nodeArguments(3, 64)).toContain('--v8-pool-size=4');
});

it('node takes the arguments, and a later one of whoever starts it wins', () => {
  const arguments_ = [...nodeArguments(3, 2), '--v8-pool-size=3', '--eval', '0'];
  expect(spawnSync(process.execPath, arguments_).status).toBe(0);
});

it('a service that something else starts is told the same in NODE_OPTIONS, which node takes', () => {
  expect(nodeArguments(3, 2)).toContain(SERVICE_NODE_OPTIONS);
  const environment = { ...process.env, NODE_OPTIONS: SERVICE_NODE_OPTIONS };
  expect(spawnSync(process.execPath, ['--eval', '0'], { env: environment }).status).toBe(0);
});

it.each([
  'packaging/systemd/tally-gateway.service',
  'packaging/systemd/tally-osd@.service',
  'docker/Dockerfile',
])('%s says it', (path) => {
  const text = readFileSync(join(repositoryRoot, path), 'utf8');
  expect(text).toContain(`NODE_OPTIONS=${SERVICE_NODE_OPTIONS}`);
  for (const [name, value] of Object.entries(SERVICE_ENVIRONMENT)) expect(text).toContain(`${name}=${value}`);
});

it('bytes are freed that have their memory to themselves, and no others', () => {
  const freeBytes = makeFreeBytes();
  const own = Buffer.allocUnsafeSlow(65_536);
  const view = Buffer.allocUnsafeSlow(65_536).subarray(1);
  freeBytes(own);
  freeBytes(view);
  expect(own.byteLength).toBe(0);
  expect(view.byteLength).toBe(65_535);
});

it('a heap that is settled holds nothing that nobody uses', async () => {
  const gone = new WeakRef({ text: 'once' });
  // What was just looked at through it stays until the end of the job.
  await new Promise((resolve) => setImmediate(resolve));
  settleHeap();
  expect(gone.deref()).toBeUndefined();
});
