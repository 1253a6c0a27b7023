import assert from "node:assert/strict";
import { parseRequestHead, RequestHead } from "../../src/wire/request-head.ts";

function parse(...lines: string[]): RequestHead {
  const head = new RequestHead();
  const error = parseRequestHead([...lines, "", ""].join("\r\n"), head);
  assert.equal(error?.reason, undefined);
  return head;
}

function get(...lines: string[]): RequestHead {
  return parse("GET / HTTP/1.1", "Host: a", ...lines);
}

describe("the request line", () => {
  const targets: readonly (readonly [sent: string, pathAndQuery: string, authority?: string])[] = [
    ["/", "/"],
    ["/a/b?c=d&e", "/a/b?c=d&e"],
    ["//a//b", "//a//b"],
    ["/%2e%2e/%zz", "/%2e%2e/%zz"],
    ["/a?b=\\", "/a?b=\\"],
    ['/a|{}"<>^`', '/a|{}"<>^`'],
    ["http://a/b?c", "/b?c"],
    ["HTTP://A/b", "/b"],
    ["https://a/b", "/b"],
    ["http://a", "/"],
    ["http://a?b", "/?b"],
    ["http://a/?http://b/", "/?http://b/"],
  ];
  for (const [sent, pathAndQuery] of targets) {
    it(`takes ${sent} as ${pathAndQuery}`, () => {
      const head = parse(`GET ${sent} HTTP/1.1`, "Host: a");
      assert.deepEqual(
        [head.method, head.target, head.pathAndQuery, head.minor, head.authority],
        ["GET", sent, pathAndQuery, 1, "a"],
      );
    });
  }

  it("takes * with OPTIONS, and OPTIONS of a bare authority as *", () => {
    assert.equal(parse("OPTIONS * HTTP/1.1", "Host: a").pathAndQuery, "*");
    assert.equal(parse("OPTIONS http://a HTTP/1.1", "Host: a").pathAndQuery, "*");
    assert.equal(parse("OPTIONS http://a/ HTTP/1.1", "Host: a").pathAndQuery, "/");
  });

  it("keeps any upper-case method of up to 32 bytes", () => {
    for (const method of ["GET", "POST", "M-SEARCH", "VERSION-CONTROL", "A!#$%&'*+.^_`|~9", "A".repeat(32)]) {
      assert.equal(parse(`${method} / HTTP/1.1`, "Host: a").method, method);
    }
  });

  it("may be 16 KiB long", () => {
    const target = `/${"a".repeat(16_384 - 14)}`;
    assert.equal(parse(`GET ${target} HTTP/1.1`, "Host: a").target, target);
  });
});

describe("the Host", () => {
  for (const host of ["a", "A.B.example", "a.", "a:80", "a:0", "a_b", "10.0.0.1:8080", "[::1]", "[2001:db8::A]:443"]) {
    it(`${host} is the authority, as sent`, () => {
      const head = parse("GET / HTTP/1.1", `Host: \t ${host} `);
      assert.equal(head.authority, host);
      assert.equal(head.value("host"), host);
    });
  }

  it("may be missing or empty in HTTP/1.0", () => {
    assert.equal(parse("GET / HTTP/1.0").authority, "");
    assert.equal(parse("GET / HTTP/1.0", "Host:").authority, "");
    assert.equal(parse("GET http://a/ HTTP/1.0").authority, "a");
  });

  it("must equal the authority of an absolute target, in any case", () => {
    assert.equal(parse("GET http://A.example:80/ HTTP/1.1", "Host: a.Example:80").authority, "a.Example:80");
  });
});

describe("the framing of a request", () => {
  const rows: readonly (readonly [lines: string[], framing: string, length: number])[] = [
    [[], "none", 0],
    [["Content-Length: 0"], "length", 0],
    [["content-length:5"], "length", 5],
    [["CONTENT-LENGTH: \t9007199254740991 \t"], "length", Number.MAX_SAFE_INTEGER],
    [["Transfer-Encoding: chunked"], "chunked", 0],
    [["transfer-encoding: CHUNKED"], "chunked", 0],
    [["Connection: content-length, transfer-encoding", "Content-Length: 5"], "length", 5],
    [["Connection: transfer-encoding", "Transfer-Encoding: chunked"], "chunked", 0],
  ];
  for (const [lines, framing, length] of rows) {
    it(`is ${framing} ${length} for ${lines.join(" | ") || "no field"}`, () => {
      const head = get(...lines);
      assert.deepEqual([head.framing, head.contentLength, head.forwarded], [framing, length, ""]);
    });
  }
});

