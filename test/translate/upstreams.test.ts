import assert from "node:assert/strict";
import type { KubernetesObject, Service } from "../../src/sources/objects.ts";
import { endpoints, ingress, service, slice } from "../support/fixtures.ts";
import { endpointLines, problemLines, routeLines, translateObjects } from "../support/translation.ts";

/** One Ingress with one path for each backend, and the objects. */
function endpointsOf(backend: string, ...all: readonly KubernetesObject[]): readonly string[] {
  const translation = translateObjects([ingress("shop/web", { hosts: { "a.example": { "/": backend } } }), ...all]);
  assert.deepEqual(translation.problems, []);
  return endpointLines(translation.snapshot);
}

describe("the endpoints of a Service port", () => {
  const rows: readonly {
    readonly title: string;
    readonly backend?: string;
    readonly objects: readonly KubernetesObject[];
    readonly endpoints: string;
  }[] = [
    {
      title: "are found by the port's number",
      objects: [service("shop/web"), slice("shop/web", { ready: ["10.0.0.2", "10.0.0.1"] })],
      endpoints: "shop/web/80: 10.0.0.1:8080 10.0.0.2:8080",
    },
    {
      title: "are found by the port's name, and the slice's port of that name counts",
      backend: "web:http",
      objects: [
        service("shop/web", { ports: ["admin:81:9001", "http:80:web"] }),
        slice("shop/web", { ports: ["admin:9001", "http:9000"], ready: ["10.0.0.1"] }),
      ],
      endpoints: "shop/web/80: 10.0.0.1:9000",
    },
    {
      title: "differ by pod when the named target port does: each slice has its own number",
      backend: "web:http",
      objects: [
        service("shop/web", { ports: ["http:80:web"] }),
        slice("shop/web", { name: "web-1", ports: ["http:9000"], ready: ["10.0.0.1"] }),
        slice("shop/web", { name: "web-2", ports: ["http:9001"], ready: ["10.0.0.2"] }),
      ],
      endpoints: "shop/web/80: 10.0.0.1:9000 10.0.0.2:9001",
    },
    {
      title: "leave out a slice's port of another name",
      objects: [service("shop/web"), slice("shop/web", { ports: ["http:8080"], ready: ["10.0.0.1"] })],
      endpoints: "shop/web/80:",
    },
    {
      title: "follow the number that the Service aims at while the slice has the port's old name",
      backend: "web:80",
      objects: [
        service("shop/web", { ports: ["new:80:8080", "admin:81:9001"] }),
        slice("shop/web", { ports: ["old:8080", "admin:9001"], ready: ["10.0.0.1"] }),
      ],
      endpoints: "shop/web/80: 10.0.0.1:8080",
    },
    {
      title: "do not follow that number to a port that another port of the Service claims by its name",
      backend: "web:80",
      objects: [
        service("shop/web", { ports: ["new:80:9001", "admin:81:9001"] }),
        slice("shop/web", { ports: ["admin:9001"], ready: ["10.0.0.1"] }),
      ],
      endpoints: "shop/web/80:",
    },
    {
      title: "do not follow it to a port of another number",
      backend: "web:80",
      objects: [
        service("shop/web", { ports: ["new:80:8080"] }),
        slice("shop/web", { ports: ["old:9000"], ready: ["10.0.0.1"] }),
      ],
      endpoints: "shop/web/80:",
    },
    {
      title: "are those of the only port on both sides while it is renamed, where the target has a name",
      backend: "web:80",
      objects: [
        service("shop/web", { ports: ["new:80:web"] }),
        slice("shop/web", { ports: ["old:9000"], ready: ["10.0.0.1"] }),
      ],
      endpoints: "shop/web/80: 10.0.0.1:9000",
    },
    {
      title: "are not guessed where the target has a name and the slice has several ports",
      backend: "web:80",
      objects: [
        service("shop/web", { ports: ["new:80:web"] }),
        slice("shop/web", { ports: ["old:9000", "other:9001"], ready: ["10.0.0.1"] }),
      ],
      endpoints: "shop/web/80:",
    },
    {
      title: "are not guessed where the target has a name and the Service has several ports",
      backend: "web:80",
      objects: [
        service("shop/web", { ports: ["new:80:web", "admin:81:9001"] }),
        slice("shop/web", { ports: ["old:9000"], ready: ["10.0.0.1"] }),
      ],
      endpoints: "shop/web/80:",
    },
    {
      title: "are those of the name where a port of the number that is aimed at has another",
      backend: "web:80",
      objects: [
        service("shop/web", { ports: ["http:80:8080"] }),
        slice("shop/web", { ports: ["http:9000", "old:8080"], ready: ["10.0.0.1"] }),
      ],
      endpoints: "shop/web/80: 10.0.0.1:9000",
    },
    {
      title: "leave out a slice's port of another protocol",
      objects: [service("shop/web"), slice("shop/web", { ports: ["8080/UDP"], ready: ["10.0.0.1"] })],
      endpoints: "shop/web/80:",
    },
    {
      title: "are those of the TCP port where a UDP port has the same number",
      objects: [
        service("shop/web", { ports: ["dns:80:53/UDP", "http:80:8080"] }),
        slice("shop/web", { ports: ["dns:53/UDP", "http:8080"], ready: ["10.0.0.1"] }),
      ],
      endpoints: "shop/web/80: 10.0.0.1:8080",
    },
    {
      title: "use the Service's target port where the slice has none",
      objects: [
        service("shop/web", { ports: ["http:80:8081"] }),
        slice("shop/web", { ports: ["http:*"], ready: ["10.0.0.1"] }),
      ],
      endpoints: "shop/web/80: 10.0.0.1:8081",
    },
    {
      title: "use the Service's own port where neither says a number",
      objects: [
        service("shop/web", { ports: ["http:80:web"] }),
        slice("shop/web", { ports: ["http:*"], ready: ["10.0.0.1"] }),
      ],
      endpoints: "shop/web/80: 10.0.0.1:80",
    },
    {
      title: "are the ready ones while there are any",
      objects: [
        service("shop/web"),
        slice("shop/web", { ready: ["10.0.0.1"], terminating: ["10.0.0.2"], unready: ["10.0.0.3"] }),
      ],
      endpoints: "shop/web/80: 10.0.0.1:8080",
    },
    {
      title: "are the serving and terminating ones when none is ready",
      objects: [
        service("shop/web"),
        slice("shop/web", { terminating: ["10.0.0.2"], ended: ["10.0.0.4"], unready: ["10.0.0.3"] }),
      ],
      endpoints: "shop/web/80: 10.0.0.2:8080",
    },
    {
      title: "are ready ones of any slice rather than terminating ones of another",
      objects: [
        service("shop/web"),
        slice("shop/web", { name: "web-1", terminating: ["10.0.0.2"] }),
        slice("shop/web", { name: "web-2", ready: ["10.0.0.9"] }),
      ],
      endpoints: "shop/web/80: 10.0.0.9:8080",
    },
    {
      title: "are none when all are unready: 503",
      objects: [service("shop/web"), slice("shop/web", { unready: ["10.0.0.3"] })],
      endpoints: "shop/web/80:",
    },
    { title: "are none without a slice: 503", objects: [service("shop/web")], endpoints: "shop/web/80:" },
    {
      title: "come from all slices, IPv4 and IPv6, each once",
      objects: [
        service("shop/web"),
        slice("shop/web", { name: "web-1", ready: ["10.0.0.2", "10.0.0.1"] }),
        slice("shop/web", { name: "web-2", ready: ["10.0.0.1", "10.0.0.10"] }),
        slice("shop/web", { name: "web-3", addressType: "IPv6", ready: ["fd00::2", "fd00::1"] }),
      ],
      endpoints: "shop/web/80: 10.0.0.1:8080 10.0.0.10:8080 10.0.0.2:8080 fd00::1:8080 fd00::2:8080",
    },
    {
      title: "leave out slices of DNS names",
      objects: [service("shop/web"), slice("shop/web", { addressType: "FQDN", ready: ["db.example.com"] })],
      endpoints: "shop/web/80:",
    },
    {
      title: "leave out slices of other Services and namespaces",
      objects: [
        service("shop/web"),
        slice("shop/web-2", { ready: ["10.0.0.1"] }),
        slice("blog/web", { ready: ["10.0.0.2"] }),
      ],
      endpoints: "shop/web/80:",
    },
    {
      title: "of a headless Service are found the same way",
      objects: [service("shop/web", { headless: true }), slice("shop/web", { ready: ["10.0.0.1"] })],
      endpoints: "shop/web/80: 10.0.0.1:8080",
    },
    {
      title: "of a Service without selector come from hand-written slices",
      objects: [
        service("shop/web", { hasSelector: false, ports: ["http:80"] }),
        slice("shop/web", { name: "by-hand", ports: ["http:9376"], ready: ["192.0.2.1"] }),
      ],
      endpoints: "shop/web/80: 192.0.2.1:9376",
    },
    {
      title: "of a Service without any slice come from hand-written Endpoints",
      objects: [
        service("shop/web", { hasSelector: false, ports: ["http:80", "admin:81"] }),
        endpoints(
          "shop/web",
          { addresses: ["192.0.2.2", "192.0.2.1"], ports: ["http:9376", "admin:9377", "http:9999/UDP"] },
          { addresses: ["192.0.2.1"], ports: ["http:9376"] },
        ),
      ],
      endpoints: "shop/web/80: 192.0.2.1:9376 192.0.2.2:9376",
    },
    {
      title: "leave out Endpoints where there is a slice, even one without endpoints",
      objects: [
        service("shop/web"),
        slice("shop/web"),
        endpoints("shop/web", { addresses: ["192.0.2.1"], ports: ["8080"] }),
      ],
      endpoints: "shop/web/80:",
    },
  ];
  for (const row of rows) {
    it(row.title, () => {
      assert.deepEqual(endpointsOf(row.backend ?? "web:80", ...row.objects), [row.endpoints]);
    });
  }

  it("speak HTTP/2 where the port says h2c and no annotation says otherwise", () => {
    const h2c: Service = {
      ...service("shop/web"),
      ports: service("shop/web").ports.map((port) => ({ ...port, appProtocol: "kubernetes.io/h2c" })),
    };
    const https = { "nginx.ingress.kubernetes.io/backend-protocol": "HTTPS" };
    const { snapshot } = translateObjects([
      ingress("shop/a", { hosts: { "a.example": { "/": "web:80" } } }),
      ingress("shop/b", { hosts: { "b.example": { "/": "web:80" } }, annotations: https }),
      h2c,
      slice("shop/web", { ready: ["10.0.0.1"] }),
    ]);
    assert.deepEqual(
      snapshot.upstreams.map(({ key, protocol }) => `${key} ${protocol}`),
      ["shop/web/80/grpc grpc", "shop/web/80/https https"],
    );
  });

  it("are one upstream for name and number, and another for HTTPS", () => {
    const https = { "nginx.ingress.kubernetes.io/backend-protocol": "HTTPS" };
    const { snapshot } = translateObjects([
      ingress("shop/a", { hosts: { "a.example": { "/x": "web:http", "/y": "web:80" } } }),
      ingress("shop/b", { hosts: { "b.example": { "/": "web:80" } }, annotations: https }),
      service("shop/web", { ports: ["http:80"] }),
      slice("shop/web", { ports: ["http:8443"], ready: ["10.0.0.1"] }),
    ]);
    assert.deepEqual(endpointLines(snapshot), ["shop/web/80: 10.0.0.1:8443", "shop/web/80/https: 10.0.0.1:8443"]);
    assert.deepEqual(
      snapshot.upstreams.map(({ protocol, service, externalName }) => ({ protocol, service, externalName })),
      ["http", "https"].map((protocol) => ({
        protocol,
        service: { namespace: "shop", name: "web", port: "80" },
        externalName: null,
      })),
    );
    const backends = snapshot.hosts.flatMap((host) => host.routes).map(({ backend }) => backend);
    assert.deepEqual(
      backends.map((backend) => backend.kind === "upstream" && backend.service.port),
      ["http", "80", "80"],
    );
  });
});

