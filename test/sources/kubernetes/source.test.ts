import assert from "node:assert/strict";
import type { KubernetesSource } from "../../../src/sources/kubernetes/source.ts";
import type { Change } from "../../../src/sources/store.ts";
import { FakeApiServer, type FakeApiServerOptions } from "../../support/fake-api-server.ts";
import {
  openSource,
  rawClass,
  rawIngress,
  rawNamespace,
  rawSecret,
  rawService,
  rawSlice,
  scaled,
  type TestSource,
  until,
} from "../../support/kubernetes.ts";

describe("the Kubernetes source", () => {
  const servers: FakeApiServer[] = [];
  const sources: KubernetesSource[] = [];

  afterEach(async () => {
    await Promise.all(sources.splice(0).map((source) => source.stop()));
    await Promise.all(servers.splice(0).map((server) => server.stop()));
  });

  async function serve(options: FakeApiServerOptions = {}): Promise<FakeApiServer> {
    const server = new FakeApiServer(options);
    servers.push(server);
    await server.start();
    return server;
  }

  function open(server: FakeApiServer, options: Parameters<typeof openSource>[1] = {}): TestSource {
    const opened = openSource(server, options);
    sources.push(opened.source);
    return opened;
  }

  /** The paths of these verbs, each once, ascending. */
  function pathsOf(server: FakeApiServer, ...verbs: readonly string[]): readonly string[] {
    const paths = server.requests
      .filter(({ verb }) => verbs.includes(verb))
      .map(({ path, query }) => {
        const selector = query.get("fieldSelector") ?? query.get("labelSelector");
        return selector === null ? path : `${path}?${selector}`;
      });
    return [...new Set(paths)].sort();
  }

  for (const [how, options] of [
    ["a streamed list", {}],
    ["pages", { streams: false, ignoresLimit: false }],
    ["one piece that ignores the limit", { streams: false }],
  ] as const) {
    it(`is started when all kinds and the Secrets they refer to are there, by ${how}`, async () => {
      const server = await serve(options);
      const { cluster } = server;
      cluster.put(rawClass("sluice"));
      for (let i = 0; i < 1100; i++) cluster.put(rawIngress(`shop/i${i}`, { host: `h${i}.example` }));
      cluster.put(rawIngress("shop/tls", { secret: "cert" }));
      cluster.put(rawService("shop/web"));
      cluster.put(rawSlice("shop/web", "a", ["10.0.0.1"]));
      for (const name of ["cert", "other"]) cluster.put(rawSecret(`shop/${name}`));
      const { source, store } = open(server);
      await source.start();
      const { objects } = store;
      assert.equal(objects.ingresses.size, 1101);
      assert.deepEqual([...objects.ingressClasses.keys()], ["sluice"]);
      assert.deepEqual([...objects.services.keys()], ["shop/web"]);
      assert.deepEqual([...objects.endpointSlices.keys()], ["shop/web"]);
      assert.deepEqual([...objects.secrets.keys()], ["shop/cert"]);
      assert.equal(objects.ingresses.get("shop/tls")?.meta.uid.length, 36);
      assert.deepEqual(source.waitingFor, []);
      const pages = server.requests.filter(({ verb, plural }) => verb === "list" && plural === "ingresses");
      assert.equal(pages.length, how === "a streamed list" ? 0 : how === "pages" ? 3 : 1);
    });
  }

  it("asks for no kind that it does not need", async () => {
    const server = await serve();
    const { source } = open(server);
    await source.start();
    assert.deepEqual(pathsOf(server, "stream", "list", "watch", "probe", "other"), [
      "/api/v1/services",
      "/apis/discovery.k8s.io/v1/endpointslices",
      "/apis/networking.k8s.io/v1/ingressclasses",
      "/apis/networking.k8s.io/v1/ingresses",
    ]);
  });

  it("tells changes and deletions as they come", async () => {
    const server = await serve();
    server.cluster.put(rawService("shop/web", 80));
    const { source, store } = open(server);
    await source.start();
    const began = performance.now();
    server.cluster.put(rawService("shop/web", 81));
    server.cluster.put(rawService("shop/api"));
    await until(
      () => store.objects.services.get("shop/web")?.ports[0]?.port === 81 && store.objects.services.size === 2,
      "change",
    );
    server.cluster.delete("Service", "shop/web");
    await until(() => !store.objects.services.has("shop/web"), "deletion");
    assert.ok(performance.now() - began < 1000);
    const service = source.stats.find(({ kind }) => kind === "Service");
    assert.deepEqual([service?.events, service?.objects, service?.synced], [3, 1, true]);
    assert.ok((service?.staleSeconds ?? 99) < 1);
  });

  it("keeps a Service and its endpoints for a moment when they are deleted, and for good when they come back", async () => {
    const server = await serve();
    const { cluster } = server;
    const create = (): void => {
      cluster.put(rawService("shop/web"));
      cluster.put(rawSlice("shop/web", "a", ["10.0.0.1"]));
    };
    create();
    const { source, store } = open(server, { hold: 200 });
    await source.start();
    const uid = store.objects.services.get("shop/web")?.meta.uid;
    let missing = 0;
    const leave = store.onChange(() => {
      if (!store.objects.services.has("shop/web") || !store.objects.endpointSlices.has("shop/web")) missing += 1;
    });
    cluster.delete("Service", "shop/web");
    cluster.delete("EndpointSlice", "shop/web-a");
    await until(() => source.stats.every(({ objects }) => objects === 0), "the deletions are known");
    create();
    await until(() => store.objects.services.get("shop/web")?.meta.uid !== uid, "the new Service");
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal(missing, 0);
    leave();
    cluster.delete("Service", "shop/web");
    cluster.delete("EndpointSlice", "shop/web-a");
    await until(() => store.objects.services.size + store.objects.endpointSlices.size === 0, "the end");
  });

  it("tells a burst as few changes of the store", async () => {
    const server = await serve();
    const { source, store } = open(server);
    await source.start();
    const changes: Change[] = [];
    store.onChange((change) => changes.push(change));
    for (let i = 0; i < 400; i++) server.cluster.put(rawSlice(`shop/web${i}`, "a", ["10.0.0.1"]));
    await until(() => store.objects.endpointSlices.size === 400, "all slices");
    assert.ok(changes.length < 40, `${changes.length} changes`);
    assert.ok(changes.every(({ endpointsOnly }) => endpointsOnly));
  });

  it("keeps the last good state of an object that turned invalid, until it is deleted or another takes its name", async () => {
    const server = await serve();
    server.cluster.put(rawIngress("shop/web", { host: "good.example" }));
    const { source, store } = open(server);
    await source.start();
    const host = () => store.objects.ingresses.get("shop/web")?.rules[0]?.host;
    server.cluster.put(rawIngress("shop/web", { host: "not_good" }));
    await until(() => source.problems.length === 1, "a problem");
    assert.equal(source.problems[0]?.code, "InvalidObject");
    assert.deepEqual(store.problems, source.problems);
    assert.equal(host(), "good.example");
    server.cluster.put(rawIngress("shop/web", { host: "better.example" }));
    await until(() => host() === "better.example", "the correction");
    assert.deepEqual(store.problems, []);
    // Deleted and created anew without anybody telling: the history is gone, and a list holds another object.
    server.network.cut();
    server.cluster.delete("Ingress", "shop/web");
    server.cluster.put(rawIngress("shop/web", { host: "not_good" }));
    server.cluster.compact();
    await until(() => host() === undefined && source.problems.length === 1, "no state of the one before");
    server.cluster.delete("Ingress", "shop/web");
    await until(() => source.problems.length === 0, "no problem of a deleted object");
  });

  it("hands each object to the observer as the server sent it", async () => {
    const server = await serve();
    server.cluster.put({ ...rawIngress("shop/web"), status: { loadBalancer: { ingress: [{ ip: "10.0.0.1" }] } } });
    const seen: string[] = [];
    const observer = {
      put: (kind: string, key: string, raw: Readonly<Record<string, unknown>>) =>
        seen.push(`${kind} ${key} ${JSON.stringify(raw.status)}`),
      delete: (kind: string, key: string) => seen.push(`${kind} ${key} gone`),
    };
    const { source } = open(server, { observer });
    await source.start();
    server.cluster.delete("Ingress", "shop/web");
    await until(() => seen.length === 2, "the deletion");
    assert.deepEqual(seen, [
      'Ingress shop/web {"loadBalancer":{"ingress":[{"ip":"10.0.0.1"}]}}',
      "Ingress shop/web gone",
    ]);
  });

  describe("reads Secrets", () => {
    it("by name, from when an Ingress refers to them until none does", async () => {
      const server = await serve();
      const { cluster } = server;
      cluster.put(rawSecret("shop/cert"));
      const { source, store } = open(server);
      await source.start();
      assert.equal(store.objects.secrets.size, 0);
      cluster.put(rawIngress("shop/web", { secret: "cert" }));
      await until(() => store.objects.secrets.has("shop/cert"), "the Secret");
      assert.deepEqual(
        pathsOf(server, "stream").filter((path) => path.includes("secrets")),
        ["/api/v1/namespaces/shop/secrets?metadata.name=cert"],
      );
      cluster.put(rawSecret("shop/cert", { data: { "tls.crt": "Yw==", "tls.key": "ZA==" } }));
      await until(
        () => Buffer.from(store.objects.secrets.get("shop/cert")?.data.get("tls.crt") ?? []).toString() === "c",
        "rotation",
      );
      cluster.put(rawIngress("shop/web", { secret: "late" }));
      await until(() => !store.objects.secrets.has("shop/cert"), "the end of the old one");
      cluster.put(rawSecret("shop/late"));
      await until(() => store.objects.secrets.has("shop/late"), "a Secret that comes after its Ingress");
      cluster.delete("Ingress", "shop/web");
      await until(() => store.objects.secrets.size === 0, "the end");
    });

    it("by name however many there are, a few at once, and says that there is another way", async () => {
      const server = await serve();
      for (let i = 0; i < 201; i++) {
        server.cluster.put(rawIngress(`shop/web${i}`, { host: `h${i}.example`, secret: `cert${i}` }));
        server.cluster.put(rawSecret(`shop/cert${i}`));
      }
      // With the usual times: as many handshakes take this one process longer than a pulse of a tenth of them may, and a
      // server that is taken to be away is listed anew by whoever had heard nothing of it yet.
      const { source, store, log } = open(server, scaled(1));
      await source.start();
      assert.equal(store.objects.secrets.size, 201);
      assert.equal(source.stats.find(({ kind }) => kind === "Secret")?.lists, 201);
      assert.deepEqual(log.told, ["warn: many Secrets are watched one by one, each by a connection of its own"]);
    });

    it("by their type where that is wished, and the others that are referred to by name", async () => {
      const server = await serve();
      const { cluster } = server;
      cluster.put(rawIngress("shop/web", { secret: "cert" }));
      cluster.put(rawIngress("shop/old", { host: "old.example", secret: "opaque" }));
      for (const name of ["cert", "unused"]) cluster.put(rawSecret(`shop/${name}`, { type: "kubernetes.io/tls" }));
      for (const name of ["opaque", "password"]) cluster.put(rawSecret(`shop/${name}`));
      const { source, store } = open(server, { secrets: "tls" });
      await source.start();
      assert.deepEqual([...store.objects.secrets.keys()].sort(), ["shop/cert", "shop/opaque", "shop/unused"]);
      assert.deepEqual(
        pathsOf(server, "stream").filter((path) => path.includes("secrets")),
        ["/api/v1/namespaces/shop/secrets?metadata.name=opaque", "/api/v1/secrets?type=kubernetes.io/tls"],
      );
      cluster.delete("Secret", "shop/cert");
      await until(() => !store.objects.secrets.has("shop/cert"), "the deletion");
      cluster.put(rawSecret("shop/cert", { type: "kubernetes.io/tls" }));
      await until(() => store.objects.secrets.has("shop/cert"), "its return");
    });

    it("without waiting for those that it may not read", async () => {
      const server = await serve();
      server.cluster.put(rawIngress("shop/web", { secret: "cert" }));
      server.fault = ({ plural }) => (plural === "secrets" ? { kind: "status", status: 403 } : null);
      const { source, log } = open(server);
      await source.start();
      assert.deepEqual(log.told, ["warn: cannot be read from the API server"]);
      assert.deepEqual(source.waitingFor, [
        "secrets of shop with metadata.name=cert: the API server answers 403: fake 403",
      ]);
    });

    it("never with a selector that a name has changed", async () => {
      const server = await serve();
      const { source } = open(server, { referredSecrets: () => ["shop/a,type=b", "../x", "shop/A", "shop/", "plain"] });
      await source.start();
      assert.equal(
        server.requests.some(({ plural }) => plural === "secrets"),
        false,
      );
    });
  });

  describe("in some namespaces", () => {
    it("needs no right outside of them, not even for classes", async () => {
      const server = await serve();
      const { cluster } = server;
      for (const namespace of ["shop", "blog", "other"]) {
        cluster.put(rawIngress(`${namespace}/web`, { host: `${namespace}.example` }));
        cluster.put(rawService(`${namespace}/web`));
      }
      server.fault = ({ namespace }) => (namespace === "" ? { kind: "status", status: 403 } : null);
      const { source, store } = open(server, { namespaces: ["shop", "blog"] });
      await source.start();
      assert.deepEqual([...store.objects.ingresses.keys()].sort(), ["blog/web", "shop/web"]);
      assert.deepEqual([...store.objects.services.keys()].sort(), ["blog/web", "shop/web"]);
    });

    it("reads what settings name elsewhere by its name", async () => {
      const server = await serve();
      const { cluster } = server;
      for (const key of ["system/default", "system/publish", "system/other", "shop/near"]) {
        cluster.put(rawService(key));
        cluster.put(rawSlice(key, "a", ["10.0.0.1"]));
      }
      cluster.put({
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: "sluice", namespace: "system" },
        data: { a: "b" },
      });
      const { source, store } = open(server, {
        namespaces: ["shop"],
        services: ["system/publish", "shop/near"],
        backends: ["system/default"],
        configMaps: ["system/sluice"],
      });
      await source.start();
      assert.deepEqual([...store.objects.services.keys()].sort(), ["shop/near", "system/default", "system/publish"]);
      assert.deepEqual([...store.objects.endpointSlices.keys()].sort(), ["shop/near", "system/default"]);
      assert.deepEqual([...store.objects.configMaps.keys()], ["system/sluice"]);
    });

    it("reads what settings name whether a selector chooses its namespace or not", async () => {
      const server = await serve();
      const { cluster } = server;
      const serving = { serve: "yes" };
      cluster.put(rawNamespace("shop", serving));
      cluster.put(rawNamespace("system"));
      for (const key of ["system/publish", "system/default", "system/other", "shop/web"]) {
        cluster.put(rawService(key));
        cluster.put(rawSlice(key, "a", ["10.0.0.1"]));
      }
      const observed: string[] = [];
      const { source, store } = open(server, {
        namespaceSelector: "serve=yes",
        services: ["system/publish"],
        backends: ["system/default"],
        observer: {
          put: (kind, key) => void (kind === "Service" && observed.push(`put ${key}`)),
          delete: (kind, key) => void (kind === "Service" && observed.push(`delete ${key}`)),
        },
      });
      await source.start();
      const { services, endpointSlices } = store.objects;
      const present = () => `${[...services.keys()].sort()} ${[...endpointSlices.keys()].sort()}`;
      const named = "shop/web,system/default,system/publish shop/web,system/default";
      assert.equal(present(), named);
      cluster.put(rawNamespace("system", serving));
      await until(
        () =>
          present() ===
          "shop/web,system/default,system/other,system/publish shop/web,system/default,system/other,system/publish",
        "the others of a namespace that is chosen now",
      );
      cluster.put(rawNamespace("system"));
      await until(() => present() === named, "them alone to go when it is not chosen any more");
      assert.deepEqual(
        observed.filter((line) => line.endsWith("system/publish")),
        ["put system/publish"],
      );
      cluster.delete("Service", "system/publish");
      await until(() => !services.has("system/publish"), "a Service that is deleted to go");
    });

    it("follows the namespaces that a selector chooses, as their labels change", async () => {
      const server = await serve();
      const { cluster } = server;
      const serving = { serve: "yes" };
      cluster.put(rawNamespace("shop", serving));
      cluster.put(rawNamespace("blog"));
      for (const namespace of ["shop", "blog"]) {
        cluster.put(rawIngress(`${namespace}/web`, { host: `${namespace}.example`, secret: "cert" }));
        cluster.put(rawService(`${namespace}/web`));
        cluster.put(rawSlice(`${namespace}/web`, "a", ["10.0.0.1"]));
        cluster.put(rawSecret(`${namespace}/cert`));
      }
      const { source, store } = open(server, { namespaceSelector: "serve=yes" });
      await source.start();
      const { objects } = store;
      const present = () =>
        [objects.ingresses, objects.services, objects.endpointSlices, objects.secrets].map((map) =>
          [...map.keys()].sort().join(),
        );
      const all = (keys: string) => [`${keys}`, keys, keys, keys.replaceAll("web", "cert")];
      assert.deepEqual(present(), all("shop/web"));
      cluster.put(rawNamespace("blog", serving));
      await until(
        () => present().join() === all("blog/web,shop/web").join(),
        "what lies in a namespace that is chosen now",
      );
      cluster.put(rawNamespace("shop"));
      await until(
        () => present().join() === all("blog/web").join(),
        "nothing of a namespace that is not chosen any more",
      );
      cluster.put(rawService("shop/more"));
      cluster.put(rawService("blog/more"));
      await until(() => objects.services.has("blog/more"), "later changes");
      assert.equal(objects.services.has("shop/more"), false);
    });
  });

  describe("that reads once", () => {
    it("ends by itself, having opened no watch", async () => {
      const server = await serve();
      server.cluster.put(rawIngress("shop/web", { secret: "cert" }));
      server.cluster.put(rawSecret("shop/cert"));
      const { source, store } = open(server, { watch: false });
      await source.start();
      assert.deepEqual([store.objects.ingresses.size, store.objects.secrets.size], [1, 1]);
      assert.deepEqual(pathsOf(server, "watch", "stream", "probe"), []);
    });

    for (const [what, fault, reason] of [
      ["it may not read", { kind: "status", status: 403 }, /services cannot be read: the API server answers 403/],
      [
        "its credentials are refused",
        { kind: "status", status: 401 },
        /services cannot be read: the API server answers 401/,
      ],
      [
        "the server goes on failing",
        { kind: "status", status: 500 },
        /services cannot be read: the API server answers 500/,
      ],
      ["nobody answers", { kind: "reset" }, /services cannot be read: the API server at 127.0.0.1 cannot be reached/],
    ] as const) {
      it(`fails when ${what}`, async () => {
        const server = await serve();
        server.fault = ({ plural }) => (plural === "services" ? fault : null);
        const { source } = open(server, { watch: false });
        await assert.rejects(source.start(), reason);
      });
    }

    it("succeeds when the server fails but once", async () => {
      const server = await serve();
      let failures = 0;
      server.fault = () => (failures++ === 0 ? { kind: "status", status: 500 } : null);
      await open(server, { watch: false }).source.start();
    });
  });

  it("rejects the start when it is stopped before everything was read, and leaves the store alone from then on", async () => {
    const server = await serve();
    server.fault = ({ plural }) => (plural === "services" ? { kind: "silence" } : null);
    const { source, store } = open(server);
    const started = assert.rejects(source.start(), /stopped/);
    await until(() => server.requests.length >= 4, "requests");
    assert.deepEqual(source.waitingFor.includes("services"), true);
    await source.stop();
    await started;
    let changes = 0;
    store.onChange(() => {
      changes += 1;
    });
    server.cluster.put(rawIngress("shop/web"));
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(changes, 0);
  });

  it("leaves no connection behind", async () => {
    const server = await serve();
    server.cluster.put(rawIngress("shop/web", { secret: "cert" }));
    const { source } = open(server);
    await source.start();
    await source.stop();
    await until(() => server.connections === 0, "no connections");
  });
});
