/** Who is left out, for how long, and when nobody is: with a clock that is set. */
import assert from "node:assert/strict";
import type { Ejection } from "../../../src/model/balance.ts";
import type { Upstream, UpstreamOptions } from "../../../src/model/snapshot.ts";
import { EndpointHealth, type HealthChange } from "../../../src/serve/health/endpoint-health.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const ejection: Ejection = { failures: 5, baseTime: 30_000, longestTime: 100_000, percent: 50, serverErrors: false };
const healthCheck = {
  probe: { kind: "http", path: "/", statuses: [[200, 399]] },
  interval: 1_000,
  timeout: 1_000,
  healthyThreshold: 1,
  unhealthyThreshold: 1,
  port: null,
} as const;

function upstream(count: number, options: UpstreamOptions = { ejection }, key = "a"): Upstream {
  const endpoints = Array.from({ length: count }, (_, index) => ({ address: `10.0.0.${index}`, port: 80 }));
  const service = { namespace: "shop", name: "web", port: "80" };
  return { key, protocol: "http", options, service, endpoints, externalName: null };
}

/** The health with all that it has told, as the addresses that may be used. */
class Scene {
  readonly clock = new FakeClock();
  readonly messages: string[] = [];
  readonly health: EndpointHealth;
  readonly #down = new Set<string>();

  constructor(first: Upstream) {
    this.health = new EndpointHealth({
      tell: (changes) => this.#note(changes),
      log: (_, message) => this.messages.push(message),
      after: (milliseconds, run) => this.clock.after(milliseconds, run),
      clock: () => this.clock.elapsed(),
    });
    this.health.follow({ set: [first], gone: [] });
  }

