/**
 * `node test/bench/picks.ts`: what the choice of an endpoint costs by itself, by algorithm and number of endpoints, in CPU
 * time of this thread, so that other work on the machine counts less; and what making a ring of a hash costs.
 */
import { performance } from "node:perf_hooks";
import process from "node:process";
import type { BalanceOptions } from "../../src/model/balance.ts";
import { measure } from "../../src/proxy/balance/ewma.ts";
import { Ring } from "../../src/proxy/balance/ring.ts";
import { request } from "../features/read.ts";
import { members, TestBalancer } from "../support/balance.ts";

const algorithms: readonly (readonly [string, BalanceOptions])[] = [
  ["round_robin", {}],
  ["ewma", { algorithm: { kind: "ewma" } }],
  ["least_conn", { algorithm: { kind: "least_conn" } }],
  ["hash", { algorithm: { kind: "hash", key: "$request_uri", subset: null } }],
  ["hash, subset", { algorithm: { kind: "hash", key: "$request_uri", subset: 3 } }],
];
const exchanges = Array.from({ length: 1024 }, (_, index) =>
  request({ target: `/products/${index}/details?id=${index}` }),
);
const picks = 5_000_000;

for (const [name, options] of algorithms) {
  const times = [1, 10, 1000].map((count) => `${Math.round(pickTime(options, count))} (${count})`);
  process.stdout.write(`${name.padEnd(14)} ${times.join(", ")} ns/pick (endpoints)\n`);
}
for (const count of [10, 100, 1000]) {
  const all = members(count);
  const whole = elapsed(() => new Ring(all));
  const ring = new Ring(all.slice(1));
  const changed = elapsed(() => new Ring(all, ring));
  process.stdout.write(`ring of ${count}: ${whole.toFixed(1)} ms, with one more: ${changed.toFixed(1)} ms\n`);
}

/** Nanoseconds on average: CPU time is counted in ticks too coarse for a best of several. */
function pickTime(options: BalanceOptions, count: number): number {
  const all = members(count, 4);
  for (const { load } of all) {
    if (load !== null) measure(load, 5, 1);
    load?.begin();
  }
  const { balancer } = new TestBalancer(options, all);
  const run = (times: number): void => {
    for (let pick = 0; pick < times; pick++) balancer.pick([], exchanges[pick & 1023] ?? request());
  };
  run(picks / 10);
  const before = process.threadCpuUsage();
  run(picks);
  const { user, system } = process.threadCpuUsage(before);
  return ((user + system) * 1000) / picks;
}

/** Milliseconds; the best of five. */
function elapsed(work: () => unknown): number {
  const runs = Array.from({ length: 5 }, () => {
    const start = performance.now();
    work();
    return performance.now() - start;
  });
  return Math.min(...runs);
}
