/**
 * Endpoints that fail requests or checks are left out: found by any worker or the main thread, in force at every worker.
 */
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import type { Ejection, HealthCheck } from "../../src/model/balance.ts";
import type { UpstreamOptions } from "../../src/model/snapshot.ts";
import { withoutDescriptors } from "../support/descriptors.ts";
import { answering, closedPort, ok, TestPlane, TestUpstream, until, withOptions } from "../support/test-plane.ts";

const ejection: Ejection = { failures: 3, baseTime: 60_000, longestTime: 300_000, percent: 50, serverErrors: false };
const healthCheck: HealthCheck = {
  probe: { kind: "http", path: "/healthz", statuses: [[200, 399]] },
  interval: 100,
  timeout: 1_000,
  healthyThreshold: 1,
  unhealthyThreshold: 2,
  port: null,
};
const get = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";

describe("endpoints that fail", () => {
  let plane: TestPlane;
  const upstreams: TestUpstream[] = [];

  beforeEach(async () => {
    plane = await TestPlane.start({ workers: 2 });
  });
  afterEach(async () => {
    await plane.stop();
    await Promise.all(upstreams.splice(0).map((upstream) => upstream.stop()));
  });

  async function start(serve: (socket: Socket, upstream: TestUpstream) => void): Promise<TestUpstream> {
    const upstream = await TestUpstream.start(serve);
    upstreams.push(upstream);
    return upstream;
  }

  const good = (): Promise<TestUpstream> => start(answering(() => ok("good")));
  const publish = (ports: readonly number[], options: UpstreamOptions): Promise<void> =>
    plane.publish(withOptions(ports, options));
  const counts = () =>
    [...plane.plane.health.counts()].map(({ usable, ejected, unhealthy }) => ({ usable, ejected, unhealthy }));

  /** How many tries each of so many requests took, each on a connection of its own. */
  async function tries(count: number): Promise<readonly number[]> {
    const before = plane.lines.length;
    for (let done = 0; done < count; done++) await plane.request(get);
    await until(() => plane.lines.length === before + count, "the lines of all requests");
    return plane.lines.slice(before).map((line) => Number(line.tries));
  }

  /** Sends requests until a batch of them, over both workers, satisfies. */
  async function eventually(holds: (bodies: readonly string[]) => boolean): Promise<void> {
    const end = performance.now() + 10_000;
    for (;;) {
      const bodies: string[] = [];
      for (let done = 0; done < 12; done++) bodies.push((await plane.request(get)).body);
      if (holds(bodies)) return;
      assert.ok(performance.now() < end, bodies.join());
    }
  }

  it("no requests, but for want of a descriptor of ours, are not to blame", async () => {
    await publish([(await good()).port, (await good()).port], { ejection: { ...ejection, failures: 1 } });
    const client = await plane.connect();
    await withoutDescriptors(async () => {
      for (let count = 0; count < 4; count++) {
        client.send(get);
        assert.match((await client.response()).startLine, /^HTTP\/1\.1 500 /);
      }
    });
    await until(() => plane.lines.length === 4, "the lines");
    assert.deepEqual(
      plane.lines.map((line) => line.tries),
      [1, 1, 1, 1],
    );
    assert.match(JSON.stringify(plane.events), /"kind":"no-socket","detail":"127\.0\.0\.1:\d+: EMFILE"/);
    client.send(get);
    assert.equal((await client.response()).body, "good");
    client.socket.destroy();
    assert.equal(counts()[0]?.ejected, 0);
  });

  it("requests are left out by all workers, those that start later too", async () => {
    await publish([await closedPort(), (await good()).port], { ejection });
    await tries(20);
    await until(() => counts()[0]?.ejected === 1, "the endpoint to be left out");
    assert.deepEqual(new Set(await tries(20)), new Set([1]));
    const restarts = plane.plane.workerRestarts;
    await plane.plane.killWorker(0);
    await until(() => plane.plane.workerRestarts > restarts && plane.plane.acknowledged, "another worker", 15_000);
    assert.deepEqual(new Set(await tries(20)), new Set([1]));
    assert.deepEqual(counts(), [{ usable: 1, ejected: 1, unhealthy: 0 }]);
  });

  it("requests get some again when their time is over", async () => {
    let failing = true;
    const shaky = await start(
      answering((_, socket) => {
        if (!failing) return ok("shaky");
        socket.resetAndDestroy();
        return null;
      }),
    );
    await publish([shaky.port, (await good()).port], { ejection: { ...ejection, baseTime: 300 } });
    await tries(20);
    await until(() => plane.events.some(({ message }) => /gets none for a while/.test(message)), "an ejection");
    failing = false;
    await eventually((bodies) => bodies.includes("shaky"));
    assert.deepEqual(counts(), [{ usable: 2, ejected: 0, unhealthy: 0 }]);
  });

  it("requests are never left out all, and an answer of 500 fails none unless it is asked to", async () => {
    await publish([await closedPort(), await closedPort()], { ejection: { ...ejection, percent: 100 } });
    for (let count = 0; count < 20; count++) assert.match((await plane.request(get)).startLine, / 502 /);
    await until(() => counts()[0]?.ejected === 1, "one to be left out");
    assert.deepEqual(counts(), [{ usable: 1, ejected: 1, unhealthy: 0 }]);

    const broken = await start(answering(() => "HTTP/1.1 500 No\r\nContent-Length: 6\r\n\r\nbroken"));
    const ports = [broken.port, (await good()).port];
    await publish(ports, { ejection });
    for (let count = 0; count < 20; count++) await plane.request(get);
    assert.deepEqual(counts(), [{ usable: 2, ejected: 0, unhealthy: 0 }]);
    await publish(ports, { ejection: { ...ejection, serverErrors: true } });
    await eventually((bodies) => !bodies.includes("broken"));
    assert.deepEqual(counts(), [{ usable: 1, ejected: 1, unhealthy: 0 }]);
  });

  it("checks get no requests until they pass them again, and all do while none passes", async () => {
    const well = [true, true];
    const ports = await Promise.all(
      well.map(async (_, index) => {
        const upstream = await start(
          answering(({ startLine }) => {
            if (!startLine.includes("/healthz")) return ok(`${index}`);
            return well[index] === true ? ok("") : "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n";
          }),
        );
        return upstream.port;
      }),
    );
    await publish(ports, { healthCheck });
    const served = (...names: readonly string[]) =>
      eventually((bodies) => JSON.stringify([...new Set(bodies)].sort()) === JSON.stringify(names));
    await served("0", "1");
    well[0] = false;
    await served("1");
    well[1] = false;
    await until(() => plane.events.some(({ message }) => /no endpoint of an upstream/.test(message)), "panic");
    await served("0", "1");
    well[1] = true;
    await served("1");
    well[0] = true;
    await served("0", "1");
  });

  it("checks are asked once for all workers, and no more when their upstream has gone", async () => {
    let asked = 0;
    const upstream = await start(
      answering(() => {
        asked++;
        return ok("");
      }),
    );
    const startedAt = performance.now();
    await publish([upstream.port], { healthCheck });
    await until(() => asked >= 10, "ten checks");
    const took = performance.now() - startedAt;
    assert.ok(took > 800, `ten checks at intervals of 100 ms took ${took} ms`);
    await publish([upstream.port], {});
    const after = asked;
    // The one that may be under way, and then none, for as long as several would take.
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.ok(asked <= after + 1);
  });
});
