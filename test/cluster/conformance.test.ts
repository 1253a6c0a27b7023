/**
 * The scenarios of the public ingress-controller-conformance suite by their names, on a real cluster. Its own client is kept
 * to: redirects are not followed, and the answer must carry Content-Length, Content-Type, Date and Server.
 */
import assert from "node:assert/strict";
import { type IncomingHttpHeaders, request } from "node:http";
import { request as secureRequest } from "node:https";
import type { V1Ingress } from "@kubernetes/client-node";
import { makeCertificate } from "../support/pki.ts";
import { eventually } from "../support/sluice-process.ts";
import type { ApiClient, Manifest } from "./api.ts";
import { serviceManifest, tlsSecretManifest } from "./manifests.ts";
import { Pods } from "./pods.ts";
import { installAccount, type Sluice, startSluice } from "./sluice.ts";
import { describeCluster } from "./suite.ts";
import type { Echo } from "./upstream.ts";

interface Scenario {
  readonly name: string;
  readonly method?: string;
  readonly url: string;
  /** The Service that answers; null: 404. */
  readonly service: string | null;
}

interface Feature {
  readonly name: string;
  readonly spec: (secret: string) => Readonly<Record<string, unknown>>;
  readonly scenarios: readonly Scenario[];
}

const backend = (name: string, port: number | string = 8080): object => ({
  service: { name, port: typeof port === "number" ? { number: port } : { name: port } },
});

const path = (pathType: "Exact" | "Prefix", text: string, service: string): object => ({
  path: text,
  pathType,
  backend: backend(service),
});

const defaultBackend: Feature = {
  name: "default backend",
  spec: () => ({ defaultBackend: backend("echo-service") }),
  scenarios: [
    ["GET", "http://my-host/"],
    ["GET", "http://my-host/sub-path"],
    ["POST", "http://some-host/"],
    ["PUT", "http:///resource"],
    ["DELETE", "http://some-host/resource"],
    ["PATCH", "http://my-host/resource"],
  ].map(([method = "", url = ""]) => ({
    name: `an Ingress with a single default backend should send all traffic to it: ${method} ${url}`,
    method,
    url,
    service: "echo-service",
  })),
};

const hostRules: Feature = {
  name: "host rules",
  spec: (secret) => ({
    tls: [{ hosts: ["foo.bar.com"], secretName: secret }],
    rules: [
      { host: "*.foo.com", http: { paths: [path("Prefix", "/", "wildcard-foo-com")] } },
      {
        host: "foo.bar.com",
        http: { paths: [{ path: "/", pathType: "Prefix", backend: backend("foo-bar-com", "http") }] },
      },
    ],
  }),
  scenarios: [
    {
      name: "an Ingress with a host rule should send TLS traffic to the matching backend service",
      url: "https://foo.bar.com/",
      service: "foo-bar-com",
    },
    {
      name: "an Ingress with a host rule should send traffic to the matching backend service",
      url: "http://foo.bar.com/",
      service: "foo-bar-com",
    },
    {
      name: "an Ingress with a host rule should not route traffic when hostname does not match",
      url: "http://subdomain.bar.com/",
      service: null,
    },
    {
      name: "an Ingress with a wildcard host rule should send traffic to the matching backend service",
      url: "http://bar.foo.com/",
      service: "wildcard-foo-com",
    },
    {
      name: "an Ingress with a wildcard host rule should not route traffic matching on more than a single dns label",
      url: "http://baz.bar.foo.com/",
      service: null,
    },
    {
      name: "an Ingress with a wildcard host rule should not route traffic matching no dns label",
      url: "http://foo.com/",
      service: null,
    },
  ],
};

