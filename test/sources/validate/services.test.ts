import assert from "node:assert/strict";
import { readObject } from "../../../src/sources/validate.ts";
import { accepted, describeRefusals, type Raw } from "./read.ts";

const origin = { file: "a.yaml", line: 1 };

describe("a Service", () => {
  const service = (spec: unknown): Raw => ({ apiVersion: "v1", kind: "Service", metadata: { name: "web" }, spec });
  const withPorts = (...ports: readonly Raw[]): Raw => service({ ports });

  it("has the API's defaults", () => {
    const object = accepted("Service", withPorts({ port: 80 }));
    assert.deepEqual(
      { ...object, meta: undefined },
      {
        kind: "Service",
        meta: undefined,
        type: "ClusterIP",
        clusterIP: null,
        externalName: null,
        hasSelector: false,
        ports: [{ name: "", protocol: "TCP", port: 80, targetPort: { name: null, number: 80 }, appProtocol: null }],
      },
    );
  });

  it("keeps target ports by name and number", () => {
    const object = accepted(
      "Service",
      service({
        selector: { app: "web" },
        clusterIP: "10.0.0.1",
        ports: [
          { name: "http", port: 80, targetPort: "web-port", appProtocol: "kubernetes.io/ws" },
          { name: "dns", port: 80, targetPort: 5353, protocol: "UDP", nodePort: 30_000 },
        ],
      }),
    );
    assert.equal(object.hasSelector, true);
    assert.equal(object.clusterIP, "10.0.0.1");
    assert.deepEqual(
      object.ports.map((port) => [port.name, port.protocol, port.targetPort, port.appProtocol]),
      [
        ["http", "TCP", { name: "web-port", number: null }, "kubernetes.io/ws"],
        ["dns", "UDP", { name: null, number: 5353 }, null],
      ],
    );
  });

  it("may be headless without ports, and may have an external name without ports", () => {
    assert.equal(accepted("Service", service({ clusterIP: "None" })).clusterIP, "None");
    const external = accepted("Service", service({ type: "ExternalName", externalName: "db.example.com." }));
    assert.equal(external.externalName, "db.example.com");
  });

  it("may have a name that begins with a digit, as newer clusters allow", () => {
    accepted("Service", { ...withPorts({ port: 80 }), metadata: { name: "1web" } });
  });

  describeRefusals([
    ["a Service without ports", service({}), "spec.ports", /ports are required/],
    ["a Service with an empty list of ports", service({ ports: [] }), "spec.ports", /ports are required/],
    [
      "a name with dots",
      { ...withPorts({ port: 80 }), metadata: { name: "a.b" } },
      "metadata.name",
      /^"a.b" is not a DNS label/,
    ],
    ["an unknown type", service({ type: "Cluster", ports: [{ port: 80 }] }), "spec.type", /^"Cluster" is not a type/],
    [
      "a cluster IP that is none",
      service({ clusterIP: "ten", ports: [{ port: 80 }] }),
      "spec.clusterIP",
      /^"ten" is not an IP address/,
    ],
    [
      "a headless NodePort",
      service({ type: "NodePort", clusterIP: "None", ports: [{ port: 80 }] }),
      "spec.clusterIP",
      /only for type ClusterIP/,
    ],
    [
      "an external name with cluster IP",
      service({ type: "ExternalName", externalName: "a.b", clusterIP: "10.0.0.1" }),
      "spec.clusterIP",
      /leave it out/,
    ],
    ["no external name", service({ type: "ExternalName" }), "spec.externalName", /an externalName is required/],
    [
      "an external name with a scheme",
      service({ type: "ExternalName", externalName: "http://a" }),
      "spec.externalName",
      /^"http:\/\/a" is not a DNS name/,
    ],
    [
      "an external name in capitals",
      service({ type: "ExternalName", externalName: "A.example" }),
      "spec.externalName",
      /is not a DNS name/,
    ],
    ["a port of zero", withPorts({ port: 0 }), "spec.ports[0].port", /^0 is not a port/],
    ["no port", withPorts({}), "spec.ports[0].port", /a port is required/],
    ["a port in quotes", withPorts({ port: "80" }), "spec.ports[0].port", /write 80 without quotes/],
    [
      "a target port in quotes",
      withPorts({ port: 80, targetPort: "8080" }),
      "spec.ports[0].targetPort",
      /write a number without quotes/,
    ],
    [
      "a target port too high",
      withPorts({ port: 80, targetPort: 70_000 }),
      "spec.ports[0].targetPort",
      /^70000 is not a port/,
    ],
    [
      "an unknown protocol",
      withPorts({ port: 80, protocol: "tcp" }),
      "spec.ports[0].protocol",
      /^"tcp" is not a protocol; write TCP/,
    ],
    [
      "a second port without name",
      withPorts({ port: 80, name: "a" }, { port: 81 }),
      "spec.ports[1].name",
      /several ports/,
    ],
    [
      "two ports of one name",
      withPorts({ port: 80, name: "a" }, { port: 81, name: "a" }),
      "spec.ports[1].name",
      /^"a" is the name of another port/,
    ],
    [
      "two ports of one number",
      withPorts({ port: 80, name: "a" }, { port: 80, name: "b" }),
      "spec.ports[1].port",
      /^TCP 80 is there already/,
    ],
    ["a port name in capitals", withPorts({ port: 80, name: "A" }), "spec.ports[0].name", /is not a DNS label/],
    [
      "a load balancer on the kubelet's port",
      service({ type: "LoadBalancer", ports: [{ port: 10_250 }] }),
      "spec.ports[0].port",
      /kubelet/,
    ],
    [
      "a selector that is a list",
      service({ selector: ["a"], ports: [{ port: 80 }] }),
      "spec.selector",
      /^a list is not a mapping/,
    ],
  ]);
});

