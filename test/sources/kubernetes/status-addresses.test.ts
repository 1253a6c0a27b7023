import assert from "node:assert/strict";
import fc from "fast-check";
import { addressesOfService, readAddresses, writeAddresses } from "../../../src/sources/kubernetes/status/addresses.ts";
import { ObservedIngresses, readObserved } from "../../../src/sources/kubernetes/status/observed.ts";
import type { Json } from "./object-api.ts";
import { manager } from "./status-world.ts";

describe("the addresses of a Service", () => {
  const lb = { type: "LoadBalancer", clusterIP: "10.96.0.9", clusterIPs: ["10.96.0.9", "fd00::9"] };
  const ports = [
    { port: 443, protocol: "TCP" },
    { port: 80, protocol: "TCP", error: "example.com/Taken" },
  ];
  const rows: readonly (readonly [what: string, service: Json, clusterIP: boolean, expected: readonly unknown[]])[] = [
    [
      "are those of its load balancer, with their ports",
      { spec: lb, status: { loadBalancer: { ingress: [{ ip: "192.0.2.1", ports }, { hostname: "lb.example" }] } } },
      true,
      [{ hostname: "lb.example" }, { ip: "192.0.2.1", ports: [ports[1], ports[0]] }],
    ],
    [
      "keep an address together with its host name",
      { spec: lb, status: { loadBalancer: { ingress: [{ ip: "192.0.2.1", hostname: "lb.example", ipMode: "VIP" }] } } },
      false,
      [{ ip: "192.0.2.1", hostname: "lb.example" }],
    ],
    [
      "are its external IPs where it has no load balancer yet",
      { spec: { ...lb, externalIPs: ["192.0.2.8", "192.0.2.7"] }, status: { loadBalancer: {} } },
      true,
      [{ ip: "192.0.2.7" }, { ip: "192.0.2.8" }],
    ],
    ["are none while a load balancer is being made", { spec: lb, status: { loadBalancer: {} } }, false, []],
    ["are its cluster IPs where the setting says so", { spec: lb }, true, [{ ip: "10.96.0.9" }, { ip: "fd00::9" }]],
    ["are none for a headless Service", { spec: { clusterIP: "None", clusterIPs: ["None"] } }, true, []],
    [
      "are the name of an ExternalName",
      { spec: { type: "ExternalName", externalName: "edge.example" } },
      false,
      [{ hostname: "edge.example" }],
    ],
    ["are none for what is no Service", { spec: [], status: "x" }, true, []],
  ];
  for (const [what, service, clusterIP, expected] of rows) {
    it(what, () => assert.deepEqual(writeAddresses(addressesOfService(service, clusterIP)), expected));
  }

  it("are read without failing, whatever is in their place", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        readAddresses(value);
        readAddresses([value]);
        readAddresses([{ ip: value, hostname: value, ports: value }, { ports: [value, { port: value }] }]);
        addressesOfService(value, true);
        addressesOfService({ spec: value, status: { loadBalancer: value } }, true);
        readObserved(value);
        readObserved({ metadata: { namespace: "a", name: "b", managedFields: value }, status: value });
        readObserved({ metadata: { namespace: "a", name: "b", managedFields: [{ manager: "x", fieldsV1: value }] } });
      }),
    );
  });
});

describe("what is observed of Ingresses", () => {
  it("is shared by those that have the same addresses", () => {
    const ingresses = new ObservedIngresses();
    for (const name of ["a", "b", "c"]) {
      const status = { loadBalancer: { ingress: name === "c" ? [] : [{ ip: "192.0.2.1" }] } };
      ingresses.put({ metadata: { namespace: "shop", name }, status });
    }
    const [a, b, c] = ["a", "b", "c"].map((name) => ingresses.all.get(`shop/${name}`)?.addresses);
    assert.equal(a, b);
    assert.notEqual(a, c);
  });

  it("does not take a manager who has only emptied the field for one who has written it", () => {
    const fields = (ingress: Json) => ({
      metadata: {
        namespace: "shop",
        name: "web",
        managedFields: [{ manager, fieldsV1: { "f:status": { "f:loadBalancer": ingress } } }],
      },
    });
    assert.deepEqual(readObserved(fields({ "f:ingress": {} }))?.writers, [manager]);
    assert.deepEqual(readObserved(fields({}))?.writers, []);
  });
});