const pathRules: Feature = {
  name: "path rules",
  spec: () => ({
    rules: [
      { host: "exact-path-rules", http: { paths: [path("Exact", "/foo", "foo-exact")] } },
      { host: "prefix-path-rules", http: { paths: [path("Prefix", "/foo", "foo-prefix")] } },
      {
        host: "mixed-path-rules",
        http: { paths: [path("Prefix", "/foo", "foo-prefix"), path("Exact", "/foo", "foo-exact")] },
      },
      {
        host: "multiple-prefix-path-rules",
        http: { paths: [path("Prefix", "/aaa/bbb", "aaa-slash-bbb-prefix"), path("Prefix", "/aaa", "aaa-prefix")] },
      },
      {
        host: "trailing-slash-path-rules",
        http: {
          paths: [path("Prefix", "/aaa/bbb/", "aaa-slash-bbb-slash-prefix"), path("Exact", "/foo/", "foo-slash-exact")],
        },
      },
    ],
  }),
  scenarios: [
    ["exact path /foo should send traffic to the matching path", "exact-path-rules/foo", "foo-exact"],
    ["exact path /foo should not match a trailing slash", "exact-path-rules/foo/", null],
    ["exact path should be case sensitive", "exact-path-rules/FOO", null],
    ["exact path should not match any other path", "exact-path-rules/bar", null],
    ["prefix path should send traffic to the matching path", "prefix-path-rules/foo", "foo-prefix"],
    ["prefix path should ignore the request trailing slash", "prefix-path-rules/foo/", "foo-prefix"],
    ["prefix path should be case sensitive", "prefix-path-rules/FOO", null],
    ["the longest prefix should match first", "multiple-prefix-path-rules/aaa/bbb", "aaa-slash-bbb-prefix"],
    ["the longest prefix should match its subpath", "multiple-prefix-path-rules/aaa/bbb/ccc", "aaa-slash-bbb-prefix"],
    ["the shorter prefix should match what is left", "multiple-prefix-path-rules/aaa/ccc", "aaa-prefix"],
    ["prefix path should match element by element", "multiple-prefix-path-rules/aaaccc", null],
    ["exact path should come before the same prefix", "mixed-path-rules/foo", "foo-exact"],
    [
      "prefix path should ignore its own trailing slash",
      "trailing-slash-path-rules/aaa/bbb",
      "aaa-slash-bbb-slash-prefix",
    ],
    ["prefix path should match its trailing slash", "trailing-slash-path-rules/aaa/bbb/", "aaa-slash-bbb-slash-prefix"],
    ["exact path with a trailing slash should not match without", "trailing-slash-path-rules/foo", null],
  ].map(([name, url, service]) => ({
    name: `an Ingress with path rules: ${name}`,
    url: `http://${url}`,
    service: service ?? null,
  })),
};

/** Beside these, the suite has one scenario of classes and one of load balancing. */
const features = [defaultBackend, hostRules, pathRules];

const address = "192.0.2.10";
const userAgent = "Go-http-client/1.1";

