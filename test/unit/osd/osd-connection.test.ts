import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toStoreId } from '../../../src/protocol/token.js';
import { openStore } from '../../../src/store/disk-object-store.js';
import { formatStore } from '../../../src/store/format-store.js';
import { describeOsdConnection } from '../../conformance/osd-connection.js';
import { createMemoryOsd } from '../../fakes/memory-osd.js';
import { MemoryObjectStore } from '../../fakes/memory-object-store.js';
import { MemoryOsdStore } from '../../fakes/memory-osd-store.js';
import { silentLogger, startOsd } from './osd-harness.js';
import { SET_ID } from './osd-writer.js';

describeOsdConnection('HttpOsdConnection to a server over a memory store', async () => {
  return startOsd(new MemoryObjectStore({ setId: SET_ID, storeId: toStoreId('1'.repeat(32)) }));
});

describeOsdConnection('HttpOsdConnection to a server over the store for OSD tests', async () => {
  return startOsd(new MemoryOsdStore(SET_ID, 1));
});

describeOsdConnection('HttpOsdConnection to a server over a disk', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tally-osd-'));
  await formatStore(join(folder, 'store'), { setId: SET_ID });
  const store = await openStore(join(folder, 'store'), { setId: SET_ID, logger: silentLogger() });
  const running = await startOsd(store);
  return {
    connection: running.connection,
    close: async () => {
      await running.close();
      await store.close();
      await rm(folder, { recursive: true });
    },
  };
});

describeOsdConnection('HttpOsdConnection over a unix socket', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tally-osd-'));
  const running = await startOsd(new MemoryOsdStore(SET_ID, 1), { socketPath: join(folder, 'osd.sock') });
  return {
    connection: running.connection,
    close: async () => {
      await running.close();
      await rm(folder, { recursive: true });
    },
  };
});

describeOsdConnection('LocalOsd over a memory store', async () => {
  const connection = createMemoryOsd({ store: new MemoryOsdStore(SET_ID, 1) });
  return { connection, close: () => connection.close() };
});
