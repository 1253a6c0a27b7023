import assert from "node:assert/strict";
import fc from "fast-check";
import { type ContentCoding, preferredCoding } from "../../src/wire/accept-encoding.ts";

const both: readonly ContentCoding[] = ["br", "gzip"];

/** What the field prefers of brotli and gzip. */
const preferences: readonly (readonly [field: string | undefined, coding: ContentCoding | null])[] = [
  [undefined, null],
  ["", null],
  ["identity", null],
  ["deflate", null],
  ["gzip", "gzip"],
  ["GZIP", "gzip"],
  ["x-gzip", "gzip"],
  ["br", "br"],
  ["gzip, deflate, br, zstd", "br"],
  ["gzip,br", "br"],
  [" gzip ;q=1 , br ; q=0.9", "gzip"],
  ["gzip;q=0.5, br;q=0.5", "br"],
  ["gzip;q=0.501, br;q=0.5", "gzip"],
  ["gzip;Q=0.8, br;q=0.7", "gzip"],
  ["br;q=0, gzip", "gzip"],
  ["br;q=0, gzip;q=0", null],
  ["br;q=0.000, gzip;q=0.001", "gzip"],
  ["*", "br"],
  ["*;q=0", null],
  ["*;q=0, gzip", "gzip"],
  ["br;q=0, *", "gzip"],
  ["gzip;q=0.5, *;q=0.1", "gzip"],
  ["gzip;q=0.1, *;q=0.5", "br"],
  ["identity;q=0", null],
  ["identity;q=0, gzip;q=0.1", "gzip"],
  ["identity;q=1, gzip;q=0.5", null],
  ["identity;q=0.5, gzip;q=0.5", "gzip"],
  ["identity, *;q=0", null],
  ["identity;q=0, *;q=0", null],
  // What cannot be read accepts nothing.
  ["gzip;q=2", null],
  ["gzip;q=1.5", null],
  ["gzip;q=-1", null],
  ["gzip;q=0.1234", null],
  ["gzip;q=", null],
  ["gzip;level=9", null],
  ["gzip;q=1;q=1", null],
  ["gzip br", null],
  ["br;q=abc, gzip", "gzip"],
  [",,gzip,,", "gzip"],
  // Said twice, it is as it is least wanted.
  ["gzip, gzip;q=0", null],
  ["gzip;q=0, gzip", null],
  ["x-gzip;q=0, gzip", null],
  ["gzipped, brotli", null],
];

describe("Accept-Encoding", () => {
  for (const [field, coding] of preferences) {
    it(`prefers ${coding ?? "the response as it is"} by ${JSON.stringify(field)}`, () => {
      assert.equal(preferredCoding(field, both), coding);
    });
  }

  it("chooses among what is offered alone", () => {
    assert.equal(preferredCoding("br, gzip", ["gzip"]), "gzip");
    assert.equal(preferredCoding("br", ["gzip"]), null);
    assert.equal(preferredCoding("br, gzip", []), null);
    assert.equal(preferredCoding("*", ["gzip"]), "gzip");
  });

  it("never gives a coding that the field refuses or does not name, whatever else it holds", () => {
    const member = fc.oneof(
      fc.constantFrom(
        "gzip",
        "br",
        "identity",
        "*",
        "deflate",
        "x-gzip",
        "gzip;q=0",
        "br;q=0",
        "*;q=0",
        "",
        ";",
        "q=1",
      ),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(member), (members) => {
        const field = members.join(", ");
        const coding = preferredCoding(field, both);
        if (coding === null) return;
        const names = field.split(",").map((text) => text.trim().toLowerCase());
        assert.ok(names.some((name) => name.startsWith(coding) || name.startsWith("*") || name.startsWith("x-gzip")));
        assert.ok(!names.includes(`${coding};q=0`));
      }),
    );
  });

  it("takes time in proportion to the length of a hostile field", () => {
    for (const field of [
      `gzip${";".repeat(60_000)}`,
      ",".repeat(60_000),
      " ".repeat(60_000),
      `br;q=0.${"0".repeat(60_000)}`,
    ]) {
      const begin = performance.now();
      preferredCoding(field, both);
      assert.ok(performance.now() - begin < 100);
    }
  });
});
