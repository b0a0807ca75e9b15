import { describeObjectStore } from '../../conformance/object-store.js';
import { makeTemporaryStore } from './temporary-store.js';

describeObjectStore('DiskObjectStore', makeTemporaryStore);
