/**
 * Schemas of what OSD messages are made of. A value that passes one is typed, brands included: this is the edge where bytes
 * from outside become typed (STYLE.md 11). Object members beyond those named are
 * refused in requests and dropped from answers (decoder.ts).
 */
import Type, { type Static, type TProperties, type TSchema } from 'typebox';
import { toMirrorId, type MirrorId } from '../protocol/authority-state.js';
import type { Extent } from '../protocol/extent.js';
import {
  CONTAINER_BYTES_MAX,
  OBJECT_NAME_BYTES_MAX,
  type ObjectId,
  toObjectId,
  VERSION_BYTES_MAX,
} from '../protocol/object-id.js';
import type { ObjectSummary } from '../protocol/reconcile-plan.js';
import { type Epoch, EPOCH_MAX, GENERATOR_MAX, type GeneratorId, type Tag } from '../protocol/tag.js';
import type { StoreId, Witness } from '../protocol/token.js';
import type { ObjectState, TagRow } from '../protocol/write.js';
import type { RowCursor } from './osd-connection.js';

const OBJECT_ID_LENGTH_MAX = CONTAINER_BYTES_MAX + OBJECT_NAME_BYTES_MAX + VERSION_BYTES_MAX + 2;
const CHECKSUM_MAX = 0xffffffff;

/** True when a brand's constructor takes the text. */
function accepts(construct: (text: string) => unknown): (text: string) => boolean {
  return (text) => {
    try {
      construct(text);
      return true;
    } catch {
      return false;
    }
  };
}

export function strictObject<Properties extends TProperties>(properties: Properties) {
  return Type.Object(properties, { additionalProperties: false });
}

export function orNull<Schema extends TSchema>(schema: Schema) {
  return Type.Union([schema, Type.Null()]);
}

export function literals<const Words extends readonly string[]>(...words: Words) {
  return Type.Unsafe<Words[number]>(Type.Union(words.map((word) => Type.Literal(word))));
}

export const tagSchema = Type.Unsafe<Tag>(Type.String({ pattern: '^[0-9a-f]{28}$' }));
export const storeIdSchema = Type.Unsafe<StoreId>(Type.String({ pattern: '^[0-9a-f]{32}$' }));
export const epochSchema = Type.Unsafe<Epoch>(Type.Integer({ minimum: 0, maximum: EPOCH_MAX }));
export const generatorSchema = Type.Unsafe<GeneratorId>(Type.Integer({ minimum: 0, maximum: GENERATOR_MAX }));
export const objectIdSchema = Type.Refine(
  Type.Unsafe<ObjectId>(Type.String({ maxLength: OBJECT_ID_LENGTH_MAX })),
  accepts(toObjectId),
);
export const mirrorIdSchema = Type.Refine(
  Type.Unsafe<MirrorId>(Type.String({ maxLength: 63 })),
  accepts(toMirrorId),
);
/** Bytes, rows, sequences: 0 to 2^53 - 1. */
export const countSchema = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
export const checksumSchema = Type.Integer({ minimum: 0, maximum: CHECKSUM_MAX });
export const shortTextSchema = Type.String({ maxLength: 1024 });

export const witnessSchema = strictObject({ storeId: storeIdSchema, commitSequence: countSchema });
export const extentSchema = strictObject({ offset: countSchema, length: countSchema });
export const rowCursorSchema = strictObject({ objectId: objectIdSchema, tag: tagSchema });

const writeKindSchema = literals('replace', 'range-write', 'extend', 'set-attributes', 'remove');
const writeModeSchema = literals('overwrite', 'extend');

export const tagRowSchema = strictObject({
  tag: tagSchema,
  objectId: objectIdSchema,
  kind: writeKindSchema,
  mode: writeModeSchema,
  offset: countSchema,
  length: countSchema,
  checksum: checksumSchema,
  commitSequence: countSchema,
  writtenMs: countSchema,
});

export const presentObjectSchema = strictObject({
  kind: Type.Literal('present'),
  sizeBytes: countSchema,
  lastTag: tagSchema,
  lastChecksum: checksumSchema,
  attributes: Type.String(),
});

const tombstoneSchema = strictObject({
  kind: Type.Literal('tombstone'),
  lastTag: tagSchema,
  lastChecksum: checksumSchema,
});

export const objectStateSchema = Type.Union([presentObjectSchema, tombstoneSchema]);

export const objectSummarySchema = strictObject({
  objectId: objectIdSchema,
  lastTag: tagSchema,
  sizeBytes: orNull(countSchema),
  lastChecksum: checksumSchema,
});

/** Compiles only when `Actual` is what the port calls it: schema and port can't drift apart. */
type Same<Actual extends Expected, Expected> = Actual;
export type SchemaChecks = [
  Same<Static<typeof tagRowSchema>, TagRow>,
  Same<Static<typeof objectStateSchema>, ObjectState>,
  Same<Static<typeof objectSummarySchema>, ObjectSummary>,
  Same<Static<typeof witnessSchema>, Witness>,
  Same<Static<typeof extentSchema>, Extent>,
  Same<Static<typeof rowCursorSchema>, RowCursor>,
];
