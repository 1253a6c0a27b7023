import assert from "node:assert/strict";
import { referredSecrets } from "../../src/features/registry.ts";
import { read } from "./read.ts";

const unset = {
  secret: null,
  certificate: null,
  verify: false,
  authority: null,
  verifyDepth: 1,
  name: null,
  sendName: null,
  protocols: [],
  ciphers: "",
};

describe("proxy-ssl-*", () => {
  const good: readonly [Readonly<Record<string, string>>, object][] = [
    [{ "proxy-ssl-secret": "shop/ca" }, { secret: "shop/ca" }],
    [{ "proxy-ssl-verify": "on" }, { verify: true }],
    [
      { "proxy-ssl-verify": "on", "proxy-ssl-verify-depth": "3" },
      { verify: true, verifyDepth: 3 },
    ],
    // ingress-nginx takes 0 for "not set".
    [
      { "proxy-ssl-verify": "on", "proxy-ssl-verify-depth": "0" },
      { verify: true, verifyDepth: 1 },
    ],
    [{ "proxy-ssl-name": " API.Example.com " }, { name: "api.example.com" }],
    [{ "proxy-ssl-server-name": "on" }, { sendName: true }],
    [{ "proxy-ssl-server-name": "off" }, { sendName: false }],
    [{ "proxy-ssl-protocols": "TLSv1.3  TLSv1.2 SSLv3" }, { protocols: ["TLSv1.2", "TLSv1.3"] }],
    [{ "proxy-ssl-ciphers": "ECDHE+AESGCM:!aNULL" }, { ciphers: "ECDHE+AESGCM:!aNULL" }],
  ];
  for (const [annotations, expected] of good) {
    it(`reads ${JSON.stringify(annotations)}`, () => {
      const { upstreamOptions, problems, closed } = read(annotations);
      assert.deepEqual(problems, []);
      assert.equal(closed, null);
      assert.deepEqual(upstreamOptions, { tls: { ...unset, ...expected } });
    });
  }

  it("asks nothing of the upstreams while every value is the default", () => {
    const { upstreamOptions } = read({ "proxy-ssl-verify": "off", "proxy-ssl-verify-depth": "5" });
    assert.deepEqual(upstreamOptions, {});
  });

  const bad: readonly [string, string, RegExp][] = [
    ["proxy-ssl-secret", "upstream-ca", /the namespace is missing/],
    ["proxy-ssl-secret", "shop/a/b", /write shop\/upstream-ca/],
    ["proxy-ssl-secret", "shop/../x", /is not a Secret's namespace and name/],
    ["proxy-ssl-verify", "true", /write on$/],
    ["proxy-ssl-verify-depth", "101", /at most 100/],
    ["proxy-ssl-verify-depth", "-1", /is not a number of certificates/],
    ["proxy-ssl-name", "fd00::1", /an address is no name/],
    ["proxy-ssl-name", "a b", /is not a DNS name/],
    ["proxy-ssl-name", "a;b", /is not a DNS name/],
    ["proxy-ssl-protocols", "SSLv3", /no version is left/],
    ["proxy-ssl-protocols", "", /no version is left/],
    ["proxy-ssl-ciphers", "HIGH:@SECLEVEL=0", /is not a cipher list/],
    ["proxy-ssl-ciphers", "NONE-SUCH", /OpenSSL finds no cipher in it/],
  ];
  for (const [name, value, message] of bad) {
    it(`refuses ${name}: ${JSON.stringify(value)}`, () => {
      const { problems } = read({ [name]: value });
      assert.deepEqual(
        problems.map(({ code }) => code),
        ["InvalidAnnotation"],
      );
      assert.match(problems[0]?.message ?? "", message);
    });
  }

  it("name the Secret to be read, of the Ingress' own namespace alone", () => {
    const nginx = "nginx.ingress.kubernetes.io/proxy-ssl-secret";
    assert.deepEqual(referredSecrets("shop", { [nginx]: "shop/ca" }), ["shop/ca"]);
    assert.deepEqual(referredSecrets("shop", { [nginx]: "shop/ca", "sluice.dev/proxy-ssl-secret": "shop/b" }), [
      "shop/b",
    ]);
    assert.deepEqual(referredSecrets("shop", { [nginx]: "other/ca" }), []);
    assert.deepEqual(referredSecrets("shop", { [nginx]: "shop/a,type=b" }), []);
    assert.deepEqual(referredSecrets("shop", { "nginx.ingress.kubernetes.io/proxy-ssl-verify": "on" }), []);
  });
});
