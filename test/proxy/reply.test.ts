/**
 * Sluice's own answers as a client gets them, whatever headers and text a feature puts into them.
 */
import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import fc from "fast-check";
import type { Reply } from "../../src/features/exchange.ts";
import type { Client } from "../../src/proxy/client.ts";
import { RequestExchange } from "../../src/proxy/exchange.ts";
import type { Plane } from "../../src/proxy/plane.ts";
import { reply } from "../../src/proxy/reply.ts";
import { errorPage } from "../../src/wire/reply.ts";
import { parseRequestHead, RequestHead } from "../../src/wire/request-head.ts";
import { parseResponseHead, ResponseHead } from "../../src/wire/response-head.ts";

const date = "Sun, 06 Nov 1994 08:49:37 GMT";
const plane = { serverLine: "Server: sluice\r\n", dateLine: () => `Date: ${date}\r\n` } as unknown as Plane;

/** What the client is told, read back by our own parser. */
function answer(given: Reply, method = "GET"): { head: ResponseHead; body: string } {
  const request = new RequestHead();
  parseRequestHead(`${method} / HTTP/1.1\r\nHost: a.example\r\n\r\n`, request);
  const peer = {
    secure: false,
    address: "127.0.0.1",
    port: 1,
    localAddress: "127.0.0.1",
    localPort: 80,
    proto: "http" as const,
    told: "",
    trusted: false,
    tls: null,
    http2: false,
    logged: null,
  };
  let text = "";
  let body = "";
  const client: Client = {
    interim() {},
    respond(status, reason, lines, length) {
      text = `HTTP/1.1 ${status} ${reason}\r\n${lines}${length === -1 ? "" : `Content-Length: ${length}\r\n`}\r\n`;
    },
    write(part) {
      body += part.toString("latin1");
      return false;
    },
    flush: () => true,
    end() {},
    abort() {},
    resumeBody() {},
    sendContinue() {},
    switchProtocols: () => ({ socket: new PassThrough(), early: null }),
  };
  reply(plane, client, new RequestExchange(request, peer, 0), given);
  const head = new ResponseHead();
  assert.equal(parseResponseHead(text, method, head), null);
  return { head, body };
}

describe("an answer by Sluice itself", () => {
  it("has the built-in page of its status where it has no body of its own", () => {
    const { head, body } = answer({ status: 404, headers: [], body: null });
    assert.equal(body, errorPage(404));
    assert.equal(head.value("content-type"), "text/html; charset=utf-8");
    assert.equal(head.contentLength, body.length);
  });

  it("counts the bytes of a text, not its characters", () => {
    const { head, body } = answer({ status: 200, headers: [], body: "na\u00efve \u2713" });
    assert.equal(Buffer.from(body, "latin1").toString("utf8"), "na\u00efve \u2713");
    assert.equal(head.contentLength, 10);
    assert.equal(head.value("content-type"), "text/plain; charset=utf-8");
  });

  it("keeps the type that it is given", () => {
    const { head } = answer({ status: 200, headers: [["content-TYPE", "application/json"]], body: "{}" });
    assert.equal(head.value("content-type"), "application/json");
  });

  it("to HEAD has the length of the body and no body", () => {
    const { head, body } = answer({ status: 404, headers: [], body: null }, "HEAD");
    assert.deepEqual([body, head.announcedLength], ["", errorPage(404).length]);
  });

  it("has neither body nor length where the status allows none", () => {
    for (const status of [204, 304]) {
      const { head, body } = answer({ status, headers: [], body: "x" });
      assert.deepEqual([body, head.announcedLength], ["", -1]);
    }
  });

  it("cannot be framed, dated or signed by its headers", () => {
    const headers = [
      ["Content-Length", "99"],
      ["transfer-encoding", "chunked"],
      ["DATE", "x"],
      ["Server", "x"],
      ["Connection", "x"],
    ] as const;
    const { head } = answer({ status: 200, headers, body: "abc" });
    assert.deepEqual([head.framing, head.contentLength], ["length", 3]);
    assert.deepEqual([head.value("date"), head.value("server"), head.value("connection")], [date, "sluice", undefined]);
  });

  it("is one well-formed message, whatever a header holds", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom("a\r\nX-Evil: 1", "\0", "\n", "\u00e9", "X-A:", ""),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text), { maxLength: 5 }), text, (headers, content) => {
        const { head, body } = answer({ status: 200, headers, body: content });
        assert.equal(body, Buffer.from(content).toString("latin1"));
        assert.equal(head.value("x-evil"), undefined);
      }),
    );
  });
});