describeCluster("ingress-controller-conformance", ["pods"], (given) => {
  let api: ApiClient;
  let pods: Pods;
  let sluice: Sluice;
  const certificate = makeCertificate({ names: ["foo.bar.com"] });

  before(async function () {
    this.timeout(60_000);
    const cluster = given();
    api = cluster.client(cluster.admin);
    pods = await Pods.start(cluster);
    await installAccount(cluster, "conformance");
    sluice = await startSluice(cluster, {
      namespace: "conformance",
      args: [`--publish-status-address=${address}`],
    });
  });

  after(async () => {
    await sluice?.process.kill();
    await pods?.stop();
  });

  const ingress = (namespace: string, spec: Readonly<Record<string, unknown>>): Manifest => ({
    apiVersion: "networking.k8s.io/v1",
    kind: "Ingress",
    metadata: { namespace, name: "conformance" },
    spec: { ingressClassName: "sluice", ...spec },
  });

  /** Every Service with one Pod, and the Ingress; resolves when its status shows the address, as the suite waits for it. */
  async function deploy(namespace: string, manifest: Manifest, services: readonly string[], replicas = 1) {
    await given().createNamespace(namespace);
    for (const name of services) {
      const service = serviceManifest(namespace, name);
      const ports = [{ name: "http", port: 8080, targetPort: "http" }];
      await api.apply({ ...service, spec: { selector: { app: name }, ports } });
    }
    await api.apply(manifest);
    const names = services.flatMap((name) =>
      Array.from({ length: replicas }, (_, i) => ({ name, pod: `${name}-${i}` })),
    );
    await Promise.all(
      names.map(({ name, pod }) => pods.run({ namespace, name: pod, labels: { app: name }, service: name })),
    );
    await eventually(
      () => statusOf(manifest),
      (found) => found === address,
      10_000,
    );
  }

  async function statusOf(manifest: Manifest): Promise<string> {
    const found = (await api.read(manifest)) as V1Ingress | null;
    return (found?.status?.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ip ?? hostname).join();
  }

  for (const feature of features) {
    describe(feature.name, () => {
      const namespace = `conformance-${feature.name.replaceAll(" ", "-")}`;
      const services = [...new Set(feature.scenarios.flatMap(({ service }) => service ?? []))].sort();
      const manifest = ingress(namespace, feature.spec("conformance-tls"));

      before(async function () {
        this.timeout(60_000);
        await given().createNamespace(namespace);
        await api.apply(tlsSecretManifest(namespace, "conformance-tls", certificate));
        await deploy(namespace, manifest, services);
        for (const { url, service } of feature.scenarios) {
          // The slices of the last Pod may still be on their way.
          if (service === null) continue;
          await eventually(
            () => ask(sluice, "GET", url, certificate.ca),
            ({ status }) => status === 200,
          );
        }
      });

      after(async () => {
        await api.delete(manifest);
        // The default backend would answer the hosts of the next feature too.
        await eventually(
          async () => JSON.parse((await ask(sluice, "GET", `admin:/snapshot`, "")).body),
          ({ hosts }) => hosts.length === 0,
        );
      });

      for (const { name, method = "GET", url, service } of feature.scenarios) {
        it(name, async () => {
          const answer = await ask(sluice, method, url, certificate.ca);
          if (service === null) return assert.equal(answer.status, 404);
          assert.equal(answer.status, 200);
          assert.equal(answer.protocol, "HTTP/1.1");
          for (const header of ["content-length", "content-type", "date", "server"] as const)
            assert.ok(answer.headers[header], `there is no ${header}`);
          const { host, pathname } = hostAndPath(url);
          const echo = JSON.parse(answer.body) as Echo;
          assert.deepEqual(
            [echo.service, echo.namespace, echo.method, echo.path, echo.proto, echo.headers["User-Agent"]],
            [service, namespace, method, pathname, "HTTP/1.1", [userAgent]],
          );
          if (host !== "") assert.equal(echo.host, host);
        });
      }
    });
  }

  it("ingress class: an Ingress with an invalid class should not be reconciled", async () => {
    const namespace = "conformance-ingress-class";
    await given().createNamespace(namespace);
    const spec = { defaultBackend: backend("echo-service") };
    const other = ingress(namespace, { ...spec, ingressClassName: "some-invalid-class-name" });
    const ours: Manifest = { ...ingress(namespace, spec), metadata: { namespace, name: "ours" } };
    await api.apply(other);
    await api.apply(ours);
    // Ours came later, so the other one has been looked at when ours has its address.
    await eventually(
      () => statusOf(ours),
      (found) => found === address,
      10_000,
    );
    assert.equal(await statusOf(other), "");
    await api.delete(ours);
    await api.delete(other);
  });

  it("load balancing: traffic should be distributed to all of ten Pods over a hundred requests", async function () {
    this.timeout(40_000);
    const namespace = "conformance-load-balancing";
    const manifest = ingress(namespace, { defaultBackend: backend("echo-service") });
    await deploy(namespace, manifest, ["echo-service"], 10);
    await eventually(
      async () => JSON.parse((await ask(sluice, "GET", "admin:/snapshot", "")).body).upstreams[0]?.endpoints.length,
      (count) => count === 10,
    );
    const seen = new Set<string>();
    for (let count = 0; count < 100; count++) {
      const answer = await ask(sluice, "GET", "http://load-balancing/", "");
      assert.equal(answer.status, 200);
      seen.add((JSON.parse(answer.body) as Echo).pod);
    }
    assert.equal(seen.size, 10);
    await api.delete(manifest);
  });
});

interface Answer {
  readonly status: number;
  readonly protocol: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

function hostAndPath(url: string): { readonly host: string; readonly pathname: string } {
  const [, host = "", pathname = ""] = /^\w+:\/\/([^/]*)(.*)$/.exec(url) ?? [];
  return { host, pathname: pathname === "" ? "/" : pathname };
}

/** By the URL's host, wherever that would lead; "admin:" is the admin port. A certificate must be valid for the host. */
function ask(sluice: Sluice, method: string, url: string, ca: string): Promise<Answer> {
  const admin = url.startsWith("admin:");
  const secure = url.startsWith("https:");
  const { host, pathname } = admin ? { host: "localhost", pathname: url.slice(6) } : hostAndPath(url);
  const port = admin ? sluice.admin : secure ? sluice.https : sluice.http;
  const options = {
    host: "127.0.0.1",
    port,
    path: pathname,
    method,
    agent: false as const,
    setHost: false,
    // Without a name the suite's client says the address that it connects to.
    headers: { host: host === "" ? `127.0.0.1:${port}` : host, "user-agent": userAgent },
    ...(secure ? { ca, servername: host } : {}),
  };
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const sent = (secure ? secureRequest : request)(options, (response) => {
    let body = "";
    response.setEncoding("utf8");
    response.on("data", (part: string) => {
      body += part;
    });
    response.once("error", reject);
    response.once("end", () => {
      const { statusCode = 0, httpVersion, headers } = response;
      resolve({ status: statusCode, protocol: `HTTP/${httpVersion}`, headers, body });
    });
  });
  sent.once("error", reject);
  sent.end();
  return promise;
}
