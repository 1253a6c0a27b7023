/**
 * What goes wrong between Sluice and its API server. Through each fault requests are sent without pause and none may fail;
 * the cluster changes meanwhile, and soon after the fault is over the routes are those of the cluster again.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { V1EndpointSlice, V1Ingress } from "@kubernetes/client-node";
import { makeCertificate } from "../support/pki.ts";
import { eventually, get } from "../support/sluice-process.ts";
import type { ApiClient } from "./api.ts";
import type { Identity } from "./credentials.ts";
import { type Asked, Gateway, isList, isWatch, refuseWith } from "./gateway.ts";
import { kubeconfigText } from "./kubeconfig.ts";
import { Load } from "./load.ts";
import { ingressManifest, serviceManifest, tlsSecretManifest } from "./manifests.ts";
import { type Pod, Pods } from "./pods.ts";
import { installAccount, launchSluice, type Sluice } from "./sluice.ts";
import { describeCluster } from "./suite.ts";

/** Milliseconds from the end of a fault until the routes are those of the cluster. */
const mostHealing = 5000;
/** Milliseconds that a fault lasts beyond what it takes to show. */
const lasting = 2000;

describeCluster("a faulty way to the API server", ["pods"], (given) => {
  const namespace = "faults";
  let api: ApiClient;
  let pods: Pods;
  let gateway: Gateway;
  let sluice: Sluice;
  let identity: Identity & { readonly kind: "token-file" };
  let running: Pod[] = [];
  let changes = 0;

  before(async function () {
    this.timeout(60_000);
    const cluster = given();
    api = cluster.client(cluster.admin);
    pods = await Pods.start(cluster);
    gateway = new Gateway(cluster);
    await gateway.start();
    await installAccount(cluster, namespace);
    identity = await cluster.tokenFile(await cluster.serviceAccount({ namespace, name: "sluice" }));
    await writeKubeconfig();
    await api.apply(serviceManifest(namespace, "web"));
    await api.apply(ingressManifest(namespace, "web", { host: "web.example", service: "web" }));
    running = [await runPod(), await runPod()];
    const process = await launchSluice(cluster, { namespace, kubeconfig: kubeconfigPath() });
    sluice = { process, ...(await process.ready()) };
    await inStep(10_000);
  });

  after(async () => {
    await sluice?.process.kill();
    await gateway?.stop();
    await pods?.stop();
  });

  const kubeconfigPath = (): string => join(given().directory, "kubeconfig-gateway");

  async function writeKubeconfig(): Promise<void> {
    await writeFile(kubeconfigPath(), kubeconfigText(gateway.url, gateway.authority, identity));
  }

  function runPod(): Promise<Pod> {
    const name = `web-${++changes}`;
    return pods.run({ namespace, name, labels: { app: "web" }, service: "web" });
  }

  /** An Ingress more, one less, and a Pod more. */
  async function changeCluster(): Promise<void> {
    const turn = ++changes;
    await api.apply(ingressManifest(namespace, `i-${turn}`, { host: `i${turn}.example`, service: "web" }));
    const before = await api.list<V1Ingress>("networking.k8s.io/v1", "Ingress", namespace);
    const oldest = before.find(({ metadata }) => metadata?.name !== "web" && metadata?.name !== `i-${turn}`);
    if (oldest?.metadata?.name !== undefined)
      await api.delete(ingressManifest(namespace, oldest.metadata.name, { service: "web" }));
    running.push(await runPod());
    if (running.length > 3) await running.shift()?.terminate();
  }

  /** Resolves when hosts and endpoints are those of the cluster. */
  async function inStep(milliseconds: number): Promise<void> {
    await eventually(difference, (found) => found === "", milliseconds);
  }

  async function difference(): Promise<string> {
    const ingresses = await api.list<V1Ingress>("networking.k8s.io/v1", "Ingress");
    const slices = await api.list<V1EndpointSlice>("discovery.k8s.io/v1", "EndpointSlice", namespace);
    const { hosts, upstreams } = JSON.parse((await get(sluice.admin, "/snapshot")).body);
    const ours = ingresses.filter(({ spec }) => spec?.ingressClassName === "sluice");
    const wanted = new Set(ours.flatMap(({ spec }) => spec?.rules?.map(({ host = "" }) => host) ?? []));
    const endpoints = slices.flatMap((slice) => slice.endpoints ?? []).filter(({ conditions }) => conditions?.ready);
    const upstream = upstreams.find(({ key }: { key: string }) => key === `${namespace}/web/80`);
    const routed = hosts.map(({ name }: { name: string }) => name);
    const served = (upstream?.endpoints ?? []).map(({ address }: { address: string }) => address);
    return (
      compared([...wanted], routed) +
      compared(
        endpoints.flatMap(({ addresses }) => addresses),
        served,
      )
    );
  }

  /** The fault, a change of the cluster, the end of the fault. */
  async function through(fault: () => unknown, heal: () => unknown): Promise<void> {
    const since = gateway.asked.length;
    const load = new Load({ port: sluice.http, host: "web.example" });
    try {
      await load.answered(10);
      await fault();
      await changeCluster();
      await new Promise((resolve) => setTimeout(resolve, lasting));
      assert.equal((await get(sluice.admin, "/readyz")).status, 200);
      await heal();
      gateway.heal();
      await inStep(mostHealing);
      await load.answered(10);
    } finally {
      gateway.heal();
      await load.stop();
    }
    assert.deepEqual(load.failures, []);
    assert.deepEqual(relistsInOneSecond(gateway.asked.slice(since)), []);
  }

  const nothing = (): void => undefined;
  const onWatches =
    (code: number) =>
    (url: URL, answer: Parameters<typeof refuseWith>[0]): boolean =>
      isWatch(url) && refuseWith(answer, code);

  const faults: readonly (readonly [name: string, begin: () => void])[] = [
    ["is cut", () => gateway.refuse()],
    ["answers 429", () => gateway.answer((_, answer) => refuseWith(answer, 429, { "retry-after": "1" }))],
    ["answers 500", () => gateway.answer((_, answer) => refuseWith(answer, 500))],
    ["answers 410 to every watch", () => gateway.answer(onWatches(410))],
    [
      "says 410 inside of every watch",
      () =>
        gateway.distort((url) =>
          isWatch(url)
            ? Buffer.from(
                `${JSON.stringify({ type: "ERROR", object: { kind: "Status", code: 410, reason: "Expired" } })}\n`,
              )
            : null,
        ),
    ],
    [
      "is slow with lists",
      () =>
        gateway.answer((url, answer) => {
          if (isWatch(url) && !isList(url)) return refuseWith(answer, 410);
          if (!isList(url)) return false;
          setTimeout(() => answer.destroy(), 3000);
          return true;
        }),
    ],
    ["ends answers in the middle of a value", () => gateway.distort((_, chunk) => chunk.subarray(0, chunk.length / 2))],
  ];
  for (const [name, begin] of faults) {
    it(`loses nothing while it ${name}`, async function () {
      this.timeout(30_000);
      await through(begin, nothing);
    });
  }

  it("loses nothing while it swallows everything, and counts that", async function () {
    this.timeout(60_000);
    await through(
      () => gateway.fallSilent(),
      () => metricBecomes("sluice_kubernetes_away", "1"),
    );
    await metricBecomes("sluice_kubernetes_away", "0");
  });

  async function metricBecomes(name: string, value: string): Promise<void> {
    await eventually(
      async () => new RegExp(`^${name} (.*)$`, "m").exec((await get(sluice.admin, "/metrics")).body)?.[1],
      (found) => found === value,
      25_000,
    );
  }

  it("brings a Secret of a megabyte", async function () {
    this.timeout(30_000);
    const made = makeCertificate({ names: ["big.example"] });
    const secret = tlsSecretManifest(namespace, "big", made);
    const data = { ...(secret.stringData as object), large: randomBytes(700_000).toString("base64") };
    await api.create({ ...secret, stringData: data });
    await api.apply(ingressManifest(namespace, "big", { host: "big.example", service: "web", secret: "big" }));
    await eventually(
      async () => JSON.parse((await get(sluice.admin, "/snapshot")).body).tls,
      (tls: { host: string; certificates: string[] }[]) =>
        tls.some(({ host, certificates }) => host === "big.example" && certificates.length > 0),
    );
  });

  for (const compact of [false, true]) {
    it(`loses nothing when the API server starts again ${compact ? "without its history" : "with its history"}`, async function () {
      this.timeout(60_000);
      await through(() => given().restartApiServer({ compact }), nothing);
    });
  }

  it("loses nothing when tokens are no longer believed, and goes on with a new one", async function () {
    this.timeout(60_000);
    await through(
      () => given().replaceTokenKey(),
      async () => {
        await eventually(
          async () => gateway.asked.some(({ status }) => status === 401),
          (refused) => refused,
        );
        const { token } = await given().serviceAccount({ namespace, name: "sluice" });
        await writeFile(identity.path, token);
      },
    );
  });

  it("loses nothing when another authority is behind it, and goes on when that is made known", async function () {
    this.timeout(60_000);
    await through(() => gateway.replaceAuthority(), writeKubeconfig);
  });
});

function compared(wanted: readonly string[], found: readonly string[]): string {
  const missing = wanted.filter((each) => !found.includes(each)).map((each) => `${each} is missing; `);
  const tooMuch = found.filter((each) => !wanted.includes(each)).map((each) => `${each} is too much; `);
  return [...missing, ...tooMuch].join("");
}

/** Lists of one collection that began within a second of the one before. */
function relistsInOneSecond(asked: readonly Asked[]): readonly string[] {
  const last = new Map<string, number>();
  return asked.flatMap(({ url, time }) => {
    if (!isList(url)) return [];
    const collection = `${url.pathname} ${url.searchParams.get("fieldSelector") ?? ""}`;
    const since = time - (last.get(collection) ?? Number.NEGATIVE_INFINITY);
    last.set(collection, time);
    return since < 1000 ? [`${collection} after ${Math.round(since)} ms`] : [];
  });
}
