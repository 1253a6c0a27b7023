/**
 * What replicas write to a real API server: it has its own idea of merge patches, versions, field managers and of what an Event
 * may say. They act under the least permissions, and the audit log says that these are enough and that each is used.
 */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { CoreV1Event, V1Ingress, V1Lease } from "@kubernetes/client-node";
import type { Problem } from "../../src/model/problem.ts";
import { Api } from "../../src/sources/kubernetes/api.ts";
import { systemClock } from "../../src/sources/kubernetes/clock.ts";
import { Publisher } from "../../src/sources/kubernetes/publisher.ts";
import { KubernetesSource } from "../../src/sources/kubernetes/source.ts";
import { ObjectStore } from "../../src/sources/store.ts";
import { eventually } from "../support/sluice-process.ts";
import type { ApiClient, Manifest } from "./api.ts";
import type { Cluster } from "./cluster.ts";
import { describeCluster } from "./suite.ts";

const own = "publisher-edge";
const shop = "publisher-shop";
const manager = `sluice/${own}/sluice-leader`;
const address = [{ ip: "192.0.2.1", ports: [{ port: 80, protocol: "TCP" }] }];

/** Verbs of the writers by resource; what the source needs is granted besides. */
const clusterRules = [
  { apiGroups: ["networking.k8s.io"], resources: ["ingresses"], verbs: ["get"] },
  { apiGroups: ["networking.k8s.io"], resources: ["ingresses/status"], verbs: ["patch"] },
  { apiGroups: ["events.k8s.io"], resources: ["events"], verbs: ["create", "patch"] },
];
const ownRules = [
  { apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["create"] },
  {
    apiGroups: ["coordination.k8s.io"],
    resources: ["leases"],
    resourceNames: ["sluice-leader"],
    verbs: ["get", "patch"],
  },
  { apiGroups: [""], resources: ["pods"], verbs: ["get", "list"] },
];
const sourceRules = [
  {
    apiGroups: ["networking.k8s.io", "discovery.k8s.io", ""],
    resources: ["ingresses", "ingressclasses", "services", "endpointslices", "secrets"],
    verbs: ["list", "watch"],
  },
];

