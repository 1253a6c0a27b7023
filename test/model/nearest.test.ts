import assert from "node:assert/strict";
import fc from "fast-check";
import { nearest } from "../../src/model/nearest.ts";

const names = ["proxy-body-size", "proxy-read-timeout", "proxy-send-timeout", "ssl-redirect", "use-regex", "workers"];

describe("nearest", () => {
  const rows: readonly [string, string | null][] = [
    ["proxy-body-size", "proxy-body-size"],
    ["proxy-bodysize", "proxy-body-size"],
    ["proxy-raed-timeout", "proxy-read-timeout"],
    ["sslredirect", "ssl-redirect"],
    ["SSL-Redirect", "ssl-redirect"],
    ["use-regexp", "use-regex"],
    ["worker", "workers"],
    ["wrokers", "workers"],
    ["", null],
    ["x", null],
    ["completely-different", null],
  ];
  for (const [word, expected] of rows) {
    it(`finds ${JSON.stringify(expected)} for ${JSON.stringify(word)}`, () => {
      assert.equal(nearest(word, names), expected);
    });
  }

  it("has nothing to offer where there are no names", () => {
    assert.equal(nearest("word", []), null);
  });

  it("gives ties to the first by text, whatever the order of the candidates", () => {
    assert.equal(nearest("cat", ["hat", "bat"]), "bat");
    assert.equal(nearest("cat", ["bat", "hat"]), "bat");
  });

  it("undoes any single slip of the keyboard in a name that stands alone", () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[a-z]{4,20}$/),
        fc.nat(),
        fc.constantFrom("drop", "double", "swap"),
        (name, n, slip) => {
          const index = n % (name.length - 1);
          const [head, here, next, tail] = [name.slice(0, index), name[index], name[index + 1], name.slice(index + 2)];
          const typed = {
            drop: `${head}${next}${tail}`,
            double: `${head}${here}${here}${next}${tail}`,
            swap: `${head}${next}${here}${tail}`,
          };
          assert.equal(nearest(typed[slip], ["0123456789", name]), name);
        },
      ),
    );
  });

  it("does not depend on the order of the candidates", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 8 }), fc.array(fc.string({ maxLength: 8 })), (word, candidates) => {
        assert.equal(nearest(word, candidates), nearest(word, [...candidates].reverse()));
      }),
    );
  });
});
