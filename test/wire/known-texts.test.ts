/** Known texts are found where they stand, and nothing else is taken for one. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { KnownTexts } from "../../src/wire/known-texts.ts";

describe("known texts", () => {
  it("finds what was added, wherever it stands", () => {
    const known = new KnownTexts();
    assert.equal(known.find("Host: a.example\r\n", 6, 15), "");
    assert.equal(known.add("Host: a.example\r\n", 6, 15), "a.example");
    assert.equal(known.find("host:a.example\r\n", 5, 14), "a.example");
    assert.equal(known.find("host:a.examplf\r\n", 5, 14), "");
  });

  it("never gives another text than the one that stands there, whatever was added", () => {
    const text = fc.string({ unit: "binary-ascii", maxLength: 80 });
    fc.assert(
      fc.property(fc.array(text, { maxLength: 60 }), text, (added, asked) => {
        const known = new KnownTexts();
        for (const each of added) assert.equal(known.add(`<${each}>`, 1, each.length + 1), each);
        const found = known.find(`<${asked}>`, 1, asked.length + 1);
        assert.ok(found === "" || found === asked);
        const last = added.at(-1) ?? "";
        if (last.length <= 64) assert.equal(known.find(last, 0, last.length), last);
      }),
    );
  });

  it("keeps no more than its places, and no long ones", () => {
    const known = new KnownTexts();
    const many = Array.from({ length: 100_000 }, (_, index) => `host-${index}.example`);
    for (const each of many) known.add(each, 0, each.length);
    assert.ok(many.filter((each) => known.find(each, 0, each.length) !== "").length <= 512);
    const long = "a".repeat(65);
    known.add(long, 0, long.length);
    assert.equal(known.find(long, 0, long.length), "");
  });
});
