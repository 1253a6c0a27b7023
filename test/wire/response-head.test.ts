import assert from "node:assert/strict";
import { parseResponseHead, ResponseHead } from "../../src/wire/response-head.ts";

function respond(lines: readonly string[], method = "GET"): ResponseHead {
  const head = new ResponseHead();
  assert.equal(parseResponseHead([...lines, "", ""].join("\r\n"), method, head), null);
  return head;
}

describe("the status line of a response", () => {
  const rows: readonly (readonly [line: string, status: number, reason: string, minor: number])[] = [
    ["HTTP/1.1 200 OK", 200, "OK", 1],
    ["HTTP/1.0 404 Not Found", 404, "Not Found", 0],
    ["HTTP/1.1 200 ", 200, "", 1],
    ["HTTP/1.1 200", 200, "", 1],
    ["HTTP/1.1 599 \xe9\tx", 599, "\xe9\tx", 1],
    ["HTTP/1.1 999 x", 999, "x", 1],
  ];
  for (const [line, status, reason, minor] of rows) {
    it(JSON.stringify(line), () => {
      const head = respond([line]);
      assert.deepEqual([head.status, head.reason, head.minor], [status, reason, minor]);
    });
  }
});

describe("responses that are refused", () => {
  const ok = "HTTP/1.1 200 OK\r\n";
  const rows: readonly (readonly [name: string, head: string])[] = [
    ["no end", ok],
    ["nothing", ""],
    ["an empty line alone", "\r\n\r\n"],
    ["no status line", "Server: x\r\n\r\n"],
    ["a request", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n"],
    ["HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n"],
    ["HTTP/0.9", "HTTP/0.9 200 OK\r\n\r\n"],
    ["a lower-case version", "http/1.1 200 OK\r\n\r\n"],
    ["a version of two digits", "HTTP/1.11 200 OK\r\n\r\n"],
    ["another protocol", "ICY 200 OK\r\n\r\n"],
    ["a status of two digits", "HTTP/1.1 20 OK\r\n\r\n"],
    ["a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n"],
    ["a status below 100", "HTTP/1.1 099 OK\r\n\r\n"],
    ["a status with a sign", "HTTP/1.1 +20 OK\r\n\r\n"],
    ["two spaces before the status", "HTTP/1.1  200 OK\r\n\r\n"],
    ["a tab before the status", "HTTP/1.1\t200 OK\r\n\r\n"],
    ["a control byte in the reason", "HTTP/1.1 200 O\x01K\r\n\r\n"],
    ["a bare CR in the reason", "HTTP/1.1 200 O\rK\r\n\r\n"],
    ["a bare LF after the status line", "HTTP/1.1 200 OK\nA: 1\r\n\r\n"],
    ["a status line above 8 KiB", `HTTP/1.1 200 ${"x".repeat(9000)}\r\n\r\n`],
    ["a head above 64 KiB", `${ok}A: ${"x".repeat(65_536)}\r\n\r\n`],
    ["251 fields", `${ok}${"A: 1\r\n".repeat(251)}\r\n`],
    ["both lengths", `${ok}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n`],
    ["two equal lengths", `${ok}Content-Length: 5\r\nContent-Length: 5\r\n\r\n`],
    ["two lengths in a list", `${ok}Content-Length: 5, 5\r\n\r\n`],
    ["an empty length", `${ok}Content-Length:\r\n\r\n`],
    ["a length with a sign", `${ok}Content-Length: +5\r\n\r\n`],
    ["a length with a leading zero", `${ok}Content-Length: 05\r\n\r\n`],
    ["an unknown coding", `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n`],
    ["identity", `${ok}Transfer-Encoding: identity\r\n\r\n`],
    ["a broken coding", `${ok}Transfer-Encoding: ,chunked\r\n\r\n`],
    ["two codings", `${ok}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`],
    ["chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ["a folded line", `${ok}A: 1\r\n 2\r\n\r\n`],
    ["a bare LF", `${ok}A: 1\nB: 2\r\n\r\n`],
    ["a bare CR", `${ok}A: 1\rB: 2\r\n\r\n`],
    ["a NUL", `${ok}A: \0\r\n\r\n`],
    ["a DEL", `${ok}A: \x7f\r\n\r\n`],
    ["a space before the colon", `${ok}A : 1\r\n\r\n`],
    ["no colon", `${ok}A\r\n\r\n`],
    ["no name", `${ok}: 1\r\n\r\n`],
    ["an empty line inside", `${ok}A: 1\r\n\r\nB: 2\r\n\r\n`],
  ];
  for (const [name, text] of rows) {
    it(name, () => {
      for (const method of ["GET", "HEAD"]) {
        const reason = parseResponseHead(text, method, new ResponseHead());
        assert.match(reason ?? "accepted", /^(?!accepted)[\x20-\x7e]{5,150}$/);
      }
    });
  }
});

describe("the framing of a response", () => {
  type Row = readonly [status: number, method: string, lines: string[], framing: string, length: number, kept: boolean];
  const length = "Content-Length: 5";
  const chunked = "Transfer-Encoding: chunked";
  const rows: readonly Row[] = [
    [200, "GET", [length], "length", 5, true],
    [200, "GET", ["Content-Length: 0"], "length", 0, true],
    [200, "GET", [chunked], "chunked", 0, true],
    [200, "GET", [], "close", 0, false],
    [200, "GET", ["Connection: keep-alive"], "close", 0, false],
    [200, "GET", [length, "Connection: close"], "length", 5, false],
    [404, "POST", [chunked, "Connection: close"], "chunked", 0, false],
    [200, "HEAD", [length], "none", 0, true],
    [200, "HEAD", [chunked], "none", 0, true],
    [200, "HEAD", [], "none", 0, true],
    [304, "GET", [length], "none", 0, true],
    [304, "GET", [], "none", 0, true],
    [204, "GET", [], "none", 0, true],
    [204, "GET", ["Content-Length: 0"], "none", 0, true],
    [204, "GET", [length], "none", 0, false],
    [204, "GET", [chunked], "none", 0, false],
    [100, "POST", [], "none", 0, true],
    [103, "GET", ["Link: </a>"], "none", 0, true],
    [100, "POST", [length], "none", 0, false],
    [205, "GET", [], "close", 0, false],
  ];
  for (const [status, method, lines, framing, bytes, kept] of rows) {
    it(`of ${status} to ${method} with ${lines.join(" | ") || "no field"} is ${framing}, ${kept ? "" : "not "}kept`, () => {
      const head = respond([`HTTP/1.1 ${status} x`, ...lines], method);
      assert.deepEqual([head.framing, head.contentLength, head.persistent], [framing, bytes, kept]);
    });
  }

  it("keeps an HTTP/1.0 connection only on keep-alive", () => {
    assert.equal(respond(["HTTP/1.0 200 OK", length]).persistent, false);
    assert.equal(respond(["HTTP/1.0 200 OK", length, "Connection: Keep-Alive"]).persistent, true);
  });

  it("tells the length that a response without a body announces", () => {
    assert.equal(respond(["HTTP/1.1 200 OK", length], "HEAD").announcedLength, 5);
    assert.equal(respond(["HTTP/1.1 304 x", length]).announcedLength, 5);
    assert.equal(respond(["HTTP/1.1 200 OK", length]).announcedLength, 5);
    assert.equal(respond(["HTTP/1.1 200 OK"], "HEAD").announcedLength, -1);
    assert.equal(respond(["HTTP/1.1 200 OK", chunked]).announcedLength, -1);
  });

  it("of one response does not show through in the next", () => {
    const head = new ResponseHead();
    const first = "HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\nDate: x\r\nServer: x\r\n\r\n";
    assert.equal(parseResponseHead(first, "GET", head), null);
    assert.equal(parseResponseHead("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "GET", head), null);
    assert.equal(parseResponseHead("HTTP/1.1 200 OK\r\n\r\n", "HEAD", head), null);
    const { upgrade, hasDate, hasServer, framing, contentLength, announcedLength, forwarded } = head;
    assert.deepEqual(
      [upgrade, hasDate, hasServer, framing, contentLength, announcedLength, forwarded],
      ["", false, false, "none", 0, -1, ""],
    );
  });
});

describe("what a response passes on", () => {
  it("is every end-to-end line, each Set-Cookie on its own, names with _ too", () => {
    const lines = [
      "Date: x",
      "Server: y",
      "Set-Cookie: a=b",
      "Set-Cookie: c=d, e",
      "X_A: 1",
      "X-Request-ID: 2",
      "Proxy: z",
    ];
    const head = respond(["HTTP/1.1 200 OK", ...lines]);
    assert.equal(head.forwarded, `${lines.join("\r\n")}\r\n`);
    assert.deepEqual([head.hasDate, head.hasServer], [true, true]);
  });

  it("has one space after each colon and none at the end of a line", () => {
    assert.equal(respond(["HTTP/1.1 200 OK", "A:1", "B: \t2 ", "C:"]).forwarded, "A: 1\r\nB: 2\r\nC: \r\n");
  });

  it("lacks framing, hop-by-hop fields and what Connection names, but never a cookie", () => {
    const head = respond([
      "HTTP/1.1 200 OK",
      "A: 1",
      "Connection: keep-alive, x-b, set-cookie",
      "Keep-Alive: timeout=5",
      "Proxy-Connection: keep-alive",
      "X-B: 2",
      "Set-Cookie: a=b",
      "Transfer-Encoding: chunked",
      "Trailer: X-C",
      "Upgrade: h2c",
      "TE: x",
      "D: 4",
    ]);
    assert.equal(head.forwarded, "A: 1\r\nSet-Cookie: a=b\r\nD: 4\r\n");
    assert.deepEqual([head.hasDate, head.hasServer, head.upgrade], [false, false, ""]);
    assert.equal(head.value("x-b"), "2");
  });

  it("tells a WebSocket that was accepted from every other 101", () => {
    const asks = "Connection: Upgrade";
    const accepted = respond(["HTTP/1.1 101 x", asks, "Upgrade: WebSocket", "Sec-WebSocket-Accept: y"]);
    assert.equal(accepted.upgrade, "websocket");
    assert.equal(accepted.forwarded, "Sec-WebSocket-Accept: y\r\n");
    for (const lines of [
      ["HTTP/1.1 101 x", asks, "Upgrade: h2c"],
      ["HTTP/1.1 101 x", asks],
      ["HTTP/1.1 101 x", "Upgrade: websocket"],
      ["HTTP/1.1 101 x", asks, "Upgrade: websocket", "Upgrade: websocket"],
      ["HTTP/1.1 200 x", asks, "Upgrade: websocket"],
    ]) {
      assert.equal(respond(lines).upgrade, "", lines.join(" | "));
    }
  });
});
