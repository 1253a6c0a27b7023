/**
 * Random heads, near-valid and torn: the parsers never throw, accept exactly what a second, naive reading of the rules
 * accepts, and what they pass on is canonical: written out and parsed again it says the same.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { parseRequestHead, RequestHead } from "../../src/wire/request-head.ts";
import { parseResponseHead, ResponseHead } from "../../src/wire/response-head.ts";

const bit = fc.constantFrom(
  ...'\r\n\t :;,\0\x0b\x7f\x80\xe9#\\?/*@[]_aA0+-="',
  "\r\n",
  "\r\n\r\n",
  "\n\n",
  "\r\n ",
  "HTTP/1.1",
  "HTTP/1.0",
  "HTTP/2.0",
  "GET",
  "http://a",
  "chunked",
  "Host: a\r\n",
  "Content-Length: 5\r\n",
  "Transfer-Encoding: chunked\r\n",
);

const field = fc.constantFrom(
  "Host: a",
  "Host: b:80",
  "User-Agent: x y",
  "Accept:*/*",
  "Cookie:  a=b ",
  "Authorization: Basic x",
  "Content-Length: 0",
  "Content-Length: 12",
  "content-length: 5, 5",
  "Transfer-Encoding: chunked",
  "TRANSFER-ENCODING: Chunked",
  "Transfer-Encoding: gzip, chunked",
  "Connection: close",
  "Connection: keep-alive, x-a",
  "Connection: Upgrade, cookie",
  "Upgrade: websocket",
  "Upgrade: h2c",
  "X-A: 1",
  "X_A: 2",
  "x-a:3",
  "X-Forwarded-For: 1.2.3.4",
  "Expect: 100-continue",
  "TE: trailers",
  "Date: x",
  "Server: y",
  "Set-Cookie: a=b",
  "X-E:",
);

const requestLine = fc.constantFrom(
  "GET / HTTP/1.1",
  "POST /a?b HTTP/1.1",
  "GET / HTTP/1.0",
  "OPTIONS * HTTP/1.1",
  "GET http://a/b HTTP/1.1",
  "HEAD https://a?b HTTP/1.1",
  "GET /a\\b HTTP/1.1",
  "GET /?\\ HTTP/1.1",
  "CONNECT a:443 HTTP/1.1",
);
const statusLine = fc.constantFrom(
  "HTTP/1.1 200 OK",
  "HTTP/1.0 404",
  "HTTP/1.1 101 x",
  "HTTP/1.1 204 ",
  "HTTP/1.1 304 x",
);

/** Head lines, with some of their bytes cut out or replaced. */
function torn(first: fc.Arbitrary<string>, prelude: readonly string[]): fc.Arbitrary<string> {
  const whole = fc
    .tuple(first, fc.array(field, { maxLength: 7 }))
    .map(([line, fields]) => [line, ...prelude, ...fields, "", ""].join("\r\n"));
  const cut = fc.tuple(fc.nat(), fc.nat(3), fc.array(bit, { maxLength: 2 }));
  return fc.tuple(whole, fc.array(cut, { maxLength: 2 })).map(([text, cuts]) => {
    let result = text;
    for (const [at, length, bits] of cuts) {
      const start = at % (result.length + 1);
      result = result.slice(0, start) + bits.join("") + result.slice(start + length);
    }
    return result;
  });
}

const requests = fc.oneof(torn(requestLine, ["Host: a"]), torn(requestLine, []));
const responses = torn(statusLine, []);
const fieldLine =
  /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[ \t]*$/;

interface NaiveHead {
  readonly first: string;
  readonly fields: ReadonlyMap<string, readonly string[]>;
}

/** Splits and matches; null for what is no head. */
function readNaively(text: string): NaiveHead | null {
  const lines = text.split("\r\n");
  if (lines.length < 3 || lines.pop() !== "" || lines.pop() !== "") return null;
  const [first = "", ...rest] = lines;
  const fields = new Map<string, string[]>();
  for (const line of rest) {
    const match = fieldLine.exec(line);
    if (match === null) return null;
    const name = (match[1] ?? "").toLowerCase();
    fields.set(name, [...(fields.get(name) ?? []), match[2] ?? ""]);
  }
  return { first, fields };
}

function isFramed(fields: NaiveHead["fields"], minor: string): boolean {
  const lengths = fields.get("content-length");
  const codings = fields.get("transfer-encoding");
  if (codings === undefined)
    return lengths === undefined || (lengths.length === 1 && /^(0|[1-9]\d{0,14})$/.test(lengths[0] ?? ""));
  return lengths === undefined && minor === "1" && codings.length === 1 && /^chunked$/i.test(codings[0] ?? "");
}

