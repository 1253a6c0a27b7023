import assert from "node:assert/strict";
import fc from "fast-check";
import { ApiFailure } from "../../../src/sources/kubernetes/failure.ts";
import { type ElectionTimes, usualTimes } from "../../../src/sources/kubernetes/leader/election.ts";
import { leaseTime } from "../../../src/sources/kubernetes/leader/lease.ts";
import { Leader } from "../../../src/sources/kubernetes/leader.ts";
import { writeLimit } from "../../../src/sources/kubernetes/writer.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { type Json, ObjectApi, part } from "./object-api.ts";
import { type Network, RemoteApi, randomBy, skewedClock } from "./replicas.ts";

const path = "/apis/coordination.k8s.io/v1/namespaces/edge/leases/sluice";

interface Replica {
  readonly leader: Leader;
  readonly api: RemoteApi;
  readonly told: boolean[];
  crashed: boolean;
}

interface WorldOptions {
  readonly network?: Network;
  readonly seed?: number;
  readonly times?: ElectionTimes;
}

const calm: Network = { latency: 40, loss: 0, stalls: 0 };

/** Replicas, the API server that they share, and who has led at one time with another. */
function world({ network = calm, seed = 1, times = usualTimes }: WorldOptions = {}) {
  const truth = new FakeClock();
  const server = new ObjectApi();
  const replicas: Replica[] = [];
  const lines: string[] = [];
  const collisions: string[] = [];
  const leading = () => replicas.filter(({ leader, crashed }) => !crashed && leader.leading);
  /** `wall` is what its wall clock shows at the start. */
  const join = ({ offset = 0, rate = 1, wall = truth.now() } = {}): Replica => {
    const id = replicas.length;
    const clock = skewedClock(truth, offset, rate);
    const random = randomBy(seed * 1000 + id);
    const api = new RemoteApi(server, truth, clock, { ...network }, random);
    const leader = new Leader({
      api,
      clock,
      random,
      now: () => wall + truth.elapsed() * rate,
      log: { info: (line) => lines.push(line), warn: (line) => lines.push(line) },
      namespace: "edge",
      name: "sluice",
      identity: `pod-${id}_uuid`,
      times,
    });
    const replica: Replica = { leader, api, told: [], crashed: false };
    leader.onChange((leads) => {
      replica.told.push(leads);
      // Leadership begins here, and everywhere else it can only end by itself: no other moment needs a look.
      if (leading().length > 1) collisions.push(`at ${truth.elapsed()}`);
    });
    replicas.push(replica);
    leader.start();
    return replica;
  };
  /** As by SIGKILL. */
  const crash = (replica: Replica) => {
    replica.crashed = true;
    replica.api.cut = true;
  };
  const spec = (): Json => part(server.read(path), "spec");
  return { truth, server, replicas, lines, collisions, leading, join, crash, spec };
}

