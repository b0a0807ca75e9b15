/** Whether clients are being served by this OSD just now: what copies beside them yields to them, and to nobody else. */
export class ClientLoad {
  readonly #now: () => number;
  #underWayCount = 0;
  #lastServedMs = Number.NEGATIVE_INFINITY;

  /** `now`: monotonic, in ms. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Since when nobody is served; null: somebody is. */
  get quietSinceMs(): number | null {
    return this.#underWayCount > 0 ? null : this.#lastServedMs;
  }

  /** Somebody is served in a moment. */
  touch(): void {
    this.#lastServedMs = this.#now();
  }

  async during<Value>(work: () => Promise<Value>): Promise<Value> {
    this.#underWayCount += 1;
    try {
      return await work();
    } finally {
      this.#underWayCount -= 1;
      this.touch();
    }
  }
}
