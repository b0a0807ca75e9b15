import { describe, expect, it } from 'vitest';
import type { AdminOperation, AdminStatus } from '../../../src/admin/schemas.js';
import { formatAddress, localUrl, parseAddress } from '../../../src/cli/address.js';
import { EXIT } from '../../../src/cli/exit-codes.js';
import { explainError } from '../../../src/cli/explain-error.js';
import { formatBytes, formatDuration, plural } from '../../../src/gateway/figures.js';
import { readInvocation, showPath } from '../../../src/cli/invocation.js';
import { parsePace, readPaceFlags } from '../../../src/cli/pace-flags.js';
import { describeBriefly, describeEnd, describeProgress } from '../../../src/cli/reconcile-text.js';
import { hasEnded } from '../../../src/cli/run-scrub.js';
import { isAllInSync, renderStatus, summarize } from '../../../src/cli/status-table.js';
import { AuthoritySuperseded } from '../../../src/gateway/authority-storage.js';
import { adviceFor } from '../../../src/gateway/mirror-advice.js';
import { InvariantViolation } from '../../../src/protocol/invariant.js';
import { toEpoch } from '../../../src/protocol/tag.js';
import { StoreError } from '../../../src/store/object-store.js';
import { FakeControl, makeOperation, NOW_MS } from '../admin/fake-control.js';

function makeStatus(change: Partial<AdminStatus> = {}): AdminStatus {
  return { softwareVersion: '0.1.0', nowMs: NOW_MS, ...new FakeControl().current, ...change };
}

describe('addresses', () => {
  it.each([
    ['127.0.0.1:9000', '127.0.0.1:9000', 'http://127.0.0.1:9000'],
    [':80', '0.0.0.0:80', 'http://127.0.0.1:80'],
    ['[::]:80', '[::]:80', 'http://[::1]:80'],
    ['storage.example:65535', 'storage.example:65535', 'http://storage.example:65535'],
  ])('%s is %s, reached at %s', (text, formatted, url) => {
    const address = parseAddress(text);
    expect(formatAddress(address)).toBe(formatted);
    expect(localUrl(address)).toBe(url);
  });

  it.each(['', '9000', 'host', 'host:', 'host:99999', 'a:b:1', '::1:80', 'ho st:1'])('%j is none', (text) => {
    expect(() => parseAddress(text)).toThrow(RangeError);
  });
});

describe('figures', () => {
  it('are short and have their unit', () => {
    expect([0, 1023, 1024, 1_992_294, 5 * 1024 ** 3, 250 * 1024 ** 2].map(formatBytes)).toEqual([
      '0 B',
      '1023 B',
      '1.0 KiB',
      '1.9 MiB',
      '5.0 GiB',
      '250 MiB',
    ]);
    expect([-5, 12, 3400, 65_000, 7_500_000, 400_000_000].map(formatDuration)).toEqual([
      '0 ms',
      '12 ms',
      '3.4 s',
      '1 min 5 s',
      '2 h 5 min',
      '4 d 15 h',
    ]);
    expect([plural(1, 'row'), plural(12_345, 'row')]).toEqual(['1 row', '12,345 rows']);
  });
});

describe('the status, for people', () => {
  it('says what is missing in writes and bytes', () => {
    const text = renderStatus(makeStatus());
    expect(text).toContain('Mirror set set-1: active, epoch 3, 1 write in flight');
    expect(text).toMatch(/osd-0 +in-sync +3 +2 +2\.0 KiB +5\.0 s/);
    expect(text).toMatch(/osd-1 +away +- +- +- +- +http:\/\/127.0.0.1:9011 +never seen/);
    expect(text).toContain(
      'Not in sync: osd-1 may lack 2 writes, 2.0 KiB, the oldest 5.0 s old. osd-1 must be copied in full.',
    );
  });

  it('calls a set in sync only when it is active and every mirror is', () => {
    const mirrors = makeStatus().mirrors.map((mirror) => ({ ...mirror, condition: 'in-sync' as const }));
    expect(isAllInSync(makeStatus())).toBe(false);
    expect(isAllInSync(makeStatus({ mirrors }))).toBe(true);
    expect(isAllInSync(makeStatus({ mirrors, phase: 'recovering' }))).toBe(false);
    expect(summarize(makeStatus({ mirrors }))).toBe('All mirrors are in sync.');
  });

  it('tells a mirror of another release from one that is away, and says who has to be upgraded', () => {
    const incompatibility = 'osd-1 speaks contract 3, and this gateway 4 to 5: upgrade osd-1 first';
    const mirrors = makeStatus().mirrors.map((mirror, index) =>
      index === 1
        ? { ...mirror, condition: 'incompatible' as const, incompatibility, advice: incompatibility }
        : mirror,
    );
    const text = renderStatus(makeStatus({ mirrors }));
    expect(text).toMatch(/osd-1 +incompatible +- +- +- +-/);
    expect(text).toContain(`\n${incompatibility}.`);
    expect(isAllInSync(makeStatus({ mirrors }))).toBe(false);
  });

  it('says what it waits for', () => {
    expect(summarize(makeStatus({ phase: 'waiting', waitingFor: 'osd-0 must come back' }))).toBe(
      'Nobody is served: osd-0 must come back.',
    );
  });
});

