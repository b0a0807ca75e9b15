import { toStoreId } from '../../../src/protocol/token.js';
import { describeObjectStore } from '../../conformance/object-store.js';
import { MemoryObjectStore } from '../../fakes/memory-object-store.js';
import { SET_ID } from './store-driver.js';

describeObjectStore('MemoryObjectStore', async () => {
  const store = new MemoryObjectStore({ setId: SET_ID, storeId: toStoreId('a'.repeat(32)) });
  return { store, reopen: async () => store.reopen(), dispose: () => store.close() };
});
