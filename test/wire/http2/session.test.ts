/**
 * Two sessions, one in each role, that talk to each other over bytes cut anywhere: whatever is sent arrives, whole and in
 * order, whatever the windows, pauses and cuts. What no session of ours would send is in test/serve/http2-frames.test.ts.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { HpackDecoder } from "../../../src/wire/hpack/decoder.ts";
import { HpackEncoder } from "../../../src/wire/hpack/encoder.ts";
import type { FieldList } from "../../../src/wire/http2/head-reader.ts";
import type { SessionOptions } from "../../../src/wire/http2/options.ts";
import { BlockPool } from "../../../src/wire/http2/output.ts";
import { errorCode, flag, frameType, preface, setting } from "../../../src/wire/http2/protocol.ts";
import { Session } from "../../../src/wire/http2/session.ts";
import type { SessionOwner } from "../../../src/wire/http2/session-owner.ts";
import type { Stream, StreamHandler } from "../../../src/wire/http2/stream.ts";
import { data, frame, headers, settings, windowUpdate } from "../../support/raw-http2.ts";

const generous = [1_000_000, 1_000_000] as const;
const pool = new BlockPool();

function optionsOf(role: "server" | "client", streamWindow: number): SessionOptions {
  return {
    role,
    settings: [[setting.initialWindowSize, streamWindow]],
    streamsAtMost: 100,
    streamWindow,
    connectionWindow: Math.max(65_535, streamWindow * 2),
    limits: { listSize: 32_768, fields: 110 },
    resets: generous,
    mistakes: generous,
    idleFrames: generous,
  };
}

/** One end of a stream: what it has heard. */
class End implements StreamHandler {
  readonly heads: FieldList[] = [];
  readonly parts: Buffer[] = [];
  trailers: readonly string[] = [];
  ends = 0;
  closedWith: number | null = null;
  /** Whether to pause after a part. */
  readonly #pauses: () => boolean;
  stream: Stream | null = null;

  constructor(pauses: () => boolean = () => false) {
    this.#pauses = pauses;
  }

  get body(): Buffer {
    return Buffer.concat(this.parts);
  }

  head(list: FieldList, ended: boolean): void {
    this.heads.push(list);
    if (ended) this.ends++;
  }

  data(part: Buffer): void {
    assert.equal(this.ends, 0, "a body goes on behind its end");
    this.parts.push(Buffer.from(part));
    if (this.#pauses()) this.stream?.pause();
  }

  ended(trailers: FieldList | null): void {
    this.ends++;
    this.trailers = trailers?.fields ?? [];
  }

  progressed(): void {}

  streamClosed(code: number): void {
    assert.equal(this.closedWith, null, "a stream is closed twice");
    this.closedWith = code;
  }
}

/** One side of a connection; `serve` gets the server's streams. */
class Side implements SessionOwner {
  readonly session: Session;
  error: number | null = null;
  readonly #serve: (stream: Stream, list: FieldList, ended: boolean) => void;

  constructor(role: "server" | "client", streamWindow: number, serve: Side["request"] = () => {}, blocks = pool) {
    this.#serve = serve;
    const codec = { decoder: new HpackDecoder(4096), encoder: new HpackEncoder() };
    this.session = new Session(this, optionsOf(role, streamWindow), codec, blocks);
    this.session.start();
  }

  sendSoon(): void {}
  settled(): void {}
  goingAway(): void {}

  failed(code: number): void {
    this.error = code;
  }

  request(stream: Stream, list: FieldList, ended: boolean): void {
    this.#serve(stream, list, ended);
  }

  sendHead(stream: Stream, fields: readonly (readonly [string, string])[], ended: boolean): void {
    const { encoder } = this.session.sender;
    encoder.begin();
    for (const [name, value] of fields) encoder.field(name, value);
    stream.sendHead(encoder.finish(), ended);
  }

  /** Opens a stream (role of the client). */
  ask(end: End, fields: readonly (readonly [string, string])[], ended: boolean): Stream {
    const stream = this.session.open(end);
    assert.ok(stream !== null);
    end.stream = stream;
    this.sendHead(stream, fields, ended);
    return stream;
  }

