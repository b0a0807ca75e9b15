/**
 * One scenario with a power failure at one point, and perhaps a second one in the recovery: it must converge. Every answer
 * a client got holds, a write without one is there or not there, whole; mirrors are equal, tag tables empty, and the set
 * takes the next write.
 */
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { ObjectStorageError } from '../../../src/gateway/object-storage.js';
import { type AuthorityState } from '../../../src/protocol/authority-state.js';
import { makeObjectId, type ObjectId } from '../../../src/protocol/object-id.js';
import { ObjectHistory, type ObjectOperation, type OperationOutcome } from '../../crash/object-history.js';
import { type CrashPoint, CrashRig, type StoreFolders } from './crash-rig.js';
import { type CrashState, fingerprintOf } from './crash-state.js';
import { BASE, type Operation, parseScenario } from './scenarios.js';
import type { CrashKind, SimulatedStoreDisk } from './simulated-store-disk.js';

/** Power fails at one mirror, and the others go on; or everywhere. */
export interface Crash {
  readonly kind: CrashKind;
  readonly isOfAll: boolean;
  readonly point: CrashPoint | null;
}

export interface RunOutcome {
  readonly hasCrashed: boolean;
  /** Calls that each place made in the operations. */
  readonly calls: ReturnType<CrashRig['counts']>;
  /** What power failing again in the recovery would have left, at every call of it; each state once. */
  readonly again: readonly SecondCrash[];
}

/** Power failed for the second time, in the recovery from the first. */
export interface SecondCrash {
  readonly state: CrashState;
  /** Of the state and of what clients were told: two with the same one end in the same way. */
  readonly fingerprint: string;
  /** What each object may be. */
  readonly histories: Histories;
}

type Histories = ReadonlyMap<string, ObjectHistory>;

const NO_REFUSALS = new Set(['unavailable']);

function idOf(name: string): ObjectId {
  return makeObjectId('bucket', name);
}

/** Bytes that no other operation of the run has. */
function bytesOf(operation: number, length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, at) => (operation * 37 + at * 7 + (at >> 8)) % 251));
}

/** The set with its base, at rest: every run starts from a copy of its disks. */
export class CrashBase {
  readonly folders: StoreFolders;
  readonly #disks: readonly SimulatedStoreDisk[];
  readonly #authority: AuthorityState | null;

  private constructor(
    folders: StoreFolders,
    disks: readonly SimulatedStoreDisk[],
    authority: AuthorityState | null,
  ) {
    this.folders = folders;
    this.#disks = disks;
    this.#authority = authority;
  }

  static async make(folders: StoreFolders): Promise<CrashBase> {
    const rig = new CrashRig(folders, [folders.newDisk(0), folders.newDisk(1)], null);
    await rig.startAll();
    await rig.untilInSync();
    for (const [index, [name, length]] of BASE.entries())
      await perform(rig, { kind: 'put', name, bytes: length }, bytesOf(100 + index, length));
    await rig.untilTablesAreEmpty();
    await rig.stop();
    const disks = rig.mirrors.map(({ disk }) => disk.afterCrash('kept'));
    return new CrashBase(folders, disks, rig.authority.state);
  }

  newRig(state: CrashState = { disks: this.#disks, authority: this.#authority }): CrashRig {
    const disks = state.disks.map((disk) => disk.afterCrash('kept'));
    return new CrashRig(this.folders, disks, state.authority);
  }
}

async function perform(rig: CrashRig, operation: Operation, bytes: Buffer): Promise<void> {
  const { gateway } = rig;
  if (gateway === null) throw new Error('there is no gateway');
  const { storage } = gateway;
  const id = idOf(operation.name);
  if (operation.kind === 'delete') {
    await storage.remove({ id });
    return;
  }
  const sink = storage.openContent(id, bytes.length);
  await sink.write(bytes);
  const content = await sink.finish();
  if (operation.kind === 'put') {
    await storage.replace({ id, content, attributes: '{}' });
    return;
  }
  await storage.writeRange({
    id,
    content,
    decide: (head) => {
      if (head === null) throw new ObjectIsAbsent();
      const offset = operation.kind === 'patch' ? operation.offset : head.sizeBytes;
      return { offset, attributes: head.attributes };
    },
  });
}

class ObjectIsAbsent extends Error {}

class ScenarioRun {
  readonly rig: CrashRig;
  readonly #operations: readonly Operation[];
  readonly #histories = new Map<string, ObjectHistory>();

  get histories(): Histories {
    return this.#histories;
  }

  constructor(rig: CrashRig, scenario: string) {
    this.rig = rig;
    this.#operations = parseScenario(scenario);
    for (const name of [...BASE.map(([base]) => base), 'none']) {
      const history = new ObjectHistory(name);
      this.#histories.set(name, history);
    }
    BASE.forEach(([name, length], index) => {
      const put: ObjectOperation = { kind: 'put', bytes: bytesOf(100 + index, length) };
      this.#history(name).record(put, { kind: 'acknowledged' }, NO_REFUSALS);
    });
  }

