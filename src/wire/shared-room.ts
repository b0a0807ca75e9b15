/**
 * Memory for bytes on their way to or from one OSD, which all streams share: the more there are, the less each of them may hold, so what a
 * process holds does not follow their number.
 */
export interface RoomLimits {
  readonly allBytesMax: number;
  readonly streamBytesMax: number;
}

export class SharedRoom {
  readonly #limits: RoomLimits;
  #streamCount = 0;

  constructor(limits: RoomLimits) {
    this.#limits = limits;
  }

  get allBytesMax(): number {
    return this.#limits.allBytesMax;
  }

  get bytesEach(): number {
    const { allBytesMax, streamBytesMax } = this.#limits;
    return Math.min(streamBytesMax, Math.floor(allBytesMax / Math.max(1, this.#streamCount)));
  }

  enter(): void {
    this.#streamCount += 1;
  }

  leave(): void {
    this.#streamCount -= 1;
  }
}
