import assert from "node:assert/strict";
import fc from "fast-check";
import type { Backend, Host, PathMatch, Route } from "../../src/model/snapshot.ts";
import { compileTable } from "../../src/router/table.ts";
import { matchNaively } from "../support/naive-matcher.ts";

const backend: Backend = { kind: "notFound" };
const timeouts = { connect: 1, read: 1, send: 1 };

function makeRoute(path: PathMatch): Route {
  return { path, backend, policy: { timeouts }, closed: null, ingress: "ns/name", declaredPath: "" };
}

/** Few elements, so that rules meet and overlap; some differ in case, in one byte, or hold what separates elements elsewhere. */
const element = fc.constantFrom("a", "A", "b", "ab", "abc", "a b", "é", "ê", "a.b", "a;x", "%2F", "z".repeat(40));
const literalPath = fc.array(element, { maxLength: 4 }).map((elements) => `/${elements.join("/")}`);

const regexSource = fc
  .array(
    fc.constantFrom(
      ...[
        "/a",
        "/b",
        "/ab",
        "/",
        "(/|$)(.*)",
        "[a-c]+",
        "[^/]+",
        ".*",
        "(a|ab)",
        "b?",
        "(?:/a)*",
        "(a|b)*/",
        "$",
        "c{2,3}",
      ],
    ),
    { minLength: 1, maxLength: 4 },
  )
  .map((pieces) => pieces.join(""));

const pathMatch: fc.Arbitrary<PathMatch> = fc.oneof(
  literalPath.map((path): PathMatch => ({ kind: "prefix", path })),
  fc
    .tuple(literalPath, fc.constantFrom("", "/"))
    .map(([path, end]): PathMatch => ({ kind: "exact", path: path === "/" ? path : path + end })),
  regexSource.map((source): PathMatch => ({ kind: "regex", source })),
);

const hostName = fc.constantFrom("", "foo.com", "*.foo.com", "bar.foo.com", "*.bar.foo.com", "*.com", "other.org");

const hosts: fc.Arbitrary<readonly Host[]> = fc.uniqueArray(
  fc.record({
    name: hostName,
    tls: fc.boolean(),
    routes: fc
      .uniqueArray(pathMatch, { maxLength: 12, selector: (path) => JSON.stringify(path) })
      .map((paths) => paths.map(makeRoute)),
    defaultRoute: fc.option(fc.constant(null).map(() => makeRoute({ kind: "prefix", path: "/" }))),
  }),
  { maxLength: 6, selector: (host) => host.name },
);

const requestName = fc.constantFrom(
  ...[
    "",
    "foo.com",
    "bar.foo.com",
    "x.foo.com",
    "a_b.foo.com",
    "x.bar.foo.com",
    "a.x.foo.com",
    "com",
    "a.com",
    "[::1]",
  ],
);
const requestPath = fc
  .tuple(fc.array(fc.oneof(element, fc.constantFrom("/", "aa", "cc", "\xff")), { maxLength: 6 }), fc.boolean())
  .map(([elements, apart]) => Buffer.from(`/${elements.join(apart ? "/" : "")}`).toString("latin1"));
const requests = fc.array(fc.tuple(requestName, requestPath), { minLength: 1, maxLength: 20 });

/** Which route the table gives, and whether it agrees with the rules for all requests. */
function assertAgrees(
  snapshot: readonly Host[],
  asked: readonly (readonly [string, string])[],
  rules = snapshot,
): void {
  const table = compileTable({ hosts: snapshot }, (route) => route);
  for (const [name, path] of asked) {
    const found = table.host(name)?.lookup(path) ?? null;
    assert.equal(found, matchNaively(rules, name, path), JSON.stringify([name, path]));
  }
}

