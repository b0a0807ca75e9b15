/** The durable reason why a store is incomplete, and what becomes of it in a full copy. */
import type { FullCopyCursor } from '../protocol/reconcile-plan.js';
import { FULL_COPY_DOUBT } from '../protocol/recovery-plan.js';
import type { StoreId } from '../protocol/token.js';
import { AUTHORITY_RECORD_KEY, FULL_COPY_CURSOR_KEY, RENEWED_STORE_ID_KEY, SELF_DOUBT_KEY } from './keys.js';
import { encodeCursor, encodeStoreId, encodeText } from './small-values.js';
import type { StoreCore } from './store-core.js';

/** On disk when it resolves. A store that doubts itself takes no writes; an earlier reason is kept. */
export async function putSelfDoubt(core: StoreCore, reason: string | null): Promise<void> {
  const batch = core.commit.open();
  batch.requireSync();
  core.selfDoubt = reason === null ? null : (core.selfDoubt ?? reason);
  if (core.selfDoubt === null) batch.delete(SELF_DOUBT_KEY);
  else batch.put(SELF_DOUBT_KEY, encodeText(SELF_DOUBT_KEY, core.selfDoubt));
  if (reason !== null) core.parts.logger.error({ reason: core.selfDoubt }, 'this store is incomplete');
  await batch.written;
}

/**
 * Another id, the doubt, no cursor and no copy of the authority's state, in one synced batch: never an id of a copy without the doubt. Precondition: no write is
 * let in, so no token of the old id is made meanwhile.
 */
export async function beginFullCopy(core: StoreCore, storeId: StoreId): Promise<void> {
  const batch = core.commit.open();
  batch.requireSync();
  batch.afterwards(() => {
    core.identity = { ...core.identity, storeId };
  });
  core.selfDoubt = FULL_COPY_DOUBT;
  core.fullCopyCursor = null;
  batch.put(RENEWED_STORE_ID_KEY, encodeStoreId(RENEWED_STORE_ID_KEY, storeId));
  batch.put(SELF_DOUBT_KEY, encodeText(SELF_DOUBT_KEY, FULL_COPY_DOUBT));
  batch.delete(FULL_COPY_CURSOR_KEY);
  // Given up by an operator, it may keep a state of another history; what becomes of it now says nothing for that one (F31).
  batch.delete(AUTHORITY_RECORD_KEY);
  await batch.written;
}

export async function putFullCopyCursor(core: StoreCore, cursor: FullCopyCursor): Promise<void> {
  const batch = core.commit.open();
  batch.requireSync();
  core.fullCopyCursor = cursor;
  batch.put(FULL_COPY_CURSOR_KEY, encodeCursor(FULL_COPY_CURSOR_KEY, cursor));
  await batch.written;
}

export async function endFullCopy(core: StoreCore): Promise<void> {
  const batch = core.commit.open();
  batch.requireSync();
  core.selfDoubt = null;
  core.fullCopyCursor = null;
  batch.delete(SELF_DOUBT_KEY);
  batch.delete(FULL_COPY_CURSOR_KEY);
  await batch.written;
}
