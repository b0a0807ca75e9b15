/** What a service asks of V8 once it runs. `node-arguments.ts` has what must be said before. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** How much the old generation may grow over what was alive in it after its last collection, before the next one. */
const HEAP_GROWTH_PERCENT = 40;

/**
 * undici's parser is WebAssembly, one function for the most part. V8 compiles it quickly at first, and again when it has become hot: on a
 * thread of its own, with 35 MiB that may come on top of anything. Compiled well at once it takes those before anyone is served.
 *
 * V8 lets the old generation of a process grow to a multiple of what is alive in it, and to 256 MiB before its first collection: a service
 * has 20 to 50 MiB alive, and took as much again and more for what was not. A collection is 20 to 50 ms, most of it beside the work. Since
 * little grows old there are few of them, and growing by three times as much saves no time that could be measured (bench/README.md).
 */
export function setUpEngine(): void {
  setFlagsFromString('--no-liftoff');
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH_PERCENT}`);
}

/** The growth counts from here. Call it once everything is loaded, and before anyone is served. */
export function settleHeap(): void {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect === 'function') (collect as () => void)();
}

type Transfer = (this: ArrayBuffer, newLength: number) => ArrayBuffer;

/** ECMAScript 2024. Node.js 20 has it, but behind a flag that only new contexts hear of; the method itself serves any buffer. */
function findTransfer(): Transfer | null {
  setFlagsFromString('--harmony-rab-gsab-transfer');
  const found: unknown = runInNewContext('ArrayBuffer.prototype.transfer');
  return typeof found === 'function' ? (found as Transfer) : null;
}

/**
 * Gives back the memory of bytes at once, which otherwise waits for the collector: to that a buffer is a small object, so in a process
 * that streams it comes late. Does nothing with bytes that share their memory. Precondition: nobody uses them any more.
 */
export function makeFreeBytes(): (bytes: Buffer) => void {
  const transfer = findTransfer();
  if (transfer === null) return () => undefined;
  return ({ buffer, byteLength }) => {
    if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) transfer.call(buffer, 0);
  };
}