describe("the table of routes", () => {
  it("finds what the rules say, read one by one", () => {
    fc.assert(
      fc.property(hosts, requests, (snapshot, asked) => assertAgrees(snapshot, asked)),
      { numRuns: 1_000 },
    );
  });

  it("finds the same whatever order hosts and routes come in", () => {
    const shuffled = hosts.chain((snapshot) =>
      fc.tuple(
        fc.constant(snapshot),
        fc.shuffledSubarray([...snapshot], { minLength: snapshot.length }),
        fc.tuple(...snapshot.map(({ routes }) => fc.shuffledSubarray([...routes], { minLength: routes.length }))),
      ),
    );
    fc.assert(
      fc.property(shuffled, requests, ([snapshot, order, routes], asked) => {
        const mixed = order.map((host) => ({ ...host, routes: routes[snapshot.indexOf(host)] ?? [] }));
        assertAgrees(mixed, asked, snapshot);
      }),
      { numRuns: 300 },
    );
  });

  it("finds the same in a large table as in a small one", () => {
    const crowd = Array.from({ length: 100 }, (_, index) => [
      makeRoute({ kind: "prefix", path: `/crowd/${index}` }),
      makeRoute({ kind: "exact", path: `/a/crowd${index}` }),
      makeRoute({ kind: "regex", source: `/crowd/r${index}(/|$)(.*)` }),
    ]).flat();
    const others: readonly Host[] = Array.from({ length: 300 }, (_, index) => ({
      name: `crowd${index}.foo.com`,
      tls: false,
      routes: [makeRoute({ kind: "prefix", path: "/" })],
      defaultRoute: null,
    }));
    fc.assert(
      fc.property(hosts, requests, (snapshot, asked) => {
        const large = snapshot.map((host) => ({ ...host, routes: [...crowd, ...host.routes] }));
        assertAgrees([...others, ...large], asked, snapshot);
      }),
      { numRuns: 25 },
    );
  });

  it("takes the first of two routes that claim the same path", () => {
    const paths: readonly PathMatch[] = [
      { kind: "exact", path: "/e" },
      { kind: "prefix", path: "/p" },
      { kind: "regex", source: "/r+" },
    ];
    const routes = [...paths, ...paths].map(makeRoute);
    const table = compileTable({ hosts: [{ name: "", tls: false, routes, defaultRoute: null }] }, (route) => route);
    for (const [index, path] of ["/e", "/p", "/r"].entries()) {
      assert.equal(table.host("")?.lookup(path), routes[index]);
    }
  });

  it("gives each value its route, its host and the groups of its expression", () => {
    const host: Host = {
      name: "a.com",
      tls: false,
      routes: [makeRoute({ kind: "regex", source: "/api(/|$)(.*)" }), makeRoute({ kind: "prefix", path: "/" })],
      defaultRoute: makeRoute({ kind: "prefix", path: "/" }),
    };
    const seen: unknown[] = [];
    const table = compileTable({ hosts: [host] }, (route, of, captures) => {
      seen.push([route, of]);
      return captures;
    });
    assert.deepEqual(seen, [
      [host.routes[0], host],
      [host.routes[1], host],
      [host.defaultRoute, host],
    ]);
    assert.deepEqual(table.host("a.com")?.lookup("/API/users")?.("/API/users"), ["/API/users", "/", "users"]);
    assert.equal(table.host("a.com")?.lookup("/x")?.("/x"), null);
  });

  it("never matches an expression that cannot be used, and goes on without it", () => {
    const routes = [makeRoute({ kind: "regex", source: "/a(?=b)" }), makeRoute({ kind: "prefix", path: "/" })];
    const table = compileTable({ hosts: [{ name: "", tls: false, routes, defaultRoute: null }] }, (route) => route);
    assert.equal(table.host("")?.lookup("/ab"), routes[1]);
  });
});

describe("a table compiled after another", () => {
  const host = (name: string): Host => ({
    name,
    tls: false,
    routes: [makeRoute({ kind: "prefix", path: "/" })],
    defaultRoute: null,
  });
  const a = host("a.com");
  const b = host("b.com");

  it("keeps what was compiled for the hosts that are the same object", () => {
    const compiled: string[] = [];
    const value = (_: Route, { name }: Host) => {
      compiled.push(name);
      return name;
    };
    const first = compileTable({ hosts: [a, b] }, value);
    const changed = { ...b };
    const second = compileTable({ hosts: [a, changed, host("c.com")] }, value, first);
    assert.deepEqual(compiled, ["a.com", "b.com", "b.com", "c.com"]);
    assert.equal(second.host("a.com"), first.host("a.com"));
    assert.notEqual(second.host("b.com"), first.host("b.com"));
  });

  it("is the same table when all hosts are", () => {
    const first = compileTable({ hosts: [a, b] }, () => 1);
    assert.equal(
      compileTable({ hosts: [a, b] }, () => 2, first),
      first,
    );
  });

  it("forgets the hosts that are gone", () => {
    const first = compileTable({ hosts: [a, b] }, () => 1);
    const second = compileTable({ hosts: [b] }, () => 2, first);
    assert.equal(second.host("a.com"), null);
    assert.equal(second.host("b.com")?.lookup("/"), 1);
    assert.equal(first.host("a.com")?.lookup("/"), 1);
  });
});
