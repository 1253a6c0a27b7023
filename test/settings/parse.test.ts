import assert from "node:assert/strict";
import {
  type CommandLine,
  type Environment,
  parseCommandLine,
  tableRows,
  UsageError,
} from "../../src/settings/parse.ts";
import type { CommandName } from "../../src/settings/setting.ts";

function parse(args: string, environment: Environment = {}, command: CommandName = "serve"): CommandLine {
  return parseCommandLine(command, args === "" ? [] : args.split(" "), environment);
}

function refusal(args: string, environment: Environment = {}, command: CommandName = "serve"): string {
  try {
    parse(args, environment, command);
  } catch (error) {
    assert.ok(error instanceof UsageError, String(error));
    return error.message;
  }
  return assert.fail(`${args} ${JSON.stringify(environment)} is accepted`);
}

/** Those of ingress-nginx. */
const gzipTypes =
  "application/atom+xml application/javascript application/x-javascript application/json application/rss+xml application/vnd.ms-fontobject application/x-font-ttf application/x-web-app-manifest+json application/xhtml+xml application/xml font/opentype image/svg+xml image/x-icon text/css text/javascript text/plain text/x-component".split(
    " ",
  );
const compressionDefaults = {
  useGzip: false,
  gzipLevel: 1,
  gzipMinLength: 256,
  gzipTypes,
  enableBrotli: false,
  brotliLevel: 4,
  brotliMinLength: 20,
  brotliTypes: ["application/xml+rss", ...gzipTypes],
};

