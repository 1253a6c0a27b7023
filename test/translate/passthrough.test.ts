/** ssl-passthrough: which hosts are passed through, to whom, and who is told when it is not as somebody wants it. */
import assert from "node:assert/strict";
import type { Passthrough } from "../../src/model/snapshot.ts";
import type { KubernetesObject } from "../../src/sources/objects.ts";
import type { Translation } from "../../src/translate/translate.ts";
import { type IngressOptions, ingress, service, slice } from "../support/fixtures.ts";
import { problemLines, translateObjects } from "../support/translation.ts";

const key = "nginx.ingress.kubernetes.io/ssl-passthrough";
const services = [service("shop/web", { ports: ["443"] }), service("shop/other", { ports: ["443"] })];
const passing = (id: string, options: IngressOptions): KubernetesObject =>
  ingress(id, { ...options, annotations: { [key]: "true", ...options.annotations } });
const translated = (all: readonly KubernetesObject[], previous?: Translation): Translation =>
  translateObjects([...all, ...services], {
    settings: { enableSslPassthrough: true },
    ...(previous === undefined ? {} : { previous }),
  });
/** `host -> upstream` of each host that is passed through. */
const passed = ({ snapshot }: Translation): readonly string[] =>
  snapshot.hosts.flatMap(({ name, passthrough }) =>
    passthrough === undefined ? [] : [`${name} -> ${targetOf(passthrough)}`],
  );
const targetOf = ({ backend }: Passthrough): string => (backend.kind === "upstream" ? backend.upstream : backend.kind);

