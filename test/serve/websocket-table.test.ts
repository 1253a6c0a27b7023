/**
 * A table of what the WebSocket protocol can do, both ways, through every way in: plain, TLS and a stream of HTTP/2 (RFC 8441).
 * The server is not ours; the client is made of bytes, so that it can send what no library does.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { type AddressInfo, connect } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import { constants, deflateRawSync, inflateRawSync } from "node:zlib";
import { WebSocketServer } from "ws";
import { type Message, MessageReader, valuesOf } from "../support/message-reader.ts";
import { oneRoute, TestPlane, TestUpstream } from "../support/test-plane.ts";
import { closeFrame, encodeMasked, type Frame, frame, opcode, readFrame } from "../support/websocket-frames.ts";

const { continuation, text, binary, ping, pong } = opcode;
const key = "dGhlIHNhbXBsZSBub25jZQ==";
const accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/** Every byte, again and again. */
function bytes(size: number): Buffer {
  return Buffer.from(Array.from({ length: size }, (_, at) => (at * 31) & 0xff));
}

const sizes = [0, 1, 125, 126, 127, 128, 65_535, 65_536, 65_537, 1_048_576];
const invalidText = Buffer.from([0xce, 0xba, 0xe1, 0xbd, 0xb9, 0xcf, 0x83, 0xed, 0xa0, 0x80, 0xff, 0xfe]);

interface Row {
  readonly about: string;
  readonly send: readonly Frame[];
  readonly receive: readonly Frame[];
}

/** What a server that echoes messages answers. */
const rows: readonly Row[] = [
  ...sizes.flatMap((size) => [
    { about: `text of ${size} bytes`, ...same(frame(text, "*".repeat(size))) },
    { about: `${size} bytes`, ...same(frame(binary, bytes(size))) },
  ]),
  ...[0, 1, 125].map((size) => ({
    about: `a ping of ${size} bytes`,
    send: [frame(ping, bytes(size))],
    receive: [frame(pong, bytes(size))],
  })),
  {
    about: "ten pings in a row",
    send: Array.from({ length: 10 }, (_, at) => frame(ping, `${at}`)),
    receive: Array.from({ length: 10 }, (_, at) => frame(pong, `${at}`)),
  },
  { about: "a pong that nobody asked for", send: [frame(pong, "so"), frame(text, "on")], receive: [frame(text, "on")] },
  {
    about: "fragments, one of them empty",
    send: [part(text, "a"), part(continuation, ""), frame(continuation, "b")],
    receive: [frame(text, "ab")],
  },
  {
    about: "a thousand fragments of a byte",
    send: [part(binary, "x"), ...Array.from({ length: 998 }, () => part(continuation, "x")), frame(continuation, "x")],
    receive: [frame(binary, "x".repeat(1000))],
  },
  {
    about: "large fragments",
    send: [part(binary, bytes(65_536)), part(continuation, bytes(70_000)), frame(continuation, bytes(65_535))],
    receive: [frame(binary, Buffer.concat([bytes(65_536), bytes(70_000), bytes(65_535)]))],
  },
  {
    about: "a ping and a pong between fragments",
    send: [part(text, "a"), frame(ping, "p"), part(continuation, "b"), frame(pong, ""), frame(continuation, "c")],
    receive: [frame(pong, "p"), frame(text, "abc")],
  },
  {
    about: "a character cut in two by fragments",
    send: [part(text, Buffer.from([0xe2, 0x82])), frame(continuation, Buffer.from([0xac]))],
    receive: [frame(text, "€")],
  },
  { about: "text that is no UTF-8, for a server that does not mind", ...same(frame(text, invalidText)) },
  ...[1000, 1001, 1003, 1007, 1011, 1014, 3000, 3999, 4000, 4999].map((code) => ({
    about: `a close with ${code}`,
    ...same(closeFrame(code, "because")),
  })),
  { about: "a close with the longest reason", ...same(closeFrame(1000, "r".repeat(123))) },
  { about: "a close without a code", ...same(closeFrame()) },
  ...[0, 999, 1004, 1005, 1006, 1016, 2999, 5000, 65_535].map((code) =>
    fails(`a close with ${code}`, closeFrame(code)),
  ),
  fails("a ping of 126 bytes", frame(ping, bytes(126))),
  fails("a ping in two parts", part(ping, "p")),
  fails("a continuation of nothing", frame(continuation, "x")),
  fails("a message within a message", part(text, "a"), frame(text, "b")),
  ...[3, 7, 11, 15].map((code) => fails(`the reserved opcode ${code}`, frame(code, ""))),
  ...[1, 2, 4].map((reserved) => fails(`the reserved bit ${reserved}`, frame(text, "x", { reserved }))),
  fails("a close of one byte", frame(opcode.close, "x")),
];