describe("what a request passes on", () => {
  it("is every end-to-end line in the order received, unchanged", () => {
    const lines = ["User-Agent: x y", "Accept: */*", "Cookie: a=b; c=\xe9", "X-Empty: ", "authorization: Basic x"];
    assert.equal(get(...lines).forwarded, `${lines.join("\r\n")}\r\n`);
  });

  it("has one space after each colon and none at the end of a line", () => {
    const head = get("A:1", "B:  2", "C: \t3\t ", "D:", "E:\t", "F: a  b");
    assert.equal(head.forwarded, "A: 1\r\nB: 2\r\nC: 3\r\nD: \r\nE: \r\nF: a  b\r\n");
  });

  const dropped = [
    "Host: a",
    "Connection: x",
    "Keep-Alive: timeout=5",
    "Proxy-Connection: keep-alive",
    "Proxy: http://evil/",
    "TE: trailers",
    "Trailer: X-Sum",
    "Upgrade: h2c",
    "HTTP2-Settings: AAMAAABkAAQAAP__",
    "Expect: 100-continue",
    "Content-Length: 3",
    "X_Forwarded_For: 1.2.3.4",
    "Content_Length: 3",
    "_: 1",
    "X-Request-ID: 1",
    "X-Real-IP: 1.2.3.4",
    "X-Forwarded-For: 1.2.3.4",
    "X-Forwarded-Host: b",
    "X-Forwarded-Port: 1",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Scheme: https",
    "X-Forwarded-Server: b",
    "X-Scheme: https",
    "X-Original-Forwarded-For: 1.2.3.4",
    "X-Original-Forwarded-Host: b",
    "Forwarded: for=1.2.3.4",
  ];
  for (const line of dropped) {
    it(`does not hold ${line}, whatever its case and place`, () => {
      const name = line.slice(0, line.indexOf(":"));
      for (const written of [line, line.toUpperCase(), line.toLowerCase()]) {
        const lines = name === "Host" ? [written] : ["Host: a", written];
        assert.equal(parse("GET / HTTP/1.1", ...lines).forwarded, "");
        assert.equal(parse("GET / HTTP/1.1", "A: 1", ...lines, "B: 2").forwarded, "A: 1\r\nB: 2\r\n");
      }
      const value = line.slice(line.indexOf(":") + 2);
      assert.equal(
        parse("GET / HTTP/1.1", ...(name === "Host" ? [] : ["Host: a"]), line).value(name.toLowerCase()),
        value,
      );
    });
  }

  it("holds names that only resemble those", () => {
    const lines = ["Hos: 1", "Hosts: 1", "TEE: 1", "X-Forwarded-Foo: 1", "Proxies: 1", "Content-Lengti: 1", "Via: 1"];
    assert.equal(get(...lines).forwarded, `${lines.join("\r\n")}\r\n`);
  });

  it("lacks what Connection names, before and after it, in any case and on several lines", () => {
    const head = get("X-A: 1", "Connection: x-a, ,X-B", "X-B: 2", "X-C:3", "connection:\tX-D\t", "x-d: 4", "X-E: 5");
    assert.equal(head.forwarded, "X-C: 3\r\nX-E: 5\r\n");
    assert.equal(head.value("x-a"), "1");
  });

  it("keeps credentials and forwarded headers that Connection names", () => {
    const lines = ["Authorization: x", "Cookie: y", "X-Forwarded-Prefix: /z"];
    const head = get("Connection: close, authorization, Cookie, x-forwarded-prefix, host, forwarded, te", ...lines);
    assert.equal(head.forwarded, `${lines.join("\r\n")}\r\n`);
    assert.equal(head.authority, "a");
    assert.equal(head.persistent, false);
  });

  it("is not changed by a Connection option that is no field name", () => {
    assert.equal(get('Connection: "A", A B, (A), =', "A: 1").forwarded, "A: 1\r\n");
  });

  it("may be 100 fields", () => {
    const lines = Array.from({ length: 99 }, (_, index) => `X-${index}: ${index}`);
    const head = get(...lines);
    assert.equal(head.forwarded, `${lines.join("\r\n")}\r\n`);
    assert.equal(head.value("x-98"), "98");
  });
});

