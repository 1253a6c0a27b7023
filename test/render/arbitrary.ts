/** Snapshots and manifests with hostile text in every field that holds text. */
import fc from "fast-check";
import { parseHashKey } from "../../src/features/hash-key.ts";
import type { Algorithm } from "../../src/model/balance.ts";
import type { CanaryRule } from "../../src/model/canary.ts";
import { type ClientAuth, verifications } from "../../src/model/client-auth.ts";
import { streamKey } from "../../src/model/patch.ts";
import type { Policy } from "../../src/model/policy.ts";
import type { Canary } from "../../src/model/snapshot.ts";
import {
  type Authority,
  type Backend,
  type Certificate,
  type Endpoint,
  type Host,
  noOptions,
  type Passthrough,
  type Route,
  type Snapshot,
  type StreamService,
  type TlsHost,
  type Upstream,
} from "../../src/model/snapshot.ts";
import { tlsVersions, type UpstreamTls } from "../../src/model/upstream-tls.ts";
import { compileSearch } from "../../src/router/regex.ts";
import { hostileText, mostly } from "../support/hostile.ts";

const label = fc.constantFrom("shop", "web", "api", "a", "b-c", "x1");
const hostName = fc.oneof(
  fc.constantFrom("", "*.example.com"),
  fc.tuple(label, fc.constantFrom("example", "example.com")).map((parts) => parts.join(".")),
);
const path = fc.array(label, { maxLength: 3 }).map((parts) => `/${parts.join("/")}`);
const regex = fc.constantFrom("/a(/|$)(.*)", "/v\\d+/[a-z]+", "/(?<host>x)(?'y'z)", '/[\\w.-]+;"{2}#', "/a|/b");
const upstreamKey = fc.constantFrom("shop/web/80", "shop/api/443/https", "gone/web/80");

function nonEmpty(good: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return mostly(good).filter((text) => text !== "");
}

const milliseconds = fc.integer({ min: 1, max: 100_000 });
const cidr = fc.constantFrom("10.0.0.0/8", "2001:db8::/32", "192.0.2.1/32");

function option<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.option(arbitrary, { nil: undefined, freq: 2 });
}

/** `cidrs` are texts where the rules have CIDRs. */
function policy(cidrs: fc.Arbitrary<string>): fc.Arbitrary<Policy> {
  const parts = fc.record({
    sslRedirect: option(fc.record({ when: fc.constantFrom("host-has-tls", "always"), code: fc.constant(308) })),
    redirect: option(
      fc.record({ location: mostly(fc.constant("https://example.com/x")), code: fc.constantFrom(301, 302, 308) }),
    ),
    // An empty target is the one thing that no annotation can ask for and nginx has no word for.
    rewrite: option(
      fc.record({ target: nonEmpty(fc.constantFrom("/$1", "/x/$2?y=$1", "https://example.com/$1", "/a?")) }),
    ),
    bodySize: option(fc.record({ limit: fc.integer({ min: 1, max: 10_000_000 }) })),
    sourceRange: option(
      fc.record({ allow: fc.array(cidrs, { maxLength: 3 }), deny: fc.array(cidrs, { maxLength: 3 }) }),
    ),
    cors: option(
      fc.record({
        origins: fc.array(mostly(fc.constantFrom("*", "https://a.example", "https://*.b.example:8443")), {
          minLength: 1,
          maxLength: 3,
        }),
        methods: mostly(fc.constant("GET, PUT")),
        headers: mostly(fc.constant("X-A,X-B")),
        exposeHeaders: fc.option(mostly(fc.constant("X-C"))),
        credentials: fc.boolean(),
        maxAge: fc.integer({ min: 0, max: 1_000_000 }),
      }),
    ),
    timeouts: fc.record({ connect: milliseconds, read: milliseconds, send: milliseconds }),
  });
  // Undefined fields are absent fields.
  return parts.map((record) => JSON.parse(JSON.stringify(record)) as Policy);
}

const printable = fc.string({ unit: fc.constantFrom(..."$\"\\;{}#' a.*(".split("")), minLength: 1, maxLength: 8 });

