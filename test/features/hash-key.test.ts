import assert from "node:assert/strict";
import { compileHashKey, hashKeyArgument, parseHashKey } from "../../src/features/hash-key.ts";
import { type FakeRequest, read, request } from "./read.ts";

const fields: FakeRequest = {
  method: "POST",
  scheme: "https",
  host: "shop.example",
  path: "/a b",
  query: "id=7&x=&ID=8",
  target: "/a%20b?id=7&x=&ID=8",
  clientAddress: "192.0.2.7",
  headers: { "x-user": "ann", cookie: "a=1; Session=s7 ; b=2" },
};

describe("the key of a hash", () => {
  const rows: readonly (readonly [string, string])[] = [
    ["$request_uri", "/a%20b?id=7&x=&ID=8"],
    ["$uri", "/a b"],
    ["$args", "id=7&x=&ID=8"],
    ["$uri$is_args$args", "/a b?id=7&x=&ID=8"],
    ["$host", "shop.example"],
    ["$remote_addr", "192.0.2.7"],
    ["$binary_remote_addr", "192.0.2.7"],
    ["$scheme-$request_method", "https-POST"],
    ["$http_x_user", "ann"],
    ["$HTTP_X_User", "ann"],
    ["$http_absent", ""],
    ["$arg_id", "7"],
    ["$arg_x", ""],
    ["$arg_none", ""],
    ["$cookie_session", "s7"],
    ["$cookie_none", ""],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: that is how nginx writes a variable
    ["${host}text$http_x_user.", "shop.exampletextann."],
  ];
  for (const [key, value] of rows) {
    it(`${key} is ${JSON.stringify(value)}`, () => {
      assert.equal(compileHashKey(key)(request(fields)), value);
    });
  }

  const wrong: readonly (readonly [string, RegExp])[] = [
    ["text", /no variable/],
    ["", /no variable/],
    ["$upstream_addr", /"\$upstream_addr" is no variable/],
    ["$http_", /"\$http_" is no variable/],
    ["$constructor", /no variable that Sluice has/],
    ["a$", /"\$" must begin a variable/],
    ["${host", /"\$" must begin a variable/],
    ["$host\n", /printable/],
    ["$host\u00e9", /printable/],
    [`$host${"x".repeat(600)}`, /longer than 512/],
  ];
  for (const [key, reason] of wrong) {
    it(`${JSON.stringify(key.slice(0, 20))} is refused`, () => {
      const parsed = parseHashKey(key);
      assert.match("wrong" in parsed ? parsed.wrong : "it was taken", reason);
      assert.throws(() => compileHashKey(key));
      assert.throws(() => hashKeyArgument(key));
    });
  }

  it("goes before load-balance, and subsets have three endpoints where nothing else is said", () => {
    const algorithm = (annotations: Readonly<Record<string, string>>) => read(annotations).upstreamOptions.algorithm;
    const key = { "upstream-hash-by": " $request_uri " };
    assert.deepEqual(algorithm({ ...key, "load-balance": "ewma" }), {
      kind: "hash",
      key: "$request_uri",
      subset: null,
    });
    assert.deepEqual(algorithm({ ...key, "upstream-hash-by-subset": "true" }), {
      kind: "hash",
      key: "$request_uri",
      subset: 3,
    });
    assert.deepEqual(algorithm({ ...key, "upstream-hash-by-subset": "true", "upstream-hash-by-subset-size": "2" }), {
      kind: "hash",
      key: "$request_uri",
      subset: 2,
    });
    assert.deepEqual(algorithm({ "load-balance": "EWMA" }), { kind: "ewma" });
    assert.equal(algorithm({ "load-balance": "round_robin" }), undefined);
    assert.equal(algorithm({ "upstream-hash-by-subset": "true" }), undefined);
  });
});
