/** How long a client of HTTP/2 is waited for, on a clock of the test's own: a connection of ours over a pair of streams. */
import assert from "node:assert/strict";
import { duplexPair } from "node:stream";
import type { Peer } from "../../src/proxy/exchange.ts";
import type { Plane } from "../../src/proxy/plane.ts";
import { TimingWheel } from "../../src/proxy/wheel.ts";
import type { ConnectionHost } from "../../src/serve/client/connection-host.ts";
import { Http2Connection } from "../../src/serve/client/http2.ts";
import { frameType, preface, setting } from "../../src/wire/http2/protocol.ts";
import { getFields, headers, nameOf, postFields, RawHttp2, settings, windowUpdate } from "../support/raw-http2.ts";
import { until } from "../support/test-plane.ts";

const limits = { head: 1_000, keepAlive: 5_000, body: 2_000, send: 3_000 };
const peer = { secure: true, address: "192.0.2.1", proto: "https", trusted: false, told: "", http2: true } as Peer;

/** A plane that answers every request with the built-in page of 503, a few hundred bytes. */
class Waiting {
  now = 0;
  readonly wheel = new TimingWheel(() => this.now, 100);
  readonly client: RawHttp2;
  readonly connection: Http2Connection;
  readonly finished: number[] = [];
  closed = 0;

  constructor(first: Buffer, early: Buffer | null = null) {
    const route = { route: { closed: "why" }, hooks: { request: [], response: [] } };
    const plane = {
      wheel: this.wheel,
      clock: () => this.now,
      routes: { asked: { find: () => ({ name: "", found: null }) }, unmatched: route },
      serverLine: "Server: sluice\r\n",
      dateLine: () => "",
      newRequestId: () => "0",
      finished: ({ status }: { status: number }) => this.finished.push(status),
    } as unknown as Plane;
    const host: ConnectionHost = {
      plane,
      limits,
      draining: false,
      connectionClosed: () => {
        this.closed++;
      },
      tunnelOpened() {},
      refused() {},
      ended() {},
    };
    const [near, far] = duplexPair();
    this.client = new RawHttp2(far);
    if (early === null) this.client.send(preface, first);
    this.connection = new Http2Connection(host, near, peer, early);
  }

  /** Lets so many milliseconds pass. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 100) {
      this.now += 100;
      this.wheel.turn();
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe("the patience of an HTTP/2 connection", () => {
  it("ends a connection that asks nothing within the limit for a head, pings or not", async () => {
    const waiting = new Waiting(settings());
    await waiting.client.wait(frameType.settings, 0);
    await waiting.pass(900);
    waiting.client.send(Buffer.from([0, 0, 8, frameType.ping, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]));
    await waiting.client.wait(frameType.ping, 0);
    await waiting.pass(400);
    assert.equal(nameOf(await waiting.client.goneWith()), "noError");
    await until(() => waiting.closed === 1, "the connection to be forgotten");
  });

  it("keeps a connection that has been answered for the limit of keep-alive", async () => {
    const waiting = new Waiting(settings());
    waiting.client.send(headers(1, getFields));
    assert.equal((await waiting.client.answer(1)).status, 503);
    await waiting.pass(4_500);
    assert.equal(waiting.client.closed, false);
    await waiting.pass(1_000);
    assert.equal(nameOf(await waiting.client.goneWith()), "noError");
  });

  it("resets a stream whose client opens no window for what waits, and only then", async () => {
    const waiting = new Waiting(settings([setting.initialWindowSize, 0]));
    waiting.client.send(headers(1, getFields), headers(3, getFields));
    await waiting.client.wait(frameType.headers, 3);
    await waiting.pass(2_500);
    // One of the two goes on, as slowly as it may.
    waiting.client.send(windowUpdate(3, 10));
    await waiting.client.wait(frameType.data, 3);
    await waiting.pass(1_000);
    assert.equal(nameOf(await waiting.client.resetWith(1)), "cancel");
    assert.equal(waiting.client.find(frameType.rstStream, 3), undefined);
    waiting.client.send(windowUpdate(3, 1_000));
    assert.match((await waiting.client.answer(3)).body, /503/);
    assert.deepEqual(waiting.finished, [503, 503]);
    waiting.client.close();
  });

  it("destroys a connection whose client reads nothing", async () => {
    const waiting = new Waiting(settings());
    waiting.client.send(windowUpdate(0, 2 ** 30));
    waiting.client.socket.pause();
    for (let id = 1; id < 4_000; id += 2) waiting.client.send(headers(id, getFields));
    let before = -1;
    await until(() => {
      const still = waiting.finished.length === before && before > 0;
      before = waiting.finished.length;
      return still;
    }, "the answers to stop");
    await waiting.pass(2_500);
    assert.equal(waiting.closed, 0);
    // It was answered until the socket was full, and then read no more.
    assert.ok(waiting.finished.length < 1_000, String(waiting.finished.length));
    await waiting.pass(1_000);
    await until(() => waiting.closed === 1, "the connection to be destroyed");
  });

  it("waits for a client's end of a connection that has failed, but not for ever", async () => {
    const waiting = new Waiting(settings());
    waiting.client.socket.removeAllListeners("end");
    waiting.client.send(windowUpdate(0, 0));
    assert.equal(nameOf((await waiting.client.wait(frameType.goaway, 0)).payload.readUInt32BE(4)), "protocolError");
    // What it still sends is read away.
    waiting.client.send(headers(1, postFields), headers(2, getFields));
    await waiting.pass(4_000);
    assert.equal(waiting.closed, 0);
    await waiting.pass(2_000);
    await until(() => waiting.closed === 1, "the connection to be destroyed");
    assert.deepEqual(waiting.finished, []);
  });

  it("takes what was read of the connection before", async () => {
    const waiting = new Waiting(settings(), Buffer.concat([preface, settings(), headers(1, getFields)]));
    assert.equal((await waiting.client.answer(1)).status, 503);
    await waiting.client.serves(3).catch((error: Error) => assert.match(error.message, /503/));
    waiting.client.close();
  });
});
