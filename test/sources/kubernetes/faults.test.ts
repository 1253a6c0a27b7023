/** Every fault of an API server and of the network before it, over real sockets, with times a tenth as long as usual. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { Credentials } from "../../../src/sources/kubernetes/credentials.ts";
import { inCluster } from "../../../src/sources/kubernetes/in-cluster.ts";
import type { KubernetesSource } from "../../../src/sources/kubernetes/source.ts";
import { FakeApiServer, type FakeApiServerOptions } from "../../support/fake-api-server.ts";
import {
  credentialsFor,
  difference,
  mostListsWithin,
  openSource,
  rawClass,
  rawIngress,
  rawService,
  rawSlice,
  scaled,
  type TestSource,
  until,
} from "../../support/kubernetes.ts";
import { makeCertificate, testRoot } from "../../support/pki.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

/** A second of a world whose times are a tenth as long. */
const second = 100;

interface FaultCase {
  readonly name: string;
  readonly options?: FakeApiServerOptions;
  readonly begin: (server: FakeApiServer) => void | Promise<void>;
  readonly heal: (server: FakeApiServer) => void | Promise<void>;
  /** Default 5 s. */
  readonly seconds?: number;
}

const nothing = (): null => null;

const cases: readonly FaultCase[] = [
  { name: "every connection is cut", begin: (server) => server.network.cut(), heal: () => undefined, seconds: 0 },
  {
    name: "the server cannot be reached",
    begin: (server) => server.network.stop(),
    heal: (server) => server.network.start(),
    seconds: 12,
  },
  {
    name: "the network swallows everything, and the connections of that time stay dead",
    begin: (server) => server.network.freeze(),
    heal: (server) => server.network.thaw(),
    seconds: 24,
  },
  ...([429, 500, 503] as const).map(
    (status): FaultCase => ({
      name: `the server answers ${status}`,
      begin: (server) => {
        server.fault = () => ({ kind: "status", status });
        server.network.cut();
      },
      heal: (server) => {
        server.fault = nothing;
      },
      seconds: 8,
    }),
  ),
  ...(
    [
      ["by HTTP status", { kind: "status", status: 410, reason: "Expired" }],
      ["inside the stream", { kind: "error event", code: 410, reason: "Expired" }],
    ] as const
  ).map(
    ([how, fault]): FaultCase => ({
      name: `the server says 410 to every watch, ${how}`,
      begin: (server) => {
        server.fault = ({ verb }) => (verb === "watch" ? fault : null);
        server.network.cut();
      },
      heal: (server) => {
        server.fault = nothing;
      },
    }),
  ),
  {
    name: "the server ends every watch with an error of its own",
    begin: (server) => {
      server.fault = ({ verb }) =>
        verb === "watch" || verb === "stream" ? { kind: "error event", code: 500, reason: "etcd" } : null;
      server.network.cut();
    },
    heal: (server) => {
      server.fault = nothing;
    },
  },
  ...(["end", "reset"] as const).map(
    (how): FaultCase => ({
      name: `lists and events are cut off by ${how === "end" ? "what looks like the end" : "a broken connection"}`,
      begin: (server) => {
        let bytes = 1;
        server.fault = () => {
          bytes += 97;
          return { kind: "truncated", bytes, how };
        };
        server.cluster.compact();
        server.network.cut();
      },
      heal: (server) => {
        server.fault = nothing;
      },
    }),
  ),
  {
    name: "lists are slow",
    options: { streams: false },
    begin: (server) => {
      server.fault = ({ verb }) => (verb === "list" ? { kind: "slow", bytes: 400, pause: 3 } : null);
      server.cluster.compact();
      server.network.cut();
    },
    heal: () => undefined,
    seconds: 0,
  },
  ...([0, 1] as const).map(
    (odd): FaultCase => ({
      name: `the history is compacted, and the server tells ${odd === 0 ? "at once" : "inside the stream"}`,
      begin: (server) => {
        // Which of the two the fake server does depends on the version it is asked for.
        while (server.cluster.version % 2 !== odd) server.cluster.put(rawService("shop/web", 80));
      },
      heal: async (server) => {
        await sleep(50);
        server.network.cut();
        server.cluster.compact();
      },
      seconds: 0,
    }),
  ),
  {
    name: "tokens are refused for some time",
    begin: (server) => {
      server.tokens.clear();
      server.network.cut();
    },
    heal: (server) => {
      server.tokens.add("good");
    },
  },
];

