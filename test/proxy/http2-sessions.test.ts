/** The connections of one endpoint over HTTP/2, on a clock of the test's own: when they are kept, and when they end. */
import assert from "node:assert/strict";
import { defaultPoolLimits, EndpointPool } from "../../src/proxy/upstream/endpoint-pool.ts";
import type { UpstreamStreamHandler } from "../../src/proxy/upstream/http2-session.ts";
import { TimingWheel } from "../../src/proxy/wheel.ts";
import { frameType } from "../../src/wire/http2/protocol.ts";
import type { Stream } from "../../src/wire/http2/stream.ts";
import { headers, type RawHttp2, settings } from "../support/raw-http2.ts";
import { rawHttp2Upstream } from "../support/raw-http2-upstream.ts";
import { type TestUpstream, until } from "../support/test-plane.ts";

const idleTimeout = 1_000;

class Request implements UpstreamStreamHandler {
  answered = false;
  over = false;
  readonly #pool: EndpointPool;
  #session: ReturnType<EndpointPool["http2"]["take"]> | null = null;
  #stream: Stream | null = null;

  constructor(pool: EndpointPool) {
    this.#pool = pool;
  }

  start(): this {
    const session = this.#pool.http2.take(5_000, null);
    const stream = session.open(this);
    assert.ok(stream !== null);
    this.#session = session;
    this.#stream = stream;
    const { encoder } = stream.session.sender;
    encoder.begin();
    encoder.fieldLines("");
    for (const [name, value] of [[":method", "GET"] as const, [":path", "/"] as const]) encoder.field(name, value);
    stream.sendHead(encoder.finish(), true);
    return this;
  }

  cancel(): void {
    this.#stream?.reset(8);
  }

  connected(): void {}
  paused(): void {}
  data(): void {}
  progressed(): void {}
  ended(): void {}
  head(): void {
    this.answered = true;
  }
  streamClosed(): void {
    this.over = true;
    this.#session?.streamClosed();
  }
}

describe("the connections of an endpoint over HTTP/2", () => {
  let now = 0;
  let wheel: TimingWheel;
  let pool: EndpointPool;
  let upstream: TestUpstream;
  let connections: RawHttp2[] = [];
  let counted: string[] = [];

  beforeEach(async () => {
    now = 0;
    connections = [];
    counted = [];
    upstream = await rawHttp2Upstream((connection) => connections.push(connection), settings());
    wheel = new TimingWheel(() => now, 100);
    const counters = {
      upstreamConnected: () => counted.push("connected"),
      upstreamParked: () => counted.push("parked"),
      upstreamReused: () => counted.push("reused"),
      upstreamClosed: () => counted.push("closed"),
      connectFailed: () => counted.push("failed"),
      http2Ended() {},
    };
    const limits = { ...defaultPoolLimits, idleTimeout };
    pool = new EndpointPool({ address: "127.0.0.1", port: upstream.port }, null, 0, limits, wheel, counters);
  });
  afterEach(async () => {
    pool.retire();
    await upstream.stop();
  });

  function pass(ms: number): void {
    for (const end = now + ms; now < end; now += 100) wheel.turn();
  }

  async function answer(request: Request, streamId: number, connection = connections[0]): Promise<void> {
    await until(() => connections.length > 0, "the connection");
    const used = connection ?? connections[0];
    await used?.wait(frameType.headers, streamId);
    used?.send(headers(streamId, [[":status", "200"]]));
    await until(() => request.over, "the answer");
    assert.ok(request.answered);
  }

  it("serve one request after the other, and end with a good-bye when none came for a while", async () => {
    await answer(new Request(pool).start(), 1);
    pass(idleTimeout - 300);
    await answer(new Request(pool).start(), 3);
    pass(idleTimeout - 300);
    assert.equal(connections[0]?.closed, false);
    pass(600);
    assert.equal(await connections[0]?.goneWith(), 0);
    await until(() => counted.includes("closed"), "the end");
    await until(() => connections[0]?.closed === true, "the end at the other side");
    const next = new Request(pool).start();
    await until(() => connections.length === 2, "another connection");
    await answer(next, 1, connections[1]);
    assert.deepEqual(counted, ["connected", "closed", "connected"]);
  });

  it("do not end while a request is under way, however long it takes", async () => {
    const request = new Request(pool).start();
    await until(() => connections.length === 1, "the connection");
    await connections[0]?.wait(frameType.headers, 1);
    pass(20 * idleTimeout);
    await answer(request, 1);
    assert.deepEqual(counted, ["connected"]);
  });

  it("finish what they have when the endpoint leaves, and then end", async () => {
    const request = new Request(pool).start();
    await until(() => connections.length === 1, "the connection");
    await connections[0]?.wait(frameType.headers, 1);
    pool.retire();
    await answer(request, 1);
    assert.equal(await connections[0]?.goneWith(), 0);
    await until(() => counted.includes("closed"), "the end");
  });

  it("are kept for a while when the only request was cancelled before there was a connection", async () => {
    new Request(pool).start().cancel();
    await until(() => counted.includes("connected"), "the connection");
    await answer(new Request(pool).start(), 3);
    pass(2 * idleTimeout);
    assert.equal(await connections[0]?.goneWith(), 0);
  });

  it("end when the endpoint does not close its side after the good-bye", async () => {
    await answer(new Request(pool).start(), 1);
    connections[0]?.socket.removeAllListeners("end");
    pass(2 * idleTimeout);
    await connections[0]?.wait(frameType.goaway, 0);
    assert.ok(!counted.includes("closed"));
    pass(6_000);
    await until(() => counted.includes("closed"), "the end");
  });

  it("are not waited for longer than the limit for connecting", async () => {
    const silent = { address: "192.0.2.1", port: 9 };
    const counters = { upstreamConnected() {}, upstreamParked() {}, upstreamReused() {}, upstreamClosed() {} };
    let failed = 0;
    const far = new EndpointPool(silent, null, 0, defaultPoolLimits, wheel, {
      ...counters,
      connectFailed: () => failed++,
      http2Ended() {},
    });
    const request = new Request(far).start();
    pass(6_000);
    await until(() => request.over, "the end");
    assert.equal(failed, 1);
  });
});
