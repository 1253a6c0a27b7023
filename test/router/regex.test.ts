import assert from "node:assert/strict";
import fc from "fast-check";
import { toBytes } from "../../src/model/path.ts";
import { compileRegex } from "../../src/router/regex.ts";
import { compileLinear, compileNative } from "../../src/router/regex-engines.ts";
import { backtrackingBound } from "../../src/router/regex-linear.ts";
import type { Pattern } from "../../src/router/regex-shape.ts";
import { parsePattern } from "../../src/router/regex-syntax.ts";
import { normaliseTarget } from "../../src/router/target.ts";
import { backtrack } from "../support/backtracker.ts";
import { type NginxOracle, nginxForOracle, nginxQuoted, startNginxOracle } from "../support/nginx-oracle.ts";

/** The groups of a match, [whole, $1, …]; null when the path does not match. */
function groupsOf(source: string, path: string): readonly string[] | null {
  const regex = compileRegex(source);
  assert.ok(!("refused" in regex), JSON.stringify(regex));
  const groups = regex.exec(toBytes(path));
  assert.equal(regex.test(toBytes(path)), groups !== null);
  return groups;
}

function parsed(source: string): Pattern | null {
  const result = parsePattern(source);
  return "refused" in result ? null : result.pattern;
}

/** Sources made of what people write and of what engines differ in; some are refused. */
const source = fc
  .array(
    fc.oneof(
      fc.constantFrom("/", "a", "b", "ab", "A", "é", "/foo", "\\.", "_", " "),
      fc.constantFrom(
        ".",
        "[a-c]",
        "[^/]",
        "[^a]",
        "\\d",
        "\\w",
        "\\W",
        "\\s",
        "[[:alpha:]]",
        "[A-F0-9]",
        "[]x]",
        "\\x2f",
      ),
      fc.constantFrom("*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0}", "{2,}", "{0,3}?", "{x}"),
      fc.constantFrom("(", "(?:", "(?<n>", "(?-i:", "(?s:", ")", ")", ")*", ")?", "|", "(?i)", "(?#c)"),
      fc.constantFrom("^", "$", "\\b", "\\B", "\\z", "(/|$)(.*)", "(.*)", "[^/]+/", "\\Qa.\\E"),
    ),
    { minLength: 1, maxLength: 9 },
  )
  .map((pieces) => {
    // Close what is open, so that most of the sources are whole.
    const open = pieces.join("").match(/\((?!\?#|\?i\))/g)?.length ?? 0;
    const closed = pieces.join("").match(/\)/g)?.length ?? 0;
    return pieces.join("") + ")".repeat(Math.max(0, open - closed));
  });

const path = fc
  .array(
    fc.constantFrom("/", "a", "b", "A", "B", "c", "x", "1", ".", "_", " ", "\n", "é", "É", "/foo", "aaaa", "\xff"),
    {
      maxLength: 10,
    },
  )
  .map((pieces) => toBytes(pieces.join("")));

describe("a regular expression", () => {
  const matches: readonly (readonly [source: string, path: string, groups: readonly string[] | null])[] = [
    ["/foo(/|$)(.*)", "/foo", ["/foo", "", ""]],
    ["/foo(/|$)(.*)", "/FOO/bar", ["/FOO/bar", "/", "bar"]],
    ["/foo(/|$)(.*)", "/foobar", null],
    ["/foo", "/foobar", ["/foo"]],
    ["/foo", "/x/foo", null],
    ["^/foo", "/foo", ["/foo"]],
    ["/a|/b", "/b", ["/b"]],
    ["/a|b", "/b", null],
    ["/v[0-9]+/([^/]+)/(.*)", "/V12/users/7/x", ["/V12/users/7/x", "users", "7/x"]],
    ["/(.*)/(.*)", "/a/b/c", ["/a/b/c", "a/b", "c"]],
    ["/(.*?)/(.*)", "/a/b/c", ["/a/b/c", "a", "b/c"]],
    ["/(?P<lang>en|de)/(?<page>.+)", "/de/start", ["/de/start", "de", "start"]],
    ["/(?'n'x)", "/x", ["/x", "x"]],
    ["/(a)|/(b)", "/b", ["/b", "", "b"]],
    ["/[[:alpha:]]+[[:digit:]_]*$", "/abc_12", ["/abc_12"]],
    ["/[[:^alpha:]]", "/a", null],
    ["/[[:upper:]]", "/a", ["/a"]],
    ["/\\h\\d\\w\\.\\x2d\\055", "/\t1a.--", ["/\t1a.--"]],
    ["\\A/a\\z", "/a", ["/a"]],
    ["\\A/a\\Z", "/a", ["/a"]],
    ["/a$", "/a\n", null],
    ["/a.b", "/a\nb", null],
    ["(?s)/a.b", "/a\nb", ["/a\nb"]],
    ["/a[^x]b", "/a\nb", ["/a\nb"]],
    ["/(?-i)Foo", "/foo", null],
    ["/(?-i:Foo)bar", "/FooBAR", ["/FooBAR"]],
    ["/(?i)foo", "/FOO", ["/FOO"]],
    ["/\\Qa.b*\\E", "/A.B*", ["/A.B*"]],
    ["/a(?#not b)c", "/ac", ["/ac"]],
    ["/{id}", "/{id}", ["/{id}"]],
    ["/a{2,3}", "/aaaa", ["/aaa"]],
    ["/a{2", "/a{2", ["/a{2"]],
    ["/[]-]", "/]", ["/]"]],
    ["/[^]]", "/]", null],
    ["/[a\\]b]", "/]", ["/]"]],
    ["/[\\w-]+", "/a-b", ["/a-b"]],
    ["/[\\b]", "/\b", ["/\b"]],
    ["/[[a]", "/[", ["/["]],
    ["/\\/\\-\\_\\#", "//-_#", ["//-_#"]],
    ["/grüße", "/GRüßE/x", ["/GRüßE"].map(toBytes)],
    ["/grüße", "/GRÜßE", null],
    ["/(?:é)+$", "/éé", ["/éé"].map(toBytes)],
    ["/.$", "/é", null],
    ["/..$", "/é", ["/é"].map(toBytes)],
    ["/\\xc3\\x{a9}", "/é", ["/é"].map(toBytes)],
    ["/[^\\d\\D]", "/a", null],
    ["/([^\\d\\D]|a)+b", "/ab", ["/ab", "a"]],
    ["", "/", [""]],
    ["()", "/", ["", ""]],
  ];
  for (const [expression, text, groups] of matches) {
    it(`${expression} ${groups === null ? "does not match" : "matches"} ${JSON.stringify(text)}`, () => {
      assert.deepEqual(groupsOf(expression, text), groups);
    });
  }

  const refused: readonly (readonly [source: string, construct: RegExp, remedy: RegExp])[] = [
    ["/a(?=b)", /lookahead "\(\?=" at character 3/, /match the text itself/],
    ["/(?!admin)", /negative lookahead "\(\?!" at character 2/, /longer expression/],
    ["/(?<=a)b", /lookbehind "\(\?<="/, /group/],
    ["/(?<!a)b", /negative lookbehind/, /longer expression/],
    ["/(a)\\1", /back reference "\\1" at character 5/, /write/],
    ["/(?<n>a)\\k<n>", /back reference "\\k"/, /write/],
    ["/(?P<n>a)(?P=n)", /back reference "\(\?P="/, /write/],
    ["/(a)\\g1", /back reference "\\g"/, /write/],
    ["/a++", /possessive quantifier "\+\+"/, /write "\+"/],
    ["/a*+", /possessive quantifier "\*\+"/, /write "\*"/],
    ["/a{1,2}+", /possessive quantifier "\{1,2\}\+"/, /write/],
    ["/(?>a)", /atomic group/, /\(\?:…\)/],
    ["/(?R)", /recursion/, /write/],
    ["/(a(?1))", /recursion/, /write/],
    ["/(?&n)", /recursion/, /write/],
    ["/(?P>n)", /recursion/, /write/],
    ["/(a)(?(1)b|c)", /conditional/, /a path for each case/],
    ["/(?|(a)|(b))", /branch reset/, /\(\?:…\)/],
    ["/a\\Kb", /match reset "\\K"/, /group/],
    ["/\\Ga", /"\\G"/, /"\^"/],
    ["/\\R", /"\\R"/, /\[\\n\\r\]/],
    ["/\\X", /"\\X"/, /write/],
    ["/\\p{L}", /property "\\p"/, /\[a-z\]/],
    ["/(*SKIP)a", /verb/, /leave it out/],
    ["/(?C1)a", /callout/, /leave it out/],
    ["/(?x) a", /flag "x"/, /write/],
    ["/(?^a)", /group "\(\?\^"/, /write/],
    ["/(?<1>a)", /group "\(\?<"/, /write/],
    ["/(?<n>a)(?<n>b)", /second group named "n"/, /name of its own/],
    ["/é+", /"é", which is 2 bytes,/, /\(\?:…\)/],
    ["/[é]", /"é", which is several bytes, in a class/, /\(\?:é\|…\)/],
    ["/\\Qé\\E+", /\\Q…\\E/, /\(\?:…\)/],
    ["/\\Qa.b", /"\\Q" without its "\\E" at character 2/, /\\E/],
    ["/\\x{263a}", /"\\x\{263a\}"/, /the character itself/],
    ["/\\xg", /escape "\\x"/, /hexadecimal/],
    ["/\\y", /escape "\\y"/, /write "y"/],
    ["/\\cA", /escape "\\c"/, /\\x/],
    ["/\\", /backslash/, /"\\\\"/],
    ["/[a", /"\[" without its "\]" at character 2/, /"\\\["/],
    ["/[]", /"\[" without/, /write/],
    ["/[[:letter:]]", /class "\[:letter:\]"/, /\[:alpha:\]/],
    ["/[[.a.]]", /class "\[\.a\.\]"/, /write/],
    ["/[z-a]", /range "z-a"/, /lower character first/],
    ["/[\\d-z]", /range "\\\\d-z"/, /last/],
    ["/[\\Qa\\E]", /"\\Q" in a class/, /backslash/],
    ["/(a", /"\(" without its "\)" at character 2/, /"\\\("/],
    ["/a)", /"\)" without its "\(" at character 3/, /"\\\)"/],
    ["*", /quantifier that follows nothing/, /backslash/],
    ["/(+a)", /quantifier that follows nothing/, /backslash/],
    ["/(?i)*", /quantifier behind nothing/, /\(\?:…\)/],
    ["/^*", /quantifier behind an assertion/, /\(\?:…\)/],
    ["/a**", /quantifier behind a quantifier/, /\(\?:…\)/],
    ["/(a*)*b", /loop over what may match nothing/, /"\+"/],
    ["/(?:a|b?){2,}", /loop over what may match nothing/, /"\+"/],
    ["/a{,3}", /"\{,3\}", which versions of PCRE read differently/, /\{0,n\}/],
    ["/a{1001}", /repetition/, /1000/],
    ["/a{3,2}", /repetition/, /m <= n/],
    [`/${"(".repeat(51)}${")".repeat(51)}`, /nested too deep/, /50/],
    ["(a)".repeat(100), /one capturing group too many/, /\(\?:…\)/],
    ["a".repeat(2001), /too long/, /several paths/],
    ["/(?:(?:a{100}b?){100})*", /too expensive/, /shorter/],
  ];
  for (const [expression, construct, remedy] of refused) {
    it(`${expression.slice(0, 40)} is refused: ${construct.source}`, () => {
      const result = compileRegex(expression);
      assert.ok("refused" in result);
      const [named, written] = result.refused.split("; ");
      assert.match(named ?? "", construct);
      assert.match(written ?? "", remedy);
    });
  }

  it("is read or refused, whatever the text, and never throws", () => {
    const characters = fc.constantFrom(..."/ab\\()[]{}^$.*+?|-:<>P='!#iQEdx01,é\u{1f600}\ud800\0\n");
    fc.assert(
      fc.property(fc.string({ unit: characters, maxLength: 20 }), (text) => {
        const result = compileRegex(text);
        assert.ok("refused" in result || typeof result.test("/a") === "boolean");
      }),
      { numRuns: 3_000 },
    );
  });

  it("means the same to V8, to re2js and to a matcher written from the rules", () => {
    let compared = 0;
    fc.assert(
      fc.property(source, fc.array(path, { minLength: 1, maxLength: 5 }), (expression, texts) => {
        const pattern = parsed(expression);
        if (pattern === null) {
          return;
        }
        for (const text of texts) {
          const { groups } = backtrack(pattern, text);
          assert.deepEqual(compileLinear(pattern).exec(text), groups, `re2js ${expression}`);
          assert.equal(compileLinear(pattern).test(text), groups !== null);
          // V8 forgets the groups of earlier rounds of a loop, and so is never given a loop over groups.
          if (backtrackingBound(pattern) !== null) {
            assert.deepEqual(compileNative(pattern).exec(text), groups, `V8 ${expression}`);
          }
          compared++;
        }
      }),
      { numRuns: 3_000 },
    );
    assert.ok(compared > 1_000, `only ${compared} comparisons`);
  });

  it("matches only paths that begin with its leading text", () => {
    fc.assert(
      fc.property(source, path, (expression, text) => {
        const regex = compileRegex(expression);
        if (!("refused" in regex) && regex.test(text)) {
          const start = text.slice(0, regex.leading.length).replace(/[A-Z]/g, (letter) => letter.toLowerCase());
          assert.equal(start, regex.leading);
        }
      }),
      { numRuns: 3_000 },
    );
    const leading = (expression: string) => {
      const regex = compileRegex(expression);
      return "refused" in regex ? null : regex.leading;
    };
    assert.equal(leading("^/Foo/é(/|$)(.*)"), toBytes("/foo/é"));
    assert.equal(leading("/(v1|v2)/x"), "/");
    assert.equal(leading("(/api/(x))y?z"), "/api/x");
  });
});

describe("the bound on backtracking", () => {
  const hostile = fc
    .tuple(fc.constantFrom("a", "/", "1", "a/", "ab", "/a"), fc.integer({ min: 0, max: 60 }), path)
    .map(([unit, times, end]) => unit.repeat(times) + end);

  it("holds for every expression that has one, on every path", () => {
    let bounded = 0;
    fc.assert(
      fc.property(source, hostile, (expression, text) => {
        const pattern = parsed(expression);
        const bound = pattern === null ? null : backtrackingBound(pattern);
        if (pattern === null || bound === null) {
          return;
        }
        bounded++;
        const { steps } = backtrack(pattern, text);
        const most = bound.fixed + bound.perByte * (text.length + 1);
        assert.ok(steps <= most, `${expression}: ${steps} steps, bound ${most}`);
      }),
      { numRuns: 10_000 },
    );
    assert.ok(bounded > 2_000, `only ${bounded} expressions had a bound`);
  });

  const known: readonly (readonly [source: string, bounded: boolean])[] = [
    ["/foo(/|$)(.*)", true],
    ["/api/v[0-9]+/users/[^/]+/(.*)", true],
    ["/(.*)/(.*)", true],
    ["/.*\\.(gif|jpg|png)$", true],
    ["/([a-z]{2})(-[a-z]{2})?/.*", true],
    ["/(.*)a(.*)b(.*)c", false],
    ["(?:a+)+b", false],
    ["/(a|a)*b", false],
    ["/.*[0-9]+x", false],
  ];
  for (const [expression, bounded] of known) {
    it(`${expression} ${bounded ? "has one" : "has none, so V8 does not run it"}`, () => {
      const pattern = parsed(expression);
      assert.ok(pattern !== null);
      assert.equal(backtrackingBound(pattern) !== null, bounded);
    });
  }

  it("keeps expressions that ruin backtracking engines quick on a path of 16 KB", () => {
    const ruinous = [
      "(?:a+)*b",
      "(a|aa)+$",
      "/(.*)(.*)(.*)(.*)(.*)(.*)x",
      "(?:a?){50}a{50}",
      "([a-z]+)+[0-9]",
      "/(.*a){12}x",
    ];
    for (const expression of ruinous) {
      for (const text of [`/${"a".repeat(16_000)}!`, "a".repeat(16_000), "/a".repeat(8_000)]) {
        const regex = compileRegex(expression);
        assert.ok(!("refused" in regex), expression);
        const started = performance.now();
        regex.test(text);
        regex.exec(text);
        assert.ok(performance.now() - started < 2_000, `${expression} took ${performance.now() - started} ms`);
      }
    }
  });
});

describe("a regular expression, compared with nginx", () => {
  const expressions = [
    ...[
      "/foo(/|$)(.*)",
      "/a|b",
      "/(.*)/(.*)",
      "/(.*?)/(.*)",
      "/([^/]+)/?(.*)",
      "/(a|ab)(c|bcd)?(d*)",
      "/(a+)(b+)?",
      "/(a)|/(b)",
    ],
    ...[
      "/[a-c]+(.*)",
      "/[^a]",
      "/[^a-z/]+",
      "/[]a]",
      "/[^]a]",
      "/[\\w.-]+",
      "/[[:alpha:]]+",
      "/[[:^upper:]]",
      "/[[:punct:]](.)",
    ],
    ...[
      "/\\d+",
      "/\\D",
      "/(\\w+)\\W",
      "/\\s",
      "/\\S\\s",
      "/\\h",
      "/\\H",
      "/\\v",
      "/\\V+$",
      "/\\N",
      "/.",
      "(?s)/.b?",
      "/\\x41\\x{62}",
      "/\\060",
    ],
    ...[
      "/(?-i)Ab",
      "/(?-i:A)b",
      "/(?:(?-i)a|B)c?",
      "/((?-i)a)A",
      "/\\Qa.b\\E",
      "/a(?#x)b",
      "/a\\.b",
      "/\\bab\\b",
      "/a\\Bb",
      "\\A/a\\z",
    ],
    ...[
      "/(?<n>a)(?P<m>b)",
      "/(?'n'a)",
      "/a{2}",
      "/a{2,}",
      "/a{1,2}(.*)",
      "/a{2,3}?(.*)",
      "/a{x}",
      "/{a}",
      "/a{2",
      "/a{}",
    ],
    ...[
      "/é",
      "/(?:é)+(.)",
      "/..$",
      "/(.)$",
      "/[\\xc3\\xa9]+",
      "/É",
      "/((a)|b)+x",
      "/(a*){2}",
      "/(a*)?b",
      "/(a|b)*c",
      "/(.*?)?(a)",
      "/()a",
      "/(|a)b",
    ],
    ...[
      "/\\e?\\t?a",
      "/[\\n\\t ]",
      "/[\\]\\-a]",
      "/[a\\-c]",
      "/[a-]",
      "/[-a]",
      "/_",
      "/\\_",
      "/[_a-z]{2}",
      "/[\\d-]+",
      "/(?i:AB)(?-i:ab)",
    ],
  ];
  let oracle: NginxOracle | null = null;

  before(async function () {
    const nginx = nginxForOracle();
    if (nginx === null) {
      this.skip();
    }
    const servers = expressions.map(
      (expression, index) =>
        `server { listen SOCKET; server_name e${index}; location / { return 404; }
           location ~* ${nginxQuoted(`^(?:${expression})`)} { return 200 "$1|$2|$3"; } }`,
    );
    oracle = await startNginxOracle(nginx, `server_names_hash_max_size 4096; ${servers.join("\n")}`);
  });
  after(() => oracle?.stop());

  it("matches the same paths with the same groups", async () => {
    const request = fc.tuple(
      fc.integer({ min: 0, max: expressions.length - 1 }),
      fc
        .array(
          fc.oneof(
            fc.constantFrom(
              "a",
              "b",
              "A",
              "ab",
              "c",
              "d",
              "/",
              "1",
              ".",
              "_",
              "-",
              "é",
              "É",
              "foo",
              "aa",
              "%41",
              "{",
              "}",
            ),
            fc.constantFrom("%20", "%09", "%0a", "%0b", "%1b", "%a0", "%85", "%c3", "%5d", "x", "!", "z"),
          ),
          { maxLength: 5 },
        )
        .map((pieces) =>
          `/${pieces.join("").replace(/[éÉ]/g, encodeURIComponent).replace(/\/+/g, "/")}`.replace("//", "/"),
        ),
    );
    let matched = 0;
    await fc.assert(
      fc.asyncProperty(request, async ([index, target]) => {
        const expression = expressions[index] ?? "";
        const normalised = normaliseTarget(target);
        const bytes = "bad" in normalised ? "" : normalised.path;
        const regex = compileRegex(expression);
        assert.ok(!("refused" in regex), expression);
        const groups = regex.exec(bytes);
        const theirs = await oracle?.get(target, `e${index}`);
        // Here $ is the end of the path; in PCRE it is also the place before a newline that ends it.
        if (theirs?.status === 200 && groups === null && bytes.endsWith("\n") && /\$/.test(expression)) {
          return;
        }
        matched += groups === null ? 0 : 1;
        const ours = groups === null ? 404 : `${groups[1] ?? ""}|${groups[2] ?? ""}|${groups[3] ?? ""}`;
        assert.equal(ours, theirs?.status === 200 ? theirs.body : 404, `${expression} on ${target}`);
      }),
      { numRuns: 4_000 },
    );
    assert.ok(matched > 500, `only ${matched} matches`);
  });
});
