import { type ForcePlan, ForceRefusal } from '../../../src/gateway/force.js';
import type { ForceObjectOrder, ForceObjectPlan } from '../../../src/gateway/force-object.js';
import type { MirrorSetControl } from '../../../src/gateway/gateway.js';
import type {
  MirrorSetEvent,
  MirrorSetStatus,
  ReconcileOperation,
} from '../../../src/gateway/mirror-set-status.js';
import type { Verification, VerificationOrder } from '../../../src/gateway/verification/verification.js';
import { type MirrorId, toMirrorId } from '../../../src/protocol/authority-state.js';
import type { ObjectBrowser, Upload } from '../../../src/admin/object-browser.js';
import type { CopyPace } from '../../../src/protocol/pace.js';
import { makeObjectId } from '../../../src/protocol/object-id.js';
import { makeTag, toEpoch, toGeneratorId } from '../../../src/protocol/tag.js';
import { toStoreId } from '../../../src/protocol/token.js';
import type { TagRow } from '../../../src/protocol/write.js';
import { type OsdIdentity, OsdUnreachable, type RowCursor } from '../../../src/wire/osd-connection.js';

const osd0 = toMirrorId('osd-0');
const osd1 = toMirrorId('osd-1');
export const NOW_MS = 1_795_451_371_000;

const identity: OsdIdentity = {
  setId: 'set-1',
  storeId: toStoreId('0'.repeat(32)),
  incarnation: 'run-1',
  softwareVersion: '0.1.0',
  formatVersion: 1,
  processId: 42,
  commitSequence: 7,
  fencedEpoch: toEpoch(3),
  activeEpoch: toEpoch(3),
  fault: null,
  selfDoubt: null,
  blank: false,
  witnesses: [{ storeId: toStoreId('1'.repeat(32)), commitSequence: 2 }],
  rowCount: 2,
  rowBytes: 2048,
  oldestRowMs: NOW_MS - 5000,
  objectCount: 3,
  tombstoneCount: 1,
  blobBytes: 4096,
  care: {
    objectsDamaged: 2,
    objectsHealed: 1,
    bytesHealed: 1024,
    scrub: {
      state: 'running',
      startedMs: NOW_MS - 1000,
      endedMs: null,
      objectsExamined: 10,
      bytesExamined: 4096,
      objectsDamaged: 1,
      objectsHealed: 1,
      failure: null,
    },
  },
};

export function makeOperation(change: Partial<ReconcileOperation> = {}): ReconcileOperation {
  return {
    id: 'op-1',
    trigger: 'operator',
    reason: 'an operator asked for it',
    startedMs: NOW_MS,
    endedMs: null,
    state: 'running',
    epoch: 4,
    attempts: 1,
    progress: {
      epoch: toEpoch(4),
      phase: 'copying',
      isScanned: true,
      rowsMatched: 1,
      rowsUnmatched: 2,
      rowsDropped: 0,
      objectsToDo: 2,
      objectsDone: 1,
      rangesDone: 1,
      bytesUnmatched: 2048,
      bytesCopied: 1024,
      objectsCompared: 0,
      objectsToCompare: 0,
      leftMs: null,
      objectsDeleted: 0,
      failure: null,
    },
    inSync: [],
    failure: null,
    ...change,
  };
}

function makeVerification(order: VerificationOrder): Verification {
  const lastTag = makeTag({ epoch: toEpoch(3), counter: 1, generator: toGeneratorId(1) });
  return {
    id: 'verification-1',
    ...order,
    state: 'running',
    startedMs: NOW_MS,
    endedMs: null,
    objectsCompared: 10,
    objectsChanging: 1,
    objectsExpected: 20,
    bytesCompared: 4096,
    differenceCount: 1,
    repairedCount: 0,
    differences: [
      {
        objectId: makeObjectId('photos', 'key', 'v1'),
        kind: 'last-tag',
        mirrors: [
          { mirror: osd0, lastTag, sizeBytes: 4, isDamaged: false },
          { mirror: osd1, lastTag: null, sizeBytes: null, isDamaged: false },
        ],
        outcome: 'found',
        detail: 'nothing was changed',
      },
    ],
    failure: null,
  };
}