const canaryRule: fc.Arbitrary<CanaryRule> = fc.record({
  header: fc.option(
    fc.record({
      name: fc.constantFrom("x-canary", "x_a"),
      value: fc.option(printable),
      pattern: fc.option(printable.filter((source) => !("refused" in compileSearch(source)))),
    }),
  ),
  cookie: fc.option(fc.constantFrom("canary", "a-b")),
  weight: fc.nat(100),
  total: fc.constantFrom(100, 1_000),
});

const backend: fc.Arbitrary<Backend> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("upstream"), upstream: upstreamKey, service: serviceRef() }) },
  fc.record({
    kind: fc.constant("unavailable"),
    reason: hostileText,
    service: fc.option(serviceRef()),
  }),
  fc.constant({ kind: "notFound" as const }),
);

function serviceRef() {
  return fc.record({ namespace: mostly(label), name: mostly(label), port: mostly(fc.constant("80")) });
}

function canary(): fc.Arbitrary<Canary> {
  return fc.record({
    ingress: mostly(fc.constant("shop/next")),
    backend: fc.record({ kind: fc.constant("upstream"), upstream: upstreamKey, service: serviceRef() }),
    rule: canaryRule,
  });
}

function route(cidrs: fc.Arbitrary<string>): fc.Arbitrary<Route> {
  return fc.record({
    canaries: fc.array(canary(), { maxLength: 2 }),
    path: fc.oneof(
      fc.record({ kind: fc.constantFrom("exact", "prefix"), path: mostly(path) }),
      fc.record({ kind: fc.constantFrom("exact", "prefix"), path: hostileText.map((text) => `/${text}`) }),
      fc.record({ kind: fc.constant("regex"), source: mostly(regex) }),
    ),
    backend,
    policy: policy(cidrs),
    closed: fc.option(hostileText, { freq: 5 }),
    ingress: mostly(fc.constant("shop/web")),
    declaredPath: hostileText,
  });
}

const clientAuth: fc.Arbitrary<ClientAuth> = fc.record({
  verify: fc.constantFrom(...verifications),
  authority: mostly(fc.constantFrom("a1", "a2")),
  depth: fc.constantFrom(1, 3),
  errorPage: fc.option(mostly(fc.constant("https://www.example/error"))),
  matchCn: fc.option(mostly(fc.constantFrom("CN=(a|b)$", "CN=.*\\$"))),
  passCertificate: fc.boolean(),
});

function passthrough(cidrs: fc.Arbitrary<string>): fc.Arbitrary<Passthrough> {
  return fc.record(
    {
      backend,
      connectTimeout: fc.constant(5000),
      idleTimeout: fc.constant(600_000),
      sendProxy: fc.constantFrom(1, 2),
      sourceRange: fc.record({ allow: fc.array(cidrs, { maxLength: 2 }), deny: fc.array(cidrs, { maxLength: 2 }) }),
      ingress: hostileText,
    },
    { requiredKeys: ["backend", "connectTimeout", "idleTimeout", "ingress"] },
  );
}

function host(cidrs: fc.Arbitrary<string>): fc.Arbitrary<Host> {
  return fc.boolean().chain((passed) => hostWith(cidrs, passed));
}

function hostWith(cidrs: fc.Arbitrary<string>, passed: boolean): fc.Arbitrary<Host> {
  return fc.record(
    {
      name: mostly(hostName),
      tls: fc.boolean(),
      routes: fc.array(route(cidrs), { maxLength: 4 }),
      defaultRoute: fc.option(route(cidrs), { freq: 3 }),
      clientAuth,
      ...(passed ? { passthrough: passthrough(cidrs) } : {}),
    },
    { requiredKeys: ["name", "tls", "routes", "defaultRoute", ...(passed ? (["passthrough"] as const) : [])] },
  );
}

const endpoints: fc.Arbitrary<Endpoint[]> = fc.array(
  fc.record({
    address: mostly(fc.constantFrom("10.0.0.1", "2001:db8::1")),
    port: fc.constantFrom(8080, 80, 0, 70_000),
  }),
  { maxLength: 3 },
);

