/**
 * Upstreams that break HTTP/2, byte by byte: whatever they send, the client gets a status or a response cut short, nobody
 * else is harmed, and nothing is kept.
 */
import assert from "node:assert/strict";
import type { Snapshot } from "../../src/model/snapshot.ts";
import { http2OffenceSlot, http2Offences, workerLayout } from "../../src/serve/metrics/shared.ts";
import { errorCode, flag, frameType } from "../../src/wire/http2/protocol.ts";
import {
  block,
  data,
  frame,
  headers,
  nameOf,
  type RawHttp2,
  rstStream,
  settings,
  uint32,
  windowUpdate,
} from "../support/raw-http2.ts";
import { rawHttp2Upstream } from "../support/raw-http2-upstream.ts";
import { oneRoute, TestPlane, type TestUpstream, until } from "../support/test-plane.ts";

const good = [
  [":status", "200"],
  ["x-a", "1"],
] as const;
const get = "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n";
const post = "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n";

function routeTo(port: number, read = 60_000): Snapshot {
  const snapshot = oneRoute([port], { timeouts: { connect: 5_000, read, send: 60_000 } });
  return { ...snapshot, upstreams: snapshot.upstreams.map((upstream) => ({ ...upstream, protocol: "grpc" as const })) };
}

describe("upstreams that break HTTP/2", () => {
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

  async function upstreamThat(serve: Parameters<typeof rawHttp2Upstream>[0], first?: Buffer): Promise<TestUpstream> {
    const upstream = await rawHttp2Upstream(serve, first);
    upstreams.push(upstream);
    await plane.publish(routeTo(upstream.port));
    return upstream;
  }

  const ended = (): number => {
    const slots = new Float64Array(plane.plane.counters[0] ?? new SharedArrayBuffer(0));
    return http2Offences.reduce((sum, offence) => sum + (slots[http2OffenceSlot("upstream", offence)] ?? 0), 0);
  };
  const status = async (request: string): Promise<number> =>
    Number((await plane.request(request)).startLine.split(" ")[1]);

  /** Sends `bytes` when the request on stream 1 has come. */
  const answering =
    (bytes: (connection: RawHttp2) => readonly Buffer[]) =>
    (connection: RawHttp2): void => {
      void connection.wait(frameType.headers, 1).then(() => connection.send(...bytes(connection)));
    };

  const ofConnection: readonly (readonly [string, keyof typeof errorCode, readonly Buffer[]])[] = [
    ["pushes a response", "protocolError", [frame(frameType.pushPromise, flag.endHeaders, 1, uint32(2))]],
    ["answers on a stream of its own", "protocolError", [headers(2, good)]],
    ["answers on a stream that nobody opened", "protocolError", [headers(7, good)]],
    ["sends DATA on a stream that nobody opened", "protocolError", [data(7, "x")]],
    ["sends DATA on stream 0", "protocolError", [data(0, "x")]],
    [
      "sends a head that cannot be decompressed",
      "compressionError",
      [frame(frameType.headers, 5, 1, Buffer.from([0x80]))],
    ],
    [
      "sends something between the frames of a head",
      "protocolError",
      [frame(frameType.headers, 0, 1, block(good)), settings()],
    ],
    ["opens the connection's window by nothing", "protocolError", [windowUpdate(0, 0)]],
    ["opens the connection's window too far", "flowControlError", [windowUpdate(0, 0x7fff_ffff)]],
    ["sends a frame that is too large", "frameSizeError", [frame(frameType.ping, 0, 0, Buffer.alloc(20_000))]],
    ["allows no more frames than a window could", "flowControlError", [settings([4, 0x8000_0000])]],
    ["speaks HTTP/1.1", "frameSizeError", [Buffer.from("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")]],
    ["floods with settings", "enhanceYourCalm", [Buffer.concat(Array(5_000).fill(settings()))]],
    [
      "floods with pings",
      "enhanceYourCalm",
      [Buffer.concat(Array(5_000).fill(frame(frameType.ping, 0, 0, Buffer.alloc(8))))],
    ],
    ["floods with frames of no meaning", "enhanceYourCalm", [Buffer.concat(Array(5_000).fill(frame(99, 0, 1, "x")))]],
    [
      "floods with pieces of a head",
      "enhanceYourCalm",
      [frame(frameType.headers, 0, 1), Buffer.concat(Array(5_000).fill(frame(frameType.continuation, 0, 1)))],
    ],
    [
      "sends a head without end",
      "enhanceYourCalm",
      [
        frame(frameType.headers, 0, 1),
        Buffer.concat(Array(20).fill(frame(frameType.continuation, 0, 1, "x".repeat(16_000)))),
      ],
    ],
  ];
  it("are told of in the log with what they did", async () => {
    const flood = Buffer.concat(Array(5_000).fill(settings()));
    const upstream = await rawHttp2Upstream((connection) => answering(() => [flood])(connection));
    upstreams.push(upstream);
    // Of its own: what is told a second has a limit.
    const other = await TestPlane.start();
    await other.publish(routeTo(upstream.port));
    await other.request(post);
    const told = (): unknown => other.events.find(({ message }) => message === "upstream failed")?.fields;
    await until(() => told() !== undefined, "the line");
    assert.match(
      JSON.stringify(told()),
      /the connection was ended: it sends too many frames that bring nothing forward/,
    );
    await other.stop();
  });

  for (const [what, code, bytes] of ofConnection) {
    it(`ends the connection of one that ${what}, and goes on with another`, async () => {
      let gone = "";
      const before = ended();
      const upstream = await upstreamThat((connection, count) => {
        if (count > 1) {
          void connection.wait(frameType.headers, 1).then(() => connection.send(headers(1, good)));
          return;
        }
        answering(() => bytes)(connection);
        void connection.goneWith().then((found) => {
          gone = nameOf(found);
        });
      });
      // It may have done what it was asked to: it is not asked again.
      assert.equal(await status(post), 502);
      await until(() => gone !== "", "the good-bye");
      assert.equal(gone, code);
      assert.equal(ended(), before + 1);
      assert.equal(await status(get), 200);
      assert.equal(upstream.accepted, 2);
    });
  }

  const ofStream: readonly (readonly [string, readonly Buffer[]])[] = [
    ["sends DATA before a head", [data(1, "x")]],
    ["gives no status", [headers(1, [["x-a", "1"]])]],
    ["gives a status of letters", [headers(1, [[":status", "abc"]])]],
    ["gives a status of two digits", [headers(1, [[":status", "20"]])]],
    ["gives two statuses", [headers(1, [...good.slice(0, 1), ...good])]],
    ["switches protocols", [headers(1, [[":status", "101"]], false)]],
    ["ends with an interim answer", [headers(1, [[":status", "103"]])]],
    ["sends a name in capitals", [headers(1, [...good, ["X-B", "1"]])]],
    ["sends a field of the connection", [headers(1, [...good, ["connection", "close"]])]],
    ["sends a line break in a value", [headers(1, [...good, ["x-b", "1\r\nx-c: 2"]])]],
    ["sends a pseudo-header of requests", [headers(1, [...good.slice(0, 1), [":path", "/"]])]],
    ["announces a body and ends", [headers(1, [...good, ["content-length", "5"]])]],
    ["announces two lengths", [headers(1, [...good, ["content-length", "0"], ["content-length", "1"]])]],
    ["announces a length of letters", [headers(1, [...good, ["content-length", "x"]])]],
    ["sends more fields than we take", [headers(1, [...good, ...Array<[string, string]>(260).fill(["x-b", "1"])])]],
    ["opens the stream's window by nothing", [windowUpdate(1, 0)]],
    ["opens the stream's window too far", [windowUpdate(1, 0x7fff_ffff)]],
    ["resets the stream", [rstStream(1, errorCode.internalError)]],
    ["resets the stream without an error, and without an answer", [rstStream(1, errorCode.noError)]],
  ];
  for (const [what, bytes] of ofStream) {
    it(`answers 502 for one that ${what}, and keeps its connection`, async () => {
      const upstream = await upstreamThat((connection) => {
        answering(() => bytes)(connection);
        void connection.wait(frameType.headers, 3).then(() => connection.send(headers(3, good)));
      });
      assert.equal(await status(post), 502);
      assert.equal(await status(get), 200);
      assert.equal(upstream.accepted, 1);
    });
  }

  const cut: readonly (readonly [string, readonly Buffer[]])[] = [
    ["sends more than it announced", [headers(1, [...good, ["content-length", "5"]], false), data(1, "too long")]],
    ["sends less than it announced", [headers(1, [...good, ["content-length", "5"]], false), data(1, "x")]],
    ["sends less, and trailers", [headers(1, [...good, ["content-length", "5"]], false), headers(1, [["x-t", "1"]])]],
    ["sends a second head without an end", [headers(1, good, false), headers(1, [["x-t", "1"]], false)]],
    ["sends a status in its trailers", [headers(1, good, false), headers(1, good)]],
    [
      "resets the stream within the body",
      [headers(1, good, false), data(1, "x", false), rstStream(1, errorCode.noError)],
    ],
    ["floods with empty DATA", [headers(1, good, false), Buffer.concat(Array(5_000).fill(data(1, "", false)))]],
  ];
  for (const [what, bytes] of cut) {
    it(`cuts the response short of one that ${what}`, async () => {
      await upstreamThat(answering(() => bytes));
      const client = await plane.connect();
      client.send(post);
      let text = "";
      let ended = false;
      client.socket.removeAllListeners("data");
      client.socket.on("data", (chunk: Buffer) => {
        text += chunk.toString("latin1");
      });
      client.socket.on("close", () => {
        ended = true;
      });
      client.socket.on("error", () => {});
      await until(() => ended, "the end");
      assert.ok(text === "" || text.startsWith("HTTP/1.1 200"), text);
      // Neither as long as announced, nor with the last chunk.
      assert.ok(!text.endsWith("0\r\n\r\n") && !/\r\n\r\n.{5}$/.test(text), text.slice(-100));
    });
  }

  it("answers 502 for interim answers without end", async () => {
    const hint = headers(
      1,
      [
        [":status", "103"],
        ["link", "x".repeat(4_000)],
      ],
      false,
    );
    await upstreamThat(answering(() => Array<Buffer>(20).fill(hint)));
    const client = await plane.connect();
    client.send(post);
    let text = "";
    client.socket.removeAllListeners("data");
    client.socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
    });
    await until(() => text.includes("HTTP/1.1 502"), "the status");
    assert.ok(text.length < 80_000);
    client.socket.destroy();
  });

  it("lets what an endpoint resets again and again harm nobody on the same connection", async () => {
    const upstream = await upstreamThat((connection) => {
      let served = 0;
      const serve = (): void => {
        for (const taken of connection.frames.splice(0)) {
          if (taken.type !== frameType.headers) continue;
          const { streamId } = taken;
          connection.send(++served % 2 === 0 ? headers(streamId, good) : rstStream(streamId, errorCode.internalError));
        }
      };
      connection.socket.on("data", serve);
      serve();
    });
    const client = await plane.connect();
    for (let count = 1; count <= 400; count++) {
      client.send(post);
      const [, code] = (await client.response()).startLine.split(" ");
      assert.equal(code, count % 2 === 0 ? "200" : "502");
    }
    assert.equal(upstream.accepted, 1);
    client.socket.destroy();
  });
});

/** Connections open on either side. */
function gauges(plane: TestPlane): number[] {
  const [buffer] = plane.plane.counters;
  return buffer === undefined ? [] : [...new Float64Array(buffer).slice(0, workerLayout.gauges)];
}
