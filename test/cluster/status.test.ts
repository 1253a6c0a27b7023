/** Two replicas on one cluster: which of them writes the status of Ingresses, and what happens when that one goes. */
import assert from "node:assert/strict";
import type { V1Ingress, V1Lease } from "@kubernetes/client-node";
import { eventually } from "../support/sluice-process.ts";
import type { ApiClient } from "./api.ts";
import { ingressManifest, serviceManifest } from "./manifests.ts";
import { installAccount, type Sluice, startSluice } from "./sluice.ts";
import { describeCluster } from "./suite.ts";

const address = "192.0.2.20";

describeCluster("two replicas", [], (given) => {
  const namespace = "replicas";
  const lease = {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { namespace, name: "sluice-leader" },
  };
  const running = new Map<string, Sluice>();
  let api: ApiClient;
  let started = 0;
  let ingresses = 0;

  before(async function () {
    this.timeout(60_000);
    const cluster = given();
    api = cluster.client(cluster.admin);
    await installAccount(cluster, namespace);
    await api.apply(serviceManifest(namespace, "web"));
    await Promise.all([start(), start()]);
  });

  after(async () => {
    await Promise.all([...running.values()].map(({ process }) => process.kill()));
  });

  /** A replica as a Pod of that name would be; the Pod itself is there too, for the last one counts the others. */
  async function start(): Promise<void> {
    const pod = `sluice-${++started}`;
    await api.create({
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        namespace,
        name: pod,
        labels: { "app.kubernetes.io/name": "sluice", "app.kubernetes.io/instance": "t" },
      },
      spec: { containers: [{ name: "sluice", image: "sluice.dev/none" }], automountServiceAccountToken: false },
    });
    const args = [`--publish-status-address=${address}`, "--shutdown-grace-period=1s"];
    running.set(pod, await startSluice(given(), { namespace, args, environment: { POD_NAME: pod } }));
  }

  async function leader(): Promise<string> {
    const found = (await api.read(lease)) as V1Lease | null;
    return found?.spec?.holderIdentity?.split("_")[0] ?? "";
  }

  /** Milliseconds until a new Ingress has the address, and the Lease another holder than `before`. */
  async function writtenAgain(before: string, longest: number): Promise<number> {
    const begun = performance.now();
    const manifest = ingressManifest(namespace, `i-${++ingresses}`, { host: `i${ingresses}.example`, service: "web" });
    await api.apply(manifest);
    await eventually(
      async () => addressesOf((await api.read(manifest)) as V1Ingress | null),
      (found) => found === address,
      longest,
    );
    assert.notEqual(await leader(), before);
    return performance.now() - begun;
  }

  /** Fails when an Ingress of ours that has had the address is seen without it meanwhile. */
  async function withoutFlapping(change: () => Promise<void>): Promise<void> {
    const flaps: string[] = [];
    const seen = new Set<string>();
    let done = false;
    const watching = (async () => {
      while (!done) {
        for (const ingress of await api.list<V1Ingress>("networking.k8s.io/v1", "Ingress", namespace)) {
          const name = ingress.metadata?.name ?? "";
          const found = addressesOf(ingress);
          if (found === address) seen.add(name);
          else if (seen.has(name)) flaps.push(`${name} has ${JSON.stringify(found)}`);
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })();
    try {
      await change();
    } finally {
      done = true;
      await watching;
    }
    assert.deepEqual(flaps, []);
  }

  async function take(pod: string): Promise<Sluice> {
    const sluice = running.get(pod);
    assert.ok(sluice, `the leader is ${JSON.stringify(pod)}`);
    running.delete(pod);
    return sluice;
  }

  /** As a kubelet would, once its process is gone. */
  async function deletePod(name: string): Promise<void> {
    await api.delete({ apiVersion: "v1", kind: "Pod", metadata: { namespace, name } }, { gracePeriodSeconds: 0 });
  }

  it("write each status once, by one of them", async () => {
    const since = await given().audit.position();
    await writtenAgain("", 10_000);
    const holder = await leader();
    assert.ok(running.has(holder), holder);
    const user = `system:serviceaccount:${namespace}:sluice`;
    const writes = await eventually(
      async () =>
        (await given().audit.entries(since)).filter(
          (entry) => entry.user === user && entry.resource === "ingresses/status" && entry.namespace === namespace,
        ),
      (found) => found.length > 0,
    );
    assert.deepEqual(
      writes.map(({ name, status }) => `${name} ${status}`),
      ["i-1 200"],
    );
  });

  it("go on writing within 2 s when the leader is told to end, and no status flaps", async function () {
    this.timeout(30_000);
    await withoutFlapping(async () => {
      const before = await leader();
      const { process } = await take(before);
      process.signal("SIGTERM");
      const milliseconds = await writtenAgain(before, 10_000);
      assert.ok(milliseconds <= 2000, `it took ${Math.round(milliseconds)} ms`);
      assert.equal((await process.finished).code, 0);
      await deletePod(before);
    });
  });

  it("go on writing within 20 s when the leader is killed, and no status flaps", async function () {
    this.timeout(60_000);
    await start();
    await withoutFlapping(async () => {
      const before = await leader();
      const { process } = await take(before);
      await process.kill();
      const milliseconds = await writtenAgain(before, 30_000);
      assert.ok(milliseconds <= 20_000, `it took ${Math.round(milliseconds)} ms`);
      await deletePod(before);
    });
  });

  it("leave no address behind when the last of them is told to end", async function () {
    this.timeout(30_000);
    const last = await leader();
    assert.equal(running.size, 1);
    const { process } = await take(last);
    process.signal("SIGTERM");
    assert.equal((await process.finished).code, 0);
    const left = await api.list<V1Ingress>("networking.k8s.io/v1", "Ingress", namespace);
    assert.ok(left.length >= 3);
    assert.deepEqual(new Set(left.map(addressesOf)), new Set([""]));
  });
});

function addressesOf(ingress: V1Ingress | null): string {
  return (ingress?.status?.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ip ?? hostname).join();
}