describe("the command line", () => {
  it("gives every setting its default when nothing is said", () => {
    const { settings, options } = parse("");
    assert.deepEqual(settings, {
      ...compressionDefaults,
      manifests: [],
      kubeconfig: null,
      context: null,
      watchNamespaces: [],
      watchNamespaceSelector: null,
      watchSecrets: "referred",
      publishService: null,
      publishServiceClusterIp: false,
      publishStatusAddress: [],
      updateStatus: true,
      updateStatusOnShutdown: true,
      electionId: "sluice-leader",
      configMapName: null,
      httpPort: 8080,
      httpsPort: 8443,
      adminPort: 10254,
      bindAddress: "::",
      adminAddress: "127.0.0.1",
      workers: 0,
      profile: "spec",
      ingressClass: "sluice",
      controllerClass: "sluice.dev/ingress-controller",
      watchIngressWithoutClass: false,
      defaultBackendService: null,
      defaultSslCertificate: null,
      allowExternalName: true,
      trustedProxies: [],
      useProxyProtocol: false,
      proxyProtocolFrom: [],
      proxyProtocolHeaderTimeout: 5000,
      http2PriorKnowledge: false,
      enableSslPassthrough: false,
      sslRedirect: false,
      loadBalance: "round_robin",
      serviceUpstream: false,
      proxyBodySize: 1_048_576,
      proxyConnectTimeout: 5000,
      proxyReadTimeout: 60_000,
      proxySendTimeout: 60_000,
      clientHeaderTimeout: 10_000,
      clientBodyTimeout: 60_000,
      keepAliveTimeout: 75_000,
      sslProtocols: ["TLSv1.2", "TLSv1.3"],
      sslCiphers: null,
      sslEcdhCurve: "auto",
      sslSessionTickets: true,
      sslSessionTicketKey: null,
      sslSessionTimeout: 600_000,
      sslBufferSize: 16_384,
      useHttp2: true,
      tcpServicesConfigMap: null,
      udpServicesConfigMap: null,
      proxyStreamTimeout: 600_000,
      proxyStreamNextUpstream: true,
      proxyStreamNextUpstreamTimeout: 600_000,
      proxyStreamNextUpstreamTries: 3,
      proxyStreamResponses: 1,
      shutdownGracePeriod: 30_000,
      accessLogFormat: "json",
      logLevel: "info",
      logFormat: "text",
    });
    assert.deepEqual(options, { host: null, ingress: null, output: null, strict: false, directory: null });
  });

  const accepted: readonly [
    args: string,
    field: keyof CommandLine["settings"],
    value: unknown,
    environment?: Environment,
  ][] = [
    ["--http-port 81", "httpPort", 81],
    ["--http-port=81", "httpPort", 81],
    ["--http-port 0", "httpPort", 0],
    ["--manifests a --manifests=b,c", "manifests", ["a", "b,c"]],
    ["--manifests -", "manifests", ["-"]],
    ["--watch-namespace a --watch-namespace=b,c", "watchNamespaces", ["a", "b", "c"]],
    ["--watch-namespace-selector=team=shop,!internal", "watchNamespaceSelector", "team=shop,!internal"],
    [
      "--publish-status-address=192.0.2.1,2001:db8::1,lb.example",
      "publishStatusAddress",
      ["192.0.2.1", "2001:db8::1", "lb.example"],
    ],
    ["--no-update-status", "updateStatus", false],
    ["", "manifests", ["/a", "b,c"], { SLUICE_MANIFESTS: "/a:b,c" }],
    ["--watch-ingress-without-class", "watchIngressWithoutClass", true],
    ["--watch-ingress-without-class=true", "watchIngressWithoutClass", true],
    ["--allow-external-name=false", "allowExternalName", false],
    ["--no-allow-external-name", "allowExternalName", false],
    ["--allow-external-name", "allowExternalName", true, { SLUICE_ALLOW_EXTERNAL_NAME: "false" }],
    ["", "allowExternalName", false, { SLUICE_ALLOW_EXTERNAL_NAME: "false" }],
    [
      "--trusted-proxies 10.0.0.0/8,fd00::/8 --trusted-proxies 192.0.2.1",
      "trustedProxies",
      ["10.0.0.0/8", "fd00::/8", "192.0.2.1/32"],
    ],
    ["--trusted-proxies=", "trustedProxies", [], { SLUICE_TRUSTED_PROXIES: "10.0.0.0/8" }],
    ["--trusted-proxies fd00::/8", "trustedProxies", ["fd00::/8"], { SLUICE_TRUSTED_PROXIES: "10.0.0.0/8" }],
    ["--shutdown-grace-period 90", "shutdownGracePeriod", 90_000],
    ["--shutdown-grace-period 1m30s", "shutdownGracePeriod", 90_000],
    ["--shutdown-grace-period 250ms", "shutdownGracePeriod", 250],
    ["--shutdown-grace-period 0", "shutdownGracePeriod", 0],
    ["--proxy-body-size 0", "proxyBodySize", 0],
    ["--proxy-body-size 8m", "proxyBodySize", 8 * 1024 ** 2],
    ["--proxy-body-size 8M", "proxyBodySize", 8 * 1024 ** 2],
    ["--proxy-body-size 1000", "proxyBodySize", 1000],
    ["--gzip-types=text/css\tApplication/JSON", "gzipTypes", ["text/css", "application/json"]],
    ["--gzip-types=*", "gzipTypes", ["*"]],
    ["--gzip-types=", "gzipTypes", []],
    ["", "brotliTypes", ["text/css", "text/x"], { SLUICE_BROTLI_TYPES: " text/css  text/x " }],
    ["--gzip-level 9", "gzipLevel", 9],
    ["--default-backend-service shop/web", "defaultBackendService", "shop/web"],
    ["--default-backend-service shop/web:http", "defaultBackendService", "shop/web:http"],
    ["--default-backend-service=", "defaultBackendService", null, { SLUICE_DEFAULT_BACKEND_SERVICE: "shop/web" }],
    ["", "defaultBackendService", "shop/web", { SLUICE_DEFAULT_BACKEND_SERVICE: "shop/web" }],
    ["--default-ssl-certificate shop/tls", "defaultSslCertificate", "shop/tls"],
    ["--bind-address 127.0.0.1", "bindAddress", "127.0.0.1"],
    ["--log-level debug", "logLevel", "debug"],
    ["--http-port 81", "httpPort", 81, { SLUICE_HTTP_PORT: "82" }],
    ["", "httpPort", 82, { SLUICE_HTTP_PORT: "82" }],
    // A Service called sluice-http makes Kubernetes set these.
    ["", "httpPort", 8080, { SLUICE_HTTP_PORT: "tcp://10.0.0.1:80", SLUICE_HTTP_SERVICE_HOST: "10.0.0.1" }],
    ["", "httpPort", 8080, { SLUICE_PORT_80_TCP_ADDR: "10.0.0.1", SLUICE_SERVICE_PORT_HTTP: "80" }],
    // A variable of another command is no mistake: one environment serves them all.
    ["", "httpPort", 8080, { SLUICE_STRICT: "true", SLUICE_TEST_ALL: "1" }],
  ];
  for (const [args, field, value, environment] of accepted) {
    it(`reads ${field} as ${JSON.stringify(value)} from "${args}" and ${JSON.stringify(environment ?? {})}`, () => {
      assert.deepEqual(parse(args, environment).settings[field], value);
    });
  }

  const refused: readonly [args: string, message: string, environment?: Environment, command?: CommandName][] = [
    ["--http-prot 1", "sluice serve has no flag --http-prot; did you mean --http-port?"],
    ["--no-such-thing", "sluice serve has no flag --no-such-thing; sluice serve --help lists the flags"],
    [
      "--no-alow-external-name",
      "sluice serve has no flag --no-alow-external-name; did you mean --allow-external-name?",
    ],
    ["--strict", "sluice serve has no flag --strict; it belongs to sluice render"],
    [
      "--no-http-port",
      "sluice serve has no flag --no-http-port, for --http-port is no switch; leave it out to get its default",
    ],
    ["-p 1", "sluice serve has no flag -p; sluice serve --help lists the flags"],
    ["--http-port", "--http-port needs a value; write --http-port=PORT"],
    ["--bind-address --workers 1", "--bind-address needs a value; write --bind-address=ADDRESS"],
    ["--http-port=", '--http-port is ""; it wants a whole number from 0 to 65535'],
    ["--http-port 65536", '--http-port is "65536"; it wants a whole number from 0 to 65535'],
    ["--http-port 0x50", '--http-port is "0x50"; it wants a whole number from 0 to 65535'],
    ["--http-port=-1", '--http-port is "-1"; it wants a whole number from 0 to 65535'],
    ["--http-port 1 --http-port 2", "--http-port is given more than once; keep one of them"],
    ["--manifests=", '--manifests is ""; it wants the path of a file or a directory, or -'],
    ["--profile nginx", '--profile is "nginx"; it wants spec'],
    ["--access-log-format xml", '--access-log-format is "xml"; it wants json, nginx or off'],
    ["--allow-external-name=no", '--allow-external-name is "no"; it wants true or false'],
    [
      "--no-allow-external-name=true",
      "--no-allow-external-name takes no value; write --allow-external-name=true or --no-allow-external-name",
    ],
    [
      "--trusted-proxies 10.0.0.0/33",
      '--trusted-proxies is "10.0.0.0/33"; it wants a network such as 10.0.0.0/8 or fd00::/8, or several separated by commas',
    ],
    [
      "--proxy-read-timeout 0",
      '--proxy-read-timeout is "0"; it wants a duration above 0 such as 500ms, 30s, 5m or 1h, at most 24 days',
    ],
    [
      "--proxy-read-timeout 600h",
      '--proxy-read-timeout is "600h"; it wants a duration above 0 such as 500ms, 30s, 5m or 1h, at most 24 days',
    ],
    [
      "--gzip-types text/css;q=1",
      '--gzip-types is "text/css;q=1"; it wants media types separated by spaces, such as text/css application/json, or *',
    ],
    ["--gzip-level 10", '--gzip-level is "10"; it wants a whole number from 1 to 9'],
    ["--proxy-body-size 1t", '--proxy-body-size is "1t"; it wants a size such as 512k, 1m or 2g'],
    [
      "--default-backend-service web",
      '--default-backend-service is "web"; it wants the namespace and name of a Service, such as shop/web or shop/web:80',
    ],
    [
      "--default-ssl-certificate shop/tls:1",
      '--default-ssl-certificate is "shop/tls:1"; it wants a namespace and a name, such as shop/web',
    ],
    ["--bind-address localhost", '--bind-address is "localhost"; it wants an IPv4 or IPv6 address'],
    ["--http-port 8080 --https-port 8080", "--http-port and --https-port are both 8080; give each a port of its own"],
    [
      "--http-port=8443",
      "--http-port and --https-port are both 8443; give each a port of its own",
      { SLUICE_HTTPS_PORT: "8443" },
      "render",
    ],
    ["--ingress-class=", '--ingress-class is ""; it wants the name of an IngressClass'],
    [
      "rules.yaml",
      'sluice serve does not know what to do with "rules.yaml"; a file or directory is given as --manifests rules.yaml',
    ],
    ["rules.yaml", 'sluice demo does not know what to do with "rules.yaml"; sluice demo takes flags only', {}, "demo"],
    ["", 'SLUICE_HTTP_PORT is "eighty"; it wants a whole number from 0 to 65535', { SLUICE_HTTP_PORT: "eighty" }],
    ["", 'SLUICE_HTTP_PORT is ""; it wants a whole number from 0 to 65535', { SLUICE_HTTP_PORT: "" }],
    [
      "",
      "the environment variable SLUICE_HTTP_PROT is not a setting; did you mean SLUICE_HTTP_PORT?",
      { SLUICE_HTTP_PROT: "1" },
    ],
  ];
  for (const [args, message, environment, command] of refused) {
    it(`refuses "${args}" ${JSON.stringify(environment ?? {})}: ${message}`, () => {
      assert.equal(refusal(args, environment, command), message);
    });
  }

  it("lets the system choose both ports", () => {
    const { httpPort, httpsPort } = parse("--http-port 0 --https-port 0").settings;
    assert.deepEqual([httpPort, httpsPort], [0, 0]);
  });

  it("cuts a long value in its refusal", () => {
    assert.ok(refusal(`--http-port=${"9".repeat(5000)}`).length < 200);
  });

  it("freezes what it returns", () => {
    const { settings } = parse("");
    assert.throws(() => Object.assign(settings, { httpPort: 1 }), TypeError);
  });

  it("asks for help before it judges the rest", () => {
    assert.equal(parse("--help").help, true);
    assert.equal(parse("-h --http-port=x").help, true);
  });

  it("reads back the default that it shows, for every row that has one", () => {
    for (const row of tableRows().filter(({ default: text }) => text !== "")) {
      const [command] = row.commands;
      assert.ok(command !== undefined);
      const given = parseCommandLine(command, [`--${row.flag}=${row.default}`], {});
      assert.deepEqual(given, parseCommandLine(command, [], {}), row.flag);
    }
  });

  it("has no two rows with one flag", () => {
    const flags = tableRows().map((row) => row.flag);
    assert.deepEqual(flags, [...new Set(flags)]);
  });
});
