import assert from "node:assert/strict";
import fc from "fast-check";
import { toPcre } from "../../src/render/pcre.ts";
import { compileRegex } from "../../src/router/regex.ts";
import type { Pattern } from "../../src/router/regex-shape.ts";
import { parsePattern } from "../../src/router/regex-syntax.ts";
import { normaliseTarget } from "../../src/router/target.ts";
import { needsNginx } from "../support/nginx.ts";
import { type NginxOracle, nginxForOracle, nginxQuoted, startNginxOracle } from "../support/nginx-oracle.ts";

function parse(source: string): Pattern {
  const parsed = parsePattern(source);
  assert.ok(!("refused" in parsed), `${source} is refused`);
  return parsed.pattern;
}

/** Expressions of the pieces that are easy to get wrong. */
const sources = fc
  .array(
    fc.constantFrom(
      ...[
        "/",
        "api",
        "A",
        ".",
        "\\.",
        "-",
        "(",
        ")",
        "(?:",
        "(?<name>",
        "(?-i:",
        "(?s:",
        "|",
        "[a-z]",
        "[^/]",
        "[^a-c]",
      ],
      ...[
        "[\\w.-]",
        "[[:alpha:]_]",
        "[]x]",
        "[A-F0-9]",
        "[^\\d]",
        "\\d",
        "\\W",
        "\\s",
        "\\v",
        "\\x41",
        "\\Q.*\\E",
        "ü",
      ],
      ...["*", "+", "?", "{2}", "{2,}", "{0,3}", "*?", "{", "}", "$", "^", "\\z", "\\b", "\\n", '"', "#", ";", "\\\\"],
    ),
    { maxLength: 10 },
  )
  .map((pieces) => pieces.join(""))
  .filter((source) => !("refused" in compileRegex(source)));

const paths = fc.stringMatching(/^\/[a-zA-Z0-9./_\-"#;{}|$^ü\\*+? \n]{0,12}$/);

describe("writing a regular expression for nginx", () => {
  const written: readonly (readonly [string, string])[] = [
    ["/api(/|$)(.*)", "/api(/|\\z)(.*)"],
    ["/API/[A-Z]+", "/api/[a-z]+"],
    ["/v\\d{1,3}/[^/]+", "/v\\d{1,3}/[^/]+"],
    ["/(?<user>\\w+)/(?'post'[a-f0-9-]*)", "/(\\w+)/([\\-0-9a-f]*)"],
    ["/a|/b", "(?:/a|/b)"],
    ["/x(?-i:Y)z", "/x(?-i:Y)z"],
    ["/a{2,}b??", "/a{2,}b??"],
    ["/\\Qa.b\\E", "/a\\.b"],
    ["/caf\u00e9", "/caf\\xc3\\xa9"],
    ['/";{}#', '/";\\{\\}\\#'],
  ];
  for (const [source, pcre] of written) {
    it(`writes ${source} as ${pcre}`, () => {
      assert.equal(toPcre(parse(source)), pcre);
    });
  }

  it("says what was read: reading it gives the same tree", () => {
    fc.assert(
      fc.property(sources, (source) => {
        const pattern = parse(source);
        assert.equal(toPcre(parse(toPcre(pattern))), toPcre(pattern));
      }),
      { numRuns: 1000 },
    );
  });

  it("matches what the original matches", () => {
    fc.assert(
      fc.property(sources, paths, (source, path) => {
        const original = compileRegex(source);
        const copy = compileRegex(toPcre(parse(source)));
        assert.ok(!("refused" in original) && !("refused" in copy));
        const bytes = Buffer.from(path).toString("latin1");
        assert.deepEqual(copy.exec(bytes), original.exec(bytes));
      }),
      { numRuns: 2000 },
    );
  });

  describe("as nginx reads it", () => {
    const nginx = nginxForOracle();
    if (nginx === null) {
      it.skip(needsNginx);
      return;
    }
    /** A host for each expression: one nginx answers for all of them. */
    const sample = fc.sample(fc.tuple(sources, fc.array(paths, { minLength: 8, maxLength: 8 })), 150);
    let oracle: NginxOracle;

    before(async () => {
      const servers = sample.map(
        ([source], index) => `server {
          listen SOCKET; server_name "s${index}.test";
          location ~* ${nginxQuoted(`^${toPcre(parse(source))}`)} { return 200 "$1"; }
          location / { return 404; }
        }`,
      );
      oracle = await startNginxOracle(nginx, `server_names_hash_bucket_size 128; ${servers.join("\n")}`);
    });

    after(() => oracle.stop());

    it("matches what the router matches, with the same first group", async () => {
      for (const [index, [source, examples]] of sample.entries()) {
        const regex = compileRegex(source);
        assert.ok(!("refused" in regex));
        for (const path of examples) {
          const target = encodeURI(path).replace(/[#?]/g, encodeURIComponent);
          const normalised = normaliseTarget(target);
          if ("bad" in normalised) continue;
          const found = regex.exec(normalised.path);
          const { status, body } = await oracle.get(target, `s${index}.test`);
          const told = `${source} on ${JSON.stringify(path)}`;
          assert.equal(status, found === null ? 404 : 200, told);
          if (found !== null) {
            assert.equal(body, found[1] ?? "", told);
          }
        }
      }
    });
  });
});
