import { describeObjectStorage } from '../../conformance/object-storage.js';
import { MemoryObjectStorage } from '../../fakes/memory-object-storage.js';

describeObjectStorage('MemoryObjectStorage', () =>
  Promise.resolve({ storage: new MemoryObjectStorage(), close: () => Promise.resolve() }),
);
