/**
 * Tokens and the clearing of tag table rows (DESIGN.md sections 3.6, 3.7 and 4).
 *
 * A token names one row of one store: which store, at which commit sequence the row became durable, and the row's key.
 * It is opaque to everyone but the OSD that made it; only this file and `store/` look inside.
 */
import { type ObjectId, toObjectId } from './object-id.js';
import { type Epoch, type GeneratorId, type Tag, tagEpoch, tagGenerator, TAG_LENGTH, toTag } from './tag.js';

declare const tokenBrand: unique symbol;
export type Token = string & { readonly [tokenBrand]: 'Token' };

declare const storeIdBrand: unique symbol;
/** Names one formatted store for ever: 32 hex digits, made at format. */
export type StoreId = string & { readonly [storeIdBrand]: 'StoreId' };

const STORE_ID_PATTERN = /^[0-9a-f]{32}$/;

/** Types text from outside as a store id. Throws RangeError when it is none. */
export function toStoreId(text: string): StoreId {
  if (!STORE_ID_PATTERN.test(text)) throw new RangeError('not a store id: 32 hex digits are needed');
  return text as StoreId;
}

export interface TokenParts {
  readonly storeId: StoreId;
  readonly commitSequence: number;
  readonly tag: Tag;
  readonly objectId: ObjectId;
}

const SEQUENCE_DIGITS = 14;

/** storeId (32) + commit sequence in hex (14) + tag (28) + object id. */
export function makeToken(parts: TokenParts): Token {
  const sequence = parts.commitSequence.toString(16).padStart(SEQUENCE_DIGITS, '0');
  return (parts.storeId + sequence + parts.tag + parts.objectId) as Token;
}

/** Types text from outside as a token, without looking into it. */
export function toToken(text: string): Token {
  return text as Token;
}

/** Reads a token. Throws RangeError when it is none. */
export function parseToken(token: Token): TokenParts {
  const storeId = toStoreId(token.slice(0, 32));
  const sequenceEnd = 32 + SEQUENCE_DIGITS;
  const commitSequence = Number.parseInt(token.slice(32, sequenceEnd), 16);
  if (!Number.isSafeInteger(commitSequence)) throw new RangeError('not a token: bad commit sequence');
  const tag = toTag(token.slice(sequenceEnd, sequenceEnd + TAG_LENGTH));
  return { storeId, commitSequence, tag, objectId: toObjectId(token.slice(sequenceEnd + TAG_LENGTH)) };
}

/** A peer's commit sequence at a write that it is known to have made durable. */
export interface Witness {
  readonly storeId: StoreId;
  readonly commitSequence: number;
}

export type ClearRefusalCode = 'wrong-set' | 'stale-epoch' | 'not-active' | 'foreign-token' | 'state-lost';

export type ClearVerdict =
  { readonly kind: 'clear' } | { readonly kind: 'refuse'; readonly code: ClearRefusalCode };

const CLEAR: ClearVerdict = { kind: 'clear' };

/** Everything that `decideClear` looks at. */
export interface ClearContext {
  readonly setId: string;
  readonly storeId: StoreId;
  /** The commit sequence that this store has reached. */
  readonly commitSequence: number;
  readonly fencedEpoch: Epoch;
  readonly activeEpoch: Epoch;
}

export interface ClearRequest {
  readonly setId: string;
  readonly epoch: Epoch;
  /** What it says of the store; the row that it names is not looked at. */
  readonly token: Pick<TokenParts, 'storeId' | 'commitSequence'>;
  readonly witnesses: readonly Witness[];
}

/**
 * Decides whether an OSD deletes the row that a token names. A late clear of an old epoch bounces like a late write
 * (F14). A token from beyond the store's own commit sequence proves that the store lost state (F10): it fences itself.
 */
export function decideClear(context: ClearContext, clear: ClearRequest): ClearVerdict {
  if (clear.setId !== context.setId) return { kind: 'refuse', code: 'wrong-set' };
  if (clear.epoch < context.fencedEpoch) return { kind: 'refuse', code: 'stale-epoch' };
  if (clear.epoch !== context.activeEpoch) return { kind: 'refuse', code: 'not-active' };
  if (clear.token.storeId !== context.storeId) return { kind: 'refuse', code: 'foreign-token' };
  let claimed = clear.token.commitSequence;
  for (const witness of clear.witnesses)
    if (witness.storeId === context.storeId) claimed = Math.max(claimed, witness.commitSequence);
  return claimed > context.commitSequence ? { kind: 'refuse', code: 'state-lost' } : CLEAR;
}

export interface TombstoneContext {
  readonly lastTag: Tag;
  /** True while the tag table has a row for that removal. */
  readonly hasRow: boolean;
  /** What the store was told last by the generator of the tombstone's tag; null: nothing. */
  readonly floor: Tag | null;
  readonly fencedEpoch: Epoch;
  /** True while this mirror is being rebuilt (F35). */
  readonly rebuilding: boolean;
}

/**
 * True when a tombstone has done its work: its row is cleared, and no request that it must refuse can still be on its
 * way, because the generator's floor has passed it or its whole epoch is fenced off (F21, F22).
 */
export function mayDropTombstone(context: TombstoneContext): boolean {
  if (context.hasRow || context.rebuilding) return false;
  if (tagEpoch(context.lastTag) < context.fencedEpoch) return true;
  return context.floor !== null && context.lastTag < context.floor;
}

/** The floor a store keeps for each generator only rises; a delayed request brings an old one. */
export function raiseFloor(floors: ReadonlyMap<GeneratorId, Tag>, told: Tag): Tag {
  const known = floors.get(tagGenerator(told));
  return known === undefined || told > known ? told : known;
}
