import assert from "node:assert/strict";
import fc from "fast-check";
import { encodePath } from "../../src/model/path.ts";
import { normaliseTarget } from "../../src/router/target.ts";
import { type NginxOracle, nginxForOracle, startNginxOracle } from "../support/nginx-oracle.ts";

/** The path that routes are matched on; null when the target is refused. */
function pathOf(target: string): string | null {
  const result = normaliseTarget(target);
  return "bad" in result ? null : result.path;
}

/** Targets of the pieces that normalisation turns on. */
const tricky = fc
  .array(
    fc.constantFrom(
      ...[
        "/",
        "//",
        ".",
        "..",
        "/./",
        "/../",
        "%2e",
        "%2E",
        "%2f",
        "%2F",
        "%25",
        "%3f",
        "%23",
        "%5c",
        "%00",
        "%0a",
        "%7f",
      ],
      ...["%c3%a9", "%", "%z", "%2", "%zz", "a", "B", ";x=1", "+", "|", "~", "?", "&"],
    ),
    { maxLength: 12 },
  )
  .map((pieces) => `/${pieces.join("")}`);

const printableTarget = fc
  .string({ unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)), maxLength: 30 })
  .map((text) => `/${text.replace(/[\\#]/g, "")}`);

describe("a request target", () => {
  const paths: readonly (readonly [target: string, path: string])[] = [
    ["/", "/"],
    ["/foo", "/foo"],
    ["/foo/", "/foo/"],
    ["/foo;x=1", "/foo;x=1"],
    ["/foo.html", "/foo.html"],
    ["/...", "/..."],
    ["/a../.b", "/a../.b"],
    ["//foo", "/foo"],
    ["/a///b//", "/a/b/"],
    ["/.", "/"],
    ["/./", "/"],
    ["/a/.", "/a/"],
    ["/a/..", "/"],
    ["/a/b/..", "/a/"],
    ["/a/b/../", "/a/"],
    ["/foo/../admin", "/admin"],
    ["/foo/%2e%2e/admin", "/admin"],
    ["/foo/.%2E/admin", "/admin"],
    ["/foo%2f..%2fadmin", "/admin"],
    ["/a%2Fb", "/a/b"],
    ["/a//../b", "/b"],
    ["/%2F%2f", "/"],
    ["/%41%6a", "/Aj"],
    ["/a%20b", "/a b"],
    ["/a%3Fb", "/a?b"],
    ["/a%23b", "/a#b"],
    ["/%252e%252e/x", "/%2e%2e/x"],
    ["/a%5c..%5cb", "/a\\..\\b"],
    ["/%c3%a9", "/\xc3\xa9"],
    ["/%ff", "/\xff"],
    ["/a%0d%0ab", "/a\r\nb"],
    ["/a+b", "/a+b"],
  ];
  for (const [target, path] of paths) {
    it(`${target} is matched as ${JSON.stringify(path)}`, () => {
      assert.deepEqual(normaliseTarget(target), { path, query: null });
    });
  }

  const queries: readonly (readonly [target: string, path: string, query: string])[] = [
    ["/foo?", "/foo", ""],
    ["/foo?a=b", "/foo", "a=b"],
    ["/foo?a?b", "/foo", "a?b"],
    ["/foo?../%2e%zz//", "/foo", "../%2e%zz//"],
    ["/a/..?x", "/", "x"],
    ["/a%3Fb?c", "/a?b", "c"],
    ["/a?b\\c", "/a", "b\\c"],
  ];
  for (const [target, path, query] of queries) {
    it(`${target} has the query ${JSON.stringify(query)}, as sent`, () => {
      assert.deepEqual(normaliseTarget(target), { path, query });
    });
  }

  const refused: readonly (readonly [target: string, reason: RegExp])[] = [
    ["", /slash/],
    ["*", /slash/],
    ["?a", /slash/],
    ["foo", /slash/],
    ["/..", /root/],
    ["/../a", /root/],
    ["/a/../..", /root/],
    ["/a/../../b", /root/],
    ["/%2e%2e", /root/],
    ["//..", /root/],
    ["/%2F..", /root/],
    ["/foo%00", /NUL/],
    ["/%", /hexadecimal/],
    ["/%2", /hexadecimal/],
    ["/%zz", /hexadecimal/],
    ["/%2?x", /hexadecimal/],
    ["/% 2", /0x20/],
    ["/a b", /0x20/],
    ["/a\tb", /0x09/],
    ["/a\\b", /0x5c/],
    ["/a#b", /0x23/],
    ["/a\x7f", /0x7f/],
    ["/a\xe9", /0xe9/],
    ["/a\u0100", /0x100/],
    ["/a?b#c", /0x23/],
    ["/a?b c", /0x20/],
    ["/a?\xe9", /0xe9/],
    ["/a?\0", /0x00/],
  ];
  for (const [target, reason] of refused) {
    it(`${JSON.stringify(target)} is refused, naming ${reason.source}`, () => {
      const result = normaliseTarget(target);
      assert.ok("bad" in result, JSON.stringify(result));
      assert.match(result.bad, reason);
    });
  }

  it("names the same path when the path matched is encoded and sent again", () => {
    fc.assert(
      fc.property(fc.oneof(tricky, printableTarget), (target) => {
        const path = pathOf(target);
        fc.pre(path !== null);
        assert.equal(pathOf(encodePath(path)), path);
      }),
    );
  });

  it("never leads to a path with a dot segment, an empty segment or a NUL", () => {
    fc.assert(
      fc.property(fc.oneof(tricky, printableTarget), (target) => {
        const path = pathOf(target);
        fc.pre(path !== null);
        assert.doesNotMatch(path, /\/\.{0,2}\/|\/\.{1,2}$|\0/);
        assert.match(path, /^\//);
      }),
    );
  });

  it("is taken apart in a moment, however many slashes and dots it has", () => {
    const hostile = `/a${"/../a".repeat(3_000)}${"/".repeat(8_000)}${"%2e/".repeat(1_000)}`;
    const started = performance.now();
    assert.equal(pathOf(hostile), "/a/");
    assert.ok(performance.now() - started < 1_000);
  });
});

describe("a request target, compared with nginx", () => {
  let oracle: NginxOracle | null = null;

  before(async function () {
    const nginx = nginxForOracle();
    if (nginx === null) {
      this.skip();
    }
    oracle = await startNginxOracle(
      nginx,
      `merge_slashes on; server { listen SOCKET; location / { return 200 "$uri|$is_args$args"; } }`,
    );
  });
  after(() => oracle?.stop());

  it("leads to the path and the query that nginx sees, or is refused by both", async () => {
    const compare = async (target: string) => {
      const ours = normaliseTarget(target);
      const theirs = await oracle?.get(target);
      const expected = theirs?.status === 200 ? theirs.body : "refused";
      // nginx does not tell an empty query from none.
      const query = "bad" in ours || ours.query === null || ours.query === "" ? "" : `?${ours.query}`;
      assert.equal("bad" in ours ? "refused" : `${ours.path}|${query}`, expected, JSON.stringify(target));
    };
    await fc.assert(fc.asyncProperty(tricky, compare), { numRuns: 1_000 });
    await fc.assert(fc.asyncProperty(printableTarget, compare), { numRuns: 500 });
  });
});
