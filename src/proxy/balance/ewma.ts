/**
 * Peak EWMA with the power of two choices, as linkerd and ingress-nginx do it: of two members drawn at random the one with
 * the lower cost, which is the time of its answers times the requests that would then be under way. A slow answer counts at
 * once, good ones are believed over a while, and what is long ago counts less and less, so that a slow endpoint is tried again.
 */
import type { Balancer, BalancerParts } from "./balancer.ts";
import type { Load } from "./load.ts";
import type { Member } from "./member.ts";

/** Milliseconds in which what was measured falls to 1/e of its weight, as in ingress-nginx. */
const decay = 10_000;
/** Milliseconds below which answers do not differ; it lets the requests under way decide among idle endpoints. */
const leastCost = 0.1;

export class Ewma implements Balancer {
  readonly #parts: BalancerParts;
  #members: readonly Member[] = [];

  constructor(parts: BalancerParts) {
    this.#parts = parts;
  }

  /** A new member begins with what the others have on average: at nothing, it would draw all requests at once. */
  update(members: readonly Member[], candidates: readonly Member[]): void {
    this.#members = candidates;
    const now = this.#parts.clock();
    const loads = members.flatMap(({ load }) => (load === null ? [] : [load]));
    const known = loads.filter(({ measuredAt }) => measuredAt > 0);
    if (known.length === 0) return;
    const average = known.reduce((sum, load) => sum + costNow(load, now), 0) / known.length;
    for (const load of loads) if (load.measuredAt === 0) load.setCost(average, now);
  }

  pick(tried: readonly Member[]): Member | null {
    const { random } = this.#parts;
    const members = tried.length === 0 ? this.#members : this.#members.filter((member) => !tried.includes(member));
    const count = members.length;
    if (count < 2) return members[0] ?? null;
    const one = Math.floor(random() * count);
    const step = 1 + Math.floor(random() * (count - 1));
    const first = members[one];
    const second = members[(one + step) % count];
    if (first === undefined || second === undefined) return null;
    const now = this.#parts.clock();
    return this.#score(first, now) <= this.#score(second, now) ? first : second;
  }

  #score(member: Member, now: number): number {
    const { load } = member;
    if (load === null) return 0;
    const score = (costNow(load, now) + leastCost) * (load.requests + 1);
    const { slowStart } = this.#parts;
    return slowStart === null ? score : score / slowStart.share(member);
  }
}

/** Notes that an answer took `took` milliseconds up to its head. */
export function measure(load: Load, took: number, now: number): void {
  const before = costNow(load, now);
  if (took >= before) {
    load.setCost(took, now);
    return;
  }
  const weight = Math.exp((load.measuredAt - now) / decay);
  load.setCost(load.cost * weight + took * (1 - weight), now);
}

function costNow(load: Load, now: number): number {
  const { cost } = load;
  return cost === 0 ? 0 : cost * Math.exp((load.measuredAt - now) / decay);
}
