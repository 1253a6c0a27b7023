import assert from "node:assert/strict";
import { beginsHttp2 } from "../../src/wire/http2-preface.ts";

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const begins = (text: string): boolean | null => beginsHttp2(Buffer.from(text, "latin1"));

describe("HTTP/2's preface", () => {
  it("is known by all of its bytes, whatever follows them", () => {
    assert.equal(begins(preface), true);
    assert.equal(begins(`${preface}\0\0\0`), true);
    for (let length = 0; length < preface.length; length++) {
      assert.equal(begins(preface.slice(0, length)), null);
      assert.equal(begins(`${preface.slice(0, length)}!`), false);
    }
  });

  it("is told from requests of HTTP/1.1 at their first byte that differs", () => {
    for (const text of ["G", "PO", "PRO", "PRI /", "\r", "\x16\x03\x01"]) assert.equal(begins(text), false, text);
  });
});