export function makeRow(counter: number): TagRow {
  return {
    tag: makeTag({ epoch: toEpoch(3), counter, generator: toGeneratorId(1) }),
    objectId: makeObjectId('photos', `key-${String(counter).padStart(3, '0')}`),
    kind: 'replace',
    mode: 'overwrite',
    offset: 0,
    length: 1024,
    checksum: 0xdeadbeef,
    commitSequence: counter,
    writtenMs: NOW_MS - 1000,
  };
}

/** A mirror set whose every answer the test decides. */
export class FakeControl implements MirrorSetControl {
  current: MirrorSetStatus = {
    setId: 'set-1',
    epoch: 3,
    phase: 'active',
    waitingFor: null,
    inSync: [osd0],
    writes: 'direct',
    writer: null,
    mirrors: [
      {
        mirror: osd0,
        url: 'http://127.0.0.1:9010',
        condition: 'in-sync',
        fullCopyReason: null,
        incompatibility: null,
        advice: null,
        lastSeenMs: NOW_MS - 100,
        identity,
      },
      {
        mirror: osd1,
        url: 'http://127.0.0.1:9011',
        condition: 'away',
        fullCopyReason: 'another store',
        incompatibility: null,
        advice: 'start osd-1 again',
        lastSeenMs: null,
        identity: null,
      },
    ],
    unmatchedWrites: 2,
    unmatchedBytes: 2048,
    oldestUnmatchedMs: NOW_MS - 5000,
    writesInFlight: 1,
    operation: null,
    pace: { bytesPerSecond: 20 * 1024 * 1024, sharePercent: 50, isPaused: false },
    lostObjectCount: 0,
    lostObjects: [],
    forced: [],
  };
  happened: MirrorSetEvent[] = [{ atMs: NOW_MS, kind: 'excluded', message: 'osd-1 left out' }];
  known = new Map<string, ReconcileOperation>();
  table: TagRow[] = [makeRow(1), makeRow(2), makeRow(3)];
  verified: Verification | null = null;
  isUnreachable = false;
  failure: Error | null = null;

  status(): MirrorSetStatus {
    if (this.failure !== null) throw this.failure;
    return this.current;
  }

  async planForce(mirror: string): Promise<ForcePlan> {
    if (mirror === 'osd-9') throw new ForceRefusal('no-such-mirror', 'there is no mirror osd-9');
    if (this.current.phase !== 'waiting') throw new ForceRefusal('not-waiting', 'it waits for no decision');
    return { mirror: osd1, epoch: 3, risks: ['osd-1 may lack writes'], words: 'go on' };
  }

  async force(mirror: string, words: string): Promise<ForcePlan> {
    const plan = await this.planForce(mirror);
    if (words !== plan.words) throw new ForceRefusal('wrong-words', 'say: go on');
    return plan;
  }

  async planForceObject({ objectId, choice }: ForceObjectOrder): Promise<ForceObjectPlan> {
    if (objectId !== makeObjectId('photos', 'cat.jpg'))
      throw new ForceRefusal('not-lost', 'it is not known to have lost bytes');
    if (choice === 'put-back') throw new ForceRefusal('nothing-kept', 'no mirror keeps an older copy of it');
    return { choice, epoch: 3, risks: ['its last write is lost'], words: 'give up' };
  }

  async forceObject(order: ForceObjectOrder, words: string): Promise<ForceObjectPlan> {
    const plan = await this.planForceObject(order);
    if (words !== plan.words) throw new ForceRefusal('wrong-words', 'say: give up');
    return plan;
  }

  scrub(mirror: string | null): Promise<readonly MirrorId[]> | null {
    return mirror === null || mirror === osd0 ? Promise.resolve([osd0]) : null;
  }

  pace(): CopyPace | null {
    return this.current.pace;
  }

