import assert from "node:assert/strict";
import type { KubernetesObject } from "../../src/sources/objects.ts";
import { refreshEndpoints, type Translation, translate } from "../../src/translate/translate.ts";
import { ingress, objects, secret, service, slice, tlsSecret } from "../support/fixtures.ts";
import { makeCertificate } from "../support/pki.ts";
import { defaultNow, endpointLines, inputOf, translateObjects } from "../support/translation.ts";

const certificate = makeCertificate({ names: ["a.example"] });

function world(change: { readonly addresses?: readonly string[]; readonly extra?: readonly KubernetesObject[] } = {}) {
  return [
    ingress("shop/a", { hosts: { "a.example": { "/": "web:80", "/x": "web:80" } }, tls: [["cert", ["a.example"]]] }),
    ingress("shop/b", { hosts: { "b.example": { "/": "api:80" } } }),
    service("shop/web"),
    service("shop/api"),
    slice("shop/web", { ready: change.addresses ?? ["10.0.0.1"] }),
    slice("shop/api", { ready: ["10.0.0.2"] }),
    tlsSecret("shop/cert", certificate),
    ...(change.extra ?? []),
  ];
}

/** Which branches of the Snapshot are the same objects as before. */
function kept(before: Translation, after: Translation) {
  const same = <T>(a: readonly T[], b: readonly T[]) => b.map((item) => a.includes(item));
  return {
    hosts: same(before.snapshot.hosts, after.snapshot.hosts),
    upstreams: same(before.snapshot.upstreams, after.snapshot.upstreams),
    tls: before.snapshot.tls === after.snapshot.tls,
    certificates: before.snapshot.certificates === after.snapshot.certificates,
    keys: before.keys === after.keys,
  };
}

describe("a translation after another", () => {
  it("is the previous one when the same objects come again, even as new objects", () => {
    const before = translateObjects(world());
    assert.equal(translateObjects(world(), { previous: before }), before);
  });

  it("keeps all but one upstream when an endpoint changes", () => {
    const before = translateObjects(world());
    const after = translateObjects(world({ addresses: ["10.0.0.9"] }), { previous: before });
    assert.equal(after.snapshot.hosts, before.snapshot.hosts);
    assert.deepEqual(kept(before, after), {
      hosts: [true, true],
      upstreams: [true, false],
      tls: true,
      certificates: true,
      keys: true,
    });
  });

  it("keeps all hosts but one when an Ingress is added to it, and the routes of that one", () => {
    const before = translateObjects(world());
    const extra = [ingress("shop/c", { hosts: { "a.example": { "/new": "web:80" } } })];
    const after = translateObjects(world({ extra }), { previous: before });
    assert.deepEqual(kept(before, after).hosts, [false, true]);
    assert.equal(after.snapshot.upstreams, before.snapshot.upstreams);
    const routes = before.snapshot.hosts[0]?.routes ?? [];
    assert.deepEqual(
      after.snapshot.hosts[0]?.routes.map((route) => routes.includes(route)),
      [false, true, true],
    );
  });

  it("keeps everything when a Secret comes again with the same content", () => {
    const before = translateObjects(world());
    const after = translateObjects(world({ extra: [secret("shop/unused", { a: "b" })] }), { previous: before });
    assert.equal(after, before);
  });

  it("takes the new certificate when a Secret changes, and keeps the hosts", () => {
    const before = translateObjects(world());
    const renewed = tlsSecret("shop/cert", makeCertificate({ names: ["a.example"] }));
    const after = translateObjects(world({ extra: [renewed] }), { previous: before });
    assert.equal(after.snapshot.hosts, before.snapshot.hosts);
    assert.notDeepEqual(after.snapshot.tls, before.snapshot.tls);
    assert.notDeepEqual([...after.keys], [...before.keys]);
  });

  it("follows a Service that is gone, and that comes back", () => {
    const all = world();
    const before = translateObjects(all);
    const without = all.filter((object) => object.kind !== "Service" || object.meta.name !== "web");
    const kinds = ({ snapshot }: Translation) => snapshot.hosts.map((host) => host.routes[0]?.backend.kind);
    const after = translateObjects(without, { previous: before });
    assert.deepEqual(kinds(after), ["unavailable", "upstream"]);
    assert.deepEqual(translateObjects(all, { previous: after }), before);
  });

  it("keeps problems that stay", () => {
    const gone = ingress("shop/gone", { hosts: { "g.example": { "/": "gone:80" } } });
    const before = translateObjects(world({ extra: [gone] }));
    const more = ingress("shop/Ahead", { hosts: { "h.example": { "/": "gone:80" } } });
    const after = translateObjects(world({ extra: [gone, more] }), { previous: before });
    assert.equal(after.problems.length, 2);
    assert.ok(after.problems.includes(before.problems[0] ?? assert.fail()));
  });
});

