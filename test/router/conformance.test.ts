/**
 * The scenarios of the ingress controller conformance suite that matching decides, under the suite's own names, and the
 * edge cases that the Ingress API leaves open. From request head to route: target and host are normalised first.
 */
import assert from "node:assert/strict";
import type { Backend, Host, Route } from "../../src/model/snapshot.ts";
import { normaliseHost } from "../../src/router/hosts.ts";
import { compileTable } from "../../src/router/table.ts";
import { normaliseTarget } from "../../src/router/target.ts";

/** Rules as `Exact /foo`, `Prefix /foo`, `Regex /foo(.*)`; by host. The value of a route is its text. */
type Rules = Readonly<Record<string, readonly string[]>>;

const backend: Backend = { kind: "notFound" };

function route(rule: string): Route {
  const [type = "", path = ""] = rule.split(" ");
  const match: Route["path"] =
    type === "Exact"
      ? { kind: "exact", path }
      : type === "Regex"
        ? { kind: "regex", source: path }
        : { kind: "prefix", path: path === "/" ? path : path.replace(/\/$/, "") };
  const timeouts = { connect: 1, read: 1, send: 1 };
  return { path: match, backend, policy: { timeouts }, closed: null, ingress: "ns/name", declaredPath: rule };
}

function host(name: string, rules: readonly string[]): Host {
  const otherwise = rules.find((rule) => rule === "default");
  return {
    name,
    tls: false,
    routes: rules.filter((rule) => rule !== "default").map(route),
    defaultRoute: otherwise === undefined ? null : { ...route("Prefix /"), declaredPath: "default" },
  };
}

/** "400", "404" or the text of the rule that matches. */
function answer(rules: Rules, authority: string, target: string): string {
  const hosts = Object.entries(rules).map(([name, paths]) => host(name, paths));
  const table = compileTable({ hosts }, ({ declaredPath }) => declaredPath);
  const name = normaliseHost(authority);
  const normalised = normaliseTarget(target);
  if (name === null || "bad" in normalised) {
    return "400";
  }
  return table.host(name)?.lookup(normalised.path) ?? "404";
}

interface Scenario {
  readonly name: string;
  readonly rules: Rules;
  /** Authority and target, and what answers. */
  readonly requests: readonly (readonly [authority: string, target: string, answer: string])[];
}

const pathRules: Rules = {
  "exact-path-rules": ["Exact /foo"],
  "prefix-path-rules": ["Prefix /foo", "Prefix /aaa/bbb", "Prefix /aaa"],
  "mixed-path-rules": ["Prefix /foo", "Exact /foo"],
  "trailing-slash-path-rules": ["Prefix /aaa/bbb/", "Exact /foo/"],
};

const hostRules: Rules = { "*.foo.com": ["Prefix /"], "foo.bar.com": ["Prefix /"] };

const scenarios: readonly Scenario[] = [
  {
    name: "An Ingress with no rules should send all requests to the default backend",
    rules: { "": ["default"] },
    requests: [
      ["my-host", "/", "default"],
      ["my-host", "/sub-path", "default"],
      ["some-host", "/", "default"],
      ["", "/resource", "default"],
      ["some-host", "/resource", "default"],
    ],
  },
  {
    name: "An Ingress with a host rule should send traffic to the correct backend",
    rules: hostRules,
    requests: [["foo.bar.com", "/", "Prefix /"]],
  },
  {
    name: "An Ingress with a host rule should not match a subdomain",
    rules: hostRules,
    requests: [["subdomain.bar.com", "/", "404"]],
  },
  {
    name: "An Ingress with a wildcard host rule should match a single label",
    rules: hostRules,
    requests: [["bar.foo.com", "/", "Prefix /"]],
  },
  {
    name: "An Ingress with a wildcard host rule should not match more than a single label",
    rules: hostRules,
    requests: [["baz.bar.foo.com", "/", "404"]],
  },
  {
    name: "An Ingress with a wildcard host rule should not match no label",
    rules: hostRules,
    requests: [["foo.com", "/", "404"]],
  },
  {
    name: "An Ingress with exact path rules should match the exact path",
    rules: pathRules,
    requests: [["exact-path-rules", "/foo", "Exact /foo"]],
  },
  {
    name: "An Ingress with exact path rules should not match a path with a trailing slash",
    rules: pathRules,
    requests: [["exact-path-rules", "/foo/", "404"]],
  },
  {
    name: "An Ingress with exact path rules should be case sensitive",
    rules: pathRules,
    requests: [["exact-path-rules", "/FOO", "404"]],
  },
  {
    name: "An Ingress with exact path rules should not match any other path",
    rules: pathRules,
    requests: [["exact-path-rules", "/bar", "404"]],
  },
  {
    name: "An Ingress with prefix path rules should match the path, with and without a trailing slash",
    rules: pathRules,
    requests: [
      ["prefix-path-rules", "/foo", "Prefix /foo"],
      ["prefix-path-rules", "/foo/", "Prefix /foo"],
    ],
  },
  {
    name: "An Ingress with prefix path rules should be case sensitive",
    rules: pathRules,
    requests: [["prefix-path-rules", "/FOO", "404"]],
  },
  {
    name: "An Ingress with prefix path rules should match the longest path",
    rules: pathRules,
    requests: [
      ["prefix-path-rules", "/aaa/bbb", "Prefix /aaa/bbb"],
      ["prefix-path-rules", "/aaa/bbb/ccc", "Prefix /aaa/bbb"],
      ["prefix-path-rules", "/aaa/ccc", "Prefix /aaa"],
    ],
  },
  {
    name: "An Ingress with prefix path rules should match each labels string prefix",
    rules: pathRules,
    requests: [["prefix-path-rules", "/aaaccc", "404"]],
  },
  {
    name: "An Ingress with mixed path rules should prefer the exact path",
    rules: pathRules,
    requests: [
      ["mixed-path-rules", "/foo", "Exact /foo"],
      ["mixed-path-rules", "/foo/", "Prefix /foo"],
    ],
  },
  {
    name: "An Ingress with a trailing slash in a prefix path rule should ignore it",
    rules: pathRules,
    requests: [
      ["trailing-slash-path-rules", "/aaa/bbb", "Prefix /aaa/bbb/"],
      ["trailing-slash-path-rules", "/aaa/bbb/", "Prefix /aaa/bbb/"],
    ],
  },
  {
    name: "An Ingress with a trailing slash in an exact path rule should not ignore it",
    rules: pathRules,
    requests: [
      ["trailing-slash-path-rules", "/foo", "404"],
      ["trailing-slash-path-rules", "/foo/", "Exact /foo/"],
    ],
  },
];

