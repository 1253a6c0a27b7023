import assert from "node:assert/strict";
import { type Only, selectPart } from "../../src/render/select.ts";
import { host, route, snapshot, upstream, upstreamBackend } from "./snapshots.ts";

const certificate = { chain: "", names: [], notAfter: 0, secrets: [] };

const whole = snapshot({
  hosts: [
    host("", route("/any", "other", { ingress: "shop/any" })),
    host("*.wild.example", route("/", "web", { ingress: "shop/wild" })),
    host("a.example", route("/a", "web", { ingress: "shop/a" }), route("/b", "api", { ingress: "shop/b" })),
    { ...host("b.example"), defaultRoute: route("/", "api", { ingress: "shop/b" }) },
  ],
  upstreams: ["api", "fallback", "other", "web"].map((name) => upstream(name)),
  tls: [
    { host: "*.example", certificates: ["c1"], secrets: ["shop/c1"] },
    { host: "b.example", certificates: ["c2"], secrets: ["shop/c2"] },
    { host: "x.wild.example", certificates: ["c3"], secrets: ["shop/c3"] },
  ],
  certificates: ["c1", "c2", "c3", "c4"].map((fingerprint) => ({ ...certificate, fingerprint })),
  defaultBackend: upstreamBackend("fallback"),
  defaultCertificate: "c4",
});

function summary(only: Only) {
  const { hosts, upstreams, tls, certificates } = selectPart(whole, only);
  return {
    hosts: hosts.map(({ name, routes }) => `${name}:${routes.map(({ declaredPath }) => declaredPath).join(" ")}`),
    upstreams: upstreams.map(({ service }) => service.name),
    tls: tls.map((each) => each.host),
    certificates: certificates.map(({ fingerprint }) => fingerprint),
  };
}

describe("a part of the rules", () => {
  const parts: readonly (readonly [string, Only, ReturnType<typeof summary>])[] = [
    [
      "a host, with what it needs",
      { hosts: ["a.example"] },
      {
        hosts: ["a.example:/a /b"],
        upstreams: ["api", "fallback", "web"],
        tls: ["*.example"],
        certificates: ["c1", "c4"],
      },
    ],
    [
      "the wildcard that serves a name",
      { hosts: ["X.Wild.example"] },
      {
        hosts: ["*.wild.example:/"],
        upstreams: ["fallback", "web"],
        tls: ["x.wild.example"],
        certificates: ["c3", "c4"],
      },
    ],
    [
      "the host for every name, where no other serves it",
      { hosts: ["unknown.test"] },
      {
        hosts: [":/any"],
        upstreams: ["fallback", "other"],
        tls: ["*.example", "b.example", "x.wild.example"],
        certificates: ["c1", "c2", "c3", "c4"],
      },
    ],
    [
      "the routes of an Ingress, on all of its hosts",
      { ingresses: ["shop/b"] },
      {
        hosts: ["a.example:/b", "b.example:"],
        upstreams: ["api", "fallback"],
        tls: ["*.example", "b.example"],
        certificates: ["c1", "c2", "c4"],
      },
    ],
    [
      "both at once",
      { hosts: ["a.example"], ingresses: ["shop/b"] },
      { hosts: ["a.example:/b"], upstreams: ["api", "fallback"], tls: ["*.example"], certificates: ["c1", "c4"] },
    ],
    [
      "nothing of an Ingress that is not there",
      { ingresses: ["shop/gone"] },
      { hosts: [], upstreams: ["fallback"], tls: [], certificates: ["c4"] },
    ],
  ];
  for (const [what, only, expected] of parts) {
    it(`is ${what}`, () => {
      assert.deepEqual(summary(only), expected);
    });
  }
});