const algorithm: fc.Arbitrary<Algorithm> = fc.oneof(
  fc.record({ kind: fc.constantFrom("ewma", "least_conn") }),
  fc.record({
    kind: fc.constant("hash"),
    // Whatever a tenant may write: the reader of the annotation refuses the rest.
    key: fc
      .string({ unit: fc.constantFrom("$", "{", "}", '"', "\\", ";", " ", "a", "#", "'", "\n"), maxLength: 12 })
      .map((text) => `${text}$request_uri`)
      .filter((text) => "parts" in parseHashKey(text)),
    subset: fc.constantFrom(null, 3),
  }),
);

const upstreamTls = (ciphers: fc.Arbitrary<string>): fc.Arbitrary<UpstreamTls> =>
  fc.record({
    secret: fc.option(hostileText),
    certificate: fc.option(hostileText),
    verify: fc.boolean(),
    authority: fc.option(mostly(fc.constantFrom("a1", "a2"))),
    verifyDepth: fc.nat(100),
    name: fc.option(mostly(fc.constant("api.example.com"))),
    sendName: fc.option(fc.boolean()),
    protocols: fc.subarray([...tlsVersions]),
    ciphers,
  });

const upstream = (ciphers: fc.Arbitrary<string>): fc.Arbitrary<Upstream> =>
  fc.record({
    // It begins with a namespace; for an empty one, which no object can give, nginx would refuse the zone named after it.
    key: nonEmpty(upstreamKey),
    protocol: fc.constantFrom("http", "https", "grpc", "grpcs"),
    options: fc.oneof(
      fc.constant(noOptions),
      fc.record({ algorithm }),
      fc.record({ slowStart: fc.constant(1_000) }),
      fc.record({ tls: upstreamTls(ciphers) }),
      fc.constant({ sendProxy: 1 } as const),
    ),
    service: serviceRef(),
    endpoints,
    externalName: fc.option(mostly(fc.constant("api.example.com"))),
  });

function tlsHost(ciphers: fc.Arbitrary<string>): fc.Arbitrary<TlsHost> {
  const list = ciphers.map((text) => text || "HIGH");
  const handshake = fc.record({ ciphers: list, preferServerCiphers: fc.boolean() }, { requiredKeys: [] });
  return fc.record(
    {
      host: mostly(hostName),
      certificates: fc.array(hostileText, { maxLength: 2 }),
      secrets: fc.array(hostileText, { maxLength: 2 }),
      handshake,
    },
    { requiredKeys: ["host", "certificates", "secrets"] },
  );
}

const certificate: fc.Arbitrary<Certificate> = fc.record({
  fingerprint: hostileText,
  chain: hostileText,
  names: fc.array(hostileText, { maxLength: 2 }),
  notAfter: fc.constant(0),
  secrets: fc.array(hostileText, { maxLength: 2 }),
});

const stream: fc.Arbitrary<StreamService> = fc.constantFrom("tcp", "udp").chain((protocol) =>
  fc.record({
    protocol: fc.constant(protocol),
    port: fc.integer({ min: 1024, max: 65_535 }),
    service: serviceRef(),
    endpoints,
    externalName: fc.option(mostly(fc.constant("api.example.com"))),
    proxyProtocol: protocol === "udp" ? fc.constant(noProxy) : fc.record({ accept: fc.boolean(), send: fc.boolean() }),
    limits: fc.record({
      connectTimeout: fc.constantFrom(1, 5000),
      idleTimeout: fc.constantFrom(1500, 600_000),
      tries: fc.nat(3),
      triesTimeout: fc.constantFrom(0, 600_000),
      responses: fc.nat(2),
    }),
    configMap: mostly(fc.constant("ingress/tcp")),
  }),
);

const noProxy = { accept: false, send: false };

const authority: fc.Arbitrary<Authority> = fc.record({
  fingerprint: mostly(fc.constantFrom("a1", "a2")),
  chain: hostileText,
  secrets: fc.array(hostileText, { maxLength: 2 }),
});

interface Checked {
  readonly cidrs: fc.Arbitrary<string>;
  readonly ciphers: fc.Arbitrary<string>;
  readonly authorities: fc.Arbitrary<Authority[]>;
}