describe("service-upstream", () => {
  const annotations = { "nginx.ingress.kubernetes.io/service-upstream": "true" };
  const through = (shape: { readonly headless?: boolean }, settings = {}, own = annotations) =>
    translateObjects(
      [
        ingress("shop/web", { hosts: { "a.example": { "/": "web:http" } }, annotations: own }),
        service("shop/web", { ports: ["http:80:8080"], ...shape }),
        slice("shop/web", { ports: ["http:8080"], ready: ["10.0.0.1", "10.0.0.2"] }),
      ],
      { settings },
    );

  it("puts the cluster IP and the Service's own port in the place of its endpoints", () => {
    const { snapshot, problems } = through({});
    assert.deepEqual(
      snapshot.upstreams.map(({ endpoints }) => endpoints),
      [[{ address: "10.96.0.1", port: 80 }]],
    );
    assert.deepEqual(problems, []);
  });

  it("of a headless Service keeps its endpoints, and tells so", () => {
    const translation = through({ headless: true });
    assert.deepEqual(
      translation.snapshot.upstreams.map(({ endpoints }) => endpoints.length),
      [2],
    );
    assert.deepEqual(problemLines(translation), [
      'Ingress shop/web: spec.rules[0].http.paths[0].backend.service.name: Service "shop/web" has no cluster IP for service-upstream to use, so requests go to its endpoints; give it one, or set service-upstream to "false" [NoClusterAddress]',
    ]);
  });

  it("may be the default of all Ingresses, which one may overrule", () => {
    const everywhere = { serviceUpstream: true };
    const count = (own: Record<string, string>) =>
      through({}, everywhere, own as typeof annotations).snapshot.upstreams[0]?.endpoints.length;
    assert.equal(count({}), 1);
    assert.equal(count({ "nginx.ingress.kubernetes.io/service-upstream": "false" }), 2);
  });
});

