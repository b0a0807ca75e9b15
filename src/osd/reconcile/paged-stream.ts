/** A participant's table, read page by page, with the next item at hand. */
import { ReconcileFailure } from './reconcile-failure.js';

export interface PagedStreamOptions<Item> {
  readonly name: string;
  /** The items after this one, in order; none: the table ends. */
  readonly fetch: (after: Item | null) => Promise<readonly Item[]>;
  readonly compare: (left: Item, right: Item) => number;
}

export class PagedStream<Item> {
  readonly #options: PagedStreamOptions<Item>;
  #page: readonly Item[] = [];
  #index = 0;
  #last: Item | null = null;
  #isEnded = false;

  constructor(options: PagedStreamOptions<Item>) {
    this.#options = options;
  }

  /** True when `head` says what comes next. */
  get isFilled(): boolean {
    return this.#index < this.#page.length || this.#isEnded;
  }

  /** Fetches the next page if it is needed. */
  async fill(): Promise<void> {
    if (this.isFilled) return;
    this.#page = await this.#options.fetch(this.#last);
    this.#index = 0;
    this.#isEnded = this.#page.length === 0;
  }

  /** The next item, or null at the end. Precondition: filled. */
  get head(): Item | null {
    return this.#page[this.#index] ?? null;
  }

  /** Goes on to the item after `head`. */
  advance(): void {
    const { head } = this;
    if (head === null) return;
    if (this.#last !== null && this.#options.compare(head, this.#last) <= 0) {
      throw new ReconcileFailure('bad-table', `${this.#options.name} is not in order`);
    }
    this.#last = head;
    this.#index += 1;
  }
}