describe("value", () => {
  it("finds a name in any case, joins its fields and tells absence from emptiness", () => {
    const head = get("X-A: 1", "x-a:  2", "X-Empty:", "X-A-B: 3");
    assert.equal(head.value("x-a"), "1, 2");
    assert.equal(head.value("x-empty"), "");
    assert.equal(head.value("x-b"), undefined);
    assert.equal(head.value(""), undefined);
  });

  it("tells names apart that differ in more than the case of letters", () => {
    const head = get("X-A~: 1", "X-A^: 2");
    assert.equal(head.value("x-a~"), "1");
    assert.equal(head.value("x-a^"), "2");
  });
});

describe("the options of a connection", () => {
  const rows: readonly (readonly [version: string, lines: string[], persistent: boolean])[] = [
    ["1.1", [], true],
    ["1.1", ["Connection: keep-alive"], true],
    ["1.1", ["Connection: close"], false],
    ["1.1", ["Connection: CLOSE"], false],
    ["1.1", ["Connection: keep-alive,close"], false],
    ["1.1", ["Connection: keep-alive", "Connection: x, close "], false],
    ["1.1", ["Connection: closed"], true],
    ["1.0", [], false],
    ["1.0", ["Connection: keep-alive"], true],
    ["1.0", ["Connection: Keep-Alive, close"], false],
  ];
  for (const [version, lines, persistent] of rows) {
    it(`HTTP/${version} with ${lines.join(" | ") || "none"} ${persistent ? "persists" : "closes"}`, () => {
      assert.equal(parse(`GET / HTTP/${version}`, "Host: a", ...lines).persistent, persistent);
    });
  }

  it("expect 100-continue counts in HTTP/1.1 when a body follows", () => {
    const expect = "Expect: 100-Continue";
    assert.equal(get(expect, "Content-Length: 1").expectContinue, true);
    assert.equal(get(expect, "Transfer-Encoding: chunked").expectContinue, true);
    assert.equal(get(expect, "Content-Length: 0").expectContinue, false);
    assert.equal(get(expect).expectContinue, false);
    assert.equal(get("Expect: x", "Content-Length: 1").expectContinue, false);
    assert.equal(get(expect, expect, "Content-Length: 1").expectContinue, false);
    assert.equal(parse("PUT / HTTP/1.0", expect, "Content-Length: 1").expectContinue, false);
  });

  it("a WebSocket handshake is an upgrade and passes its Sec-WebSocket fields on", () => {
    const head = get("Connection: keep-alive, Upgrade", "Upgrade: WebSocket", "Sec-WebSocket-Key: x", "Origin: b");
    assert.equal(head.upgrade, "websocket");
    assert.equal(head.forwarded, "Sec-WebSocket-Key: x\r\nOrigin: b\r\n");
    assert.equal(get("Connection: upgrade", "Upgrade: websocket", "Content-Length: 0").upgrade, "websocket");
  });

  it("every other upgrade is ignored and stripped", () => {
    const asks = "Connection: upgrade";
    for (const lines of [
      [asks, "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"],
      [asks, "Upgrade: websocket, h2c"],
      [asks, "Upgrade: websocket", "Upgrade: h2c"],
      [asks, "Upgrade: websocket/13"],
      [asks, "Upgrade: "],
      [asks],
      ["Upgrade: websocket"],
      ["Upgrade: websocket", "Content-Length: 1"],
    ]) {
      const head = get(...lines);
      assert.deepEqual([head.upgrade, head.forwarded], ["", ""], lines.join(" | "));
    }
    assert.equal(parse("POST / HTTP/1.1", "Host: a", asks, "Upgrade: websocket").upgrade, "");
    assert.equal(parse("GET / HTTP/1.0", "Host: a", asks, "Upgrade: websocket").upgrade, "");
  });
});
