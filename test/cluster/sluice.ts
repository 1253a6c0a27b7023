/**
 * Sluice as a cluster runs it: a process of its own with the token of a ServiceAccount that may do what a controller needs
 * and nothing else. It reads a kubeconfig, or, as in a Pod, the files that a kubelet would put there.
 */
import { execFile } from "node:child_process";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { SluiceProcess } from "../support/sluice-process.ts";
import type { ApiClient } from "./api.ts";
import type { Cluster, ServiceAccount } from "./cluster.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const main = join(root, "src/main.ts");

/** The files of the ServiceAccount lie where no test may write: /run is another one for this process. */
const asInPod = `
  mount -t tmpfs none /run && mkdir -p /run/secrets/kubernetes.io/serviceaccount &&
  mount --bind "$1" /run/secrets/kubernetes.io/serviceaccount && shift && exec "$@"`;

export interface SluiceOptions {
  /** The namespace of its ServiceAccount and of its Lease. */
  readonly namespace: string;
  readonly args?: readonly string[];
  /** Where the API server is; another one where there is something between, such as a relay of the test. */
  readonly server?: string;
  /** The main file; default: that of the sources. */
  readonly program?: string;
  /** The path of one that the test keeps itself. */
  readonly kubeconfig?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

export interface Sluice {
  readonly process: SluiceProcess;
  readonly http: number;
  readonly https: number;
  readonly admin: number;
}

/** The namespace with a ServiceAccount "sluice", and what that may do. */
export async function installAccount(cluster: Cluster, namespace: string): Promise<ServiceAccount> {
  const api = cluster.client(cluster.admin);
  await cluster.createNamespace(namespace);
  const account = { namespace, name: "sluice" };
  await api.apply({ apiVersion: "v1", kind: "ServiceAccount", metadata: account });
  const reading = ["get", "list", "watch"];
  await allow(api, account, "ClusterRole", [
    rule("", ["services", "secrets", "configmaps", "namespaces"], reading),
    rule("discovery.k8s.io", ["endpointslices"], reading),
    rule("networking.k8s.io", ["ingresses", "ingressclasses"], reading),
    rule("networking.k8s.io", ["ingresses/status"], ["patch", "update"]),
    rule("", ["events"], ["create", "patch"]),
    rule("events.k8s.io", ["events"], ["create", "patch"]),
  ]);
  await allow(api, account, "Role", [
    rule("coordination.k8s.io", ["leases"], ["get", "create", "update", "patch"]),
    rule("", ["pods"], ["get", "list"]),
  ]);
  await api.apply({
    apiVersion: "networking.k8s.io/v1",
    kind: "IngressClass",
    metadata: { name: "sluice" },
    spec: { controller: "sluice.dev/ingress-controller" },
  });
  return account;
}

/** With a kubeconfig. Does not wait until it is ready. */
export async function launchSluice(cluster: Cluster, options: SluiceOptions): Promise<SluiceProcess> {
  const { namespace, server = cluster.server } = options;
  const account = { namespace, name: "sluice" };
  const kubeconfig = options.kubeconfig ?? (await cluster.kubeconfig(await cluster.serviceAccount(account), server));
  return watched(
    cluster,
    new SluiceProcess(["serve", `--kubeconfig=${kubeconfig}`, ...anyPorts, ...(options.args ?? [])], {
      environment: { POD_NAMESPACE: namespace, ...options.environment },
    }),
  );
}

/** Resolves when it is ready. */
export async function startSluice(cluster: Cluster, options: SluiceOptions): Promise<Sluice> {
  const process = await launchSluice(cluster, options);
  return { process, ...(await process.ready()) };
}

/** As in a Pod: no kubeconfig, but the variables and the files that a kubelet gives it. Needs root. */
export async function launchInPod(cluster: Cluster, options: SluiceOptions): Promise<SluiceProcess> {
  const { namespace } = options;
  const { token } = await cluster.serviceAccount({ namespace, name: "sluice" });
  const directory = join(cluster.directory, `service-account-${namespace}`);
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, "token"), token);
  await writeFile(join(directory, "ca.crt"), cluster.authority);
  await writeFile(join(directory, "namespace"), namespace);
  const { hostname, port } = new URL(options.server ?? cluster.server);
  return watched(
    cluster,
    new SluiceProcess(["serve", ...anyPorts, ...(options.args ?? [])], {
      command: ["unshare", "--mount", "sh", "-ec", asInPod, "sh", directory, process.execPath, options.program ?? main],
      environment: {
        KUBERNETES_SERVICE_HOST: hostname,
        KUBERNETES_SERVICE_PORT: port,
        KUBECONFIG: "",
        HOME: "/nonexistent",
        ...options.environment,
      },
    }),
  );
}

/** The main file of what the image and the package hold: a build without types, which takes less memory than the sources. */
export async function buildSluice(cluster: Cluster): Promise<string> {
  const directory = join(cluster.directory, "sluice");
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  await mkdir(directory, { recursive: true });
  // Types are checked elsewhere.
  const options = ["--project", join(root, "tsconfig.build.json"), "--outDir", join(directory, "dist"), "--noCheck"];
  await promisify(execFile)(process.execPath, [compiler, ...options]);
  for (const name of ["node_modules", "templates", "package.json"])
    await symlink(join(root, name), join(directory, name));
  return join(directory, "dist", "main.js");
}

const anyPorts = ["--http-port=0", "--https-port=0", "--admin-port=0", "--bind-address=127.0.0.1", "--workers=2"];

function watched(cluster: Cluster, sluice: SluiceProcess): SluiceProcess {
  const charge = { kind: "process", id: sluice.pid } as const;
  cluster.watchdog.watch(charge);
  void sluice.finished.finally(() => cluster.watchdog.forget(charge)).catch(() => undefined);
  return sluice;
}

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

function rule(group: string, resources: readonly string[], verbs: readonly string[]): Rule {
  return { apiGroups: [group], resources, verbs };
}

async function allow(
  api: ApiClient,
  account: ServiceAccount,
  kind: "ClusterRole" | "Role",
  rules: readonly Rule[],
): Promise<void> {
  const apiVersion = "rbac.authorization.k8s.io/v1";
  const { namespace } = account;
  const metadata = kind === "Role" ? { namespace, name: "sluice" } : { name: `sluice-${namespace}` };
  await api.apply({ apiVersion, kind, metadata, rules });
  await api.apply({
    apiVersion,
    kind: `${kind}Binding`,
    metadata,
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind, name: metadata.name },
    subjects: [{ kind: "ServiceAccount", ...account }],
  });
}
