import assert from "node:assert/strict";
import fc from "fast-check";
import { renderPolicy } from "../../src/features/registry.ts";
import { expandRewrite } from "../../src/features/rewrite.ts";
import { answer, read } from "./read.ts";

describe("rewrite-target", () => {
  const good = [
    "/",
    "/$1",
    "/$2/x$1",
    "$1",
    "/a.b/~c/_-/(d)",
    "/index.php?q=$1",
    "/a?b=%20&c",
    "/a?",
    "/a?b=c?",
    "https://www.example.com/$1",
    "http://a:8080/",
    "http://a",
    "/...",
  ];
  for (const target of good) {
    it(`accepts ${target}`, () => {
      assert.deepEqual(read({ "rewrite-target": target }).policy.rewrite, { target });
    });
  }

  const bad: readonly [string, RegExp][] = [
    ["", /empty/],
    ["a", /must begin with \/\); write \/a$/],
    ["/$0", /"\$0" is not one of the groups \$1 to \$9/],
    ["/$name", /"\$name"/],
    ["/$".concat("{1}"), /"\$\{1\}"/],
    ["/$", /"\$"/],
    ["$scheme://x", /"\$scheme"/],
    ["/$request_uri", /"\$request_uri"/],
    ["/a\r\nb", /must not hold "\\r"/],
    ["/a\nb", /must not hold/],
    ["/a;b", /must not hold ";"/],
    ['/a"b', /must not hold/],
    ["/a'b", /must not hold/],
    ["/a{b", /must not hold/],
    ["/a}b", /must not hold/],
    ["/a\\b", /must not hold/],
    ["/a b", /must not hold/],
    ["/a#b", /must not hold/],
    ["/é", /must not hold/],
    ["/a%20b", /must not hold %/],
    ["/a?b=%2", /hexadecimal/],
    ["/a/../b", /segments/],
    ["/a/./$1", /segments/],
    ["/..", /segments/],
    ["https://$1/", /host/],
    ["https://a.example$1", /host/],
    ["https://a@b/", /host/],
    ["https://", /host/],
    ["ftp://a/", /must begin/],
    [`/${"a".repeat(1024)}`, /1024/],
  ];
  for (const [target, message] of bad) {
    it(`refuses ${JSON.stringify(target.slice(0, 40))}`, () => {
      const { policy, problems } = read({ "rewrite-target": target });
      assert.equal(policy.rewrite, undefined);
      assert.deepEqual(
        problems.map(({ code }) => code),
        ["InvalidAnnotation"],
      );
      assert.match(problems[0]?.message ?? "", message);
    });
  }

  const expanded: readonly [string, readonly string[] | null, string | null, string | null][] = [
    ["/", ["/foo/bar", "bar"], null, "/"],
    ["/$1", ["/foo/bar", "bar"], null, "/bar"],
    ["/$1", null, null, "/"],
    ["/$2-$9", ["/foo", "a", "b"], null, "/b-"],
    ["/$10", ["/foo", "a"], null, "/a0"],
    ["$1", ["/foo/a", "/a"], null, "/a"],
    ["$1", ["/foo", ""], null, "/"],
    ["$1", ["/fooa", "a"], null, "/a"],
    ["/a", null, "b=c", "/a?b=c"],
    ["/a", null, "", "/a"],
    ["/a?", null, "b=c", "/a"],
    ["/a?x=1", null, "b=c", "/a?x=1&b=c"],
    ["/a?x=1", null, null, "/a?x=1"],
    ["/a?x=1?", null, "b=c", "/a?x=1"],
    ["/a?x=$1", ["", "b&c=d+e;f g/h"], null, "/a?x=b%26c=d%2Be%3Bf%20g/h"],
    ["/$1", ["", 'a b%?#"{}\x00\xff'], null, "/a%20b%25%3F%23%22%7B%7D%00%FF"],
    ["/$1", ["", "a?b"], "c", "/a%3Fb?c"],
    ["/v1/$1", ["/api../x", "../x"], null, null],
    ["/v1/$1", ["", ".."], null, null],
    ["/v1/$1", ["", "a/./b"], null, null],
    ["/v1/.$1", ["", "./x"], null, null],
    ["/v1/$1", ["", "..\\x"], null, null],
    ["/v1/$1$2", ["", ".", "."], null, null],
    ["/v1$1", ["/api../x", "../x"], null, "/v1../x"],
    ["/v1/$1", ["", "...x/..y"], null, "/v1/...x/..y"],
    ["https://a.example/$1", ["", "b c"], "d", "https://a.example/b%20c?d"],
    ["https://a.example/$1", ["", "../b"], null, null],
  ];
  for (const [target, captures, query, result] of expanded) {
    it(`expands ${target} with ${JSON.stringify(captures)} and the query ${JSON.stringify(query)} to ${result}`, () => {
      assert.equal(expandRewrite(target, captures, query), result);
    });
  }

  it("sets what goes upstream, and answers 400 where a request would leave the target", () => {
    const annotations = { "rewrite-target": "/v1/$1" };
    assert.deepEqual(answer(annotations, { groups: ["/api/x", "x"], query: "q=1" }), {
      reply: null,
      upstreamTarget: "/v1/x?q=1",
      headers: [],
    });
    assert.equal(answer(annotations, { groups: ["/api../admin", "../admin"] }).reply?.status, 400);
  });

  it("answers a target that is a URL with 302", () => {
    const { reply } = answer({ "rewrite-target": "https://a.example/$1" }, { groups: ["", "b"], query: 'c="d' });
    assert.deepEqual(reply, { status: 302, headers: [["Location", "https://a.example/b?c=%22d"]], body: null });
  });

  it("does nothing where the target is the path itself, as the widespread / on / asks", () => {
    const target = "/deep/path?q";
    const kept = { reply: null, upstreamTarget: target, headers: [] };
    assert.deepEqual(answer({ "rewrite-target": "/" }, { target }, { declaredPath: "/" }), kept);
    assert.deepEqual(answer({ "rewrite-target": "/" }, { target }, { declaredPath: "" }), kept);
    assert.deepEqual(answer({ "rewrite-target": "/a" }, { target }, { declaredPath: "/a" }), kept);
    assert.equal(answer({ "rewrite-target": "/" }, { target }, { declaredPath: "/deep" }).upstreamTarget, "/");
  });

  it("never makes anything but a clean path of the target, whatever groups a request brings", () => {
    const group = fc.string({
      unit: fc.oneof(
        fc.constantFrom(".", "/", "\\", "%", "?"),
        fc.nat(255).map((byte) => String.fromCharCode(byte)),
      ),
    });
    fc.assert(
      fc.property(fc.constantFrom("/v1/$1", "/v1/$1/$2?x=$1", "$1$2", "/v1$1"), group, group, (target, one, two) => {
        const result = expandRewrite(target, ["", one, two], null);
        if (result === null) return;
        assert.match(result, /^\/[!$&-;=?@A-Z[\]_a-z~%]*$/);
        const [path = ""] = result.split("?");
        const segments = decodeURIComponent(path.replace(/%[89A-F]./g, "x")).split(/[/\\]/);
        assert.ok(!segments.includes("..") && !segments.includes("."), result);
      }),
      { numRuns: 500 },
    );
  });

  describe("in nginx", () => {
    const render = (target: string, regex: string | null, declaredPath = "/x") =>
      renderPolicy(read({ "rewrite-target": target }).policy, {
        hostHasTls: false,
        declaredPath,
        regex,
        schemeVariable: "$scheme",
      }).directives.filter(({ name }) => name === "rewrite");

    it("keeps groups as variables and all other text literal", () => {
      assert.deepEqual(render("/a$1?b=$2", "/x(.*)"), [
        { name: "rewrite", args: ["(?i)^/x(.*)", ["/a", { nginx: "$1" }, "?b=", { nginx: "$2" }], "break"] },
      ]);
      assert.deepEqual(render("$1", "/x(.*)"), [
        { name: "rewrite", args: ["(?i)^/x(.*)", [{ nginx: "$1" }], "break"] },
      ]);
    });

    it("leaves groups out where the path is no regular expression", () => {
      assert.deepEqual(render("/a$1?", null), [{ name: "rewrite", args: ["^", "/a?", "break"] }]);
      assert.deepEqual(render("$1", null), [{ name: "rewrite", args: ["^", "/", "break"] }]);
    });

    it("redirects to a URL, and writes nothing where the target is the path", () => {
      assert.deepEqual(render("https://a/", null), [{ name: "rewrite", args: ["^", "https://a/", "redirect"] }]);
      assert.deepEqual(render("/", null, "/"), []);
    });
  });
});