function snapshot({ cidrs, ciphers, authorities }: Checked): fc.Arbitrary<Snapshot> {
  return fc.record({
    hosts: fc.array(host(cidrs), { maxLength: 4 }),
    upstreams: fc.array(upstream(ciphers), { maxLength: 4 }),
    tls: fc.array(tlsHost(ciphers), { maxLength: 3 }),
    certificates: fc.array(certificate, { maxLength: 2 }),
    clientCertificates: fc.array(certificate, { maxLength: 2 }),
    authorities,
    streams: fc.uniqueArray(stream, { maxLength: 3, selector: streamKey }),
    defaultBackend: backend,
    defaultCertificate: fc.option(hostileText),
  });
}

const cipherList = fc.constantFrom("", "DEFAULT");

/** Anything may be hostile. */
export const hostileSnapshot: fc.Arbitrary<Snapshot> = snapshot({
  cidrs: mostly(cidr),
  ciphers: mostly(cipherList),
  authorities: fc.array(authority, { maxLength: 2 }),
});

/** As hostileSnapshot, but with addresses and certificates as translation leaves them, so that nginx can take them in. */
export const checkedSnapshot: fc.Arbitrary<Snapshot> = snapshot({
  cidrs: cidr,
  ciphers: cipherList,
  authorities: fc.constant([]),
});

const annotation = fc.constantFrom(
  "permanent-redirect",
  "rewrite-target",
  "cors-allow-origin",
  "cors-allow-methods",
  "cors-allow-headers",
  "cors-expose-headers",
  "whitelist-source-range",
  "denylist-source-range",
  "proxy-body-size",
  "proxy-read-timeout",
  "backend-protocol",
  "proxy-ssl-secret",
  "proxy-ssl-name",
  "proxy-ssl-ciphers",
  "configuration-snippet",
  "auth-url",
);

/** Raw objects of an Ingress, a Service, its endpoints and a Secret. */
export const hostileManifests: fc.Arbitrary<readonly unknown[]> = fc
  .record({
    host: mostly(hostName),
    paths: fc.array(
      fc.record({
        path: fc.oneof(
          mostly(path),
          regex,
          hostileText.map((text) => `/${text}`),
        ),
        pathType: fc.constantFrom("Exact", "Prefix", "ImplementationSpecific"),
        service: mostly(fc.constant("web")),
        port: fc.oneof(fc.record({ number: fc.constant(80) }), fc.record({ name: hostileText })),
      }),
      { minLength: 1, maxLength: 3 },
    ),
    annotations: fc.dictionary(annotation, hostileText, { maxKeys: 3 }),
    useRegex: fc.boolean(),
    name: mostly(fc.constant("web")),
    namespace: mostly(fc.constant("shop")),
    secret: mostly(fc.constant("tls")),
    externalName: fc.option(mostly(fc.constant("api.example.com")), { freq: 3 }),
    address: mostly(fc.constant("10.0.0.1")),
  })
  .map((fields) => [
    {
      apiVersion: "networking.k8s.io/v1",
      kind: "Ingress",
      metadata: {
        name: fields.name,
        namespace: fields.namespace,
        annotations: {
          ...prefixed(fields.annotations),
          ...prefixed({ "enable-cors": "true", "use-regex": String(fields.useRegex) }),
        },
      },
      spec: {
        ingressClassName: "sluice",
        tls: [{ hosts: fields.host === "" ? [] : [fields.host], secretName: fields.secret }],
        rules: [
          {
            ...(fields.host === "" ? {} : { host: fields.host }),
            http: {
              paths: fields.paths.map(({ service, port, ...rest }) => ({
                ...rest,
                backend: { service: { name: service, port } },
              })),
            },
          },
        ],
      },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "web", namespace: "shop" },
      spec:
        fields.externalName === null
          ? { selector: { app: "web" }, ports: [{ port: 80 }] }
          : { type: "ExternalName", externalName: fields.externalName, ports: [{ port: 80 }] },
    },
    {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name: "web-1", namespace: "shop", labels: { "kubernetes.io/service-name": "web" } },
      addressType: "IPv4",
      ports: [{ port: 8080 }],
      endpoints: [{ addresses: [fields.address] }],
    },
  ]);

function prefixed(annotations: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(annotations).map(([name, value]) => [`nginx.ingress.kubernetes.io/${name}`, value]),
  );
}
