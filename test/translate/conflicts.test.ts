import assert from "node:assert/strict";
import type { TranslateSettings } from "../../src/translate/translate.ts";
import { ingress, service, slice } from "../support/fixtures.ts";
import { problemLines, routeLines, translateObjects } from "../support/translation.ts";

const services = [service("shop/old"), service("shop/new"), service("blog/new")];

describe("two Ingresses with one host and path", () => {
  it("are served by the older one, and the younger is told with its name", () => {
    const translation = translateObjects([
      ingress("shop/a-young", { created: 2, hosts: { "a.example": { "/x": "new:80" } } }),
      ingress("shop/z-old", { created: 1, hosts: { "a.example": { "/x/": "old:80" } } }),
      ...services,
    ]);
    assert.deepEqual(routeLines(translation.snapshot), ["a.example ^ /x -> shop/old/80"]);
    assert.deepEqual(problemLines(translation), [
      'Ingress shop/a-young: spec.rules[0].http.paths[0].path: path "/x" (Prefix) of host "a.example" belongs to Ingress shop/z-old, which is older; remove it from one of the two [DuplicatePath]',
    ]);
  });

  it("of one age are served by the first by namespace, then name", () => {
    const translation = translateObjects([
      ingress("shop/a", { hosts: { "": { "=/x": "old:80" } } }),
      ingress("blog/z", { hosts: { "": { "=/x": "new:80" } } }),
      ...services,
    ]);
    assert.deepEqual(routeLines(translation.snapshot), [" = /x -> blog/new/80"]);
    assert.deepEqual(problemLines(translation), [
      'Ingress shop/a: spec.rules[0].http.paths[0].path: path "/x" (Exact) of all other hosts belongs to Ingress blog/z, which is as old and comes first by namespace and name; remove it from one of the two [DuplicatePath]',
    ]);
  });

  it("do not conflict when one is Exact and the other Prefix", () => {
    const translation = translateObjects([
      ingress("shop/a", { hosts: { "a.example": { "=/x": "old:80" } } }),
      ingress("shop/b", { hosts: { "a.example": { "/x": "new:80" } } }),
      ...services,
    ]);
    assert.deepEqual(routeLines(translation.snapshot), [
      "a.example = /x -> shop/old/80",
      "a.example ^ /x -> shop/new/80",
    ]);
    assert.deepEqual(translation.problems, []);
  });

  it("conflict when one is Prefix and the other ImplementationSpecific", () => {
    const translation = translateObjects([
      ingress("shop/a", { created: 1, hosts: { "a.example": { "~/x": "old:80" } } }),
      ingress("shop/b", { created: 2, hosts: { "a.example": { "/x": "new:80" } } }),
      ...services,
    ]);
    assert.deepEqual(routeLines(translation.snapshot), ["a.example ^ /x -> shop/old/80"]);
    assert.equal(translation.problems.length, 1);
  });

  it("stay with the older one though its Service is missing: a typo must not hand a path to somebody else", () => {
    const translation = translateObjects([
      ingress("shop/a", { created: 1, hosts: { "a.example": { "/x": "gone:80" } } }),
      ingress("shop/b", { created: 2, hosts: { "a.example": { "/x": "new:80" } } }),
      ...services,
    ]);
    assert.deepEqual(routeLines(translation.snapshot), ["a.example ^ /x -> unavailable"]);
    assert.deepEqual(
      translation.problems.map((problem) => problem.code),
      ["ServiceNotFound", "DuplicatePath"],
    );
  });

  it("may be one Ingress that says it twice: the first counts", () => {
    const translation = translateObjects([
      ingress("shop/a", {
        rules: [
          ["a.example", [["/x", "old:80"]]],
          [
            "a.example",
            [
              ["/y", "old:80"],
              ["/x", "new:80"],
            ],
          ],
        ],
      }),
      ...services,
    ]);
    assert.deepEqual(routeLines(translation.snapshot), [
      "a.example ^ /x -> shop/old/80",
      "a.example ^ /y -> shop/old/80",
    ]);
    assert.deepEqual(problemLines(translation), [
      'Ingress shop/a: spec.rules[1].http.paths[1].path: path "/x" (Prefix) of host "a.example" is declared before, at spec.rules[0].http.paths[0]; remove one of the two [DuplicatePath]',
    ]);
  });
});