  get down(): readonly string[] {
    const told = [...this.#down].sort();
    assert.deepEqual(
      this.health
        .everything()
        .map(({ address }) => address)
        .sort(),
      told,
    );
    return told;
  }

  fail(index: number): void {
    this.health.failing("a", `10.0.0.${index}:80`);
  }

  check(index: number, healthy: boolean): void {
    this.health.checked("a", `10.0.0.${index}:80`, healthy, "status 500");
  }

  follow(next: Upstream): void {
    this.health.follow({ set: [next], gone: [] });
    for (const address of [...this.#down]) {
      if (!next.endpoints.some((endpoint) => `${endpoint.address}:${endpoint.port}` === address))
        this.#down.delete(address);
    }
  }

  #note(changes: readonly HealthChange[]): void {
    for (const { address, usable } of changes) {
      if (usable) this.#down.delete(address);
      else this.#down.add(address);
    }
  }
}

describe("the report of endpoints", () => {
  it("is told endpoint by endpoint, with what a check found", () => {
    const scene = new Scene(upstream(3, { ejection, healthCheck }));
    scene.fail(0);
    scene.check(1, false);
    const told = () => [...scene.health.report()];
    assert.deepEqual(told(), [
      {
        upstream: "a",
        panicking: false,
        endpoints: [
          { address: "10.0.0.0:80", state: "ejected", reason: "", ejections: 1 },
          { address: "10.0.0.1:80", state: "unhealthy", reason: "status 500", ejections: 0 },
          { address: "10.0.0.2:80", state: "usable", reason: "", ejections: 0 },
        ],
      },
    ]);
    scene.check(1, true);
    assert.equal(told()[0]?.endpoints[1]?.reason, "");
    scene.check(1, false);
    scene.check(2, false);
    assert.equal(told()[0]?.panicking, true);
  });
});

describe("the ejection of endpoints", () => {
  it("lasts its time, longer each time, and no longer than the longest", async () => {
    const scene = new Scene(upstream(4));
    for (const milliseconds of [30_000, 60_000, 90_000, 100_000, 100_000]) {
      scene.fail(1);
      assert.deepEqual(scene.down, ["10.0.0.1:80"]);
      await scene.clock.advance(milliseconds - 1);
      assert.deepEqual(scene.down, ["10.0.0.1:80"]);
      await scene.clock.advance(1);
      assert.deepEqual(scene.down, []);
    }
  });

  it("counts as the first again when the endpoint has done well for the longest time", async () => {
    const scene = new Scene(upstream(4));
    for (let time = 0; time < 3; time++) {
      scene.fail(1);
      await scene.clock.advance(100_000);
    }
    await scene.clock.advance(100_001);
    scene.fail(1);
    await scene.clock.advance(30_000);
    assert.deepEqual(scene.down, []);
  });

  it("never takes more than its part of the endpoints, and never the last one", () => {
    const four = new Scene(upstream(4));
    for (let index = 0; index < 4; index++) four.fail(index);
    assert.deepEqual(four.down, ["10.0.0.0:80", "10.0.0.1:80"]);
    const all = new Scene(upstream(3, { ejection: { ...ejection, percent: 100 } }));
    for (let index = 0; index < 3; index++) all.fail(index);
    assert.deepEqual(all.down, ["10.0.0.0:80", "10.0.0.1:80"]);
    const few = new Scene(upstream(3, { ejection: { ...ejection, percent: 10 } }));
    for (let index = 0; index < 3; index++) few.fail(index);
    assert.deepEqual(few.down, ["10.0.0.0:80"], "one always may");
    const alone = new Scene(upstream(1));
    alone.fail(0);
    assert.deepEqual(alone.down, []);
  });

  it("counts an endpoint that fails its checks as nobody to take the requests", () => {
    const scene = new Scene(upstream(2, { ejection, healthCheck }));
    scene.check(0, false);
    scene.fail(1);
    assert.deepEqual(scene.down, ["10.0.0.0:80"]);
  });

  it("is counted, and ends with the upstream", async () => {
    const scene = new Scene(upstream(4));
    scene.fail(1);
    scene.fail(1);
    assert.deepEqual(
      [...scene.health.ejections()].map(({ count }) => count),
      [1],
    );
    scene.health.follow({ set: [], gone: ["a"] });
    assert.deepEqual(
      [scene.health.everything(), [...scene.health.counts()], [...scene.health.ejections()]],
      [[], [], []],
    );
    await scene.clock.advance(100_000);
    assert.equal(scene.messages.length, 1);
  });

  it("stays with an endpoint while others come and go, and is forgotten when it leaves", async () => {
    const scene = new Scene(upstream(4));
    scene.fail(1);
    scene.follow(upstream(6));
    assert.deepEqual(scene.down, ["10.0.0.1:80"]);
    scene.follow(upstream(1));
    scene.follow(upstream(4));
    assert.deepEqual(scene.down, []);
    await scene.clock.advance(100_000);
    assert.deepEqual(scene.down, []);
  });

  it("of what no upstream asks for is nothing", () => {
    const scene = new Scene(upstream(4, {}));
    scene.fail(1);
    scene.health.failing("other", "10.0.0.1:80");
    assert.deepEqual(scene.down, []);
    assert.deepEqual([...scene.health.counts()], []);
  });
});

describe("the health of endpoints", () => {
  it("is panic when none is healthy, which is told when it begins and when it ends", () => {
    const scene = new Scene(upstream(2, { healthCheck }));
    scene.check(0, false);
    assert.deepEqual(
      [...scene.health.counts()].map(({ usable, unhealthy, panicking }) => [usable, unhealthy, panicking]),
      [[1, 1, false]],
    );
    scene.check(1, false);
    assert.deepEqual(scene.down, ["10.0.0.0:80", "10.0.0.1:80"]);
    assert.deepEqual(
      [...scene.health.counts()].map(({ usable, unhealthy, panicking }) => [usable, unhealthy, panicking]),
      [[0, 2, true]],
    );
    scene.check(1, true);
    assert.deepEqual(scene.down, ["10.0.0.0:80"]);
    assert.deepEqual(scene.messages, [
      "an endpoint fails its checks and gets no requests",
      "an endpoint fails its checks and gets no requests",
      "no endpoint of an upstream is healthy; all of them get requests",
      "an endpoint passes its checks again",
      "an upstream has healthy endpoints again",
    ]);
  });

  it("of an endpoint that is ejected and unhealthy is good when both have ended", async () => {
    const scene = new Scene(upstream(3, { ejection, healthCheck }));
    scene.fail(0);
    scene.check(0, false);
    await scene.clock.advance(30_000);
    assert.deepEqual(scene.down, ["10.0.0.0:80"]);
    scene.check(0, true);
    assert.deepEqual(scene.down, []);
  });
});
