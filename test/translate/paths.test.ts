import assert from "node:assert/strict";
import { ingress, service } from "../support/fixtures.ts";
import { problemLines, problemPlaces, routeLines, translateObjects } from "../support/translation.ts";

const useRegex = { "nginx.ingress.kubernetes.io/use-regex": "true" };
const rewrite = { "nginx.ingress.kubernetes.io/rewrite-target": "/$1" };
const web = service("shop/web");

function routesOf(paths: readonly string[], annotations: Readonly<Record<string, string>> = {}) {
  const rules = [["a.example", paths.map((path) => [path, "web:80"] as const)]] as const;
  const translation = translateObjects([ingress("shop/web", { rules, annotations }), web]);
  const routes = routeLines(translation.snapshot).map((line) =>
    line.replace(/^a\.example /, "").replace(/ -> shop.*/, ""),
  );
  return { routes, problems: problemPlaces(translation), lines: problemLines(translation) };
}

describe("a path", () => {
  const rows: readonly (readonly [title: string, path: string, route: string])[] = [
    ["of type Exact keeps its trailing slash", "=/foo/", "= /foo/"],
    ["of type Prefix loses its trailing slash", "/foo/", "^ /foo"],
    ["of type Prefix that is the root stays", "/", "^ /"],
    ["of type ImplementationSpecific is a Prefix", "~/foo/", "^ /foo"],
    ["of type ImplementationSpecific may be empty, which is the root", "~", "^ /"],
    ["of type ImplementationSpecific may end in several slashes", "~/foo//", "^ /foo"],
    ["is percent-decoded", "/a%20b/%c3%a9%E2%82%AC", "^ /a b/é€"],
    ["may hold Unicode as it is", "=/straße/☃", "= /straße/☃"],
    ["is decoded once", "/a%2520b", "^ /a%20b"],
    ["may hold the characters of nginx.conf and of expressions", "/a;{}\"'$(b)*", "^ /a;{}\"'$(b)*"],
  ];
  for (const [title, path, route] of rows) {
    it(title, () => assert.deepEqual(routesOf([path]), { routes: [route], problems: [], lines: [] }));
  }

  const invalid: readonly (readonly [title: string, path: string, what: string])[] = [
    ["that decodes to bytes which are not UTF-8", "/a/%ff", "does not decode to UTF-8"],
    ["that decodes to an overlong form", "/a/%c0%af", "does not decode to UTF-8"],
    ["that decodes to a control character", "=/a%0ab", "holds a control character"],
    ["that decodes to NUL", "/a%00", "holds a control character"],
    ["with an escape that is none", "/100%", 'has a "%" that two hexadecimal digits do not follow'],
    ["with half of a surrogate pair", "/\ud83d", "holds half of a surrogate pair"],
  ];
  for (const [title, path, what] of invalid) {
    it(`${title} is left out and told, and the others stay`, () => {
      const { routes, problems, lines } = routesOf(["/ok", path]);
      assert.deepEqual(routes, ["^ /ok"]);
      assert.deepEqual(problems, ["InvalidObject Ingress shop/web spec.rules[0].http.paths[1].path"]);
      assert.ok(lines[0]?.includes(what), lines[0] ?? "");
    });
  }
});

