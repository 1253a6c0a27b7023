/** What holds for every set of objects: order of arrival and history do not matter, and nothing throws. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { streamKey } from "../../src/model/patch.ts";
import { compareProblems, compareText } from "../../src/model/problem.ts";
import type { IngressBackend, KubernetesObject, Objects } from "../../src/sources/objects.ts";
import { refreshEndpoints, type TranslateInput, type Translation, translate } from "../../src/translate/translate.ts";
import {
  configMap,
  endpoints,
  ingress,
  ingressClass,
  objects,
  service,
  slice,
  tlsSecret,
} from "../support/fixtures.ts";
import { makeCertificate } from "../support/pki.ts";
import { defaultNow, inputOf, translateSettings } from "../support/translation.ts";

const pairs = [
  makeCertificate({ names: ["a.example", "*.b.example"] }),
  makeCertificate({ names: ["a.example"], notAfter: new Date(defaultNow - 1000) }),
  makeCertificate({ names: ["c.example"], notBefore: new Date(defaultNow + 60_000) }),
];

// Few names, so that objects meet: conflicts, missing objects and duplicates are what these properties are about.
const namespaces = fc.constantFrom("shop", "blog");
const hosts = fc.constantFrom("", "a.example", "x.b.example", "*.b.example", "c.example");
const addresses = fc.uniqueArray(fc.constantFrom("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.20", "fd00::1"), {
  maxLength: 4,
});
const portNames = fc.constantFrom("http", "admin", "");
const backends = fc.constantFrom(
  "web:80",
  "web:http",
  "api:80",
  "api:admin",
  "db:5000",
  "db:http",
  "gone:80",
  "bucket@x.example/Bucket",
);
const paths = fc.tuple(
  fc.constantFrom("", "=", "~"),
  fc.oneof(
    fc.constantFrom("/", "/a", "/a/", "/a/b", "/A", "/a%20b", "/%ff", "/a(/|$)(.*)", "/(?=x)", "/a/(?<=b)c", "/100%"),
    fc.string({ maxLength: 12, unit: "binary" }).map((text) => `/${text}`),
  ),
);
const annotations = fc.dictionary(
  fc.constantFrom(
    ...[
      "use-regex",
      "rewrite-target",
      "backend-protocol",
      "proxy-read-timeout",
      "whitelist-source-range",
      "canary",
    ].map((name) => `nginx.ingress.kubernetes.io/${name}`),
    "kubernetes.io/ingress.class",
  ),
  fc.oneof(fc.constantFrom("true", "false", "/$1", "HTTPS", "10", "10.0.0.0/8", "sluice"), fc.string({ maxLength: 8 })),
  { maxKeys: 3 },
);
const rules = fc.array(
  fc.tuple(
    hosts,
    fc.option(
      fc.array(
        fc.tuple(
          paths.map(([type, path]) => type + path),
          backends,
        ),
        { minLength: 1, maxLength: 4 },
      ),
    ),
  ),
  { maxLength: 3 },
);

const anyIngress = fc
  .record({
    namespace: namespaces,
    name: fc.constantFrom("i1", "i2", "i3", "i-4"),
    created: fc.integer({ min: 0, max: 2 }),
    class: fc.constantFrom("sluice", "web", "nginx", null),
    annotations,
    rules,
    defaultBackend: fc.option(backends, { nil: undefined }),
    tls: fc.array(
      fc.tuple(
        fc.constantFrom("c0", "c1", "c2", "none", ""),
        fc.array(
          hosts.filter((host) => host !== ""),
          { maxLength: 3 },
        ),
      ),
      {
        maxLength: 2,
      },
    ),
  })
  .map(({ namespace, name, defaultBackend, ...options }) =>
    ingress(`${namespace}/${name}`, { ...options, ...(defaultBackend === undefined ? {} : { defaultBackend }) }),
  );

const anyService = fc
  .record({
    namespace: namespaces,
    name: fc.constantFrom("web", "api", "db"),
    ports: fc.uniqueArray(fc.constantFrom("http:80", "admin:81:adm", "80", "http:80/UDP", "x:5000:8080"), {
      maxLength: 3,
    }),
    externalName: fc.option(fc.constantFrom("db.example.com", "DB.example.com.", "localhost", "10.0.0.1", "bad name"), {
      nil: undefined,
      freq: 1,
    }),
  })
  .map(({ namespace, name, ports, externalName }) =>
    service(`${namespace}/${name}`, { ports, ...(externalName === undefined ? {} : { externalName }) }),
  );

const anySlice = fc
  .record({
    namespace: namespaces,
    of: fc.constantFrom("web", "api", "db"),
    name: fc.constantFrom("s1", "s2", "s3"),
    ports: fc.uniqueArray(
      fc.tuple(portNames, fc.constantFrom("8080", "9090", "*", "53/UDP")).map((port) => port.join(":")),
      {
        maxLength: 2,
      },
    ),
    addressType: fc.constantFrom("IPv4" as const, "IPv6" as const, "FQDN" as const),
    ready: addresses,
    terminating: addresses,
    unready: addresses,
  })
  .map(({ namespace, of, ...options }) => slice(`${namespace}/${of}`, { ...options, name: `${of}-${options.name}` }));

const anyEndpoints = fc
  .record({ namespace: namespaces, name: fc.constantFrom("web", "api"), addresses, port: portNames })
  .map(({ namespace, name, addresses, port }) =>
    endpoints(`${namespace}/${name}`, { addresses, ports: [`${port}:7070`] }),
  );

const anyStreams = fc
  .record({
    name: fc.constantFrom("tcp", "udp"),
    data: fc.dictionary(
      fc.constantFrom("53", "5432", "8080", "9000", "0", "x"),
      fc.oneof(
        fc
          .record({
            of: fc.constantFrom("shop/web", "blog/web", "shop/api", "shop/db", "shop/gone"),
            port: fc.constantFrom("80", "http", "81", "5000"),
            proxy: fc.constantFrom("", ":PROXY", "::PROXY", ":PROXY:PROXY"),
          })
          .map(({ of, port, proxy }) => `${of}:${port}${proxy}`),
        fc.string({ maxLength: 20, unit: "binary" }),
      ),
    ),
  })
  .map(({ name, data }) => configMap(`ingress/${name}`, data));

const others = fc.constantFrom(
  ingressClass("web", translateSettings.controllerClass, { default: true }),
  ingressClass("nginx", "k8s.io/ingress-nginx"),
  ...["shop", "blog"].flatMap((namespace) => pairs.map((pair, index) => tlsSecret(`${namespace}/c${index}`, pair))),
);

function unique(all: readonly KubernetesObject[]): readonly KubernetesObject[] {
  const byKey = new Map(all.map((object) => [`${object.kind} ${object.meta.namespace}/${object.meta.name}`, object]));
  return [...byKey.values()];
}

const manyObjects = fc
  .tuple(
    fc.array(anyIngress, { maxLength: 6 }),
    fc.array(anyService, { maxLength: 5 }),
    fc.array(anySlice, { maxLength: 5 }),
    fc.array(anyEndpoints, { maxLength: 2 }),
    fc.array(others, { maxLength: 6 }),
    fc.array(anyStreams, { maxLength: 2 }),
  )
  .map((lists) => unique(lists.flat()));

const anySettings = fc.record({
  watchIngressWithoutClass: fc.boolean(),
  allowExternalName: fc.boolean(),
  defaultBackendService: fc.constantFrom(null, "shop/web", "shop/api:81", "shop/db:http", "x/y"),
  defaultSslCertificate: fc.constantFrom(null, "shop/c0", "shop/c1", "shop/none"),
  tcpServicesConfigMap: fc.constantFrom(null, "ingress/tcp"),
  udpServicesConfigMap: fc.constantFrom(null, "ingress/udp"),
});

const anyResolved = fc.constantFrom<Readonly<Record<string, readonly string[]>>>(
  {},
  { "db.example.com": ["192.0.2.1", "127.0.0.1"] },
  { "db.example.com": ["192.0.2.2", "192.0.2.1"] },
);

const anyWorld = fc.tuple(manyObjects, anySettings, anyResolved).map(([all, settings, resolved]) => ({
  all,
  input: (list = all) => inputOf(objects(...list), { settings, resolved }),
}));

function comparable(translation: Translation): unknown {
  return { ...translation, keys: [...translation.keys] };
}

describe("for any objects, settings and addresses", () => {
  it("the order of arrival does not matter", () => {
    const permuted = anyWorld.chain((world) =>
      fc.record({
        world: fc.constant(world),
        order: fc.shuffledSubarray([...world.all], { minLength: world.all.length }),
      }),
    );
    fc.assert(
      fc.property(permuted, ({ world, order }) => {
        const [one, two] = [translate(world.input(), null), translate(world.input(order), null)];
        assert.deepEqual(comparable(two), comparable(one));
        assert.equal(JSON.stringify(comparable(two)), JSON.stringify(comparable(one)));
      }),
      { numRuns: 300 },
    );
  });

  it("what was translated before does not matter, and what was read before of the same objects neither", () => {
    fc.assert(
      fc.property(anyWorld, anyWorld, fc.array(fc.nat(), { maxLength: 4 }), (world, other, changes) => {
        // The second world keeps some objects of the first, as the store does.
        const mixed = unique([
          ...world.all,
          ...changes.flatMap((at) => other.all[at % Math.max(other.all.length, 1)] ?? []),
        ]);
        const before = translate(world.input(), null);
        const after = translate(world.input(mixed), before);
        const fresh = translate(world.input(mixed.map((object) => structuredClone(object))), null);
        assert.deepEqual(comparable(after), comparable(fresh));
        assert.equal(JSON.stringify(comparable(after)), JSON.stringify(comparable(fresh)));
        assert.equal(translate(world.input(mixed), after), after);
      }),
      { numRuns: 300 },
    );
  });

  it("refreshEndpoints equals a full translate when only endpoints and addresses changed", () => {
    fc.assert(
      fc.property(
        anyWorld,
        fc.array(anySlice, { maxLength: 4 }),
        anyEndpoints,
        anyResolved,
        fc.boolean(),
        (world, slices, legacy, resolved, drop) => {
          const kept = drop ? world.all.filter((object) => object.kind !== "EndpointSlice") : world.all;
          const changed = unique([...kept, ...slices, legacy]);
          const before = world.input();
          const after: TranslateInput = { ...world.input(changed), resolved: new Map(Object.entries(resolved)) };
          const previous = translate(before, null);
          const refreshed = refreshEndpoints(after, previous, servicesOf(before.objects, after.objects));
          assert.deepEqual(comparable(refreshed), comparable(translate(after, null)));
        },
      ),
      { numRuns: 300 },
    );
  });

  it("the Snapshot is plain data in order, and everything it refers to is in it", () => {
    fc.assert(
      fc.property(anyWorld, (world) => {
        const { snapshot, keys, problems, served, externalNames } = translate(world.input(), null);
        assert.deepEqual(JSON.parse(JSON.stringify(snapshot)), snapshot);
        assertAscending(snapshot.hosts.map((host) => host.name));
        assertAscending(snapshot.upstreams.map((upstream) => upstream.key));
        assertAscending(snapshot.tls.map((tls) => tls.host));
        assertAscending(snapshot.certificates.map((certificate) => certificate.fingerprint));
        assertAscending(snapshot.streams.map(streamKey));
        assertAscending(served);
        assertAscending(externalNames);
        assert.deepEqual(problems, problems.toSorted(compareProblems));
        assert.deepEqual(
          [...keys.keys()],
          snapshot.certificates.map((certificate) => certificate.fingerprint),
        );
        const routes = snapshot.hosts.flatMap((host) => [
          ...host.routes,
          ...(host.defaultRoute === null ? [] : [host.defaultRoute]),
        ]);
        const used = [...routes.map((route) => route.backend), snapshot.defaultBackend].flatMap((backend) =>
          backend.kind === "upstream" ? [backend.upstream] : [],
        );
        assert.deepEqual(
          snapshot.upstreams.map((upstream) => upstream.key),
          [...new Set(used)].sort(compareText),
        );
        for (const route of routes) assert.ok(served.includes(route.ingress));
      }),
      { numRuns: 300 },
    );
  });

  it("any path, name and annotation that a manifest can hold is translated without throwing", () => {
    const text = fc.string({ maxLength: 40, unit: "binary" });
    const backend = fc.record({
      kind: fc.constant("service" as const),
      name: text,
      port: fc.record({ name: text, number: fc.constant(null) }),
    });
    fc.assert(
      fc.property(text, text, fc.dictionary(text, text), backend, (path, host, extra, target: IngressBackend) => {
        const base = ingress("shop/any", {
          annotations: { ...extra, "nginx.ingress.kubernetes.io/use-regex": "true" },
        });
        const pathTypes = ["Exact", "Prefix", "ImplementationSpecific"] as const;
        const hostile = {
          ...base,
          rules: [{ host, paths: pathTypes.map((pathType) => ({ path: `/${path}`, pathType, backend: target })) }],
        };
        translate(inputOf(objects(hostile)), null);
      }),
      { numRuns: 300 },
    );
  });
});

/** As the store tells: Services whose slices or Endpoints differ, and all ExternalNames, whose addresses may. */
function servicesOf(before: Objects, after: Objects): ReadonlySet<string> {
  const services = new Set<string>();
  for (const { endpointSlices, endpoints } of [before, after]) {
    for (const id of [...endpointSlices.keys(), ...endpoints.keys()]) services.add(id);
  }
  for (const [id, { type }] of after.services) if (type === "ExternalName") services.add(id);
  return services;
}

function assertAscending(names: readonly string[]): void {
  assert.deepEqual(names, [...new Set(names)].sort(compareText));
}
