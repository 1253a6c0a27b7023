import assert from "node:assert/strict";
import { STATUS_CODES } from "node:http";
import fc from "fast-check";
import { reasonPhrase } from "../../src/wire/reasons.ts";
import { errorPage, fieldLine, httpDate, type OwnReply, type ReplyContext, writeReply } from "../../src/wire/reply.ts";
import { parseResponseHead, ResponseHead } from "../../src/wire/response-head.ts";

const date = "Sun, 06 Nov 1994 08:49:37 GMT";
const context: ReplyContext = { method: "GET", minor: 1, persistent: true, date };

/** What a client understands of the reply. */
function read(reply: OwnReply, overrides: Partial<ReplyContext> = {}): { head: ResponseHead; body: string } {
  const text = writeReply(reply, { ...context, ...overrides });
  const end = text.indexOf("\r\n\r\n") + 4;
  const head = new ResponseHead();
  assert.equal(parseResponseHead(text.slice(0, end), overrides.method ?? "GET", head), null);
  return { head, body: text.slice(end) };
}

describe("a reply of our own", () => {
  it("is written to the byte", () => {
    assert.equal(
      writeReply({ status: 301, headers: [["Location", "https://a/b"]], body: "" }, context),
      "HTTP/1.1 301 Moved Permanently\r\nServer: sluice\r\n" +
        `Date: ${date}\r\nLocation: https://a/b\r\nContent-Length: 0\r\n\r\n`,
    );
  });

  it("has the built-in page of its status where it has no body of its own", () => {
    const { head, body } = read({ status: 404, headers: [], body: null });
    assert.equal(body, errorPage(404));
    assert.match(body, /<h1>404 Not Found<\/h1>/);
    assert.equal(head.value("content-type"), "text/html; charset=utf-8");
    assert.equal(head.contentLength, body.length);
  });

  it("counts the bytes of a text, not its characters", () => {
    const { head, body } = read({ status: 200, headers: [], body: "naïve ✓" });
    assert.equal(Buffer.from(body, "latin1").toString("utf8"), "naïve ✓");
    assert.equal(head.contentLength, Buffer.byteLength("naïve ✓"));
    assert.equal(head.value("content-type"), "text/plain; charset=utf-8");
  });

  it("keeps the type it is given", () => {
    const { head } = read({ status: 200, headers: [["content-TYPE", "application/json"]], body: "{}" });
    assert.equal(head.value("content-type"), "application/json");
  });

  it("to HEAD has the length of the body and no body", () => {
    const { head, body } = read({ status: 404, headers: [], body: null }, { method: "HEAD" });
    assert.deepEqual([body, head.announcedLength], ["", errorPage(404).length]);
  });

  it("has neither body nor length where the status allows none", () => {
    for (const status of [204, 304]) {
      const { head, body } = read({ status, headers: [], body: "x" });
      assert.deepEqual([body, head.announcedLength, head.value("content-type")], ["", -1, undefined]);
    }
  });

  it("says whether the connection is kept, in the way of the client's version", () => {
    const reply: OwnReply = { status: 200, headers: [["Connection", "x"]], body: "" };
    const connection = (minor: 0 | 1, persistent: boolean) =>
      read(reply, { minor, persistent }).head.value("connection");
    assert.equal(connection(1, true), undefined);
    assert.equal(connection(1, false), "close");
    assert.equal(connection(0, true), "keep-alive");
    assert.equal(connection(0, false), "close");
  });

  it("cannot be framed, dated or signed by its headers", () => {
    const headers = [
      ["Content-Length", "99"],
      ["transfer-encoding", "chunked"],
      ["DATE", "x"],
      ["Server", "x"],
    ] as const;
    const { head } = read({ status: 200, headers, body: "abc" });
    assert.deepEqual([head.framing, head.contentLength], ["length", 3]);
    assert.deepEqual([head.value("date"), head.value("server")], [date, "sluice"]);
  });

  it("is one well-formed message, whatever a header holds", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom("a\r\nX-Evil: 1", "\0", "\n", "é", "X-A:", ""),
    );
    const headers = fc.array(fc.tuple(text, text), { maxLength: 5 });
    fc.assert(
      fc.property(headers, text, (pairs, content) => {
        const { head, body } = read({ status: 200, headers: pairs, body: content });
        assert.equal(body, Buffer.from(content).toString("latin1"));
        assert.ok(head.fields.count <= pairs.length + 4);
        assert.equal(head.value("x-evil"), undefined);
      }),
    );
  });
});

describe("fieldLine", () => {
  it("makes one line of any value and none of a name that is no token", () => {
    assert.equal(fieldLine("A", " b\r\nC: d "), "A: b  C: d\r\n");
    assert.equal(fieldLine("A", "ü"), "A: \xc3\xbc\r\n");
    for (const name of ["", "A B", "A:", "A\r\nB", "Ä"]) assert.equal(fieldLine(name, "x"), "", name);
  });
});

describe("httpDate", () => {
  it("is an IMF-fixdate", () => {
    assert.equal(httpDate(784_111_777_000), date);
  });
});

describe("reasonPhrase", () => {
  it("is that of the registry, and empty for the unknown", () => {
    // Node still has the phrases of RFC 7231 and 4918, and one that is a joke.
    const renamed = new Map([
      [413, "Content Too Large"],
      [414, "URI Too Long"],
      [416, "Range Not Satisfiable"],
      [418, ""],
      [422, "Unprocessable Content"],
      [425, "Too Early"],
      [509, ""],
    ]);
    for (const [code, phrase] of Object.entries(STATUS_CODES)) {
      assert.equal(reasonPhrase(Number(code)), renamed.get(Number(code)) ?? phrase, code);
    }
    assert.equal(reasonPhrase(299), "");
  });
});