describe("through a fault of the API server", () => {
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
    server.cluster.put(rawClass("sluice"));
    for (let i = 0; i < 30; i++) {
      server.cluster.put(rawIngress(`shop/web${i}`, { host: `h${i}.example` }));
      server.cluster.put(rawService(`shop/web${i}`));
      server.cluster.put(rawSlice(`shop/web${i}`, "a", ["10.0.0.1"]));
    }
    return server;
  }

  async function start(server: FakeApiServer, options: Parameters<typeof openSource>[1] = {}): Promise<TestSource> {
    const opened = openSource(server, options);
    sources.push(opened.source);
    await opened.source.start();
    assert.equal(difference(opened.store, server), "");
    return opened;
  }

  /** Everything that can happen to objects. */
  function change({ cluster }: FakeApiServer): void {
    cluster.put(rawIngress("shop/web0", { host: "changed.example" }));
    cluster.put(rawIngress("shop/new", { host: "new.example" }));
    cluster.delete("Ingress", "shop/web1");
    cluster.delete("Service", "shop/web2");
    cluster.put(rawService("shop/web2", 8080));
    cluster.put(rawSlice("shop/web3", "b", ["10.0.0.2", "10.0.0.3"]));
    cluster.delete("EndpointSlice", "shop/web4-a");
    cluster.put(rawClass("other", "example.com/other"));
  }

  for (const { name, options = {}, begin, heal, seconds = 5 } of cases) {
    it(`loses nothing, tells nothing twice and lists at most once a second: ${name}`, async () => {
      const server = await serve(options);
      const { source, store } = await start(server);
      let lost = 0;
      store.onChange(() => {
        // These do not change whatever happens to the server.
        for (let i = 5; i < 30; i++) if (!store.objects.ingresses.has(`shop/web${i}`)) lost += 1;
      });
      await begin(server);
      await sleep((seconds * second) / 2);
      change(server);
      await sleep((seconds * second) / 2);
      await heal(server);
      await until(
        () => difference(store, server) === "",
        `the same as in the cluster; ${difference(store, server)}`,
        6000,
      );
      assert.equal(lost, 0);
      assert.ok(mostListsWithin(second, server, 5) <= 2, "a list may arrive late and the next in time");
      // It goes on as before.
      server.cluster.put(rawService("shop/last"));
      await until(() => store.objects.services.has("shop/last"), "a later change", 6000);
      assert.deepEqual(source.problems, []);
    });
  }

  it("finds streams that are half-open although the server answers everything else", async () => {
    const server = await serve({ bookmarks: 50 });
    const limits = { ...scaled(0.1).limits, listIdle: 300, watchIdle: 300 };
    const { source, store } = await start(server, { limits });
    // What exists is dead from now on; what is new works.
    server.network.freeze();
    server.network.thaw();
    change(server);
    await until(() => difference(store, server) === "", "the same as in the cluster", 5000);
    const ingresses = source.stats.find(({ kind }) => kind === "Ingress");
    assert.equal(ingresses?.failures.get("silent"), 1);
    assert.equal(ingresses?.lists, 1, "a watch goes on from where the silent one was");
  });

  it("takes a stream for alive that sends nothing but bookmarks, and goes on from the last one", async () => {
    const server = await serve({ bookmarks: 40 });
    const { source, store } = await start(server, { limits: { ...scaled(0.1).limits, listIdle: 200, watchIdle: 200 } });
    // Versions that Ingresses know by bookmarks only.
    for (let i = 0; i < 5; i++) server.cluster.put(rawService("shop/web0", 100 + i));
    await sleep(600);
    server.cluster.compact();
    await sleep(100);
    server.network.cut();
    server.cluster.put(rawIngress("shop/web0", { host: "changed.example" }));
    await until(() => difference(store, server) === "", "the same as in the cluster");
    const ingresses = source.stats.find(({ kind }) => kind === "Ingress");
    assert.deepEqual([ingresses?.lists, ingresses?.failures.get("silent") ?? 0], [1, 0]);
  });

  it("lists again when versions begin anew, as when etcd is restored from a backup", async () => {
    const server = await serve({ bookmarks: 50 });
    const { store } = await start(server, { limits: { ...scaled(0.1).limits, listIdle: 150, watchIdle: 150 } });
    server.cluster.goBackTo(10);
    server.network.cut();
    change(server);
    await until(() => difference(store, server) === "", "the same as in the cluster");
    server.cluster.put(rawService("shop/last"));
    await until(() => store.objects.services.has("shop/last"), "a later change");
  });

  it("asks for nothing of a kind before the time that the server named", async () => {
    const server = await serve();
    const { store } = await start(server);
    server.fault = () => ({ kind: "status", status: 429, retryAfter: 1 });
    server.network.cut();
    const before = server.requests.length;
    change(server);
    await until(() => server.requests.length >= before + 4, "every kind asked");
    await sleep(300);
    server.fault = nothing;
    await until(() => difference(store, server) === "", "the same as in the cluster", 5000);
    for (const plural of ["ingresses", "services", "endpointslices"]) {
      const times = server.requests
        .slice(before)
        .filter((request) => request.plural === plural && request.verb !== "probe")
        .map(({ time }) => time);
      assert.ok((times[1] ?? 0) - (times[0] ?? 0) >= 950, `${plural}: ${times}`);
    }
  });

  it("serves what it knows when the server is gone, and says since when", async () => {
    const server = await serve();
    const { source, store, log } = await start(server);
    await server.network.stop();
    await until(() => source.away, "it is known to be away");
    await sleep(600);
    assert.equal(difference(store, server), "");
    for (const { staleSeconds } of source.stats) assert.ok((staleSeconds ?? 0) >= 0.5);
    await server.network.start();
    await until(
      () => !source.away && source.stats.every(({ staleSeconds }) => (staleSeconds ?? 9) < 0.5),
      "all heard of",
    );
    assert.deepEqual(log.told, [
      "warn: the API server is away; what it told before stays in force",
      "info: the API server is back",
    ]);
  });

  it("is not started while the server is gone, and starts when it comes", async () => {
    const server = await serve();
    await server.network.stop();
    const { source, store } = openSource(server);
    sources.push(source);
    let started = false;
    const start = source.start().then(() => {
      started = true;
    });
    await sleep(500);
    assert.equal(started, false);
    assert.equal(store.objects.ingresses.size, 0);
    assert.ok(
      source.waitingFor.every((line) => line.includes("cannot be reached")),
      source.waitingFor.join("\n"),
    );
    await server.network.start();
    await start;
    assert.equal(difference(store, server), "");
  });

  it("lists where the server never says that the streamed list is complete", async () => {
    const server = await serve();
    let changes = 0;
    server.endsInitialEvents = false;
    const busy = setInterval(() => server.cluster.put(rawIngress("shop/web0", { host: `h${changes++}.example` })), 20);
    try {
      const { source } = await openAndStart(server);
      const ingresses = source.stats.find(({ kind }) => kind === "Ingress");
      assert.deepEqual([ingresses?.synced, ingresses?.failures.get("malformed")], [true, 1]);
    } finally {
      clearInterval(busy);
    }

    async function openAndStart(from: FakeApiServer): Promise<TestSource> {
      const limits = { ...scaled(0.1).limits, initialEvents: 200, listIdle: 200 };
      const opened = openSource(from, { limits });
      sources.push(opened.source);
      await opened.source.start();
      return opened;
    }
  });

  it("takes in an object of a megabyte, by list and by watch", async () => {
    const server = await serve();
    const big = {
      note: "ü".repeat(120_000),
      ...Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`k${i}`, "x".repeat(10_000)])),
    };
    const config = {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "big", namespace: "shop" },
      data: { small: "1" },
    };
    server.cluster.put(config);
    const { store, source } = await start(server, { configMaps: ["shop/big"] });
    server.cluster.put({ ...config, data: big });
    await until(
      () => store.objects.configMaps.get("shop/big")?.data.size === 101 || source.problems.length > 0,
      "the big object",
    );
    assert.match(source.problems[0]?.message ?? "", /bytes of data are too many/);
    server.cluster.put({ ...config, data: { ...big, note: "ü".repeat(1000) } });
    await until(() => store.objects.configMaps.get("shop/big")?.data.size === 101, "the big object");
    const again = await start(server, { configMaps: ["shop/big"] });
    assert.equal(again.store.objects.configMaps.get("shop/big")?.data.get("note")?.length, 1000);
  });

  it("asks the credentials anew when the token has expired, and goes on with the one that took its place", async () => {
    const server = await serve();
    const directory = await temporaryDirectory({ token: "good", "ca.crt": testRoot().cert });
    try {
      const { store } = await start(server, { credentials: podCredentials(server, directory.path) });
      server.tokens.clear();
      server.network.cut();
      change(server);
      await sleep(300);
      assert.notEqual(difference(store, server), "");
      server.tokens.add("rotated");
      await directory.write("token", "rotated");
      await until(() => difference(store, server) === "", "the same as in the cluster", 6000);
    } finally {
      await directory.remove();
    }
  });

  it("trusts the new authority as soon as it is in its file", async () => {
    const server = await serve();
    const directory = await temporaryDirectory({ token: "good", "ca.crt": testRoot().cert });
    try {
      const { store } = await start(server, { credentials: podCredentials(server, directory.path) });
      const root = makeCertificate({ names: [], commonName: "New root", issuer: "self", isAuthority: true });
      server.useCertificate(makeCertificate({ names: ["127.0.0.1"], issuer: root }));
      server.network.cut();
      change(server);
      await sleep(300);
      assert.notEqual(difference(store, server), "");
      await directory.write("ca.crt", root.cert);
      await until(() => difference(store, server) === "", "the same as in the cluster", 6000);
    } finally {
      await directory.remove();
    }
  });

  it("renews credentials that are refused", async () => {
    const server = await serve();
    const credentials = credentialsFor(server);
    const { source } = await start(server, { credentials });
    server.tokens.clear();
    server.network.cut();
    await until(() => credentials.renewals > 2, "renewals");
    await source.stop();
  });

  function podCredentials(server: FakeApiServer, directory: string): Credentials {
    const { hostname, port } = new URL(server.url);
    const credentials = inCluster({ KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port }, directory);
    assert.ok(credentials !== null);
    return credentials;
  }
});
