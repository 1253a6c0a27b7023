import assert from "node:assert/strict";
import fc from "fast-check";
import type { Problem } from "../../src/model/problem.ts";
import { applyConfigMap, isLive, sameSettings, supportedKeys } from "../../src/settings/config-map.ts";
import { knownKeys } from "../../src/settings/config-map-keys.ts";
import { parseCommandLine, tableRows } from "../../src/settings/parse.ts";
import type { Settings } from "../../src/settings.ts";
import type { ConfigMap } from "../../src/sources/objects.ts";
import { configMap } from "../support/fixtures.ts";

const name = "sluice/settings";

function flags(...args: string[]): Settings {
  return parseCommandLine("serve", ["--configmap", name, ...args], {}).settings;
}

function apply(data: Readonly<Record<string, string>>, base = flags(), started: Settings | null = null) {
  return applyConfigMap(configMap(name, data), base, started);
}

function told(problems: readonly Problem[]): string[] {
  return problems.map(({ code, field, message }) => `${code} ${field} ${message}`);
}

const longKey = Buffer.alloc(80, "key").toString("base64");
const shortKey = Buffer.alloc(48, "key").toString("base64");

/** A key, its text, the field that it sets and the value that it sets. */
const values: readonly (readonly [key: string, text: string, field: keyof Settings, value: unknown])[] = [
  ["proxy-body-size", "8m", "proxyBodySize", 8 * 1024 ** 2],
  ["proxy-body-size", "0", "proxyBodySize", 0],
  ["proxy-body-size", " 8M ", "proxyBodySize", 8 * 1024 ** 2],
  ["proxy-connect-timeout", "10", "proxyConnectTimeout", 10_000],
  ["proxy-read-timeout", "3600", "proxyReadTimeout", 3_600_000],
  ["proxy-send-timeout", "90s", "proxySendTimeout", 90_000],
  ["proxy-stream-timeout", "600s", "proxyStreamTimeout", 600_000],
  ["proxy-stream-next-upstream", "false", "proxyStreamNextUpstream", false],
  ["proxy-stream-next-upstream-timeout", "0", "proxyStreamNextUpstreamTimeout", 0],
  ["proxy-stream-next-upstream-tries", "5", "proxyStreamNextUpstreamTries", 5],
  ["proxy-stream-responses", "4", "proxyStreamResponses", 4],
  ["ssl-redirect", "true", "sslRedirect", true],
  ["ssl-redirect", "True", "sslRedirect", true],
  ["ssl-redirect", "0", "sslRedirect", false],
  ["load-balance", "ewma", "loadBalance", "ewma"],
  ["load-balance", "least_conn", "loadBalance", "least_conn"],
  ["service-upstream", "true", "serviceUpstream", true],
  ["client-header-timeout", "60", "clientHeaderTimeout", 60_000],
  ["client-body-timeout", "3600", "clientBodyTimeout", 3_600_000],
  ["keep-alive", "75", "keepAliveTimeout", 75_000],
  ["worker-shutdown-timeout", "240s", "shutdownGracePeriod", 240_000],
  ["worker-processes", "4", "workers", 4],
  ["worker-processes", "auto", "workers", 0],
  ["bind-address", "192.0.2.1", "bindAddress", "192.0.2.1"],
  ["proxy-protocol-header-timeout", "10s", "proxyProtocolHeaderTimeout", 10_000],
  ["http2-prior-knowledge", "true", "http2PriorKnowledge", true],
  ["access-log-format", "nginx", "accessLogFormat", "nginx"],
  ["use-gzip", "true", "useGzip", true],
  ["gzip-level", "6", "gzipLevel", 6],
  ["gzip-min-length", "1000", "gzipMinLength", 1000],
  ["gzip-types", "text/css  Application/JSON\n", "gzipTypes", ["text/css", "application/json"]],
  ["gzip-types", "*", "gzipTypes", ["*"]],
  ["enable-brotli", "true", "enableBrotli", true],
  ["brotli-level", "0", "brotliLevel", 0],
  ["brotli-min-length", "1k", "brotliMinLength", 1024],
  ["brotli-types", "", "brotliTypes", []],
  ["disable-access-log", "true", "accessLogFormat", "off"],
  ["disable-access-log", "false", "accessLogFormat", "json"],
  ["ssl-protocols", "TLSv1.3", "sslProtocols", ["TLSv1.3"]],
  ["ssl-protocols", "TLSv1.3 TLSv1.1  TLSv1.2", "sslProtocols", ["TLSv1.1", "TLSv1.2", "TLSv1.3"]],
  ["ssl-ciphers", "HIGH:!aNULL:!MD5", "sslCiphers", "HIGH:!aNULL:!MD5"],
  ["ssl-ciphers", "DEFAULT:@SECLEVEL=0", "sslCiphers", "DEFAULT:@SECLEVEL=0"],
  ["ssl-ciphers", "HIGH:@STRENGTH:@SECLEVEL=2", "sslCiphers", "HIGH:@STRENGTH:@SECLEVEL=2"],
  [
    "ssl-ciphers",
    "ECDHE-RSA-AES128-GCM-SHA256, TLS_AES_128_GCM_SHA256",
    "sslCiphers",
    "ECDHE-RSA-AES128-GCM-SHA256:TLS_AES_128_GCM_SHA256",
  ],
  ["ssl-ecdh-curve", "X25519:prime256v1", "sslEcdhCurve", "X25519:prime256v1"],
  ["ssl-session-tickets", "false", "sslSessionTickets", false],
  ["ssl-session-ticket-key", longKey, "sslSessionTicketKey", longKey],
  ["ssl-session-ticket-key", shortKey, "sslSessionTicketKey", shortKey],
  // As `openssl rand -base64 80` writes it, which the problem tells to use.
  ["ssl-session-ticket-key", `${longKey.slice(0, 64)}\n${longKey.slice(64)}\n`, "sslSessionTicketKey", longKey],
  ["ssl-session-timeout", "1d", "sslSessionTimeout", 86_400_000],
  ["ssl-session-timeout", "10m", "sslSessionTimeout", 600_000],
  ["ssl-buffer-size", "4k", "sslBufferSize", 4096],
  ["use-http2", "false", "useHttp2", false],
];

