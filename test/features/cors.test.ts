import assert from "node:assert/strict";
import fc from "fast-check";
import { renderPolicy } from "../../src/features/registry.ts";
import { answer, read } from "./read.ts";

const on = { "enable-cors": "true" };
const listed = { ...on, "cors-allow-origin": "https://a.example, https://*.b.example:8443, null" };
const defaultsOf = (origin: string) => [
  `Access-Control-Allow-Origin: ${origin}`,
  "Access-Control-Allow-Credentials: true",
  "Access-Control-Allow-Methods: GET, PUT, POST, DELETE, PATCH, OPTIONS",
  "Access-Control-Allow-Headers: DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization",
  "Access-Control-Max-Age: 1728000",
];
const from = (origin: string) => ({ headers: { origin } });

describe("cors", () => {
  it("does nothing without enable-cors, whatever else is set", () => {
    assert.equal(read({ "cors-allow-origin": "*", "cors-max-age": "1" }).policy.cors, undefined);
    assert.equal(read({ ...listed, "enable-cors": "false" }).policy.cors, undefined);
  });

  it("sends ingress-nginx's defaults with every response, asked for or not", () => {
    assert.deepEqual(answer(on).headers, defaultsOf("*"));
    assert.deepEqual(answer(on, from("https://a.example")).headers, defaultsOf("*"));
  });

  it("sends what the annotations say", () => {
    const { headers } = answer({
      ...on,
      "cors-allow-methods": "PUT, GET",
      "cors-allow-headers": "X-A",
      "cors-expose-headers": "*, X-B",
      "cors-allow-credentials": "false",
      "cors-max-age": "10m",
    });
    assert.deepEqual(headers, [
      "Access-Control-Allow-Origin: *",
      "Access-Control-Allow-Methods: PUT, GET",
      "Access-Control-Allow-Headers: X-A",
      "Access-Control-Expose-Headers: *, X-B",
      "Access-Control-Max-Age: 600",
    ]);
  });

  it("answers every OPTIONS request 204 when all origins are allowed, as ingress-nginx does", () => {
    for (const headers of [{}, { origin: "https://a.example" }]) {
      const { reply, headers: sent } = answer(on, { method: "OPTIONS", headers });
      assert.deepEqual(reply, { status: 204, headers: [], body: "" });
      assert.deepEqual(sent, defaultsOf("*"));
    }
    assert.equal(answer(on, { method: "GET" }).reply, null);
  });

  const origins: readonly [string, boolean][] = [
    ["https://a.example", true],
    ["HTTPS://A.Example", true],
    ["https://x.b.example:8443", true],
    ["https://X-1.b.example:8443", true],
    ["null", true],
    ["http://a.example", false],
    ["https://a.example:443", false],
    ["https://a.example.evil.example", false],
    ["https://evil.example/https://a.example", false],
    ["xhttps://a.example", false],
    ["https://aXexample", false],
    ["https://x.b.example", false],
    ["https://x.y.b.example:8443", false],
    ["https://.b.example:8443", false],
    ["https://b.example:8443", false],
    ["https://evil.example/.b.example:8443", false],
    ["https://a.example, https://a.example", false],
    ["https://x_y.b.example:8443", false],
    ["", false],
  ];
  for (const [origin, allowed] of origins) {
    it(`${allowed ? "echoes" : "does not echo"} the origin ${JSON.stringify(origin)} for a list`, () => {
      const { reply, headers } = answer(listed, from(origin));
      assert.equal(reply, null);
      assert.deepEqual(headers, ["Vary: Origin", ...(allowed ? defaultsOf(origin) : [])]);
    });

    it(`${allowed ? "answers" : "passes on"} an OPTIONS request of the origin ${JSON.stringify(origin)}`, () => {
      const { reply } = answer(listed, { method: "OPTIONS", headers: { origin } });
      assert.equal(reply?.status, allowed ? 204 : undefined);
    });
  }

  it("tells caches that the answer depends on the origin, also when there is none", () => {
    assert.deepEqual(answer(listed).headers, ["Vary: Origin"]);
    assert.deepEqual(answer(listed, {}, { upstream: [["Vary", "Accept"]] }).headers, ["Vary: Accept", "Vary: Origin"]);
  });

  it("replaces the upstream's own headers for an allowed origin, and leaves them to any other", () => {
    const upstream = [["access-control-allow-origin", "https://own.example"]] as const;
    assert.deepEqual(answer(listed, from("https://a.example"), { upstream }).headers, [
      "Vary: Origin",
      ...defaultsOf("https://a.example"),
    ]);
    assert.deepEqual(answer(listed, from("https://c.example"), { upstream }).headers, [
      "access-control-allow-origin: https://own.example",
      "Vary: Origin",
    ]);
  });

  it("answers a preflight before any redirect and before the access lists, as ingress-nginx does", () => {
    const guarded = {
      ...on,
      "force-ssl-redirect": "true",
      "permanent-redirect": "/b",
      "denylist-source-range": "0.0.0.0/0",
    };
    assert.equal(answer(guarded, { method: "OPTIONS" }).reply?.status, 204);
  });

  it("allows no origin when the list is invalid, where ingress-nginx would allow them all", () => {
    assert.equal(read({ ...on, "cors-allow-origin": "https://a.example; *" }).policy.cors, undefined);
  });

  it("sends no credentials header when its value is invalid", () => {
    assert.equal(read({ ...on, "cors-allow-credentials": "nope" }).policy.cors?.credentials, false);
  });

  it("never puts a character into a header that is not of an origin, whatever the request holds", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.constantFrom(on, listed), (origin, annotations) => {
        for (const line of answer(annotations, from(origin)).headers)
          assert.match(line, /^[A-Za-z-]+: [A-Za-z0-9*,:/. -]+$/);
      }),
    );
  });

  describe("in nginx", () => {
    const context = { hostHasTls: false, declaredPath: "/", regex: null, schemeVariable: "$scheme" };

    it("names its maps by their content, so that equal policies share them and others do not", () => {
      const variables = (annotations: Readonly<Record<string, string>>) =>
        renderPolicy(read(annotations).policy, context).maps.map((map) => map.variable);
      assert.deepEqual(
        variables(listed),
        variables({ ...listed, "cors-allow-origin": "null https://*.b.example:8443 https://a.example" }),
      );
      const other = variables({ ...listed, "cors-max-age": "1" });
      assert.deepEqual(
        variables(listed).filter((variable) => other.includes(variable)),
        [],
      );
    });

    it("keeps the names of variables within the 46 characters that nginx's table takes", () => {
      const { maps } = renderPolicy(read({ ...listed, "cors-expose-headers": "A" }).policy, context);
      assert.equal(maps.length, 8);
      for (const { variable } of maps) assert.ok(variable.length <= 47, variable);
    });

    it("writes expressions that agree with the hook on every origin", () => {
      const { maps } = renderPolicy(read(listed).policy, context);
      const expressions = (maps[0]?.entries ?? []).map(({ regex }) => new RegExp(regex.replace(/^\(\?i\)/, ""), "i"));
      assert.equal(expressions.length, 3);
      for (const [origin, allowed] of origins) {
        assert.equal(
          expressions.some((expression) => expression.test(origin)),
          allowed,
          origin,
        );
      }
    });
  });
});