  #history(name: string): ObjectHistory {
    const history = this.#histories.get(name);
    if (history === undefined) throw new RangeError(`no object ${name}`);
    return history;
  }

  /** Until the first one whose outcome nobody knows: its client does not go on upon it. */
  async operate(): Promise<void> {
    for (const [index, operation] of this.#operations.entries()) {
      const bytes = bytesOf(index + 1, operation.kind === 'delete' ? 0 : operation.bytes);
      const history = this.#history(operation.name);
      const recorded = toRecorded(operation, bytes, history.likely?.length ?? 0);
      const outcome = await this.#attempt(operation, bytes);
      history.record(recorded, outcome, NO_REFUSALS);
      if (outcome.kind !== 'acknowledged') return;
    }
  }

  async #attempt(operation: Operation, bytes: Buffer): Promise<OperationOutcome> {
    try {
      const blackout = this.rig.blackout.then((): OperationOutcome => ({
        kind: 'unknown',
        reason: 'blackout',
      }));
      const done = perform(this.rig, operation, bytes).then((): OperationOutcome => ({
        kind: 'acknowledged',
      }));
      return await Promise.race([done, blackout]);
    } catch (error) {
      if (error instanceof ObjectStorageError && error.kind === 'unavailable')
        return { kind: 'refused', code: error.kind };
      return { kind: 'unknown', reason: String(error) };
    }
  }
}

/** Through the gateway, and on each mirror by itself. */
async function check(rig: CrashRig, histories: Histories): Promise<void> {
  const seen: string[][] = [];
  for (const { store } of rig.mirrors) {
    const epoch = store.report().fence.activeEpoch;
    const lines: string[] = [];
    for (const [name, history] of histories) {
      const content = await contentOf(store, idOf(name));
      history.observe(content);
      lines.push(`${name} ${content?.toString('base64') ?? 'absent'}`);
    }
    if (epoch !== rig.mirrors[0]?.store.report().fence.activeEpoch) throw new Error('the epochs differ');
    seen.push(lines);
  }
  if (new Set(seen.map((lines) => lines.join('\n'))).size > 1) throw new Error('the mirrors differ');
  await perform(rig, { kind: 'put', name: 'after', bytes: 10 }, bytesOf(7, 10));
  if (rig.fatal.length > 0) throw new Error(`the gateway stopped: ${String(rig.fatal[0])}`);
}

function toRecorded(operation: Operation, bytes: Buffer, sizeBytes: number): ObjectOperation {
  switch (operation.kind) {
    case 'put':
      return { kind: 'put', bytes };
    case 'append':
      return { kind: 'append', offset: sizeBytes, bytes };
    case 'patch':
      return { kind: 'patch', offset: operation.offset, bytes };
    case 'delete':
      return { kind: 'delete' };
  }
}

async function contentOf(store: CrashRig['mirrors'][number]['store'], id: ObjectId): Promise<Buffer | null> {
  const state = await store.head(id);
  if (state?.kind !== 'present') return null;
  const read = await store.read(id, { kind: 'whole' });
  if (read === null) return null;
  const pieces: Buffer[] = [];
  for await (const piece of read.body) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** The scenario with a power failure at the point, and the recovery from it. */
export async function runScenario(base: CrashBase, scenario: string, crash: Crash): Promise<RunOutcome> {
  const rig = base.newRig();
  const run = new ScenarioRun(rig, scenario);
  await rig.startAll();
  await rig.untilInSync();
  rig.arm(crash.point, crash);
  await run.operate();
  const { hasCrashed } = rig;
  const calls = rig.counts();
  // Where the point was not come to, power fails when all is done.
  if (!hasCrashed && crash.point !== null) rig.crashAll(crash.kind);
  if (rig.isBlackedOut) rig.forgetGateway();
  const told = toldOf(run.histories);
  const again = new Map<string, SecondCrash>();
  rig.watch(crash.kind, (state) => {
    const fingerprint = `${fingerprintOf(state)} ${told}`;
    if (!again.has(fingerprint)) again.set(fingerprint, { state, fingerprint, histories: run.histories });
  });
  await recoverAndCheck(rig, run.histories, crash.kind);
  return { hasCrashed, calls, again: [...again.values()] };
}

/** The recovery from a second power failure. */
export async function recoverAgain(base: CrashBase, { state, histories }: SecondCrash): Promise<void> {
  await recoverAndCheck(base.newRig(state), histories, 'kept');
}

async function recoverAndCheck(rig: CrashRig, histories: Histories, kind: CrashKind): Promise<void> {
  await rig.startAll();
  await rig.untilInSync();
  await rig.untilTablesAreEmpty();
  // What a disk is asked for when all is well again is no step of the recovery.
  rig.arm(null, { kind, isOfAll: true });
  await check(rig, new Map([...histories].map(([name, history]) => [name, history.copy()])));
  await rig.stop();
}

/** What clients know of the objects, which decides on what a recovery may end in. */
function toldOf(histories: Histories): string {
  const possible = [...histories].map(([name, history]) => [
    name,
    history.possible.map((content) => content?.toString('base64') ?? null),
  ]);
  return createHash('sha1').update(JSON.stringify(possible)).digest('base64');
}
