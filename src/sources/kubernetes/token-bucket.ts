/** How often something may happen: `perSecond` in the long run, `burst` at once after quiet. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

export class TokenBucket {
  readonly #rate: Rate;
  #tokens: number;
  #filledAt: number = Number.NEGATIVE_INFINITY;

  constructor(rate: Rate) {
    this.#rate = rate;
    this.#tokens = rate.burst;
  }

  /** Takes one and returns 0; or takes none and returns the milliseconds until there is one. `now` only goes forward. */
  take(now: number): number {
    this.#fill(now);
    if (this.#tokens < 1) return Math.ceil(((1 - this.#tokens) / this.#rate.perSecond) * 1000);
    this.#tokens -= 1;
    return 0;
  }

  /** Nothing was taken for so long that a new bucket would be no different. */
  isFull(now: number): boolean {
    this.#fill(now);
    return this.#tokens >= this.#rate.burst;
  }

  #fill(now: number): void {
    const passed = Math.max(0, now - this.#filledAt);
    // The sum of many small fractions must reach 1 at the time that was named.
    const tokens = this.#tokens + (passed * this.#rate.perSecond) / 1000 + 1e-9;
    this.#tokens = Math.min(this.#rate.burst, tokens);
    this.#filledAt = now;
  }
}
