import assert from "node:assert/strict";
import fc from "fast-check";
import { ChunkedDecoder, chunkHeader, lastChunk } from "../../src/wire/chunked.ts";

interface Decoded {
  readonly content: string;
  readonly consumed: number;
  readonly done: boolean;
  readonly error: string | null;
  readonly trailers: string;
}

/** Decodes the text in pieces that end at the offsets; what lies behind the body is not given again. */
function decode(text: string, cuts: readonly number[] = [], decoder = new ChunkedDecoder()): Decoded {
  const bytes = Buffer.from(text, "latin1");
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  let content = "";
  let consumed = 0;
  for (const end of ends) {
    const piece = bytes.subarray(0, end);
    if (consumed >= end) continue;
    consumed = decoder.decode(piece, consumed, (part) => {
      assert.ok(part.length > 0);
      content += part.toString("latin1");
    });
    if (decoder.done || decoder.error !== null) break;
    assert.equal(consumed, end, "everything is consumed while the body goes on");
  }
  const { done, error, trailers } = decoder;
  return { content, consumed, done, error, trailers };
}

const cuts = fc.array(fc.nat(), { maxLength: 12 });
const token = fc.stringMatching(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,8}$/);
const extension = fc.oneof(
  token.map((name) => `;${name}`),
  fc.tuple(token, token).map(([name, value]) => `;${name}=${value}`),
  fc.tuple(token, fc.stringMatching(/^[ !#-[\]-~]{0,8}$/)).map(([name, value]) => `;${name}="${value}\\""`),
);
const size = (bytes: number): fc.Arbitrary<string> =>
  fc
    .tuple(fc.boolean(), fc.nat(3))
    .map(([upper, zeros]) => "0".repeat(zeros) + (upper ? bytes.toString(16).toUpperCase() : bytes.toString(16)));
const chunk = fc
  .uint8Array({ minLength: 1, maxLength: 40 })
  .map((bytes) => Buffer.from(bytes).toString("latin1"))
  .chain((data) =>
    fc.tuple(size(data.length), fc.array(extension, { maxLength: 2 })).map(([digits, extensions]) => ({
      data,
      text: `${digits}${extensions.join("")}\r\n${data}\r\n`,
    })),
  );
const body = fc
  .tuple(fc.array(chunk, { maxLength: 6 }), fc.constantFrom("0", "000", "0;a=b"), fc.nat(2))
  .map(([chunks, last, fields]) => {
    const trailers = "X-Sum: 1\r\n".repeat(fields);
    return {
      content: chunks.map(({ data }) => data).join(""),
      text: `${chunks.map(({ text }) => text).join("")}${last}\r\n${trailers}\r\n`,
      trailers,
    };
  });

describe("a chunked body", () => {
  it("gives the same content however it is split, and leaves what follows it", () => {
    const behind = fc.constantFrom("", "GET / HTTP/1.1\r\n", "\r\n", "0\r\n\r\n");
    fc.assert(
      fc.property(body, behind, cuts, ({ content, text, trailers }, rest, at) => {
        assert.deepEqual(decode(text + rest, at), {
          content,
          consumed: text.length,
          done: true,
          error: null,
          trailers,
        });
      }),
    );
  });

  it("is not done at any earlier byte", () => {
    fc.assert(
      fc.property(body, fc.nat(), ({ text }, at) => {
        const { done, error } = decode(text.slice(0, at % text.length));
        assert.deepEqual([done, error], [false, null]);
      }),
    );
  });

  it("round-trips through our own writer", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "binary-ascii", minLength: 1, maxLength: 300 })), cuts, (parts, at) => {
        const text = parts.map((part) => `${chunkHeader(part.length)}${part}\r\n`).join("") + lastChunk("A: 1\r\n");
        const { content, done, trailers } = decode(text, at);
        assert.deepEqual([content, done, trailers], [parts.join(""), true, "A: 1\r\n"]);
      }),
    );
  });

  it("never throws on random bytes, ends the same however they are split, and never reads past an error", () => {
    const noise = fc.array(
      fc.constantFrom("0", "5", "f", "\r\n", "\r", "\n", ";", "a", "=", '"', " ", "\0", "\xff", ":"),
    );
    const mutated = fc.tuple(body, fc.nat(), fc.nat(2), noise).map(([{ text }, at, length, bytes]) => {
      const start = at % text.length;
      return text.slice(0, start) + bytes.join("") + text.slice(start + length);
    });
    fc.assert(
      fc.property(mutated, cuts, (text, at) => {
        assert.deepEqual(decode(text, at), decode(text));
      }),
      { numRuns: 1000 },
    );
  });

  it("takes sizes up to 2^53 - 1", () => {
    const decoder = new ChunkedDecoder();
    const { error, content } = decode("1fffffffffffff\r\nabc", [], decoder);
    assert.deepEqual([error, content, decoder.done], [null, "abc", false]);
  });

  it("hands data on as views of the input", () => {
    const input = Buffer.from("3\r\nabc\r\n0\r\n\r\n");
    new ChunkedDecoder().decode(input, 0, (part) => assert.equal(part.buffer, input.buffer));
  });

  it("can be decoded with the same decoder after another, also after an error", () => {
    const decoder = new ChunkedDecoder();
    // More than half of the extensions that one body may have.
    const next = `2;${"a".repeat(9000)}\r\nxy\r\n0\r\n\r\n`;
    for (const text of ["3\r\nabc\r\n0\r\nX-A: 1\r\n\r\n", "3;a=", "3\r\nabcX", "5\r\nab", "0\r\nX-B"]) {
      decode(text, [], decoder);
      decoder.reset();
      assert.deepEqual([decoder.done, decoder.error, decoder.trailers], [false, null, ""]);
      const { content, done, error, trailers } = decode(next, [], decoder);
      assert.deepEqual([content, done, error, trailers], ["xy", true, null, ""]);
      decoder.reset();
    }
  });
});

