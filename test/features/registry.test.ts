import assert from "node:assert/strict";
import fc from "fast-check";
import { phases } from "../../src/features/feature.ts";
import { knownAnnotations } from "../../src/features/known.ts";
import { compilePolicy, features, policyKey, readPolicy } from "../../src/features/registry.ts";
import { formatProblem } from "../../src/model/problem.ts";
import { defaults, object, read } from "./read.ts";

const nginx = "nginx.ingress.kubernetes.io/";
const plainPolicy = { bodySize: { limit: 1_048_576 }, timeouts: { connect: 5000, read: 60_000, send: 60_000 } };
const names = features.flatMap((feature) => feature.rows.flatMap((row) => [row.name, ...row.aliases]));

describe("the registry of features", () => {
  it("lists the features in the order of nginx's phases", () => {
    const order = features.map((feature) => phases.indexOf(feature.phase));
    assert.deepEqual(
      order,
      order.toSorted((a, b) => a - b),
    );
  });

  it("has every name once, and names of ingress-nginx where it does not say that they are Sluice's own", () => {
    assert.equal(new Set(names).size, names.length);
    for (const row of features.flatMap((feature) => feature.rows))
      for (const name of [row.name, ...row.aliases]) assert.equal(knownAnnotations.has(name), !row.own, name);
    assert.equal(knownAnnotations.size, 138);
  });

  it("agrees with the table of known annotations on what guards access", () => {
    for (const row of features.flatMap((feature) => feature.rows.filter(({ own }) => !own))) {
      assert.equal(knownAnnotations.get(row.name)?.guards, row.guards, row.name);
    }
  });

  it("reads every default back from its own text", () => {
    const rows = features.flatMap((feature) => feature.rows.filter((row) => row.default !== ""));
    const texts = rows.map(({ name, own, default: text }) => [own ? `sluice.dev/${name}` : name, text]);
    const { policy, problems } = read(Object.fromEntries(texts));
    assert.deepEqual(problems, []);
    assert.deepEqual(policy, plainPolicy);
  });
});

