/** The harness itself: what it starts must be a Kubernetes cluster in the respects that the other suites rely on. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { V1EndpointSlice, V1ObjectReference } from "@kubernetes/client-node";
import { eventually } from "../support/sluice-process.ts";
import type { ApiClient, Reference } from "./api.ts";
import { type Program, requireProgram } from "./binaries.ts";
import { type Pod, Pods } from "./pods.ts";
import { describeCluster } from "./suite.ts";
import type { Echo } from "./upstream.ts";

const longest = 20_000;

describeCluster("a cluster", [], (given) => {
  let api: ApiClient;

  before(() => {
    api = given().client(given().admin);
  });

  it(`is there within ${longest / 1000} s`, () => {
    assert.ok(given().startedIn <= longest, `it took ${Math.round(given().startedIn)} ms`);
  });

  it("stores, changes and deletes objects of any kind", async () => {
    await given().createNamespace("objects");
    const reference = configMap("objects", "settings");
    await api.apply({ ...reference, data: { a: "1", b: "2" } });
    const changed = await api.patch(reference, { data: { a: null, c: "3" } });
    assert.deepEqual(changed.data, { b: "2", c: "3" });
    assert.deepEqual((await api.read(reference))?.data, { b: "2", c: "3" });
    await api.delete(reference);
    assert.equal(await api.read(reference), null);
    const ingressClass = { apiVersion: "networking.k8s.io/v1", kind: "IngressClass", metadata: { name: "objects" } };
    await api.apply({ ...ingressClass, spec: { controller: "sluice.dev/ingress-controller" } });
    const classes = await api.list<V1ObjectReference>("networking.k8s.io/v1", "IngressClass");
    assert.equal(classes.length, 1);
    await api.delete(ingressClass);
  });

  it("lets a ServiceAccount do what its Roles allow and nothing else, and writes down both", async () => {
    const cluster = given();
    const since = await cluster.audit.position();
    await cluster.createNamespace("access");
    await api.apply({ apiVersion: "v1", kind: "ServiceAccount", metadata: { namespace: "access", name: "reader" } });
    const own = cluster.client(await cluster.serviceAccount({ namespace: "access", name: "reader" }));
    await assert.rejects(own.list("v1", "Service", "access"), { status: 403 });
    await allowServices(api, "access", { kind: "ServiceAccount", namespace: "access", name: "reader" });
    // The authorizer learns of the binding by a watch of its own.
    await eventually(
      () => own.send("GET", "/api/v1/namespaces/access/services"),
      ({ status }) => status === 200,
    );
    await assert.rejects(own.list("v1", "Secret", "access"), { status: 403 });
    await assert.rejects(own.list("v1", "Service"), { status: 403 });

    const user = "system:serviceaccount:access:reader";
    const entries = await eventually(
      async () => (await cluster.audit.entries(since)).filter((entry) => entry.user === user && entry.resource !== ""),
      (found) => found.some(({ namespace, resource }) => namespace === "" && resource === "services"),
    );
    const outcomes = entries.map(
      ({ verb, resource, namespace, status }) => `${verb} ${resource} ${namespace} ${status}`,
    );
    assert.deepEqual(
      new Set(outcomes),
      new Set([
        "list services access 403",
        "list services access 200",
        "list secrets access 403",
        "list services  403",
      ]),
    );
  });

  it("believes client certificates of its own authority", async () => {
    const own = given().client(given().user("carla"));
    const review = { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview", metadata: { name: "" } };
    const { status } = await own.create(review);
    assert.equal((status as { userInfo: { username: string } }).userInfo.username, "carla");
  });

  it("takes a ServiceAccount's token until it expires", async () => {
    const account = { namespace: "default", name: "default" };
    const [valid, expired] = [20_000, -1000].map(async (milliseconds) => {
      const own = given().client(await given().expiringServiceAccount(account, milliseconds));
      return (await own.send("GET", "/api")).status;
    });
    assert.equal(await valid, 200);
    assert.equal(await expired, 401);
  });

  it("keeps its address and its objects over a restart, and forgets its history when that is compacted", async () => {
    const cluster = given();
    await cluster.createNamespace("restart");
    const reference = configMap("restart", "kept");
    const first = await api.apply({ ...reference, data: { turn: "1" } });
    await api.apply({ ...reference, data: { turn: "2" } });
    await cluster.restartApiServer({ compact: true });
    assert.deepEqual((await api.read(reference))?.data, { turn: "2" });
    const path = "/api/v1/namespaces/restart/configmaps?watch=true&timeoutSeconds=1&resourceVersion=";
    const answer = await api.send("GET", `${path}${first.metadata.resourceVersion}`);
    assert.match(JSON.stringify(answer), /too old resource version|"code":410/);
  });

  it("shows another certificate, of another authority, when it is told to", async () => {
    const cluster = given();
    const before = cluster.authority;
    await cluster.replaceServingCertificate("new authority");
    assert.notEqual(cluster.authority, before);
    const own = cluster.client(cluster.admin);
    assert.equal((await own.send("GET", "/readyz")).status, 200);
    await cluster.createNamespace("after-rotation");
    const { data } = (await eventually(
      () => own.read(configMap("after-rotation", "kube-root-ca.crt")),
      (found) => found !== null,
    )) as { data?: Record<string, string> };
    assert.equal(data?.["ca.crt"], cluster.authority);
  });

  it("refuses tokens of a key that it no longer has", async () => {
    const account = { namespace: "default", name: "default" };
    const old = given().client(await given().serviceAccount(account));
    assert.equal((await old.send("GET", "/api")).status, 200);
    await given().replaceTokenKey();
    assert.equal((await old.send("GET", "/api")).status, 401);
    const renewed = given().client(await given().serviceAccount(account));
    assert.equal((await renewed.send("GET", "/api")).status, 200);
  });
});

describeCluster("the tools of a cluster", ["helm", "kubectl"], (given) => {
  it("speak with it, by a kubeconfig, and find a released version", async () => {
    const cluster = given();
    const kubeconfig = await cluster.kubeconfig(cluster.admin);
    const namespaces = await output("kubectl", ["get", "namespaces", "--output=name"], kubeconfig);
    assert.match(namespaces, /^namespace\/kube-system$/m);
    assert.match(await output("kubectl", ["version"], kubeconfig), /^Server Version: v1\.\d+\.\d+$/m);
    assert.equal(await output("helm", ["list", "--all-namespaces", "--short"], kubeconfig), "");
  });
});

describeCluster("Pods of a cluster", ["pods"], (given) => {
  const namespace = "pods";
  let api: ApiClient;
  let pods: Pods;

  before(async () => {
    const cluster = given();
    api = cluster.client(cluster.admin);
    pods = await Pods.start(cluster);
    await cluster.createNamespace(namespace);
    await api.apply({
      apiVersion: "v1",
      kind: "Service",
      metadata: { namespace, name: "web" },
      spec: { selector: { app: "web" }, ports: [{ name: "http", port: 80, targetPort: "http" }] },
    });
  });

  after(async () => {
    await pods.stop();
  });

  const run = (name: string, ready = true): Promise<Pod> =>
    pods.run({ namespace, name, labels: { app: "web" }, service: "web", ready });

  it("become endpoints by the real controllers, follow their readiness, and disappear", async () => {
    const [one, two] = await Promise.all([run("web-1"), run("web-2")]);
    await endpointsBecome(api, namespace, [`${one.address} ready`, `${two.address} ready`]);
    await two.setReady(false);
    await endpointsBecome(api, namespace, [`${one.address} ready`, `${two.address}`]);
    await two.setReady(true);
    await endpointsBecome(api, namespace, [`${one.address} ready`, `${two.address} ready`]);
    await two.terminate();
    await endpointsBecome(api, namespace, [`${one.address} ready`]);
    await one.terminate();
    await endpointsBecome(api, namespace, []);
  });

  it("answer HTTP at their addresses, with what they were asked", async () => {
    const pod = await run("web-3");
    const answer = await fetch(`http://${pod.address}:8080/a%20b?c`, { method: "POST", body: "text" });
    const echo = (await answer.json()) as Echo;
    assert.deepEqual(
      [
        echo.path,
        echo.method,
        echo.proto,
        echo.pod,
        echo.service,
        echo.port,
        echo.body,
        echo.headers["Content-Length"],
      ],
      ["/a%20b?c", "POST", "HTTP/1.1", "web-3", "web", 8080, "text", ["4"]],
    );
    await pod.crash();
    await assert.rejects(fetch(`http://${pod.address}:8080/`));
    await endpointsBecome(api, namespace, [`${pod.address} ready`]);
    await pod.remove();
    await endpointsBecome(api, namespace, []);
  });

  it("serve while they terminate, and finish what they have begun", async () => {
    const pod = await run("web-4");
    await endpointsBecome(api, namespace, [`${pod.address} ready`]);
    const slow = fetch(`http://${pod.address}:8080/slow`, {
      headers: { "x-answer-after": "400", "x-answer-status": "418" },
    });
    const gone = pod.terminate({ serveOn: 200 });
    await endpointsBecome(api, namespace, [`${pod.address} serving terminating`]);
    assert.equal((await slow).status, 418);
    await gone;
    await endpointsBecome(api, namespace, []);
  });
});

async function output(program: Program, args: readonly string[], kubeconfig: string): Promise<string> {
  const { stdout } = await promisify(execFile)(requireProgram(program), [...args, "--kubeconfig", kubeconfig]);
  return stdout.trim();
}

function configMap(namespace: string, name: string): Reference {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { namespace, name } };
}

async function allowServices(
  api: ApiClient,
  namespace: string,
  subject: Readonly<Record<string, string>>,
): Promise<void> {
  const apiVersion = "rbac.authorization.k8s.io/v1";
  const metadata = { namespace, name: "services" };
  const rules = [{ apiGroups: [""], resources: ["services"], verbs: ["get", "list", "watch"] }];
  const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "services" };
  await api.apply({ apiVersion, kind: "Role", metadata, rules });
  await api.apply({ apiVersion, kind: "RoleBinding", metadata, roleRef, subjects: [subject] });
}

/** Each as "address", then "ready", or "serving terminating" as KEP-1672 has it. */
async function endpointsBecome(api: ApiClient, namespace: string, wanted: readonly string[]): Promise<void> {
  const sorted = JSON.stringify([...wanted].sort());
  await eventually(
    async () => JSON.stringify(await endpointsOf(api, namespace)),
    (found) => found === sorted,
    10_000,
  );
}

async function endpointsOf(api: ApiClient, namespace: string): Promise<readonly string[]> {
  const slices = await api.list<V1EndpointSlice>(
    "discovery.k8s.io/v1",
    "EndpointSlice",
    namespace,
    "kubernetes.io/service-name=web",
  );
  const endpoints = slices.flatMap((slice) => slice.endpoints ?? []);
  return endpoints
    .map(({ addresses, conditions }) => {
      const state = [conditions?.serving && conditions.terminating ? "serving" : "", conditions?.ready ? "ready" : ""];
      return [...addresses, ...state, conditions?.terminating ? "terminating" : ""]
        .filter((word) => word !== "")
        .join(" ");
    })
    .sort();
}
