/** Which canary a request goes to: rules before chance, and chance in its proportions. The cases in test/cases have more. */
import assert from "node:assert/strict";
import type { CanaryRule } from "../../src/model/canary.ts";
import { compileCanaries } from "../../src/proxy/canary.ts";
import { seriesLayout } from "../../src/serve/metrics/shared.ts";
import { type FakeRequest, request } from "../features/read.ts";
import { seeded } from "../support/balance.ts";
import { answering, ok, oneRoute, TestPlane, TestUpstream, until } from "../support/test-plane.ts";

const none: CanaryRule = { header: null, cookie: null, weight: 0, total: 100 };

function choose(rules: readonly Partial<CanaryRule>[], fields: FakeRequest = {}, random = () => 0.5): number {
  return compileCanaries(
    rules.map((rule) => ({ rule: { ...none, ...rule } })),
    random,
  )(request(fields));
}

/** That so many of a hundred requests go to each of the canaries, and in the last place to the main backend. */
function assertShares(rules: readonly Partial<CanaryRule>[], expected: readonly number[], fields: FakeRequest = {}) {
  const random = seeded(3);
  const counts = expected.map(() => 0);
  for (let time = 0; time < 20_000; time++) {
    const index = choose(rules, fields, random);
    const at = index === -1 ? rules.length : index;
    counts[at] = (counts[at] ?? 0) + 1;
  }
  for (const [index, share] of expected.entries()) {
    assert.ok(Math.abs((counts[index] ?? 0) / 200 - share) < (share % 100 === 0 ? 1e-9 : 1), counts.join());
  }
}

const header = { name: "x-canary", value: null, pattern: null };

describe("the choice of a canary", () => {
  it("gives each its weight of all requests, and the rest to the main backend", () => {
    assertShares([{ weight: 20 }], [20, 80]);
    assertShares([{ weight: 30, total: 1_000 }], [3, 97]);
    assertShares([{ weight: 100 }], [100, 0]);
    assertShares([{ weight: 0 }], [0, 100]);
    assertShares([{ weight: 20 }, { weight: 30 }], [20, 30, 50]);
    assertShares([{ weight: 80 }, { weight: 80 }], [80, 20, 0]);
  });

  it("leaves the others their weight when a request does not want one of them", () => {
    assertShares([{ weight: 20, header }, { weight: 30 }], [0, 30, 70], { headers: { "x-canary": "never" } });
  });

  it("goes to the first that a request asks for, whatever the weights of those before it", () => {
    const rules = [{ weight: 100 }, { cookie: "a" }, { cookie: "a" }];
    assert.equal(choose(rules, { headers: { cookie: "a=always" } }), 1);
    assert.equal(choose(rules), 0);
  });

  it("asks the header, then the cookie", () => {
    const rules = [{ header, cookie: "c", weight: 100 }];
    const asked = (sent: string | undefined, cookie: string): number =>
      choose(rules, { headers: { ...(sent === undefined ? {} : { "x-canary": sent }), cookie: `c=${cookie}` } });
    assert.equal(asked("never", "always"), -1);
    assert.equal(asked("always", "never"), 0);
    assert.equal(asked(undefined, "never"), -1);
    assert.equal(asked("what", "never"), -1);
    assert.equal(asked(undefined, "what"), 0);
  });

  it("matches a pattern without backtracking, whatever a client sends", () => {
    const rules = [{ header: { name: "x-canary", value: null, pattern: "(a+)+$" } }];
    const startedAt = performance.now();
    assert.equal(choose(rules, { headers: { "x-canary": `${"a".repeat(5_000)}!` } }), -1);
    assert.equal(choose(rules, { headers: { "x-canary": `!${"a".repeat(5_000)}` } }), 0);
    assert.ok(performance.now() - startedAt < 2_000);
  });
});

describe("a request that a canary takes", () => {
  it("is counted and logged under the canary's Ingress and Service, and goes by the main Ingress' policy", async () => {
    const [web, next] = await Promise.all(["web", "next"].map((name) => TestUpstream.start(answering(() => ok(name)))));
    assert.ok(web !== undefined && next !== undefined);
    const plane = await TestPlane.start();
    try {
      const service = { namespace: "shop", name: "next", port: "80" };
      const rule = { ...none, header };
      const backend = { kind: "upstream", upstream: "shop/next/80", service } as const;
      const cors = { origins: ["*"], methods: "GET", headers: "", exposeHeaders: null, credentials: false, maxAge: 1 };
      const snapshot = oneRoute([web.port], { cors }, { canaries: [{ ingress: "shop/next", backend, rule }] });
      const endpoints = [{ address: "127.0.0.1", port: next.port }];
      const upstreams = snapshot.upstreams.flatMap((upstream) => [
        { ...upstream, key: "shop/next/80", service, endpoints },
        upstream,
      ]);
      await plane.publish({ ...snapshot, upstreams });
      const send = (line: string) => plane.request(`GET / HTTP/1.1\r\nHost: a.example\r\n${line}\r\n`);
      assert.equal((await send("")).body, "web");
      const taken = await send("X-Canary: always\r\n");
      assert.equal(taken.body, "next");
      assert.ok(taken.headers.some(([name]) => name.toLowerCase() === "access-control-allow-origin"));
      await until(() => plane.lines.length === 2, "two lines");
      assert.deepEqual(
        plane.lines.map(({ ingress, service: name }) => `${ingress} ${name}`),
        ["web web", "next next"],
      );
      const counted = [...plane.plane.series.read()].filter(({ labels }) => labels.ingress === "next");
      assert.deepEqual(
        counted.map(({ labels, totals }) => [labels.service, totals[seriesLayout.requests + 1]]),
        [["next", 1]],
      );

      // Its last endpoint is gone: the main backend has all.
      await plane.publish({
        ...snapshot,
        upstreams: upstreams.map((each) => (each.key === "shop/next/80" ? { ...each, endpoints: [] } : each)),
      });
      assert.equal((await send("X-Canary: always\r\n")).body, "web");
    } finally {
      await plane.stop();
      await Promise.all([web.stop(), next.stop()]);
    }
  });
});
