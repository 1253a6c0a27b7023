import assert from "node:assert/strict";
import fc from "fast-check";
import { writeHttp1Head } from "../../src/wire/http2-head.ts";
import { parseRequestHead, RequestHead } from "../../src/wire/request-head.ts";

const key = (): string => "key==";
const base = [":method", "GET", ":scheme", "https", ":authority", "a.example", ":path", "/x"];

/** The status that refuses a head, or the head as HTTP/1.1 reads it. */
function read(raw: readonly string[], ended = true): number | RequestHead {
  const written = writeHttp1Head(raw, ended, key);
  if ("status" in written) return written.status;
  const head = new RequestHead();
  return parseRequestHead(written.text, head)?.status ?? head;
}

describe("an HTTP/2 request head", () => {
  for (const [what, raw, expected] of [
    ["a field of the connection", [...base, "connection", "close"], 400],
    ["Transfer-Encoding", [...base, "transfer-encoding", "chunked"], 400],
    ["a Host that differs", [...base, "host", "b.example"], 400],
    ["two Hosts", [...base, "host", "a.example", "host", "a.example"], 400],
    ["neither Host nor :authority", [":method", "GET", ":path", "/"], 400],
    ["an :authority with a user", [":method", "GET", ":path", "/", ":authority", "u@a.example"], 400],
    ["a line break in the path", [":method", "GET", ":path", "/ HTTP/1.1\r\nX: 1", ":authority", "a.example"], 400],
    ["a space in the path", [":method", "GET", ":path", "/a b", ":authority", "a.example"], 400],
    ["a space in the method", [":method", "GET /", ":path", "/", ":authority", "a.example"], 400],
    ["a path without slash", [":method", "GET", ":path", "x", ":authority", "a.example"], 400],
    ["a value with a line feed", [...base, "x-a", "1\nhost: b.example"], 400],
    ["an empty name", [...base, "", "1"], 400],
    ["a name with a colon", [...base, "x:y", "1"], 400],
    ["CONNECT", [":method", "CONNECT", ":authority", "a.example:443"], 405],
    [
      "CONNECT to another protocol",
      [":method", "CONNECT", ":protocol", "connect-udp", ":authority", "a", ":path", "/"],
      405,
    ],
  ] as const) {
    it(`is refused with ${expected} for ${what}`, () => {
      assert.equal(read(raw), expected);
    });
  }

  it("keeps its target and its fields, and has its cookies joined", () => {
    const head = read([...base, "host", "A.example", "cookie", "a=1", "x-a", "1", "cookie", "b=2", "x_b", "2"]);
    assert.ok(typeof head === "object");
    assert.deepEqual(
      [head.method, head.pathAndQuery, head.authority, head.framing],
      ["GET", "/x", "a.example", "none"],
    );
    assert.deepEqual([head.value("cookie"), head.value("x-a")], ["a=1; b=2", "1"]);
    assert.equal(head.forwarded.includes("x_b"), false);
  });

  it("frames its body by its length, in chunks without one, and not at all when the stream has ended", () => {
    const framing = (raw: readonly string[], ended: boolean): unknown => {
      const head = read(raw, ended);
      return typeof head === "object" ? [head.framing, head.contentLength] : head;
    };
    assert.deepEqual(framing(base, true), ["none", 0]);
    assert.deepEqual(framing(base, false), ["chunked", 0]);
    assert.deepEqual(framing([...base, "content-length", "5"], false), ["length", 5]);
    assert.equal(framing([...base, "content-length", "5, 5"], false), 400);
  });

  it("becomes the handshake of HTTP/1.1 when it asks for a WebSocket", () => {
    const raw = [":method", "CONNECT", ":protocol", "websocket", ":authority", "a.example", ":path", "/ws"];
    const head = read([...raw, "sec-websocket-version", "13"], false);
    assert.ok(typeof head === "object");
    assert.deepEqual([head.method, head.upgrade, head.framing], ["GET", "websocket", "none"]);
    assert.deepEqual([head.value("sec-websocket-key"), head.value("sec-websocket-version")], ["key==", "13"]);
  });

  it("has one key in that handshake, and not the client's, who keeps it in any other request", () => {
    const own = ["sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-key", "b3RoZXI="];
    const head = read([":method", "CONNECT", ":protocol", "websocket", ":authority", "a", ":path", "/", ...own], false);
    assert.ok(typeof head === "object");
    assert.equal(head.forwarded, "Sec-WebSocket-Key: key==\r\n");
    const other = read([":method", "GET", ":authority", "a", ":path", "/", ...own.slice(0, 2)], true);
    assert.ok(typeof other === "object");
    assert.equal(other.value("sec-websocket-key"), own[1]);
  });

  it("never becomes two requests, whatever its fields hold", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom("\r\n", "\r\n\r\nGET / HTTP/1.1\r\n", " ", ":", "x"),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text), { maxLength: 6 }), text, text, (fields, path, authority) => {
        const raw = [":method", "GET", ":path", path, ":authority", authority, ...fields.flat()];
        const written = writeHttp1Head(raw, true, key);
        if ("status" in written) return;
        const head = new RequestHead();
        // Accepted only when the one parser reads it to its last byte as one head.
        if (parseRequestHead(written.text, head) === null)
          assert.equal(written.text.indexOf("\r\n\r\n"), written.text.length - 4);
      }),
      { numRuns: 2_000 },
    );
  });
});
