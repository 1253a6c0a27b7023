/** Idle connections of an endpoint, on real sockets and a clock that is advanced. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import type { ConnectionOwner, UpstreamConnection } from "../../src/proxy/upstream/connection.ts";
import { EndpointPool } from "../../src/proxy/upstream/endpoint-pool.ts";
import type { PoolCounters } from "../../src/proxy/upstream/live-endpoint.ts";
import { TimingWheel } from "../../src/proxy/wheel.ts";

const counters: PoolCounters = {
  upstreamConnected() {},
  upstreamParked() {},
  upstreamReused() {},
  upstreamClosed() {},
  connectFailed() {},
  http2Ended() {},
};

describe("the idle connections of an endpoint", () => {
  let server: Server;
  let now = 0;
  const wheel = new TimingWheel(() => now, 100);
  const advance = (ms: number): void => {
    for (let left = ms; left > 0; left -= 100) {
      now += 100;
      wheel.turn();
    }
  };

  before(async () => {
    server = createServer((socket) => socket.on("error", () => {}).resume()).listen(0, "127.0.0.1");
    await once(server, "listening");
  });
  after(() => server.close());

  function poolOf(idle: number): EndpointPool {
    const { port } = server.address() as AddressInfo;
    const limits = { idle, idleTimeout: 60_000, requests: 10_000 };
    return new EndpointPool({ address: "127.0.0.1", port }, null, 0, limits, wheel, counters);
  }

  function connected(pool: EndpointPool): Promise<UpstreamConnection> {
    return new Promise((resolve, reject) => {
      const owner: ConnectionOwner = {
        connected: () => resolve(connection),
        data: () => false,
        ended() {},
        drained() {},
        expired() {},
        closed: ({ detail }) => reject(new Error(detail)),
      };
      const connection = pool.connect(5_000, owner, null);
    });
  }

  // Each of 1,024 clients at once closed and opened a tenth of its connections for each answer.
  it("are kept beyond the limit for a second, so that a burst that comes again finds them", async () => {
    const pool = poolOf(2);
    const burst = await Promise.all([1, 2, 3, 4].map(() => connected(pool)));
    for (const connection of burst) connection.release();
    advance(500);
    const again = burst.map(() => pool.takeIdle(Number.POSITIVE_INFINITY, null));
    assert.ok(again.every((connection) => connection !== null && !connection.socket.destroyed));
    for (const connection of again) connection?.release();
    advance(1_500);
    assert.equal(burst.filter(({ socket }) => !socket.destroyed).length, 2);
    advance(61_000);
    assert.ok(burst.every(({ socket }) => socket.destroyed));
  });

  it("are closed when the endpoint leaves, and none is kept afterwards", async () => {
    const pool = poolOf(2);
    const [idle, used] = await Promise.all([connected(pool), connected(pool)]);
    idle.release();
    pool.retire();
    assert.ok(idle.socket.destroyed);
    assert.ok(!used.socket.destroyed);
    used.release();
    assert.ok(used.socket.destroyed);
  });
});
