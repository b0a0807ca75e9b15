/** What the admin API answers: JSON Schema for the server and its clients at once. Times are Unix ms, sizes bytes. */
import Type, { type Static, type TProperties, type TSchema } from 'typebox';
import type {
  MirrorCondition,
  MirrorSetEvent,
  MirrorSetPhase,
  ReconcileTrigger,
} from '../gateway/mirror-set-status.js';
import type { ObjectChoice } from '../gateway/force-object.js';
import type { MoveProgress } from '../gateway/placement/object-mover.js';
import type { ReconcileProgress, ScrubProgress } from '../wire/osd-connection.js';
import {
  COPY_BYTES_PER_SECOND_MIN,
  COPY_SHARE_PERCENT_MAX,
  COPY_SHARE_PERCENT_MIN,
} from '../protocol/pace.js';
import type { WritesMode } from '../protocol/forwarding.js';
import type { StoreFault } from '../protocol/store-fault.js';
import type { WriteKind, WriteMode } from '../protocol/write.js';
import { ADMIN_ROLES, type AdminRole } from './access.js';
import { TAG_TABLE_PAGE_MAX } from './admin-limits.js';

export function orNull<Schema extends TSchema>(schema: Schema) {
  return Type.Union([schema, Type.Null()]);
}

/** A member of answers that a later release brought: a command that asks an earlier gateway takes it for this. */
function later<Schema extends TSchema>(schema: Schema, before: Static<Schema>) {
  return Type.Unsafe<Static<Schema>>({ ...schema, default: before });
}

export function list<Schema extends TSchema>(schema: Schema) {
  return Type.Unsafe<readonly Static<Schema>[]>(Type.Array(schema));
}

export function object<Properties extends TProperties>(properties: Properties) {
  return Type.Object(properties, { additionalProperties: false });
}

/** Every word of a union of words; a missing one does not compile. */
export function words<Word extends string>(all: Readonly<Record<Word, true>>) {
  return Type.Unsafe<Word>(Type.Enum(Object.keys(all)));
}

export const count = Type.Integer({ minimum: 0 });
export const timeMs = Type.Integer({ minimum: 0 });
const mirrorName = Type.String();

const progressSchema = object({
  epoch: count,
  phase: words<ReconcileProgress['phase']>({
    matching: true,
    copying: true,
    'full-copy': true,
    clearing: true,
    done: true,
    failed: true,
  }),
  isScanned: Type.Boolean(),
  rowsMatched: count,
  rowsUnmatched: count,
  rowsDropped: count,
  objectsToDo: count,
  objectsDone: count,
  rangesDone: count,
  bytesUnmatched: count,
  bytesCopied: count,
  objectsCompared: count,
  objectsToCompare: count,
  objectsDeleted: count,
  leftMs: orNull(Type.Integer({ minimum: 0 })),
  failure: orNull(Type.String()),
});

export const operationSchema = object({
  id: Type.String(),
  trigger: words<ReconcileTrigger>({
    start: true,
    'mirror-returned': true,
    'mirror-restarted': true,
    'undecided-write': true,
    'mirror-lost': true,
    'writer-lost': true,
    operator: true,
  }),
  reason: Type.String(),
  startedMs: timeMs,
  endedMs: orNull(timeMs),
  state: words<'running' | 'done' | 'failed'>({ running: true, done: true, failed: true }),
  epoch: count,
  attempts: count,
  progress: orNull(progressSchema),
  inSync: list(mirrorName),
  failure: orNull(Type.String()),
});

const pace = {
  bytesPerSecond: orNull(
    Type.Integer({ minimum: COPY_BYTES_PER_SECOND_MIN, maximum: Number.MAX_SAFE_INTEGER }),
  ),
  sharePercent: Type.Integer({ minimum: COPY_SHARE_PERCENT_MIN, maximum: COPY_SHARE_PERCENT_MAX }),
  isPaused: Type.Boolean(),
};
export const paceSchema = object(pace);
export const paceChangeSchema = Type.Object(
  {
    bytesPerSecond: Type.Optional(pace.bytesPerSecond),
    sharePercent: Type.Optional(pace.sharePercent),
    isPaused: Type.Optional(pace.isPaused),
  },
  { additionalProperties: false, minProperties: 1 },
);