const site: Rules = {
  "": ["Prefix /everybody"],
  "*.foo.com": ["Prefix /wildcard", "Prefix /"],
  "foo.com": ["Exact /foo", "Prefix /admin", "Prefix /foo;x=1", "Prefix /Grüße", "Exact /a b"],
  "regex.example": ["Regex /api/v[0-9]+", "Regex /api/v1$", "Exact /api/v2", "Prefix /api", "default"],
};

const edgeCases: readonly Scenario[] = [
  { name: "1. the port is not part of the host", rules: site, requests: [["foo.com:8080", "/foo", "Exact /foo"]] },
  { name: "2. hosts are compared without regard to case", rules: site, requests: [["FOO.com", "/foo", "Exact /foo"]] },
  {
    name: "3. one dot at the end of a host says nothing",
    rules: site,
    requests: [
      ["foo.com.", "/foo", "Exact /foo"],
      ["foo.com..", "/foo", "400"],
    ],
  },
  {
    name: "4. an IPv6 literal goes to the host for every name",
    rules: site,
    requests: [
      ["[::1]:80", "/everybody", "Prefix /everybody"],
      ["[::1]", "/foo", "404"],
    ],
  },
  {
    name: "5. what is no host is refused; no host at all goes to the host for every name",
    rules: site,
    requests: [
      ["foo .com", "/foo", "400"],
      ["foo.com/", "/foo", "400"],
      ["foo\0.com", "/foo", "400"],
      ["", "/everybody", "Prefix /everybody"],
    ],
  },
  {
    name: "9. an encoded slash separates elements when paths are matched",
    rules: site,
    requests: [["foo.com", "/admin%2Fx", "Prefix /admin"]],
  },
  {
    name: "10. dot segments do not hide a path, however they are written",
    rules: site,
    requests: [
      ["foo.com", "/foo/../admin", "Prefix /admin"],
      ["foo.com", "/foo/%2e%2e/admin", "Prefix /admin"],
      ["foo.com", "/foo/.%2E/admin", "Prefix /admin"],
      ["foo.com", "/../admin", "400"],
    ],
  },
  {
    name: "11. parameters belong to the path, an empty query and double slashes do not",
    rules: site,
    requests: [
      ["foo.com", "/foo;x=1", "Prefix /foo;x=1"],
      ["foo.com", "/foo?", "Exact /foo"],
      ["foo.com", "//foo", "Exact /foo"],
      ["foo.com", "/foo%00", "400"],
    ],
  },
  {
    name: "12. a rule's path matches however the request encodes it",
    rules: site,
    requests: [
      ["foo.com", "/Gr%C3%BC%c3%9fe/x", "Prefix /Grüße"],
      ["foo.com", "/a%20b", "404"],
      ["foo.com", "/Gr\xc3\xbc\xc3\x9fe", "400"],
    ],
  },
  {
    name: "13. a target that is no path is refused",
    rules: site,
    requests: [
      ["foo.com", "*", "400"],
      ["foo.com", "foo.com:443", "400"],
    ],
  },
  {
    name: "14. a wildcard stands for one label of letters, digits, hyphens and underscores",
    rules: site,
    requests: [
      ["a-b_c.foo.com", "/", "Prefix /"],
      ["a.b.foo.com", "/", "404"],
      ["a*.foo.com", "/", "400"],
      [".foo.com", "/", "400"],
    ],
  },
  {
    name: "a path that no route of the chosen host matches goes to no other host",
    rules: site,
    requests: [
      ["foo.com", "/wildcard", "404"],
      ["foo.com", "/everybody", "404"],
      ["bar.foo.com", "/everybody", "Prefix /"],
    ],
  },
  {
    name: "an exact path wins over regular expressions, these win over prefixes, the default is last",
    rules: site,
    requests: [
      ["regex.example", "/api/v2", "Exact /api/v2"],
      ["regex.example", "/api/v1", "Regex /api/v[0-9]+"],
      ["regex.example", "/API/V3/users", "Regex /api/v[0-9]+"],
      ["regex.example", "/api/x", "Prefix /api"],
      ["regex.example", "/API/x", "default"],
      ["regex.example", "/x/api/v1", "default"],
    ],
  },
];

describe("conformance", () => {
  for (const { name, rules, requests } of scenarios) {
    it(name, () => {
      for (const [authority, target, expected] of requests) {
        assert.equal(answer(rules, authority, target), expected, `${authority} ${target}`);
      }
    });
  }
});

describe("edge case", () => {
  for (const { name, rules, requests } of edgeCases) {
    it(name, () => {
      for (const [authority, target, expected] of requests) {
        assert.equal(answer(rules, authority, target), expected, `${authority} ${target}`);
      }
    });
  }
});
