/**
 * The disk of a simulated mirror: immutable images, of which a crash keeps one.
 *
 *   image 0 ... image n        synced: survives every crash
 *                 image n+1    committed without a sync (a clear): a crash keeps it or loses it, and with it all after it
 *
 * Commits fall into a log whose records carry checksums, so a crash keeps them in their order and each whole or not at all.
 * Contents lie beside that log and are synced before the commit that names them; so their bytes are torn by a crash only
 * where the disk lied. A sync that fails leaves its commit to chance, and the disk takes nothing more (the store is not
 * written to until its process is started again).
 *
 * Old images stay at hand, so that a disk can be restored from an old snapshot (F17).
 */
import type { AuthorityState } from '../../src/protocol/authority-state.js';
import type { ObjectId } from '../../src/protocol/object-id.js';
import type { Epoch, Tag } from '../../src/protocol/tag.js';
import { EPOCH_NONE } from '../../src/protocol/tag.js';
import type { StoreId } from '../../src/protocol/token.js';
import type { ObjectState, TagRow } from '../../src/protocol/write.js';

export interface StoredObject {
  readonly state: ObjectState;
  readonly bytes: Uint8Array;
  /** Where a byte is not what its checksum says, or is lost; null: nowhere. */
  readonly rottenAt: number | null;
  /** What it was before a push that brought it with lost bytes. */
  readonly kept?: StoredObject;
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
  /** The copy of the authority's state that it keeps (F31). */
  readonly authorityRecord: AuthorityState | null;
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
  return { state, bytes, rottenAt: null };
}

export function isRotten({ rottenAt }: StoredObject): boolean {
  return rottenAt !== null;
}

/** The same object with one byte of it flipped; itself, when it has none. */
export function rotten(stored: StoredObject): StoredObject {
  if (stored.bytes.length === 0 || stored.rottenAt !== null) return stored;
  const bytes = stored.bytes.slice();
  bytes[0] = (bytes[0] ?? 0) ^ 0x40;
  return { ...stored, bytes, rottenAt: 0 };
}

function withTornContent(image: DiskImage, before: DiskImage): DiskImage {
  const objects = new Map(image.objects);
  for (const [objectId, stored] of objects)
    if (before.objects.get(objectId)?.bytes !== stored.bytes) objects.set(objectId, rotten(stored));
  return { ...image, objects };
}

/** A write or a sync failed. */
export class DiskFailed extends Error {}

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
    authorityRecord: null,
    forgotten: new Map(),
  };
}

export class SimulatedDisk {
  #current: DiskImage;
  #synced: DiskImage;
  /** What the disk says that it has synced. */
  #promised: DiskImage;
  #unsynced: DiskImage[] = [];
  readonly #snapshots: DiskImage[];
  /** A disk that says "synced" and is lying (F9, F10). */
  lies = false;
  /** The next commit that is to be synced fails. */
  failsNextSync = false;
  #hasFailed = false;
  #hasKeptWhatFailed = false;
  /** Some byte of it was rotten once. */
  #hasDecayed = false;

  constructor(image: DiskImage) {
    this.#current = image;
    this.#synced = image;
    this.#promised = image;
    this.#snapshots = [image];
  }

  get image(): DiskImage {
    return this.#current;
  }

  /** What is left after a power failure now, whatever happens, as far as the disk is to be believed. */
  get durableImage(): DiskImage {
    return this.#promised;
  }

  /** True while a crash may take what the disk said that it had synced. */
  get isDoubtful(): boolean {
    return this.lies || this.#promised !== this.#synced;
  }

  get hasDecayed(): boolean {
    return this.#hasDecayed;
  }

  /** A commit whose sync failed was there after the crash. */
  get hasKeptWhatFailed(): boolean {
    return this.#hasKeptWhatFailed;
  }

  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  commit(change: Partial<DiskImage>, options: { readonly sync: boolean }): void {
    if (this.#hasFailed) throw new DiskFailed();
    const next = { ...this.#current, ...change };
    if (options.sync && this.failsNextSync) {
      this.#hasFailed = true;
      this.#unsynced.push(next);
      throw new DiskFailed();
    }
    this.#current = next;
    if (options.sync) this.#promised = next;
    if (options.sync && !this.lies) {
      this.#synced = next;
      this.#unsynced = [];
      this.#snapshots.push(next);
    } else {
      this.#unsynced.push(next);
    }
  }

  /** Bytes at rest change by themselves: nobody committed that, and no crash undoes it. */
  decay(change: Partial<DiskImage>): void {
    this.#hasDecayed = true;
    const next = { ...this.#current, ...change };
    if (this.#synced === this.#current) this.#synced = next;
    if (this.#promised === this.#current) this.#promised = next;
    const at = this.#unsynced.indexOf(this.#current);
    if (at >= 0) this.#unsynced[at] = next;
    this.#current = next;
  }

  /**
   * Power fails: `survivors` of the commits without sync are kept, in their order; `isTorn`: of the last of them the content
   * that it brought is torn, if the disk lied. Returns true when something is gone that the disk had promised to keep.
   */
  crash(survivors: number, isTorn = false): boolean {
    const kept = this.#unsynced.slice(0, survivors);
    this.#hasKeptWhatFailed ||= this.#hasFailed && survivors >= this.#unsynced.length;
    const promisedAt = this.#unsynced.indexOf(this.#promised);
    const last = kept.at(-1);
    const before = kept.at(-2) ?? this.#synced;
    const tears = isTorn && this.isDoubtful && last !== undefined;
    this.#hasDecayed ||= tears;
    if (last !== undefined) this.#synced = tears ? withTornContent(last, before) : last;
    this.#current = this.#synced;
    this.#promised = this.#synced;
    this.#unsynced = [];
    this.lies = this.failsNextSync = this.#hasFailed = false;
    return promisedAt >= survivors;
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
    this.#promised = image;
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