describe("the ConfigMap of settings", () => {
  for (const [key, text, field, value] of values) {
    it(`sets ${field} by ${key}: ${JSON.stringify(text)}`, () => {
      const { settings, problems } = apply({ [key]: text });
      assert.deepEqual(settings[field], value);
      assert.deepEqual(problems, []);
      assert.deepEqual({ ...settings, [field]: 0 }, { ...flags(), [field]: 0 }, "and nothing else");
    });
  }

  for (const [key, text, wants] of [
    ["ssl-protocols", "TLSv1.2 TLSv1.4", "protocols without a gap"],
    ["ssl-protocols", "TLSv1.1 TLSv1.3", "protocols without a gap"],
    ["ssl-protocols", "SSLv3", "protocols without a gap"],
    ["ssl-ciphers", "NOT-A-CIPHER", "a list of ciphers that OpenSSL knows"],
    ["ssl-ciphers", "HIGH; ssl_verify_client off", "a list of ciphers that OpenSSL knows"],
    // OpenSSL takes these lists, and then hardly a certificate: all hosts would be without TLS.
    ["ssl-ciphers", "HIGH:@SECLEVEL=3", "@SECLEVEL=0, 1 or 2"],
    ["ssl-ciphers", "HIGH@SECLEVEL=5", "@SECLEVEL=0, 1 or 2"],
    ["ssl-ciphers", "@SECLEVEL=1:HIGH:@SECLEVEL=4", "@SECLEVEL=0, 1 or 2"],
    ["ssl-ecdh-curve", "X25519:nonsense", "curves that OpenSSL knows"],
    ["ssl-buffer-size", "17k", "a size from 512 to 16k"],
    ["ssl-session-timeout", "never", "a duration"],
  ] as const) {
    it(`keeps the default where ${key} is ${JSON.stringify(text)}`, () => {
      const { settings, problems } = apply({ [key]: text });
      assert.deepEqual(settings, flags());
      assert.equal(problems.length, 1);
      assert.match(told(problems)[0] ?? "", new RegExp(`^InvalidSetting data\\.${key} .* is not understood.*${wants}`));
    });
  }

  it("tells the ticket key to nobody, good or bad", () => {
    const bad = Buffer.alloc(47, "key").toString("base64");
    assert.deepEqual(told(apply({ "ssl-session-ticket-key": bad }).problems), [
      "InvalidSetting data.ssl-session-ticket-key the value is not understood, the default counts; write 48 or 80 random bytes in base64, from: openssl rand -base64 80",
    ]);
    const before = flags(`--ssl-session-ticket-key=${longKey}`);
    assert.throws(
      () => flags(`--ssl-session-ticket-key=${bad}`),
      (error: Error) => !error.message.includes(bad),
    );
    const after = apply({ "ssl-session-ticket-key": bad }, before);
    assert.ok(!JSON.stringify(after.problems).includes(longKey));
    assert.equal(after.settings.sslSessionTicketKey, longKey);
    assert.equal(sameSettings(before, { ...before, sslSessionTicketKey: shortKey }), false);
  });

  it("has a test for every key that it supports", () => {
    const tested = new Set([
      ...values.map(([key]) => key),
      "use-forwarded-headers",
      "use-proxy-protocol",
      "proxy-real-ip-cidr",
    ]);
    assert.deepEqual([...tested].sort(), supportedKeys);
    for (const { configMap } of tableRows()) assert.ok(configMap === null || tested.has(configMap), configMap ?? "");
  });

  it("wins over flags, and what it does not say is left to them", () => {
    const base = flags("--proxy-body-size", "2m", "--proxy-read-timeout", "5s");
    const { settings } = apply({ "proxy-body-size": "3m" }, base);
    assert.equal(settings.proxyBodySize, 3 * 1024 ** 2);
    assert.equal(settings.proxyReadTimeout, 5000);
  });

  it("tells of a mistake with the file and the line, where it was read from one", () => {
    const read = configMap(name, { "gzip-level": "99" });
    const origin = { file: "settings.yaml", line: 7 };
    const { problems } = applyConfigMap({ ...read, meta: { ...read.meta, origin } }, flags(), null);
    assert.deepEqual(
      problems.map((problem) => problem.origin),
      [origin],
    );
  });

  it("is not asked for when no flag names it", () => {
    const base = parseCommandLine("serve", [], {}).settings;
    const { settings, problems } = applyConfigMap(configMap(name, { "proxy-body-size": "3m" }), base, null);
    assert.equal(settings, base);
    assert.deepEqual(problems, []);
  });

  it("is missed when a flag names it and it does not exist, and flags count", () => {
    const base = flags("--proxy-body-size", "2m");
    const { settings, problems } = applyConfigMap(null, base, null);
    assert.ok(sameSettings(settings, base));
    assert.deepEqual(problems, [
      {
        code: "InvalidSetting",
        object: { kind: "ConfigMap", namespace: "sluice", name: "settings" },
        field: "",
        message: "it does not exist, so that flags alone count; create it, or remove --configmap",
      },
    ]);
  });

  it("keeps the flag's value in place of one that is wrong, and takes all others", () => {
    const base = flags("--proxy-read-timeout", "7s");
    const { settings, problems } = apply({ "proxy-read-timeout": "10 days", "proxy-body-size": "3m" }, base);
    assert.equal(settings.proxyReadTimeout, 7000);
    assert.equal(settings.proxyBodySize, 3 * 1024 ** 2);
    assert.deepEqual(told(problems), [
      'InvalidSetting data.proxy-read-timeout "10 days" is not understood, 7s counts; write a duration above 0 such as 500ms, 30s, 5m or 1h, at most 24 days',
    ]);
  });

  const mistyped: readonly (readonly [key: string, remedy: string])[] = [
    ["proxy-body-sise", "did you mean proxy-body-size?"],
    ["proxy-body_size", "did you mean proxy-body-size?"],
    ["use-gzp", "did you mean use-gzip?"],
    ["client-header-timout", "did you mean client-header-timeout?"],
    ["__proto__", `the keys are ${supportedKeys.join(", ")}`],
    ["constructor", `the keys are ${supportedKeys.join(", ")}`],
  ];
  for (const [key, remedy] of mistyped) {
    it(`does not know ${key}, and says: ${remedy}`, () => {
      const { settings, problems } = applyConfigMap(configMap(name, [[key, "true"]]), flags(), null);
      assert.deepEqual(told(problems), [`UnknownSetting data.${key} "${key}" is no setting; ${remedy}`]);
      assert.ok(sameSettings(settings, flags()));
    });
  }

  it("says of a key of ingress-nginx that Sluice does not have why it does nothing", () => {
    assert.deepEqual(told(apply({ "enable-modsecurity": "true" }).problems), [
      'UnsupportedSetting data.enable-modsecurity "true" is not supported: requests are not restricted by it; restrict them by annotations of the Ingresses, and remove it',
    ]);
    assert.match(told(apply({ "gzip-disable": "msie6" }).problems)[0] ?? "", /whoever says that it takes gzip gets it/);
    assert.match(told(apply({ "whitelist-source-range": "10.0.0.0/8" }).problems)[0] ?? "", /not restricted by it/);
  });

  it("says nothing of a value of ingress-nginx that asks for what Sluice does anyway", () => {
    const same = {
      "enable-modsecurity": "false",
      "server-tokens": "false",
      "ssl-protocols": "TLSv1.2 TLSv1.3",
      "use-http2": "true",
    };
    assert.deepEqual(apply({ ...same, "http-snippet": "", "load-balance": "round_robin" }).problems, []);
  });

  it("knows each key of ingress-nginx once", () => {
    for (const key of supportedKeys) assert.ok(!knownKeys.has(key), key);
    for (const [key, { reason }] of knownKeys) {
      assert.match(key, /^[a-z0-9-]+$/);
      assert.match(reason, /^[a-zA-Z].*[^.]$/);
    }
  });

  it("lists problems by key, whatever order the keys stand in", () => {
    const { problems } = apply({ zebra: "1", "enable-modsecurity": "true", "keep-alive": "x" });
    assert.deepEqual(
      problems.map(({ field }) => field),
      ["data.enable-modsecurity", "data.keep-alive", "data.zebra"],
    );
  });

  it("cuts what it quotes", () => {
    for (const { field, message } of apply({ ["x".repeat(250)]: "", "keep-alive": "9".repeat(1000) }).problems) {
      assert.ok(field.length < 110 && message.length < 1500, message);
    }
  });
});

