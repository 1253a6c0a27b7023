/**
 * Answer times with one slow endpoint of several, in simulated time: requests arrive at random and are served by endpoints
 * that work on a few at a time. It is what the algorithms beside round robin are for.
 */
import assert from "node:assert/strict";
import type { BalanceOptions } from "../../../src/model/balance.ts";
import { measure } from "../../../src/proxy/balance/ewma.ts";
import { Load, privatePlace } from "../../../src/proxy/balance/load.ts";
import { Member } from "../../../src/proxy/balance/member.ts";
import { pool, seeded, TestBalancer } from "../../support/balance.ts";

interface Scene {
  readonly endpoints: number;
  readonly workers: number;
  /** Requests that an endpoint works on at once; the others wait. */
  readonly atOnce: number;
  /** Milliseconds of work in a request at an endpoint. */
  readonly work: (endpoint: number, random: () => number) => number;
  /** Requests a second, over all workers. */
  readonly rate: number;
  readonly requests: number;
}

interface Event {
  readonly at: number;
  readonly run: () => void;
}

/** A heap would be faster; a few thousand events are under way at most. */
class Timeline {
  readonly #events: Event[] = [];
  now = 1;

  after(delay: number, run: () => void): void {
    const at = this.now + delay;
    let index = this.#events.length;
    while (index > 0 && (this.#events[index - 1]?.at ?? 0) < at) index--;
    this.#events.splice(index, 0, { at, run });
  }

  run(): void {
    for (let next = this.#events.pop(); next !== undefined; next = this.#events.pop()) {
      this.now = next.at;
      next.run();
    }
  }
}

/** The answer times of a scene, ascending, in milliseconds. */
function simulate(options: BalanceOptions, scene: Scene, seed: number): readonly number[] {
  const { endpoints, workers, atOnce, work, rate, requests } = scene;
  const random = seeded(seed);
  const timeline = new Timeline();
  const places = Array.from({ length: endpoints }, () => privatePlace(workers));
  const balancers = Array.from({ length: workers }, (_, own) => {
    const all = places.map((place, index) => new Member(pool(index), new Load({ ...place, own })));
    return new TestBalancer(options, all, seed + own + 1);
  });
  const busy = new Int32Array(endpoints);
  const waiting: (() => void)[][] = Array.from({ length: endpoints }, () => []);
  const times: number[] = [];
  const indexOf = new Map(places.map((_, index) => [pool(index).address, index]));

  const serve = (endpoint: number, done: () => void): void => {
    busy[endpoint] = (busy[endpoint] ?? 0) + 1;
    timeline.after(work(endpoint, random), () => {
      busy[endpoint] = (busy[endpoint] ?? 0) - 1;
      done();
      waiting[endpoint]?.shift()?.();
    });
  };
  const arrive = (left: number): void => {
    const balancer = balancers[Math.floor(random() * workers)];
    assert.ok(balancer !== undefined);
    balancer.now = timeline.now;
    const member = balancer.pick();
    const endpoint = indexOf.get(member.pool.address) ?? 0;
    const startedAt = timeline.now;
    member.load?.begin();
    const begin = (): void =>
      serve(endpoint, () => {
        member.load?.end();
        times.push(timeline.now - startedAt);
        if (member.load !== null) measure(member.load, timeline.now - startedAt, timeline.now);
      });
    if ((busy[endpoint] ?? 0) < atOnce) begin();
    else waiting[endpoint]?.push(begin);
    // A Poisson process.
    if (left > 1) timeline.after((-Math.log(1 - random()) * 1000) / rate, () => arrive(left - 1));
  };
  arrive(requests);
  timeline.run();
  return times.sort((a, b) => a - b);
}

function percentile(times: readonly number[], part: number): number {
  return times[Math.floor(times.length * part)] ?? Number.NaN;
}

const algorithms = {
  roundRobin: {},
  ewma: { algorithm: { kind: "ewma" } },
  leastConn: { algorithm: { kind: "least_conn" } },
} satisfies Record<string, BalanceOptions>;

/** Exponential around a mean of milliseconds. */
const around = (mean: number, random: () => number): number => -Math.log(1 - random()) * mean;

describe("ten endpoints, one of them slow", () => {
  const scene: Scene = {
    endpoints: 10,
    workers: 4,
    atOnce: 8,
    work: (endpoint, random) => around(endpoint === 3 ? 60 : 10, random),
    rate: 1_000,
    requests: 20_000,
  };
  const p99 = (options: BalanceOptions): number =>
    [1, 2, 3].map((seed) => percentile(simulate(options, scene, seed), 0.99)).reduce((a, b) => a + b) / 3;

  it("cost round robin twice the answer time of ewma at the 99th percentile, over four workers", () => {
    const [roundRobin, ewma, leastConn] = [algorithms.roundRobin, algorithms.ewma, algorithms.leastConn].map(p99);
    assert.ok(roundRobin !== undefined && ewma !== undefined && leastConn !== undefined);
    const told = `p99: round robin ${roundRobin}, ewma ${ewma}, least_conn ${leastConn}`;
    assert.ok(ewma < roundRobin / 2, told);
    assert.ok(leastConn < roundRobin * 0.6, told);
  });
});
