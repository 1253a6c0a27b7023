/**
 * Clients of HTTP/2 that make work and mean nothing by it: each is sent away with ENHANCE_YOUR_CALM before it costs others
 * anything, and those who do a little of the same honestly are served. Raw frames over real connections.
 */
import assert from "node:assert/strict";
import { http2OffenceSlot } from "../../src/serve/metrics/shared.ts";
import { flag, frameType, type Offence, setting } from "../../src/wire/http2/protocol.ts";
import {
  block,
  data,
  frame,
  getFields,
  headers,
  nameOf,
  postFields,
  RawHttp2,
  rstStream,
  settings,
  uint32,
  windowUpdate,
} from "../support/raw-http2.ts";
import { answering, ok, TestPlane, TestUpstream, until } from "../support/test-plane.ts";

const large = 2 ** 31 - 1;
const idOf = (index: number): number => index * 2 + 1;
const half = block(getFields).subarray(0, 10);

/** The beginning, what is sent again and again, how often at most, and what it is counted as. */
type Flood = readonly [
  what: string,
  first: readonly Buffer[],
  again: (index: number) => Buffer,
  times: number,
  reason: Offence,
];

const floods: readonly Flood[] = [
  [
    "streams that are reset at once (CVE-2023-44487)",
    [],
    (index) => Buffer.concat([headers(idOf(index), getFields), rstStream(idOf(index), 8)]),
    400,
    "resets",
  ],
  [
    "streams that have themselves reset (CVE-2025-8671)",
    [],
    (index) => Buffer.concat([headers(idOf(index), postFields, false), windowUpdate(idOf(index), 0)]),
    400,
    "mistakes",
  ],
  ["requests that are malformed", [], (index) => headers(idOf(index), [...getFields, ["te", "gzip"]]), 400, "mistakes"],
  [
    "requests that are refused",
    [],
    (index) => headers(idOf(index), [...getFields, ["host", "b.example"]]),
    400,
    "mistakes",
  ],
  ["DATA for streams that have ended", [headers(1, getFields)], () => data(1, "x", false), 10_000, "frames"],
  [
    "CONTINUATION without content (CVE-2024-27316)",
    [frame(frameType.headers, 0, 1, half)],
    () => frame(frameType.continuation, 0, 1),
    10_000,
    "frames",
  ],
  [
    "CONTINUATION without end (CVE-2024-27316)",
    [frame(frameType.headers, 0, 1, half)],
    () => frame(frameType.continuation, 0, 1, Buffer.alloc(1_000, 0x82)),
    200,
    "head",
  ],
  ["PING (CVE-2019-9512)", [], () => frame(frameType.ping, 0, 0, "12345678"), 10_000, "frames"],
  ["SETTINGS (CVE-2019-9515)", [], () => settings(), 10_000, "frames"],
  [
    "SETTINGS that change all windows",
    [],
    (index) => settings(...Array.from({ length: 100 }, () => [setting.initialWindowSize, index] as const)),
    2_000,
    "frames",
  ],
  ["acknowledgements", [], () => frame(frameType.settings, flag.ack, 0), 10_000, "frames"],
  [
    "DATA without content (CVE-2019-9518)",
    [headers(1, postFields, false)],
    () => frame(frameType.data, 0, 1),
    10_000,
    "frames",
  ],
  [
    "DATA of padding alone",
    [headers(1, postFields, false)],
    () => frame(frameType.data, flag.padded, 1, Buffer.from([1, 0])),
    10_000,
    "frames",
  ],
  ["WINDOW_UPDATE", [], () => windowUpdate(0, 1), 10_000, "frames"],
  [
    "windows of one byte (CVE-2019-9511, CVE-2019-9517)",
    [settings([setting.initialWindowSize, 0]), headers(1, [...getFields, ["x-large", "1"]])],
    () => windowUpdate(1, 1),
    10_000,
    "frames",
  ],
  [
    "PRIORITY (CVE-2019-9513)",
    [],
    (index) => frame(frameType.priority, 0, idOf(index), "\0\0\0\0\x10"),
    10_000,
    "frames",
  ],
  [
    "RST_STREAM for a stream that is over (CVE-2019-9514)",
    [headers(1, getFields), rstStream(1, 8)],
    () => rstStream(1, 8),
    10_000,
    "frames",
  ],
  ["GOAWAY", [], () => frame(frameType.goaway, 0, 0, Buffer.concat([uint32(0), uint32(0)])), 10_000, "frames"],
  ["frames of an unknown type", [], () => frame(0x77, 0, 0, "x"), 10_000, "frames"],
];

