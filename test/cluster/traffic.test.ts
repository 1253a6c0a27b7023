/** Requests through Sluice while the Pods, the Service and the Ingress behind them come, change and go. */
import assert from "node:assert/strict";
import type { V1EndpointSlice } from "@kubernetes/client-node";
import { eventually, get, runSluice } from "../support/sluice-process.ts";
import type { ApiClient } from "./api.ts";
import { Load } from "./load.ts";
import { ingressManifest, serviceManifest } from "./manifests.ts";
import { type Pod, Pods } from "./pods.ts";
import { installAccount, type Sluice, startSluice } from "./sluice.ts";
import { describeCluster } from "./suite.ts";

/** Milliseconds from an EndpointSlice to traffic. */
const mostDelay = 200;

describeCluster("traffic through a cluster", ["pods"], (given) => {
  const namespace = "traffic";
  let api: ApiClient;
  let pods: Pods;
  let sluice: Sluice;

  before(async function () {
    this.timeout(60_000);
    const cluster = given();
    api = cluster.client(cluster.admin);
    pods = await Pods.start(cluster);
    await installAccount(cluster, namespace);
    sluice = await startSluice(cluster, { namespace });
  });

  after(async () => {
    await sluice?.process.kill();
    await pods?.stop();
  });

  const run = (app: string, name: string): Promise<Pod> => pods.run({ namespace, name, labels: { app }, service: app });

  /** The Service, an Ingress for its host, and so many Pods; resolves when requests get there. */
  async function deploy(app: string, replicas: number): Promise<Pod[]> {
    await api.apply(serviceManifest(namespace, app));
    await api.apply(ingressManifest(namespace, app, { host: `${app}.example`, service: app }));
    const running = await Promise.all(Array.from({ length: replicas }, (_, index) => run(app, `${app}-${index}`)));
    await endpointsBecome(app, running);
    return running;
  }

  /** Resolves when the slices, and with them Sluice, know just these Pods. */
  async function endpointsBecome(app: string, running: readonly Pod[]): Promise<void> {
    const wanted = running.map(({ address }) => address).sort();
    await eventually(
      async () => (await endpointsInForce(app)).join(),
      (found) => found === wanted.join(),
      10_000,
    );
  }

  async function endpointsInForce(app: string): Promise<readonly string[]> {
    const { upstreams } = JSON.parse((await get(sluice.admin, "/snapshot")).body);
    const upstream = upstreams.find((each: { key: string }) => each.key === `${namespace}/${app}/80`);
    return (upstream?.endpoints ?? []).map(({ address }: { address: string }) => address);
  }

  async function readyInSlices(app: string): Promise<boolean> {
    const label = `kubernetes.io/service-name=${app}`;
    const slices = await api.list<V1EndpointSlice>("discovery.k8s.io/v1", "EndpointSlice", namespace, label);
    return slices.some(({ endpoints }) => endpoints?.some(({ conditions }) => conditions?.ready === true));
  }

  for (const order of ["before", "after"] as const) {
    it(`begins within ${mostDelay} ms of the EndpointSlice when the Ingress is created ${order} it`, async () => {
      const app = `new-${order}`;
      const ingress = ingressManifest(namespace, app, { host: `${app}.example`, service: app });
      await api.apply(serviceManifest(namespace, app));
      if (order === "before") await api.apply(ingress);
      const sliced = eventually(
        () => readyInSlices(app),
        (ready) => ready,
        15_000,
      ).then(async () => {
        if (order === "after") await api.apply(ingress);
        return performance.now();
      });
      const served = eventually(
        async () => (await get(sluice.http, "/", `${app}.example`)).status,
        (status) => status === 200,
        20_000,
      ).then(() => performance.now());
      await run(app, `${app}-0`);
      const delay = (await served) - (await sliced);
      assert.ok(delay <= mostDelay, `it took ${Math.round(delay)} ms`);
    });
  }

  it("is what sluice render prints of the current context, with permission to read alone", async () => {
    const cluster = given();
    // An account of its own, for the Sluice that serves does write.
    const account = await installAccount(cluster, "rendering");
    const since = await cluster.audit.position();
    const kubeconfig = await cluster.kubeconfig(await cluster.serviceAccount(account));
    const { code, stdout, stderr } = await runSluice(["render"], { environment: { KUBECONFIG: kubeconfig } });
    assert.equal(code, 0, stderr);
    assert.match(stdout, /server_name new-before\.example;/);
    const entries = (await cluster.audit.entries(since)).filter(({ user }) => user.endsWith(":rendering:sluice"));
    assert.deepEqual(
      entries.filter(({ verb }) => !["get", "list", "watch"].includes(verb)),
      [],
    );
  });

  /** Fails when a single request of those that are sent meanwhile does. */
  async function withLoad(app: string, change: (load: Load) => Promise<void>): Promise<void> {
    const load = new Load({ port: sluice.http, host: `${app}.example` });
    try {
      await load.answered(20);
      await change(load);
      await load.answered(20);
    } finally {
      await load.stop();
    }
    assert.deepEqual(load.failures, []);
  }

  it("does not suffer when a Service is scaled from one Pod to five and down to two", async function () {
    this.timeout(40_000);
    const [first] = await deploy("scaled", 1);
    assert.ok(first);
    await withLoad("scaled", async ({ pods }) => {
      const more = await Promise.all([1, 2, 3, 4].map((index) => run("scaled", `scaled-${index}`)));
      await endpointsBecome("scaled", [first, ...more]);
      await eventually(
        async () => pods.size,
        (size) => size === 5,
        10_000,
      );
      const kept = more.slice(0, 1);
      await Promise.all(more.slice(1).map((pod) => pod.terminate()));
      await endpointsBecome("scaled", [first, ...kept]);
    });
  });

  it("does not suffer when every Pod is replaced", async function () {
    this.timeout(40_000);
    const old = await deploy("rolled", 3);
    let running: readonly Pod[] = old;
    await withLoad("rolled", async () => {
      for (const [index, pod] of old.entries()) {
        const next = await run("rolled", `rolled-next-${index}`);
        running = [...running, next];
        await endpointsBecome("rolled", running);
        running = running.filter((each) => each !== pod);
        await pod.terminate();
        await endpointsBecome("rolled", running);
      }
    });
  });

  it("does not suffer when a Pod dies that nobody has noticed yet", async function () {
    this.timeout(40_000);
    const [first, second] = await deploy("crashed", 2);
    assert.ok(first && second);
    await withLoad("crashed", async () => {
      await first.crash();
      await new Promise((resolve) => setTimeout(resolve, 500));
      await first.remove();
      await endpointsBecome("crashed", [second]);
    });
  });

  it("does not suffer when the Service is deleted and created again", async function () {
    this.timeout(40_000);
    const running = await deploy("recreated", 2);
    await withLoad("recreated", async () => {
      const before = await api.read(serviceManifest(namespace, "recreated"));
      await api.delete(serviceManifest(namespace, "recreated"));
      const after = await api.create(serviceManifest(namespace, "recreated"));
      assert.notEqual(after.metadata.uid, before?.metadata.uid);
      await slicesBelongTo("recreated", after.metadata.uid ?? "");
      await endpointsBecome("recreated", running);
    });
  });

  it("does not suffer when a port of the Service is renamed", async function () {
    this.timeout(40_000);
    const running = await deploy("renamed", 2);
    await withLoad("renamed", async () => {
      await api.apply(serviceManifest(namespace, "renamed", "web"));
      await eventually(
        async () => {
          const label = "kubernetes.io/service-name=renamed";
          const slices = await api.list<V1EndpointSlice>("discovery.k8s.io/v1", "EndpointSlice", namespace, label);
          return slices.flatMap(({ ports }) => ports?.map(({ name }) => name) ?? []).join();
        },
        (names) => names === "web",
        10_000,
      );
      await endpointsBecome("renamed", running);
    });
  });

  /** Resolves when the slices are those of the Service with that UID, and no others are left. */
  async function slicesBelongTo(app: string, uid: string): Promise<void> {
    const label = `kubernetes.io/service-name=${app}`;
    await eventually(
      async () => {
        const slices = await api.list<V1EndpointSlice>("discovery.k8s.io/v1", "EndpointSlice", namespace, label);
        return slices.map(({ metadata, endpoints }) => `${metadata?.ownerReferences?.[0]?.uid} ${endpoints?.length}`);
      },
      (owners) => owners.length === 1 && owners[0] === `${uid} 2`,
      15_000,
    );
  }
});
