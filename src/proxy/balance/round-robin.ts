/** The endpoints in turn. While one of them has less than a full share, it lets some of its turns pass. */
import type { Balancer, BalancerParts } from "./balancer.ts";
import type { Member } from "./member.ts";

export class RoundRobin implements Balancer {
  readonly #parts: BalancerParts;
  #members: readonly Member[] = [];
  #cursor = 0;

  constructor(parts: BalancerParts) {
    this.#parts = parts;
  }

  /** A rollout replaces endpoints one by one: going on at the same place keeps the new one from being hit first by all. */
  update(_all: readonly Member[], candidates: readonly Member[]): void {
    this.#members = candidates;
  }

  pick(tried: readonly Member[]): Member | null {
    const { slowStart } = this.#parts;
    if (slowStart?.underWay === true) {
      const member = this.#pickByShare(tried);
      if (member !== null) return member;
    }
    return this.#next(tried);
  }

  #next(tried: readonly Member[]): Member | null {
    const members = this.#members;
    const count = members.length;
    for (let step = 0; step < count; step++) {
      const index = this.#cursor < count ? this.#cursor : 0;
      this.#cursor = index + 1;
      const member = members[index];
      if (member !== undefined && (tried.length === 0 || !tried.includes(member))) return member;
    }
    return null;
  }

  /** null: all let their turn pass. */
  #pickByShare(tried: readonly Member[]): Member | null {
    const { slowStart, random } = this.#parts;
    const members = this.#members;
    // Where all are new, they share alike.
    let most = 0;
    for (const member of members) most = Math.max(most, slowStart?.share(member) ?? 1);
    for (let step = 0; step < 2 * members.length; step++) {
      const member = this.#next(tried);
      if (member === null) return null;
      if (random() * most < (slowStart?.share(member) ?? 1)) return member;
    }
    return null;
  }
}