describe("the default backend", () => {
  it("of an Ingress with rules serves what its hosts do not match, and no other host", () => {
    const translation = translateObjects([
      ingress("shop/a", { hosts: { "a.example": { "/x": "new:80" }, "b.example": null }, defaultBackend: "old:80" }),
      ingress("shop/b", { hosts: { "c.example": { "/x": "new:80" } } }),
      ...services,
    ]);
    assert.deepEqual(routeLines(translation.snapshot), [
      "a.example ^ /x -> shop/new/80",
      "a.example * -> shop/old/80",
      "b.example * -> shop/old/80",
      "c.example ^ /x -> shop/new/80",
    ]);
  });

  it("of an Ingress without rules serves unknown hosts, and hosts that have none of their own", () => {
    const translation = translateObjects([
      ingress("shop/all", { defaultBackend: "old:80" }),
      ingress("shop/a", { hosts: { "a.example": { "/x": "new:80" } } }),
      ingress("shop/b", { hosts: { "b.example": { "/x": "new:80" } }, defaultBackend: "new:80" }),
      ...services,
    ]);
    assert.deepEqual(routeLines(translation.snapshot), [
      " * -> shop/old/80",
      "a.example ^ /x -> shop/new/80",
      "a.example * -> shop/old/80",
      "b.example ^ /x -> shop/new/80",
      "b.example * -> shop/new/80",
    ]);
    assert.equal(translation.snapshot.hosts[1]?.defaultRoute?.ingress, "shop/all");
  });

  it("claimed twice for one host stays with the older Ingress, and the younger is told for each host", () => {
    const translation = translateObjects([
      ingress("shop/a", { created: 1, hosts: { "a.example": null, "b.example": null }, defaultBackend: "old:80" }),
      ingress("shop/b", { created: 2, hosts: { "b.example": null, "c.example": null }, defaultBackend: "new:80" }),
      ...services,
    ]);
    assert.deepEqual(routeLines(translation.snapshot), [
      "a.example * -> shop/old/80",
      "b.example * -> shop/old/80",
      "c.example * -> shop/new/80",
    ]);
    assert.deepEqual(problemLines(translation), [
      'Ingress shop/b: spec.defaultBackend: the default backend of host "b.example" belongs to Ingress shop/a, which is older; remove it from one of the two [DuplicatePath]',
    ]);
  });

  it("of a second Ingress without rules does nothing, which is told", () => {
    const translation = translateObjects([
      ingress("shop/a", { created: 1, defaultBackend: "old:80" }),
      ingress("shop/b", { created: 2, defaultBackend: "new:80" }),
      ...services,
    ]);
    assert.deepEqual(routeLines(translation.snapshot), [" * -> shop/old/80"]);
    assert.deepEqual(problemLines(translation), [
      "Ingress shop/b: spec.defaultBackend: the default backend of all other hosts belongs to Ingress shop/a, which is older; remove it from one of the two [DuplicatePath]",
    ]);
  });

  const settings: readonly (readonly [title: string, value: string, backend: string, problem: string | null])[] = [
    ["names a Service's first TCP port when it names none", "shop/multi", "shop/multi/81", null],
    ["may name a port by number", "shop/multi:82", "shop/multi/82", null],
    ["may name a port by name", "shop/multi:b", "shop/multi/82", null],
    ["falls back to the 404 page without the Service", "shop/gone", "notFound", 'Service "shop/gone" does not exist'],
    [
      "falls back to the 404 page without the port",
      "shop/multi:99",
      "notFound",
      'has no TCP port 99; write one that it has: 81 ("a") and 82 ("b")',
    ],
    [
      "falls back to the 404 page without any TCP port",
      "shop/udp",
      "notFound",
      "has no TCP port; add one to the Service",
    ],
  ];
  for (const [title, value, backend, problem] of settings) {
    it(`for all, --default-backend-service, ${title}`, () => {
      const all = [
        service("shop/multi", { ports: ["x:53/UDP", "a:81", "b:82"] }),
        service("shop/udp", { ports: ["53/UDP"] }),
      ];
      const { snapshot, problems } = translateObjects(all, { settings: { defaultBackendService: value } });
      const actual = snapshot.defaultBackend;
      assert.equal(actual.kind === "upstream" ? actual.upstream : actual.kind, backend);
      assert.deepEqual(
        snapshot.upstreams.map((upstream) => upstream.key),
        actual.kind === "upstream" ? [backend] : [],
      );
      assert.deepEqual(
        problems.map(({ code, object }) => `${code} ${object.kind} ${object.name}`),
        problem === null ? [] : ["InvalidSetting Setting --default-backend-service"],
      );
      if (problem !== null) assert.ok(problems[0]?.message.includes(problem), problems[0]?.message ?? "");
    });
  }

  // ingress-nginx leaves them out here; a mesh that needs service-upstream needs it for every Service.
  it("for all, --default-backend-service, is chosen among and reached as the settings say for every Service", () => {
    const all = [
      service("shop/web", { ports: ["80"] }),
      slice("shop/web", { ready: ["10.0.0.1", "10.0.0.2"], ports: ["8080"] }),
      ingress("shop/web", { hosts: { "a.example": { "/": "web:80" } } }),
    ];
    const through = (settings: Partial<TranslateSettings>) =>
      translateObjects(all, { settings: { defaultBackendService: "shop/web", ...settings } }).snapshot;
    assert.deepEqual(
      through({ loadBalance: "ewma" }).upstreams.map(({ options }) => options),
      [{ algorithm: { kind: "ewma" } }],
      "one upstream, which the Ingress shares",
    );
    const [upstream] = through({ serviceUpstream: true }).upstreams;
    assert.deepEqual(upstream?.endpoints, [{ address: "10.96.0.1", port: 80 }]);
  });

  it("for all, --default-backend-service, keeps the endpoints of a Service without a cluster IP, which is told", () => {
    const all = [
      service("shop/web", { ports: ["80"], headless: true }),
      slice("shop/web", { ready: ["10.0.0.1"], ports: ["80"] }),
    ];
    const settings = { defaultBackendService: "shop/web", serviceUpstream: true };
    const translation = translateObjects(all, { settings });
    assert.equal(translation.snapshot.defaultBackend.kind, "upstream");
    assert.deepEqual(translation.snapshot.upstreams[0]?.endpoints, [{ address: "10.0.0.1", port: 80 }]);
    assert.deepEqual(problemLines(translation), [
      'Setting --default-backend-service: Service "shop/web" has no cluster IP for service-upstream to use, so requests go to its endpoints; give it one, or set service-upstream to "false" [InvalidSetting]',
    ]);
  });
});