const scrubSchema = object({
  state: words<ScrubProgress['state']>({ running: true, stopped: true, done: true, failed: true }),
  startedMs: timeMs,
  endedMs: orNull(timeMs),
  objectsExamined: count,
  bytesExamined: count,
  objectsDamaged: count,
  objectsHealed: count,
  failure: orNull(Type.String()),
});

const identitySchema = object({
  setId: Type.String(),
  storeId: Type.String(),
  incarnation: Type.String(),
  softwareVersion: Type.String(),
  formatVersion: count,
  processId: count,
  commitSequence: count,
  fencedEpoch: count,
  activeEpoch: count,
  fault: orNull(
    object({
      kind: words<StoreFault['kind']>({ 'no-space': true, 'disk-failed': true }),
      detail: Type.String(),
    }),
  ),
  selfDoubt: orNull(Type.String()),
  blank: Type.Boolean(),
  witnesses: list(object({ storeId: Type.String(), commitSequence: count })),
  rowCount: count,
  rowBytes: count,
  oldestRowMs: orNull(timeMs),
  objectCount: count,
  tombstoneCount: count,
  blobBytes: count,
  care: object({
    objectsDamaged: count,
    objectsHealed: count,
    bytesHealed: count,
    scrub: orNull(scrubSchema),
  }),
});

const mirrorSchema = object({
  mirror: mirrorName,
  url: Type.String(),
  condition: words<MirrorCondition>({
    'in-sync': true,
    rebuilding: true,
    behind: true,
    'no-space': true,
    failed: true,
    incompatible: true,
    away: true,
  }),
  fullCopyReason: orNull(Type.String()),
  incompatibility: later(orNull(Type.String()), null),
  advice: later(orNull(Type.String()), null),
  lastSeenMs: orNull(timeMs),
  identity: orNull(identitySchema),
});

const phase = words<MirrorSetPhase>({ active: true, recovering: true, waiting: true, stopped: true });

export const setsSchema = object({
  sets: list(
    object({
      setId: Type.String(),
      path: Type.String(),
      epoch: count,
      phase,
      waitingFor: orNull(Type.String()),
      inSync: list(mirrorName),
      unmatchedWrites: count,
      unmatchedBytes: count,
    }),
  ),
  move: orNull(
    object({
      phase: words<MoveProgress['phase']>({ moving: true, settled: true, stopped: true }),
      objectsMoved: count,
      bytesMoved: count,
      failures: count,
    }),
  ),
});

const forcedDecisionSchema = object({
  mirror: mirrorName,
  epoch: count,
  atMs: timeMs,
  risks: list(Type.String()),
  words: Type.String(),
});

const lostObjectSchema = object({
  bucket: Type.String(),
  key: Type.String(),
  version: Type.String(),
  lastTag: Type.String(),
  sizeBytes: count,
  lostBytes: count,
  mirrors: list(mirrorName),
  kept: orNull(object({ mirror: mirrorName, sizeBytes: count })),
});

export const statusSchema = object({
  softwareVersion: Type.String(),
  nowMs: timeMs,
  setId: Type.String(),
  epoch: count,
  phase,
  waitingFor: orNull(Type.String()),
  inSync: list(mirrorName),
  writes: words<WritesMode>({ direct: true, forwarded: true }),
  writer: orNull(mirrorName),
  mirrors: list(mirrorSchema),
  unmatchedWrites: count,
  unmatchedBytes: count,
  oldestUnmatchedMs: orNull(timeMs),
  writesInFlight: count,
  operation: orNull(operationSchema),
  pace: orNull(paceSchema),
  lostObjectCount: later(count, 0),
  lostObjects: later(list(lostObjectSchema), []),
  forced: list(forcedDecisionSchema),
});

export const operationsSchema = object({ operations: list(operationSchema) });

export const alreadyRunningSchema = object({
  code: Type.String(),
  message: Type.String(),
  operation: operationSchema,
});

