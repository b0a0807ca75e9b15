/**
 * Lets whoever is about to take something away wait for those who may still be on their way to it: looks that began before
 * a certain moment. Looks that begin later are not waited for, so a steady stream of them holds nobody up.
 */
export class Grace {
  /** Looks under way by the period they began in; periods end when somebody waits. */
  #current = { looks: 0, end: (): void => undefined };
  #earlier: Promise<unknown> = Promise.resolve();

  /** Runs a look. */
  async look<Result>(work: () => Promise<Result>): Promise<Result> {
    const period = this.#current;
    period.looks += 1;
    try {
      return await work();
    } finally {
      period.looks -= 1;
      if (period.looks === 0) period.end();
    }
  }

  /** Resolves when every look that is under way now is over. */
  elapsed(): Promise<unknown> {
    const period = this.#current;
    if (period.looks === 0) return this.#earlier;
    const over = new Promise<void>((resolve) => {
      period.end = resolve;
    });
    this.#current = { looks: 0, end: () => undefined };
    this.#earlier = Promise.all([this.#earlier, over]);
    return this.#earlier;
  }
}
