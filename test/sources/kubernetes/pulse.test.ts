import assert from "node:assert/strict";
import { collectionOf } from "../../../src/sources/kubernetes/collection.ts";
import { ApiFailure, type FailureKind } from "../../../src/sources/kubernetes/failure.ts";
import { Pulse, usualPulse } from "../../../src/sources/kubernetes/pulse.ts";
import { FakeClock } from "../../support/fake-clock.ts";

/** A pulse of a server that fails in this way, or does not while it is null. Times are in seconds. */
function beating() {
  const clock = new FakeClock();
  const server = { fails: null as FailureKind | null, retryAfter: null as number | null };
  const asked: number[] = [];
  const told: string[] = [];
  const seconds = (): number => clock.elapsed() / 1000;
  const pulse = new Pulse({
    api: {
      call: (_method, path, { query } = {}) => {
        asked.push(seconds());
        assert.deepEqual([path, query], ["/apis/networking.k8s.io/v1/namespaces/shop/ingresses", { limit: "1" }]);
        const { fails, retryAfter } = server;
        return fails === null ? Promise.resolve({}) : Promise.reject(new ApiFailure(fails, fails, 0, retryAfter));
      },
    },
    collection: collectionOf("Ingress", { namespace: "shop" }),
    clock,
    timing: usualPulse,
    random: () => 0.5,
    onAway: ({ message }) => told.push(`${seconds()}: away, ${message}`),
    onBack: (since) => told.push(`${seconds()}: back, missed since ${since / 1000}`),
  });
  pulse.start();
  return { clock, pulse, server, asked, told };
}

describe("the pulse of an API server", () => {
  it("beats every quarter of a minute, and every second while the server is away", async () => {
    const { clock, pulse, server, asked, told } = beating();
    await clock.advance(31_000);
    server.fails = "unreachable";
    await clock.advance(17_000);
    assert.equal(pulse.away, true);
    server.fails = null;
    await clock.advance(16_000);
    assert.equal(pulse.away, false);
    assert.deepEqual(asked, [15, 30, 45, 46, 47, 48, 49, 64]);
    assert.deepEqual(told, ["45: away, unreachable", "49: back, missed since 45"]);
    pulse.stop();
    assert.equal(clock.pending, 0);
  });

  it("takes no second opinion when a connection is refused, and one when the server is slow or busy", async () => {
    for (const [kind, away] of [
      ["unreachable", 0],
      ["silent", 1],
      ["server", 1],
      ["throttled", 1],
      ["unauthorized", 1],
    ] as const) {
      const { clock, pulse, server, told } = beating();
      server.fails = kind;
      await clock.advance(20_000);
      assert.deepEqual(told, [`${15 + away}: away, ${kind}`]);
      pulse.stop();
    }
  });

  it("takes any other answer for a sign of life", async () => {
    for (const kind of ["forbidden", "absent", "gone", "refused", "malformed"] as const) {
      const { clock, pulse, server, told } = beating();
      server.fails = kind;
      await clock.advance(60_000);
      assert.deepEqual(told, []);
      pulse.stop();
    }
  });

  it("beats at once when a request has failed, and calls nobody when it was that request alone", async () => {
    const { clock, pulse, asked, told } = beating();
    await clock.advance(2000);
    pulse.suspect();
    await clock.advance(1000);
    assert.deepEqual(asked, [2]);
    assert.deepEqual(told, []);
    pulse.stop();
  });

  it("leaves the server alone for as long as it asks for", async () => {
    const { clock, pulse, server, asked } = beating();
    server.fails = "throttled";
    server.retryAfter = 5000;
    await clock.advance(26_000);
    assert.deepEqual(asked, [15, 20, 25]);
    pulse.stop();
  });
});