describe("with use-regex", () => {
  it("ImplementationSpecific paths are expressions, kept as written, and the others are literal", () => {
    const { routes, problems } = routesOf(["~/a%20(b|c)/", "=/x", "/y", "~"], useRegex);
    assert.deepEqual(routes, ["= /x", "~ /a%20(b|c)/", "~ /", "^ /y"]);
    assert.deepEqual(problems, []);
  });

  it("a Prefix or Exact path that looks like an expression is matched literally, which is told", () => {
    const { routes, lines } = routesOf(["/a(/|$)(.*)", "=/b+"], useRegex);
    assert.deepEqual(routes, ["= /b+", "^ /a(/|$)(.*)"]);
    assert.deepEqual(lines, [
      'Ingress shop/web: spec.rules[0].http.paths[0].path: "/a(/|$)(.*)" looks like a regular expression but is matched literally, as pathType is Prefix; write pathType: ImplementationSpecific [LiteralRegex]',
      'Ingress shop/web: spec.rules[0].http.paths[1].path: "/b+" looks like a regular expression but is matched literally, as pathType is Exact; write pathType: ImplementationSpecific [LiteralRegex]',
    ]);
  });

  it("an expression that cannot be matched safely is told, and its literal elements answer 503", () => {
    const { routes, problems } = routesOf(["~/api/v(?=1)/x"], useRegex);
    assert.deepEqual(routes, ["^ /api -> unavailable"]);
    assert.deepEqual(problems, ["InvalidRegex Ingress shop/web spec.rules[0].http.paths[0].path"]);
  });

  it("an expression with a control character is told", () => {
    const { routes, problems } = routesOf(["~/a\n(b)"], useRegex);
    assert.deepEqual(routes, ["^ / -> unavailable"]);
    assert.deepEqual(problems, ["InvalidRegex Ingress shop/web spec.rules[0].http.paths[0].path"]);
  });

  it("an expression with half of a surrogate pair is told", () => {
    const { problems } = routesOf(["~/\ud83d(b)"], useRegex);
    assert.deepEqual(problems, ["InvalidRegex Ingress shop/web spec.rules[0].http.paths[0].path"]);
  });

  it("what stands in for a refused expression takes no path that another rule serves", () => {
    const translation = translateObjects([
      ingress("shop/bad", {
        created: 1,
        annotations: useRegex,
        hosts: { "a.example": { "~/api/(?=x)": "web:80", "~/(?=x)": "web:80" } },
      }),
      ingress("shop/good", { created: 2, hosts: { "a.example": { "/api": "web:80" } }, defaultBackend: "web:80" }),
      web,
    ]);
    assert.deepEqual(routeLines(translation.snapshot), [
      "a.example ^ /api -> shop/web/80",
      "a.example * -> shop/web/80",
    ]);
    assert.deepEqual(
      translation.problems.map((problem) => problem.code),
      ["InvalidRegex", "InvalidRegex"],
    );
  });
});

describe("with rewrite-target", () => {
  it("an ImplementationSpecific path is an expression only when it looks like one", () => {
    assert.deepEqual(routesOf(["~/a/(.*)", "~/plain", "/p"], rewrite), {
      routes: ["~ /a/(.*)", "^ /plain", "^ /p"],
      problems: [],
      lines: [],
    });
  });

  it("a Prefix path that looks like an expression is told", () => {
    assert.deepEqual(routesOf(["/a(/|$)(.*)"], rewrite).problems, [
      "LiteralRegex Ingress shop/web spec.rules[0].http.paths[0].path",
    ]);
  });

  it("without either annotation nothing is an expression and nothing is told", () => {
    assert.deepEqual(routesOf(["~/a/(.*)", "/b(c)"]), { routes: ["^ /a/(.*)", "^ /b(c)"], problems: [], lines: [] });
  });
});

describe("the routes of a host", () => {
  it("come exact first, then expressions, then prefixes, the longer first, then by text", () => {
    const regexes = ingress("shop/r", {
      annotations: useRegex,
      hosts: { "a.example": { "~/b.*": "web:80", "~/a.*": "web:80", "~/aa.*": "web:80" } },
    });
    const literals = ingress("shop/l", {
      hosts: {
        "a.example": {
          "/b": "web:80",
          "/": "web:80",
          "/a": "web:80",
          "/a/b": "web:80",
          "=/b": "web:80",
          "=/a": "web:80",
          "=/aaa": "web:80",
        },
      },
    });
    const { snapshot } = translateObjects([literals, regexes, web]);
    assert.deepEqual(
      snapshot.hosts[0]?.routes.map(({ path }) => (path.kind === "regex" ? path.source : `${path.kind} ${path.path}`)),
      [
        "exact /aaa",
        "exact /a",
        "exact /b",
        "/aa.*",
        "/b.*",
        "/a.*",
        "prefix /a/b",
        "prefix /a",
        "prefix /b",
        "prefix /",
      ],
    );
  });
});
