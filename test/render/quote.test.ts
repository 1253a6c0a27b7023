// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is how nginx writes a variable
import assert from "node:assert/strict";
import fc from "fast-check";
import type { NginxArg } from "../../src/features/feature.ts";
import { longestArgument, quote, refuseArgument } from "../../src/render/quote.ts";
import { hostileText } from "../support/hostile.ts";
import { parseNginx } from "../support/nginx-parser.ts";
import { templates } from "../support/templates.ts";

/** The arguments that nginx reads from a directive with this one between two others. */
function readBack(text: string): readonly string[] {
  const { directives, comments } = parseNginx(`before ${text} after;\nnext;\n`);
  assert.deepEqual(comments, []);
  assert.deepEqual(
    directives.map(({ name }) => name),
    ["before", "next"],
  );
  return directives[0]?.args ?? [];
}

describe("quoting for nginx", () => {
  const written: readonly (readonly [string, NginxArg, string, string])[] = [
    ["a plain word", "/a/b-c_d.e", "/a/b-c_d.e", "/a/b-c_d.e"],
    ["nothing", "", '""', '""'],
    ["spaces", "a b", '"a b"', '"a b"'],
    ["what ends an argument or a directive", "a;b{c}d#e", '"a;b{c}d#e"', '"a;b{c}d#e"'],
    ["quotes", `a"b'c`, `"a\\"b'c"`, `"a\\"b'c"`],
    ["a backslash that nginx takes as itself", "\\d\\.", '"\\d\\."', '"\\d\\."'],
    ["backslashes that nginx would take away", '\\n\\"\\\\', '"\\\\n\\\\\\"\\\\\\\\"', '"\\\\n\\\\\\"\\\\\\\\"'],
    ["a dollar sign", "a$host", "a$host", '"a${sluice_dollar}host"'],
    ["a variable of ours", { nginx: "$host" }, "$host", "$host"],
    ["a variable of ours before text", [{ nginx: "$host" }, "name"], '"${host}name"', '"${host}name"'],
    ["a group of ours before a digit", [{ nginx: "$1" }, "0"], "$10", "$10"],
    ["a line of ours", { nginx: "<p>\n" }, '"<p>\\n"', '"<p>\\n"'],
    ["other alphabets", "ünï漢", '"ünï漢"', '"ünï漢"'],
  ];
  for (const [what, arg, plain, evaluated] of written) {
    it(`writes ${what}`, () => {
      assert.equal(quote({ plain: arg }), plain);
      assert.equal(quote({ evaluated: arg }), evaluated);
    });
  }

  it("is read back as the text that it was, whatever that is", () => {
    fc.assert(
      fc.property(hostileText, (text) => {
        fc.pre(refuseArgument(text) === null);
        assert.deepEqual(readBack(quote({ plain: text })), [text, "after"]);
        assert.deepEqual(readBack(quote({ evaluated: text })), [text.replaceAll("$", "${sluice_dollar}"), "after"]);
      }),
      { numRuns: 500 },
    );
  });

  it("is read back as one comment, whatever the text is", () => {
    fc.assert(
      fc.property(hostileText, (text) => {
        const { directives, comments } = parseNginx(`${quote({ comment: text })}\nnext;\n`);
        assert.equal(comments.length, 1);
        assert.deepEqual(directives, [{ name: "next", args: [], block: null }]);
      }),
    );
  });

  const refused: readonly (readonly [string, NginxArg, RegExp])[] = [
    ["a NUL", "a\0b", /control character/],
    ["a line feed", "a\nb", /control character/],
    ["a carriage return", "a\rb", /control character/],
    ["an escape sequence for a terminal", "\x1b[2J", /control character/],
    ["a control character of the second kind", "a\x85b", /control character/],
    ["a control character in a part", [{ nginx: "$host" }, "\t"], /control character/],
    ["a lone surrogate", "a\ud800b", /Unicode/],
    ["more than nginx's buffer holds", "a".repeat(longestArgument + 1), /longer than/],
    ["more than nginx's buffer holds, in bytes", "ü".repeat(longestArgument / 2 + 1), /longer than/],
  ];
  for (const [what, arg, reason] of refused) {
    it(`refuses ${what}`, () => {
      assert.match(refuseArgument(arg) ?? "", reason);
      assert.throws(() => quote({ plain: arg }), reason);
      assert.throws(() => quote({ evaluated: arg }), reason);
    });
  }

  it("refuses what is no name of a directive", () => {
    for (const name of ["", "Proxy", "proxy pass", "proxy;", "}", "1x"]) {
      assert.throws(() => quote({ directive: name }), /not the name of an nginx directive/);
    }
  });
});

describe("the templates", () => {
  for (const [name, text] of Object.entries(templates)) {
    it(`${name} prints values through the quoting function alone, and includes templates only`, () => {
      for (const [tag] of text.matchAll(/<%-.*?%>/gs)) {
        assert.match(tag, /^<%- include\("\/[a-z]+"(?:, \{[^{}]*\})?\) _?%>$/);
      }
      // Without them a tag could be written that this test does not see.
      assert.doesNotMatch(text, /<%%|%%>|__append|escapeFn/);
    });
  }
});
