import assert from "node:assert/strict";
import fc from "fast-check";
import { formatProblem } from "../../../src/model/problem.ts";
import { expandLists, readObject } from "../../../src/sources/validate.ts";
import { accepted, describeRefusals, problemsOf, type Raw } from "./read.ts";

const namespace = (metadata: unknown): Raw => ({ apiVersion: "v1", kind: "Namespace", metadata });
const configMap = (metadata: Raw, data?: unknown): Raw => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "a", ...metadata },
  data,
});

describe("metadata", () => {
  describeRefusals([
    ["no metadata", namespace(undefined), "metadata.name", /a name is required/],
    ["metadata that is text", namespace("a"), "metadata", /^"a" is not a mapping/],
    ["a name that is a number", namespace({ name: 5 }), "metadata.name", /^5 is not text; put it in quotes: "5"/],
    ["generateName alone", namespace({ generateName: "a-" }), "metadata.name", /generateName works only in a cluster/],
    ["a namespace with dots", namespace({ name: "a.b" }), "metadata.name", /^"a.b" is not a DNS label/],
    ["a namespace of 64 characters", namespace({ name: "a".repeat(64) }), "metadata.name", /at most 63/],
    ["a name in capitals", configMap({ name: "A" }), "metadata.name", /^"A" is not a DNS name/],
    ["a name of 254 characters", configMap({ name: "a".repeat(254) }), "metadata.name", /at most 253/],
    [
      "an object in a namespace with dots",
      configMap({ namespace: "a.b" }),
      "metadata.namespace",
      /^"a.b" is not a DNS label/,
    ],
    [
      "a label's key with a space",
      configMap({ labels: { "a b": "" } }),
      "metadata.labels",
      /^"a b" is not a label's key/,
    ],
    [
      "a label's key with an empty prefix",
      configMap({ labels: { "/a": "" } }),
      "metadata.labels",
      /DNS name before the "\/"/,
    ],
    [
      "a label's value with a slash",
      configMap({ labels: { a: "b/c" } }),
      "metadata.labels[a]",
      /^"b\/c" is not a label's value/,
    ],
    [
      "a label that is a boolean",
      configMap({ labels: { a: true } }),
      "metadata.labels[a]",
      /^true is not text; put it in quotes: "true"/,
    ],
    [
      "an annotation that is a number",
      configMap({ annotations: { "x.y/size": 8 } }),
      "metadata.annotations[x.y/size]",
      /^8 is not text; put it in quotes: "8"/,
    ],
    [
      "an annotation named __proto__",
      configMap({ annotations: JSON.parse('{"__proto__":"x"}') }),
      "metadata.annotations",
      /^"__proto__" is not an annotation's key/,
    ],
    [
      "257 KiB of annotations",
      configMap({ annotations: { a: "x".repeat(257 * 1024) } }),
      "metadata.annotations",
      /^263169 bytes of annotations are too many/,
    ],
    [
      "a time that is none",
      configMap({ creationTimestamp: "yesterday" }),
      "metadata.creationTimestamp",
      /^"yesterday" is not a time/,
    ],
    [
      "a resourceVersion that is a number",
      configMap({ resourceVersion: 5 }),
      "metadata.resourceVersion",
      /^5 is not text/,
    ],
  ]);

  it("may have annotation prefixes in capitals, as the API allows", () => {
    accepted("ConfigMap", configMap({ annotations: { "Example.COM/x": "1" } }));
  });

  it("keeps no labels and annotations of kinds whose time stamps change all the time", () => {
    const { meta } = accepted("ConfigMap", configMap({ labels: { a: "b" }, annotations: { "a/b": "renewed" } }));
    assert.deepEqual([meta.labels, meta.annotations], [{}, {}]);
    const kept = accepted("Namespace", namespace({ name: "a", labels: { team: "x" } }));
    assert.deepEqual(kept.meta.labels, { team: "x" });
  });
});

