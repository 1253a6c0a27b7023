/** Endpoints without sockets, for tests of the choice among them: a clock that is set, numbers that a seed gives. */
import type { Exchange } from "../../src/features/exchange.ts";
import type { BalanceOptions } from "../../src/model/balance.ts";
import type { Balancer } from "../../src/proxy/balance/balancer.ts";
import { Load, privatePlace } from "../../src/proxy/balance/load.ts";
import { makeBalancer } from "../../src/proxy/balance/make-balancer.ts";
import { Member } from "../../src/proxy/balance/member.ts";
import { SlowStart } from "../../src/proxy/balance/slow-start.ts";
import { defaultPoolLimits, EndpointPool } from "../../src/proxy/upstream/endpoint-pool.ts";
import { TimingWheel } from "../../src/proxy/wheel.ts";
import { request } from "../features/read.ts";

/** Numbers from 0 to just below 1, the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const wheel = new TimingWheel(() => 0, 100);
const counters = {
  upstreamConnected() {},
  upstreamParked() {},
  upstreamReused() {},
  upstreamClosed() {},
  connectFailed() {},
  http2Ended() {},
};

export function pool(index: number): EndpointPool {
  const address = `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`;
  return new EndpointPool({ address, port: 8080 }, null, 0, defaultPoolLimits, wheel, counters);
}

/** Members with load counts of their own, the first at 10.0.0.0. */
export function members(count: number, workers = 1): Member[] {
  return Array.from({ length: count }, (_, index) => {
    return new Member(pool(index), new Load(privatePlace(workers)));
  });
}

export class TestBalancer {
  now = 1;
  readonly random: () => number;
  readonly balancer: Balancer;
  readonly slowStart: SlowStart | null;

  constructor(options: BalanceOptions, all: readonly Member[], seed = 1) {
    this.random = seeded(seed);
    const clock = (): number => this.now;
    this.slowStart = options.slowStart === undefined ? null : new SlowStart(options.slowStart, clock);
    this.balancer = makeBalancer(options, { clock, random: this.random, slowStart: this.slowStart });
    this.balancer.update(all, all);
  }

  pick(tried: readonly Member[] = [], exchange: Exchange = request()): Member {
    const member = this.balancer.pick(tried, exchange);
    if (member === null) throw new Error("there is nobody to choose");
    return member;
  }

  /** How often each member is picked, by address. */
  shares(times: number, exchange: (time: number) => Exchange = () => request()): Map<string, number> {
    const counts = new Map<string, number>();
    for (let time = 0; time < times; time++) {
      const { address } = this.pick([], exchange(time)).pool;
      counts.set(address, (counts.get(address) ?? 0) + 1);
    }
    return counts;
  }
}
