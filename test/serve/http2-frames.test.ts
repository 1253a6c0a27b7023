/** What RFC 9113 calls an error, byte by byte over real connections: which error it is, and that nothing else suffers. */
import assert from "node:assert/strict";
import { flag, frameType, preface, setting } from "../../src/wire/http2/protocol.ts";
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
import { answering, ok, TestPlane, TestUpstream } from "../support/test-plane.ts";

type Fields = readonly (readonly [string, string])[];
type Row = readonly [what: string, bytes: readonly Buffer[], error: string];

const half = block(getFields).subarray(0, 10);
const openPost = headers(1, postFields, false);
const padded = (streamId: number, pad: number, content: string, flags = 0): Buffer =>
  frame(frameType.data, flag.padded | flags, streamId, Buffer.concat([Buffer.from([pad]), Buffer.from(content)]));

/** Errors of the connection: GOAWAY with that code, and the connection closes. */
const connectionErrors: readonly Row[] = [
  ["a frame longer than was allowed", [frame(frameType.data, 0, 1, Buffer.alloc(16_385))], "frameSizeError"],
  ["an unknown frame longer than was allowed", [frame(0x77, 0, 0, Buffer.alloc(16_385))], "frameSizeError"],
  ["DATA of the connection", [data(0, "x")], "protocolError"],
  ["DATA on an idle stream", [data(1, "x")], "protocolError"],
  ["DATA on a stream that only servers open", [data(2, "x")], "protocolError"],
  ["padding longer than its DATA", [openPost, padded(1, 9, "12345")], "protocolError"],
  ["padded DATA without a length of padding", [openPost, frame(frameType.data, flag.padded, 1)], "protocolError"],
  ["HEADERS of the connection", [headers(0, getFields)], "protocolError"],
  ["HEADERS on a stream that only servers open", [headers(2, getFields)], "protocolError"],
  ["HEADERS on a stream that was passed over", [headers(5, getFields), headers(3, getFields)], "protocolError"],
  [
    "padding longer than its HEADERS",
    [frame(frameType.headers, flag.endHeaders | flag.padded, 1, Buffer.concat([Buffer.from([200]), block(getFields)]))],
    "protocolError",
  ],
  [
    "HEADERS too short for the priority they announce",
    [frame(frameType.headers, flag.endHeaders | flag.priority, 1, "abc")],
    "frameSizeError",
  ],
  [
    "a header block that is no HPACK",
    [frame(frameType.headers, flag.endHeaders | flag.endStream, 1, Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f]))],
    "compressionError",
  ],
  ["CONTINUATION without HEADERS", [frame(frameType.continuation, flag.endHeaders, 1, half)], "protocolError"],
  [
    "CONTINUATION of another stream",
    [frame(frameType.headers, 0, 1, half), frame(frameType.continuation, flag.endHeaders, 3, half)],
    "protocolError",
  ],
  [
    "PING within a head",
    [frame(frameType.headers, 0, 1, half), frame(frameType.ping, 0, 0, "12345678")],
    "protocolError",
  ],
  ["an unknown frame within a head", [frame(frameType.headers, 0, 1, half), frame(0x77, 0, 1, "x")], "protocolError"],
  ["PRIORITY of the connection", [frame(frameType.priority, 0, 0, "\0\0\0\x01\0")], "protocolError"],
  ["PRIORITY of a wrong length", [frame(frameType.priority, 0, 1, "\0\0\0\x03")], "frameSizeError"],
  ["PRIORITY of a stream on itself", [frame(frameType.priority, 0, 1, "\0\0\0\x01\0")], "protocolError"],
  ["RST_STREAM of the connection", [rstStream(0, 8)], "protocolError"],
  ["RST_STREAM on an idle stream", [rstStream(1, 8)], "protocolError"],
  ["RST_STREAM of a wrong length", [openPost, frame(frameType.rstStream, 0, 1, "\0\0\0")], "frameSizeError"],
  ["SETTINGS of a stream", [frame(frameType.settings, 0, 1)], "protocolError"],
  ["SETTINGS of a wrong length", [frame(frameType.settings, 0, 0, "12345")], "frameSizeError"],
  ["an acknowledgement with content", [frame(frameType.settings, flag.ack, 0, "123456")], "frameSizeError"],
  ["SETTINGS_ENABLE_PUSH of 2", [settings([setting.enablePush, 2])], "protocolError"],
  ["a window of 2^31", [settings([setting.initialWindowSize, 2 ** 31])], "flowControlError"],
  ["frames of 16383 bytes", [settings([setting.maxFrameSize, 16_383])], "protocolError"],
  ["frames of 2^24 bytes", [settings([setting.maxFrameSize, 2 ** 24])], "protocolError"],
  ["SETTINGS_ENABLE_CONNECT_PROTOCOL of 2", [settings([setting.enableConnectProtocol, 2])], "protocolError"],
  [
    "SETTINGS that overflow the window of a stream",
    [openPost, windowUpdate(1, 2 ** 31 - 65_536), settings([setting.initialWindowSize, 65_536])],
    "flowControlError",
  ],
  ["PUSH_PROMISE", [frame(frameType.pushPromise, flag.endHeaders, 1, "\0\0\0\x02")], "protocolError"],
  ["PING of a stream", [frame(frameType.ping, 0, 1, "12345678")], "protocolError"],
  ["PING of a wrong length", [frame(frameType.ping, 0, 0, "1234567")], "frameSizeError"],
  ["GOAWAY of a stream", [frame(frameType.goaway, 0, 1, "\0\0\0\0\0\0\0\0")], "protocolError"],
  ["GOAWAY of a wrong length", [frame(frameType.goaway, 0, 0, "\0\0\0\0")], "frameSizeError"],
  ["WINDOW_UPDATE of a wrong length", [frame(frameType.windowUpdate, 0, 0, "\0\0\0")], "frameSizeError"],
  ["WINDOW_UPDATE of nothing on the connection", [windowUpdate(0, 0)], "protocolError"],
  ["WINDOW_UPDATE on an idle stream", [windowUpdate(1, 1)], "protocolError"],
  ["a connection's window that overflows", [windowUpdate(0, 2 ** 31 - 1)], "flowControlError"],
];