describe("readPolicy", () => {
  it("gives an Ingress without our annotations the defaults of the settings, and the same object to all", () => {
    const first = readPolicy({}, defaults, { object });
    const second = readPolicy({ "kubernetes.io/ingress.class": "x", "nginx.org/a": "b" }, defaults, { object });
    assert.equal(first, second);
    assert.deepEqual(first, {
      policy: plainPolicy,
      closed: null,
      canary: null,
      useRegex: false,
      backendProtocol: "http",
      passthrough: false,
      upstreamOptions: {},
      balanceOptions: {},
      problems: [],
    });
  });

  it("takes the defaults from the settings, and an annotation over them", () => {
    const settings = {
      proxyBodySize: 0,
      proxyConnectTimeout: 1,
      proxyReadTimeout: 2,
      proxySendTimeout: 3,
      sslRedirect: true,
      loadBalance: "round_robin",
      serviceUpstream: false,
    } as const;
    assert.deepEqual(read({}, settings).policy, {
      sslRedirect: { when: "host-has-tls", code: 308 },
      timeouts: { connect: 1, read: 2, send: 3 },
    });
    assert.deepEqual(
      read({ "ssl-redirect": "false", "proxy-body-size": "2k", "proxy-read-timeout": "7" }, settings).policy,
      {
        bodySize: { limit: 2048 },
        timeouts: { connect: 1, read: 7000, send: 3 },
      },
    );
  });

  it("reads both prefixes alike", () => {
    for (const name of names) {
      const text = name.includes("range") ? "10.0.0.0/8" : "1";
      assert.equal(
        policyKey(read({ [`sluice.dev/${name}`]: text }).policy),
        policyKey(read({ [`${nginx}${name}`]: text }).policy),
      );
    }
  });

  it("lets sluice.dev/ win over ingress-nginx's prefix, and tells of the other where it differs", () => {
    const { policy, problems } = read({ "sluice.dev/proxy-body-size": "2m", [`${nginx}proxy-body-size`]: "1m" });
    assert.equal(policy.bodySize?.limit, 2 * 1_048_576);
    assert.deepEqual(
      problems.map(({ code, field }) => [code, field]),
      [["ConflictingAnnotation", `metadata.annotations[${nginx}proxy-body-size]`]],
    );
    assert.match(problems[0]?.message ?? "", /^"1m" .*sluice\.dev\/proxy-body-size .*; remove one of them$/);
    assert.deepEqual(read({ "sluice.dev/proxy-body-size": "2m", [`${nginx}proxy-body-size`]: "2m" }).problems, []);
  });

  const idle: readonly [Readonly<Record<string, string>>, readonly string[]][] = [
    [{ "upstream-hash-by": "$host", "load-balance": "ewma" }, ["load-balance"]],
    [{ "upstream-hash-by-subset": "true" }, ["upstream-hash-by-subset"]],
    [{ "upstream-hash-by": "$host", "upstream-hash-by-subset-size": "4" }, ["upstream-hash-by-subset-size"]],
    [{ "upstream-hash-by": "$host", "upstream-hash-by-subset": "true", "upstream-hash-by-subset-size": "4" }, []],
    [{ canary: "true", "canary-by-header-value": "b" }, ["canary-by-header-value"]],
    [
      { canary: "true", "canary-by-header": "X", "canary-by-header-value": "b", "canary-by-header-pattern": "b+" },
      ["canary-by-header-pattern"],
    ],
    [{ canary: "true", "canary-weight-total": "1000" }, ["canary-weight-total"]],
    [{ "auth-tls-verify-depth": "2" }, ["auth-tls-verify-depth"]],
    [{ "auth-tls-error-page": "https://e.example/" }, ["auth-tls-error-page"]],
    [{ "auth-tls-pass-certificate-to-upstream": "true" }, ["auth-tls-pass-certificate-to-upstream"]],
    [{ "auth-tls-secret": "shop/ca", "auth-tls-verify-depth": "2" }, []],
    [{ canary: "true", "canary-weight": "5", "canary-weight-total": "1000" }, []],
  ];
  for (const [annotations, named] of idle) {
    it(`tells of ${named.join() || "nothing"} as doing nothing in ${JSON.stringify(annotations)}`, () => {
      const { problems } = read(annotations);
      assert.deepEqual(
        problems.map(({ code, field }) => [code, field]),
        named.map((name) => ["ConflictingAnnotation", `metadata.annotations[${nginx}${name}]`]),
      );
    });
  }

  it("says of an annotation of canaries at an Ingress that is none just that", () => {
    const codes = read({ "canary-by-header-value": "b" }).problems.map(({ code }) => code);
    assert.deepEqual(codes, ["CanaryAnnotation"]);
  });

  it("reads what is Sluice's own under sluice.dev/ alone", () => {
    assert.deepEqual(read({ "sluice.dev/proxy-protocol": "V2" }).upstreamOptions, { sendProxy: 2 });
    const { upstreamOptions, problems } = read({ "proxy-protocol": "v2" });
    assert.deepEqual(upstreamOptions, {});
    assert.deepEqual(
      problems.map(({ code }) => code),
      ["UnknownAnnotation"],
    );
    assert.match(problems[0]?.message ?? "", /; write sluice\.dev\/proxy-protocol$/);
  });

  it("lets a name win over its alias", () => {
    const { policy, problems } = read({
      "whitelist-source-range": "10.0.0.0/8",
      "allowlist-source-range": "192.0.2.0/24",
    });
    assert.deepEqual(policy.sourceRange?.allow, ["192.0.2.0/24"]);
    assert.deepEqual(
      problems.map(({ code }) => code),
      ["ConflictingAnnotation"],
    );
  });

  const unknown: readonly [string, string][] = [
    ["proxy-bodysize", "write proxy-body-size"],
    ["proxy-protocl", "write sluice.dev/proxy-protocol"],
    ["whitelist-source-rnage", "write whitelist-source-range"],
    ["auth-ur", "write auth-url"],
    ["secure-backends", 'write backend-protocol: "HTTPS"'],
    ["enable-opentracing", "remove it"],
    ["nothing-like-it-at-all", "remove it, or see docs/annotations.md"],
  ];
  for (const prefix of [nginx, "sluice.dev/"]) {
    for (const [name, remedy] of unknown) {
      it(`says "${remedy}" to the unknown ${prefix}${name}`, () => {
        const { policy, problems, closed } = read({ [prefix + name]: "true" });
        assert.deepEqual(policy, plainPolicy);
        assert.equal(closed, null);
        const [problem] = problems;
        assert.equal(problem?.code, "UnknownAnnotation");
        assert.equal(problem.field, `metadata.annotations[${prefix}${name}]`);
        assert.ok(problem.message.endsWith(`; ${remedy}`), problem.message);
      });
    }
  }

  it("tells one Problem of every annotation of ingress-nginx that has no feature, and closes the guards among them", () => {
    for (const [name, known] of knownAnnotations) {
      if (names.includes(name)) continue;
      const { problems, closed } = read({ [name]: "value" });
      assert.deepEqual(
        problems.map(({ code }) => code),
        ["UnsupportedAnnotation"],
        name,
      );
      assert.match(problems[0]?.message ?? "", /^"value" is not supported.*; (remove it|write )/);
      assert.equal(closed, known.guards ? `annotation ${nginx}${name} is not supported` : null, name);
    }
  });

  const guards = [
    "auth-url",
    "auth-type",
    "auth-secret",
    "auth-tls-secret",
    "auth-tls-match-cn",
    "satisfy",
    "enable-modsecurity",
  ];
  for (const name of guards) {
    it(`closes an Ingress with ${name}, which would be open without it`, () => {
      assert.ok(read({ [name]: name === "enable-modsecurity" ? "true" : "x" }).closed !== null);
    });
  }

  it("says nothing of an unsupported annotation whose value asks for nothing", () => {
    for (const [name, value] of [
      ["canary", "false"],
      ["enable-modsecurity", "0"],
      ["enable-access-log", "true"],
      ["auth-tls-verify-client", "off"],
      ["proxy-http-version", "1.1"],
      ["satisfy", "all"],
    ] as const) {
      assert.equal(read({ [name]: value }).problems.length, 0, name);
    }
  });

  it("closes for a snippet that refuses requests, and not for one that sets a header", () => {
    for (const snippet of [
      "deny all;",
      "if ($a) { return 403; }",
      "auth_basic on;",
      "access_by_lua_block { }",
      "limit_except GET { deny all; }",
    ]) {
      assert.ok(read({ "configuration-snippet": snippet }).closed !== null, snippet);
    }
    for (const snippet of ["more_set_headers 'X-Denied: no';", "proxy_set_header X-Return-To /;", "gzip off;"]) {
      assert.equal(read({ "configuration-snippet": snippet }).closed, null, snippet);
    }
  });

  describe("of a canary", () => {
    const rule = { header: null, cookie: null, weight: 0, total: 100 };

    it("are read into one rule", () => {
      const annotations = {
        canary: "true",
        "canary-by-header": "X-Canary",
        "canary-by-header-pattern": "^a",
        "canary-by-cookie": "Canary",
        "canary-weight": "30",
        "canary-weight-total": "1000",
      };
      const header = { name: "x-canary", value: null, pattern: "^a" };
      assert.deepEqual(read(annotations).canary, { header, cookie: "canary", weight: 30, total: 1000 });
      const valued = read({ ...annotations, "canary-by-header-value": "b" }).canary;
      assert.deepEqual(valued?.header, { name: "x-canary", value: "b", pattern: null });
    });

    it("never give it more than there is, and no header without a name", () => {
      assert.deepEqual(read({ canary: "true", "canary-weight": "200" }).canary, { ...rule, weight: 100 });
      assert.deepEqual(read({ canary: "true", "canary-by-header-value": "x" }).canary, rule);
    });

    it("are told, each, where they are the main Ingress' to say, and do not close it", () => {
      const { problems, closed, canary } = read({
        canary: "true",
        "backend-protocol": "FCGI",
        "auth-url": "http://auth",
        "service-upstream": "true",
        "sluice.dev/upstream-hash-by": "$host",
      });
      assert.deepEqual([closed, canary], [null, rule]);
      assert.deepEqual(
        problems.map(({ code, field }) => `${code} ${field.slice(field.indexOf("/"))}`),
        ["CanaryAnnotation /backend-protocol]", "CanaryAnnotation /auth-url]"],
      );
    });

    it("are told where the Ingress is none", () => {
      const { problems, canary } = read({ canary: "false", "canary-weight": "10" });
      assert.equal(canary, null);
      assert.deepEqual(
        problems.map(({ message }) => message),
        [
          '"10" does nothing, for the Ingress is no canary; add the annotation canary with the value "true", or remove it',
        ],
      );
    });
  });

  const invalid: readonly [string, string][] = [
    ["enable-cors", "yes"],
    ["cors-allow-origin", "a.example"],
    ["cors-allow-methods", "GET;"],
    ["cors-allow-headers", "a b:"],
    ["cors-expose-headers", ""],
    ["cors-allow-credentials", "maybe"],
    ["cors-max-age", "10 days"],
    ["load-balance", "ip_hash"],
    ["canary", "yes"],
    ["canary-by-header", "X Canary"],
    ["canary-by-header-value", "a\nb"],
    ["canary-by-header-pattern", "\u00e9"],
    ["canary-by-cookie", "a=b"],
    ["canary-weight", "-1"],
    ["canary-weight-total", "50"],
    ["service-upstream", "yes"],
    ["upstream-hash-by", "$upstream_addr"],
    ["upstream-hash-by-subset", "yes"],
    ["upstream-hash-by-subset-size", "0"],
    ["permanent-redirect", "$scheme://x"],
    ["permanent-redirect-code", "200"],
    ["ssl-passthrough", "on"],
    ["ssl-redirect", ""],
    ["force-ssl-redirect", "si"],
    ["use-regex", "yes"],
    ["rewrite-target", "a"],
    ["proxy-body-size", "1Mi"],
    ["proxy-connect-timeout", "0"],
    ["proxy-read-timeout", "-1"],
    ["proxy-send-timeout", "1w"],
    ["whitelist-source-range", "10.0.0.0/33"],
    ["allowlist-source-range", ""],
    ["denylist-source-range", "everybody"],
    ["sluice.dev/proxy-protocol", "v3"],
    ["sluice.dev/slow-start", "0"],
    ["sluice.dev/outlier-ejection", "-1"],
    ["sluice.dev/outlier-ejection-time", "10ms"],
    ["sluice.dev/outlier-ejection-max-time", "long"],
    ["sluice.dev/outlier-ejection-percent", "0"],
    ["sluice.dev/outlier-ejection-5xx", "on"],
    ["sluice.dev/health-check-path", "healthz"],
    ["sluice.dev/health-check-grpc-service", "a b"],
    ["sluice.dev/health-check-interval", "0"],
    ["sluice.dev/health-check-timeout", "50ms"],
    ["sluice.dev/health-check-healthy-threshold", "0"],
    ["sluice.dev/health-check-unhealthy-threshold", "1000"],
    ["sluice.dev/health-check-expected-status", "2xx"],
    ["sluice.dev/health-check-port", "70000"],
    ["proxy-ssl-secret", "upstream-ca"],
    ["proxy-ssl-verify", "true"],
    ["proxy-ssl-verify-depth", "two"],
    ["proxy-ssl-name", "10.0.0.1"],
    ["proxy-ssl-server-name", "yes"],
    ["proxy-ssl-protocols", "TLS1.2"],
    ["proxy-ssl-ciphers", "NO-SUCH-CIPHER"],
    ["auth-tls-secret", "clients"],
    ["auth-tls-secret", "shop/../clients"],
    ["auth-tls-verify-client", "yes"],
    ["auth-tls-verify-depth", "two"],
    ["auth-tls-error-page", "/error"],
    ["auth-tls-error-page", "https://a.example/$request_uri"],
    ["auth-tls-match-cn", "good"],
    ["auth-tls-pass-certificate-to-upstream", "on"],
    ["ssl-ciphers", "HIGH; ssl_verify_client off"],
    ["ssl-ciphers", "NO-SUCH-CIPHER"],
    ["ssl-ciphers", "HIGH:@SECLEVEL=0"],
    ["ssl-ciphers", "HIGH:@SECLEVEL=5"],
    ["ssl-prefer-server-ciphers", "on"],
    ["backend-protocol", "HTPS"],
    ["backend-protocol", "FCGI"],
  ];
  for (const [name, value] of invalid) {
    it(`quotes the value of ${name}: ${JSON.stringify(value)}, and says what to write`, () => {
      const { problems, policy, closed } = read({ [name]: value });
      const [problem] = problems;
      assert.equal(problems.length, 1);
      assert.equal(problem?.code, value === "FCGI" ? "UnsupportedAnnotation" : "InvalidAnnotation");
      assert.deepEqual(problem.object, object);
      const key = name.includes("/") ? name : `${nginx}${name}`;
      assert.equal(problem.field, `metadata.annotations[${key}]`);
      assert.ok(problem.message.startsWith(`${JSON.stringify(value)} is not `), problem.message);
      assert.match(problem.message, /; write \S/);
      // Those of our own are not in the table of ingress-nginx's.
      const guarding = knownAnnotations.get(name)?.guards ?? /proxy-protocol/.test(name);
      assert.equal(closed, guarding ? `annotation ${key} is ${value === "FCGI" ? "not supported" : "invalid"}` : null);
      assert.deepEqual(policy, plainPolicy);
    });
  }

  it("covers every annotation with a bad value in the table above", () => {
    const covered = new Set(invalid.map(([name]) => name.replace("sluice.dev/", "")));
    assert.deepEqual([...covered].toSorted(), names.toSorted());
  });

  it("tells where the object was read", () => {
    const origin = { file: "a.yaml", line: 3 };
    const { problems } = readPolicy({ [`${nginx}use-regex`]: "yes" }, defaults, { object, origin });
    assert.equal(
      formatProblem(problems[0] ?? assert.fail()),
      `a.yaml:3: Ingress shop/web: metadata.annotations[${nginx}use-regex]: "yes" is not true or false; write "true" or "false" [InvalidAnnotation]`,
    );
  });

  it("cuts a long value in the message", () => {
    const { problems } = read({ "use-regex": "x".repeat(10_000) });
    assert.ok((problems[0]?.message.length ?? 0) < 250);
  });

  it("does not depend on the order of the annotations", () => {
    const entry = fc.tuple(
      fc
        .constantFrom(...names, "auth-url", "no-such-name", "canary")
        .chain((name) => fc.constantFrom(nginx + name, `sluice.dev/${name}`)),
      fc.constantFrom("true", "false", "10", "10.0.0.0/8", "https://a.example", "bad value;"),
    );
    fc.assert(
      fc.property(fc.uniqueArray(entry, { selector: ([key]) => key }), (entries) => {
        const forward = read(Object.fromEntries(entries));
        const backward = read(Object.fromEntries(entries.toReversed()));
        assert.deepEqual(forward, backward);
        assert.equal(policyKey(forward.policy), policyKey(backward.policy));
      }),
    );
  });

  it("takes names that JavaScript objects are born with as unknown ones", () => {
    const annotations = JSON.parse(
      `{"${nginx}constructor":"a","${nginx}__proto__":"b","__proto__":"c","constructor":"d"}`,
    );
    const { problems, policy } = readPolicy(annotations, defaults, { object });
    assert.deepEqual(
      problems.map(({ code }) => code),
      ["UnknownAnnotation", "UnknownAnnotation"],
    );
    assert.deepEqual(policy, plainPolicy);
  });
});