describe("an EndpointSlice", () => {
  const slice = (fields: Raw, labels: Raw = { "kubernetes.io/service-name": "web" }): Raw => ({
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "web-1", namespace: "shop", labels },
    addressType: "IPv4",
    ports: [{ name: "http", port: 8080 }],
    endpoints: [],
    ...fields,
  });
  const withAddress = (address: unknown, addressType = "IPv4"): Raw =>
    slice({ addressType, endpoints: [{ addresses: [address] }] });

  it("has the API's defaults for conditions", () => {
    const conditions: readonly (readonly [Raw | null, boolean, boolean, boolean])[] = [
      [null, true, true, false],
      [{}, true, true, false],
      [{ ready: null }, true, true, false],
      [{ ready: false }, false, false, false],
      [{ ready: false, serving: true, terminating: true }, false, true, true],
      [{ ready: true, serving: false }, true, false, false],
    ];
    const endpoints = conditions.map(([given]) => ({ addresses: ["10.0.0.1"], conditions: given }));
    const object = accepted("EndpointSlice", slice({ endpoints }));
    assert.equal(object.serviceName, "web");
    assert.deepEqual(object.ports, [{ name: "http", port: 8080, protocol: "TCP" }]);
    assert.deepEqual(
      object.endpoints.map(({ ready, serving, terminating }) => [ready, serving, terminating]),
      conditions.map(([, ...expected]) => expected),
    );
  });

  it("may have ports without number and name, and no ports at all", () => {
    assert.deepEqual(accepted("EndpointSlice", slice({ ports: [{}] })).ports, [
      { name: "", port: null, protocol: "TCP" },
    ]);
    assert.deepEqual(accepted("EndpointSlice", slice({ ports: null })).ports, []);
  });

  it("has its IPv6 addresses in one spelling", () => {
    const object = accepted("EndpointSlice", withAddress("2001:DB8:0:0::1", "IPv6"));
    assert.deepEqual(object.endpoints[0]?.addresses, ["2001:db8::1"]);
  });

  it("may lead to loopback addresses only when it comes from a file", () => {
    accepted("EndpointSlice", withAddress("127.0.0.1"), origin);
    accepted("EndpointSlice", withAddress("::1", "IPv6"), origin);
    assert.ok("problems" in readObject(withAddress("127.0.0.1")));
    assert.ok("problems" in readObject(withAddress("::1", "IPv6")));
  });

  it("is skipped when it belongs to no Service", () => {
    assert.deepEqual(readObject(slice({}, {})), {
      skipped:
        'EndpointSlice shop/web-1 of "discovery.k8s.io/v1" is skipped: it belongs to no Service; set the label kubernetes.io/service-name',
    });
  });

  describeRefusals(
    [
      ["no address type", slice({ addressType: null }), "addressType", /an addressType is required/],
      ["an unknown address type", slice({ addressType: "ipv4" }), "addressType", /^"ipv4" is not an address type/],
      ["an endpoint without addresses", slice({ endpoints: [{}] }), "endpoints[0].addresses", /an address is required/],
      [
        "addresses that are text",
        slice({ endpoints: [{ addresses: "10.0.0.1" }] }),
        "endpoints[0].addresses",
        /is not a list/,
      ],
      ["a name as IPv4 address", withAddress("web"), "endpoints[0].addresses[0]", /^"web" is not an IPv4 address/],
      [
        "an IPv4 address with leading zeros",
        withAddress("010.0.0.1"),
        "endpoints[0].addresses[0]",
        /not an IPv4 address/,
      ],
      ["an IPv6 address among IPv4", withAddress("2001:db8::1"), "endpoints[0].addresses[0]", /not an IPv4 address/],
      [
        "an IPv4 address among IPv6",
        withAddress("10.0.0.1", "IPv6"),
        "endpoints[0].addresses[0]",
        /not an IPv6 address/,
      ],
      [
        "an address with a zone",
        withAddress("fe80::1%eth0", "IPv6"),
        "endpoints[0].addresses[0]",
        /not an IPv6 address/,
      ],
      [
        "an IPv4-mapped address",
        withAddress("::ffff:169.254.169.254", "IPv6"),
        "endpoints[0].addresses[0]",
        /not an IPv6 address/,
      ],
      ["an address that is a number", withAddress(10), "endpoints[0].addresses[0]", /^10 is not text/],
      ["the metadata service", withAddress("169.254.169.254"), "endpoints[0].addresses[0]", /is a link-local address/],
      [
        "a link-local IPv6 address",
        withAddress("FE80:0::1", "IPv6"),
        "endpoints[0].addresses[0]",
        /is a link-local address/,
      ],
      ["the unspecified address", withAddress("0.0.0.0"), "endpoints[0].addresses[0]", /unspecified/],
      ["the unspecified IPv6 address", withAddress("0:0::0", "IPv6"), "endpoints[0].addresses[0]", /unspecified/],
      ["a multicast address", withAddress("224.0.0.1"), "endpoints[0].addresses[0]", /multicast/],
      ["a single label as domain name", withAddress("web", "FQDN"), "endpoints[0].addresses[0]", /fully qualified/],
      [
        "101 addresses",
        slice({ endpoints: [{ addresses: Array(101).fill("10.0.0.1") }] }),
        "endpoints[0].addresses",
        /^101 entries are too many; write at most 100/,
      ],
      [
        "1001 endpoints",
        slice({ endpoints: Array(1001).fill({ addresses: ["10.0.0.1"] }) }),
        "endpoints",
        /^1001 entries are too many/,
      ],
      [
        "a condition that is text",
        slice({ endpoints: [{ addresses: ["10.0.0.1"], conditions: { ready: "true" } }] }),
        "endpoints[0].conditions.ready",
        /^"true" is not a boolean/,
      ],
      ["two ports of one name", slice({ ports: [{ port: 1 }, { port: 2 }] }), "ports[1].name", /another port/],
      ["a port too high", slice({ ports: [{ port: 65_536 }] }), "ports[0].port", /^65536 is not a port/],
      [
        "an unknown protocol",
        slice({ ports: [{ port: 1, protocol: "HTTP" }] }),
        "ports[0].protocol",
        /is not a protocol/,
      ],
      [
        "a service name that is a number",
        slice({}, { "kubernetes.io/service-name": 5 }),
        "metadata.labels[kubernetes.io/service-name]",
        /^5 is not text/,
      ],
    ],
    origin,
  );
});

