import assert from "node:assert/strict";
import type { KubernetesObject } from "../../src/sources/objects.ts";
import { refreshEndpoints, type TranslateSettings, type Translation } from "../../src/translate/translate.ts";
import { configMap, endpoints, ingress, objects, service, slice } from "../support/fixtures.ts";
import { inputOf, problemLines, translateObjects } from "../support/translation.ts";

const named = { tcpServicesConfigMap: "ingress/tcp", udpServicesConfigMap: "ingress/udp" };

const database = [
  service("shop/db", { ports: ["pg:5432:5432", "log:514:5514/UDP"] }),
  slice("shop/db", { ports: ["pg:5432", "log:5514/UDP"], ready: ["10.0.0.2", "10.0.0.1"] }),
];
const dns = [
  service("kube-system/dns", { ports: ["dns:53:53/UDP", "dns-tcp:53:53"] }),
  slice("kube-system/dns", { ports: ["dns:5353/UDP", "dns-tcp:5354"], ready: ["10.0.0.9"] }),
];

function streamsOf(
  tcp: Readonly<Record<string, string>>,
  udp: Readonly<Record<string, string>> = {},
  all: readonly KubernetesObject[] = [...database, ...dns],
  settings: Partial<TranslateSettings> = {},
): Translation {
  return translateObjects([configMap("ingress/tcp", tcp), configMap("ingress/udp", udp), ...all], {
    settings: { ...named, ...settings },
  });
}

/** `tcp 5432 shop/db:5432 [accept] [send] -> address:port …`, one each. */
function streamLines({ snapshot }: Translation): readonly string[] {
  return snapshot.streams.map(({ protocol, port, service: ref, proxyProtocol, endpoints: list }) =>
    [
      `${protocol} ${port} ${ref.namespace}/${ref.name}:${ref.port}`,
      ...(proxyProtocol.accept ? ["accept"] : []),
      ...(proxyProtocol.send ? ["send"] : []),
      "->",
      ...list.map((endpoint) => `${endpoint.address}:${endpoint.port}`),
    ].join(" "),
  );
}

describe("the entries of TCP and UDP services", () => {
  it("become ports with the endpoints of their Services, ascending by protocol and port", () => {
    const translation = streamsOf(
      { "5432": "shop/db:5432", "600": "shop/db:pg", "53": "kube-system/dns:dns-tcp" },
      { "53": "kube-system/dns:53", "514": "shop/db:log" },
    );
    assert.deepEqual(translation.problems, []);
    assert.deepEqual(streamLines(translation), [
      "tcp 53 kube-system/dns:dns-tcp -> 10.0.0.9:5354",
      "tcp 600 shop/db:pg -> 10.0.0.1:5432 10.0.0.2:5432",
      "tcp 5432 shop/db:5432 -> 10.0.0.1:5432 10.0.0.2:5432",
      "udp 53 kube-system/dns:53 -> 10.0.0.9:5353",
      "udp 514 shop/db:log -> 10.0.0.1:5514 10.0.0.2:5514",
    ]);
  });

  it("are nothing while no flag names their ConfigMap", () => {
    const none = { tcpServicesConfigMap: null, udpServicesConfigMap: null };
    assert.deepEqual(streamsOf({ "5432": "shop/db:5432", x: "y" }, {}, database, none).snapshot.streams, []);
  });

  it("say where PROXY headers are read and sent, in any case, with either left empty", () => {
    const translation = streamsOf({
      "1": "shop/db:pg:PROXY",
      "2": "shop/db:pg:PROXY:PROXY",
      "3": "shop/db:pg::PROXY",
      "4": "shop/db:pg:proxy:Proxy",
      "5": "shop/db:pg::",
      "6": " shop/db:pg\n",
    });
    assert.deepEqual(translation.problems, []);
    assert.deepEqual(
      streamLines(translation).map((line) => line.split(" ->")[0]),
      [
        "tcp 1 shop/db:pg accept",
        "tcp 2 shop/db:pg accept send",
        "tcp 3 shop/db:pg send",
        "tcp 4 shop/db:pg accept send",
        "tcp 5 shop/db:pg",
        "tcp 6 shop/db:pg",
      ],
    );
  });

  it("carry the limits of the settings, and one try where others are off", () => {
    const limits = (settings: Partial<TranslateSettings>) =>
      streamsOf({ "5432": "shop/db:pg" }, {}, database, settings).snapshot.streams[0]?.limits;
    const usual = { connectTimeout: 5000, idleTimeout: 600_000, tries: 3, triesTimeout: 600_000, responses: 1 };
    assert.deepEqual(limits({}), usual);
    assert.deepEqual(limits({ proxyStreamNextUpstream: false }), { ...usual, tries: 1 });
    assert.deepEqual(limits({ proxyStreamTimeout: 5, proxyStreamNextUpstreamTries: 0, proxyStreamResponses: 4 }), {
      ...usual,
      idleTimeout: 5,
      tries: 0,
      responses: 4,
    });
  });

  it("may name a Service whose Endpoints are written by hand, and one that has none yet", () => {
    const translation = streamsOf({ "1": "shop/old:9", "2": "shop/new:9" }, {}, [
      service("shop/old", { ports: [":9:99"] }),
      endpoints("shop/old", { addresses: ["10.1.0.1"], ports: [":99"] }),
      service("shop/new", { ports: [":9:99"] }),
    ]);
    assert.deepEqual(translation.problems, []);
    assert.deepEqual(streamLines(translation), ["tcp 1 shop/old:9 -> 10.1.0.1:99", "tcp 2 shop/new:9 ->"]);
  });
});