describe("compilePolicy", () => {
  it("leaves nothing on the hot path of a policy that asks for nothing", () => {
    const policy = read({ "proxy-body-size": "0" }).policy;
    const hooks = compilePolicy(policy, { hostHasTls: true, declaredPath: "/" });
    assert.deepEqual(hooks, { request: [], response: [] });
    assert.equal(compilePolicy(policy, { hostHasTls: false, declaredPath: "/a" }), hooks);
  });

  it("is done once for all routes of a policy, but for what depends on their paths", () => {
    const { policy } = readPolicy({ "nginx.ingress.kubernetes.io/ssl-redirect": "true" }, defaults, { object });
    const a = compilePolicy(policy, { hostHasTls: true, declaredPath: "/a" });
    assert.ok(a.request.length > 0);
    assert.equal(compilePolicy(policy, { hostHasTls: true, declaredPath: "/b" }), a);
    const plain = compilePolicy(policy, { hostHasTls: false, declaredPath: "/a" });
    assert.equal(plain.request.length, a.request.length - 1);
    const rewrites = readPolicy({ "nginx.ingress.kubernetes.io/rewrite-target": "/a" }, defaults, { object }).policy;
    assert.equal(
      compilePolicy(rewrites, { hostHasTls: false, declaredPath: "/b" }).request.length,
      plain.request.length + 1,
    );
    assert.equal(
      compilePolicy(rewrites, { hostHasTls: false, declaredPath: "/a" }).request.length,
      plain.request.length,
    );
  });
});
