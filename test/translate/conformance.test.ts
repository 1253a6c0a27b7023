/**
 * The scenarios of the Kubernetes ingress conformance suite (features default_backend, host_rules, ingress_class and
 * path_rules) from YAML to the Service that a request reaches.
 */
import assert from "node:assert/strict";
import type { Route, Snapshot } from "../../src/model/snapshot.ts";
import { normaliseHost } from "../../src/router/hosts.ts";
import { compileTable } from "../../src/router/table.ts";
import { normaliseTarget } from "../../src/router/target.ts";
import { tlsSecret } from "../support/fixtures.ts";
import { makeCertificate } from "../support/pki.ts";
import { readManifests, translateObjects } from "../support/translation.ts";

/** The Service that answers, or the status that Sluice answers by itself. */
function answer(snapshot: Snapshot, authority: string, target: string): string {
  const table = compileTable<Route>(snapshot, (route) => route);
  const name = normaliseHost(authority);
  const normalised = normaliseTarget(target);
  if (name === null || "bad" in normalised) return "400";
  const route = table.host(name)?.lookup(normalised.path);
  const backend = route === undefined || route === null ? snapshot.defaultBackend : route.backend;
  return backend.kind === "upstream" ? backend.service.name : backend.kind === "notFound" ? "404" : "503";
}

function services(...names: readonly string[]): string {
  return names
    .map(
      (name) => `
---
apiVersion: v1
kind: Service
metadata: {name: ${name}}
spec:
  selector: {app: echo}
  ports: [{name: http, port: 8080, targetPort: 3000}]`,
    )
    .join("");
}

interface Scenario {
  readonly title: string;
  readonly ingress: string;
  readonly services: readonly string[];
  readonly requests: readonly (readonly [host: string, path: string, answer: string])[];
}

const rule = (path: string, pathType: string, name: string) =>
  `{path: ${path}, pathType: ${pathType}, backend: {service: {name: ${name}, port: {number: 8080}}}}`;

const pathRules = (...paths: readonly string[]) => `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: path-rules}
spec:
  ingressClassName: sluice
  rules:
    - host: path-rules
      http:
        paths: [${paths.join(", ")}]`;

const hostRules = `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: host-rules}
spec:
  ingressClassName: sluice
  tls: [{hosts: [foo.bar.com], secretName: conformance-tls}]
  rules:
    - host: "*.foo.com"
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: wildcard-foo-com, port: {number: 8080}}}}]}
    - host: foo.bar.com
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: foo-bar-com, port: {name: http}}}}]}`;