/** Errors of the stream 1: RST_STREAM with that code, and the connection goes on. */
const streamErrors: readonly Row[] = [
  ["WINDOW_UPDATE of nothing", [openPost, windowUpdate(1, 0)], "protocolError"],
  ["a stream's window that overflows", [openPost, windowUpdate(1, 2 ** 31 - 1)], "flowControlError"],
  ["DATA behind the end", [headers(1, [...getFields, ["x-wait", "1"]]), data(1, "x")], "streamClosed"],
  ["HEADERS behind the end", [headers(1, [...getFields, ["x-wait", "1"]]), headers(1, getFields)], "streamClosed"],
  ["a second head without an end", [openPost, headers(1, [["x-trailer", "1"]], false)], "protocolError"],
  ["trailers with a pseudo-header field", [openPost, headers(1, [[":path", "/other"]])], "protocolError"],
  ["trailers in upper case", [openPost, headers(1, [["X-Sum", "1"]])], "protocolError"],
  ["more DATA than announced", [lengthOf("3"), data(1, "1234", false)], "protocolError"],
  ["less DATA than announced", [lengthOf("5"), data(1, "1234")], "protocolError"],
  [
    "less DATA than announced, and trailers",
    [lengthOf("5"), data(1, "1234", false), headers(1, [["x-sum", "1"]])],
    "protocolError",
  ],
  ["a length announced, and no DATA", [headers(1, [...postFields, ["content-length", "5"]])], "protocolError"],
];

function lengthOf(length: string): Buffer {
  return headers(1, [...postFields, ["content-length", length]], false);
}