describe("the election of a leader", () => {
  it("makes the first replica the leader as soon as it has created the lease", async () => {
    const { truth, join, spec } = world();
    const replica = join();
    await truth.advance(200);
    assert.ok(replica.leader.leading);
    assert.deepEqual(replica.told, [true]);
    const { holderIdentity, leaseDurationSeconds, acquireTime, renewTime, leaseTransitions } = spec();
    assert.deepEqual([holderIdentity, leaseDurationSeconds, leaseTransitions], ["pod-0_uuid", 15, 0]);
    assert.match(String(renewTime), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    assert.equal(acquireTime, renewTime);
  });

  it("lets one of two win that both find no lease", async () => {
    const { truth, join, leading, server, collisions } = world();
    join();
    join();
    await truth.advance(100);
    assert.equal(server.writes().filter(({ method }) => method === "POST").length, 2, "both have tried");
    assert.equal(leading().length, 1);
    assert.deepEqual(collisions, []);
  });

  it("goes on with the same leader for as long as that renews", async () => {
    const { truth, join, spec, server } = world();
    const [first, second] = [join(), join()];
    await truth.advance(100);
    const leader = first.leader.leading ? first : second;
    const acquired = spec().acquireTime;
    await truth.advance(600_000);
    assert.ok(leader.leader.leading);
    assert.deepEqual([...first.told, ...second.told], [true]);
    assert.equal(spec().acquireTime, acquired);
    assert.notEqual(spec().renewTime, acquired);
    // A look in 1.2 to 1.8 s by each of the two.
    assert.ok(server.calls.length < (2 * 600) / 1.2, String(server.calls.length));
  });

  it("writes nothing that it was not asked to see unchanged", async () => {
    const { truth, join, server } = world();
    join();
    await truth.advance(10_000);
    const patches = server.writes().filter(({ method }) => method === "PATCH");
    assert.ok(patches.length > 4);
    for (const { options } of patches) assert.ok(part(options.body as Json, "metadata").resourceVersion !== undefined);
  });

  it("replaces a leader that was killed after the lease has run out, and not before", async () => {
    const { truth, join, crash, spec } = world();
    const first = join();
    await truth.advance(5000);
    const second = join();
    await truth.advance(5000);
    crash(first);
    await truth.advance(13_000);
    assert.equal(second.leader.leading, false);
    await truth.advance(4000);
    assert.equal(second.leader.leading, true);
    assert.equal(spec().leaseTransitions, 1);
    assert.equal(second.leader.holder, "pod-1_uuid");
  });

  it("hands over within two seconds when the leader is stopped in order", async () => {
    for (let seed = 0; seed < 50; seed++) {
      const { truth, join, spec, collisions } = world({ seed });
      const first = join();
      await truth.advance(1000);
      const second = join();
      await truth.advance(3000 + seed * 37);
      const stopped = first.leader.stop();
      assert.equal(first.leader.leading, false, "at once, before the lease is released");
      await truth.advance(2000);
      await stopped;
      assert.equal(second.leader.leading, true, `seed ${seed}`);
      assert.equal(spec().holderIdentity, "pod-1_uuid");
      assert.deepEqual(first.told, [true, false]);
      assert.deepEqual(collisions, []);
    }
  });

  it("releases the lease as client-go does", async () => {
    const { truth, join, spec } = world();
    const first = join();
    await truth.advance(3000);
    const stopped = first.leader.stop();
    await truth.advance(1000);
    await stopped;
    const { holderIdentity, leaseDurationSeconds } = spec();
    assert.deepEqual([holderIdentity, leaseDurationSeconds], ["", 1]);
  });

  it("releases a lease that it gets while it stops", async () => {
    const { truth, join, server, spec } = world({ network: { ...calm, latency: 400 } });
    const replica = join();
    while (server.writes().length === 0) await truth.advance(10);
    // The lease is created, and the answer is on its way.
    assert.equal(replica.leader.leading, false);
    const stopped = replica.leader.stop();
    await truth.advance(5000);
    await stopped;
    assert.equal(spec().holderIdentity, "");
    assert.deepEqual(replica.told, []);
  });

  it("releases nothing that another holds", async () => {
    const { truth, join, spec } = world();
    const first = join();
    await truth.advance(1000);
    const second = join();
    await truth.advance(3000);
    const stopped = second.leader.stop();
    await truth.advance(3000);
    await stopped;
    assert.equal(spec().holderIdentity, "pod-0_uuid");
    assert.ok(first.leader.leading);
  });

  it("ends in time when the API server is gone", async () => {
    const { truth, join } = world();
    const first = join();
    await truth.advance(3000);
    first.api.cut = true;
    let ended = false;
    void first.leader.stop().then(() => {
      ended = true;
    });
    await truth.advance(5000 + 4000);
    assert.ok(ended);
  });

  it("stops leading when it cannot renew within ten seconds, and says so at that moment", async () => {
    const { truth, join } = world({ network: { ...calm, latency: 0 } });
    const first = join();
    await truth.advance(0);
    assert.deepEqual(first.told, [true]);
    first.api.cut = true;
    await truth.advance(9999);
    assert.deepEqual(first.told, [true]);
    await truth.advance(1);
    assert.deepEqual(first.told, [true, false]);
  });

  it("counts its ten seconds from before it asked, not from when the answer came", async () => {
    const { truth, join, server } = world({ network: { ...calm, latency: 0 } });
    const first = join();
    await truth.advance(0);
    first.api.network = { latency: 4000, loss: 0, stalls: 0 };
    const sent: number[] = [];
    const { call } = first.api;
    first.api.call = (...args) => {
      sent.push(truth.elapsed());
      return call.apply(first.api, args);
    };
    await truth.advance(30_000);
    assert.ok(server.calls.length > 3);
    first.api.cut = true;
    while (first.leader.leading) await truth.advance(100);
    // Of all that was sent, some renewal is the last that was confirmed.
    assert.ok(
      sent.some((at) => Math.abs(truth.elapsed() - at - 10_000) <= 100),
      `${truth.elapsed()} after ${sent}`,
    );
  });

  it("goes on leading through a short failure of the API server", async () => {
    const { truth, join, server, lines } = world();
    const first = join();
    join();
    await truth.advance(3000);
    const leads = first.leader.leading;
    server.before = () => {
      throw new ApiFailure("server", "the API server answers 500", 500);
    };
    await truth.advance(6000);
    server.before = () => {};
    await truth.advance(6000);
    assert.equal(first.leader.leading, leads);
    assert.equal(lines.filter((line) => line.includes("cannot be read or written")).length, 2, "one line a replica");
  });

  it("recovers from a lease that was deleted, without two leaders", async () => {
    const { truth, join, server, leading, collisions } = world();
    join();
    join();
    await truth.advance(5000);
    for (let i = 0; i < 10; i++) {
      server.remove(path);
      await truth.advance(7000);
      assert.equal(leading().length, 1);
    }
    assert.deepEqual(collisions, []);
  });

  it("notices at its next renewal that another has taken the lease", async () => {
    const { truth, join, server } = world();
    const first = join();
    await truth.advance(3000);
    server.change(path, { spec: { holderIdentity: "somebody" } });
    await truth.advance(2000);
    assert.equal(first.leader.leading, false);
    assert.equal(first.leader.holder, "somebody");
  });

  it("waits for as long as the lease itself says, as client-go and others write it", async () => {
    const { truth, join, server } = world();
    server.put(path, {
      kind: "Lease",
      metadata: { namespace: "edge", name: "sluice" },
      spec: { holderIdentity: "somebody", leaseDurationSeconds: 60, renewTime: "1999-01-01T00:00:00.000000Z" },
    });
    const replica = join();
    await truth.advance(58_000);
    assert.equal(replica.leader.leading, false, "however old the time in it");
    await truth.advance(5000);
    assert.equal(replica.leader.leading, true);
  });

  it("takes a lease at once that nobody holds", async () => {
    const { truth, join, server, spec } = world();
    server.put(path, { kind: "Lease", metadata: { namespace: "edge", name: "sluice" }, spec: {} });
    const replica = join();
    await truth.advance(200);
    assert.ok(replica.leader.leading);
    assert.equal(spec().holderIdentity, "pod-0_uuid");
  });

  it("does not ask more often than the API server wishes", async () => {
    const { truth, join, server } = world();
    server.before = () => {
      throw new ApiFailure("throttled", "too many requests", 429, 3000);
    };
    join();
    await truth.advance(30_000);
    assert.ok(server.calls.length <= 11, String(server.calls.length));
  });

  it("changes the record at every renewal, even when the clock stands still or goes back", () => {
    const now = Date.UTC(2026, 0, 1);
    let time = "";
    const times = new Set<string>();
    for (let i = 0; i < 500; i++) {
      time = leaseTime(now, time);
      times.add(time);
    }
    assert.equal(times.size, 500);
    assert.equal(leaseTime(now, "2030-01-01T00:00:00.000000Z"), "2026-01-01T00:00:00.000000Z");
  });

  it("leaves a write that begins in the last moment the time to end before another leads", () => {
    assert.ok(usualTimes.renewDeadline + writeLimit < usualTimes.leaseDuration);
  });
});

/** A bad network for two minutes with cuts, crashes and newcomers, then a good one. Returns when two led at one time. */
async function survive(
  storm: Storm,
  times = usualTimes,
): Promise<{ collisions: string[]; atEnd: number; led: number }> {
  const random = randomBy(storm.seed);
  const network = { latency: storm.latency, loss: storm.loss, stalls: storm.stalls };
  const { truth, replicas, collisions, leading, join, crash } = world({ network, seed: storm.seed, times });
  for (const clock of storm.clocks) join(clock);
  for (let second = 0; second < 120; second += 5) {
    const replica = replicas[Math.floor(random() * replicas.length)];
    const fate = random();
    if (replica !== undefined && !replica.crashed) {
      if (fate < 0.25) replica.api.cut = !replica.api.cut;
      else if (fate < 0.3) {
        crash(replica);
        join(storm.clocks[0]);
      } else if (fate < 0.35) {
        void replica.leader.stop();
        join(storm.clocks[1]);
      }
    }
    await truth.advance(5000);
  }
  for (const { api, crashed } of replicas) {
    api.network = calm;
    api.cut = crashed;
  }
  await truth.advance(45_000);
  const atEnd = leading();
  const before = atEnd[0]?.told.length;
  await truth.advance(30_000);
  const kept = leading().length === 1 && leading()[0] === atEnd[0] && atEnd[0]?.told.length === before;
  return { collisions, atEnd: kept ? atEnd.length : 0, led: replicas.filter(({ told }) => told.length > 0).length };
}

interface Storm {
  readonly seed: number;
  readonly latency: number;
  readonly loss: number;
  readonly stalls: number;
  readonly clocks: readonly { readonly offset: number; readonly rate: number; readonly wall: number }[];
}

const clocks = fc.record({
  offset: fc.integer({ min: 0, max: 1e9 }),
  // The fastest runs less than half as fast again as the slowest.
  rate: fc.double({ min: 0.82, max: 1.2, noNaN: true }),
  // Wall clocks are years apart.
  wall: fc.integer({ min: Date.UTC(2000), max: Date.UTC(2090) }),
});

const storms: fc.Arbitrary<Storm> = fc.record({
  seed: fc.nat(),
  latency: fc.integer({ min: 0, max: 1500 }),
  loss: fc.double({ min: 0, max: 0.4, noNaN: true }),
  stalls: fc.double({ min: 0, max: 0.2, noNaN: true }),
  clocks: fc.array(clocks, { minLength: 2, maxLength: 3 }),
});

describe("the election of a leader, in bad times", () => {
  it("never has two leaders, and always has one in the end", async () => {
    let led = 0;
    await fc.assert(
      fc.asyncProperty(storms, async (storm) => {
        const result = await survive(storm);
        led += result.led;
        assert.deepEqual(result.collisions, []);
        assert.equal(result.atEnd, 1);
      }),
      { numRuns: 150 },
    );
    assert.ok(led > 100, "leaders have come and gone");
  });

  it("would have two leaders if a leader went on for longer than others wait", async () => {
    const careless = { ...usualTimes, renewDeadline: 25_000 };
    let collisions = 0;
    for (let seed = 0; seed < 40 && collisions === 0; seed++) {
      const same = { offset: 0, rate: 1, wall: 0 };
      const storm = { seed, latency: 300, loss: 0.1, stalls: 0.1, clocks: [same, same, same] };
      collisions += (await survive(storm, careless)).collisions.length;
    }
    assert.ok(collisions > 0);
  });
});
