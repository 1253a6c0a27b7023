/**
 * The chart on a real API server: installed, upgraded, rolled back and taken away by Helm. The controller then runs with the
 * chart's own arguments and the token of the chart's ServiceAccount, so that a missing permission fails here, and the audit log
 * says which of those granted nobody used.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { V1ClusterRole, V1Deployment, V1Ingress, V1PolicyRule, V1Role } from "@kubernetes/client-node";
import { eventually, SluiceProcess } from "../support/sluice-process.ts";
import type { ApiClient } from "./api.ts";
import { requireProgram } from "./binaries.ts";
import type { Cluster } from "./cluster.ts";
import { describeCluster } from "./suite.ts";

const chart = fileURLToPath(new URL("../../charts/sluice", import.meta.url));
const namespace = "chart-edge";
const shop = "chart-shop";
const release = "edge";
const fullName = `${release}-sluice`;
/** Permissions that a short run has no cause to use, with what would. */
const unusedForNow: ReadonlyMap<string, string> = new Map([
  ["patch events.k8s.io/events", "an Event that is repeated, half an hour after the first"],
  ["get networking.k8s.io/ingresses", "a conflict while a status is written"],
]);
const run = promisify(execFile);

describeCluster("the chart", ["helm"], (given) => {
  let cluster: Cluster;
  let admin: ApiClient;
  let kubeconfig: string;
  let sluice: SluiceProcess;
  let ports: { readonly http: number };

  before(async function () {
    this.timeout(60_000);
    cluster = given();
    admin = cluster.client(cluster.admin);
    kubeconfig = await cluster.kubeconfig(cluster.admin);
    for (const name of [namespace, shop]) await cluster.createNamespace(name);
  });
  after(async () => {
    if (sluice?.running === true) sluice.signal("SIGKILL");
    // The suites share one cluster: a rule left behind would be served by the controllers of all others.
    for (const object of shopObjects()) await admin.delete(object);
    await admin.delete(
      { apiVersion: "v1", kind: "Pod", metadata: { namespace, name: "controller-0" } },
      { gracePeriodSeconds: 0 },
    );
  });

  function helm(...args: readonly string[]): Promise<{ stdout: string }> {
    return run(requireProgram("helm"), [...args, "--namespace", namespace, "--kubeconfig", kubeconfig]);
  }

  async function deployment(): Promise<V1Deployment> {
    const found = await admin.read({
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { namespace, name: `${fullName}-controller` },
    });
    assert.ok(found !== null, "there is no Deployment");
    return found as unknown as V1Deployment;
  }

  /** The controller as the Deployment starts it, but for ports that are free here and a kubeconfig in the place of a Pod's files. */
  async function startController(): Promise<SluiceProcess> {
    const container = (await deployment()).spec?.template.spec?.containers[0];
    const args = (container?.args ?? []).map((arg) => arg.replace(/^(--(?:http|https|admin)-port)=.*/, "$1=0"));
    assert.equal(args[0], "serve");
    const identity = await cluster.serviceAccount({ namespace, name: fullName });
    return new SluiceProcess([...args, "--workers=1"], {
      environment: {
        KUBECONFIG: await cluster.kubeconfig(identity),
        POD_NAME: "controller-0",
        POD_NAMESPACE: namespace,
      },
    });
  }

  async function post(bytes: number): Promise<number> {
    const answer = await fetch(`http://127.0.0.1:${ports.http}/`, {
      method: "POST",
      headers: { host: "ignored" },
      body: Buffer.alloc(bytes),
    });
    await answer.arrayBuffer();
    return answer.status;
  }

  it("installs on an API server that knows every kind and field of it", async function () {
    this.timeout(60_000);
    const { stdout } = await helm("install", release, chart, "--set", "controller.config.proxy-body-size=1m");
    assert.match(stdout, /STATUS: deployed/);
    const { spec } = (await deployment()) as { spec: { template: { spec: { serviceAccountName: string } } } };
    assert.equal(spec.template.spec.serviceAccountName, fullName);
  });

  it("runs with its own arguments and its own ServiceAccount, and publishes the address of its Service", async function () {
    this.timeout(60_000);
    await admin.send("PATCH", `/api/v1/namespaces/${namespace}/services/${fullName}-controller/status`, {
      contentType: "application/merge-patch+json",
      body: { status: { loadBalancer: { ingress: [{ ip: "192.0.2.7" }] } } },
    });
    const labels = {
      "app.kubernetes.io/name": "sluice",
      "app.kubernetes.io/instance": release,
      "app.kubernetes.io/component": "controller",
    };
    await admin.create({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { namespace, name: "controller-0", labels },
      spec: { containers: [{ name: "controller", image: "none.invalid/none" }], securityContext: {} },
    });
    for (const object of shopObjects()) await admin.apply(object);
    sluice = await startController();
    ports = await sluice.ready();
    await eventually(addresses, (told) => told.join() === "192.0.2.7", 15_000);
    await eventually(events, (told) => told.includes("Warning ServiceNotFound web"), 15_000);
  });

  it("takes a setting of an upgrade while it runs, and gives it back at a rollback", async function () {
    this.timeout(90_000);
    assert.equal(await post(2_000_000), 413);
    await helm("upgrade", release, chart, "--set", "controller.config.proxy-body-size=5m");
    await eventually(
      () => post(2_000_000),
      (status) => status !== 413,
    );
    await helm("rollback", release, "1");
    await eventually(
      () => post(2_000_000),
      (status) => status === 413,
    );
  });

  it("grants what the controller asks for, and nothing that it does not", async function () {
    this.timeout(60_000);
    sluice.signal("SIGTERM");
    assert.equal((await sluice.finished).code, 0);
    const user = `system:serviceaccount:${namespace}:${fullName}`;
    const entries = (await cluster.audit.entries()).filter((entry) => entry.user === user && entry.resource !== "");
    assert.ok(entries.length > 0, "the audit log knows nothing of the controller");
    const refused = entries.filter(({ status }) => status === 401 || status === 403);
    assert.deepEqual(refused, []);
    const used = new Set(entries.map(({ verb, group, resource }) => `${verb} ${group}/${resource}`));
    // This API server streams the first list as part of the watch; older ones, and some relists, need the verb.
    const isNeeded = (permission: string): boolean =>
      used.has(permission) || used.has(permission.replace(/^list /, "watch "));
    const unused = (await granted()).filter((permission) => !isNeeded(permission));
    assert.deepEqual(unused.sort(), [...unusedForNow.keys()].sort());
  });

  it("takes the address back when its last replica leaves, and everything else when it is uninstalled", async function () {
    this.timeout(60_000);
    assert.deepEqual(await addresses(), []);
    const before = await objectsOfRelease();
    assert.ok(before.length > 8, before.join());
    await helm("uninstall", release);
    await eventually(objectsOfRelease, (left) => left.length === 0);
  });

  async function addresses(): Promise<(string | undefined)[]> {
    const metadata = { namespace: shop, name: "web" };
    const found = await admin.read({ apiVersion: "networking.k8s.io/v1", kind: "Ingress", metadata });
    const { status } = found as unknown as V1Ingress;
    return (status?.loadBalancer?.ingress ?? []).map(({ ip }) => ip);
  }

  async function events(): Promise<string[]> {
    type Event = { reason: string; type: string; regarding: { name: string } };
    const found = await admin.list<Event>("events.k8s.io/v1", "Event", shop);
    return found.map(({ reason, type, regarding }) => `${type} ${reason} ${regarding.name}`);
  }

  async function granted(): Promise<string[]> {
    const selector = `app.kubernetes.io/instance=${release}`;
    const roles = await admin.list<V1Role>("rbac.authorization.k8s.io/v1", "Role", namespace, selector);
    const clusterRoles = await admin.list<V1ClusterRole>("rbac.authorization.k8s.io/v1", "ClusterRole", "", selector);
    const rules: V1PolicyRule[] = [...roles, ...clusterRoles].flatMap((role) => role.rules ?? []);
    const all = rules.flatMap(({ apiGroups = [], resources = [], verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) => verbs.map((verb) => `${verb} ${group}/${resource}`)),
      ),
    );
    return [...new Set(all)];
  }

  async function objectsOfRelease(): Promise<string[]> {
    const kinds = [
      ["apps/v1", "Deployment"],
      ["v1", "Service"],
      ["v1", "ConfigMap"],
      ["v1", "ServiceAccount"],
      ["networking.k8s.io/v1", "IngressClass"],
      ["rbac.authorization.k8s.io/v1", "Role"],
      ["rbac.authorization.k8s.io/v1", "RoleBinding"],
      ["rbac.authorization.k8s.io/v1", "ClusterRole"],
      ["rbac.authorization.k8s.io/v1", "ClusterRoleBinding"],
      ["policy/v1", "PodDisruptionBudget"],
    ] as const;
    const lists = kinds.map(async ([apiVersion, kind]) => {
      const scoped = kind.startsWith("Cluster") || kind === "IngressClass" ? "" : namespace;
      const found = await admin.list<{ metadata: { name: string } }>(
        apiVersion,
        kind,
        scoped,
        `app.kubernetes.io/instance=${release}`,
      );
      return found.map(({ metadata }) => `${kind} ${metadata.name}`);
    });
    return (await Promise.all(lists)).flat();
  }

  /** An Ingress whose default backend is there, with one path whose Service is missing: something to serve and something to tell. */
  function shopObjects() {
    const backend = (name: string) => ({ service: { name, port: { number: 80 } } });
    return [
      {
        apiVersion: "networking.k8s.io/v1",
        kind: "Ingress",
        metadata: { namespace: shop, name: "web" },
        spec: {
          ingressClassName: "sluice",
          tls: [{ hosts: ["shop.example"], secretName: "certificate" }],
          rules: [
            {
              http: {
                paths: [
                  { path: "/", pathType: "Prefix", backend: backend("web") },
                  { path: "/missing", pathType: "Prefix", backend: backend("missing") },
                ],
              },
            },
          ],
        },
      },
      // It has no endpoints: what matters here is decided before one is asked.
      {
        apiVersion: "v1",
        kind: "Service",
        metadata: { namespace: shop, name: "web" },
        spec: { ports: [{ port: 80, targetPort: 8080 }] },
      },
    ];
  }
});