describe("a ConfigMap", () => {
  it("keeps its texts, also under names that objects inherit", () => {
    const { data } = accepted("ConfigMap", configMap({}, { a: "1", constructor: "2", "b.c": null }));
    assert.deepEqual(
      [...data],
      [
        ["a", "1"],
        ["constructor", "2"],
        ["b.c", ""],
      ],
    );
  });

  describeRefusals([
    ["a key with a slash", configMap({}, { "a/b": "" }), "data", /^"a\/b" is not a key/],
    ["a key with two dots in front", configMap({}, { "..a": "" }), "data", /is not a key/],
    ["a value that is a number", configMap({}, { a: 5 }), "data[a]", /^5 is not text/],
    ["data that are a list", configMap({}, ["a"]), "data", /^a list is not a mapping/],
    ["more than a mebibyte", configMap({}, { a: "x".repeat(1024 * 1024 + 1) }), "data", /too many/],
  ]);
});

describe("a Secret", () => {
  const secret = (fields: Raw): Raw => ({ apiVersion: "v1", kind: "Secret", metadata: { name: "s" }, ...fields });

  it("has its data decoded, and stringData over them", () => {
    const object = accepted(
      "Secret",
      secret({ data: { a: "aGk=", b: "YWJj\nZGVm\n", c: null }, stringData: { a: "hello" } }),
    );
    assert.equal(object.type, "Opaque");
    const texts = [...object.data].map(([key, bytes]) => [key, Buffer.from(bytes).toString()]);
    assert.deepEqual(texts, [
      ["a", "hello"],
      ["b", "abcdef"],
      ["c", ""],
    ]);
  });

  it("never has a value of it in a Problem", () => {
    const hidden = "hunter2-hunter2";
    const rows = [
      { data: { a: hidden } },
      { data: { a: [hidden] } },
      { stringData: { a: { [hidden]: 1 } } },
      { data: { a: 12345678 } },
      { type: "kubernetes.io/tls", data: { "tls.crt": hidden } },
      { metadata: { name: "S", annotations: { "kubectl.kubernetes.io/last-applied-configuration": [hidden] } } },
    ];
    for (const row of rows) {
      for (const problem of problemsOf(secret(row))) assert.doesNotMatch(formatProblem(problem), /hunter2|12345678/);
    }
  });

  describeRefusals([
    [
      "data that are not base64",
      secret({ data: { a: "a*b=" } }),
      "data[a]",
      /^the value is not base64; encode it, or write it under stringData/,
    ],
    ["base64 without padding", secret({ data: { a: "aGk" } }), "data[a]", /not base64/],
    ["a value that is a number", secret({ stringData: { a: 5 } }), "stringData[a]", /^the value is not text/],
    [
      "a TLS Secret without key",
      secret({ type: "kubernetes.io/tls", data: { "tls.crt": "" } }),
      "data[tls.key]",
      /needs this key/,
    ],
    ["a type that is a number", secret({ type: 5 }), "type", /^5 is not text/],
  ]);
});