describe("trust in forwarded headers", () => {
  const all = ["0.0.0.0/0", "::/0"];
  const cases: readonly (readonly [
    data: Record<string, string>,
    flag: string,
    trusted: string[],
    problem: RegExp | null,
  ])[] = [
    [{}, "", [], null],
    [{}, "10.0.0.0/8", ["10.0.0.0/8"], null],
    [{ "use-forwarded-headers": "true" }, "", all, null],
    [{ "use-forwarded-headers": "true" }, "10.0.0.0/8", ["10.0.0.0/8"], null],
    [
      { "use-forwarded-headers": "true", "proxy-real-ip-cidr": "192.0.2.0/24, 10.1.0.0/16" },
      "10.0.0.0/8",
      ["192.0.2.0/24", "10.1.0.0/16"],
      null,
    ],
    [{ "use-forwarded-headers": "false" }, "10.0.0.0/8", [], null],
    [{ "proxy-real-ip-cidr": "192.0.2.0/24" }, "10.0.0.0/8", ["192.0.2.0/24"], null],
    [{ "proxy-real-ip-cidr": "192.0.2.0/24" }, "", [], /does nothing without use-forwarded-headers "true"/],
    [
      { "use-forwarded-headers": "false", "proxy-real-ip-cidr": "192.0.2.0/24" },
      "10.0.0.0/8",
      [],
      /does nothing without/,
    ],
    // A mistake never makes anybody believed who was not.
    [
      { "use-forwarded-headers": "ture" },
      "10.0.0.0/8",
      [],
      /"ture" is not understood, "?false"? counts; write true or false/,
    ],
    [
      { "use-forwarded-headers": "true", "proxy-real-ip-cidr": "192.0.2.0/240" },
      "",
      [],
      /no network counts; write a network such as/,
    ],
    [{ "use-forwarded-headers": "true", "proxy-real-ip-cidr": "" }, "", all, null],
  ];
  for (const [data, flag, trusted, problem] of cases) {
    it(`is ${trusted.join(" and ") || "nobody's"} for ${JSON.stringify(data)} and the flag ${flag || "unset"}`, () => {
      for (const entries of [Object.entries(data), Object.entries(data).reverse()]) {
        const { settings, problems } = applyConfigMap(
          configMap(name, entries),
          flags(`--trusted-proxies=${flag}`),
          null,
        );
        assert.deepEqual(settings.trustedProxies, trusted);
        assert.equal(problems.length, problem === null ? 0 : 1);
        if (problem !== null) assert.match(problems[0]?.message ?? "", problem);
      }
    });
  }
});