function same(each: Frame): Pick<Row, "send" | "receive"> {
  return { send: [each], receive: [each] };
}

function part(code: number, payload: Buffer | string): Frame {
  return frame(code, payload, { fin: false });
}

/** The server ends the connection with 1002, and the client hears so. */
function fails(about: string, ...send: readonly Frame[]): Row {
  return { about, send, receive: [closeFrame(1002)] };
}

interface Opened {
  readonly stream: Duplex;
  readonly reader: MessageReader;
  readonly headers: Message["headers"];
}

const ways = ["plain", "TLS", "HTTP/2"] as const;

describe("the WebSocket protocol through Sluice", () => {
  let plane: TestPlane;
  let session: ClientHttp2Session;
  /** Echoes messages, whatever their text is. */
  let lenient: WebSocketServer;
  let strict: WebSocketServer;

  before(async () => {
    plane = await TestPlane.start();
    lenient = await echoServer(true);
    strict = await echoServer(false);
    lenient.on("connection", (socket, request) => {
      if (request.url !== "/first") return;
      for (const size of sizes) {
        socket.send("*".repeat(size));
        socket.send(bytes(size));
      }
      for (const size of [0, 1, 125]) socket.ping(bytes(size));
      socket.send("a", { fin: false });
      socket.ping("between");
      socket.send("b", { fin: true });
      socket.close(4001, "that was it");
    });
    await serve(lenient);
    session = connectHttp2(`https://127.0.0.1:${plane.plane.ports.https}`, { rejectUnauthorized: false });
    await once(session, "remoteSettings");
  });
  after(async () => {
    session.destroy();
    await plane.stop();
    lenient.close();
    strict.close();
  });

  async function serve(server: WebSocketServer): Promise<void> {
    await plane.publish(oneRoute([(server.address() as AddressInfo).port]));
  }

  for (const way of ways) {
    describe(`over ${way}`, () => {
      for (const { about, send, receive } of rows) {
        it(`carries ${about}`, async () => {
          const { stream, reader } = await open(way);
          for (const each of send) stream.write(encodeMasked(each));
          await expect(reader, receive);
          stream.destroy();
        });
      }

      it("carries the server's messages of every size, its pings, its fragments and its close", async () => {
        const { stream, reader } = await open(way, "/first");
        await expect(reader, [
          ...sizes.flatMap((size) => [frame(text, "*".repeat(size)), frame(binary, bytes(size))]),
          ...[0, 1, 125].map((size) => frame(ping, bytes(size))),
          part(text, "a"),
          frame(ping, "between"),
          frame(continuation, "b"),
          closeFrame(4001, "that was it"),
        ]);
        stream.write(encodeMasked(closeFrame(4001)));
        assert.equal(await reader.readToEnd(), "");
        stream.destroy();
      });

      it("carries frames that come byte by byte, and many that come at once", async () => {
        const { stream, reader } = await open(way);
        const frames = [frame(text, "one"), frame(ping, "two"), frame(binary, bytes(300))];
        const expected = [frame(text, "one"), frame(pong, "two"), frame(binary, bytes(300))];
        for (const byte of Buffer.concat(frames.map(encodeMasked))) {
          stream.write(Buffer.from([byte]));
          await new Promise((resolve) => setImmediate(resolve));
        }
        await expect(reader, expected);
        // Messages alone: a server takes pings that come faster than it can answer for an attack.
        const many = Array.from({ length: 200 }, (_, at) => [frame(text, `${at}`), frame(binary, bytes(300))]).flat();
        stream.write(Buffer.concat(many.map(encodeMasked)));
        await expect(reader, many);
        stream.destroy();
      });

      it("leaves it to the server to refuse text that is no UTF-8", async () => {
        await serve(strict);
        const { stream, reader } = await open(way);
        stream.write(encodeMasked(frame(text, invalidText)));
        await expect(reader, [closeFrame(1007)]);
        stream.destroy();
        await serve(lenient);
      });

      it("leaves subprotocols and extensions to the two ends", async () => {
        const offered = ["Sec-WebSocket-Protocol: chat.v1, chat.v2", "Sec-WebSocket-Extensions: permessage-deflate"];
        const { stream, reader, headers } = await open(way, "/", offered);
        assert.deepEqual(valuesOf(headers, "sec-websocket-protocol"), ["chat.v2"]);
        assert.deepEqual(valuesOf(headers, "sec-websocket-extensions"), ["permessage-deflate"]);
        const message = "again and ".repeat(10_000);
        stream.write(encodeMasked(frame(text, deflate(message), { reserved: 4 })));
        const answer = await readFrame(reader);
        assert.deepEqual([answer.opcode, answer.reserved], [text, 4]);
        assert.equal(inflate(answer.payload), message);
        stream.destroy();
      });

      it("passes an end of the client on, and what the server still says after it", async () => {
        const upstream = await TestUpstream.start((socket) => {
          const upstreamReader = new MessageReader(socket);
          const answer = async (): Promise<void> => {
            await upstreamReader.readHead();
            socket.write(
              `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
            );
            const all = await upstreamReader.readToEnd();
            socket.end(`${all} and then more`);
          };
          answer().catch(() => socket.destroy());
        });
        await plane.serve([upstream.port]);
        const { stream, reader } = await open(way);
        stream.end("all of it");
        assert.equal(await reader.readToEnd(), "all of it and then more");
        await upstream.stop();
        await serve(lenient);
      });
    });
  }

  it("is opened with one key, ours, for a client of HTTP/2 that sends one of its own", async () => {
    const keys: (string | readonly string[] | undefined)[] = [];
    lenient.once("connection", (_socket, request) => keys.push(request.headersDistinct["sec-websocket-key"]));
    const { stream, reader, headers } = await open("HTTP/2", "/", [`Sec-WebSocket-Key: ${key}`]);
    stream.write(encodeMasked(frame(text, "through")));
    await expect(reader, [frame(text, "through")]);
    stream.destroy();
    assert.deepEqual(
      keys.map((each) => each?.length),
      [1],
    );
    assert.notDeepEqual(keys, [[key]]);
    assert.deepEqual(valuesOf(headers, "sec-websocket-accept"), []);
  });

  async function open(way: (typeof ways)[number], path = "/", lines: readonly string[] = []): Promise<Opened> {
    if (way === "HTTP/2") return openStream(path, lines);
    const { http, https } = plane.plane.ports;
    const common = { host: "127.0.0.1", allowHalfOpen: true };
    const secure = { ...common, port: https, rejectUnauthorized: false };
    const stream = way === "plain" ? connect({ ...common, port: http }) : connectTls(secure);
    stream.on("error", () => {});
    await once(stream, way === "plain" ? "connect" : "secureConnect");
    const reader = new MessageReader(stream);
    const fixed = `Host: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n`;
    stream.write(
      `GET ${path} HTTP/1.1\r\n${fixed}Sec-WebSocket-Key: ${key}\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`,
    );
    const head = await reader.readHead();
    assert.equal(head?.startLine, "HTTP/1.1 101 Switching Protocols");
    assert.deepEqual(valuesOf(head.headers, "sec-websocket-accept"), [accept]);
    return { stream, reader, headers: head.headers };
  }

  async function openStream(path: string, lines: readonly string[]): Promise<Opened> {
    const fields = lines.map((line) => [
      line.slice(0, line.indexOf(":")).toLowerCase(),
      line.slice(line.indexOf(":") + 2),
    ]);
    const stream = session.request(
      {
        ":method": "CONNECT",
        ":protocol": "websocket",
        ":scheme": "https",
        ":path": path,
        ":authority": "a.example",
        "sec-websocket-version": "13",
        ...Object.fromEntries(fields),
      },
      { endStream: false },
    );
    stream.on("error", () => {});
    const [headers] = (await once(stream, "response")) as [Record<string, string | number>];
    assert.equal(headers[":status"], 200);
    return {
      stream,
      reader: new MessageReader(stream),
      headers: Object.entries(headers).map(([name, value]) => [name, String(value)]),
    };
  }
});

async function echoServer(skipUTF8Validation: boolean): Promise<WebSocketServer> {
  const server = new WebSocketServer({
    host: "127.0.0.1",
    port: 0,
    skipUTF8Validation,
    perMessageDeflate: { threshold: 0 },
    handleProtocols: (offered) => (offered.has("chat.v2") ? "chat.v2" : false),
  });
  server.on("connection", (socket) => {
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
    // It has told the client; the test asks what.
    socket.on("error", () => {});
  });
  await once(server, "listening");
  return server;
}

async function expect(reader: MessageReader, frames: readonly Frame[]): Promise<void> {
  for (const expected of frames) {
    const found = await readFrame(reader);
    assert.deepEqual([found.opcode, found.fin, found.reserved], [expected.opcode, expected.fin, expected.reserved]);
    assert.ok(found.payload.equals(expected.payload), `${found.payload.length} other bytes`);
  }
}

/** RFC 7692, 7.2.1: without the four bytes that every flush ends with. */
function deflate(message: string): Buffer {
  return deflateRawSync(message, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
}

function inflate(payload: Buffer): string {
  const whole = Buffer.concat([payload, Buffer.from([0, 0, 0xff, 0xff])]);
  return inflateRawSync(whole, { finishFlush: constants.Z_SYNC_FLUSH }).toString();
}