describe("a wrong entry", () => {
  const rows: readonly {
    readonly title: string;
    readonly tcp?: Readonly<Record<string, string>>;
    readonly udp?: Readonly<Record<string, string>>;
    readonly line: RegExp;
  }[] = [
    {
      title: "names no port",
      tcp: { http: "shop/db:pg" },
      line: /tcp: data\.http: "http" is no port; write .*\[InvalidStream\]/,
    },
    { title: "names port 0", tcp: { "0": "shop/db:pg" }, line: /"0" is no port/ },
    { title: "names a port above the last one", tcp: { "65536": "shop/db:pg" }, line: /"65536" is no port/ },
    {
      title: "writes its port with a zero, which another entry may have without",
      tcp: { "05432": "shop/db:pg" },
      line: /"05432" is no port/,
    },
    {
      title: "names the port of HTTP",
      tcp: { "8080": "shop/db:pg" },
      line: /data\.8080: port "8080" is that of --http-port already; choose/,
    },
    { title: "names the port of HTTPS", tcp: { "8443": "shop/db:pg" }, line: /that of --https-port already/ },
    { title: "names the admin port", tcp: { "10254": "shop/db:pg" }, line: /that of --admin-port already/ },
    {
      title: "has no port of the Service",
      tcp: { "1": "shop/db" },
      line: /"shop\/db" is not understood; write namespace\/service:port, such as shop\/db:5432, with ":PROXY"/,
    },
    { title: "has no namespace", tcp: { "1": "db:5432" }, line: /"db:5432" is not understood/ },
    { title: "has a port that is none", tcp: { "1": "shop/db:70000" }, line: /"shop\/db:70000" is not understood/ },
    { title: "has capitals in a name", tcp: { "1": "shop/DB:5432" }, line: /is not understood/ },
    { title: "asks for something else than PROXY", tcp: { "1": "shop/db:5432:TLS" }, line: /is not understood/ },
    { title: "has too many parts", tcp: { "1": "shop/db:5432:PROXY:PROXY:PROXY" }, line: /is not understood/ },
    {
      title: "is empty",
      udp: { "1": "" },
      line: /udp: data\.1: "" is not understood; write namespace\/service:port, such as kube-system\/kube-dns:53 \[/,
    },
    {
      title: "asks for PROXY headers in datagrams",
      udp: { "53": "kube-system/dns:53:PROXY" },
      line: /asks for the PROXY protocol, which is for TCP services alone; remove ":PROXY"/,
    },
    {
      title: "names a Service that is not there",
      tcp: { "1": "shop/gone:80" },
      line: /Service "shop\/gone" does not exist, .* \[ServiceNotFound\]/,
    },
    {
      title: "names a port that the Service does not have",
      tcp: { "1": "shop/db:80" },
      line: /Service "shop\/db" has no TCP port 80; write one that it has: 5432 \("pg"\) \[PortNotFound\]/,
    },
    {
      title: "names a port name that the Service does not have",
      udp: { "1": "shop/db:dns" },
      line: /has no UDP port "dns"; write one that it has: 514 \("log"\)/,
    },
    {
      title: "names a UDP port for TCP",
      tcp: { "1": "shop/db:514" },
      line: /has no TCP port 514; it has a UDP port of that name, which belongs into the ConfigMap of --udp-services-configmap/,
    },
    {
      title: "names a TCP port for UDP",
      udp: { "1": "shop/db:pg" },
      line: /no UDP port "pg"; it has a TCP port of that name, .*--tcp-services-configmap/,
    },
  ];
  for (const { title, tcp = {}, udp = {}, line } of rows) {
    it(`that ${title} is told and opens nothing, and harms no other`, () => {
      const translation = streamsOf({ ...tcp, "9999": "shop/db:pg" }, udp);
      assert.equal(translation.problems.length, 1, problemLines(translation).join("\n"));
      assert.match(problemLines(translation)[0] ?? "", line);
      assert.deepEqual(
        translation.snapshot.streams.map(({ port }) => port),
        [9999],
      );
    });
  }

  it("may be a UDP service on a number that is ours for TCP", () => {
    assert.deepEqual(streamsOf({}, { "8080": "shop/db:log" }).problems, []);
  });

  it("is the whole ConfigMap when there is none of the name", () => {
    assert.deepEqual(problemLines(translateObjects([], { settings: { ...named, udpServicesConfigMap: null } })), [
      "ConfigMap ingress/tcp: it does not exist, so that there are no TCP services; create it, or remove --tcp-services-configmap [InvalidSetting]",
    ]);
  });

  it("cannot break a line or hide what it says", () => {
    const [line = ""] = problemLines(streamsOf({ "1": "shop/db:1\n\u202e" }));
    assert.ok(!/[\n\u202e]/.test(line), line);
  });
});

describe("external names of TCP and UDP services", () => {
  const external = [service("shop/api", { externalName: "db.example.com", ports: [] })];
  const translate = (settings: Partial<TranslateSettings> = {}, all: readonly KubernetesObject[] = external) =>
    translateObjects([configMap("ingress/tcp", { "1": "shop/api:5432" }), ...all], {
      settings: { tcpServicesConfigMap: "ingress/tcp", ...settings },
      resolved: { "db.example.com": ["192.0.2.1", "169.254.169.254"] },
    });

  it("are resolved, and addresses that may not be connected to are left out and told", () => {
    const translation = translate();
    assert.deepEqual(translation.externalNames, ["db.example.com"]);
    assert.deepEqual(streamLines(translation), ["tcp 1 shop/api:5432 -> 192.0.2.1:5432"]);
    assert.match(
      problemLines(translation).join(),
      /^Service shop\/api: .*"?169\.254\.169\.254.* \[ExternalNameInvalid\]$/,
    );
  });

  it("are told once when an Ingress uses them, too", () => {
    const route = ingress("shop/web", { hosts: { "a.example": { "/": "api:80" } } });
    assert.equal(translate({}, [...external, route]).problems.length, 1);
  });

  it("are refused where they are refused for HTTP", () => {
    const translation = translate({ allowExternalName: false });
    assert.deepEqual(translation.snapshot.streams, []);
    assert.match(
      problemLines(translation).join(),
      /data\.1: Service "shop\/api" is an ExternalName, which .*\[ExternalNameRefused\]/,
    );
  });

  it("that may not be resolved are told on the entry", () => {
    const translation = translate({}, [service("shop/api", { externalName: "localhost", ports: [] })]);
    assert.deepEqual(translation.externalNames, []);
    assert.match(
      problemLines(translation).join(),
      /ConfigMap ingress\/tcp: data\.1: external name "localhost" would lead/,
    );
  });
});

describe("a change of endpoints of a TCP or UDP service", () => {
  const entries = [configMap("ingress/tcp", { "1": "shop/db:pg", "2": "kube-system/dns:53" })];
  const before = inputOf(objects(...entries, ...database, ...dns), {
    settings: { tcpServicesConfigMap: "ingress/tcp" },
  });
  const previous = translateObjects([...entries, ...database, ...dns], {
    settings: { tcpServicesConfigMap: "ingress/tcp" },
  });

  it("is read without the rest, which keeps its identity", () => {
    const moved = slice("shop/db", { ports: ["pg:5432"], ready: ["10.0.0.3"] });
    const input = { ...before, objects: objects(...entries, ...database.slice(0, 1), moved, ...dns) };
    const after = refreshEndpoints(input, previous, new Set(["shop/db"]));
    assert.deepEqual(streamLines(after), [
      "tcp 1 shop/db:pg -> 10.0.0.3:5432",
      "tcp 2 kube-system/dns:53 -> 10.0.0.9:5354",
    ]);
    assert.equal(after.snapshot.streams[1], previous.snapshot.streams[1]);
    assert.equal(after.snapshot.hosts, previous.snapshot.hosts);
    assert.equal(refreshEndpoints(input, after, new Set(["shop/db", "shop/other"])), after);
  });
});