describe("a backend that cannot be had answers 503 on its path alone", () => {
  const rows: readonly {
    readonly title: string;
    readonly backend: string;
    readonly objects: readonly KubernetesObject[];
    readonly problem: string;
  }[] = [
    {
      title: "a missing Service",
      backend: "gone:80",
      objects: [],
      problem: `spec.rules[0].http.paths[1].backend.service.name: Service "shop/gone" does not exist; create it, or correct the name [ServiceNotFound]`,
    },
    {
      title: "a Service of another namespace",
      backend: "post:80",
      objects: [service("blog/post")],
      problem: `spec.rules[0].http.paths[1].backend.service.name: Service "shop/post" does not exist; create it, or correct the name [ServiceNotFound]`,
    },
    {
      title: "a missing port number",
      backend: "api:8080",
      objects: [service("shop/api", { ports: ["http:80", "admin:81", "dns:8080/UDP"] })],
      problem: `spec.rules[0].http.paths[1].backend.service.port.number: Service "shop/api" has no TCP port 8080; write one that it has: 80 ("http") and 81 ("admin") [PortNotFound]`,
    },
    {
      title: "a missing port name",
      backend: "api:https",
      objects: [service("shop/api")],
      problem: `spec.rules[0].http.paths[1].backend.service.port.name: Service "shop/api" has no TCP port "https"; write one that it has: 80 [PortNotFound]`,
    },
    {
      title: "a Service without ports",
      backend: "api:80",
      objects: [service("shop/api", { ports: [], headless: true })],
      problem: `spec.rules[0].http.paths[1].backend.service.port.number: Service "shop/api" has no TCP port 80; add one to the Service [PortNotFound]`,
    },
    {
      title: "a resource",
      backend: "assets@storage.example/Bucket",
      objects: [],
      problem: `spec.rules[0].http.paths[1].backend.resource: Bucket "assets" is a resource, which Sluice does not serve; name a Service under "service" instead [ResourceBackend]`,
    },
  ];
  for (const row of rows) {
    it(row.title, () => {
      const translation = translateObjects([
        ingress("shop/web", { hosts: { "a.example": { "/ok": "web:80", "/": row.backend } } }),
        service("shop/web"),
        ...row.objects,
      ]);
      assert.deepEqual(routeLines(translation.snapshot), [
        "a.example ^ /ok -> shop/web/80",
        "a.example ^ / -> unavailable",
      ]);
      assert.deepEqual(problemLines(translation), [`Ingress shop/web: ${row.problem}`]);
      assert.deepEqual(
        translation.snapshot.upstreams.map((upstream) => upstream.key),
        ["shop/web/80"],
      );
    });
  }

  it("and is told at spec.defaultBackend, too", () => {
    const translation = translateObjects([ingress("shop/web", { defaultBackend: "gone:80" })]);
    assert.deepEqual(routeLines(translation.snapshot), [" * -> unavailable"]);
    assert.deepEqual(
      translation.problems.map((problem) => problem.field),
      ["spec.defaultBackend.service.name"],
    );
  });

  it("and says where the Ingress was read", () => {
    const web = ingress("shop/web", { defaultBackend: "gone:80" });
    const origin = { file: "shop.yaml", line: 7 };
    const translation = translateObjects([{ ...web, meta: { ...web.meta, origin } }]);
    assert.deepEqual(translation.problems[0]?.origin, origin);
  });
});