describeCluster("what replicas write to a cluster", [], (given) => {
  let admin: ApiClient;
  const replicas: Replica[] = [];

  before(async () => {
    const cluster = given();
    admin = cluster.client(cluster.admin);
    for (const namespace of [own, shop]) await cluster.createNamespace(namespace);
    await grant(admin);
    const service = await admin.apply({
      apiVersion: "v1",
      kind: "Service",
      metadata: { namespace: own, name: "sluice" },
      spec: { type: "LoadBalancer", ports: [{ port: 80 }] },
    });
    await admin.patch(service, { status: { loadBalancer: { ingress: address } } }, "status");
  });

  afterEach(async () => {
    await Promise.all(replicas.splice(0).map((replica) => replica.end()));
    for (const { metadata } of await admin.list<Manifest>("networking.k8s.io/v1", "Ingress", shop))
      await admin.delete(ingressOf(metadata.name));
    for (const name of ["a", "b"])
      await admin.delete(
        { apiVersion: "v1", kind: "Pod", metadata: { namespace: own, name } },
        { gracePeriodSeconds: 0 },
      );
  });

  async function join(name: string): Promise<Replica> {
    await admin.apply({
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        namespace: own,
        name,
        labels: { "app.kubernetes.io/name": "sluice", "app.kubernetes.io/instance": own, "pod-template-hash": name },
      },
      spec: { serviceAccountName: "sluice", containers: [{ name: "sluice", image: "sluice" }] },
    });
    const replica = await Replica.start(given(), name);
    replicas.push(replica);
    return replica;
  }

  const create = (name: string, ingressClassName = "sluice"): Promise<Manifest> =>
    admin.apply({
      ...ingressOf(name),
      spec: { ingressClassName, defaultBackend: { service: { name: "web", port: { number: 80 } } } },
    });
  const read = async (name: string): Promise<V1Ingress> => ((await admin.read(ingressOf(name))) ?? {}) as V1Ingress;
  const status = async (name: string): Promise<unknown> => (await read(name)).status?.loadBalancer?.ingress;
  const statusBecomes = (name: string, wanted: unknown) =>
    eventually(
      () => status(name),
      (found) => JSON.stringify(found) === JSON.stringify(wanted),
    );
  const leads = (replica: Replica, ms: number) =>
    eventually(
      async () => replica.publisher.state.leading,
      (leading) => leading,
      ms,
    );

  it("is the status of Ingresses, by one replica, which changes nothing that is translated", async () => {
    await create("web");
    await create("foreign", "other");
    const [a, b] = [await join("a"), await join("b")];
    await statusBecomes("web", address);
    assert.equal([a, b].filter(({ publisher }) => publisher.state.leading).length, 1);
    const { metadata } = await read("web");
    const writers = metadata?.managedFields?.filter(({ subresource }) => subresource === "status");
    assert.deepEqual(
      writers?.map((entry) => [entry.manager, entry.operation]),
      [[manager, "Update"]],
    );
    await create("later");
    await statusBecomes("later", address);
    assert.equal(await status("foreign"), undefined);
    for (const { changed } of [a, b]) assert.deepEqual(changed, [`${shop}/later`]);
  });

  it("is taken over within two seconds when the leader is stopped, and the status stays as it is", async () => {
    await create("web");
    const a = await join("a");
    await statusBecomes("web", address);
    const b = await join("b");
    const before = await read("web");
    const stopped = a.publisher.stop(5000);
    await leads(b, 2000);
    await stopped;
    assert.equal((await read("web")).metadata?.resourceVersion, before.metadata?.resourceVersion);
    const lease = (await admin.read({
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { namespace: own, name: "sluice-leader" },
    })) as V1Lease | null;
    assert.match(lease?.spec?.holderIdentity ?? "", /^b_/);
  });

  it("is taken back from an Ingress that goes to another class, and from no other controller", async () => {
    for (const name of ["web", "taken"]) await create(name);
    await join("a");
    for (const name of ["web", "taken"]) await statusBecomes(name, address);
    await admin.patch(ingressOf("web"), { spec: { ingressClassName: "other" } });
    await statusBecomes("web", undefined);
    // The other controller writes its own, and ours stays out of it, although we were the last to empty the field.
    await admin.patch(ingressOf("web"), { status: { loadBalancer: { ingress: [{ ip: "198.51.100.1" }] } } }, "status");
    await admin.patch(ingressOf("web"), { metadata: { labels: { touched: "yes" } } });
    await admin.patch(ingressOf("taken"), { spec: { ingressClassName: "other" } });
    await statusBecomes("taken", undefined);
    assert.deepEqual(await status("web"), [{ ip: "198.51.100.1" }]);
  });

  it("meets with conflicts, and is right afterwards", async () => {
    await create("web");
    const replica = await join("a");
    await statusBecomes("web", address);
    replica.stall = async () => {
      replica.stall = null;
      await admin.patch(ingressOf("web"), { metadata: { labels: { between: "us" } } });
    };
    await admin.patch(ingressOf("web"), { status: { loadBalancer: { ingress: null } } }, "status");
    await statusBecomes("web", address);
    assert.equal(replica.publisher.state.statusConflicts, 1);
  });

  it("is Events that kubectl describe finds, each once, counted when it comes back", async () => {
    const { metadata } = await create("web");
    const events = () =>
      admin
        .list<CoreV1Event>("v1", "Event", shop)
        .then((all) => all.filter((each) => each.involvedObject.uid === metadata.uid));
    const eventsBecome = (...wanted: readonly string[]) =>
      eventually(
        async () => (await events()).map(({ type, reason }) => `${type} ${reason}`).sort(),
        (found) => JSON.stringify(found) === JSON.stringify(wanted),
      );
    const a = await join("a");
    await leads(a, 5000);
    a.find({
      code: "ServiceNotFound",
      object: { kind: "Ingress", namespace: shop, name: "web" },
      field: "spec.defaultBackend",
      message: `Service "web" does not exist; create it \u0007${"ü".repeat(2000)}`,
    });
    await eventsBecome("Warning ServiceNotFound");
    await admin.patch(ingressOf("web"), { metadata: { annotations: { changed: "yes" } } });
    await eventsBecome("Normal Sync", "Warning ServiceNotFound");
    const warning = (await events()).find(({ type }) => type === "Warning");
    assert.match(warning?.message ?? "", /^spec\.defaultBackend: Service "web" does not exist; create it \\u0007ü+…$/);
    assert.equal(warning?.involvedObject.fieldPath, "spec.defaultBackend");
    // Another leader finds the same, and the API server tells it that it has been said.
    const b = await join("b");
    await a.publisher.stop(5000);
    await leads(b, 2000);
    b.find(...a.problems);
    await eventually(
      async () => b.publisher.state.eventsWaiting,
      (waiting) => waiting === 0,
    );
    await eventsBecome("Normal Sync", "Warning ServiceNotFound");
  });

  it("is taken back from everywhere when the last replica leaves", async () => {
    await create("web");
    const [a, b] = [await join("a"), await join("b")];
    await statusBecomes("web", address);
    await a.publisher.stop(5000);
    assert.deepEqual(await status("web"), address);
    await admin.delete(
      { apiVersion: "v1", kind: "Pod", metadata: { namespace: own, name: "a" } },
      { gracePeriodSeconds: 0 },
    );
    await leads(b, 3000);
    await b.publisher.stop(5000);
    assert.equal(await status("web"), undefined);
  });

  it("took exactly the permissions that were given", async () => {
    const user = `system:serviceaccount:${own}:sluice`;
    const entries = (await given().audit.entries()).filter((entry) => entry.user === user && entry.resource !== "");
    const refused = entries.filter((entry) => entry.status === 401 || entry.status === 403);
    // The authorizer may learn of the roles a moment after the first request.
    assert.deepEqual(refused, []);
    const used = new Set(entries.map(({ verb, group, resource }) => `${verb} ${resource} ${group}`));
    const granted = [...clusterRules, ...ownRules].flatMap(({ apiGroups, resources, verbs }) =>
      verbs.map((verb) => `${verb} ${resources[0]} ${apiGroups[0]}`),
    );
    // A counted Event takes a minute; the API server's answer to the patch is tried below, with its own permission.
    assert.deepEqual(
      granted.filter((permission) => !used.has(permission)),
      ["patch events events.k8s.io"],
    );
  });

  it("counts an Event that is there", async () => {
    const identity = await given().serviceAccount({ namespace: own, name: "sluice" });
    const replica = given().client(identity);
    const [event] = await admin.list<CoreV1Event>("v1", "Event", shop);
    const path = `/apis/events.k8s.io/v1/namespaces/${shop}/events/${event?.metadata.name}`;
    const { status: answer, body } = await replica.send("PATCH", path, {
      body: { series: { count: 2, lastObservedTime: "2026-01-01T00:00:00.000000Z" } },
      contentType: "application/merge-patch+json",
    });
    assert.equal(answer, 200, JSON.stringify(body));
  });
});

