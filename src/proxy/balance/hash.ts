/**
 * The same endpoint, or one of the same few, for the same key. Endpoints that may not be chosen keep their points on the
 * ring and are passed over, so that their keys alone go elsewhere, and come back with them.
 */
import type { Exchange } from "../../features/exchange.ts";
import { compileHashKey } from "../../features/hash-key.ts";
import type { HashAlgorithm } from "../../model/balance.ts";
import type { Balancer, BalancerParts } from "./balancer.ts";
import type { Member } from "./member.ts";
import { Ring } from "./ring.ts";
import { RoundRobin } from "./round-robin.ts";

export class Hash implements Balancer {
  readonly #key: (exchange: Exchange) => string;
  readonly #subset: number;
  readonly #random: () => number;
  readonly #withoutKey: RoundRobin;
  #members: readonly Member[] = [];
  #candidates: readonly Member[] = [];
  /** Brought up to date by the next request; a rollout changes members more often than some upstreams are asked for. */
  #ring: Ring | null = null;

  constructor({ key, subset }: HashAlgorithm, parts: BalancerParts) {
    this.#key = compileHashKey(key);
    this.#subset = subset ?? 1;
    this.#random = parts.random;
    // A key's endpoint must not depend on time, so that slow start has no place here.
    this.#withoutKey = new RoundRobin({ ...parts, slowStart: null });
  }

  update(members: readonly Member[], candidates: readonly Member[]): void {
    if (!sameMembers(members, this.#members)) this.#members = members;
    this.#candidates = candidates;
    this.#withoutKey.update(members, candidates);
  }

  pick(tried: readonly Member[], exchange: Exchange): Member | null {
    const key = this.#key(exchange);
    if (key === "") return this.#withoutKey.pick(tried);
    if (this.#ring?.members !== this.#members) this.#ring = new Ring(this.#members, this.#ring);
    const ring = this.#ring;
    const first = ring.find(key);
    if (this.#subset === 1) {
      const member = ring.at(first);
      if (member !== null && tried.length === 0 && this.#mayServe(member)) return member;
      return this.#walk(ring, first, 1, tried)[0] ?? null;
    }
    const set = this.#walk(ring, first, this.#subset, []);
    const untried = set.filter((member) => !tried.includes(member));
    if (untried.length > 0) return untried[Math.floor(this.#random() * untried.length)] ?? null;
    return this.#walk(ring, first, 1, tried)[0] ?? null;
  }

  /** The members that follow a point, each once, without those in `except`; fewer than `count` when there are no more. */
  #walk(ring: Ring, first: number, count: number, except: readonly Member[]): readonly Member[] {
    const found: Member[] = [];
    // With nobody left, the way round the ring is long.
    const tried = except.length === 0 ? 0 : this.#candidates.filter((member) => except.includes(member)).length;
    const wanted = Math.min(count, this.#candidates.length - tried);
    for (let point = first; found.length < wanted && point < first + ring.length; point++) {
      const member = ring.at(point);
      if (member === null || !this.#mayServe(member) || except.includes(member) || found.includes(member)) continue;
      found.push(member);
    }
    return found;
  }

  /** When no member is usable, all are candidates. */
  #mayServe(member: Member): boolean {
    return member.usable || this.#candidates.length === this.#members.length;
  }
}

function sameMembers(a: readonly Member[], b: readonly Member[]): boolean {
  return a.length === b.length && a.every((member, index) => member === b[index]);
}
