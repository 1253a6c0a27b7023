/** The share of an endpoint that has just joined the others: it grows in proportion to time, up to that of all others. */
import type { Member } from "./member.ts";

/** Of a full share: an endpoint with none at all would learn nothing, and would be no choice when it is alone. */
const leastShare = 0.01;

export class SlowStart {
  /** Milliseconds. */
  readonly #duration: number;
  /** In milliseconds; the clock that `joinedAt` is of. */
  readonly #clock: () => number;
  /** When the last to join has its full share. */
  #until = Number.NEGATIVE_INFINITY;

  constructor(duration: number, clock: () => number) {
    this.#duration = duration;
    this.#clock = clock;
  }

  /** From now on the member's share grows. */
  begin(member: Member): void {
    member.joinedAt = this.#clock();
    this.#until = member.joinedAt + this.#duration;
  }

  /** False: all have their full share, which is nearly always so. */
  get underWay(): boolean {
    return this.#until !== Number.NEGATIVE_INFINITY && this.#clock() < this.#until;
  }

  /** From just above 0 to 1. */
  share(member: Member): number {
    const share = (this.#clock() - member.joinedAt) / this.#duration;
    return share >= 1 ? 1 : Math.max(share, leastShare);
  }
}
