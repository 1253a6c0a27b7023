/**
 * Connections to HTTP/2 upstreams over time: windows both ways, slow readers on either side, good-byes, and connections of
 * which nothing comes any more.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import type { Policy } from "../../src/model/policy.ts";
import type { Snapshot } from "../../src/model/snapshot.ts";
import { HpackDecoder } from "../../src/wire/hpack/decoder.ts";
import { errorCode, flag, frameType, setting } from "../../src/wire/http2/protocol.ts";
import {
  block,
  data,
  frame,
  getFields,
  headers,
  postFields,
  RawHttp2,
  rstStream,
  settings,
  uint32,
  windowUpdate,
} from "../support/raw-http2.ts";
import { rawHttp2Upstream } from "../support/raw-http2-upstream.ts";
import { oneRoute, TestPlane, type TestUpstream, until } from "../support/test-plane.ts";

const ok = [[":status", "200"]] as const;
const get = "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n";
const usual = { connect: 5_000, read: 60_000, send: 60_000 };

function routeTo(port: number, timeouts: Policy["timeouts"] = usual): Snapshot {
  const snapshot = oneRoute([port], { timeouts });
  return { ...snapshot, upstreams: snapshot.upstreams.map((upstream) => ({ ...upstream, protocol: "grpc" as const })) };
}

describe("connections to HTTP/2 upstreams", () => {
  let plane: TestPlane;
  const upstreams: TestUpstream[] = [];
  const sessions: ClientHttp2Session[] = [];

  before(async () => {
    plane = await TestPlane.start();
  });
  after(async () => {
    assert.equal(plane.plane.workerRestarts, 0);
    await plane.stop();
  });
  afterEach(async () => {
    for (const session of sessions.splice(0)) session.destroy();
    await Promise.all(upstreams.splice(0).map((upstream) => upstream.stop()));
  });

  async function upstreamThat(
    serve: Parameters<typeof rawHttp2Upstream>[0],
    first?: Buffer,
    timeouts?: Policy["timeouts"],
  ): Promise<TestUpstream> {
    const upstream = await rawHttp2Upstream(serve, first);
    upstreams.push(upstream);
    await plane.publish(routeTo(upstream.port, timeouts));
    return upstream;
  }

  function client(): ClientHttp2Session {
    const session = connect(`https://127.0.0.1:${plane.plane.ports.https}`, { rejectUnauthorized: false });
    session.on("error", () => {});
    sessions.push(session);
    return session;
  }

  function ask(session: ClientHttp2Session, method = "GET"): ClientHttp2Stream {
    const stream = session.request({ ":method": method, ":path": "/", ":authority": "a.example" });
    stream.on("error", () => {});
    return stream;
  }

  const status = async (request: string): Promise<number> =>
    Number((await plane.request(request)).startLine.split(" ")[1]);

  it("send no more of a body than the windows of the stream and the connection allow", async () => {
    let connection: RawHttp2 | null = null;
    await upstreamThat(
      (taken) => {
        connection = taken;
        void taken.wait(frameType.headers, 1).then(() => taken.send(headers(1, ok)));
      },
      settings([setting.initialWindowSize, 20_000]),
    );
    // A first request, behind which the settings are known.
    assert.equal(await status(get), 200);
    const received = (): number => connection?.bytes ?? 0;
    const allow = (streamId: number, bytes: number): void => connection?.send(windowUpdate(streamId, bytes));
    const stream = ask(client(), "POST");
    const body = Buffer.alloc(1_000_000, "x");
    stream.end(body);
    await until(() => received() === 20_000, "the stream's window");
    allow(3, 5_000);
    await until(() => received() === 25_000, "the bytes that were allowed");
    allow(3, 1_000_000);
    await until(() => received() === 65_535, "the connection's window");
    allow(0, 2_000_000);
    await until(() => received() === body.length, "the rest");
    (connection as RawHttp2 | null)?.send(headers(3, ok));
    const [answer] = await once(stream, "response");
    assert.equal(answer[":status"], 200);
  });

  it("end a request without a message with empty DATA, as gRPC servers wait for", async () => {
    await upstreamThat((connection) => {
      void connection.wait(frameType.headers, 1).then(() => connection.send(headers(1, ok)));
      void connection.wait(frameType.data, 3).then(() => connection.send(headers(3, ok)));
    });
    assert.equal(await status(get), 200);
    // The head and the end come in one piece, on a connection that is there.
    const raw = await RawHttp2.open(plane.plane.ports.https);
    raw.send(headers(1, postFields, false), data(1, ""));
    assert.equal((await raw.answer(1)).status, 200);
    raw.close();
  });

  it("index nowhere what either side has marked so", async () => {
    const secret = Buffer.from("\x10\x03x-s\x01v", "latin1");
    const mark = (fields: typeof ok | typeof getFields): Buffer => Buffer.concat([block(fields), secret]);
    let asked: readonly string[] = [];
    await upstreamThat((connection) => {
      void connection.wait(frameType.headers, 1).then(({ payload }) => {
        asked = marked(payload);
        connection.send(frame(frameType.headers, flag.endHeaders | flag.endStream, 1, mark(ok)));
      });
    });
    const raw = await RawHttp2.open(plane.plane.ports.https);
    raw.send(frame(frameType.headers, flag.endHeaders | flag.endStream, 1, mark(getFields)));
    const { payload } = await raw.wait(frameType.headers, 1);
    assert.deepEqual([asked, marked(payload)], [["x-s"], ["x-s"]]);
    raw.close();
  });

  it("take no more of a client's body than can wait for a slow upstream", async () => {
    await upstreamThat(() => {});
    const stream = ask(client(), "POST");
    stream.write(Buffer.alloc(4_000_000, "x"));
    // What was taken is what the client could not send again: the window of its connection.
    const taken = (): number => 1_048_576 - (stream.session?.state.remoteWindowSize ?? 1_048_576);
    await until(() => taken() >= 65_535, "the stream's first window");
    const most = await standstill(taken);
    assert.ok(most <= 4 * 65_536, `${most} bytes were taken for an upstream that reads none`);
  });

  it("take no more of an answer than can wait for a slow client, and all of it in the end", async () => {
    let granted = 0;
    let sent = 0;
    const total = 2_000_000;
    await upstreamThat((connection) => {
      const send = (): void => {
        for (const taken of connection.frames.splice(0)) {
          if (taken.type === frameType.windowUpdate && taken.streamId === 1) granted += taken.payload.readUInt32BE(0);
          if (taken.type !== frameType.headers) continue;
          granted = 65_536;
          connection.send(headers(1, ok, false));
        }
        while (sent < total && sent < granted) {
          const length = Math.min(16_384, granted - sent, total - sent);
          sent += length;
          connection.send(data(1, "x".repeat(length), sent === total));
        }
      };
      connection.socket.on("data", send);
      send();
    });
    const stream = ask(client());
    await once(stream, "response");
    await until(() => sent > 65_536, "more than the first window");
    await standstill(() => sent);
    assert.ok(sent <= 4 * 65_536 + 16_384, `${sent} bytes were taken for a client that reads none`);
    let received = 0;
    stream.on("data", (chunk: Buffer) => {
      received += chunk.length;
    });
    await once(stream, "end");
    assert.equal(received, total);
  });

  it("let clients that read nothing keep nobody waiting on the same connection", async () => {
    const upstream = await upstreamThat((connection) => {
      const answered = new Set<number>();
      const send = (): void => {
        for (const { type, streamId } of connection.frames.splice(0)) {
          if (type === frameType.headers && !answered.has(streamId)) {
            answered.add(streamId);
            connection.send(headers(streamId, ok, false), data(streamId, "x".repeat(16_000), false));
          }
          if (type === frameType.headers || (type === frameType.windowUpdate && streamId !== 0)) {
            for (let count = 0; count < 2; count++) connection.send(data(streamId, "x".repeat(16_000), false));
          }
        }
      };
      connection.socket.on("data", send);
      send();
    });
    const slow = client();
    const streams = Array.from({ length: 60 }, () => ask(slow));
    await Promise.all(streams.map((stream) => once(stream, "response")));
    const quick = ask(client());
    const [chunk] = (await once(quick, "data")) as [Buffer];
    assert.ok(chunk.length > 0);
    assert.equal(upstream.accepted, 1);
  });

  const ends: readonly (readonly [string, (connection: RawHttp2) => void])[] = [
    ["the endpoint asks not to be sent the rest", (connection) => connection.send(rstStream(1, errorCode.noError))],
    ["the endpoint ends the connection", (connection) => connection.socket.end()],
    [
      "the endpoint cuts the connection",
      // Behind the answer to this: a reset may overtake what the proxy has not read.
      (connection) => connection.send(frame(frameType.ping, 0, 0, Buffer.alloc(8))),
    ],
    [
      "the endpoint says good-bye and ends",
      (connection) => {
        connection.send(frame(frameType.goaway, 0, 0, Buffer.concat([uint32(1), uint32(0)])));
        connection.socket.end();
      },
    ],
  ];
  for (const [what, end] of ends) {
    it(`give a slow client all of an answer that had come whole when ${what}`, async () => {
      let granted = 0;
      let sent = 0;
      const total = 120_000;
      let over = false;
      await upstreamThat((connection) => {
        const send = (): void => {
          for (const taken of connection.frames.splice(0)) {
            if (taken.type === frameType.windowUpdate && taken.streamId === 1) granted += taken.payload.readUInt32BE(0);
            if (taken.type === frameType.ping) connection.socket.destroy();
            if (taken.type !== frameType.headers) continue;
            granted = 65_536;
            connection.send(headers(1, ok, false));
          }
          while (sent < total && sent < granted) {
            const length = Math.min(16_384, granted - sent, total - sent);
            sent += length;
            connection.send(data(1, "x".repeat(length), sent === total));
            if (sent !== total) continue;
            over = true;
            end(connection);
          }
        };
        connection.socket.on("data", send);
        connection.socket.on("close", () => {
          over = true;
        });
        send();
      });
      const session = connect(`https://127.0.0.1:${plane.plane.ports.https}`, {
        rejectUnauthorized: false,
        settings: { initialWindowSize: 100 },
      });
      sessions.push(session);
      const stream = ask(session, "POST");
      stream.write("the request goes on");
      await once(stream, "response");
      await until(() => over, "the end of the upstream");
      // Another answer from a new connection shows that the first has been seen to end.
      let received = 0;
      stream.on("data", (chunk: Buffer) => {
        received += chunk.length;
      });
      await once(stream, "end");
      assert.equal(received, total);
    });
  }

  it("send again what an endpoint says good-bye to without having begun on it, and finish what it has", async () => {
    const upstream = await upstreamThat((connection, count) => {
      if (count > 1) {
        void connection
          .wait(frameType.headers, 1)
          .then(() => connection.send(headers(1, ok, false), data(1, "second")));
        return;
      }
      void connection.wait(frameType.headers, 3).then(() => {
        connection.send(frame(frameType.goaway, 0, 0, Buffer.concat([uint32(1), uint32(0)])));
        setTimeout(() => connection.send(headers(1, ok, false), data(1, "first")), 50);
      });
    });
    const session = client();
    const bodies = await Promise.all([ask(session), ask(session)].map(bodyOf));
    assert.deepEqual(bodies, ["first", "second"]);
    assert.equal(upstream.accepted, 2);
  });

  it("send a request again that the endpoint refused, but never a part of its body", async () => {
    let bodies = 0;
    const upstream = await upstreamThat((connection) => {
      const answer = (): void => {
        for (const { type, streamId } of connection.frames.splice(0)) {
          if (type === frameType.data) bodies++;
          if (type === frameType.headers) connection.send(rstStream(streamId, errorCode.refusedStream));
        }
      };
      connection.socket.on("data", answer);
      answer();
    });
    assert.equal(await status(get), 502);
    // Established, so that the body goes with the head.
    assert.equal(
      await status("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"),
      502,
    );
    assert.equal(bodies, 1);
    assert.equal(upstream.accepted, 1);
  });

  it("are not used again after one from which nothing comes", async () => {
    const upstream = await upstreamThat((connection, count) => {
      void connection.wait(frameType.headers, 1).then(() => connection.send(headers(1, ok)));
      if (count > 1) void connection.wait(frameType.headers, 3).then(() => connection.send(headers(3, ok)));
    });
    assert.equal(await status(get), 200);
    await plane.publish(routeTo(upstream.port, { ...usual, read: 400 }));
    assert.equal(await status(get), 504);
    await plane.publish(routeTo(upstream.port));
    assert.equal(await status(get), 200);
    assert.equal(upstream.accepted, 2);
  });

  it("wait for the endpoint's TCP handshake before they ask for a body, and give up in time", async () => {
    // Nothing listens at the address, and nothing refuses (RFC 5737).
    const snapshot = routeTo(9, { ...usual, connect: 300 });
    const upstream = snapshot.upstreams.map((each) => ({ ...each, endpoints: [{ address: "192.0.2.1", port: 9 }] }));
    await plane.publish({ ...snapshot, upstreams: upstream });
    const code = await status("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
    assert.ok(code === 504 || code === 502, String(code));
  });
});

/** Names of fields in a head that is the first of its connection, which are to be indexed nowhere. */
function marked(head: Buffer): readonly string[] {
  const decoder = new HpackDecoder(4096);
  assert.equal(decoder.decode(head, 0, head.length, { listSize: 10_000, fields: 100 }, []), null);
  return decoder.neverIndexed;
}

/** The value once it has not changed for a while. */
async function standstill(read: () => number): Promise<number> {
  let value = read();
  let since = performance.now();
  await until(() => {
    if (read() !== value) since = performance.now();
    value = read();
    return value > 0 && performance.now() - since > 150;
  }, "a standstill");
  return value;
}

async function bodyOf(stream: ClientHttp2Stream): Promise<string> {
  let text = "";
  stream.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
  });
  await once(stream, "end");
  return text;
}
