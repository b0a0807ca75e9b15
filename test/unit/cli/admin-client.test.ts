/** Commands of this release and a gateway of another one: an upgrade installs the command before it restarts the gateway. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { AdminClient } from '../../../src/cli/admin-client.js';
import { renderStatus } from '../../../src/cli/status-table.js';
import type { Fetch } from '../../../src/wire/trusting-fetch.js';

interface Answer {
  readonly content?: Readonly<Record<string, { readonly example?: unknown }>>;
}

type Operations = Readonly<Record<string, { readonly responses?: Readonly<Record<string, Answer>> }>>;

interface AdminDocument {
  readonly paths: Readonly<Record<string, Operations>>;
}

const root = join(import.meta.dirname, '../../..');

function readDocument(path: string): AdminDocument {
  return parse(readFileSync(join(root, path), 'utf8')) as AdminDocument;
}

/** Answers with the examples of a document, each changed by `change`. */
function answering(
  { paths }: AdminDocument,
  change: (example: unknown) => unknown = (example) => example,
): Fetch {
  return async (url, { method }) => {
    const { pathname } = new URL(url);
    const responses = paths[pathname]?.[method.toLowerCase()]?.responses ?? {};
    const [status = '404', answer] = Object.entries(responses).find(([code]) => code.startsWith('2')) ?? [];
    const example = answer?.content?.['application/json']?.example;
    return Response.json(change(example), { status: Number(status) });
  };
}

/** Whatever the commands ask for. */
async function askEverything(client: AdminClient): Promise<void> {
  expect(renderStatus(await client.status())).toContain('Mirror set');
  await client.sets();
  await client.events();
  await client.operations();
  await client.reconcile();
  await client.setPace({ isPaused: true });
  await client.scrub(null);
  await client.tagTable('osd-1', null, 10);
  await client.buckets();
  await client.planForce('osd-1');
  await client.verification();
}

/** At every depth. */
function withMore(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withMore);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(([name, member]) => [name, withMore(member)] as const);
  return { ...Object.fromEntries(members), brought: 'by a later release' };
}

describe('the commands understand a gateway', () => {
  it('of the first release that is kept', async () => {
    const client = new AdminClient(
      'http://gateway',
      'a-token',
      answering(readDocument('test/upgrade/contract/admin-1.yaml')),
    );
    await askEverything(client);
    const { mirrors, lostObjectCount } = await client.status();
    expect(mirrors.map(({ incompatibility }) => incompatibility)).toEqual([null, null]);
    expect(lostObjectCount).toBe(0);
  });

  it('of a later one, whose answers have more', async () => {
    const client = new AdminClient(
      'http://gateway',
      'a-token',
      answering(readDocument('openapi/admin.yaml'), withMore),
    );
    await askEverything(client);
    expect(JSON.stringify(await client.status())).not.toContain('later release');
  });

  it('and say so when they don’t', async () => {
    const client = new AdminClient(
      'http://gateway',
      'a-token',
      answering(readDocument('openapi/admin.yaml'), () => ({})),
    );
    await expect(client.status()).rejects.toThrow('of a release that this command does not understand');
  });
});
