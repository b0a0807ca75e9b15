/**
 * Where the synchronization authority keeps its state (DESIGN.md section 5).
 *
 * Guarantees: `save` resolves when the state is on disk; a crash leaves the old state or the new one, whole (durable-file.ts).
 *
 * Format: one JSON object, the `AuthorityState` with its `formatVersion`, and under `checksum` the SHA-256 of the rest.
 */
import { readFile } from 'node:fs/promises';
import {
  type AuthorityRun,
  type AuthorityState,
  type ForcedDecision,
  type Member,
  type MirrorId,
  toMirrorId,
} from '../protocol/authority-state.js';
import { EPOCH_NONE, toEpoch } from '../protocol/tag.js';
import { toStoreId } from '../protocol/token.js';
import { decodeChecksummed, encodeChecksummed, replaceDurably } from './durable-file.js';

export interface AuthorityStorage {
  /** Null: there never was a state. Throws when there is one that can't be read (F31: it is never made up). */
  load(): Promise<AuthorityState | null>;
  /**
   * Replaces the state that was loaded or saved last by this caller (`expected`; epoch 0: there was none). Rejects with AuthoritySuperseded,
   * and changes nothing, when another one is on disk: somebody else has taken over, or put an older one back.
   */
  save(state: AuthorityState, expected: StateVersion): Promise<void>;
}

/** Tells the states of one authority apart, also within an epoch. */
export type StateVersion = Pick<AuthorityState, 'epoch' | 'revision'>;

/** Throws AuthoritySuperseded unless what is on disk is what is expected there. */
export function assertNotSuperseded(expected: StateVersion, found: StateVersion | null): void {
  const { epoch, revision = 0 } = found ?? { epoch: EPOCH_NONE };
  if (epoch !== expected.epoch || revision !== (expected.revision ?? 0))
    throw new AuthoritySuperseded(expected, { epoch, revision });
}

/** Another gateway uses the same authority and has gone on, or an older state of it was put back; this one must stop (F14, F31). */
export class AuthoritySuperseded extends Error {
  readonly code = 'authority-superseded';

  constructor(expected: StateVersion, found: StateVersion) {
    const isSameEpoch = expected.epoch === found.epoch;
    const within = isSameEpoch ? `revision ${found.revision ?? 0}, not ${expected.revision ?? 0}, of ` : '';
    const instead = isSameEpoch ? '' : `, not ${expected.epoch}`;
    const why = isSameEpoch ? ', or put an older state back' : '';
    super(
      `the synchronization authority is at ${within}epoch ${found.epoch}${instead}: another gateway took over${why}`,
    );
    this.name = 'AuthoritySuperseded';
  }
}

export class AuthorityStateError extends Error {
  readonly code = 'authority-state-unreadable';

  constructor(path: string, detail: string, options?: ErrorOptions) {
    super(`the synchronization authority's state in ${path} can't be read: ${detail}`, options);
    this.name = 'AuthorityStateError';
  }
}

function asRecord(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new RangeError(`${what} is no object`);
  return value as Record<string, unknown>;
}

function asString(value: unknown, what: string): string {
  if (typeof value !== 'string') throw new RangeError(`${what} is no text`);
  return value;
}

function asArray(value: unknown, what: string): unknown[] {
  if (!Array.isArray(value)) throw new RangeError(`${what} is no list`);
  return value;
}

function asNumber(value: unknown, what: string): number {
  if (!Number.isSafeInteger(value)) throw new RangeError(`${what} is no integer`);
  return value as number;
}

function decodeMember(value: unknown): Member {
  const member = asRecord(value, 'a member');
  const storeId = member['storeId'];
  const reason = member['fullCopyReason'];
  const copyStoreId = member['copyStoreId'];
  const damagedStoreId = member['damagedStoreId'];
  return {
    mirror: toMirrorId(asString(member['mirror'], 'mirror')),
    storeId: storeId === null ? null : toStoreId(asString(storeId, 'storeId')),
    fullCopyReason: reason === null ? null : asString(reason, 'fullCopyReason'),
    ...(member['rowsForgone'] === true ? { rowsForgone: true as const } : {}),
    ...(copyStoreId === undefined ? {} : { copyStoreId: toStoreId(asString(copyStoreId, 'copyStoreId')) }),
    ...(damagedStoreId === undefined
      ? {}
      : { damagedStoreId: toStoreId(asString(damagedStoreId, 'damagedStoreId')) }),
  };
}