describe("readObject", () => {
  const origin = { file: "a.yaml", line: 3 };

  it("skips kinds that Sluice does not read, in one line", () => {
    const rows: readonly (readonly [Raw, string])[] = [
      [
        { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "a", namespace: "b" } },
        'Deployment b/a of "apps/v1" is skipped: Sluice does not read this kind',
      ],
      [
        { apiVersion: "serving.knative.dev/v1", kind: "Service", metadata: { name: "a" } },
        'Service default/a of "serving.knative.dev/v1" is skipped: Sluice does not read this kind',
      ],
      [
        { apiVersion: "v1", kind: "constructor" },
        'constructor default/ of "v1" is skipped: Sluice does not read this kind',
      ],
    ];
    for (const [raw, skipped] of rows) assert.deepEqual(readObject(raw, origin), { skipped });
  });

  it("tells who the object is, or which file when it does not say", () => {
    const [text] = problemsOf("hello", origin);
    assert.deepEqual(text?.object, { kind: "File", namespace: "", name: "a.yaml" });
    assert.deepEqual(text?.origin, origin);
    const [service] = problemsOf({ kind: "Service", metadata: { name: "web" } }, origin);
    assert.deepEqual(service?.object, { kind: "Service", namespace: "default", name: "web" });
  });

  describeRefusals([
    ["an object without kind", { apiVersion: "v1" }, "kind", /kind is required/],
    ["a kind that is a list", { apiVersion: "v1", kind: [] }, "kind", /^a list is not text/],
    ["an object without apiVersion", { kind: "Ingress" }, "apiVersion", /apiVersion is required/],
    [
      "an Ingress of v1",
      { apiVersion: "v1", kind: "Ingress" },
      "apiVersion",
      /^"v1" has no Ingress that Sluice reads; write networking.k8s.io\/v1/,
    ],
    [
      "a v1beta1 EndpointSlice",
      { apiVersion: "discovery.k8s.io/v1beta1", kind: "EndpointSlice" },
      "apiVersion",
      /write discovery.k8s.io\/v1$/,
    ],
  ]);

  it("never throws, whatever JSON it is given", () => {
    const kinds = [
      "Ingress",
      "IngressClass",
      "Service",
      "EndpointSlice",
      "Endpoints",
      "Secret",
      "ConfigMap",
      "Namespace",
    ];
    const versions = ["v1", "networking.k8s.io/v1", "discovery.k8s.io/v1", "extensions/v1beta1"];
    const names = [
      "metadata",
      "spec",
      "rules",
      "http",
      "paths",
      "backend",
      "service",
      "port",
      "ports",
      "name",
      "host",
      "data",
      "endpoints",
      "addresses",
      "subsets",
      "tls",
      "hosts",
      "__proto__",
      "constructor",
      "labels",
      "annotations",
      "conditions",
      "type",
      "ip",
      "items",
    ];
    const json = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: "small", withCrossShrink: true },
        fc.constantFrom<unknown>(
          null,
          true,
          0,
          -1,
          80,
          65536,
          1e300,
          Number.NaN,
          "",
          "a",
          "A.b",
          "ClusterIP",
          "None",
          "127.0.0.1",
          "::1",
          "Prefix",
          "/a",
          "\ud800\n",
        ),
        fc.string(),
        fc.array(tie("value"), { maxLength: 4 }),
        fc.dictionary(fc.oneof(fc.constantFrom(...names), fc.string()), tie("value"), { maxKeys: 8 }),
      ),
    })).value;
    const object = fc.record({
      apiVersion: fc.oneof(fc.constantFrom(...versions), json),
      kind: fc.oneof(fc.constantFrom(...kinds), json),
      metadata: fc.oneof(fc.constant({ name: "a" }), json),
      spec: fc.oneof(fc.record({ rules: json, tls: json, ports: json, type: json, defaultBackend: json }), json),
      endpoints: json,
      ports: json,
      subsets: json,
      data: json,
      addressType: json,
    });
    fc.assert(
      fc.property(fc.oneof(object, json), fc.boolean(), (raw, fromFile) => {
        for (const { raw: single } of expandLists(raw)) {
          const result = readObject(single, fromFile ? origin : undefined);
          if ("problems" in result) {
            assert.ok(result.problems.length > 0);
            for (const problem of result.problems) assert.doesNotMatch(formatProblem(problem), /[\n\r]/);
          }
        }
      }),
      { numRuns: 1500 },
    );
  });
});

/** One valid object of each kind, with every field that is read. */
const valid: readonly Raw[] = [
  {
    apiVersion: "networking.k8s.io/v1",
    kind: "Ingress",
    metadata: { name: "a", namespace: "b", labels: { c: "d" }, annotations: { e: "f" }, uid: "1", generation: 1 },
    spec: {
      ingressClassName: "g",
      defaultBackend: { resource: { apiGroup: "h.i", kind: "J", name: "k" } },
      rules: [
        {
          host: "*.l.example",
          http: {
            paths: [{ path: "/m", pathType: "Prefix", backend: { service: { name: "n", port: { number: 80 } } } }],
          },
        },
      ],
      tls: [{ hosts: ["o.example"], secretName: "p" }],
    },
  },
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "a" },
    spec: {
      type: "ClusterIP",
      clusterIP: "10.0.0.1",
      selector: { a: "b" },
      ports: [{ name: "c", port: 1, protocol: "TCP", targetPort: "d", appProtocol: "e.f/g" }],
    },
  },
  { apiVersion: "v1", kind: "Service", metadata: { name: "a" }, spec: { type: "ExternalName", externalName: "b.c" } },
  {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "a", labels: { "kubernetes.io/service-name": "b" } },
    addressType: "IPv6",
    ports: [{ name: "c", port: 1, protocol: "TCP" }],
    endpoints: [{ addresses: ["2001:db8::1"], conditions: { ready: true, serving: true, terminating: false } }],
  },
  {
    apiVersion: "v1",
    kind: "Endpoints",
    metadata: { name: "a" },
    subsets: [{ addresses: [{ ip: "10.0.0.1" }], notReadyAddresses: [{ ip: "10.0.0.2" }], ports: [{ port: 1 }] }],
  },
  {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "a" },
    type: "kubernetes.io/tls",
    data: { "tls.crt": "YQ==", "tls.key": "Yg==" },
    stringData: { c: "d" },
  },
  { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" }, data: { b: "c" } },
  { apiVersion: "networking.k8s.io/v1", kind: "IngressClass", metadata: { name: "a" }, spec: { controller: "b.c/d" } },
  { apiVersion: "v1", kind: "Namespace", metadata: { name: "a", creationTimestamp: "2026-01-31T12:00:00.5+01:00" } },
];