/** Requests that are malformed (8.2 and 8.3), all of them a stream error PROTOCOL_ERROR. */
const malformed: readonly (readonly [what: string, fields: Fields])[] = [
  ["a name in upper case", [...getFields, ["X-Upper", "1"]]],
  ["an empty name", [...getFields, ["", "1"]]],
  ["a blank in a name", [...getFields, ["x y", "1"]]],
  ["a colon in a name", [...getFields, ["x:y", "1"]]],
  ["a line break in a name", [...getFields, ["x\r\ny", "1"]]],
  ["a byte above ASCII in a name", [...getFields, ["x\xe9", "1"]]],
  ["CR in a value", [...getFields, ["x-a", "1\r2"]]],
  ["LF in a value", [...getFields, ["x-a", "1\n2"]]],
  ["NUL in a value", [...getFields, ["x-a", "1\x002"]]],
  ["a blank before a value", [...getFields, ["x-a", " 1"]]],
  ["a tab behind a value", [...getFields, ["x-a", "1\t"]]],
  ["CR LF in the path", replaced(":path", "/ HTTP/1.1\r\nX: y")],
  ["CR LF in the method", replaced(":method", "GET / HTTP/1.1\r\nX: y\r\n")],
  ["CR LF in the authority", replaced(":authority", "a.example\r\nX: y")],
  ["Connection", [...getFields, ["connection", "close"]]],
  ["Proxy-Connection", [...getFields, ["proxy-connection", "keep-alive"]]],
  ["Keep-Alive", [...getFields, ["keep-alive", "1"]]],
  ["Transfer-Encoding", [...getFields, ["transfer-encoding", "chunked"]]],
  ["Upgrade", [...getFields, ["upgrade", "h2c"]]],
  ["TE other than trailers", [...getFields, ["te", "gzip"]]],
  ["no method", getFields.slice(1)],
  ["no scheme", [getFields[0], getFields[2], getFields[3]]],
  ["no path", [getFields[0], getFields[1], getFields[3]]],
  ["an empty path", replaced(":path", "")],
  ["two methods", [getFields[0], ...getFields]],
  ["two paths", [...getFields, [":path", "/"]]],
  ["two authorities", [...getFields, [":authority", "a.example"]]],
  ["a pseudo-header field behind the others", [...getFields.slice(0, 3), ["x-a", "1"], [":authority", "a.example"]]],
  ["a pseudo-header field of answers", [...getFields, [":status", "200"]]],
  ["an unknown pseudo-header field", [...getFields, [":version", "2"]]],
  [
    "CONNECT with a path",
    [
      [":method", "CONNECT"],
      [":path", "/"],
      [":authority", "a.example:443"],
    ],
  ],
  ["CONNECT without an authority", [[":method", "CONNECT"]]],
  ["a protocol without CONNECT", [...getFields, [":protocol", "websocket"]]],
  [
    "an extended CONNECT without a path",
    [
      [":method", "CONNECT"],
      [":protocol", "websocket"],
      [":authority", "a.example"],
    ],
  ],
];

function replaced(name: string, value: string): Fields {
  return getFields.map(([key, before]) => [key, key === name ? value : before] as const);
}

/** What must be borne. */
const borne: readonly (readonly [what: string, bytes: readonly Buffer[]])[] = [
  ["frames and flags that nobody knows", [frame(0x77, 0xff, 0, "x"), frame(frameType.ping, 0xfe, 0, "12345678")]],
  ["settings that nobody knows", [settings([0x77, 1], [0xffff, 2 ** 32 - 1])]],
  ["a priority that is no longer one", [frame(frameType.priority, 0, 1, "\0\0\0\x03\x10")]],
  ["the reserved bit of identifiers and increments", [frame(frameType.windowUpdate, 0, 2 ** 31, uint32(2 ** 31 + 5))]],
  [
    "frames for a stream that was answered",
    [headers(1, getFields), windowUpdate(1, 5), frame(frameType.priority, 0, 1, "\0\0\0\0\0")],
  ],
  ["an end of the client's side without content", [headers(1, getFields, false), data(1, "")]],
  ["padding", [headers(1, postFields, false), padded(1, 5, "body12345", flag.endStream)]],
  ["nothing but padding", [headers(1, postFields, false), padded(1, 5, "12345", flag.endStream)]],
  [
    "a head in pieces, with padding and priority",
    [
      frame(
        frameType.headers,
        flag.endStream | flag.padded | flag.priority,
        1,
        Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 9]), half, Buffer.alloc(2)]),
      ),
      frame(frameType.continuation, 0, 1, ""),
      frame(frameType.continuation, flag.endHeaders, 1, block(getFields).subarray(10)),
    ],
  ],
  [
    "DATA for a stream that was reset by us",
    [headers(1, [...postFields, ["te", "gzip"]], false), data(1, "late"), headers(1, [["x-late", "1"]])],
  ],
];

