/**
 * A map whose entries come and go, in the order in which they came.
 *
 * V8 makes the table of a map anew whenever too many entries of it are gone, and in the generation of the table before. So once a table
 * has grown old every later one is old from the beginning, is garbage soon, and until the old generation is collected keeps alive what it
 * pointed to at its end: of a map of writes in flight that is a write with all that belongs to it, for every other write
 * (bench/README.md). A new map is young, and its tables do not live long enough to grow old while entries come and go.
 */
const DELETIONS_MAX = 1024;

export class PassingMap<Key, Value> {
  #entries = new Map<Key, Value>();
  #deletions = 0;

  get size(): number {
    return this.#entries.size;
  }

  has(key: Key): boolean {
    return this.#entries.has(key);
  }

  get(key: Key): Value | undefined {
    return this.#entries.get(key);
  }

  set(key: Key, value: Value): void {
    this.#entries.set(key, value);
  }

  /** False: there was no such entry. */
  delete(key: Key): boolean {
    if (!this.#entries.delete(key)) return false;
    this.#deletions += 1;
    if (this.#deletions < DELETIONS_MAX) return true;
    this.#deletions = 0;
    this.#entries = new Map(this.#entries);
    return true;
  }

  clear(): void {
    this.#entries = new Map();
  }

  /** The key that came first; undefined: there is none. */
  firstKey(): Key | undefined {
    for (const key of this.#entries.keys()) return key;
    return undefined;
  }

  values(): IterableIterator<Value> {
    return this.#entries.values();
  }

  /** Those of the moment: what goes meanwhile may still come, what comes may not. */
  entries(): IterableIterator<[Key, Value]> {
    return this.#entries.entries();
  }
}
