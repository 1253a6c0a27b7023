import assert from "node:assert/strict";
import fc from "fast-check";
import type { Directive, NginxArg, NginxMap } from "../../src/features/feature.ts";
import { knownAnnotations } from "../../src/features/known.ts";
import { compilePolicy, features, policyKey, renderPolicy } from "../../src/features/registry.ts";
import { formatProblem } from "../../src/model/problem.ts";
import { read, request } from "./read.ts";

const names = features.flatMap((feature) => feature.rows.flatMap((row) => [row.name, ...row.aliases]));

/** Text that has broken configuration and headers before, among good values and arbitrary text. */
const fragment = fc.oneof(
  fc.constantFrom(
    "\r\n",
    "\n",
    "\0",
    ";",
    "}",
    "{",
    '"',
    "'",
    "\\",
    "$",
    "$host",
    "#",
    " ",
    "\u2028",
    "%",
    "<",
    "`",
    "*/",
    "\ud800",
  ),
  fc.constantFrom("true", "10.0.0.0/8", "https://a.example", "/a", "$1", "GET", "X-A", "8m", "60", ",", "HTTPS", "301"),
  fc.string({ unit: "binary", maxLength: 3 }),
);
const hostile = fc.array(fragment, { minLength: 1, maxLength: 4 }).map((parts) => parts.join(""));
const annotations = fc.dictionary(fc.constantFrom(...names, ...knownAnnotations.keys()), hostile, { maxKeys: 8 });

describe("hostile annotations", () => {
  it("never reach a header of ours with a character that could end it", () => {
    fc.assert(
      fc.property(annotations, hostile, hostile, (texts, target, group) => {
        const { policy } = read({ ...texts, "enable-cors": "true" });
        const hooks = compilePolicy(policy, { hostHasTls: true, declaredPath: "/x" });
        const exchange = request({ target, query: target, headers: { origin: group }, groups: ["", group, group] });
        const check = (name: string, value: string) => {
          assert.match(name, /^[A-Za-z-]+$/);
          assert.match(value, /^[\x20\x21\x23-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a|~]*$/);
        };
        for (const hook of hooks.request) for (const [name, value] of hook(exchange)?.headers ?? []) check(name, value);
        const edit = { status: 200, get: () => undefined, set: check, add: check, remove: () => undefined };
        for (const hook of hooks.response) hook(exchange, edit);
      }),
      { numRuns: 1000 },
    );
  });

  it("never become a variable, a control character or a regular expression of nginx", () => {
    fc.assert(
      fc.property(annotations, fc.option(fc.constant("/x(.*)")), (texts, regex) => {
        const { policy } = read({ ...texts, "enable-cors": "true" });
        const { directives, maps } = renderPolicy(policy, {
          hostHasTls: true,
          declaredPath: "/x",
          regex,
          schemeVariable: "$scheme",
        });
        for (const directive of directives) checkDirective(directive);
        for (const map of maps) checkMap(map);
      }),
      // A Secret's name is seldom hit upon, and asks for the one directive that looks at the scheme.
      { numRuns: 1000, examples: [[{ "auth-tls-secret": "true/a" }, null]] },
    );
  });

  it("cost a Problem each or are read to the same policy a second time", () => {
    fc.assert(
      fc.property(annotations, (texts) => {
        const first = read(texts);
        assert.equal(policyKey(first.policy), policyKey(read(texts).policy));
        assert.deepEqual(JSON.parse(policyKey(first.policy)), first.policy);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
        for (const problem of first.problems) assert.doesNotMatch(formatProblem(problem), /[\x00-\x1f\x7f\u2028]/);
      }),
    );
  });

  it("close the Ingress whenever a guard among them is not understood", () => {
    const guards = ["allowlist-source-range", "denylist-source-range", "backend-protocol"];
    fc.assert(
      fc.property(fc.constantFrom(...guards), hostile, (name, text) => {
        const { closed, problems, policy, backendProtocol } = read({ [name]: text });
        const guarded = policy.sourceRange !== undefined || (name === "backend-protocol" && problems.length === 0);
        assert.equal(closed === null, guarded, `${text} ${backendProtocol}`);
      }),
    );
  });
});

/** What we write ourselves; nothing else may stand where nginx looks for variables. */
const ours = [
  /^\$[1-9]$/,
  /^\(\$sluice_[a-z0-9_]+\)$/,
  /^\$sluice_[a-z0-9_]+$/,
  /^\(\$request_method$/,
  /^\(\$scheme$/,
  /^http\)$/,
  /^\$http_origin$/,
  /^\$upstream_http_[a-z_]+$/,
  /^https:\/\/\$host\$request_uri$/,
];

function checkDirective({ name, args, block = [] }: Directive): void {
  assert.match(name, /^[a-z_]+$/);
  for (const arg of args) checkArg(arg);
  for (const directive of block) checkDirective(directive);
}

function checkArg(arg: NginxArg): void {
  const parts = (Array.isArray(arg) ? arg : [arg]) as readonly (string | { readonly nginx: string })[];
  for (const part of parts) {
    if (typeof part === "string") assert.match(part, /^[^\p{C};"'\\`<>]*$/u);
    else
      assert.ok(
        ours.some((pattern) => pattern.test(part.nginx)),
        part.nginx,
      );
  }
}

function checkMap({ source, variable, entries, default: fallback }: NginxMap): void {
  assert.match(source, /^[$a-z_:0-9]+$/);
  assert.match(variable, /^\$sluice_[a-z0-9_]+$/);
  checkArg(fallback);
  for (const { regex, value } of entries) {
    assert.match(regex, /^[\x20-\x7e]+$/);
    assert.doesNotMatch(regex, /[;"'{}#`<>]/);
    checkArg(value);
  }
}
