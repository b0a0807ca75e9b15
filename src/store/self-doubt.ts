/** The durable reason why a store is incomplete. */
import { SELF_DOUBT_KEY } from './keys.js';
import { encodeText } from './small-values.js';
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
