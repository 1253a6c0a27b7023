import assert from "node:assert/strict";
import type { Snapshot } from "../../src/model/snapshot.ts";
import { ingress, service, slice } from "../support/fixtures.ts";
import { problemLines, problemPlaces, translateObjects } from "../support/translation.ts";

const nginx = "nginx.ingress.kubernetes.io/";

function annotated(values: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [nginx + name, value]));
}

const canary = annotated({ canary: "true", "canary-weight": "10" });
const services = ["shop/web", "shop/next", "shop/later"].flatMap((name) => [
  service(name),
  slice(name, { ready: ["10.0.0.1"] }),
]);

/** Each canary as "path -> Ingress upstream". */
function canaries({ hosts }: Snapshot): readonly string[] {
  return hosts.flatMap(({ name, routes }) =>
    routes.flatMap(({ declaredPath, canaries: all = [] }) =>
      all.map((each) => `${name}${declaredPath} -> ${each.ingress} ${each.backend.upstream}`),
    ),
  );
}

describe("the canaries of a route", () => {
  it("are those of Ingresses with its host and path, the oldest first, whatever is older, they or it", () => {
    const { snapshot, problems } = translateObjects([
      ingress("shop/later", { hosts: { "a.example": { "/a": "later:80" } }, annotations: canary, created: 3 }),
      ingress("shop/next", { hosts: { "a.example": { "/a": "next:80" } }, annotations: canary, created: 1 }),
      ingress("shop/web", { hosts: { "a.example": { "/a": "web:80", "/b": "web:80" } }, created: 2 }),
      ...services,
    ]);
    assert.deepEqual(problems, []);
    assert.deepEqual(canaries(snapshot), [
      "a.example/a -> shop/next shop/next/80",
      "a.example/a -> shop/later shop/later/80",
    ]);
    assert.deepEqual(
      snapshot.upstreams.map(({ key }) => key),
      ["shop/later/80", "shop/next/80", "shop/web/80"],
    );
  });

  it("are spoken to as the main Ingress says, and choose among their endpoints as they say themselves", () => {
    const { snapshot } = translateObjects([
      ingress("shop/web", {
        hosts: { "a.example": { "/": "web:80" } },
        annotations: annotated({ "backend-protocol": "HTTPS", "load-balance": "ewma" }),
      }),
      ingress("shop/next", {
        hosts: { "a.example": { "/": "next:80" } },
        annotations: { ...canary, ...annotated({ "load-balance": "least_conn", "backend-protocol": "GRPC" }) },
      }),
      ...services,
    ]);
    assert.deepEqual(
      snapshot.upstreams.map(({ service: { name }, protocol, options }) => [name, protocol, options.algorithm?.kind]),
      [
        ["next", "https", "least_conn"],
        ["web", "https", "ewma"],
      ],
    );
  });

  it("keep a route the same object while nothing of it changes", () => {
    const objects = [
      ingress("shop/web", { hosts: { "a.example": { "/": "web:80" } } }),
      ingress("shop/next", { hosts: { "a.example": { "/": "next:80" } }, annotations: canary }),
      ...services,
    ];
    const first = translateObjects(objects);
    assert.equal(translateObjects(objects, { previous: first }), first);
  });

  it("are none without an Ingress beside them, or with one of another namespace, and that is told", () => {
    const translation = translateObjects([
      ingress("shop/web", { hosts: { "a.example": { "/": "web:80" } } }),
      ingress("blog/next", { hosts: { "a.example": { "/": "next:80" } }, annotations: canary }),
      ingress("shop/next", {
        hosts: { "b.example": { "/": "next:80" } },
        annotations: canary,
        defaultBackend: "next:80",
      }),
      ...services,
    ]);
    assert.deepEqual(canaries(translation.snapshot), []);
    assert.deepEqual(problemLines(translation), [
      'Ingress blog/next: spec.rules[0].http.paths[0].path: path "/" (Prefix) of host "a.example" belongs to Ingress shop/web, and a canary must be in the namespace of its main Ingress; move it there [CanaryWithoutMain]',
      "Ingress shop/next: spec.defaultBackend: a default backend can have no canary; write rules with paths [CanaryWithoutMain]",
      'Ingress shop/next: spec.rules[0].http.paths[0].path: path "/" (Prefix) of host "b.example" is served by no other Ingress; write a host and path of one [CanaryWithoutMain]',
    ]);
  });

  it("without a Service are none, which is told at the canary alone", () => {
    const translation = translateObjects([
      ingress("shop/web", { hosts: { "a.example": { "/": "web:80" } } }),
      ingress("shop/next", { hosts: { "a.example": { "/": "gone:80" } }, annotations: canary }),
      ...services,
    ]);
    assert.deepEqual(canaries(translation.snapshot), []);
    assert.deepEqual(problemPlaces(translation), [
      "ServiceNotFound Ingress shop/next spec.rules[0].http.paths[0].backend.service.name",
    ]);
  });

  it("go by their header's words when its pattern cannot be matched, and that is told", () => {
    const annotations = {
      ...canary,
      ...annotated({ "canary-by-header": "X-A", "canary-by-header-pattern": "(a" }),
    };
    const translation = translateObjects([
      ingress("shop/web", { hosts: { "a.example": { "/": "web:80" } } }),
      ingress("shop/next", { hosts: { "a.example": { "/": "next:80" } }, annotations }),
      ...services,
    ]);
    const [line = ""] = problemLines(translation);
    assert.match(line, /canary-by-header-pattern\]: "\(a" is not a regular expression .* \[InvalidAnnotation\]$/);
    assert.deepEqual(translation.snapshot.hosts[0]?.routes[0]?.canaries?.[0]?.rule, {
      header: { name: "x-a", value: null, pattern: null },
      cookie: null,
      weight: 10,
      total: 100,
    });
  });
});
