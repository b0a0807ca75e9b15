/** The JSON requests and answers of every route but the hot one (`transaction-frame.ts`), as schemas and decoders. */
import Type, { type Static } from 'typebox';
import type { FullCopyCursor } from '../protocol/reconcile-plan.js';
import {
  COPY_BYTES_PER_SECOND_MIN,
  COPY_SHARE_PERCENT_MAX,
  COPY_SHARE_PERCENT_MIN,
} from '../protocol/pace.js';
import { AUTHORITY_RECORD_LENGTH_MAX, PUSH_EXTENTS_MAX, PUSH_ROWS_MAX } from './contract.js';
import { makeAnswerDecoder, makeDecoder } from './decoder.js';
import {
  EVIDENCE_PAGE_MAX,
  EVIDENCE_ROWS_MAX,
  EXAMINATIONS_MAX,
  LOST_OBJECTS_PAGE_MAX,
  ROWS_PAGE_MAX,
  SUMMARIES_PAGE_MAX,
} from './osd-connection.js';
import type {
  HealOrder,
  LostObject,
  OsdIdentity,
  ReconcileOrder,
  ReconcileProgress,
  RemotePushReply,
  ScrubOrder,
  WriterOrder,
} from './osd-connection.js';
import {
  checksumSchema,
  countSchema,
  epochSchema,
  extentSchema,
  generatorSchema,
  literals,
  mirrorIdSchema,
  objectIdSchema,
  objectStateSchema,
  objectSummarySchema,
  orNull,
  presentObjectSchema,
  rowCursorSchema,
  shortTextSchema,
  storeIdSchema,
  strictObject,
  tagRowSchema,
  tagSchema,
  witnessSchema,
} from './schemas.js';

const PARTICIPANTS_MAX = 64;

// --- requests

export const fenceRequest = makeDecoder(
  'request',
  strictObject({ epoch: epochSchema, incarnation: Type.Optional(shortTextSchema) }),
);
export const epochRequest = makeDecoder('request', strictObject({ epoch: epochSchema }));
export const advanceRequest = makeDecoder('request', strictObject({ from: epochSchema, to: epochSchema }));
export const statesRequest = makeDecoder(
  'request',
  strictObject({ ids: Type.Array(objectIdSchema, { maxItems: ROWS_PAGE_MAX }) }),
);
export const evidenceRequest = makeDecoder(
  'request',
  strictObject({ epoch: epochSchema, ids: Type.Array(objectIdSchema, { maxItems: EVIDENCE_PAGE_MAX }) }),
);
export const rowDropRequest = makeDecoder(
  'request',
  strictObject({
    setId: shortTextSchema,
    epoch: epochSchema,
    rows: Type.Array(rowCursorSchema, { maxItems: ROWS_PAGE_MAX }),
    witnesses: Type.Array(witnessSchema, { maxItems: 2 * PARTICIPANTS_MAX }),
  }),
);
export const selfDoubtRequest = makeDecoder(
  'request',
  strictObject({ epoch: epochSchema, reason: orNull(shortTextSchema) }),
);
const recordSchema = Type.String({ maxLength: AUTHORITY_RECORD_LENGTH_MAX });
export const recordRequest = makeDecoder(
  'request',
  strictObject({ epoch: epochSchema, record: recordSchema }),
);
export const recordAnswer = makeAnswerDecoder('record', strictObject({ record: orNull(recordSchema) }));
export const fullCopyRequest = makeDecoder(
  'request',
  strictObject({ epoch: epochSchema, storeId: storeIdSchema }),
);
const cursorSchema = strictObject({ objectId: objectIdSchema, objectsCompared: countSchema });
export const cursorRequest = makeDecoder(
  'request',
  strictObject({ epoch: epochSchema, cursor: cursorSchema }),
);

const mirrorsSchema = Type.Array(mirrorIdSchema, { maxItems: PARTICIPANTS_MAX });
const writerOrderSchema = strictObject({
  setId: shortTextSchema,
  epoch: epochSchema,
  generator: generatorSchema,
  revision: countSchema,
  self: mirrorIdSchema,
  inSync: mirrorsSchema,
  members: Type.Array(strictObject({ mirror: mirrorIdSchema, url: shortTextSchema }), {
    maxItems: PARTICIPANTS_MAX,
  }),
  rowsKeptFor: mirrorsSchema,
  givenUp: mirrorsSchema,
});
export const writerRequest = makeDecoder('order', writerOrderSchema);
export const dismissalRequest = makeDecoder(
  'request',
  strictObject({ epoch: epochSchema, generator: generatorSchema }),
);

const needSchema = Type.Union([
  strictObject({ kind: Type.Literal('rows') }),
  strictObject({ kind: Type.Literal('full-copy'), reason: shortTextSchema }),
]);

const roleSchema = Type.Union([
  strictObject({ kind: Type.Literal('trusted') }),
  strictObject({ kind: Type.Literal('stale'), need: needSchema }),
]);

