import assert from "node:assert/strict";
import fc from "fast-check";
import {
  findHeadEnd,
  findRequestLine,
  headIncomplete,
  headMalformed,
  oversizeStatus,
} from "../../src/wire/head-end.ts";

const head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

describe("the end of a head", () => {
  it("is behind its empty line, also when other bytes stand before and after it", () => {
    assert.equal(findHeadEnd(head, 0, 0), head.length);
    assert.equal(findHeadEnd(`${head}${head}\n`, 0, 0), head.length);
    assert.equal(findHeadEnd(`${head}${head}\n`, head.length, head.length), 2 * head.length);
    assert.equal(findHeadEnd(`\n\n${head}`, 2, 2), head.length + 2);
  });

  it("is found however the head arrives", () => {
    const arrivals = fc.array(fc.nat(head.length - 1), { maxLength: 6 });
    fc.assert(
      fc.property(arrivals, fc.constantFrom("", "x\r\n\r\n"), (lengths, before) => {
        const from = before.length;
        let scanned = from;
        for (const length of lengths.sort((a, b) => a - b)) {
          assert.equal(findHeadEnd(before + head.slice(0, length), from, scanned), headIncomplete);
          scanned = from + length;
        }
        assert.equal(findHeadEnd(before + head, from, scanned), from + head.length);
      }),
    );
  });

  it("is given up as soon as a line ends in a bare LF", () => {
    assert.equal(findHeadEnd("GET / HTTP/1.1\nHost: a\n\n", 0, 0), headMalformed);
    assert.equal(findHeadEnd("GET / HTTP/1.1\r\nHost: a\n", 0, 16), headMalformed);
    assert.equal(findHeadEnd("\n", 0, 0), headMalformed);
    assert.equal(findHeadEnd("\r\n", 1, 1), headMalformed);
    assert.equal(findHeadEnd("\r\n", 0, 1), headIncomplete);
  });
});

describe("the request line", () => {
  it("may have one empty line before it", () => {
    assert.equal(findRequestLine(head, 0), 0);
    assert.equal(findRequestLine(`\r\n${head}`, 0), 2);
    assert.equal(findRequestLine(`\r\n\r\n${head}`, 0), 2);
    assert.equal(findRequestLine(`xx\r\n${head}`, 2), 4);
    assert.equal(findRequestLine("\r", 0), headIncomplete);
    assert.equal(findRequestLine("\rX", 0), 0);
    assert.equal(findRequestLine(`\n${head}`, 0), 0);
    assert.equal(findRequestLine("", 0), 0);
  });
});

describe("a head that is too long", () => {
  it("is 414 when its first line is, else 431", () => {
    const long = "a".repeat(20_000);
    assert.equal(oversizeStatus(`GET /${long}`, 0), 414);
    assert.equal(oversizeStatus(`GET /${long} HTTP/1.1\r\nHost: a`, 0), 414);
    assert.equal(oversizeStatus(`GET / HTTP/1.1\r\nX-A: ${long}`, 0), 431);
    assert.equal(oversizeStatus(`${long}GET / HTTP/1.1\r\nX-A: ${long}`, long.length), 431);
  });
});