function acceptsRequest(text: string): boolean {
  const head = readNaively(text);
  const line = /^([!#$%&'*+\-.^_`|~0-9A-Z]{1,32}) ([\x21\x22\x24-\x7e]+) HTTP\/1\.([01])$/.exec(head?.first ?? "");
  if (head === null || line === null) return false;
  const [, method = "", target = "", minor = ""] = line;
  if (method === "CONNECT" || method === "TRACE" || /^[^?]*\\/.test(target)) return false;
  const absolute = /^https?:\/\/([A-Za-z0-9\-._~]+(?::\d{1,5})?)(?:[/?].*)?$/i.exec(target);
  if (!target.startsWith("/") && absolute === null && !(target === "*" && method === "OPTIONS")) return false;

  const hosts = head.fields.get("host") ?? [];
  const host = hosts[0] ?? "";
  if (hosts.length > 1 || (minor === "1" && host === "")) return false;
  if (host !== "" && !/^[A-Za-z0-9\-._~]+(:\d{1,5})?$/.test(host)) return false;
  if (absolute !== null && host !== "" && host.toLowerCase() !== absolute[1]?.toLowerCase()) return false;

  if (!isFramed(head.fields, minor)) return false;
  const upgrades = head.fields.get("upgrade") ?? [];
  const options = (head.fields.get("connection") ?? []).join().toLowerCase().split(",");
  const handshake =
    upgrades.length === 1 && /^websocket$/i.test(upgrades[0] ?? "") && options.some((o) => o.trim() === "upgrade");
  const hasBody = head.fields.has("transfer-encoding") || (head.fields.get("content-length") ?? ["0"])[0] !== "0";
  return !(handshake && hasBody);
}

/** The head as the data plane sends it on, with the framing and Host that the parser read. */
function writeRequest(head: RequestHead): string {
  const host = head.authority === "" ? "none" : head.authority;
  let framing = "";
  if (head.framing === "length") framing = `Content-Length: ${head.contentLength}\r\n`;
  if (head.framing === "chunked") framing = "Transfer-Encoding: chunked\r\n";
  const upgrade = head.upgrade === "" ? "" : "Connection: upgrade\r\nUpgrade: websocket\r\n";
  return `${head.method} ${head.pathAndQuery} HTTP/1.1\r\nHost: ${host}\r\n${framing}${upgrade}${head.forwarded}\r\n`;
}

describe("random request heads", () => {
  it("are accepted exactly when a naive reading of the rules accepts them", () => {
    const head = new RequestHead();
    let accepted = 0;
    fc.assert(
      fc.property(requests, (text) => {
        const error = parseRequestHead(text, head);
        assert.equal(error === null, acceptsRequest(text), error?.reason ?? "accepted");
        if (error === null) accepted++;
      }),
      { numRuns: 5000 },
    );
    assert.ok(accepted > 500, `${accepted} of 5000 were valid: the test would prove little`);
  });

  it("are passed on canonically: one Host, one framing, nothing that is ours or this hop's, and stable when read again", () => {
    const head = new RequestHead();
    const again = new RequestHead();
    fc.assert(
      fc.property(requests, (text) => {
        fc.pre(parseRequestHead(text, head) === null);
        const sent = writeRequest(head);
        assert.equal(parseRequestHead(sent, again), null);
        const { method, pathAndQuery, framing, contentLength, upgrade, forwarded } = head;
        assert.deepEqual(
          [again.method, again.pathAndQuery, again.framing, again.contentLength, again.upgrade, again.forwarded],
          [method, pathAndQuery, framing, contentLength, upgrade, forwarded],
        );
        const names = (forwarded.match(/^[^:\r]+(?=:)/gm) ?? []).map((name) => name.toLowerCase());
        for (const name of names) {
          assert.doesNotMatch(
            name,
            /_|^(host|connection|content-length|transfer-encoding|te|upgrade|expect|x-forwarded-for)$/,
          );
        }
        assert.match(
          forwarded,
          /^(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+: (?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?\r\n)*$/,
        );
      }),
      { numRuns: 3000 },
    );
  });

  it("never make the parsers throw, not even when they are no latin1", () => {
    const text = fc.oneof(requests, responses, fc.string({ unit: "binary" }), fc.string({ unit: "binary-ascii" }));
    fc.assert(
      fc.property(text, fc.constantFrom("", "\r\n\r\n"), (start, end) => {
        parseRequestHead(start + end, new RequestHead());
        parseResponseHead(start + end, "GET", new ResponseHead());
      }),
      { numRuns: 3000 },
    );
  });
});

describe("random response heads", () => {
  it("are accepted exactly when a naive reading of the rules accepts them", () => {
    const head = new ResponseHead();
    let accepted = 0;
    fc.assert(
      fc.property(responses, fc.constantFrom("GET", "HEAD"), (text, method) => {
        const naive = readNaively(text);
        const line = /^HTTP\/1\.([01]) [1-9]\d\d(?: [\t\x20-\x7e\x80-\xff]*)?$/.exec(naive?.first ?? "");
        const valid = naive !== null && line !== null && isFramed(naive.fields, line[1] ?? "");
        const error = parseResponseHead(text, method, head);
        assert.equal(error === null, valid, error ?? "accepted");
        if (error === null) accepted++;
      }),
      { numRuns: 5000 },
    );
    assert.ok(accepted > 500, `${accepted} of 5000 were valid: the test would prove little`);
  });

  it("are passed on stable: read again they say the same", () => {
    const head = new ResponseHead();
    const again = new ResponseHead();
    fc.assert(
      fc.property(responses, (text) => {
        fc.pre(parseResponseHead(text, "GET", head) === null);
        const sent = `HTTP/1.1 ${head.status} ${head.reason}\r\n${head.forwarded}\r\n`;
        assert.equal(parseResponseHead(sent, "GET", again), null);
        assert.deepEqual([again.status, again.reason, again.forwarded], [head.status, head.reason, head.forwarded]);
        assert.deepEqual([again.hasDate, again.hasServer], [head.hasDate, head.hasServer]);
      }),
      { numRuns: 2000 },
    );
  });
});
