/** What stays with an endpoint while others come and go, and what ends when it leaves. */
import assert from "node:assert/strict";
import type { Upstream, UpstreamOptions } from "../../src/model/snapshot.ts";
import { measure } from "../../src/proxy/balance/ewma.ts";
import { privatePlace } from "../../src/proxy/balance/load.ts";
import type { Member } from "../../src/proxy/balance/member.ts";
import { LiveUpstream } from "../../src/proxy/upstream/live-upstream.ts";
import { request } from "../features/read.ts";
import { pool, seeded } from "../support/balance.ts";

const pools = Array.from({ length: 6 }, (_, index) => pool(index));

class Scene {
  now = 1_000;
  readonly upstream: LiveUpstream;
  readonly reported: string[] = [];
  readonly #source: Upstream;

  constructor(options: UpstreamOptions) {
    this.#source = {
      key: "a",
      protocol: "http",
      options,
      service: { namespace: "shop", name: "web", port: "80" },
      endpoints: [],
      externalName: null,
    };
    this.upstream = new LiveUpstream("a", {
      clock: () => this.now,
      random: seeded(1),
      placeOf: () => privatePlace(2),
      failing: (key, address) => this.reported.push(`${key} ${address}`),
    });
  }

  set(...indexes: readonly number[]): void {
    this.upstream.set(
      this.#source,
      indexes.flatMap((index) => pools[index] ?? []),
    );
  }

  member(index: number): Member {
    const found = this.upstream.members.find((member) => member.pool === pools[index]);
    assert.ok(found !== undefined);
    return found;
  }

  /** How many of so many requests each endpoint gets, by its index. */
  shares(count: number): readonly number[] {
    const counts = pools.map(() => 0);
    for (let time = 0; time < count; time++) {
      const member = this.upstream.balancer.pick([], request());
      const index = member === null ? -1 : pools.indexOf(member.pool);
      counts[index] = (counts[index] ?? 0) + 1;
    }
    return counts;
  }
}

describe("an upstream whose endpoints change", () => {
  it("keeps what it knows of those that stay, and nothing of those that leave", () => {
    const scene = new Scene({ algorithm: { kind: "ewma" } });
    scene.set(0, 1);
    const [stays, leaves] = [scene.member(0), scene.member(1)];
    stays.load?.begin();
    leaves.load?.begin();
    if (stays.load !== null) measure(stays.load, 70, scene.now);
    scene.set(0, 2, 3);
    assert.equal(scene.member(0), stays);
    assert.deepEqual([stays.load?.requests, stays.load?.cost], [1, 70]);
    scene.set(0, 1, 2);
    assert.notEqual(scene.member(1), leaves);
    assert.equal(scene.member(1).load?.requests, 0);
    leaves.load?.end();
    assert.equal(scene.member(1).load?.requests, 0);
    scene.upstream.clear();
    assert.deepEqual([scene.upstream.members, scene.upstream.candidates], [[], []]);
    assert.equal(stays.load?.requests, 0);
  });

  it("keeps those that may not be used out, and uses all where none may", () => {
    const scene = new Scene({
      ejection: { failures: 1, baseTime: 1, longestTime: 1, percent: 50, serverErrors: false },
    });
    scene.set(0, 1, 2);
    scene.upstream.setUsable(pools[1]?.address ?? "", false);
    assert.deepEqual(scene.shares(100), [50, 0, 50, 0, 0, 0]);
    scene.set(0, 1, 2, 3);
    assert.deepEqual(scene.shares(99), [33, 0, 33, 33, 0, 0]);
    for (const index of [0, 2, 3]) scene.upstream.setUsable(pools[index]?.address ?? "", false);
    assert.deepEqual(scene.shares(100), [25, 25, 25, 25, 0, 0]);
    scene.upstream.setUsable(pools[3]?.address ?? "", true);
    assert.deepEqual(scene.shares(100), [0, 0, 0, 100, 0, 0]);
    scene.upstream.setUsable("10.9.9.9:80", false);
  });

  it("lets the share of new endpoints grow, not that of the first, and of those that may be used again", () => {
    const scene = new Scene({ slowStart: 10_000 });
    scene.set(0, 1, 2);
    assert.deepEqual(scene.shares(300), [100, 100, 100, 0, 0, 0]);
    scene.set(0, 1, 2, 3);
    const [, , , fresh = 0] = scene.shares(3_000);
    assert.ok(fresh > 0 && fresh < 30, `${fresh}`);
    scene.now += 5_000;
    const [, , , half = 0] = scene.shares(3_500);
    assert.ok(Math.abs(half - 500) < 60, `${half}`);
    scene.now += 5_000;
    assert.deepEqual(scene.shares(400), [100, 100, 100, 100, 0, 0]);
    scene.upstream.setUsable(pools[0]?.address ?? "", false);
    scene.upstream.setUsable(pools[0]?.address ?? "", true);
    assert.ok((scene.shares(3_000)[0] ?? 0) < 30);
    // Nobody is left to have more.
    scene.set(3);
    scene.set(4);
    assert.deepEqual(scene.shares(10), [0, 0, 0, 0, 10, 0]);
  });

  it("reports an endpoint that fails as often in a row as it bears, not at every failure after that", () => {
    const scene = new Scene({
      ejection: { failures: 3, baseTime: 1, longestTime: 1, percent: 50, serverErrors: true },
    });
    scene.set(0, 1);
    const { watch } = scene.upstream;
    assert.ok(watch !== null);
    const cause = { kind: "reset", side: "upstream", retry: "idempotent", detail: "" } as const;
    const tryOnce = (outcome: number | null): void => {
      const attempt = watch.begin(scene.member(1));
      if (outcome === null) attempt.failed(cause);
      else attempt.answers(outcome);
      attempt.end();
      attempt.end();
    };
    for (const outcome of [null, 502, 200, null, 404, null, null]) tryOnce(outcome);
    assert.deepEqual(scene.reported, []);
    tryOnce(500);
    assert.deepEqual(scene.reported, ["a 10.0.0.1:8080"]);
    for (let time = 0; time < 30; time++) tryOnce(null);
    assert.equal(scene.reported.length, 1);
    scene.now += 1_000;
    for (let time = 0; time < 3; time++) tryOnce(null);
    assert.equal(scene.reported.length, 2);
    assert.equal(scene.member(1).load?.requests, 0);
  });

  it("counts against no endpoint what a client did, nor a stream that was refused", () => {
    const scene = new Scene({
      ejection: { failures: 1, baseTime: 1, longestTime: 1, percent: 50, serverErrors: false },
    });
    scene.set(0, 1);
    const attempt = scene.upstream.watch?.begin(scene.member(0));
    attempt?.failed({ kind: "client-gone", side: "client", retry: "never", detail: "" });
    attempt?.failed({ kind: "refused-stream", side: "upstream", retry: "unsent", detail: "" });
    attempt?.answers(503);
    assert.deepEqual(scene.reported, []);
  });

  it("is not watched where nothing asks for that", () => {
    for (const options of [
      {},
      { slowStart: 1_000 },
      { algorithm: { kind: "hash", key: "$host", subset: null } },
    ] satisfies readonly UpstreamOptions[]) {
      const scene = new Scene(options);
      scene.set(0);
      assert.equal(scene.upstream.watch, null);
    }
  });
});
