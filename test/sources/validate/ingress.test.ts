import assert from "node:assert/strict";
import { accepted, describeRefusals, problemsOf, type Raw, type Refusal } from "./read.ts";

const service = { service: { name: "web", port: { number: 80 } } };

function ingress(spec: unknown, metadata: Raw = {}): Raw {
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "Ingress",
    metadata: { name: "web", namespace: "shop", ...metadata },
    spec,
  };
}

function withPath(path: Raw): Raw {
  return ingress({ rules: [{ http: { paths: [{ path: "/", pathType: "Prefix", backend: service, ...path }] } }] });
}

function withHost(host: unknown): Raw {
  return ingress({ rules: [{ host, http: { paths: [{ path: "/", pathType: "Prefix", backend: service }] } }] });
}

function withBackend(backend: unknown): Raw {
  return withPath({ backend });
}

function withTls(tls: unknown): Raw {
  return ingress({ defaultBackend: service, tls });
}

const firstPath = "spec.rules[0].http.paths[0]";

describe("an Ingress", () => {
  it("is trimmed to what is used", () => {
    const raw = ingress(
      {
        ingressClassName: "sluice",
        defaultBackend: { service: { name: "main", port: { name: "http" } } },
        rules: [
          {
            host: "*.example.com",
            http: { paths: [{ path: "/a", pathType: "Exact", backend: service, unknown: 1 }] },
          },
          { host: "bare.example.com" },
        ],
        tls: [{ hosts: ["a.example.com", "*.example.com"], secretName: "cert" }, {}],
        unknown: true,
      },
      {
        uid: "1-2",
        generation: 3,
        resourceVersion: "77",
        creationTimestamp: "2026-01-31T12:00:00Z",
        labels: { "app.kubernetes.io/name": "web" },
        annotations: {
          "nginx.ingress.kubernetes.io/rewrite-target": "/",
          "kubectl.kubernetes.io/last-applied-configuration": "{}",
        },
        managedFields: [{}],
      },
    );
    assert.deepEqual(accepted("Ingress", { ...raw, status: { loadBalancer: {} } }, { file: "a.yaml", line: 7 }), {
      kind: "Ingress",
      meta: {
        namespace: "shop",
        name: "web",
        uid: "1-2",
        creationTimestamp: Date.UTC(2026, 0, 31, 12),
        labels: { "app.kubernetes.io/name": "web" },
        annotations: { "nginx.ingress.kubernetes.io/rewrite-target": "/" },
        generation: 3,
        resourceVersion: "77",
        origin: { file: "a.yaml", line: 7 },
      },
      ingressClassName: "sluice",
      defaultBackend: { kind: "service", name: "main", port: { name: "http", number: null } },
      rules: [
        {
          host: "*.example.com",
          paths: [
            {
              path: "/a",
              pathType: "Exact",
              backend: { kind: "service", name: "web", port: { name: null, number: 80 } },
            },
          ],
        },
        { host: "bare.example.com", paths: null },
      ],
      tls: [
        { hosts: ["a.example.com", "*.example.com"], secretName: "cert" },
        { hosts: [], secretName: null },
      ],
    });
  });

  it("is in namespace default when it names none", () => {
    for (const namespace of [undefined, null, ""]) {
      const object = accepted("Ingress", ingress({ defaultBackend: service }, { namespace }));
      assert.equal(object.meta.namespace, "default");
      assert.equal(object.meta.creationTimestamp, 0);
    }
  });

  it("may refer to a resource", () => {
    const resource = { apiGroup: "storage.example.com", kind: "Bucket", name: "static" };
    const object = accepted("Ingress", ingress({ defaultBackend: { resource } }));
    assert.deepEqual(object.defaultBackend, {
      kind: "resource",
      apiGroup: "storage.example.com",
      resourceKind: "Bucket",
      name: "static",
    });
  });

  const acceptedPaths: readonly (readonly [pathType: string, path: unknown])[] = [
    ["Prefix", "/"],
    ["Prefix", "/a/b/"],
    ["Exact", "/a.b/..c"],
    ["Exact", "/ä b%20c"],
    ["Exact", "/a/..."],
    ["ImplementationSpecific", ""],
    ["ImplementationSpecific", null],
    ["ImplementationSpecific", "/(.*)//x/../%2f"],
  ];
  for (const [pathType, path] of acceptedPaths) {
    it(`accepts the ${pathType} path ${JSON.stringify(path)}`, () => {
      const [rule] = accepted("Ingress", withPath({ path, pathType })).rules;
      assert.equal(rule?.paths?.[0]?.path, path ?? "");
      assert.equal(rule?.paths?.[0]?.pathType, pathType);
    });
  }

  for (const host of [
    "a",
    "a.b.c",
    "1.2.3",
    "xn--bcher-kva.example",
    "*.a.b",
    `${"a".repeat(100)}.example`,
    "",
    null,
  ]) {
    it(`accepts the host ${JSON.stringify(host)}`, () => {
      assert.equal(accepted("Ingress", withHost(host)).rules[0]?.host, host ?? "");
    });
  }

  const refusals: readonly Refusal[] = [
    ["an empty spec", ingress({}), "spec", /neither defaultBackend nor rules/],
    ["no spec", ingress(null), "spec", /neither defaultBackend nor rules/],
    ["a spec that is a list", ingress([1]), "spec", /^a list is not a mapping/],
    ["rules that are a mapping", ingress({ rules: { host: "a" } }), "spec.rules", /^a mapping is not a list/],
    ["http without paths", ingress({ rules: [{ http: {} }] }), "spec.rules[0].http.paths", /paths are required/],
    [
      "a class that is no name",
      ingress({ defaultBackend: service, ingressClassName: "A b" }),
      "spec.ingressClassName",
      /^"A b" is not the name/,
    ],
    [
      "an empty class",
      ingress({ defaultBackend: service, ingressClassName: "" }),
      "spec.ingressClassName",
      /^"" is not the name/,
    ],
    [
      "a path without pathType",
      withPath({ pathType: undefined }),
      `${firstPath}.pathType`,
      /a pathType is required; write Prefix/,
    ],
    [
      "an unknown pathType",
      withPath({ pathType: "prefix" }),
      `${firstPath}.pathType`,
      /^"prefix" is not a pathType; write Prefix/,
    ],
    ["a pathType that is no text", withPath({ pathType: 5 }), `${firstPath}.pathType`, /^5 is not text/],
    ["a relative path", withPath({ path: "a" }), `${firstPath}.path`, /^"a" is not a path; begin it with "\/"/],
    [
      "a relative path for the implementation",
      withPath({ path: "a", pathType: "ImplementationSpecific" }),
      `${firstPath}.path`,
      /begin it/,
    ],
    ["an empty Prefix", withPath({ path: "" }), `${firstPath}.path`, /a path is required/],
    ["double slashes", withPath({ path: "/a//b" }), `${firstPath}.path`, /^"\/a\/\/b" contains "\/\/"/],
    ["a dot segment", withPath({ path: "/a/./b" }), `${firstPath}.path`, /contains "\/\.\/"/],
    ["a double dot segment", withPath({ path: "/a/../b" }), `${firstPath}.path`, /contains "\/\.\.\/"/],
    ["an encoded slash", withPath({ path: "/a%2fb" }), `${firstPath}.path`, /contains "%2f"/],
    ["an encoded slash in capitals", withPath({ path: "/a%2Fb" }), `${firstPath}.path`, /contains "%2F"/],
    ["two dots at the end", withPath({ path: "/a/.." }), `${firstPath}.path`, /ends in "\/\.\."/],
    ["a dot at the end", withPath({ path: "/a/." }), `${firstPath}.path`, /ends in "\/\."/],
    ["a path that is a number", withPath({ path: 5 }), `${firstPath}.path`, /^5 is not text; put it in quotes: "5"/],
    ["a host in capitals", withHost("FOO.com"), "spec.rules[0].host", /^"FOO.com" is not a host name; write "foo.com"/],
    ["a host with a port", withHost("foo.com:8080"), "spec.rules[0].host", /write "foo.com"$/],
    ["a host with a scheme", withHost("https://foo.com/"), "spec.rules[0].host", /write "foo.com"$/],
    ["a host with a dot at the end", withHost("foo.com."), "spec.rules[0].host", /write "foo.com"$/],
    ["an IPv4 host", withHost("10.0.0.1"), "spec.rules[0].host", /^"10.0.0.1" is an address/],
    ["an IPv6 host", withHost("::1"), "spec.rules[0].host", /is an address/],
    ["a bare star", withHost("*"), "spec.rules[0].host", /not a wildcard host; write the star/],
    ["a star within a label", withHost("a*.example.com"), "spec.rules[0].host", /not a wildcard host/],
    ["two stars", withHost("*.*.example.com"), "spec.rules[0].host", /not a wildcard host/],
    ["a star in the middle", withHost("a.*.example.com"), "spec.rules[0].host", /not a wildcard host/],
    ["a host with an underscore", withHost("a_b.example"), "spec.rules[0].host", /use lower-case letters/],
    ["a host with a line break", withHost("a\nb"), "spec.rules[0].host", /^"a\\nb" is not/],
    ["a host of 254 characters", withHost(`${"a.".repeat(126)}aa`), "spec.rules[0].host", /at most 253/],
    [
      "a host that is a boolean",
      withHost(false),
      "spec.rules[0].host",
      /^false is not text; put it in quotes: "false"/,
    ],
    ["no backend", withBackend(undefined), `${firstPath}.backend`, /a backend is required; write backend: \{service/],
    ["an empty backend", withBackend({}), `${firstPath}.backend`, /a backend is required/],
    ["a backend that is text", withBackend("web"), `${firstPath}.backend`, /^"web" is not a mapping/],
    [
      "v1beta1's backend",
      withBackend({ serviceName: "web", servicePort: "http" }),
      `${firstPath}.backend`,
      /write backend: \{service: \{name: web, port: \{name: http\}\}\}$/,
    ],
    [
      "two backends",
      withBackend({ ...service, resource: { kind: "A", name: "b" } }),
      `${firstPath}.backend`,
      /keep one/,
    ],
    [
      "a Service without name",
      withBackend({ service: { port: { number: 80 } } }),
      `${firstPath}.backend.service.name`,
      /a name is required/,
    ],
    [
      "a Service name with dots",
      withBackend({ service: { name: "a.b", port: { number: 80 } } }),
      `${firstPath}.backend.service.name`,
      /^"a.b" is not/,
    ],
    [
      "a Service without port",
      withBackend({ service: { name: "web" } }),
      `${firstPath}.backend.service.port`,
      /a port is required/,
    ],
    [
      "port zero",
      withBackend({ service: { name: "web", port: { number: 0 } } }),
      `${firstPath}.backend.service.port`,
      /a port is required/,
    ],
    [
      "port 65536",
      withBackend({ service: { name: "web", port: { number: 65536 } } }),
      `${firstPath}.backend.service.port.number`,
      /^65536 is not a port/,
    ],
    [
      "a negative port",
      withBackend({ service: { name: "web", port: { number: -1 } } }),
      `${firstPath}.backend.service.port.number`,
      /^-1 is not a port/,
    ],
    [
      "half a port",
      withBackend({ service: { name: "web", port: { number: 80.5 } } }),
      `${firstPath}.backend.service.port.number`,
      /^80.5 is not a whole number/,
    ],
    [
      "a port in quotes",
      withBackend({ service: { name: "web", port: { number: "80" } } }),
      `${firstPath}.backend.service.port.number`,
      /^"80" is not a whole number; write 80 without quotes/,
    ],
    [
      "a port by name and number",
      withBackend({ service: { name: "web", port: { number: 80, name: "http" } } }),
      `${firstPath}.backend.service.port`,
      /^name "http" and number 80 are both set/,
    ],
    [
      "a port name in capitals",
      withBackend({ service: { name: "web", port: { name: "HTTP" } } }),
      `${firstPath}.backend.service.port.name`,
      /^"HTTP" is not a port name/,
    ],
    [
      "a port name of 16 characters",
      withBackend({ service: { name: "web", port: { name: "a".repeat(16) } } }),
      `${firstPath}.backend.service.port.name`,
      /at most 15/,
    ],
    [
      "a port name without letter",
      withBackend({ service: { name: "web", port: { name: "80" } } }),
      `${firstPath}.backend.service.port.name`,
      /without quotes/,
    ],
    [
      "a port name with two hyphens",
      withBackend({ service: { name: "web", port: { name: "a--b" } } }),
      `${firstPath}.backend.service.port.name`,
      /single hyphens/,
    ],
    [
      "a port name with a hyphen at its end",
      withBackend({ service: { name: "web", port: { name: "a-" } } }),
      `${firstPath}.backend.service.port.name`,
      /single hyphens/,
    ],
    [
      "a resource without kind",
      withBackend({ resource: { name: "a" } }),
      `${firstPath}.backend.resource.kind`,
      /required/,
    ],
    [
      "a resource with a slash",
      withBackend({ resource: { kind: "A", name: "a/b" } }),
      `${firstPath}.backend.resource.name`,
      /^"a\/b"/,
    ],
    [
      "a resource of a group that is no name",
      withBackend({ resource: { apiGroup: "A B", kind: "A", name: "a" } }),
      `${firstPath}.backend.resource.apiGroup`,
      /^"A B"/,
    ],
    ["a TLS host in capitals", withTls([{ hosts: ["A.b"] }]), "spec.tls[0].hosts[0]", /write "a.b"/],
    ["a TLS host with a bad star", withTls([{ hosts: ["a.b", "x*.b"] }]), "spec.tls[0].hosts[1]", /wildcard/],
    ["an empty TLS host", withTls([{ hosts: [""] }]), "spec.tls[0].hosts[0]", /^"" is not a host name/],
    [
      "a Secret name with a slash",
      withTls([{ secretName: "ns/cert" }]),
      "spec.tls[0].secretName",
      /^"ns\/cert" is not the name of a Secret/,
    ],
    ["TLS that is no list", withTls("cert"), "spec.tls", /^"cert" is not a list/],
  ];
  describeRefusals(refusals);

  it("tells every field that is wrong", () => {
    const problems = problemsOf(
      ingress({
        rules: [{ host: "A", http: { paths: [{ path: "x" }, { pathType: "Exact", path: "/", backend: service }] } }],
      }),
    );
    assert.deepEqual(
      problems.map((problem) => problem.field),
      ["spec.rules[0].host", `${firstPath}.pathType`, `${firstPath}.path`, `${firstPath}.backend`],
    );
    assert.deepEqual(problems[0]?.object, { kind: "Ingress", namespace: "shop", name: "web" });
  });

  it("tells a bounded number of Problems, however many fields are wrong", () => {
    const paths = Array.from({ length: 1000 }, () => ({ path: "x", pathType: "Exact", backend: service }));
    const problems = problemsOf(ingress({ rules: [{ http: { paths } }] }));
    assert.equal(problems.length, 21);
    assert.match(problems[20]?.message ?? "", /^980 more fields are invalid/);
  });

  it("quotes a long value cut", () => {
    const [problem] = problemsOf(withHost(`A${"b".repeat(5000)}`));
    assert.ok((problem?.message.length ?? 0) < 300);
  });
});

describe("an Ingress of v1beta1", () => {
  const spec = {
    backend: { serviceName: "main", servicePort: 8080 },
    rules: [
      {
        http: {
          paths: [
            { path: "/a", pathType: "Prefix", backend: { serviceName: "web", servicePort: 80 } },
            { backend: { serviceName: "web: {x}", servicePort: "http" } },
          ],
        },
      },
    ],
  };

  for (const apiVersion of ["extensions/v1beta1", "networking.k8s.io/v1beta1"]) {
    it(`of ${apiVersion} is told the v1 form of its own backends`, () => {
      const [problem, ...others] = problemsOf({ ...ingress(spec), apiVersion });
      assert.deepEqual(others, []);
      assert.equal(problem?.code, "DeprecatedVersion");
      assert.equal(problem?.field, "apiVersion");
      assert.equal(
        problem?.message,
        `"${apiVersion}" no longer exists; write apiVersion: networking.k8s.io/v1, and its fields as ` +
          "spec: defaultBackend: {service: {name: main, port: {number: 8080}}}; " +
          "spec.rules[0].http.paths[0]: {path: /a, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}; " +
          'spec.rules[0].http.paths[1]: {path: /, pathType: ImplementationSpecific, backend: {service: {name: "web: {x}", port: {name: http}}}}',
      );
    });
  }

  it("with many paths shows the first ones", () => {
    const paths = Array.from({ length: 9 }, () => ({ path: "/", backend: { serviceName: "a", servicePort: 1 } }));
    const raw = { ...ingress({ rules: [{ http: { paths } }] }), apiVersion: "extensions/v1beta1" };
    assert.match(problemsOf(raw)[0]?.message ?? "", /; and 4 more paths in the same way$/);
  });

  it("never fails on what its fields hold", () => {
    for (const hostile of [
      null,
      1,
      [],
      [null],
      { rules: [{ http: 3 }] },
      { rules: [{ http: { paths: [null, 1] } }] },
    ]) {
      assert.equal(problemsOf({ ...ingress(hostile), apiVersion: "extensions/v1beta1" })[0]?.code, "DeprecatedVersion");
    }
  });
});

describe("an IngressClass", () => {
  const of = (controller: unknown, metadata: Raw = {}): Raw => ({
    apiVersion: "networking.k8s.io/v1",
    kind: "IngressClass",
    metadata: { name: "sluice", namespace: "ignored", ...metadata },
    spec: { controller },
  });

  it("keeps its controller and annotations, and has no namespace", () => {
    const annotations = { "ingressclass.kubernetes.io/is-default-class": "true" };
    const object = accepted("IngressClass", of("sluice.dev/ingress-controller", { annotations }));
    assert.equal(object.controller, "sluice.dev/ingress-controller");
    assert.equal(object.meta.namespace, "");
    assert.deepEqual(object.meta.annotations, annotations);
  });

  describeRefusals([
    ["a class without controller", of(undefined), "spec.controller", /a controller is required/],
    [
      "a controller without path",
      of("sluice.dev"),
      "spec.controller",
      /^"sluice.dev" is not a controller; write a DNS name, a "\/"/,
    ],
    ["a controller without domain", of("/x"), "spec.controller", /is not a controller/],
    ["a controller in capitals", of("Sluice.dev/x"), "spec.controller", /is not a controller/],
    ["a controller with a space", of("sluice.dev/a b"), "spec.controller", /is not a controller/],
    ["a controller of 251 characters", of(`a.b/${"x".repeat(247)}`), "spec.controller", /at most 250/],
  ]);
});