describe("frames of HTTP/2 clients", () => {
  let plane: TestPlane;
  let upstream: TestUpstream;
  let client: RawHttp2;

  before(async () => {
    plane = await TestPlane.start();
    // It answers all but those that are to wait.
    upstream = await TestUpstream.start(
      answering(({ headers }) => (headers.some(([name]) => name.toLowerCase() === "x-wait") ? null : ok("answer"))),
    );
    await plane.serve([upstream.port]);
  });
  after(async () => {
    assert.equal(plane.plane.workerRestarts, 0);
    await plane.stop();
    await upstream.stop();
  });
  beforeEach(async () => {
    client = await RawHttp2.open(plane.plane.ports.https);
  });
  afterEach(() => client.close());

  for (const [what, bytes, error] of connectionErrors) {
    it(`ends the connection for ${what}`, async () => {
      client.send(...bytes);
      assert.equal(nameOf(await client.goneWith()), error);
    });
  }

  for (const [what, bytes, error] of streamErrors) {
    it(`resets the stream for ${what}`, async () => {
      client.send(...bytes);
      assert.equal(nameOf(await client.resetWith(1)), error);
      await client.serves(99);
    });
  }

  for (const [what, fields] of malformed) {
    it(`resets the stream for ${what}`, async () => {
      client.send(headers(1, fields));
      assert.equal(nameOf(await client.resetWith(1)), "protocolError");
      await client.serves(3);
    });
  }

  for (const [what, bytes] of borne) {
    it(`bears ${what}`, async () => {
      client.send(...bytes);
      await client.serves(99);
      assert.equal(client.find(frameType.goaway, 0), undefined);
    });
  }

  it("takes a connection byte by byte", async () => {
    const all = Buffer.concat([headers(1, postFields, false), padded(1, 3, "body123", flag.endStream)]);
    for (const byte of all) client.send(Buffer.from([byte]));
    assert.deepEqual([(await client.answer(1)).status, (await client.answer(1)).body], [200, "answer"]);
  });

  it("ends a connection that does not begin as one of HTTP/2", async () => {
    const port = plane.plane.ports.https;
    const wrong = await RawHttp2.open(port, frame(frameType.ping, 0, 0, "12345678"));
    assert.equal(nameOf(await wrong.goneWith()), "protocolError");
    const acknowledging = await RawHttp2.open(port, frame(frameType.settings, flag.ack, 0));
    assert.equal(nameOf(await acknowledging.goneWith()), "protocolError");
    client.send(preface);
    assert.ok(["protocolError", "frameSizeError"].includes(nameOf(await client.goneWith())));
  });

  it("acknowledges settings and answers pings", async () => {
    client.send(frame(frameType.ping, 0, 0, "abcdefgh"));
    const pong = await client.wait(frameType.ping, 0);
    assert.deepEqual([pong.flags, pong.payload.toString()], [flag.ack, "abcdefgh"]);
    assert.ok(client.frames.some(({ type, flags }) => type === frameType.settings && flags === flag.ack));
  });

  it("refuses streams above the limit, and serves the others", async () => {
    client.send(frame(frameType.settings, flag.ack, 0));
    const waiting: Fields = [...getFields, ["x-wait", "1"]];
    for (let index = 0; index < 101; index++) client.send(headers(index * 2 + 1, waiting));
    assert.equal(nameOf(await client.resetWith(201)), "refusedStream");
    client.send(rstStream(1, 8));
    await client.serves(203);
  });

  it("answers a head that is too large, in bytes or in fields, with 431", async () => {
    const long = "x".repeat(4_000);
    client.send(headers(1, [...getFields, ...Array.from({ length: 4 }, (_, index) => [`x-${index}`, long] as const)]));
    assert.equal((await client.answer(1)).status, 200);
    const parts = block([...getFields, ...Array.from({ length: 9 }, (_, index) => [`x-${index}`, long] as const)]);
    client.send(frame(frameType.headers, flag.endStream, 3, parts.subarray(0, 16_000)));
    client.send(frame(frameType.continuation, 0, 3, parts.subarray(16_000, 32_000)));
    client.send(frame(frameType.continuation, flag.endHeaders, 3, parts.subarray(32_000)));
    assert.equal((await client.answer(3)).status, 431);
    client.send(headers(5, [...getFields, ...Array.from({ length: 110 }, (_, index) => [`x-${index}`, ""] as const)]));
    assert.equal((await client.answer(5)).status, 431);
    await client.serves(7);
  });
});