describe('what to do about a mirror', () => {
  const [osd0, osd1] = new FakeControl().current.mirrors;

  it('is part of the status, and when nobody is served, what to do if nobody comes back', () => {
    const text = renderStatus(makeStatus());
    expect(text).toContain('\nstart osd-1 again.\n');
    expect(text).not.toContain('tally force');
    expect(renderStatus(makeStatus({ phase: 'waiting' }))).toContain('tally force --mirror NAME');
  });

  it('is what to type, and nothing where nothing is to be done', () => {
    expect(adviceFor(osd0!)).toBeNull();
    expect(adviceFor({ ...osd0!, condition: 'behind' })).toBeNull();
    expect(adviceFor(osd1!)).toContain('"tally osd --name osd-1" or "systemctl start tally-osd@osd-1"');
    expect(adviceFor({ ...osd1!, condition: 'incompatible', incompatibility: 'upgrade osd-1' })).toBe(
      'upgrade osd-1',
    );
  });

  it.each(['in-sync', 'no-space'] as const)('is about a full disk of a mirror that is %s', (condition) => {
    const identity = { ...osd0!.identity!, fault: { kind: 'no-space', detail: '1 MiB free' } as const };
    expect(adviceFor({ ...osd0!, condition, identity })).toMatch(
      /^osd-0 has no space left \(1 MiB free\): free/,
    );
  });
});

describe('a pace', () => {
  const pace = { bytesPerSecond: null, sharePercent: 50, isPaused: false };

  it('is read from what people type', () => {
    expect(parsePace('20MiB/s')).toEqual({ bytesPerSecond: 20 * 1024 * 1024 });
    expect(parsePace('1.5 GB/s')).toEqual({ bytesPerSecond: 1_500_000_000 });
    expect(parsePace('25%')).toEqual({ sharePercent: 25 });
    expect(parsePace('unlimited')).toEqual({ bytesPerSecond: null, sharePercent: 100 });
    for (const text of [
      '',
      '20',
      '20MiB',
      '1KiB/s',
      '0%',
      '101%',
      '4%',
      'fast',
      '-1MiB/s',
      '9999999999999GB/s',
    ]) {
      expect(() => parsePace(text), text).toThrow('--pace');
    }
  });

  it('goes with a pause or its end, not with both', () => {
    expect(readPaceFlags({})).toBeNull();
    expect(readPaceFlags({ pace: '50%', resume: true })).toEqual({ sharePercent: 50, isPaused: false });
    expect(readPaceFlags({ pause: true })).toEqual({ isPaused: true });
    expect(() => readPaceFlags({ pause: true, resume: true })).toThrow('contradict');
    expect(() => readPaceFlags({ pause: true, wait: true })).toThrow('start nothing');
  });

  it('is in the status while it matters: something is copied, or an operator has paused it', () => {
    const operation = makeOperation();
    const paused = { ...pace, isPaused: true };
    expect(renderStatus(makeStatus({ pace }))).not.toContain('Copying');
    expect(renderStatus(makeStatus({ pace, operation }))).toContain('50 % of the time');
    expect(renderStatus(makeStatus({ pace: paused }))).toContain('paused by an operator');
  });
});