/** The paths of all values within a value, itself included. */
function pathsIn(value: unknown, path: readonly string[] = []): readonly (readonly string[])[] {
  const below = typeof value === "object" && value !== null ? Object.entries(value) : [];
  return [path, ...below.flatMap(([key, entry]) => pathsIn(entry, [...path, key]))];
}

function replaced(value: unknown, path: readonly string[], by: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return by;
  if (Array.isArray(value)) return value.map((entry, i) => (String(i) === key ? replaced(entry, rest, by) : entry));
  const object = value as Raw;
  return { ...object, [key]: replaced(object[key], rest, by) };
}

describe("a valid object", () => {
  const hostile: readonly unknown[] = [
    null,
    undefined,
    true,
    -1,
    0,
    65_536,
    1.5,
    1e300,
    Number.NaN,
    "",
    " ",
    "A b",
    "x".repeat(300_000),
    "\ud800\u0000\n\u202e",
    [],
    [null],
    [[]],
    Array(2000).fill({}),
    {},
    { __proto__: null, a: 1 },
    JSON.parse('{"__proto__": {"a": 1}, "constructor": 5}'),
  ];

  for (const object of valid) {
    it(`of kind ${String(object.kind)} is accepted, and with any one value replaced is judged without an error of ours`, () => {
      assert.ok("object" in readObject(object), JSON.stringify(readObject(object)));
      for (const path of pathsIn(object)) {
        for (const value of hostile) {
          const result = readObject(replaced(object, path, value), { file: "a.yaml", line: 1 });
          if (!("problems" in result)) continue;
          assert.ok(result.problems.length > 0);
          for (const problem of result.problems) {
            const line = formatProblem(problem);
            assert.ok(line.length < 1500, line.slice(0, 300));
            assert.match(line, /^[^\n\r\u202e]*; [^\n\r]*$/, "ends with what to do");
          }
        }
      }
    });
  }
});

describe("expandLists", () => {
  it("flattens lists, also in lists, and says which entry an object came from", () => {
    const raw = { apiVersion: "v1", kind: "List", items: [1, { kind: "List", items: [2, 3] }, { kind: "List" }, 4] };
    assert.deepEqual(expandLists(raw), [
      { raw: 1, item: 0 },
      { raw: 2, item: 1 },
      { raw: 3, item: 1 },
      { raw: 4, item: 3 },
    ]);
  });

  it("gives the entries of a list of one kind what they leave out", () => {
    const raw = {
      apiVersion: "networking.k8s.io/v1",
      kind: "IngressList",
      items: [{ metadata: { name: "a" } }, { kind: "Ingress", apiVersion: "x" }],
    };
    assert.deepEqual(
      expandLists(raw).map((expanded) => expanded.raw),
      [
        { apiVersion: "networking.k8s.io/v1", kind: "Ingress", metadata: { name: "a" } },
        { apiVersion: "x", kind: "Ingress" },
      ],
    );
  });

  it("leaves alone what is no list", () => {
    for (const raw of [null, 5, "List", [], { kind: "PlayList", items: [1] }, { kind: "List", items: 5 }]) {
      assert.deepEqual(expandLists(raw), [{ raw, item: null }]);
    }
  });

  it("ends for a list that holds itself", () => {
    const list: { kind: string; items: unknown[] } = { kind: "List", items: [] };
    list.items.push(list);
    assert.equal(expandLists(list).length, 1);
  });
});
