/** docker/prometheus and docker/grafana against the servers: a metric that is asked for and does not exist alerts nobody, ever. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { createAdminServer } from '../../../src/admin/admin-server.js';
import { MemoryOsdStore } from '../../fakes/memory-osd-store.js';
import { FakeBrowser, FakeControl } from '../admin/fake-control.js';
import { startOsd } from '../osd/osd-harness.js';
import { SECRET, SET_ID } from '../osd/osd-writer.js';

const TOKEN = 'a-token-for-this-test';
/** Prometheus makes this one itself. */
const OF_PROMETHEUS = ['up'];

interface Alerts {
  readonly groups: readonly {
    readonly rules: readonly { readonly alert: string; readonly expr: string }[];
  }[];
}

interface Dashboard {
  readonly panels: readonly {
    readonly title: string;
    readonly targets: readonly { readonly expr: string }[];
  }[];
}

function read(path: string): string {
  return readFileSync(join(import.meta.dirname, '../../../docker', path), 'utf8');
}

const alerts = parse(read('prometheus/alerts.yaml')) as Alerts;
const dashboard = JSON.parse(read('grafana/tally.json')) as Dashboard;
const expressions = [
  ...alerts.groups.flatMap(({ rules }) => rules.map(({ alert, expr }) => [alert, expr] as const)),
  ...dashboard.panels.flatMap(({ title, targets }) => targets.map(({ expr }) => [title, expr] as const)),
];

/** The metrics that an expression names: words that are no function, no keyword and no label. */
function metricsIn(expression: string): string[] {
  const bare = expression
    .replaceAll(/\{[^}]*\}/g, '')
    .replaceAll(/\b(by|without) \([^)]*\)/g, '')
    .replaceAll(/\[[^\]]*\]/g, '');
  return [...bare.matchAll(/\b[a-z][a-z0-9_]*\b(?!\s*\()/g)]
    .map(([name]) => name)
    .filter((name) => !['by', 'and', 'or'].includes(name));
}

/** Every series name that a text of /metrics announces, a histogram's three included. */
function announced(text: string): string[] {
  return [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].flatMap(([, name = '', type]) =>
    type === 'histogram' ? ['_bucket', '_sum', '_count'].map((suffix) => name + suffix) : [name],
  );
}

let served: ReadonlySet<string>;

beforeAll(async () => {
  const admin = createAdminServer({
    sets: { controls: new Map([['test', new FakeControl()]]), moveProgress: () => null },
    tokens: () => [{ name: 'admin', role: 'operate', token: TOKEN }],
    browser: new FakeBrowser(),
    consoleFolder: null,
    document: '',
    audit: { record: () => undefined },
    logger: pino({ level: 'silent' }),
    clock: Date.now,
    softwareVersion: 'test',
    onInvariantViolation: () => undefined,
  });
  const osd = await startOsd(new MemoryOsdStore(SET_ID, 1));
  const ofGateway = await admin.inject({ url: '/metrics', headers: { authorization: `Bearer ${TOKEN}` } });
  const ofOsd = await osd.app.inject({ url: '/metrics', headers: { authorization: `Bearer ${SECRET}` } });
  served = new Set([...OF_PROMETHEUS, ...announced(ofGateway.body), ...announced(ofOsd.body)]);
  await admin.close();
  await osd.close();
});

describe('alerts and dashboard', () => {
  it('ask for something', () => {
    expect(expressions.length).toBeGreaterThan(25);
    expect(metricsIn('max by (mirror) (rate(a_b{c="d"}[5m])) / tally_x > 0.5')).toEqual(['a_b', 'tally_x']);
  });

  it.each(expressions)('%s: every metric is one that a server has', (_title, expression) => {
    const names = metricsIn(expression);
    expect(names).not.toEqual([]);
    expect(names.filter((name) => !served.has(name))).toEqual([]);
  });

  it('every alert says how urgent it is, and what to do', () => {
    const rules = alerts.groups.flatMap((group) => group.rules);
    for (const rule of rules) {
      expect(rule).toMatchObject({
        labels: { severity: expect.stringMatching(/^(page|ticket)$/) as string },
        annotations: { summary: expect.any(String) as string, action: expect.any(String) as string },
      });
    }
  });
});
