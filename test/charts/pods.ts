/** The Pod that a rendered controller makes, and what of it the restricted Pod Security Standard forbids. */
import type { Rendered } from "./helm.ts";

interface SecurityContext {
  readonly runAsNonRoot?: boolean;
  readonly runAsUser?: number;
  readonly allowPrivilegeEscalation?: boolean;
  readonly readOnlyRootFilesystem?: boolean;
  readonly privileged?: boolean;
  readonly capabilities?: { readonly drop?: readonly string[]; readonly add?: readonly string[] };
  readonly seccompProfile?: { readonly type: string };
  readonly sysctls?: readonly { readonly name: string }[];
}

interface Container {
  readonly name: string;
  readonly image: string;
  readonly args?: readonly string[];
  readonly lifecycle?: unknown;
  readonly ports?: readonly { readonly name: string; readonly hostPort?: number }[];
  readonly securityContext?: SecurityContext;
}

export interface PodSpec {
  readonly serviceAccountName: string;
  readonly hostNetwork?: boolean;
  readonly hostPID?: boolean;
  readonly hostIPC?: boolean;
  readonly securityContext?: SecurityContext;
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes?: readonly Readonly<Record<string, unknown>>[];
}

/** Of a Deployment or DaemonSet. */
export function podOf(controller: Rendered): PodSpec {
  return controller.spec.template.spec;
}

const volumeTypes = new Set(
  "configMap csi downwardAPI emptyDir ephemeral persistentVolumeClaim projected secret".split(" "),
);
const safeSysctls =
  /^(kernel\.shm_rmid_forced|net\.ipv4\.(ip_local_port_range|ip_unprivileged_port_start|tcp_.*|ping_group_range))$/;

/** A line each: https://kubernetes.io/docs/concepts/security/pod-security-standards/, and the root file system besides. */
export function restrictedViolations(pod: PodSpec): readonly string[] {
  const found: string[] = [];
  for (const share of ["hostNetwork", "hostPID", "hostIPC"] as const) if (pod[share] === true) found.push(share);
  for (const { name, ...source } of pod.volumes ?? []) {
    for (const type of Object.keys(source)) if (!volumeTypes.has(type)) found.push(`volume ${name}: ${type}`);
  }
  for (const { name } of pod.securityContext?.sysctls ?? []) if (!safeSysctls.test(name)) found.push(`sysctl ${name}`);
  for (const container of [...pod.containers, ...(pod.initContainers ?? [])]) {
    found.push(...violationsOf(container, pod.securityContext ?? {}).map((line) => `${container.name}: ${line}`));
  }
  return found;
}

function violationsOf(container: Container, ofPod: SecurityContext): readonly string[] {
  const own = container.securityContext ?? {};
  const { runAsNonRoot, runAsUser, seccompProfile } = { ...ofPod, ...own };
  const found: string[] = [];
  for (const { hostPort } of container.ports ?? []) if (hostPort !== undefined) found.push(`hostPort ${hostPort}`);
  if (own.privileged === true) found.push("privileged");
  if (own.allowPrivilegeEscalation !== false) found.push("may gain privileges");
  if (own.capabilities?.drop?.includes("ALL") !== true) found.push("keeps capabilities");
  for (const capability of own.capabilities?.add ?? []) if (capability !== "NET_BIND_SERVICE") found.push(capability);
  if (runAsNonRoot !== true) found.push("may be root");
  // By number, for the kubelet cannot tell a name from root's.
  if (runAsUser === undefined || runAsUser === 0) found.push("is not a user by number");
  if (seccompProfile?.type !== "RuntimeDefault" && seccompProfile?.type !== "Localhost") found.push("no seccomp");
  if (container.name === "controller" && own.readOnlyRootFilesystem !== true) found.push("writes to its root");
  return found;
}