  setPace(change: Partial<CopyPace>): CopyPace | null {
    const { pace } = this.current;
    if (pace !== null) this.current = { ...this.current, pace: { ...pace, ...change } };
    return this.current.pace;
  }

  verify(order: VerificationOrder): { readonly verification: Verification; readonly isNew: boolean } {
    const isNew = this.verified?.state !== 'running';
    this.verified = isNew || this.verified === null ? makeVerification(order) : this.verified;
    return { verification: this.verified, isNew };
  }

  async stopVerification(): Promise<Verification | null> {
    if (this.verified?.state !== 'running') return null;
    return (this.verified = { ...this.verified, state: 'stopped', endedMs: NOW_MS });
  }

  verification(): Verification | null {
    return this.verified;
  }

  events(): readonly MirrorSetEvent[] {
    return this.happened;
  }

  eventCount(kind: MirrorSetEvent['kind']): number {
    return this.happened.filter((event) => event.kind === kind).length;
  }

  reconcile(): { readonly operation: ReconcileOperation; readonly isNew: boolean } {
    const running = [...this.known.values()].find(({ state }) => state === 'running');
    if (running !== undefined) return { operation: running, isNew: false };
    const operation = makeOperation({ progress: null });
    this.known.set(operation.id, operation);
    return { operation, isNew: true };
  }

  operation(id: string): ReconcileOperation | null {
    return this.known.get(id) ?? null;
  }

  operations(): readonly ReconcileOperation[] {
    return [...this.known.values()].reverse();
  }

  rows(mirror: string, after: RowCursor | null, limit: number): Promise<readonly TagRow[]> | null {
    if (mirror !== 'osd-0') return null;
    if (this.isUnreachable) return Promise.reject(new OsdUnreachable('no answer', false));
    const start = after === null ? 0 : this.table.findIndex(({ tag }) => tag === after.tag) + 1;
    return Promise.resolve(this.table.slice(start, start + limit));
  }
}

/** A refusal of the S3 endpoint, for the fake below. */
class FakeRefusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** One bucket, `photos`, in memory; `locked` refuses. */
export class FakeBrowser implements ObjectBrowser {
  readonly stored = new Map<string, { readonly contentType: string; readonly text: string }>();

  buckets() {
    return Promise.resolve([{ name: 'photos', createdMs: NOW_MS }]);
  }

  #check(bucket: string): void {
    if (bucket === 'locked') throw new FakeRefusal(403, 'Access Denied');
    if (bucket !== 'photos') throw new FakeRefusal(404, 'The specified bucket does not exist');
  }

  async list(bucket: string, prefix: string, after: string | null, limit: number) {
    this.#check(bucket);
    const keys = [...this.stored.keys()]
      .filter((key) => key.startsWith(prefix) && key > (after ?? ''))
      .sort();
    const page = keys.slice(0, limit);
    const objects = page.map((key) => ({
      key,
      sizeBytes: this.stored.get(key)?.text.length ?? 0,
      modifiedMs: NOW_MS,
    }));
    return { folders: [], objects, next: keys.length > limit ? (page.at(-1) ?? null) : null };
  }

  async upload({ bucket, key, contentType, body }: Upload): Promise<void> {
    this.#check(bucket);
    const pieces: Buffer[] = [];
    for await (const piece of body as AsyncIterable<Buffer>) pieces.push(piece);
    this.stored.set(key, { contentType, text: Buffer.concat(pieces).toString() });
  }

  async remove(bucket: string, key: string): Promise<void> {
    this.#check(bucket);
    this.stored.delete(key);
  }

  link(hostname: string, bucket: string, key: string, expiresSeconds: number): string {
    return `http://${hostname}:9000/${bucket}/${key}?expires=${expiresSeconds}`;
  }

  keys() {
    return [{ accessKeyId: 'KEY', account: 'tally', isReadOnly: false, buckets: null }];
  }

  refusalOf(error: unknown) {
    return error instanceof FakeRefusal ? error : null;
  }
}
