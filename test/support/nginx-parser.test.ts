// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is how nginx writes a variable
import assert from "node:assert/strict";
import { findDirectives, parseNginx } from "./nginx-parser.ts";

describe("reading nginx.conf", () => {
  it("reads directives, blocks, quotes, escapes, variables and comments as nginx does", () => {
    const { directives, comments } = parseNginx(
      `# one;\na b 'c d' "e\\"f\\\\g\\d\\t" \${h}i{ # two }\n  j; k l{}\n}\nm "";\n`,
    );
    assert.deepEqual(comments, [" one;", " two }"]);
    assert.deepEqual(directives, [
      {
        name: "a",
        args: ["b", "c d", 'e"f\\g\\d\t', "${h}i"],
        block: [
          { name: "j", args: [], block: null },
          { name: "k", args: ["l"], block: [] },
        ],
      },
      { name: "m", args: [""], block: null },
    ]);
    assert.deepEqual(findDirectives(directives, "k"), [{ name: "k", args: ["l"], block: [] }]);
  });

  const refused: readonly (readonly [string, string])[] = [
    ["a directive without its end", "a b"],
    ["a block without its end", "a {"],
    ["an end without its block", "a; }"],
    ["a block without a name", "{ }"],
    ["a quote without its end", 'a "b;'],
    ["text right behind a quote", 'a "b"c;'],
    ["an argument longer than the buffer", `a ${"b".repeat(4096)};`],
    ["a comment longer than the buffer", `# ${"b".repeat(4096)}\na;`],
  ];
  for (const [what, text] of refused) {
    it(`refuses ${what}`, () => {
      assert.throws(() => parseNginx(text));
    });
  }
});
