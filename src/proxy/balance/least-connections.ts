/** The endpoint with the fewest requests under way, and of several the next in turn. */
import type { Balancer, BalancerParts } from "./balancer.ts";
import type { Member } from "./member.ts";

/** Endpoints that are all looked at; of more, so many are drawn, the best of which is close to the best of all. */
const lookedAt = 32;

export class LeastConnections implements Balancer {
  readonly #parts: BalancerParts;
  #members: readonly Member[] = [];
  #cursor = 0;

  constructor(parts: BalancerParts) {
    this.#parts = parts;
  }

  update(_all: readonly Member[], candidates: readonly Member[]): void {
    this.#members = candidates;
  }

  pick(tried: readonly Member[]): Member | null {
    const members = this.#members;
    const count = members.length;
    const { slowStart, random } = this.#parts;
    const growing = slowStart?.underWay === true ? slowStart : null;
    // Endpoints that have left may have taken its place with them.
    const next = this.#cursor < count ? this.#cursor : 0;
    this.#cursor = next + 1;
    // Neighbours are as good as any others, but not always the same ones.
    const from = count <= lookedAt ? next : Math.floor(random() * count);
    let best: Member | null = null;
    let least = Number.POSITIVE_INFINITY;
    let looked = 0;
    for (let step = 0; step < count && looked < lookedAt; step++) {
      const at = from + step;
      const member = members[at < count ? at : at - count];
      if (member === undefined || (tried.length > 0 && tried.includes(member))) continue;
      looked++;
      const requests = member.load?.requests ?? 0;
      const load = growing === null ? requests : (requests + 1) / growing.share(member);
      if (load >= least) continue;
      best = member;
      least = load;
      if (load === 0) break;
    }
    return best;
  }
}
