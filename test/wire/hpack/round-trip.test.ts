/**
 * Random fields and random bytes: what our encoder writes, our decoder and nghttp2 read as the same fields; what nghttp2
 * writes, our decoder reads; and whatever bytes come, a decoder gives fields or an error and stays within its bounds.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Http2Server, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { type AddressInfo, connect, type Socket } from "node:net";
import fc from "fast-check";
import { HpackDecoder } from "../../../src/wire/hpack/decoder.ts";
import { DecoderTable } from "../../../src/wire/hpack/decoder-table.ts";
import { HpackEncoder } from "../../../src/wire/hpack/encoder.ts";

const limits = { listSize: 1_000_000, fields: 1000 };

/** Fields that belong there once may be there several times: a spread, since the types do not know of it. */
const anyFields = { strictSingleValueFields: false };

const name = fc.oneof(
  fc.constantFrom("content-type", "x-request-id", "date", "cookie", "set-cookie", "content-length", "accept", "vary"),
  fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/).map((text) => `x-${text}`),
  fc.constant(`x-${"long".repeat(30)}`),
);
const value = fc.oneof(
  fc.constantFrom("", "text/html", "gzip, deflate", "0", "private"),
  fc.stringMatching(/^([!-~\x80-\xff]([ -~\x80-\xff]{0,60}[!-~\x80-\xff])?)?$/),
  fc.integer({ min: 100, max: 5000 }).map((length) => "v".repeat(length)),
);
const fields = fc.array(fc.tuple(name, value), { maxLength: 12 });
/** Several heads, with parts in common, as on a connection, and what the other side says of its table in between. */
const heads = fc.array(fc.tuple(fields, fc.option(fc.constantFrom(0, 50, 200, 1000, 4096, 65_536), { freq: 8 })), {
  minLength: 1,
  maxLength: 12,
});

function spelled(name: string, upper: boolean): string {
  return upper ? name.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase()) : name;
}

describe("fields of HTTP/2", () => {
  it("are read as they were written, by name and value or as lines", () => {
    fc.assert(
      fc.property(heads, fc.boolean(), (blocks, asLines) => {
        const encoder = new HpackEncoder();
        const decoder = new HpackDecoder(4096);
        for (const [head, size] of [...blocks, ...blocks]) {
          if (size !== null) encoder.setMaxTableSize(size);
          encoder.begin();
          if (asLines) encoder.fieldLines(head.map(([n, v]) => `${spelled(n, v.length % 2 === 0)}: ${v}\r\n`).join(""));
          else for (const [n, v] of head) encoder.field(n, v);
          const block = Buffer.from(encoder.finish());
          const out: string[] = [];
          assert.equal(decoder.decode(block, 0, block.length, limits, out), null);
          assert.deepEqual(out, head.flat());
          const before = decoder.generation;
          for (const n of decoder.neverIndexed) assert.ok(/cookie/.test(n), n);
          assert.equal(decoder.generation, before);
        }
      }),
    );
  });

  it("stay apart when encoders take turns", () => {
    fc.assert(
      fc.property(heads, heads, (one, other) => {
        const sides = [one, other].map((blocks) => ({
          blocks,
          encoder: new HpackEncoder(),
          decoder: new HpackDecoder(4096),
        }));
        for (let turn = 0; turn < 12; turn++) {
          for (const { blocks, encoder, decoder } of sides) {
            const head = blocks[turn % blocks.length]?.[0] ?? [];
            encoder.begin();
            encoder.fieldLines(head.map(([n, v]) => `${n}: ${v}\r\n`).join(""));
            const block = encoder.finish();
            const out: string[] = [];
            assert.equal(decoder.decode(block, 0, block.length, limits, out), null);
            assert.deepEqual(out, head.flat());
          }
        }
      }),
      { numRuns: 30 },
    );
  });
});