describe("trust in PROXY protocol headers", () => {
  const all = ["0.0.0.0/0", "::/0"];
  const lan = ["10.0.0.0/8"];
  const on = { "use-proxy-protocol": "true" };
  const cases: readonly (readonly [
    data: Record<string, string>,
    flags: readonly string[],
    spoken: boolean,
    from: readonly string[],
    trusted: readonly string[],
    problem: RegExp | null,
  ])[] = [
    [{}, [], false, [], [], null],
    [{}, ["--use-proxy-protocol"], true, [], [], null],
    [{}, ["--use-proxy-protocol", "--proxy-protocol-from=10.0.0.0/8"], true, lan, [], null],
    // As in ingress-nginx: everybody's, and nobody's X-Forwarded headers for that.
    [on, [], true, all, [], null],
    [on, ["--proxy-protocol-from=10.0.0.0/8"], true, lan, [], null],
    [{ ...on, "proxy-real-ip-cidr": "10.0.0.0/8" }, [], true, lan, [], null],
    [{ ...on, "proxy-real-ip-cidr": "10.0.0.0/8" }, ["--proxy-protocol-from=192.0.2.0/24"], true, lan, [], null],
    [{ ...on, "proxy-real-ip-cidr": "10.0.0.0/8", "use-forwarded-headers": "true" }, [], true, lan, lan, null],
    [{ ...on, "use-forwarded-headers": "true" }, [], true, all, all, null],
    [{ "proxy-real-ip-cidr": "10.0.0.0/8" }, ["--use-proxy-protocol"], true, lan, [], null],
    [{ "use-proxy-protocol": "false" }, ["--use-proxy-protocol"], false, [], [], null],
    [
      { "use-proxy-protocol": "false", "proxy-real-ip-cidr": "10.0.0.0/8" },
      [],
      false,
      [],
      [],
      /does nothing without use-forwarded-headers "true" or use-proxy-protocol "true"; set that, too/,
    ],
    [
      { "use-proxy-protocol": "on" },
      [],
      false,
      [],
      [],
      /"on" is not understood, "?false"? counts; write true or false/,
    ],
    [{ ...on, "proxy-real-ip-cidr": "10.0.0.0/80" }, [], true, [], [], /no network counts; write a network such as/],
  ];
  for (const [data, given, spoken, from, trusted, problem] of cases) {
    it(`is ${from.join(" and ") || "nobody's"} for ${JSON.stringify(data)} and the flags ${given.join(" ") || "unset"}`, () => {
      for (const entries of [Object.entries(data), Object.entries(data).reverse()]) {
        const { settings, problems } = applyConfigMap(configMap(name, entries), flags(...given), null);
        assert.equal(settings.useProxyProtocol, spoken);
        assert.deepEqual(settings.proxyProtocolFrom, from);
        assert.deepEqual(settings.trustedProxies, trusted);
        assert.equal(problems.length, problem === null ? 0 : 1);
        if (problem !== null) assert.match(problems[0]?.message ?? "", problem);
      }
    });
  }
});

