/** When endpoints are asked, how many at once, and what makes them healthy or not: with a clock that is set. */
import assert from "node:assert/strict";
import type { HealthCheck } from "../../../src/model/balance.ts";
import type { Upstream } from "../../../src/model/snapshot.ts";
import { HealthChecks } from "../../../src/serve/health/checks.ts";
import { type Finding, unasked } from "../../../src/serve/health/probe.ts";
import { seeded } from "../../support/balance.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const check: HealthCheck = {
  probe: { kind: "http", path: "/", statuses: [[200, 399]] },
  interval: 10_000,
  timeout: 1_000,
  healthyThreshold: 2,
  unhealthyThreshold: 3,
  port: null,
};

function upstream(count: number, healthCheck: HealthCheck | null = check): Upstream {
  const endpoints = Array.from({ length: count }, (_, index) => ({
    address: `10.0.${index >> 8}.${index & 255}`,
    port: 80,
  }));
  const service = { namespace: "shop", name: "web", port: "80" };
  const options = healthCheck === null ? {} : { healthCheck };
  return { key: "a", protocol: "http", options, service, endpoints, externalName: null };
}

class Scene {
  readonly clock = new FakeClock();
  readonly asked: { readonly at: number; readonly address: string; readonly externalName: string | null }[] = [];
  readonly found: string[] = [];
  readonly checks: HealthChecks;
  underWay = 0;
  mostUnderWay = 0;
  /** What a check comes to. */
  answer: (address: string) => Finding = () => null;
  /** Milliseconds that a check takes. */
  takes = 0;

  constructor() {
    this.checks = new HealthChecks({
      probe: async ({ host, port, upstream: { externalName } }) => {
        const address = `${host}:${port}`;
        this.asked.push({ at: this.clock.elapsed(), address, externalName });
        this.underWay++;
        this.mostUnderWay = Math.max(this.mostUnderWay, this.underWay);
        if (this.takes > 0) await new Promise<void>((resolve) => void this.clock.after(this.takes, resolve));
        this.underWay--;
        return this.answer(address);
      },
      found: (_, address, healthy, reason) => this.found.push(`${address} ${healthy ? "good" : reason}`),
      after: (milliseconds, run) => this.clock.after(milliseconds, run),
      random: seeded(5),
    });
  }

  follow(next: Upstream): void {
    this.checks.follow({ set: [next], gone: [] });
  }
}