describe("a decoder of hostile bytes", () => {
  const random = fc.uint8Array({ maxLength: 200 });
  const near = fc
    .array(
      fc.oneof(
        fc.constantFrom(
          "82",
          "88",
          "be",
          "c1",
          "400161",
          "0162",
          "0001",
          "7f00",
          "3fe11f",
          "20",
          "ff",
          "1081",
          "8cf1e3c2",
        ),
        fc.constantFrom("40850161", "7e0363", "0f2f0132", "418cf1e3c2e5f23a6ba0ab90f4ff", "5886a8eb10649cbf"),
      ),
      { maxLength: 40 },
    )
    .map((parts) => Uint8Array.from(Buffer.from(parts.join(""), "hex")));

  it("gives fields or an error, within its limits, and goes on after a list that is too large", () => {
    const tight = { listSize: 2000, fields: 20 };
    fc.assert(
      fc.property(fc.array(fc.oneof(random, near), { maxLength: 20 }), (blocks) => {
        const decoder = new HpackDecoder(4096);
        for (const bytes of blocks) {
          const out = ["before", "it"];
          const error = decoder.decode(Buffer.from(bytes), 0, bytes.length, tight, out);
          if (error !== null) assert.deepEqual(out, ["before", "it"]);
          assert.ok(out.length <= 2 + 2 * tight.fields);
          assert.ok(out.slice(2).reduce((sum, text) => sum + text.length + 16, 0) <= tight.listSize);
          if (error === "compression-error") break;
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("reads nothing outside of the block", () => {
    fc.assert(
      fc.property(fc.oneof(random, near), random, random, (block, before, behind) => {
        const alone: string[] = [];
        const within: string[] = [];
        const bytes = Buffer.concat([before, block, behind]);
        assert.equal(
          new HpackDecoder(4096).decode(Buffer.from(block), 0, block.length, limits, alone),
          new HpackDecoder(4096).decode(bytes, before.length, before.length + block.length, limits, within),
        );
        assert.deepEqual(alone, within);
      }),
      { numRuns: 1000 },
    );
  });

  it("keeps no more than the table's size, whatever is added", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(3000), fc.option(fc.nat(4096), { freq: 4 })), { maxLength: 300 }),
        (steps) => {
          const table = new DecoderTable(4096);
          let size = 4096;
          let model: number[] = [];
          for (const [length, resized] of steps) {
            if (resized !== null) {
              size = resized;
              assert.ok(table.resize(size));
            }
            table.add("n", "v".repeat(length));
            model.push(length);
            while (model.reduce((sum, l) => sum + l + 33, 0) > size) model = model.slice(1);
            assert.ok(table.has(61 + model.length) && !table.has(62 + model.length));
            model.forEach((l, at) => {
              assert.equal(table.value(61 + model.length - at).length, l);
            });
          }
        },
      ),
    );
  });

  it("takes many entries without growing, and a block of marked fields in time that grows with it", () => {
    const decoder = new HpackDecoder(4096);
    const block = Buffer.from("400000".repeat(20_000), "hex");
    assert.equal(decoder.decode(block, 0, block.length, limits, []), "list-too-large");
    const marked = Buffer.from("100000".repeat(40_000), "hex");
    assert.equal(decoder.decode(marked, 0, marked.length, limits, []), "list-too-large");
    assert.equal(decoder.neverIndexed.length, limits.fields);
    // 4096 / 32 entries without a byte.
    const last = Buffer.from([0xff, 61 + 128 - 127]);
    assert.equal(decoder.decode(last, 0, 2, limits, []), null);
    assert.equal(decoder.decode(Buffer.from([0xff, 61 + 129 - 127]), 0, 2, limits, []), "compression-error");
  });
});

describe("fields of HTTP/2 and nghttp2", () => {
  let server: Http2Server;
  let port = 0;

  beforeEach(async () => {
    server = createServer({
      ...anyFields,
      settings: { headerTableSize: 1000, maxHeaderListSize: 1_000_000 },
      maxHeaderListPairs: 1000,
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    port = (server.address() as AddressInfo).port;
  });
  afterEach(() => server.close());

  const plain = fc.array(
    fc.array(
      fc.tuple(
        name.filter((n) => n !== "content-length" && n !== "date"),
        value,
      ),
      { maxLength: 10 },
    ),
    {
      minLength: 5,
      maxLength: 30,
    },
  );

  it("are read by nghttp2 as our encoder wrote them", async () => {
    for (const blocks of fc.sample(plain, 5)) {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", assert.fail);
      const encoder = new HpackEncoder();
      const got: string[][] = [];
      const done = new Promise<void>((resolve) => {
        server.on("stream", (stream: ServerHttp2Stream, _headers: unknown, _flags: unknown, raw: string[]) => {
          got.push([...raw]);
          stream.on("error", () => {});
          stream.respond({ ":status": 204 }, { endStream: true });
          if (got.length === blocks.length * 2) resolve();
        });
      });
      socket.write(Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(4, 0, 0, Buffer.alloc(0))]));
      encoder.setMaxTableSize(1000);
      const sent: string[][] = [];
      for (const head of [...blocks, ...blocks]) {
        encoder.begin();
        const pseudo = [
          ":method",
          "GET",
          ":scheme",
          "http",
          ":authority",
          "a.example",
          ":path",
          `/${sent.length >> 1}`,
        ];
        for (let at = 0; at < pseudo.length; at += 2) encoder.field(pseudo[at] ?? "", pseudo[at + 1] ?? "");
        encoder.fieldLines(head.map(([n, v]) => `${spelled(n, true)}: ${v}\r\n`).join(""));
        writeHead(socket, 2 * sent.length + 1, encoder.finish());
        sent.push([...pseudo, ...head.flat()]);
      }
      await done;
      assert.deepEqual(got, sent);
      server.removeAllListeners("stream");
      socket.destroy();
    }
  });

  it("are read by our decoder as nghttp2 wrote them", async () => {
    for (const blocks of fc.sample(plain, 5)) {
      const heads = [...blocks, ...blocks].map((head) => [":status", "200", ...head.flat()]);
      server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
        const head = [...(heads[Number(headers[":path"]?.slice(1))] ?? []), "date", "today"];
        stream.respond(head, { endStream: true });
      });
      const socket = connect(port, "127.0.0.1");
      socket.write(Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(4, 0, 0, Buffer.alloc(0))]));
      for (const path of heads.keys()) {
        // GET, http, :authority "a", and the path without Huffman code.
        const fixed = Buffer.from([0x82, 0x86, 0x01, 1, 97, 0x04, String(path).length + 1]);
        const head = Buffer.concat([fixed, Buffer.from(`/${path}`)]);
        writeHead(socket, 2 * path + 1, head);
      }
      const decoder = new HpackDecoder(4096);
      let received = Buffer.alloc(0);
      for await (const part of socket) {
        received = Buffer.concat([received, part as Buffer]);
        if (headsWithin(received).length === heads.length) break;
      }
      const got = headsWithin(received).map((block) => {
        const out: string[] = [];
        assert.equal(decoder.decode(block, 0, block.length, limits, out), null);
        return out;
      });
      assert.deepEqual(
        got,
        heads.map((head) => [...head, "date", "today"]),
      );
      server.removeAllListeners("stream");
    }
  });
});

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** HEADERS that end the stream, and CONTINUATION where the block is larger than a frame may be. */
function writeHead(socket: Socket, stream: number, block: Buffer): void {
  const most = 16_384;
  for (let at = 0; at === 0 || at < block.length; at += most) {
    const flags = (at === 0 ? 1 : 0) | (at + most >= block.length ? 4 : 0);
    socket.write(frame(at === 0 ? 1 : 9, flags, stream, Buffer.from(block.subarray(at, at + most))));
  }
}

/** The header blocks among the frames that are complete. */
function headsWithin(bytes: Buffer): readonly Buffer[] {
  const blocks: Buffer[] = [];
  let open: Buffer[] = [];
  for (let at = 0; at + 9 <= bytes.length; ) {
    const end = at + 9 + bytes.readUIntBE(at, 3);
    const type = bytes[at + 3];
    if (end > bytes.length) break;
    if (type === 1 || type === 9) {
      open.push(bytes.subarray(at + 9, end));
      if (((bytes[at + 4] ?? 0) & 4) !== 0) {
        blocks.push(Buffer.concat(open));
        open = [];
      }
    }
    at = end;
  }
  return blocks;
}