function decodeByMirror<Value>(
  value: unknown,
  what: string,
  decode: (value: unknown, what: string) => Value,
): Record<MirrorId, Value> {
  const decoded: Record<MirrorId, Value> = {};
  for (const [key, entry] of Object.entries(asRecord(value, what)))
    decoded[toMirrorId(key)] = decode(entry, what);
  return decoded;
}

function decodeRun(value: unknown): AuthorityRun {
  const run = asRecord(value, 'a run');
  return {
    run: asString(run['run'], 'run'),
    epoch: toEpoch(asNumber(run['epoch'], 'epoch')),
    ...(run['after'] === undefined ? {} : { after: asNumber(run['after'], 'after') }),
    ...(run['isIdle'] === true ? { isIdle: true as const } : {}),
  };
}

function decodeDecision(value: unknown): ForcedDecision {
  const decision = asRecord(value, 'a decision');
  return {
    mirror: toMirrorId(asString(decision['mirror'], 'mirror')),
    epoch: toEpoch(asNumber(decision['epoch'], 'epoch')),
    atMs: asNumber(decision['atMs'], 'atMs'),
    risks: asArray(decision['risks'], 'risks').map((risk) => asString(risk, 'a risk')),
    words: asString(decision['words'], 'words'),
  };
}

function decodeState(value: unknown): AuthorityState {
  const state = asRecord(value, 'the state');
  if (state['formatVersion'] !== 1) throw new RangeError('unknown format version');
  const phase = state['phase'];
  if (phase !== 'recovering' && phase !== 'active') throw new RangeError('unknown phase');
  const { cleanStop, sequences, rebuilding, writer, forgiven, forced, revision, runs } = state;
  const asMirrors = (names: unknown, what: string) =>
    asArray(names, what).map((mirror) => toMirrorId(asString(mirror, what)));
  return {
    formatVersion: 1,
    setId: asString(state['setId'], 'setId'),
    epoch: toEpoch(asNumber(state['epoch'], 'epoch')),
    phase,
    members: asArray(state['members'], 'members').map(decodeMember),
    inSync: asMirrors(state['inSync'], 'inSync'),
    incarnations: decodeByMirror(state['incarnations'], 'incarnations', asString),
    cleanStop: cleanStop === null ? null : decodeByMirror(cleanStop, 'cleanStop', asNumber),
    ...(sequences === undefined ? {} : { sequences: decodeByMirror(sequences, 'sequences', asNumber) }),
    ...(rebuilding === undefined ? {} : { rebuilding: asMirrors(rebuilding, 'rebuilding') }),
    ...(writer === undefined ? {} : { writer: toMirrorId(asString(writer, 'writer')) }),
    ...(forgiven === undefined ? {} : { forgiven: decodeByMirror(forgiven, 'forgiven', asNumber) }),
    ...(runs === undefined ? {} : { runs: asArray(runs, 'runs').map(decodeRun) }),
    ...(revision === undefined ? {} : { revision: asNumber(revision, 'revision') }),
    ...(forced === undefined ? {} : { forced: asArray(forced, 'forced').map(decodeDecision) }),
  };
}

/** As it stands in the file, and as mirrors keep a copy of it (F31). */
export function encodeAuthorityState(state: AuthorityState): string {
  return encodeChecksummed(state);
}

/** Throws RangeError or SyntaxError for anything that `encodeAuthorityState` did not make. */
export function decodeAuthorityState(text: string): AuthorityState {
  return decodeState(decodeChecksummed(text));
}

/** One file in a folder that exists. */
export class AuthorityFile implements AuthorityStorage {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  async load(): Promise<AuthorityState | null> {
    let text: string;
    try {
      text = await readFile(this.#path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw new AuthorityStateError(this.#path, 'the file can not be opened', { cause: error });
    }
    try {
      return decodeAuthorityState(text);
    } catch (error) {
      throw new AuthorityStateError(this.#path, error instanceof Error ? error.message : 'damaged', {
        cause: error,
      });
    }
  }

  async save(state: AuthorityState, expected: StateVersion): Promise<void> {
    assertNotSuperseded(expected, await this.load());
    await replaceDurably(this.#path, encodeAuthorityState(state));
  }
}
