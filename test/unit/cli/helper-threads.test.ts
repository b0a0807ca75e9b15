import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { helperThreadArguments } from '../../../src/cli/up/helper-threads.js';

it('processes that share few processors get one helper thread each, and never more than the four of node', () => {
  expect(helperThreadArguments(3, 2)).toEqual(['--v8-pool-size=1']);
  expect(helperThreadArguments(3, 8)).toEqual(['--v8-pool-size=2']);
  expect(helperThreadArguments(3, 64)).toEqual(['--v8-pool-size=4']);
});

it('node takes the argument, and a later one of whoever starts it wins', () => {
  const [argument = ''] = helperThreadArguments(3, 2);
  const { status } = spawnSync(process.execPath, [argument, '--v8-pool-size=3', '--eval', '0']);
  expect(status).toBe(0);
});