const paceSchema = strictObject({
  bytesPerSecond: Type.Union([
    Type.Integer({ minimum: COPY_BYTES_PER_SECOND_MIN, maximum: Number.MAX_SAFE_INTEGER }),
    Type.Null(),
  ]),
  sharePercent: Type.Integer({ minimum: COPY_SHARE_PERCENT_MIN, maximum: COPY_SHARE_PERCENT_MAX }),
  isPaused: Type.Boolean(),
});
export const paceRequest = makeDecoder('pace', paceSchema);

const orderSchema = strictObject({
  setId: shortTextSchema,
  epoch: epochSchema,
  driver: mirrorIdSchema,
  participants: Type.Array(
    strictObject({
      mirror: mirrorIdSchema,
      url: shortTextSchema,
      storeId: storeIdSchema,
      role: roleSchema,
    }),
    { minItems: 1, maxItems: PARTICIPANTS_MAX },
  ),
  complete: Type.Boolean(),
  mode: literals('fenced', 'online'),
  absentStoreIds: Type.Array(storeIdSchema, { maxItems: PARTICIPANTS_MAX }),
  pace: Type.Union([paceSchema, Type.Null()]),
});
export const reconcileRequest = makeDecoder('order', orderSchema);

const pushContentSchema = Type.Union([
  strictObject({ kind: Type.Literal('whole') }),
  strictObject({
    kind: Type.Literal('extents'),
    extents: Type.Array(extentSchema, { maxItems: PUSH_EXTENTS_MAX }),
  }),
]);

/** The header of a push; `bytes` says where its content is: behind the header, in a stage, or nowhere. */
export const pushHeader = makeDecoder(
  'push',
  strictObject({
    epoch: epochSchema,
    objectId: objectIdSchema,
    expectedLastTag: orNull(tagSchema),
    lastTag: orNull(tagSchema),
    state: orNull(objectStateSchema),
    content: pushContentSchema,
    lost: Type.Optional(Type.Array(extentSchema, { maxItems: PUSH_EXTENTS_MAX })),
    bytes: Type.Union([
      strictObject({ kind: Type.Literal('none') }),
      strictObject({ kind: Type.Literal('inline'), lengthBytes: countSchema }),
      strictObject({ kind: Type.Literal('staged'), stageId: shortTextSchema }),
    ]),
    contentChecksum: checksumSchema,
    rows: Type.Array(tagRowSchema, { maxItems: PUSH_ROWS_MAX }),
  }),
);

export const examinationRequest = makeDecoder(
  'request',
  strictObject({
    requests: Type.Array(strictObject({ objectId: objectIdSchema, extent: extentSchema }), {
      maxItems: EXAMINATIONS_MAX,
    }),
  }),
);

const healSourcesSchema = Type.Array(strictObject({ mirror: mirrorIdSchema, url: shortTextSchema }), {
  maxItems: PARTICIPANTS_MAX,
});
const healOrderSchema = strictObject({
  epoch: epochSchema,
  objectId: objectIdSchema,
  extents: orNull(Type.Array(extentSchema, { maxItems: PUSH_EXTENTS_MAX })),
  sources: healSourcesSchema,
});
export const healRequest = makeDecoder('order', healOrderSchema);
const scrubOrderSchema = strictObject({
  bytesPerSecond: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
  sources: healSourcesSchema,
});
export const scrubRequest = makeDecoder('order', scrubOrderSchema);

// --- answers

const scrubProgressSchema = strictObject({
  state: literals('running', 'stopped', 'done', 'failed'),
  startedMs: countSchema,
  endedMs: orNull(countSchema),
  objectsExamined: countSchema,
  bytesExamined: countSchema,
  objectsDamaged: countSchema,
  objectsHealed: countSchema,
  failure: orNull(Type.String()),
});
const careSchema = strictObject({
  objectsDamaged: countSchema,
  objectsHealed: countSchema,
  bytesHealed: countSchema,
  scrub: orNull(scrubProgressSchema),
});
const examinationsSchema = strictObject({
  examinations: Type.Array(
    strictObject({ state: orNull(presentObjectSchema), contentChecksum: orNull(checksumSchema) }),
    { maxItems: EXAMINATIONS_MAX },
  ),
});
export const examinationsAnswer = makeAnswerDecoder('examinations', examinationsSchema);

const identitySchema = strictObject({
  setId: shortTextSchema,
  storeId: storeIdSchema,
  incarnation: shortTextSchema,
  softwareVersion: shortTextSchema,
  formatVersion: countSchema,
  processId: countSchema,
  commitSequence: countSchema,
  fencedEpoch: epochSchema,
  activeEpoch: epochSchema,
  fault: orNull(strictObject({ kind: literals('no-space', 'disk-failed'), detail: Type.String() })),
  selfDoubt: orNull(Type.String()),
  blank: Type.Boolean(),
  witnesses: Type.Array(witnessSchema),
  rowCount: countSchema,
  rowBytes: countSchema,
  oldestRowMs: orNull(countSchema),
  objectCount: countSchema,
  tombstoneCount: countSchema,
  blobBytes: countSchema,
  care: careSchema,
});
export const identityAnswer = makeAnswerDecoder('identity', identitySchema);