export const eventsSchema = object({
  events: list(
    object({
      atMs: timeMs,
      kind: words<MirrorSetEvent['kind']>({
        excluded: true,
        'rows-forgone': true,
        scrub: true,
        verification: true,
        forced: true,
        'lost-bytes': true,
        'authority-rebuilt': true,
        incompatible: true,
        pace: true,
        returned: true,
        'recovery-started': true,
        'recovery-ended': true,
        'recovery-failed': true,
        waiting: true,
        stopped: true,
      }),
      message: Type.String(),
    }),
  ),
});

export const tagTableSchema = object({
  mirror: mirrorName,
  rows: list(
    object({
      tag: Type.String(),
      epoch: count,
      bucket: Type.String(),
      key: Type.String(),
      version: Type.String(),
      kind: words<WriteKind>({
        replace: true,
        'range-write': true,
        extend: true,
        'set-attributes': true,
        remove: true,
      }),
      mode: words<WriteMode>({ overwrite: true, extend: true }),
      offset: count,
      length: count,
      checksum: count,
      commitSequence: count,
      writtenMs: timeMs,
    }),
  ),
  next: orNull(Type.String()),
});

export const accessSchema = object({
  name: Type.String(),
  role: Type.Unsafe<AdminRole>(Type.Enum([...ADMIN_ROLES])),
});
export const healthSchema = object({ status: Type.String() });
export const errorSchema = object({ code: Type.String(), message: Type.String() });

export const forceQuerySchema = Type.Object(
  { mirror: Type.String({ minLength: 1, maxLength: 63 }) },
  { additionalProperties: false },
);
export const forceBodySchema = Type.Object(
  { mirror: Type.String({ minLength: 1, maxLength: 63 }), words: Type.String({ maxLength: 1024 }) },
  { additionalProperties: false },
);
export const forcePlanSchema = object({
  mirror: mirrorName,
  epoch: count,
  risks: list(Type.String()),
  words: Type.String(),
});
const objectFields = {
  bucket: Type.String({ minLength: 1, maxLength: 63 }),
  key: Type.String({ minLength: 1, maxLength: 1024 }),
  version: Type.Optional(Type.String({ maxLength: 128 })),
  choice: words<ObjectChoice>({ 'give-up': true, 'put-back': true }),
};
export const forceObjectQuerySchema = Type.Object(objectFields, { additionalProperties: false });
export const forceObjectBodySchema = Type.Object(
  { ...objectFields, words: Type.String({ maxLength: 4096 }) },
  { additionalProperties: false },
);
export const forceObjectPlanSchema = object({
  choice: words<ObjectChoice>({ 'give-up': true, 'put-back': true }),
  epoch: count,
  risks: list(Type.String()),
  words: Type.String(),
});
export const scrubQuerySchema = Type.Object(
  { mirror: Type.Optional(Type.String({ minLength: 1, maxLength: 63 })) },
  { additionalProperties: false },
);
export const scrubStartedSchema = object({ mirrors: list(mirrorName) });
export const operationParametersSchema = Type.Object({ id: Type.String({ maxLength: 64 }) });
export const tagTableQuerySchema = Type.Object(
  {
    mirror: Type.String({ minLength: 1, maxLength: 63 }),
    after: Type.Optional(Type.String({ maxLength: 4096 })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: TAG_TABLE_PAGE_MAX })),
  },
  { additionalProperties: false },
);

export type AdminPace = Static<typeof paceSchema>;
export type AdminPaceChange = Static<typeof paceChangeSchema>;
export type AdminSets = Static<typeof setsSchema>;
export type AdminStatus = Static<typeof statusSchema>;
export type AdminMirror = AdminStatus['mirrors'][number];
export type AdminOperation = Static<typeof operationSchema>;
export type AdminProgress = Static<typeof progressSchema>;
export type AdminForcePlan = Static<typeof forcePlanSchema>;
export type AdminEvents = Static<typeof eventsSchema>;
export type AdminTagTable = Static<typeof tagTableSchema>;