describe("a policy", () => {
  it("that guards and cannot be read closes all routes of its Ingress and no other", () => {
    const translation = translateObjects([
      ingress("shop/a", {
        annotations: { "nginx.ingress.kubernetes.io/whitelist-source-range": "10.0.0.0/8x" },
        hosts: { "a.example": { "/": "web:80" } },
        defaultBackend: "web:80",
      }),
      ingress("shop/b", { hosts: { "a.example": { "/b": "web:80" } } }),
      service("shop/web"),
    ]);
    const [host] = translation.snapshot.hosts;
    assert.equal(host?.routes[0]?.closed, null);
    assert.notEqual(host?.routes[1]?.closed, null);
    assert.notEqual(host?.defaultRoute?.closed, null);
    assert.deepEqual(
      translation.problems.map(({ code, object }) => `${code} ${object.name}`),
      ["InvalidAnnotation a"],
    );
  });

  it("equal to another Ingress' is the same object", () => {
    const annotations = (seconds: string) => ({ "nginx.ingress.kubernetes.io/proxy-read-timeout": seconds });
    const { snapshot } = translateObjects([
      ingress("shop/a", { hosts: { "a.example": { "/": "web:80" } }, annotations: annotations("7") }),
      ingress("shop/b", { hosts: { "b.example": { "/": "web:80" } }, annotations: annotations("7") }),
      ingress("shop/c", { hosts: { "c.example": { "/": "web:80" } }, annotations: annotations("8") }),
      service("shop/web"),
    ]);
    const [a, b, c] = snapshot.hosts.map((host) => host.routes[0]?.policy);
    assert.equal(a, b);
    assert.notEqual(a, c);
    assert.equal(a?.timeouts.read, 7000);
  });
});
