import assert from "node:assert/strict";
import fc from "fast-check";
import { safeLocation } from "../../src/features/location.ts";
import { renderPolicy } from "../../src/features/registry.ts";
import { answer, read } from "./read.ts";

const context = { hostHasTls: true, declaredPath: "/", regex: null, schemeVariable: "$scheme" };
const location = (url: string) => [["Location", url]];

describe("ssl-redirect", () => {
  const on = { "ssl-redirect": "true" };
  const force = { "force-ssl-redirect": "true" };

  it("sends http to https with 308, path and query as sent, without the port", () => {
    const target = "/a%2Fb/../c/?d=e%20f&g";
    assert.deepEqual(answer(on, { target, authority: "Shop.example:8080" }).reply, {
      status: 308,
      headers: location(`https://shop.example${target}`),
      body: null,
    });
  });

  it("redirects only where the host has TLS, unless forced", () => {
    assert.equal(answer(on, {}, { hostHasTls: false }).reply, null);
    assert.equal(answer(force, {}, { hostHasTls: false }).reply?.status, 308);
    assert.equal(answer({ ...on, ...force }, {}, { hostHasTls: false }).reply?.status, 308);
  });

  it("believes the scheme that a trusted proxy tells", () => {
    assert.equal(answer(force, { scheme: "http", forwardedProto: "https" }).reply, null);
    assert.equal(answer(force, { scheme: "https", forwardedProto: "http" }).reply?.status, 308);
  });

  for (const [path, served] of [
    ["/.well-known/acme-challenge/token", true],
    ["/.well-known/acme-challenge", true],
    ["/.well-known/acme-challenges", false],
    ["/.well-known/", false],
    ["/a/.well-known/acme-challenge/token", false],
  ] as const) {
    it(`${served ? "serves" : "redirects"} ${path} over http`, () => {
      assert.equal(answer(force, { path, target: path }).reply === null, served);
    });
  }

  it("refuses a request that names no host, for it must not pass in plain text", () => {
    assert.equal(answer(force, { host: "" }).reply?.status, 400);
    assert.equal(answer(force, { host: "", forwardedProto: "https" }).reply, null);
  });

  it("keeps the brackets of an IPv6 host", () => {
    assert.deepEqual(answer(force, { host: "[::1]", target: "/" }).reply?.headers, location("https://[::1]/"));
  });

  it("goes before the access lists and before a rewrite, and after a body that is too large", () => {
    const all = { ...force, "denylist-source-range": "0.0.0.0/0", "rewrite-target": "/b" };
    assert.equal(answer(all).reply?.status, 308);
    assert.equal(answer(all).upstreamTarget, "/");
    assert.equal(answer(all, { contentLength: 2_000_000 }).reply?.status, 413);
  });

  it("is a map and a return in nginx, and nothing where it does not redirect", () => {
    const { directives, maps } = renderPolicy(read(force).policy, { ...context, schemeVariable: "$proto" });
    assert.deepEqual(
      directives.find(({ name }) => name === "if"),
      {
        name: "if",
        args: [{ nginx: "($sluice_https_missing)" }],
        block: [{ name: "return", args: ["308", { nginx: "https://$host$request_uri" }] }],
      },
    );
    assert.equal(maps[0]?.source, "$proto$uri");
    assert.deepEqual(renderPolicy(read(on).policy, { ...context, hostHasTls: false }).maps, []);
  });
});

describe("permanent-redirect", () => {
  it("answers every request with 301 to the URL as it is written", () => {
    const { reply } = answer({ "permanent-redirect": "https://new.example/a?b=%20" }, { target: "/other?query" });
    assert.deepEqual(reply, { status: 301, headers: location("https://new.example/a?b=%20"), body: null });
  });

  for (const code of [301, 302, 303, 307, 308]) {
    it(`takes ${code} as its code`, () => {
      const { reply } = answer({ "permanent-redirect": "/new", "permanent-redirect-code": String(code) });
      assert.equal(reply?.status, code);
    });
  }

  it("keeps 301 when the code is none that redirects", () => {
    for (const code of ["200", "300", "304", "309", "x"]) {
      const annotations = { "permanent-redirect": "/new", "permanent-redirect-code": code };
      assert.equal(read(annotations).policy.redirect?.code, 301);
      assert.deepEqual(
        read(annotations).problems.map((problem) => problem.code),
        ["InvalidAnnotation"],
      );
    }
  });

  it("does nothing when its URL is refused, or when there is only a code", () => {
    assert.equal(read({ "permanent-redirect": "https://a$request_uri" }).policy.redirect, undefined);
    assert.equal(read({ "permanent-redirect-code": "308" }).policy.redirect, undefined);
  });

  it("goes before the redirect to https", () => {
    const { reply } = answer({ "permanent-redirect": "/new", "force-ssl-redirect": "true" });
    assert.deepEqual(reply?.headers, location("/new"));
  });

  it("is a return in nginx, which may not make a path absolute", () => {
    const directives = (url: string) =>
      renderPolicy(read({ "permanent-redirect": url }).policy, context).directives.filter(({ name }) =>
        /return|redirect/.test(name),
      );
    assert.deepEqual(directives("https://a/"), [{ name: "return", args: ["301", "https://a/"] }]);
    assert.deepEqual(directives("/a"), [
      { name: "absolute_redirect", args: ["off"] },
      { name: "return", args: ["301", "/a"] },
    ]);
  });
});

describe("safeLocation", () => {
  it("keeps every character of a URL and escapes all others", () => {
    const url = "https://a.example:8443/b%2F[c]|~!$&'()*+,;=:@?d=e#f_-.";
    assert.equal(safeLocation(url), url);
    assert.equal(safeLocation('/a b\r\nX: "\\<>^`{}\x7f'), "/a%20b%0D%0AX:%20%22%5C%3C%3E%5E%60%7B%7D%7F");
    assert.equal(safeLocation("/\xe9€"), "/%E9%E2%82%AC");
  });

  it("lets nothing through that could end a header, for any text", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: "binary" }), fc.string()), (text) => {
        assert.match(safeLocation(text), /^[!#-;=?-[\]_a-z|~]*$/);
        assert.equal(safeLocation(safeLocation(text)), safeLocation(text));
      }),
    );
  });
});