/** A source and a publisher as `sluice serve` puts them together, without the traffic between them. */
class Replica {
  readonly publisher: Publisher;
  /** Ingresses that the store said have changed. */
  readonly changed: string[] = [];
  problems: readonly Problem[] = [];
  /** Runs before the next change of a status is sent. */
  stall: (() => Promise<void>) | null = null;
  readonly #source: KubernetesSource;
  readonly #store: ObjectStore;

  static async start(cluster: Cluster, name: string): Promise<Replica> {
    const identity = await cluster.serviceAccount({ namespace: own, name: "sluice" });
    const replica = new Replica(cluster, name, identity.token);
    await replica.#begin();
    return replica;
  }

  private constructor(cluster: Cluster, name: string, token: string) {
    const api = new Api({
      userAgent: "sluice/test",
      clock: systemClock,
      credentials: {
        origin: "the test",
        namespace: own,
        renew: () => {},
        access: async () => ({
          server: new URL(cluster.server),
          headers: { Authorization: `Bearer ${token}` },
          tls: { ca: cluster.authority },
        }),
      },
    });
    const log = { debug: () => {}, info: () => {}, warn: () => {} };
    this.#store = new ObjectStore();
    this.publisher = new Publisher({
      api: {
        call: async (method, path, options) => {
          if (path.endsWith("/status")) await this.stall?.();
          return api.call(method, path, options);
        },
      },
      settings: {
        electionId: "sluice-leader",
        updateStatus: true,
        updateStatusOnShutdown: true,
        publishService: `${own}/sluice`,
        publishServiceClusterIp: false,
        publishStatusAddress: [],
      },
      pod: { namespace: own, name },
      uuid: randomUUID(),
      objects: this.#store.objects,
      log,
      clock: systemClock,
      now: Date.now,
      random: Math.random,
    });
    this.#source = new KubernetesSource({
      api,
      store: this.#store,
      log,
      referredSecrets: () => [],
      namespaces: [own, shop],
      observer: this.publisher.observer,
    });
  }

  find(...problems: readonly Problem[]): void {
    this.problems = problems;
    this.#tell();
  }

  async end(): Promise<void> {
    await this.publisher.stop(2000);
    await this.#source.stop();
  }

  async #begin(): Promise<void> {
    await this.#source.start();
    this.#tell();
    let before = new Map(this.#store.objects.ingresses);
    this.#store.onChange(() => {
      const now = new Map(this.#store.objects.ingresses);
      for (const [key, ingress] of now) if (before.get(key) !== ingress) this.changed.push(key);
      before = now;
      this.#tell();
    });
    this.publisher.start();
  }

  #tell(): void {
    const served = [...this.#store.objects.ingresses.values()].filter((each) => each.ingressClassName === "sluice");
    this.publisher.update({ served, problems: this.problems });
  }
}

function ingressOf(name: string): Manifest {
  return { apiVersion: "networking.k8s.io/v1", kind: "Ingress", metadata: { namespace: shop, name } };
}

async function grant(admin: ApiClient): Promise<void> {
  const rbac = "rbac.authorization.k8s.io";
  const subjects = [{ kind: "ServiceAccount", namespace: own, name: "sluice" }];
  await admin.apply({ apiVersion: "v1", kind: "ServiceAccount", metadata: { namespace: own, name: "sluice" } });
  await admin.apply({
    apiVersion: `${rbac}/v1`,
    kind: "ClusterRole",
    metadata: { name: own },
    rules: [...clusterRules, ...sourceRules],
  });
  await admin.apply({
    apiVersion: `${rbac}/v1`,
    kind: "ClusterRoleBinding",
    metadata: { name: own },
    roleRef: { apiGroup: rbac, kind: "ClusterRole", name: own },
    subjects,
  });
  await admin.apply({
    apiVersion: `${rbac}/v1`,
    kind: "Role",
    metadata: { namespace: own, name: "sluice" },
    rules: ownRules,
  });
  await admin.apply({
    apiVersion: `${rbac}/v1`,
    kind: "RoleBinding",
    metadata: { namespace: own, name: "sluice" },
    roleRef: { apiGroup: rbac, kind: "Role", name: "sluice" },
    subjects,
  });
}