const scenarios: readonly Scenario[] = [
  {
    title: "a default backend serves every host and path",
    ingress: `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: default-backend}
spec:
  ingressClassName: sluice
  defaultBackend: {service: {name: echo-service, port: {number: 8080}}}`,
    services: ["echo-service"],
    requests: [
      ["my-host", "/", "echo-service"],
      ["my-host", "/sub-path", "echo-service"],
      ["some-host", "/", "echo-service"],
      ["", "/resource", "echo-service"],
      ["some-host", "/resource", "echo-service"],
      ["my-host", "/resource", "echo-service"],
    ],
  },
  {
    title: "hosts are matched precisely or by one wildcard label, and a port by name",
    ingress: hostRules,
    services: ["wildcard-foo-com", "foo-bar-com"],
    requests: [
      ["foo.bar.com", "/", "foo-bar-com"],
      ["subdomain.bar.com", "/", "404"],
      ["bar.foo.com", "/", "wildcard-foo-com"],
      ["baz.bar.foo.com", "/", "404"],
      ["foo.com", "/", "404"],
    ],
  },
  {
    title: "Exact /foo matches itself alone",
    ingress: pathRules(rule("/foo", "Exact", "foo-exact")),
    services: ["foo-exact"],
    requests: [
      ["path-rules", "/foo", "foo-exact"],
      ["path-rules", "/foo/", "404"],
      ["path-rules", "/FOO", "404"],
      ["path-rules", "/bar", "404"],
    ],
  },
  {
    title: "Prefix /foo matches with and without trailing slash, in its own case",
    ingress: pathRules(rule("/foo", "Prefix", "foo-prefix")),
    services: ["foo-prefix"],
    requests: [
      ["path-rules", "/foo", "foo-prefix"],
      ["path-rules", "/foo/", "foo-prefix"],
      ["path-rules", "/FOO", "404"],
    ],
  },
  {
    title: "the longer of two prefixes wins, element by element",
    ingress: pathRules(rule("/aaa/bbb", "Prefix", "aaa-bbb"), rule("/aaa", "Prefix", "aaa")),
    services: ["aaa-bbb", "aaa"],
    requests: [
      ["path-rules", "/aaa/bbb", "aaa-bbb"],
      ["path-rules", "/aaa/bbb/ccc", "aaa-bbb"],
      ["path-rules", "/aaa/ccc", "aaa"],
      ["path-rules", "/aaaccc", "404"],
    ],
  },
  {
    title: "Exact wins over Prefix of the same path",
    ingress: pathRules(rule("/foo", "Prefix", "foo-prefix"), rule("/foo", "Exact", "foo-exact")),
    services: ["foo-prefix", "foo-exact"],
    requests: [["path-rules", "/foo", "foo-exact"]],
  },
  {
    title: "the trailing slash of a Prefix does not count",
    ingress: pathRules(rule("/aaa/bbb/", "Prefix", "aaa-slash-bbb-slash-prefix")),
    services: ["aaa-slash-bbb-slash-prefix"],
    requests: [
      ["path-rules", "/aaa/bbb", "aaa-slash-bbb-slash-prefix"],
      ["path-rules", "/aaa/bbb/", "aaa-slash-bbb-slash-prefix"],
    ],
  },
  {
    title: "the trailing slash of an Exact path does",
    ingress: pathRules(rule("/foo/", "Exact", "foo-slash-exact")),
    services: ["foo-slash-exact"],
    requests: [
      ["path-rules", "/foo", "404"],
      ["path-rules", "/foo/", "foo-slash-exact"],
    ],
  },
];

describe("conformance", () => {
  for (const scenario of scenarios) {
    const manifests = readManifests(scenario.ingress + services(...scenario.services));
    const certificate = tlsSecret("default/conformance-tls", makeCertificate({ names: ["foo.bar.com"] }));
    const translation = translateObjects([...manifests, certificate]);
    describe(scenario.title, () => {
      it("without a problem", () => assert.deepEqual(translation.problems, []));
      for (const [host, path, expected] of scenario.requests) {
        it(`${host}${path} is answered by ${expected}`, () => {
          assert.equal(answer(translation.snapshot, host, path), expected);
        });
      }
    });
  }

  it("an Ingress of an unknown class is not among those whose status is written", () => {
    const manifests = readManifests(`
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: unknown-class}
spec:
  ingressClassName: some-invalid-class-name
  defaultBackend: {service: {name: echo-service, port: {number: 8080}}}`);
    const translation = translateObjects(manifests);
    assert.deepEqual(translation.served, []);
    assert.equal(answer(translation.snapshot, "any", "/"), "404");
  });

  it("a host with TLS has its certificate and is not redirected", () => {
    const certificate = makeCertificate({ names: ["foo.bar.com"] });
    const { snapshot } = translateObjects([
      ...readManifests(hostRules + services("wildcard-foo-com", "foo-bar-com")),
      tlsSecret("default/conformance-tls", certificate),
    ]);
    const host = snapshot.hosts.find(({ name }) => name === "foo.bar.com");
    assert.equal(host?.tls, true);
    assert.equal(host?.routes[0]?.policy.sslRedirect, undefined);
    assert.equal(
      snapshot.certificates.find(({ fingerprint }) => fingerprint === snapshot.tls[0]?.certificates[0])?.chain,
      certificate.cert,
    );
  });
});