export const stagedAnswer = makeAnswerDecoder(
  'staged',
  strictObject({ stageId: shortTextSchema, lengthBytes: countSchema, contentChecksum: checksumSchema }),
);

export const readHeader = makeAnswerDecoder(
  'read',
  strictObject({ state: presentObjectSchema, extent: orNull(extentSchema) }),
);
export const headAnswer = makeAnswerDecoder('head', strictObject({ state: presentObjectSchema }));

export const rowsAnswer = makeAnswerDecoder(
  'rows',
  strictObject({ rows: Type.Array(tagRowSchema, { maxItems: ROWS_PAGE_MAX }) }),
);
export const summariesAnswer = makeAnswerDecoder(
  'summaries',
  strictObject({ summaries: Type.Array(objectSummarySchema, { maxItems: SUMMARIES_PAGE_MAX }) }),
);
const lostObjectSchema = strictObject({
  objectId: objectIdSchema,
  state: presentObjectSchema,
  lostBytes: countSchema,
  kept: orNull(presentObjectSchema),
});
export const lostObjectsAnswer = makeAnswerDecoder(
  'lost objects',
  strictObject({ objects: Type.Array(lostObjectSchema, { maxItems: LOST_OBJECTS_PAGE_MAX }) }),
);
export const statesAnswer = makeAnswerDecoder(
  'states',
  strictObject({ states: Type.Array(orNull(objectStateSchema), { maxItems: ROWS_PAGE_MAX }) }),
);

export const evidenceAnswer = makeAnswerDecoder(
  'evidence',
  strictObject({
    objects: Type.Array(
      strictObject({
        state: orNull(objectStateSchema),
        rows: Type.Array(tagRowSchema, { maxItems: EVIDENCE_ROWS_MAX }),
        hasMoreRows: Type.Boolean(),
      }),
      { maxItems: EVIDENCE_PAGE_MAX },
    ),
  }),
);

const pushReplySchema = Type.Union([
  strictObject({ kind: Type.Literal('landed') }),
  strictObject({
    kind: Type.Literal('refused'),
    code: literals(
      'stale-epoch',
      'not-fenced',
      'changed',
      'would-go-back',
      'unknown-stage',
      'checksum-mismatch',
      'no-base',
      'no-space',
      'io-error',
    ),
  }),
]);
export const pushAnswer = makeAnswerDecoder('push', pushReplySchema);
export const pushBatchAnswer = makeAnswerDecoder(
  'pushes',
  strictObject({
    replies: Type.Array(
      Type.Union([
        ...pushReplySchema.anyOf,
        strictObject({ kind: Type.Literal('failed'), code: shortTextSchema, message: Type.String() }),
      ]),
    ),
  }),
);

export const cursorAnswer = makeAnswerDecoder('cursor', strictObject({ cursor: orNull(cursorSchema) }));

const progressSchema = strictObject({
  epoch: epochSchema,
  phase: literals('matching', 'copying', 'full-copy', 'clearing', 'done', 'failed'),
  isScanned: Type.Boolean(),
  rowsMatched: countSchema,
  rowsUnmatched: countSchema,
  rowsDropped: countSchema,
  objectsToDo: countSchema,
  objectsDone: countSchema,
  rangesDone: countSchema,
  bytesUnmatched: countSchema,
  bytesCopied: countSchema,
  objectsCompared: countSchema,
  objectsToCompare: countSchema,
  objectsDeleted: countSchema,
  leftMs: orNull(countSchema),
  failure: orNull(Type.String()),
});
export const progressAnswer = makeAnswerDecoder('progress', progressSchema);

export const refusalAnswer = makeAnswerDecoder(
  'refusal',
  Type.Object({ code: shortTextSchema, message: Type.String() }),
);

/** Compiles only when `Actual` is what the port calls it: schema and port can't drift apart. */
type Same<Actual extends Expected, Expected> = Actual;
export type MessageChecks = [
  Same<Static<typeof identitySchema>, OsdIdentity>,
  Same<Static<typeof orderSchema>, ReconcileOrder>,
  Same<Static<typeof cursorSchema>, FullCopyCursor>,
  Same<Static<typeof healOrderSchema>, HealOrder>,
  Same<Static<typeof scrubOrderSchema>, ScrubOrder>,
  Same<Static<typeof writerOrderSchema>, WriterOrder>,
  Same<Static<typeof progressSchema>, ReconcileProgress>,
  Same<Static<typeof lostObjectSchema>, LostObject>,
  Same<Static<typeof pushReplySchema>, RemotePushReply>,
];