describe("a change of the ConfigMap", () => {
  it("is in force at once, but for what listens and for the number of threads", () => {
    assert.deepEqual(
      supportedKeys.filter((key) => !isLive(key)),
      ["bind-address", "worker-processes"],
    );
    const started = apply({}).settings;
    const { settings, problems } = apply(
      { "proxy-body-size": "9m", "ssl-redirect": "true", "keep-alive": "5", "disable-access-log": "true" },
      flags(),
      started,
    );
    assert.equal(settings.proxyBodySize, 9 * 1024 ** 2);
    assert.equal(settings.sslRedirect, true);
    assert.equal(settings.keepAliveTimeout, 5000);
    assert.equal(settings.accessLogFormat, "off");
    assert.deepEqual(problems, []);
  });

  const waiting: readonly (readonly [
    before: Record<string, string>,
    after: Record<string, string>,
    problem: string,
  ])[] = [
    [
      {},
      { "bind-address": "192.0.2.1" },
      'data.bind-address "192.0.2.1" waits for a restart, "::" counts; restart Sluice',
    ],
    [{ "worker-processes": "2" }, {}, 'data.worker-processes "0" waits for a restart, "2" counts; restart Sluice'],
    [
      { "worker-processes": "2" },
      { "worker-processes": "4" },
      'data.worker-processes "4" waits for a restart, "2" counts; restart Sluice',
    ],
  ];
  for (const [before, after, problem] of waiting) {
    it(`from ${JSON.stringify(before)} to ${JSON.stringify(after)} waits for a restart, and says so`, () => {
      const started = apply(before).settings;
      const changed = apply(after, flags(), started);
      assert.ok(sameSettings(changed.settings, started));
      assert.deepEqual(told(changed.problems), [`SettingNeedsRestart ${problem}`]);
      const restarted = apply(after);
      assert.deepEqual(restarted.problems, []);
      assert.ok(!sameSettings(restarted.settings, started));
      const back = apply(before, flags(), started);
      assert.deepEqual(back.problems, []);
    });
  }

  it("never throws, keeps every setting of a type that its flag could have, and is the same each time", () => {
    const keys = [...supportedKeys, ...knownKeys.keys(), "__proto__", "x"];
    const texts = ["true", "false", "0", "75", "8m", "auto", "10.0.0.0/8", "::1", "json", "", " ", "\u0000", "1e9"];
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom(...keys), fc.oneof(fc.constantFrom(...texts), fc.string()))),
        fc.boolean(),
        (entries, running) => {
          const object: ConfigMap = configMap(name, entries);
          const first = applyConfigMap(object, flags(), running ? flags() : null);
          const again = applyConfigMap(object, flags(), running ? flags() : null);
          assert.deepEqual(first, again);
          for (const row of Object.keys(flags())) assert.ok(row in first.settings);
          if (running) assert.equal(first.settings.workers, flags().workers);
        },
      ),
    );
  });
});
