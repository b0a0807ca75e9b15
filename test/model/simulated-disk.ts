/**
 * The disk of a simulated mirror: immutable images, of which a crash keeps one.
 *
 *   image 0 ... image n        synced: survives every crash
 *                 image n+1    committed without a sync (a clear): a crash keeps it or loses it, and with it all after it
 *
 * Old images stay at hand, so that a disk can be restored from an old snapshot (F17).
 */
import type { ObjectId } from '../../src/protocol/object-id.js';
import type { Epoch, Tag } from '../../src/protocol/tag.js';
import { EPOCH_NONE } from '../../src/protocol/tag.js';
import type { StoreId } from '../../src/protocol/token.js';
import type { ObjectState, TagRow } from '../../src/protocol/write.js';

export interface StoredObject {
  readonly state: ObjectState;
  readonly bytes: Uint8Array;
  readonly contentChecksum: number;
}

export interface DiskImage {
  readonly storeId: StoreId;
  readonly commitSequence: number;
  readonly fencedEpoch: Epoch;
  readonly selfDoubt: string | null;
  readonly blank: boolean;
  readonly copyCursor: ObjectId | null;
  readonly objects: ReadonlyMap<ObjectId, StoredObject>;
  /** By `rowKey`. */
  readonly rows: ReadonlyMap<string, TagRow>;
  readonly witnesses: ReadonlyMap<StoreId, number>;
  /** For the checkers only: the newest tombstone that was let go of, by object. */
  readonly forgotten: ReadonlyMap<ObjectId, Tag>;
}

export function rowKey(row: { readonly objectId: ObjectId; readonly tag: Tag }): string {
  return `${row.objectId} ${row.tag}`;
}

export function rowsOf(image: DiskImage, objectId: ObjectId): TagRow[] {
  return [...image.rows.values()]
    .filter((row) => row.objectId === objectId)
    .sort((left, right) => (left.tag < right.tag ? -1 : 1));
}

/** FNV-1a, enough to notice a flipped bit. */
export function checksumOf(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

export function storeObject(state: ObjectState, bytes: Uint8Array): StoredObject {
  return { state, bytes, contentChecksum: checksumOf(bytes) };
}

export function blankImage(storeId: StoreId): DiskImage {
  return {
    storeId,
    commitSequence: 0,
    fencedEpoch: EPOCH_NONE,
    selfDoubt: null,
    blank: true,
    copyCursor: null,
    objects: new Map(),
    rows: new Map(),
    witnesses: new Map(),
    forgotten: new Map(),
  };
}

export class SimulatedDisk {
  #current: DiskImage;
  #synced: DiskImage;
  #unsynced: DiskImage[] = [];
  readonly #snapshots: DiskImage[];
  /** A disk that says "synced" and is lying (F9, F10). */
  lies = false;

  constructor(image: DiskImage) {
    this.#current = image;
    this.#synced = image;
    this.#snapshots = [image];
  }

  get image(): DiskImage {
    return this.#current;
  }

  /** What is left after a power failure now, whatever happens. */
  get durableImage(): DiskImage {
    return this.#synced;
  }

  commit(change: Partial<DiskImage>, options: { readonly sync: boolean }): void {
    this.#current = { ...this.#current, ...change };
    if (options.sync && !this.lies) {
      this.#synced = this.#current;
      this.#unsynced = [];
      this.#snapshots.push(this.#current);
    } else {
      this.#unsynced.push(this.#current);
    }
  }

  /** Power fails: `survivors` of the commits without sync are kept, in their order. */
  crash(survivors: number): void {
    const kept = this.#unsynced.slice(0, survivors).at(-1);
    if (kept !== undefined) this.#synced = kept;
    this.#current = this.#synced;
    this.#unsynced = [];
  }

  get unsyncedCount(): number {
    return this.#unsynced.length;
  }

  get snapshotCount(): number {
    return this.#snapshots.length;
  }

  /** The disk is replaced by another one. */
  restore(image: DiskImage): void {
    this.#current = image;
    this.#synced = image;
    this.#unsynced = [];
    this.#snapshots.length = 0;
    this.#snapshots.push(image);
  }

  /** The disk is as it was then. */
  rollBack(index: number): void {
    const older = this.#snapshots.slice(0, index);
    this.restore(this.snapshot(index));
    this.#snapshots.unshift(...older);
  }

  snapshot(index: number): DiskImage {
    const image = this.#snapshots[index];
    if (image === undefined) throw new RangeError(`no snapshot ${index}`);
    return image;
  }
}
