/** An operator's decisions against the rules: said in so many words, recorded, and then carried through like any recovery. */
import { afterEach, describe, expect, it } from 'vitest';
import { GatewayRig } from './gateway-rig.js';

let rig: GatewayRig;
afterEach(async () => {
  await rig.gateway.stop();
  expect(rig.fatal).toEqual([]);
});

async function untilWaiting(): Promise<void> {
  await expect
    .poll(() => rig.gateway.status().waitingFor ?? '', { timeout: 20_000, interval: 5 })
    .toMatch(/missing|no record|no intact/);
}

/** osd-1 missed a write, and is the only one that is left when a gateway starts. */
async function onlyTheStaleOneIsLeft(): Promise<void> {
  rig = await new GatewayRig().startAndWait();
  await rig.put('key', 'old');
  rig.osd(1).mode = 'down';
  await rig.put('key', 'new');
  await rig.put('only-at-0', 'x');
  await rig.gateway.stop();
  rig.osd(0).mode = 'down';
  rig.osd(1).restart();
  await rig.start();
  await untilWaiting();
}

describe('tally force', () => {
  it('F18: says what is lost, goes on with these words only, and puts it on record before anyone is fenced', async () => {
    await onlyTheStaleOneIsLeft();
    const plan = await rig.gateway.planForce('osd-1');
    expect(plan.risks.join('\n')).toMatch(/every write acknowledged since then by osd-0 is lost/);
    await expect(rig.gateway.force('osd-1', 'yes')).rejects.toMatchObject({ code: 'wrong-words' });
    expect(rig.gateway.status().phase).toBe('waiting');
    await rig.gateway.force('osd-1', plan.words);
    await rig.untilInSync(1);
    expect(await rig.get('key')).toBe('old');
    const [decision] = rig.authority.saved.at(-1)?.forced ?? [];
    expect(decision).toMatchObject({
      mirror: 'osd-1',
      epoch: plan.epoch,
      words: plan.words,
      risks: plan.risks,
    });
    expect(rig.gateway.events().some(({ kind }) => kind === 'forced')).toBe(true);
    // The one that was given up comes back: nothing that only it had appears.
    rig.osd(0).mode = 'up';
    await rig.untilInSync(0, 1);
    rig.expectIdenticalMirrors();
    expect(await rig.get('key')).toBe('old');
    expect(await rig.get('only-at-0')).toBeNull();
  });

  it('is refused for a mirror that is away, unknown or empty, and for words of an earlier epoch', async () => {
    await onlyTheStaleOneIsLeft();
    await expect(rig.gateway.planForce('osd-0')).rejects.toMatchObject({ code: 'mirror-away' });
    await expect(rig.gateway.planForce('osd-9')).rejects.toMatchObject({ code: 'no-such-mirror' });
    const { epoch, words } = await rig.gateway.planForce('osd-1');
    const stale = words.replace(String(epoch), String(epoch - 1));
    await expect(rig.gateway.force('osd-1', stale)).rejects.toMatchObject({ code: 'wrong-words' });
    rig.osd(1).restartBlank(9);
    await expect(rig.gateway.planForce('osd-1')).rejects.toMatchObject({ code: 'mirror-blank' });
  });

  it('is refused while nobody waits', async () => {
    rig = await new GatewayRig().startAndWait();
    await expect(rig.gateway.planForce('osd-1')).rejects.toMatchObject({ code: 'not-waiting' });
    await expect(rig.gateway.force('osd-1', 'anything')).rejects.toMatchObject({ code: 'not-waiting' });
  });

  it('F31: when the state of the authority is lost nothing is guessed, and an operator says whom to trust', async () => {
    rig = await new GatewayRig().startAndWait();
    await rig.put('key', 'content');
    for (const osd of rig.osds) {
      osd.mode = 'down';
      await rig.untilInSync(...(osd === rig.osd(0) ? [1] : [])).catch(() => undefined);
      osd.mode = 'up';
      await rig.untilInSync(0, 1);
    }
    const epochBefore = rig.gateway.status().epoch;
    await rig.gateway.stop();
    rig.authority.saved.length = 0;
    for (const osd of rig.osds) osd.restart();
    rig.osd(1).mode = 'down';
    await rig.start();
    await untilWaiting();
    const plan = await rig.gateway.planForce('osd-0');
    expect(plan.risks.join('\n')).toMatch(/lost or was put back.*nobody knows what has happened since/);
    expect(plan.risks.join('\n')).toMatch(/no record of who was in sync/);
    await rig.gateway.force('osd-0', plan.words);
    await rig.untilInSync(0);
    rig.osd(1).mode = 'up';
    await rig.untilInSync(0, 1);
    expect(rig.gateway.status().epoch).toBeGreaterThan(epochBefore);
    expect(await rig.get('key')).toBe('content');
    rig.expectIdenticalMirrors();
  });

  it('F33: with one disk blank and the other rolled back it says how much is lost, and goes on with what is left', async () => {
    rig = await new GatewayRig().startAndWait();
    await rig.put('kept', 'x');
    await rig.untilTablesAreEmpty();
    const old = rig.osd(1).store.snapshot();
    await rig.put('lost', 'x');
    await rig.untilTablesAreEmpty();
    await rig.gateway.stop();
    rig.osd(0).restartBlank(8);
    rig.osd(1).store.restore(old);
    rig.osd(1).restart();
    await rig.start();
    await untilWaiting();
    const plan = await rig.gateway.planForce('osd-1');
    await rig.gateway.force('osd-1', plan.words);
    await rig.untilInSync(0, 1);
    expect(await rig.get('kept')).toBe('x');
    expect(await rig.get('lost')).toBeNull();
    rig.expectIdenticalMirrors();
  });
});
