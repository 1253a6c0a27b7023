/**
 * An upstream as the worker uses it. The object stays the same while its endpoints come and go, and what is known of an
 * endpoint stays with it; what it asks of the choice among them never changes, for that is part of its key.
 */
import type { Upstream } from "../../model/snapshot.ts";
import type { Balancer } from "../balance/balancer.ts";
import { Load, type Place } from "../balance/load.ts";
import { makeBalancer } from "../balance/make-balancer.ts";
import { Member } from "../balance/member.ts";
import { SlowStart } from "../balance/slow-start.ts";
import { type Watch, watchFor } from "../balance/watch.ts";
import type { EndpointPool } from "./endpoint-pool.ts";

export interface BalanceParts {
  /** Monotonic milliseconds. */
  readonly clock: () => number;
  /** From 0 to just below 1. */
  readonly random: () => number;
  /** The shared memory of an endpoint, by its index in the upstream; null where it has none. */
  readonly placeOf: (upstream: string, index: number) => Place | null;
  /** An endpoint has failed as often in a row as its upstream bears. */
  readonly failing: (upstream: string, address: string) => void;
}

export class LiveUpstream {
  readonly key: string;
  protocol: Upstream["protocol"] = "http";
  /** In the order of the Snapshot. */
  members: readonly Member[] = [];
  /** Those that requests go to: the usable ones, or all when none is usable. */
  candidates: readonly Member[] = [];
  balancer: Balancer;
  watch: Watch | null = null;
  readonly #parts: BalanceParts;
  #slowStart: SlowStart | null = null;
  #known = false;

  constructor(key: string, parts: BalanceParts) {
    this.key = key;
    this.#parts = parts;
    this.balancer = makeBalancer({}, { ...parts, slowStart: null });
  }

  /** Replaces the endpoints; `pools` in their order. */
  set({ protocol, options }: Upstream, pools: readonly EndpointPool[]): void {
    this.protocol = protocol;
    if (!this.#known) this.#begin(options);
    const before = new Map(this.members.map((member) => [member.pool, member]));
    // The first endpoints of all have nobody to take the load meanwhile.
    const growing = before.size === 0 ? null : this.#slowStart;
    this.members = pools.map((pool, index) => {
      const kept = before.get(pool);
      if (kept !== undefined) {
        before.delete(pool);
        return kept;
      }
      const place = this.#parts.placeOf(this.key, index);
      const member = new Member(pool, place === null ? null : new Load(place));
      growing?.begin(member);
      return member;
    });
    for (const { load } of before.values()) load?.leave();
    this.#choose();
  }

  /** No endpoint is left, and none will come. */
  clear(): void {
    for (const { load } of this.members) load?.leave();
    this.members = [];
    this.#choose();
  }

  /** Whether requests may go to an endpoint; one that is not in the upstream is none of its business. */
  setUsable(address: string, usable: boolean): void {
    const member = this.members.find(({ pool }) => pool.address === address);
    if (member === undefined || member.usable === usable) return;
    member.usable = usable;
    if (usable) {
      // What it failed before counts no more.
      member.load?.succeeded();
      this.#slowStart?.begin(member);
    }
    this.#choose();
  }

  #begin(options: Upstream["options"]): void {
    this.#known = true;
    const { clock, random, failing } = this.#parts;
    this.#slowStart = options.slowStart === undefined ? null : new SlowStart(options.slowStart, clock);
    this.balancer = makeBalancer(options, { clock, random, slowStart: this.#slowStart });
    this.watch = watchFor(options, { clock, failing: ({ pool }) => failing(this.key, pool.address) });
  }

  #choose(): void {
    const usable = this.members.every((member) => member.usable)
      ? this.members
      : this.members.filter((member) => member.usable);
    this.candidates = usable.length === 0 ? this.members : usable;
    this.balancer.update(this.members, this.candidates);
  }
}