describe("a chunked body is malformed when it has", () => {
  const end = "\r\n0\r\n\r\n";
  const rows: readonly (readonly [name: string, text: string])[] = [
    ["an empty size", `\r\nabc${end}`],
    ["a size with a prefix", `0x3\r\nabc${end}`],
    ["a size with an underscore", `0_3\r\nabc${end}`],
    ["a size with a plus sign", `+3\r\nabc${end}`],
    ["a size with a minus sign", `-3\r\nabc${end}`],
    ["a space before the size", ` 3\r\nabc${end}`],
    ["a tab before the size", `\t3\r\nabc${end}`],
    ["a space after the size", `3 \r\nabc${end}`],
    ["a tab after the size", `3\t\r\nabc${end}`],
    ["a space before the extension", `3 ;a\r\nabc${end}`],
    ["a size that is only partly a number", `3g\r\nabc${end}`],
    ["a size in quotes", `"3"\r\nabc${end}`],
    ["a size of 2^53", "20000000000000\r\nabc"],
    ["a size of 2^64 and 3", `10000000000000003\r\nabc${end}`],
    ["a size of 17 digits", `${"0".repeat(16)}3\r\nabc${end}`],
    ["a bare LF after the size", `3\nabc${end}`],
    ["a bare CR after the size", `3\rabc${end}`],
    ["two CRs after the size", `3\r\r\nabc${end}`],
    ["a bare LF after an extension", `3;a\nabc${end}`],
    ["a bare CR in an extension", `3;a\rb\r\nabc${end}`],
    ["a bare LF in an extension", `3;a\nb\r\nabc${end}`],
    ["a NUL in an extension", `3;a\0\r\nabc${end}`],
    ["a NUL in a quoted extension", `3;a="\0"\r\nabc${end}`],
    ["a LF in a quoted extension", `3;a="\n"\r\nabc${end}`],
    ["an escaped CR in a quoted extension", `3;a="\\\r\n"\r\nabc${end}`],
    ["text after a quoted extension", `3;a="b"c\r\nabc${end}`],
    ["an open quoted extension", `3;a="b\r\nabc${end}`],
    ["an extension without a name", `3;\r\nabc${end}`],
    ["an extension with a value only", `3;=a\r\nabc${end}`],
    ["an extension without a value", `3;a=\r\nabc${end}`],
    ["an extension with a space", `3;a b\r\nabc${end}`],
    ["an extension above ASCII", `3;\xe9\r\nabc${end}`],
    ["more than 16 KiB of extensions", `3;${"a".repeat(16_385)}\r\nabc${end}`],
    ["more than 16 KiB of extensions over many chunks", `1;${"a".repeat(999)}\r\nx\r\n`.repeat(17)],
    ["data longer than its size", `3\r\nabcd${end}`],
    ["data shorter than its size", `4\r\nabc${end}`],
    ["a bare LF after the data", "3\r\nabc\n0\r\n\r\n"],
    ["a bare CR after the data", "3\r\nabc\r0\r\n\r\n"],
    ["a CR and another byte after the data", "3\r\nabc\rX0\r\n\r\n"],
    ["an empty line before the next size", "3\r\nabc\r\n\r\n0\r\n\r\n"],
    ["text after the last chunk", "0\r\nXX\r\n\r\n"],
    ["a bare LF as the last line", "0\r\n\n"],
    ["a bare LF after the last size", "0\n\r\n"],
    ["a bare CR as the last line", "0\r\n\rX"],
    ["a request where the trailers belong", "0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["a bare LF after a trailer", "0\r\nX-A: 1\n\r\n"],
    ["a bare CR in a trailer", "0\r\nX-A: 1\r2\r\n\r\n"],
    ["a NUL in a trailer", "0\r\nX-A: \0\r\n\r\n"],
    ["a folded trailer", "0\r\nX-A: 1\r\n 2\r\n\r\n"],
    ["a trailer with a space before the colon", "0\r\nX-A : 1\r\n\r\n"],
    ["a trailer without a name", "0\r\n: 1\r\n\r\n"],
    ["more than 8 KiB of trailers", `0\r\nX-A: ${"a".repeat(8192)}\r\n\r\n`],
    ["33 trailers", `0\r\n${"X-A: 1\r\n".repeat(33)}\r\n`],
  ];
  for (const [name, text] of rows) {
    it(name, () => {
      const { done, error } = decode(text);
      assert.equal(done, false);
      assert.match(error ?? "accepted", /^(?!accepted)[\x20-\x7e]{10,120}$/);
    });
  }
});

describe("trailers", () => {
  it("pass on one a line, canonically", () => {
    assert.equal(decode("0\r\nX-A:1\r\nGrpc-Status: \t0 \r\n\r\n").trailers, "X-A: 1\r\nGrpc-Status: 0\r\n");
    assert.equal(
      decode("0\r\nContent-Digest: x\r\nServer-Timing: y\r\nETag: z\r\n\r\n").trailers.split("\r\n").length,
      4,
    );
  });

  const dropped = [
    "Host",
    "Content-Length",
    "Transfer-Encoding",
    "Connection",
    "TE",
    "Trailer",
    "Upgrade",
    "Keep-Alive",
    "Expect",
    "Authorization",
    "Proxy-Authorization",
    "WWW-Authenticate",
    "Cookie",
    "Set-Cookie",
    "Content-Type",
    "Content-Encoding",
    "Content-Range",
    "Cache-Control",
    "Range",
    "If-Match",
    "Location",
    "Date",
    "Server",
    "Vary",
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Prefix",
    "X-Real-IP",
    "X-Request-ID",
    "X-Scheme",
    "Proxy",
    "X_A",
    "Access-Control-Allow-Origin",
    "Sec-WebSocket-Key",
    "Max-Forwards",
    "Origin",
  ];
  for (const name of dropped) {
    it(`never hold ${name}`, () => {
      const { trailers, done } = decode(`0\r\nX-A: 1\r\n${name}: 1\r\n${name.toUpperCase()}: 2\r\nX-B: 2\r\n\r\n`);
      assert.deepEqual([trailers, done], ["X-A: 1\r\nX-B: 2\r\n", true]);
    });
  }
});
