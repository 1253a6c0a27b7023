import assert from "node:assert/strict";
import { STATUS_CODES } from "node:http";
import { reasonPhrase } from "../../src/wire/reasons.ts";
import { errorPage, fieldLine, httpDate } from "../../src/wire/reply.ts";

const date = "Sun, 06 Nov 1994 08:49:37 GMT";
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

describe("errorPage", () => {
  it("tells the status in its title", () => {
    assert.match(errorPage(404), /<h1>404 Not Found<\/h1>/);
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
