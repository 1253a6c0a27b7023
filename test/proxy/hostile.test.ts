/**
 * What clients and upstreams do that nobody should: each test is a bug that was found by looking for it, and would come back
 * as memory that grows, a connection that never ends, or a worker that dies with all that it serves.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, constants } from "node:http2";
import { connect as connectTcp } from "node:net";
import { connect as connectTls } from "node:tls";
import { workerLayout } from "../../src/serve/metrics/shared.ts";
import { type Message, MessageReader, valuesOf } from "../support/message-reader.ts";
import { answering, ok, TestPlane, TestUpstream, until } from "../support/test-plane.ts";

const get = (path = "/"): string => `GET ${path} HTTP/1.1\r\nHost: a.example\r\n\r\n`;
const status = (message: Message): number => Number(message.startLine.split(" ")[1]);
const patient = { connect: 5_000, read: 60_000, send: 60_000 };

describe("hostile clients and upstreams", () => {
  let plane: TestPlane;
  const upstreams: TestUpstream[] = [];

  before(async () => {
    plane = await TestPlane.start();
  });
  after(async () => {
    assert.equal(plane.plane.workerRestarts, 0);
    await plane.stop();
  });
  afterEach(async () => {
    await Promise.all(upstreams.splice(0).map((upstream) => upstream.stop()));
    await until(() => gauges(plane).every((gauge) => gauge === 0), "all connections to be closed");
  });

  async function upstreamThat(
    serve: Parameters<typeof TestUpstream.start>[0],
    policy: Parameters<TestPlane["serve"]>[1] = {},
  ): Promise<TestUpstream> {
    const upstream = await TestUpstream.start(serve);
    upstreams.push(upstream);
    await plane.serve([upstream.port], policy);
    return upstream;
  }

  it("keeps the upstream's connection after a POST of no bytes, whose end nobody will tell", async () => {
    const upstream = await upstreamThat(answering(() => ok("x")));
    const client = await plane.connect();
    for (let count = 0; count < 3; count++) {
      client.send("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n");
      assert.equal(status(await client.response()), 200);
    }
    assert.equal(upstream.accepted, 1);
    client.socket.destroy();
  });

  it("limits the wait for the answer to a POST of no bytes", async () => {
    await upstreamThat((socket) => socket.resume(), { timeouts: { ...patient, read: 200 } });
    const response = await plane.request("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n");
    assert.equal(status(response), 504);
  });

  it("begins no pipelined request while the client takes no answers, and all of them when it does", async () => {
    let served = 0;
    const body = "z".repeat(60_000);
    await upstreamThat(
      answering(() => {
        served++;
        return ok(body);
      }),
    );
    const socket = connectTcp(plane.plane.ports.http, "127.0.0.1");
    socket.write(get().repeat(1_000));
    let before = -1;
    await until(() => {
      const still = served > 0 && served === before;
      before = served;
      return still;
    }, "the requests to stop");
    assert.ok(served < 500, `${served} answers were fetched for a client that reads none`);
    let received = 0;
    socket.on("data", (chunk: Buffer) => {
      received += chunk.length;
    });
    await until(() => served === 1_000 && received > 1_000 * body.length, "all answers");
    socket.destroy();
  });

  it("takes an empty line behind a body for nothing, not for a request that does not come", async () => {
    const brief = await TestPlane.start({ clientHeaderTimeout: 200, keepAliveTimeout: 1_500 });
    const upstream = await TestUpstream.start(answering(() => ok("x")));
    try {
      await brief.serve([upstream.port]);
      const client = await brief.connect();
      client.send("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1\r\n\r\nx\r\n");
      assert.equal(status(await client.response()), 200);
      assert.equal(await client.reader.readToEnd(), "");
    } finally {
      await brief.stop();
      await upstream.stop();
    }
  });

  it("does not pass a flood of interim responses on", async () => {
    await upstreamThat((socket) => {
      socket.once("data", () => socket.write("HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n".repeat(10_000)));
    });
    const client = await plane.connect();
    client.send(get());
    let interim = 0;
    let last = await client.response();
    for (; status(last) === 103; last = await client.response()) interim++;
    assert.equal(status(last), 502);
    assert.ok(interim > 100 && interim < 3_000, `${interim}`);
    client.socket.destroy();
  });

  it("counts the body of an upstream's answer, not its head", async () => {
    await upstreamThat(answering(() => ok("12345", "X-Long: yes\r\n")));
    await plane.request(get("/counted"));
    await until(() => plane.lines.some((line) => line.path === "/counted"), "the log line");
    assert.equal(plane.lines.find((line) => line.path === "/counted")?.upstream_bytes, 5);
  });

  for (const [what, head, expected] of [
    ["two Date fields", "HTTP/1.1 200 OK\r\nDate: a\r\nDate: b\r\n", 200],
    ["two Content-Type fields", "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Type: c/d\r\n", 200],
    ["a status above 599", "HTTP/1.1 999 Denied\r\n", 500],
    ["a 205 with a body", "HTTP/1.1 205 Reset Content\r\n", 205],
    ["HTTP2-Settings", "HTTP/1.1 200 OK\r\nHTTP2-Settings: x\r\nTE: gzip\r\nKeep-Alive: 5\r\n", 200],
    [
      "an odd interim response",
      "HTTP/1.1 103 Early\r\nETag: a\r\nETag: b\r\nHTTP2-Settings: x\r\n\r\nHTTP/1.1 200 OK\r\n",
      200,
    ],
    [
      "two ETag fields as trailers",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-A: 1\r\nETag: a\r\nETag: b\r\nHTTP2-Settings: 1\r\nTE: x\r\nKeep-Alive: 1\r\n\r\n",
      200,
    ],
  ] as const) {
    it(`survives an upstream that sends ${what} to an HTTP/2 client, where node:http2 throws`, async () => {
      const rest = head.includes("chunked") ? "" : "Content-Length: 1\r\n\r\nx";
      await upstreamThat(answering(() => head + rest));
      const session = connect(`https://127.0.0.1:${plane.plane.ports.https}`, {
        rejectUnauthorized: false,
        strictSingleValueFields: false,
      } as object);
      session.on("error", () => {});
      const stream = session.request({ ":path": "/", ":authority": "a.example" });
      const [headers] = await once(stream, "response");
      assert.equal(headers[":status"], expected);
      stream.resume();
      await once(stream, "close");
      session.destroy();
    });
  }

  it("forgets an HTTP/2 stream that its client resets without an error while its body is not read", async () => {
    let answer: (() => void) | undefined;
    await upstreamThat((socket) => {
      socket.pause();
      setTimeout(() => socket.write(ok("late")), 300);
      answer = () => socket.resume();
    });
    const session = connect(`https://127.0.0.1:${plane.plane.ports.https}`, { rejectUnauthorized: false });
    session.on("error", () => {});
    const stream = session.request({ ":path": "/reset", ":method": "POST", ":authority": "a.example" });
    stream.on("error", () => {});
    stream.write(Buffer.alloc(60_000));
    await until(() => answer !== undefined, "the request");
    stream.close(constants.NGHTTP2_NO_ERROR);
    await until(() => plane.lines.some((line) => line.path === "/reset"), "the log line");
    assert.equal(plane.lines.filter((line) => line.path === "/reset").length, 1);
    session.destroy();
  });

  it("ends an HTTP/2 stream whose answer came before its body was read", async () => {
    await upstreamThat((socket) => {
      socket.once("data", () => socket.write("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig"));
    });
    const session = connect(`https://127.0.0.1:${plane.plane.ports.https}`, { rejectUnauthorized: false });
    session.on("error", () => {});
    const stream = session.request({ ":path": "/early", ":method": "POST", ":authority": "a.example" });
    stream.on("error", () => {});
    stream.write(Buffer.alloc(1_000_000));
    const [headers] = await once(stream, "response");
    assert.equal(headers[":status"], 413);
    stream.resume();
    await once(stream, "close");
    session.destroy();
  });

  it("notices that the client of an HTTP/2 connection has gone while an upstream works for it", async () => {
    const upstream = await upstreamThat((socket) => socket.resume().on("end", () => socket.end()));
    const session = connect(`https://127.0.0.1:${plane.plane.ports.https}`, { rejectUnauthorized: false });
    session.on("error", () => {});
    const stream = session.request({ ":path": "/left", ":authority": "a.example" });
    stream.on("error", () => {});
    await until(() => upstream.sockets.size === 1, "the request");
    session.destroy();
    await until(() => upstream.sockets.size === 0, "the upstream's connection to close");
    await until(() => plane.lines.some((line) => line.path === "/left" && line.status === 499), "the log line");
  });

  it("closes what it has ended, whether or not the client ever ends its side", async () => {
    const brief = await TestPlane.start({ clientHeaderTimeout: 200 });
    const upstream = await TestUpstream.start((socket) => socket.resume());
    try {
      await brief.serve([upstream.port], { bodySize: { limit: 10 } });
      // The end of this body came with what was too much of it, and disarmed the limit of the closing connection.
      const plain = connectTcp({ port: brief.plane.ports.http, host: "127.0.0.1", allowHalfOpen: true });
      plain.write(
        "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n123456789012345\r\n0\r\n\r\n",
      );
      // A session that was closed for being idle waited for the client's own end.
      const secure = connectTls({
        port: brief.plane.ports.https,
        host: "127.0.0.1",
        rejectUnauthorized: false,
        ALPNProtocols: ["h2"],
        ...{ allowHalfOpen: true },
      });
      for (const socket of [plain, secure]) {
        socket.on("error", () => {});
        socket.resume();
      }
      secure.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", "latin1");
      await until(() => gauges(brief)[0] === 1 && gauges(brief)[1] === 1, "both connections");
      await until(() => gauges(brief)[0] === 0 && gauges(brief)[1] === 0, "both to be closed", 9_000);
      plain.destroy();
      secure.destroy();
    } finally {
      await brief.stop();
      await upstream.stop();
    }
  }).timeout(15_000);

  it("keeps no connection of a tunnel whose upstream resets it", async () => {
    await upstreamThat((socket) => {
      const reader = new MessageReader(socket);
      void reader.readHead().then(() => {
        socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nhi");
        setImmediate(() => socket.resetAndDestroy());
      });
    });
    const client = await plane.connect();
    client.send("GET /ws HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    const head = await client.reader.readHead();
    assert.deepEqual(valuesOf(head?.headers ?? [], "upgrade"), ["websocket"]);
    await client.reader.readToEnd();
  });
});

/** Client connections, upstream connections and tunnels that are open now. */
function gauges(plane: TestPlane): number[] {
  const [buffer] = plane.plane.counters;
  return buffer === undefined ? [] : [...new Float64Array(buffer).slice(0, workerLayout.gauges)];
}