describe("floods of HTTP/2 frames", () => {
  let plane: TestPlane;
  let upstream: TestUpstream;
  let asked = 0;

  before(async () => {
    plane = await TestPlane.start();
    upstream = await TestUpstream.start(
      answering(({ headers: sent }) => {
        asked++;
        return ok(sent.some(([name]) => name.toLowerCase() === "x-large") ? "z".repeat(50_000) : "answer");
      }),
    );
  });
  after(async () => {
    assert.equal(plane.plane.workerRestarts, 0);
    await plane.stop();
    await upstream.stop();
  });
  function ended(reason: Offence): number {
    return (
      new Float64Array(plane.plane.counters[0] ?? new SharedArrayBuffer(0))[http2OffenceSlot("client", reason)] ?? 0
    );
  }
  beforeEach(async () => {
    asked = 0;
    await plane.serve([upstream.port]);
  });

  for (const [what, first, again, times, reason] of floods) {
    it(`ends with a client that sends too many: ${what}`, async () => {
      const client = await RawHttp2.open(plane.plane.ports.https);
      const honest = await RawHttp2.open(plane.plane.ports.https);
      const before = ended(reason);
      client.send(...first);
      for (let index = 0; index < times && !client.closed; index += 20) {
        client.send(...Array.from({ length: 20 }, (_, step) => again(index + step + 1)));
        if (index % 200 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      assert.equal(nameOf(await client.goneWith()), "enhanceYourCalm");
      assert.ok(asked <= 250, `${asked} requests reached the upstream`);
      await until(() => ended(reason) === before + 1, `the count of ${reason}`);
      await honest.serves(1);
      honest.close();
    });
  }

  it("are told in the log with whom they came from, once a second at most", async () => {
    // Of its own: what was told of others in this second counts, too.
    const other = await TestPlane.start();
    const flood = Buffer.concat(Array(5_000).fill(frame(frameType.ping, 0, 0, "12345678")));
    const clients = await Promise.all(Array.from({ length: 20 }, () => RawHttp2.open(other.plane.ports.https)));
    const from = performance.now();
    for (const client of clients) client.send(flood);
    await Promise.all(clients.map((client) => client.goneWith()));
    const told = (): readonly object[] =>
      other.events.filter(({ message }) => message === "a client of HTTP/2 was sent away").map(({ fields }) => fields);
    await until(() => told().length > 0, "the line");
    assert.deepEqual(told()[0], { peer: "127.0.0.1", reason: "it sends too many frames that bring nothing forward" });
    const seconds = Math.ceil((performance.now() - from) / 1_000);
    assert.ok(told().length <= seconds + 1, `${told().length} lines in ${seconds} s`);
    await other.stop();
  });

  it("are not what a client is counted for that breaks the protocol", async () => {
    const before = ended("protocol");
    const client = await RawHttp2.open(plane.plane.ports.https);
    client.send(frame(frameType.data, 0, 0, "x"));
    assert.equal(nameOf(await client.goneWith()), "protocolError");
    await until(() => ended("protocol") === before + 1, "the count");
  });

  it("serves a client that sends a little of everything with each of its many requests", async () => {
    const client = await RawHttp2.open(plane.plane.ports.https);
    client.send(windowUpdate(0, 2 ** 20));
    for (let index = 0; index < 3_000; index++) {
      const id = idOf(index);
      client.send(headers(id, getFields), frame(0x10, 0, 0, `${"\0\0\0\x01"}u=3`), windowUpdate(0, 6));
      if (index % 50 === 49) await client.answer(id);
    }
    assert.equal(client.find(frameType.goaway, 0), undefined);
    client.close();
  });

  it("serves a client that opens the window for every frame of a long answer", async () => {
    const total = 20 * 1024 * 1024;
    const long = await TestUpstream.start(answering(() => ok("y".repeat(total))));
    await plane.serve([long.port]);
    const client = await RawHttp2.open(plane.plane.ports.https);
    client.send(headers(1, getFields));
    for (let seen = 0; client.bytes < total; ) {
      await until(() => client.frames.length > seen || client.closed, "the next frame");
      assert.equal(client.closed, false);
      for (; seen < client.frames.length; seen++) {
        const { type, payload } = client.frames[seen] ?? { type: -1, payload: Buffer.alloc(0) };
        if (type === frameType.data) client.send(windowUpdate(0, payload.length), windowUpdate(1, payload.length));
      }
      client.frames.splice(0, seen);
      seen = 0;
    }
    assert.equal(client.bytes, total);
    client.close();
    await long.stop();
  });

  it("reads no more from an upstream than the socket of a client takes whose windows are wide open", async () => {
    let sent = 0;
    const endless = await TestUpstream.start((socket) => {
      const part = Buffer.alloc(65_536, 120);
      const fill = (): void => {
        for (sent += part.length; socket.write(part); sent += part.length);
      };
      socket.once("data", () => {
        socket.write("HTTP/1.1 200 OK\r\n\r\n");
        socket.on("drain", fill);
        fill();
      });
    });
    await plane.serve([endless.port]);
    const client = await RawHttp2.open(plane.plane.ports.https, settings([setting.initialWindowSize, large]));
    client.send(windowUpdate(0, large - 65_535), headers(1, getFields));
    await client.wait(frameType.headers, 1);
    client.socket.pause();
    let before = -1;
    await until(() => {
      const still = sent === before;
      before = sent;
      return still;
    }, "the flow to stop");
    assert.ok(sent < 32 * 1024 * 1024, `${sent} bytes were taken for a client that reads nothing`);
    // It is still there, and gets the rest when it reads.
    const { bytes } = client;
    client.socket.resume();
    await until(() => client.bytes > bytes + 32 * 1024 * 1024, "more of the answer");
    client.close();
    await endless.stop();
  });

  it("keeps little of a hundred answers for a client that opens no window (CVE-2019-9517)", async () => {
    let sent = 0;
    const filling = await TestUpstream.start((socket) => {
      const part = Buffer.alloc(65_536, 120);
      const fill = (): void => {
        for (sent += part.length; !socket.destroyed && socket.write(part); sent += part.length);
      };
      socket.once("data", () => {
        socket.write("HTTP/1.1 200 OK\r\n\r\n");
        socket.on("drain", fill);
        fill();
      });
    });
    await plane.serve([filling.port]);
    const client = await RawHttp2.open(plane.plane.ports.https, settings([setting.initialWindowSize, 0]));
    const fields = [...getFields.filter(([name]) => name !== ":path"), [":path", "/no-window"]] as const;
    client.send(...Array.from({ length: 100 }, (_, index) => headers(idOf(index), fields)));
    await client.wait(frameType.headers, idOf(99));
    let before = -1;
    let quiet = 0;
    await until(() => {
      quiet = sent === before ? quiet + 1 : 0;
      before = sent;
      return quiet === 40;
    }, "the flow to stop");
    client.close();
    const lines = (): typeof plane.lines => plane.lines.filter(({ path }) => path === "/no-window");
    await until(() => lines().length === 100, "the access log");
    const taken = lines().reduce((sum, line) => sum + Number(line.upstream_bytes), 0);
    assert.ok(taken < 6 * 1024 * 1024, `${taken} bytes were taken`);
    await filling.stop();
  });

  it("keeps of a body that nobody reads no more than the windows", async () => {
    const deaf = await TestUpstream.start((socket) => socket.pause());
    await plane.serve([deaf.port], { bodySize: { limit: 0 } });
    const client = await RawHttp2.open(plane.plane.ports.https);
    const part = Buffer.alloc(16_384, 98);
    const opened = (streamId: number): number =>
      client.frames
        .filter(({ type, streamId: of }) => type === frameType.windowUpdate && of === streamId)
        .reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 65_536);
    client.send(headers(1, postFields, false));
    // As much as the windows allow, until none is opened any more.
    let sent = 0;
    let quiet = 0;
    await until(() => {
      const room = opened(1) - sent;
      quiet = room < part.length ? quiet + 1 : 0;
      for (let left = room; left >= part.length && sent < 64 * 1024 * 1024; left -= part.length) {
        client.send(data(1, part, false));
        sent += part.length;
      }
      return quiet > 50;
    }, "the windows to stay closed");
    assert.ok(sent < 32 * 1024 * 1024, `${sent} bytes were taken for an upstream that reads nothing`);
    client.send(data(1, part, false), data(1, part, false), data(1, part, false), data(1, part, false), data(1, part));
    assert.equal(nameOf(await client.resetWith(1)), "flowControlError");
    client.close();
    await deaf.stop();
  });
});
