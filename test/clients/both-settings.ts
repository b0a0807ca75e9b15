/**
 * One client's claims, shown twice: on a whole system, and on one whose OSD is killed while the claim in the middle runs and
 * comes back at the end. Nothing that is claimed may depend on how many mirrors there are, and both times the mirrors end identical.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WritesMode } from '../../src/protocol/forwarding.js';
import { sleep } from '../support/patience.js';
import { TallySystem } from '../support/tally-system.js';

/** What a client works with, in one of the settings. */
export interface Workplace {
  readonly system: TallySystem;
  /** Not made yet. Names of further buckets begin with it. */
  readonly bucket: string;
  /** An empty folder. */
  readonly folder: string;
}

export interface ClientClaim<Client> {
  readonly name: string;
  readonly show: (client: Client) => Promise<void>;
}

export interface ClientSuite<Client> {
  readonly client: string;
  readonly connect: (place: Workplace) => Client;
  readonly disconnect?: (client: Client) => void;
  /** What the client takes before its first request: the kill comes a little later. */
  readonly startupMs?: number;
  /** In this order: a later one may build on what an earlier one left. */
  readonly claims: readonly ClientClaim<Client>[];
}

/** From the first request of the claim in the middle to the kill. */
const KILL_AFTER_MS = 40;
const TABLES_EMPTY_WITHIN_MS = 10_000;

interface Setting<Client> {
  readonly suite: ClientSuite<Client>;
  readonly writes: WritesMode;
}

/** Vitest runs the hooks of a setting around it alone, so one setting's leftovers never reach the other. */
function inSetting<Client>(
  { suite, writes }: Setting<Client>,
  bucketOf: (stem: string) => string,
  run: (place: () => Workplace, client: () => Client) => void,
): void {
  let place: Workplace | null = null;
  let client: Client | null = null;
  const found = <Value>(value: Value | null): Value => {
    if (value === null) throw new Error('the setting did not come up');
    return value;
  };
  beforeAll(async () => {
    const system = await TallySystem.start({ writes });
    const folder = mkdtempSync(join(tmpdir(), 'tally-client-'));
    place = { system, folder, bucket: bucketOf(suite.client.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')) };
    client = suite.connect(place);
  });
  afterAll(async () => {
    if (client !== null) suite.disconnect?.(client);
    if (place === null) return;
    rmSync(place.folder, { recursive: true, force: true });
    await place.system.dispose();
  });
  run(
    () => found(place),
    () => found(client),
  );
}

async function expectIdenticalMirrors({ system }: Workplace): Promise<void> {
  await system.untilInSync();
  await system.untilTablesEmpty(TABLES_EMPTY_WITHIN_MS);
  expect((await system.compare()).differences).toEqual([]);
}

export function testInBothSettings<Client>(suite: ClientSuite<Client>): void {
  const { claims } = suite;
  describe(suite.client, () => {
    inSetting(
      { suite, writes: 'direct' },
      (stem) => `${stem}-whole`,
      (place, client) => {
        for (const { name, show } of claims) test(name, () => show(client()));

        test('leaves two identical mirrors behind', () => expectIdenticalMirrors(place()));
      },
    );
  });

  describe(`${suite.client}, with one mirror killed in the middle`, () => {
    testWithKill({ suite, writes: 'direct' }, 1);
  });
}

/** As the second of both settings, where writes are forwarded: it is the OSD that issues their tags that is killed. */
export function testForwarded<Client>(suite: ClientSuite<Client>): void {
  describe(`${suite.client}, writes forwarded, with their OSD killed in the middle`, () => {
    testWithKill({ suite, writes: 'forwarded' }, 0);
  });
}

function testWithKill<Client>(setting: Setting<Client>, victim: 0 | 1): void {
  const { suite, writes } = setting;
  const { claims } = suite;
  inSetting(
    setting,
    (stem) => `${stem}-${writes === 'direct' ? 'degraded' : writes}`,
    (place, client) => {
      const middle = Math.floor(claims.length / 2);
      claims.forEach(({ name, show }, index) => {
        if (index < middle) test(name, () => show(client()));
        else if (index > middle) test(`${name}, with one mirror`, () => show(client()));
        else
          test(`${name}, while one OSD is killed`, async () => {
            const { system } = place();
            await Promise.all([
              show(client()),
              sleep((suite.startupMs ?? 0) + KILL_AFTER_MS).then(() => system.osds[victim].process.kill()),
            ]);
          });
      });

      test('the OSD comes back, and the mirrors are identical', async () => {
        place().system.osds[victim].process.start();
        await expectIdenticalMirrors(place());
      });
    },
  );
}