describe("refreshEndpoints", () => {
  it("changes the upstreams of the Services named and keeps everything else", () => {
    const before = translateObjects(world());
    const input = inputOf(objects(...world({ addresses: ["10.0.0.7"] })));
    const after = refreshEndpoints(input, before, new Set(["shop/web"]));
    assert.deepEqual(endpointLines(after.snapshot), ["shop/api/80: 10.0.0.2:8080", "shop/web/80: 10.0.0.7:8080"]);
    assert.equal(after.snapshot.hosts, before.snapshot.hosts);
    assert.equal(after.snapshot.upstreams[0], before.snapshot.upstreams[0]);
    assert.equal(after.problems, before.problems);
  });

  it("is the previous translation when the endpoints are the same", () => {
    const before = translateObjects(world());
    const input = inputOf(objects(...world()));
    assert.equal(refreshEndpoints(input, before, new Set(["shop/web", "shop/none"])), before);
  });

  it("changes every port of the Service, and none of a Service whose name begins alike", () => {
    const all = (address: string) => [
      ingress("shop/a", { hosts: { "a.example": { "/": "web:80", "/b": "web:81", "/c": "web-2:80", "/d": "we:80" } } }),
      service("shop/web", { ports: ["a:80", "b:81"] }),
      service("shop/web-2"),
      service("shop/we"),
      slice("shop/web", { ports: ["a:8080", "b:8081"], ready: [address] }),
      slice("shop/web-2", { ready: [address] }),
      slice("shop/we", { ready: [address] }),
    ];
    const before = translateObjects(all("10.0.0.1"));
    const after = refreshEndpoints(inputOf(objects(...all("10.0.0.2"))), before, new Set(["shop/web"]));
    assert.deepEqual(endpointLines(after.snapshot), [
      "shop/we/80: 10.0.0.1:8080",
      "shop/web-2/80: 10.0.0.1:8080",
      "shop/web/80: 10.0.0.2:8080",
      "shop/web/81: 10.0.0.2:8081",
    ]);
  });

  it("follows what DNS says of an external name, and tells of addresses that may not be used", () => {
    const all = objects(
      ingress("shop/a", { hosts: { "a.example": { "/": "db:5000" } } }),
      service("shop/db", { externalName: "db.example.com" }),
    );
    const before = translate(inputOf(all), null);
    const resolved = { "db.example.com": ["192.0.2.1", "169.254.169.254"] };
    const input = inputOf(all, { resolved });
    const after = refreshEndpoints(input, before, new Set(["shop/db"]));
    assert.deepEqual(endpointLines(after.snapshot), ["shop/db/5000: 192.0.2.1:5000"]);
    assert.deepEqual(after, translate(input, null));
    assert.deepEqual(refreshEndpoints(inputOf(all), after, new Set(["shop/db"])), before);
  });

  it("translates in full when a Service is gone, though only endpoints were said to have changed", () => {
    const before = translateObjects(world());
    const all = world().filter((object) => object.kind !== "Service" || object.meta.name !== "web");
    const input = inputOf(objects(...all));
    assert.deepEqual(refreshEndpoints(input, before, new Set(["shop/web"])), translate(input, null));
  });

  it("translates in full when a certificate has expired meanwhile", () => {
    const soon = tlsSecret("shop/cert", makeCertificate({ names: ["a.example"], notAfter: new Date(defaultNow) }));
    const all = objects(...world({ extra: [soon] }));
    const before = translate(inputOf(all), null);
    const after = refreshEndpoints(inputOf(all, { now: defaultNow + 1 }), before, new Set(["shop/web"]));
    assert.deepEqual(
      after.problems.map((problem) => problem.code),
      ["CertificateExpired"],
    );
  });
});