describe("Endpoints", () => {
  const endpoints = (...subsets: readonly unknown[]): Raw => ({
    apiVersion: "v1",
    kind: "Endpoints",
    metadata: { name: "web" },
    subsets,
  });

  it("keep their ready addresses and ports", () => {
    const object = accepted(
      "Endpoints",
      endpoints(
        {
          addresses: [{ ip: "10.0.0.1", hostname: "a" }],
          notReadyAddresses: [{ ip: "10.0.0.2" }],
          ports: [{ port: 80 }],
        },
        { notReadyAddresses: [{ ip: "10.0.0.3" }] },
      ),
    );
    assert.deepEqual(object.subsets, [
      { addresses: ["10.0.0.1"], ports: [{ name: "", port: 80, protocol: "TCP" }] },
      { addresses: [], ports: [] },
    ]);
    assert.deepEqual(accepted("Endpoints", { ...endpoints(), subsets: null }).subsets, []);
  });

  describeRefusals([
    ["a subset without addresses", endpoints({ ports: [{ port: 80 }] }), "subsets[0]", /needs addresses/],
    ["an address without ip", endpoints({ addresses: [{}] }), "subsets[0].addresses[0].ip", /an ip is required/],
    ["an address that is text", endpoints({ addresses: ["10.0.0.1"] }), "subsets[0].addresses[0]", /is not a mapping/],
    [
      "a loopback address in a cluster",
      endpoints({ addresses: [{ ip: "127.0.0.1" }] }),
      "subsets[0].addresses[0].ip",
      /loopback/,
    ],
    [
      "an address that is none",
      endpoints({ notReadyAddresses: [{ ip: "x" }] }),
      "subsets[0].notReadyAddresses[0].ip",
      /^"x" is not an IP address/,
    ],
    [
      "several ports without names",
      endpoints({ addresses: [{ ip: "10.0.0.1" }], ports: [{ port: 1, name: "a" }, { port: 2 }] }),
      "subsets[0].ports[1].name",
      /several ports/,
    ],
    [
      "a port that is a name",
      endpoints({ addresses: [{ ip: "10.0.0.1" }], ports: [{ port: "http" }] }),
      "subsets[0].ports[0].port",
      /^"http" is not a whole number/,
    ],
  ]);
});