describe("health checks", () => {
  it("that could not be made, for want of a descriptor or a port of ours, say nothing and are made again", async () => {
    const scene = new Scene();
    scene.answer = () => unasked;
    scene.follow(upstream(1));
    await scene.clock.advance(60_000);
    assert.ok(scene.asked.length > 3, "it is asked on");
    assert.deepEqual([scene.found, [...scene.checks.results()]], [[], []]);
    scene.answer = () => "status 500";
    await scene.clock.advance(60_000);
    assert.equal(scene.found.length, 1);
  });

  it("ask an endpoint that stays as its upstream is now", async () => {
    const scene = new Scene();
    scene.follow(upstream(1));
    await scene.clock.advance(20_000);
    scene.follow({ ...upstream(1), externalName: "api.example.com" });
    await scene.clock.advance(20_000);
    const names = scene.asked.map(({ externalName }) => externalName);
    assert.equal(names[0], null);
    assert.equal(names.at(-1), "api.example.com");
    assert.ok(names.length < 6, "it is not asked twice");
  });

  it("ask every endpoint once an interval, give or take a tenth, and not all at one time", async () => {
    const scene = new Scene();
    scene.follow(upstream(10));
    await scene.clock.advance(100_000);
    for (const { address, port } of upstream(10).endpoints) {
      const times = scene.asked.filter((each) => each.address === `${address}:${port}`).map(({ at }) => at);
      assert.ok((times[0] ?? Infinity) <= 10_000);
      for (const [index, time] of times.slice(1).entries()) {
        const between = time - (times[index] ?? 0);
        assert.ok(between >= 9_000 && between <= 11_000, `${between}`);
      }
      assert.ok(times.length >= 9 && times.length <= 11);
    }
    assert.ok(new Set(scene.asked.map(({ at }) => at)).size > 90);
  });

  it("find an endpoint unhealthy after so many bad results in a row, and healthy after so many good ones", async () => {
    const scene = new Scene();
    const results = ["no", "no", null, "no", "no", "no", "no", null, "no", null, null, null];
    scene.answer = () => results[scene.asked.length - 1] ?? null;
    scene.follow(upstream(1));
    const changes: string[] = [];
    for (let second = 0; second < 200; second++) {
      await scene.clock.advance(1_000);
      if (scene.found.length > changes.length) changes.push(`${scene.asked.length}: ${scene.found.at(-1)}`);
    }
    assert.deepEqual(changes, ["6: 10.0.0.0:80 no", "11: 10.0.0.0:80 good"]);
    assert.deepEqual(
      [...scene.checks.results()].map(({ good, bad }) => [good + bad, bad]),
      [[scene.asked.length, 7]],
    );
  });

  it("are under way a few at a time, and all have their turn", async () => {
    const scene = new Scene();
    scene.takes = 900;
    scene.follow(upstream(1_000, { ...check, interval: 5_000 }));
    await scene.clock.advance(30_000);
    assert.equal(scene.mostUnderWay, 16);
    // As many as there is time for, none of them twice before all have been asked.
    assert.equal(new Set(scene.asked.map(({ address }) => address)).size, scene.asked.length);
    await scene.clock.advance(40_000);
    assert.equal(new Set(scene.asked.map(({ address }) => address)).size, 1_000);
  });

  it("wait for none of another namespace, whose endpoints may never answer", async () => {
    const scene = new Scene();
    scene.takes = 60_000;
    scene.follow(upstream(200, { ...check, interval: 1_000 }));
    await scene.clock.advance(5_000);
    assert.equal(scene.asked.length, 16);
    const service = { namespace: "blog", name: "web", port: "80" };
    const theirs = [{ address: "10.1.0.1", port: 80 }];
    scene.follow({ ...upstream(0), key: "b", service, endpoints: theirs });
    await scene.clock.advance(10_000);
    assert.equal(scene.asked.at(-1)?.address, "10.1.0.1:80");
  });

  it("end with the endpoint, the upstream and the data plane, whatever is under way", async () => {
    const scene = new Scene();
    scene.answer = () => "no";
    scene.takes = 500;
    scene.follow(upstream(3, { ...check, unhealthyThreshold: 1 }));
    await scene.clock.advance(10_000);
    scene.follow(upstream(1, { ...check, unhealthyThreshold: 1 }));
    await scene.clock.advance(1_000);
    const before = scene.asked.length;
    await scene.clock.advance(50_000);
    assert.deepEqual(new Set(scene.asked.slice(before).map(({ address }) => address)), new Set(["10.0.0.0:80"]));
    scene.checks.follow({ set: [], gone: ["a"] });
    const after = scene.asked.length;
    const found = scene.found.length;
    await scene.clock.advance(50_000);
    assert.deepEqual([scene.asked.length, scene.found.length], [after, found]);
    assert.deepEqual([...scene.checks.results()], []);
  });

  it("know what they knew of an endpoint that stays", async () => {
    const scene = new Scene();
    scene.answer = () => "no";
    scene.follow(upstream(1));
    await scene.clock.advance(22_000);
    scene.follow(upstream(2));
    await scene.clock.advance(11_000);
    assert.deepEqual(scene.found, ["10.0.0.0:80 no"]);
  });

  it("ask the port that they are given, and nothing of upstreams without them", async () => {
    const scene = new Scene();
    scene.follow(upstream(1, { ...check, port: 9_000 }));
    await scene.clock.advance(10_000);
    assert.deepEqual(new Set(scene.asked.map(({ address }) => address)), new Set(["10.0.0.0:9000"]));
    const without = new Scene();
    without.follow(upstream(3, null));
    await without.clock.advance(100_000);
    assert.deepEqual(without.asked, []);
  });
});