  /** Everything that there is to write. */
  takeAll(): Buffer {
    const parts: Buffer[] = [];
    for (let bytes = this.session.take(); bytes !== null; bytes = this.session.take()) {
      parts.push(bytes);
      this.session.sender.pump();
    }
    return Buffer.concat(parts);
  }
}

/**
 * Carries bytes both ways, in pieces of these lengths, until there are none for long; `between` is called before each round,
 * and may bring a part of a body to its reader that no bytes follow.
 */
function carry(one: Side, other: Side, pieces: readonly number[] = [], between: () => void = () => {}): void {
  let piece = 0;
  for (let idle = 0; idle < 50; ) {
    between();
    let moved = 0;
    for (const [from, to] of [[one, other] as const, [other, one] as const]) {
      const bytes = from.takeAll();
      moved += bytes.length;
      for (let at = 0; at < bytes.length; ) {
        const length = pieces.length === 0 ? bytes.length : (pieces[piece++ % pieces.length] ?? bytes.length);
        to.session.receive(Buffer.from(bytes.subarray(at, at + length)), 0);
        at += length;
      }
    }
    idle = moved === 0 ? idle + 1 : 0;
  }
}

const request = [
  [":method", "POST"],
  [":scheme", "https"],
  [":path", "/"],
  [":authority", "a.example"],
] as const;

describe("an HTTP/2 session", () => {
  it("carries bodies and trailers of many streams both ways, whatever the windows, pauses and cuts", () => {
    const streams = fc.array(fc.array(fc.integer({ min: 1, max: 40_000 }), { maxLength: 6 }), {
      minLength: 1,
      maxLength: 6,
    });
    const windows = fc.constantFrom(1, 10, 1_000, 16_384, 65_536);
    const cuts = fc.array(fc.integer({ min: 1, max: 30_000 }), { maxLength: 5 });
    fc.assert(
      fc.property(
        streams,
        windows,
        windows,
        cuts,
        fc.infiniteStream(fc.boolean()),
        (bodies, up, down, pieces, coins) => {
          // Bodies of small windows are small: a byte a round trip takes its time.
          const most = Math.min(up, down) < 1_000 ? 20 : 40_000;
          const pauses = (): boolean => coins.next().value === true;
          const served: End[] = [];
          const server = new Side("server", up, (stream) => {
            const end = new End(pauses);
            end.stream = stream;
            stream.handler = end;
            served.push(end);
            server.sendHead(stream, [[":status", "200"]], false);
          });
          const client = new Side("client", down);
          // Before it knows the settings of the other, each may send 65,535 bytes.
          carry(client, server);
          const asked = bodies.map(() => new End(pauses));
          const parts = bodies.map((lengths, index) =>
            lengths.map((length) => Buffer.alloc(Math.min(length, most), 65 + index)),
          );
          for (const [index, end] of asked.entries()) {
            const stream = client.ask(end, request, false);
            for (const part of parts[index] ?? []) stream.write(part);
            stream.end(`X-Stream: ${index}\r\n`);
          }
          let answered = false;
          carry(client, server, pieces, () => {
            for (const { stream } of [...asked, ...served]) stream?.resume();
            if (answered || served.length < bodies.length) return;
            answered = true;
            for (const [index, { stream }] of served.entries()) {
              for (const part of parts[index] ?? []) stream?.write(part);
              stream?.end(index % 2 === 0 ? "" : `X-Answer: ${index}\r\n`);
            }
          });
          assert.deepEqual([client.error, server.error], [null, null]);
          for (const [index, body] of parts.map((list) => Buffer.concat(list)).entries()) {
            const [there, back] = [served[index], asked[index]];
            assert.ok(there !== undefined && back !== undefined);
            assert.ok(there.body.equals(body) && back.body.equals(body), `stream ${index}`);
            assert.deepEqual([there.ends, back.ends, there.closedWith, back.closedWith], [1, 1, -1, -1]);
            assert.deepEqual(there.trailers, ["x-stream", String(index)]);
            assert.deepEqual(back.trailers, index % 2 === 0 ? [] : ["x-answer", String(index)]);
          }
          assert.deepEqual([client.session.streamCount, server.session.streamCount], [0, 0]);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("survives any bytes", () => {
    const types = fc.integer({ min: 0, max: 11 });
    const payload = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));
    const frames = fc.array(
      fc.tuple(types, fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 9 }), payload),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(frames, (list) => {
        const server = new Side("server", 65_536, (stream) => {
          stream.handler = new End();
          server.sendHead(stream, [[":status", "200"]], false);
        });
        const client = new Side("client", 65_536);
        server.session.receive(client.takeAll(), 0);
        client.ask(new End(), request, false);
        server.session.receive(client.takeAll(), 0);
        client.session.receive(server.takeAll(), 0);
        for (const side of [server, client]) {
          for (const [type, flags, streamId, bytes] of list) {
            side.session.receive(frame(type, flags, streamId, bytes), 0);
          }
          side.session.abandon();
          assert.equal(side.session.streamCount, 0);
        }
      }),
      { numRuns: 500 },
    );
  });

  it("lets the streams that wait take turns, a frame each", () => {
    const client = new Side("client", 1_000_000);
    const server = new Side("server", 65_536, (stream) => {
      stream.handler = new End();
      server.sendHead(stream, [[":status", "200"]], false);
      stream.write(Buffer.alloc(200_000, 120));
      stream.end("");
    });
    server.session.receive(client.takeAll(), 0);
    for (let count = 0; count < 3; count++) client.ask(new End(), request, true);
    server.session.receive(client.takeAll(), 0);
    const order: number[] = [];
    const bytes = server.takeAll();
    for (let at = 0; at < bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
      if (bytes[at + 3] === frameType.data) order.push(bytes.readUInt32BE(at + 5));
    }
    // The first had the connection to itself; as soon as another waits, none is passed over.
    const together = order.slice(order.indexOf(3), order.lastIndexOf(1) + 1);
    for (let at = 0; at + 3 <= together.length; at += 3) {
      assert.deepEqual(together.slice(at, at + 3).toSorted(), [1, 3, 5], order.join(" "));
    }
    assert.ok(together.length >= 20);
  });

  it("sends an answer of a few bytes in one piece, its end in its last frame", () => {
    const server = new Side("server", 65_536, (stream) => {
      stream.handler = new End();
      server.sendHead(stream, [[":status", "200"]], false);
      stream.write(Buffer.from("hello"));
      stream.end("");
    });
    const client = new Side("client", 65_536);
    server.session.receive(client.takeAll(), 0);
    server.takeAll();
    client.ask(new End(), request, true);
    server.session.receive(client.takeAll(), 0);
    const bytes = server.session.take() ?? Buffer.alloc(0);
    const second = 9 + bytes.readUIntBE(0, 3);
    assert.deepEqual([bytes[3], bytes[4]], [frameType.headers, flag.endHeaders]);
    assert.deepEqual([bytes[second + 3], bytes[second + 4]], [frameType.data, flag.endStream]);
    assert.equal(bytes.toString("latin1", second + 9), "hello");
  });

  it("holds no block of memory while nothing waits", () => {
    let taken = 0;
    class CountingPool extends BlockPool {
      override take(length: number): Buffer {
        taken++;
        return super.take(length);
      }
      override give(block: Buffer): void {
        taken--;
        super.give(block);
      }
    }
    const side = new Side("client", 65_536, () => {}, new CountingPool());
    assert.equal(taken, 1);
    side.takeAll();
    assert.equal(taken, 0);
  });

  it("keeps windows that a peer makes smaller than what is under way", () => {
    const server = new Side("server", 65_536, (stream) => {
      stream.handler = new End();
      server.sendHead(stream, [[":status", "200"]], false);
      stream.write(Buffer.alloc(100_000, 120));
      stream.end("");
    });
    const client = new Side("client", 65_535);
    server.session.receive(client.takeAll(), 0);
    client.ask(new End(), request, true);
    server.session.receive(client.takeAll(), 0);
    const sent = bytesOfData(server.takeAll());
    assert.ok(sent > 60_000 && sent <= 65_535);
    // What is out is more than the window now allows: that has to be made up for first.
    server.session.receive(settings([setting.initialWindowSize, 100]), 0);
    server.session.receive(windowUpdate(0, 1_000_000), 0);
    server.session.receive(windowUpdate(1, sent - 100), 0);
    assert.equal(bytesOfData(server.takeAll()), 0);
    server.session.receive(windowUpdate(1, 2_000), 0);
    assert.equal(bytesOfData(server.takeAll()), 2_000);
  });

  it("holds the peer to the windows: of a stream, and of all of them together", () => {
    const ends: End[] = [];
    const serve = (): Side => {
      const server = new Side("server", 65_536, (stream) => {
        const end = new End();
        stream.handler = end;
        ends.push(end);
        stream.pause();
      });
      const ask = [1, 3, 5].map((id) => headers(id, request, false));
      server.session.receive(Buffer.concat([preface, settings(), ...ask]), 0);
      return server;
    };
    const part = Buffer.alloc(16_384);
    const window = (id: number): Buffer[] => [1, 2, 3, 4].map(() => data(id, part, false));
    const one = serve();
    one.session.receive(Buffer.concat(window(1)), 0);
    assert.deepEqual([one.error, ends[0]?.closedWith], [null, null]);
    one.session.receive(data(1, "x", false), 0);
    assert.deepEqual([one.error, ends[0]?.closedWith, ends[1]?.closedWith], [null, errorCode.flowControlError, null]);

    const all = serve();
    // What nobody takes of two streams fills the window of the connection, which is twice theirs.
    all.session.receive(Buffer.concat([...window(1), ...window(3)]), 0);
    assert.equal(all.error, null);
    all.session.receive(data(5, "x", false), 0);
    assert.equal(all.error, errorCode.flowControlError);
  });

  it("tells the owner of a request that the server will not begin on it", () => {
    const client = new Side("client", 65_536);
    const ends = [new End(), new End()];
    for (const end of ends) client.ask(end, request, true);
    client.session.receive(Buffer.concat([settings(), frame(frameType.goaway, 0, 0, "\0\0\0\x01\0\0\0\0")]), 0);
    assert.deepEqual(
      ends.map(({ closedWith }) => closedWith),
      [null, errorCode.refusedStream],
    );
  });

  it("takes interim answers, and no answer that is none", () => {
    const rows: readonly (readonly [fields: readonly (readonly [string, string])[], ended: boolean, good: boolean])[] =
      [
        [[[":status", "103"]], false, true],
        [[[":status", "103"]], true, false],
        [[[":status", "101"]], false, false],
        [[[":status", "20"]], false, false],
        [[["server", "x"]], false, false],
        [
          [
            [":status", "200"],
            [":path", "/"],
          ],
          false,
          false,
        ],
        [
          [
            [":status", "200"],
            ["connection", "close"],
          ],
          false,
          false,
        ],
        [[[":status", "999"]], true, true],
      ];
    for (const [fields, ended, good] of rows) {
      const client = new Side("client", 65_536);
      const end = new End();
      client.ask(end, request, true);
      client.session.receive(Buffer.concat([settings(), headers(1, fields, ended)]), 0);
      const told = good ? [1, ended ? -1 : null] : [0, errorCode.protocolError];
      assert.deepEqual([end.heads.length, end.closedWith], told, JSON.stringify(fields));
      assert.equal(client.error, null);
    }
  });

  it("gives a head that is sent again the same list, until the table changes", () => {
    const lists: FieldList[] = [];
    const server = new Side("server", 65_536, (stream, list) => {
      stream.handler = new End();
      lists.push(list);
    });
    const client = new Side("client", 65_536);
    const ask = (path: string): void => {
      const end = new End();
      client.ask(end, [...request.slice(0, 2), [":path", path], [":authority", "a.example"]], true);
      carry(client, server);
    };
    for (const path of ["/", "/", "/", "/", "/other", "/"]) ask(path);
    assert.deepEqual(
      lists.map(({ fields }) => fields[fields.indexOf(":path") + 1]),
      ["/", "/", "/", "/", "/other", "/"],
    );
    assert.equal(lists[2], lists[3]);
    assert.equal(lists[3]?.repeated, true);
    assert.notEqual(lists[3], lists[4]);
  });
});

function bytesOfData(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
    if (bytes[at + 3] === frameType.data) sum += bytes.readUIntBE(at, 3);
  }
  return sum;
}