describe("ssl-passthrough", () => {
  it('leads to the Service of the path "/" of each host, of whichever type, else to spec.defaultBackend', () => {
    const translation = translated([
      passing("shop/a", {
        hosts: {
          "a.example": { "/x": "other:443", "/": "web:443" },
          "b.example": { "=/": "web:443" },
          "*.c.example": { "~/": "web:443" },
          "d.example": { "/x": "web:443" },
          "e.example": null,
        },
        defaultBackend: "other:443",
      }),
    ]);
    assert.deepEqual(passed(translation), [
      "*.c.example -> shop/web/443",
      "a.example -> shop/web/443",
      "b.example -> shop/web/443",
      "d.example -> shop/other/443",
      "e.example -> shop/other/443",
    ]);
    assert.deepEqual(problemLines(translation), []);
  });

  it("keeps the upstream in the Snapshot though no route leads there", () => {
    const translation = translated([
      ingress("shop/old", { created: 1, hosts: { "b.example": { "/": "other:443" } } }),
      passing("shop/a", { created: 2, hosts: { "a.example": { "/": "web:443" } } }),
      slice("shop/web", { ready: ["10.0.0.1"], ports: ["8443"] }),
    ]);
    assert.deepEqual(
      translation.snapshot.upstreams.map((each) => each.key),
      ["shop/other/443", "shop/web/443"],
    );
  });

  it("takes along what counts for a connection", () => {
    const translation = translated([
      passing("shop/a", {
        hosts: { "a.example": { "/": "web:443" } },
        annotations: {
          "nginx.ingress.kubernetes.io/whitelist-source-range": "192.0.2.0/24",
          "nginx.ingress.kubernetes.io/proxy-connect-timeout": "7",
          "sluice.dev/proxy-protocol": "v2",
        },
      }),
    ]);
    const [host] = translation.snapshot.hosts;
    assert.deepEqual(problemLines(translation), []);
    assert.equal(host?.passthrough?.connectTimeout, 7_000);
    assert.equal(host.passthrough.idleTimeout, 600_000);
    assert.equal(host?.passthrough?.sendProxy, 2);
    assert.deepEqual(host?.passthrough?.sourceRange, { allow: ["192.0.2.0/24"], deny: [] });
    assert.equal(host?.passthrough?.ingress, "shop/a");
  });

  it("is closed with its Ingress, and where its Service is missing", () => {
    const translation = translated([
      passing("shop/a", {
        hosts: { "a.example": { "/": "web:443" } },
        annotations: { "nginx.ingress.kubernetes.io/whitelist-source-range": "everybody" },
      }),
      passing("shop/b", { hosts: { "b.example": { "/": "gone:443" } } }),
    ]);
    assert.deepEqual(passed(translation), ["a.example -> unavailable", "b.example -> unavailable"]);
  });

  it("without the flag closes the Ingress, and says so", () => {
    const translation = translateObjects([
      passing("shop/a", { hosts: { "a.example": { "/": "web:443" } } }),
      ...services,
    ]);
    assert.deepEqual(passed(translation), []);
    assert.equal(translation.snapshot.hosts[0]?.routes[0]?.closed, "TLS passthrough is not enabled");
    assert.deepEqual(problemLines(translation), [
      `Ingress shop/a: metadata.annotations[${key}]: "true" needs --enable-ssl-passthrough; the Ingress answers 503 until that is set, or the annotation is removed [UnsupportedAnnotation]`,
    ]);
  });

  it("asks for nothing when it is false, with the flag and without", () => {
    const off = ingress("shop/a", { hosts: { "a.example": { "/": "web:443" } }, annotations: { [key]: "false" } });
    for (const translation of [translated([off]), translateObjects([off, ...services])]) {
      assert.deepEqual(passed(translation), []);
      assert.deepEqual(problemLines(translation), []);
    }
  });

  it("is decided by the oldest Ingress of the host", () => {
    const plain = { hosts: { "a.example": { "/": "other:443" } } };
    const asking = { hosts: { "a.example": { "/": "web:443" } } };
    const takenOver = translated([
      passing("shop/young", { ...asking, created: 2 }),
      ingress("shop/old", { ...plain, created: 1 }),
    ]);
    assert.deepEqual(passed(takenOver), []);
    assert.ok(
      problemLines(takenOver).includes(
        `Ingress shop/young: metadata.annotations[${key}]: TLS passthrough of host "a.example" belongs to Ingress shop/old, which is older; remove it from one of the two [TlsPassthrough]`,
      ),
      problemLines(takenOver).join("\n"),
    );
    const kept = translated([
      passing("shop/old", { ...asking, created: 1 }),
      ingress("shop/young", {
        hosts: { "a.example": { "/x": "other:443" } },
        tls: [["", ["b.example", "a.example"]]],
        created: 2,
      }),
      // As a solver of certificate challenges, which serves plain HTTP alone.
      ingress("shop/solver", { hosts: { "a.example": { "=/.well-known/x": "other:443" } }, created: 3 }),
    ]);
    assert.deepEqual(passed(kept), ["a.example -> shop/web/443"]);
    assert.deepEqual(problemLines(kept), [
      'Ingress shop/young: spec.tls[0].hosts[1]: TLS to host "a.example", which is passed through, belongs to Ingress shop/old, which is older; remove it from one of the two [TlsPassthrough]',
    ]);
  });

  it("needs a host, and somewhere to lead", () => {
    const translation = translated([
      passing("shop/a", { hosts: { "": { "/": "web:443" }, "a.example": { "/x": "web:443" } } }),
      passing("shop/b", { defaultBackend: "web:443" }),
    ]);
    assert.deepEqual(passed(translation), []);
    assert.deepEqual(problemLines(translation), [
      `Ingress shop/a: metadata.annotations[${key}]: TLS of a rule without a host is not passed through, for no server name leads to it; name the host [TlsPassthrough]`,
      `Ingress shop/a: metadata.annotations[${key}]: TLS passthrough of host "a.example" leads nowhere, and TLS is ended here; add a path "/" to the host, or spec.defaultBackend [TlsPassthrough]`,
      `Ingress shop/b: metadata.annotations[${key}]: TLS of a rule without a host is not passed through, for no server name leads to it; name the host [TlsPassthrough]`,
    ]);
  });

  it("keeps the identity of a host that did not change, and of no other", () => {
    const all = (path: string) => [
      passing("shop/a", { hosts: { "a.example": { "/": path } } }),
      passing("shop/b", { hosts: { "b.example": { "/": "web:443" } } }),
    ];
    const first = translated(all("web:443"));
    assert.equal(translated(all("web:443"), first), first);
    const second = translated(all("other:443"), first);
    assert.notEqual(second.snapshot.hosts[0], first.snapshot.hosts[0]);
    assert.equal(second.snapshot.hosts[1], first.snapshot.hosts[1]);
    const without = translated(
      [ingress("shop/a", { hosts: { "a.example": { "/": "web:443" } } }), ...all("").slice(1)],
      first,
    );
    assert.deepEqual(passed(without), ["b.example -> shop/web/443"]);
  });

  it("takes the idle time of connections from proxy-stream-timeout", () => {
    const { snapshot } = translateObjects(
      [passing("shop/a", { hosts: { "a.example": { "/": "web:443" } } }), ...services],
      { settings: { enableSslPassthrough: true, proxyStreamTimeout: 5_000 } },
    );
    assert.equal(snapshot.hosts[0]?.passthrough?.idleTimeout, 5_000);
  });
});
