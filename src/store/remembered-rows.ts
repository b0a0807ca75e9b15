/** Rows of one object by tag. Nearly all objects have one row at a time: only further ones cost a map. */
import type { Tag } from '../protocol/tag.js';
import type { TagRow } from '../protocol/write.js';

export class RememberedRows {
  /** Null: there is none here; its row may be in no map either. */
  #firstTag: Tag | null = null;
  /** Null: known to be absent. */
  #first: TagRow | null = null;
  #others: Map<Tag, TagRow | null> | null = null;

  get size(): number {
    return (this.#firstTag === null ? 0 : 1) + (this.#others?.size ?? 0);
  }

  /** Null: known to be absent; undefined: not known. */
  get(tag: Tag): TagRow | null | undefined {
    return tag === this.#firstTag ? this.#first : this.#others?.get(tag);
  }

  set(tag: Tag, row: TagRow | null): void {
    if (this.#firstTag === null && this.#others?.has(tag) !== true) this.#firstTag = tag;
    if (this.#firstTag === tag) this.#first = row;
    else (this.#others ??= new Map()).set(tag, row);
  }

  present(): TagRow[] {
    const rows = this.#first === null ? [] : [this.#first];
    if (this.#others !== null) for (const row of this.#others.values()) if (row !== null) rows.push(row);
    return rows;
  }

  forgetAbsent(): void {
    if (this.#first === null) this.#firstTag = null;
    if (this.#others === null) return;
    for (const [tag, row] of this.#others) if (row === null) this.#others.delete(tag);
    if (this.#others.size === 0) this.#others = null;
  }

  clear(): void {
    this.#firstTag = null;
    this.#first = null;
    this.#others = null;
  }
}
