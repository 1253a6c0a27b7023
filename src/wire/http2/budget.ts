/**
 * How much a peer may ask for what costs us and brings nobody forward: so many at once, and so many a second again. Time is
 * an argument, in milliseconds of any clock that only goes forward.
 */
export class Budget {
  readonly #most: number;
  readonly #perSecond: number;
  #left: number;
  #at = Number.NaN;

  constructor(most: number, perSecond: number) {
    this.#most = most;
    this.#perSecond = perSecond;
    this.#left = most;
  }

  /** False: it is spent. */
  spend(count: number, now: number): boolean {
    if (now > this.#at) this.earn(((now - this.#at) / 1000) * this.#perSecond);
    this.#at = now;
    this.#left -= count;
    return this.#left >= 0;
  }

  earn(count: number): void {
    this.#left = Math.min(this.#most, this.#left + count);
  }
}