describe('a scrub that is waited for', () => {
  const scrub = (state: 'running' | 'done' | 'failed' | 'stopped') => ({
    ...{ state, startedMs: NOW_MS, endedMs: null, failure: null },
    ...{ objectsExamined: 1, bytesExamined: 1, objectsDamaged: 0, objectsHealed: 0 },
  });
  const of = (mirror: string, state: Parameters<typeof scrub>[0], isAway = false) => ({
    ...{ mirror, isAway, objectCount: 1, scrub: scrub(state) },
  });

  it('has ended once each mirror said so: not while one is away, or nothing is known of it', () => {
    const both = ['osd-0', 'osd-1'];
    expect(hasEnded([of('osd-0', 'done'), of('osd-1', 'failed')], both)).toBe(true);
    expect(hasEnded([of('osd-0', 'done'), of('osd-1', 'running')], both)).toBe(false);
    expect(hasEnded([of('osd-0', 'done'), of('osd-1', 'done', true)], both)).toBe(false);
    expect(hasEnded([of('osd-0', 'done')], both)).toBe(false);
    expect(hasEnded([of('osd-0', 'done')], ['osd-0'])).toBe(true);
  });
});

describe('a reconciliation, for people', () => {
  const operation: AdminOperation = makeOperation({ state: 'done', endedMs: NOW_MS + 1500 });

  it('tells its progress and its rate', () => {
    const text = describeProgress(operation.progress!, 500);
    expect(text).toBe('copying, 1 of 2 objects, 1 range, 1.0 KiB of 2.0 KiB, 2.0 KiB/s');
    expect(describeProgress({ ...operation.progress!, isScanned: false }, 500)).toContain(
      'of at least 2.0 KiB',
    );
  });

  it('a full copy tells how far it is, and how long it takes yet', () => {
    const progress = {
      ...operation.progress!,
      phase: 'full-copy',
      objectsCompared: 1500,
      objectsToCompare: 6000,
      leftMs: 90_000,
    } as const;
    expect(describeProgress(progress, 500)).toContain(
      '1,500 of about 6,000 objects compared (25 %), about 1 min 30 s left',
    );
    expect(describeProgress({ ...progress, leftMs: null }, 500)).not.toContain('left');
  });

  it('tells in the end what was matched and what was copied, in bytes', () => {
    expect(describeEnd(operation)).toContain('Matched: 1 row. Unmatched: 2 rows, 2.0 KiB.');
    expect(describeEnd(operation)).toContain(
      'Copied: 1.0 KiB (1,024 bytes) in 1 range of 1 object. It took 1.5 s.',
    );
    expect(describeEnd({ ...operation, state: 'failed', failure: 'the gateway stopped' })).toBe(
      'The reconciliation failed: the gateway stopped.',
    );
    expect(describeBriefly(operation)).toBe('1 row matched, 2 not; 1.0 KiB of 1 object copied, in 1.5 s');
  });
});

describe('an error', () => {
  it.each([
    [new InvariantViolation('x holds'), EXIT.bug, 'A bug of Tally'],
    [new TypeError('x is undefined'), EXIT.bug, 'A bug of Tally: x is undefined'],
    [new StoreError('in-use', 'the store is open'), EXIT.folderUnusable, 'The store is open.'],
    [new StoreError('damaged', 'bad bytes'), EXIT.storage, 'Bad bytes.'],
    [
      new AuthoritySuperseded({ epoch: toEpoch(1) }, { epoch: toEpoch(2) }),
      EXIT.superseded,
      'another gateway took over',
    ],
    ['text', EXIT.bug, 'text'],
  ])('%s ends with its exit code and one sentence', (error, exitCode, message) => {
    const explanation = explainError(error);
    expect(explanation.exitCode).toBe(exitCode);
    expect(explanation.message).toContain(message);
    expect(explanation.message).not.toContain('\n');
  });
});

describe('commands to be pasted', () => {
  it('are called the way this one was', () => {
    const call = (script: string, environment: NodeJS.ProcessEnv = {}) =>
      readInvocation(['node', script], environment, '/home/me/tally').command;
    expect(call('/usr/bin/tally')).toBe('tally');
    expect(call('/home/me/tally/dist/cli/main.js')).toBe('node dist/cli/main.js');
    expect(call('/home/me/tally/dist/cli/main.js', { npm_command: 'start' })).toBe('npx tally');
  });

  it('have paths that a shell takes', () => {
    expect(showPath('/home/me/data', '/home/me')).toBe('data');
    expect(showPath('/srv/data', '/home/me')).toBe('/srv/data');
    expect(showPath("/srv/it's mine", '/home/me')).toBe(String.raw`'/srv/it'\''s mine'`);
    expect(showPath('/home/me', '/home/me')).toBe('.');
  });
});
