/** F19: a mirror that can not read a record of its own database, found out by a reconciliation. */
import { afterEach, describe, expect, it } from 'vitest';
import { DamagedRecord } from '../../../src/store/object-store.js';
import { objectKey } from '../../../src/store/keys.js';
import { OsdRefusal } from '../../../src/wire/osd-connection.js';
import { parseRecordDamage } from '../../../src/wire/record-damage.js';
import { GatewayRig, idOf } from './gateway-rig.js';

let rig: GatewayRig;

afterEach(async () => {
  await rig.gateway.stop();
  expect(rig.fatal).toEqual([]);
});

const FAULT = 'the record of "bucket/key" fails its checksum';

/** What others ask of its records it can not read. */
function damage(index: number): void {
  rig.osd(index).onRequest = (method) => {
    if (method === 'evidence' || method === 'states' || method === 'summaries')
      throw new OsdRefusal('damaged', 500, FAULT);
  };
}

function messages(): string {
  return rig.gateway
    .events()
    .map(({ message }) => message)
    .join('\n');
}

function memberOf(index: number) {
  return rig.authority.saved.at(-1)?.members[index];
}

/** osd-`index` lacks this write. */
async function writeWithout(index: number, others: readonly number[]): Promise<void> {
  await rig.put('key', 'base');
  await rig.untilTablesAreEmpty();
  rig.osd(index).mode = 'down';
  await rig.put('key', 'without it');
  await rig.untilInSync(...others);
}

describe('F19: the database of a mirror is damaged', () => {
  it.each([false, true])(
    'a mirror that is back is told of, tried no more, and copied in full when it has another store (suspended: %s)',
    async (suspendsWrites) => {
      rig = new GatewayRig();
      rig.suspendsWrites = suspendsWrites;
      await rig.startAndWait();
      await writeWithout(1, [0]);
      const { storeId } = rig.osd(1).store.report();
      damage(1);
      rig.osd(1).restart();
      await expect.poll(() => memberOf(1)).toMatchObject({ damagedStoreId: storeId });
      expect(memberOf(1)?.fullCopyReason).toContain(FAULT);
      expect(memberOf(1)?.fullCopyReason).toContain('"tally format --name osd-1"');
      await rig.untilInSync(0);
      await expect.poll(() => rig.gateway.operations().every(({ state }) => state === 'done')).toBe(true);
      const { epoch } = rig.gateway.status();
      const { length } = rig.gateway.operations();
      await rig.put('key', 'goes on');
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(rig.gateway.status().epoch).toBe(epoch);
      expect(rig.gateway.operations()).toHaveLength(length);

      rig.osd(1).onRequest = () => undefined;
      rig.osd(1).restartBlank(9);
      await rig.untilInSync(0, 1);
      expect(memberOf(1)).toMatchObject({ fullCopyReason: null });
      expect(memberOf(1)?.damagedStoreId).toBeUndefined();
      rig.expectIdenticalMirrors();
    },
  );

  it.each([false, true])(
    'of two in sync the other one is the source, and it is left out (suspended: %s)',
    async (suspendsWrites) => {
      rig = new GatewayRig(3);
      rig.suspendsWrites = suspendsWrites;
      await rig.startAndWait();
      await writeWithout(2, [0, 1]);
      damage(1);
      rig.osd(2).restart();
      await rig.untilInSync(0, 2);
      expect(memberOf(1)?.damagedStoreId).toBe(rig.osd(1).store.report().storeId);
      expect(await rig.get('key')).toBe('without it');
      expect(messages()).toContain('the database of osd-1 is damaged');
    },
  );

  it('the only source stays in sync, and an operator is told whose record of what it is, and what to type', async () => {
    rig = await new GatewayRig().startAndWait();
    await writeWithout(1, [0]);
    rig.osd(0).store.rows = () =>
      Promise.reject(new DamagedRecord(objectKey(idOf('key')), 'fails its checksum'));
    rig.osd(1).restart();
    await expect
      .poll(messages)
      .toMatch(/osd-0 is damaged \(.*key.* fails its checksum\).*"tally force --mirror osd-1"/);
    expect(rig.gateway.status().inSync).toEqual(['osd-0']);
    expect(memberOf(0)?.fullCopyReason).toBeNull();
    expect(await rig.get('key')).toBe('without it');
  });
});

it('a failure says that it is for a record, and whose', () => {
  expect(parseRecordDamage(`damaged-record: osd-1: ${FAULT}`)).toEqual({ mirror: 'osd-1', detail: FAULT });
  for (const failure of [`damaged: osd-1: ${FAULT}`, 'damaged-record', 'fetch failed: damaged-record: a: b'])
    expect(parseRecordDamage(failure)).toBeNull();
});
