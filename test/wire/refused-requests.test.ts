/**
 * Every request that two readers could understand differently, with the status it is refused with. The classes are those
 * of published request-smuggling research; none may pass.
 */
import assert from "node:assert/strict";
import { parseRequestHead, RequestHead } from "../../src/wire/request-head.ts";

type Vector = readonly [name: string, head: string, status: number];

/** A GET with a Host and these lines. */
function get(...lines: string[]): string {
  return ["GET / HTTP/1.1", "Host: a", ...lines, "", ""].join("\r\n");
}

/** A POST with a Host and these lines. */
function post(...lines: string[]): string {
  return ["POST / HTTP/1.1", "Host: a", ...lines, "", ""].join("\r\n");
}

/** A request line with a Host behind it. */
function line(requestLine: string): string {
  return `${requestLine}\r\nHost: a\r\n\r\n`;
}

const framing: readonly Vector[] = [
  ["both lengths", post("Content-Length: 5", "Transfer-Encoding: chunked"), 400],
  ["both lengths, the other way round", post("Transfer-Encoding: chunked", "Content-Length: 5"), 400],
  ["a zero length and chunked", post("Content-Length: 0", "Transfer-Encoding: chunked"), 400],
  ["two equal lengths", post("Content-Length: 5", "Content-Length: 5"), 400],
  ["two different lengths", post("Content-Length: 5", "Content-Length: 6"), 400],
  ["an empty length and a valid one", post("Content-Length:", "Content-Length: 5"), 400],
  ["a list of equal lengths", post("Content-Length: 5, 5"), 400],
  ["a list of equal lengths without space", post("Content-Length: 5,5"), 400],
  ["a length with a plus sign", post("Content-Length: +5"), 400],
  ["a negative length", post("Content-Length: -5"), 400],
  ["a length of minus zero", post("Content-Length: -0"), 400],
  ["an empty length", post("Content-Length:"), 400],
  ["a length of spaces", post("Content-Length:   "), 400],
  ["a length that looks octal", post("Content-Length: 010"), 400],
  ["a length of two zeros", post("Content-Length: 00"), 400],
  ["a hexadecimal length", post("Content-Length: 0x5"), 400],
  ["a length with an underscore", post("Content-Length: 1_0"), 400],
  ["a length with a fraction", post("Content-Length: 5.0"), 400],
  ["a length with an exponent", post("Content-Length: 1e1"), 400],
  ["a length with a space inside", post("Content-Length: 1 0"), 400],
  ["a length above 2^53", post("Content-Length: 9007199254740993"), 400],
  ["a length above 2^64", post("Content-Length: 18446744073709551621"), 400],
  ["a length in other digits", post("Content-Length: \xb2"), 400],
  ["a vertical tab before the length", post("Content-Length: \x0b5"), 400],
  ["gzip and chunked", post("Transfer-Encoding: gzip, chunked"), 501],
  ["gzip alone", post("Transfer-Encoding: gzip"), 501],
  ["identity", post("Transfer-Encoding: identity"), 501],
  ["a coding that ends in chunked", post("Transfer-Encoding: xchunked"), 501],
  ["a coding that begins with chunked", post("Transfer-Encoding: chunkedx"), 501],
  ["chunked before another coding", post("Transfer-Encoding: chunked, gzip"), 400],
  ["chunked after an empty element", post("Transfer-Encoding: ,chunked"), 400],
  ["chunked before an empty element", post("Transfer-Encoding: chunked,"), 400],
  ["chunked twice in a list", post("Transfer-Encoding: chunked, chunked"), 400],
  ["chunked twice on lines of their own", post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), 400],
  ["a coding and chunked on lines of their own", post("Transfer-Encoding: gzip", "Transfer-Encoding: chunked"), 400],
  ["an empty coding", post("Transfer-Encoding:"), 400],
  ["a quoted coding", post('Transfer-Encoding: "chunked"'), 400],
  ["chunked with a parameter", post("Transfer-Encoding: chunked;q=1"), 400],
  ["chunked and a word", post("Transfer-Encoding: chunked foo"), 400],
  ["a vertical tab before chunked", post("Transfer-Encoding: \x0bchunked"), 400],
  ["a form feed after chunked", post("Transfer-Encoding: chunked\x0c"), 400],
  ["a NUL after chunked", post("Transfer-Encoding: chunked\0"), 400],
  ["a no-break space before chunked", post("Transfer-Encoding: \xa0chunked"), 400],
  ["chunked on a folded line", post("Transfer-Encoding:", " chunked"), 400],
  ["chunked in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400],
  ["gzip in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400],
  ["a handshake with a length", get("Connection: upgrade", "Upgrade: websocket", "Content-Length: 1"), 400],
  ["a handshake with chunks", get("Connection: upgrade", "Upgrade: websocket", "Transfer-Encoding: chunked"), 400],
  ["a POST handshake with a body", post("Connection: upgrade", "Upgrade: websocket", "Content-Length: 1"), 400],
];

const lines: readonly Vector[] = [
  ["a folded line", get("X-A: 1", " 2"), 400],
  ["a line folded with a tab", get("X-A: 1", "\t2"), 400],
  ["a line folded with nothing on it", get("X-A: 1", " "), 400],
  ["a first header line that begins with a space", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400],
  ["a first header line that is white space", "GET / HTTP/1.1\r\n \r\nHost: a\r\n\r\n", 400],
  ["a bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400],
  ["a bare LF after a header", "GET / HTTP/1.1\r\nHost: a\nX-A: 1\r\n\r\n", 400],
  ["a bare LF in a value", get("X-A: 1\n2"), 400],
  ["a bare LF in a name", get("X-\nA: 1"), 400],
  ["a bare LF as the empty line", "GET / HTTP/1.1\r\nHost: a\r\n\nX-A: 1\r\n\r\n", 400],
  ["a bare CR in a value", get("X-A: 1\r2"), 400],
  ["a bare CR in a name", get("X-\rA: 1"), 400],
  ["a bare CR at the start of a line", get("\rX-A: 1"), 400],
  ["two CRs before the LF", "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", 400],
  ["CR CR LF after a header", get("X-A: 1\r"), 400],
  ["a NUL in a value", get("X-A: 1\x002"), 400],
  ["a NUL in a name", get("X-\0A: 1"), 400],
  ["a DEL in a value", get("X-A: \x7f"), 400],
  ["an escape in a value", get("X-A: \x1b[31m"), 400],
  ["a byte above ASCII in a name", get("X-\xe9: 1"), 400],
  ["a byte 0x80 at the start of a name", get("\x80X: 1"), 400],
  ["a space before the colon", get("X-A : 1"), 400],
  ["a space before the colon of a length", post("Content-Length : 5"), 400],
  ["a tab before the colon", get("X-A\t: 1"), 400],
  ["a space inside a name", get("X A: 1"), 400],
  ["a line without a colon", get("X-A"), 400],
  ["a last line without a colon", get("X-A: 1", "GET /admin HTTP/1.1"), 400],
  ["a line without a name", get(": 1"), 400],
  ["a name with a bracket", get("X(A): 1"), 400],
  ["a name with a slash", get("X/A: 1"), 400],
  ["a name in quotes", get('"X-A": 1'), 400],
  ["an empty line inside the head", "GET / HTTP/1.1\r\nHost: a\r\n\r\nX-A: 1\r\n\r\n", 400],
  ["a head without an end", "GET / HTTP/1.1\r\nHost: a\r\n", 400],
  ["an empty head", "", 400],
  ["an empty line alone", "\r\n\r\n", 400],
  ["an empty line before the request line", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400],
];

const hosts: readonly Vector[] = [
  ["no Host", "GET / HTTP/1.1\r\n\r\n", 400],
  ["no Host, but an absolute target", "GET http://a/ HTTP/1.1\r\n\r\n", 400],
  ["two Hosts", get("Host: b"), 400],
  ["two equal Hosts", get("Host: a"), 400],
  ["two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400],
  ...[
    "",
    " ",
    "a/b",
    "a, b",
    "a,b",
    "u@a",
    "u:p@a",
    "@a",
    "a b",
    "a\tb",
    "a#b",
    "a?b",
    "a\\b",
    "a%2eb",
    "a\xe9",
    '"a"',
    "<a>",
    "a;b",
    "a:",
    "a:b",
    "a:80:80",
    "a:-1",
    "a:+80",
    "a:65536",
    "a:123456",
    ":80",
    "[",
    "[]",
    "[:]",
    "[:",
    "[::1",
    "::1",
    "[::1]a",
    "[::1]:",
    "[::1%25eth0]",
    "[v1.a]",
    "a[::1]",
    "http://a",
    "a".repeat(256),
  ].map(
    (host): Vector => [`Host: ${JSON.stringify(host.slice(0, 20))}`, `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`, 400],
  ),
  ["an absolute target with another authority than Host", line("GET http://b/ HTTP/1.1"), 400],
  ["an absolute target with another port than Host", line("GET http://a:8080/ HTTP/1.1"), 400],
  ["an absolute target with user information", line("GET http://u@a/ HTTP/1.1"), 400],
  ["an absolute target without authority", line("GET http:///a HTTP/1.1"), 400],
  ["an absolute target of another scheme", line("GET ftp://a/ HTTP/1.1"), 400],
  ["an absolute target with one slash", line("GET http:/a HTTP/1.1"), 400],
];

const requestLines: readonly Vector[] = [
  ["a fragment", line("GET /#a HTTP/1.1"), 400],
  ["a fragment in the query", line("GET /?a#b HTTP/1.1"), 400],
  ["a fragment behind an absolute target", line("GET http://a#b HTTP/1.1"), 400],
  ["a byte above ASCII in the path", line("GET /\xe9 HTTP/1.1"), 400],
  ["a byte above ASCII in the query", line("GET /?\xe9 HTTP/1.1"), 400],
  ["a NUL in the path", line("GET /\0 HTTP/1.1"), 400],
  ["a tab in the path", line("GET /a\tb HTTP/1.1"), 400],
  ["a DEL in the path", line("GET /\x7f HTTP/1.1"), 400],
  ["a backslash in the path", line("GET /a\\..\\b HTTP/1.1"), 400],
  ["a backslash in the path, and one in the query", line("GET /\\?a=\\ HTTP/1.1"), 400],
  ["a target that is no path", line("GET a HTTP/1.1"), 400],
  ["a target that begins with a query", line("GET ?a HTTP/1.1"), 400],
  ["an authority as the target", line("GET a:80 HTTP/1.1"), 400],
  ["an asterisk with GET", line("GET * HTTP/1.1"), 400],
  ["an asterisk and more", line("OPTIONS *a HTTP/1.1"), 400],
  ["a space in the target", line("GET /a b HTTP/1.1"), 400],
  ["two spaces after the method", line("GET  / HTTP/1.1"), 400],
  ["two spaces after the target", line("GET /  HTTP/1.1"), 400],
  ["a space after the version", line("GET / HTTP/1.1 "), 400],
  ["a space before the method", line(" GET / HTTP/1.1"), 400],
  ["tabs between the parts", line("GET\t/\tHTTP/1.1"), 400],
  ["a CR between the parts", line("GET\r/ HTTP/1.1"), 400],
  ["no method", line("/ HTTP/1.1"), 400],
  ["no target", line("GET HTTP/1.1"), 400],
  ["a lower-case method", line("get / HTTP/1.1"), 400],
  ["a mixed-case method", line("Get / HTTP/1.1"), 400],
  ["a method with a bracket", line("GE(T / HTTP/1.1"), 400],
  ["a method with a byte above ASCII", line("G\xc9T / HTTP/1.1"), 400],
  ["a method with a NUL", line("GET\0 / HTTP/1.1"), 400],
  ["a method of 33 bytes", line(`${"A".repeat(33)} / HTTP/1.1`), 400],
  ["CONNECT", line("CONNECT a:443 HTTP/1.1"), 405],
  ["CONNECT with a path", line("CONNECT / HTTP/1.1"), 405],
  ["TRACE", line("TRACE / HTTP/1.1"), 405],
  ["HTTP/0.9", line("GET / HTTP/0.9"), 400],
  ["HTTP/0.9 without a version", "GET /\r\n\r\n", 400],
  ["HTTP/1.2", line("GET / HTTP/1.2"), 505],
  ["HTTP/1.9", line("GET / HTTP/1.9"), 505],
  ["HTTP/2.0", line("GET / HTTP/2.0"), 505],
  ["HTTP/3.0", line("GET / HTTP/3.0"), 505],
  ["the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\n", 505],
  ["HTTP/2 without a minor version", line("GET / HTTP/2"), 400],
  ["a lower-case version", line("GET / http/1.1"), 400],
  ["a mixed-case version", line("GET / Http/1.1"), 400],
  ["a version with two digits", line("GET / HTTP/1.10"), 400],
  ["a version with a leading zero", line("GET / HTTP/01.1"), 400],
  ["a major version of two digits", line("GET / HTTP/11.1"), 400],
  ["a version with an 8-bit overflow", line("GET / HTTP/257.1"), 400],
  ["a minor version with an 8-bit overflow", line("GET / HTTP/1.257"), 400],
  ["a version with a sign", line("GET / HTTP/1.+1"), 400],
  ["a version with a comma", line("GET / HTTP/1,1"), 400],
  ["another protocol", line("GET / HTTPS/1.1"), 400],
  ["a version and more", line("GET / HTTP/1.1x"), 400],
  ["a TLS handshake", "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n", 400],
];

const sizes: readonly Vector[] = [
  ["101 header fields", get(...Array.from({ length: 100 }, (_, index) => `X-${index}: 1`)), 431],
  ["1000 header fields", get(...Array.from({ length: 1000 }, () => "A: 1")), 431],
  ["a request line of 16 KiB and a byte", line(`GET /${"a".repeat(16_385 - 14)} HTTP/1.1`), 414],
  ["a request line of 60 KiB", line(`GET /${"a".repeat(60_000)} HTTP/1.1`), 414],
  ["a head above 64 KiB", get(`X-A: ${"a".repeat(65_536)}`), 431],
];

describe("requests that are refused", () => {
  for (const [group, vectors] of Object.entries({ framing, lines, hosts, requestLines, sizes })) {
    describe(group, () => {
      for (const [name, text, status] of vectors) {
        it(`${name} -> ${status}`, () => {
          const error = parseRequestHead(text, new RequestHead());
          assert.equal(error?.status, status, error?.reason ?? "accepted");
        });
      }
    });
  }

  it("one head after the other in the same object, without an earlier one showing through", () => {
    const head = new RequestHead();
    for (const [name, text, status] of [framing, lines, hosts, requestLines, sizes].flat()) {
      assert.equal(parseRequestHead(text, head)?.status, status, name);
      assert.equal(parseRequestHead("GET / HTTP/1.1\r\nHost: a\r\n\r\n", head), null);
      assert.deepEqual([head.framing, head.contentLength, head.forwarded, head.upgrade], ["none", 0, "", ""]);
    }
  });

  it("with a reason that fits one line and never holds a value", () => {
    for (const [name, text] of [framing, lines, hosts, requestLines, sizes].flat()) {
      const reason = parseRequestHead(text, new RequestHead())?.reason ?? "";
      assert.match(reason, /^[\x20-\x7e\xa0-\xff]{5,200}$/, name);
    }
    const secret = parseRequestHead(get("Authorization: Basic c2VjcmV0\0"), new RequestHead());
    assert.equal(secret?.reason, 'a control byte in the value of a header: "Authorization"');
  });
});
