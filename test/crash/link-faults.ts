/** Links between gateway and OSDs, and between OSDs, that break in every way but cleanly. All of them are whole again afterwards. */
import { sleep } from '../support/patience.js';
import type { LinkName } from '../support/links.js';
import type { LinkState } from '../support/tcp-proxy.js';
import { EXCLUDED_WITHIN_MS, type FaultContext, pause, pickOsd } from './fault-context.js';

const GATEWAY = 'gateway';
const KIB = 1024;

function peerLinks({ system }: FaultContext): LinkName[] {
  const [one, other] = system.osds;
  return [
    { from: one.name, to: other.name },
    { from: other.name, to: one.name },
  ];
}

/** Of one OSD: to the gateway, to its peer, or to both. */
function pickLinks(context: FaultContext): LinkName[] {
  const toGateway: LinkName = { from: GATEWAY, to: pickOsd(context).name };
  return context.random.pick([[toGateway], peerLinks(context), [toGateway, ...peerLinks(context)]]);
}

/** Resets the connections that are there, now and then: some forget them, others go on where they were. */
function healSomehow({ system, random }: FaultContext, links: readonly LinkName[]): void {
  if (random.chance(0.5)) system.links.reset(links);
  system.links.heal();
}

async function breakFor(context: FaultContext, links: readonly LinkName[], state: LinkState): Promise<void> {
  context.system.links.set(links, state);
  await pause(context);
  healSomehow(context, links);
}

/** Connections are reset and refused: a cable, a firewall that says so. */
export async function cutLink(context: FaultContext): Promise<void> {
  const links = pickLinks(context);
  for (let count = context.random.integer(1, 3); count > 0; count -= 1) {
    await breakFor(context, links, { kind: 'cut' });
    await sleep(context.random.integer(0, 200));
  }
}

/** Half-open: nothing passes and nobody is told. What was sent meanwhile may arrive late (F14). */
export async function silenceLink(context: FaultContext): Promise<void> {
  const links = pickLinks(context);
  context.system.links.set(links, { kind: 'silent' });
  await sleep(context.random.pick([200, 1500, 6000]));
  healSomehow(context, links);
}

/** Requests arrive and are done, their answers do not: each write in flight is one of unknown outcome (STYLE.md 14). */
export async function loseReplies(context: FaultContext): Promise<void> {
  const links = [{ from: GATEWAY, to: pickOsd(context).name }];
  for (let count = context.random.integer(1, 4); count > 0; count -= 1) {
    context.system.links.set(links, { kind: 'deaf' });
    await sleep(context.random.integer(10, 800));
    context.system.links.reset(links);
    context.system.links.heal();
    await sleep(context.random.integer(0, 200));
  }
}

/** A bad line, and an OSD that comes back over it. */
export async function slowLink(context: FaultContext): Promise<void> {
  const { system, random } = context;
  const state: LinkState = {
    kind: 'slow',
    delayMs: random.integer(5, 100),
    bytesPerSecond: random.pick([256, 1024, 4096]) * KIB,
  };
  system.links.set(pickLinks(context), state);
  if (random.chance(0.4)) {
    const osd = pickOsd(context);
    await osd.process.kill();
    await pause(context);
    osd.process.start();
  }
  await sleep(random.integer(500, 3000));
  system.links.heal();
}

/** The copies of a recovery run from OSD to OSD: that link breaks in the middle, also in one direction. */
export async function cutPeersDuringRecovery(context: FaultContext): Promise<void> {
  const { system, random } = context;
  const osd = pickOsd(context);
  await osd.process.kill();
  await system.untilExcluded(osd, EXCLUDED_WITHIN_MS);
  await sleep(random.integer(0, 1500));
  const [there, back] = peerLinks(context);
  const links = random.pick([[there!], [back!], [there!, back!]]);
  const kind = random.pick(['cut', 'silent', 'deaf'] as const);
  const isBefore = random.chance(0.3);
  if (isBefore) system.links.set(links, { kind });
  osd.process.start();
  if (!isBefore) {
    await sleep(random.integer(100, 1500));
    system.links.set(links, { kind });
  }
  await pause(context);
  healSomehow(context, links);
}

/** The gateway reaches nobody: all wait, or are turned away, and nothing may be lost by that. */
export async function isolateGateway(context: FaultContext): Promise<void> {
  const { system, random } = context;
  const links = system.osds.map(({ name }) => ({ from: GATEWAY, to: name }));
  const kind = random.pick(['cut', 'silent', 'deaf'] as const);
  system.links.set(links, { kind });
  await pause(context);
  healSomehow(context, links);
}
