/** The rows of the settings table that say which cluster is read, how much of it, and what is written back. */
import { namespacedName, namespaceName } from "./names.ts";
import type { Setting } from "./setting.ts";
import { choice, list, optional, text, toggle } from "./value.ts";

export interface ClusterSettings {
  /** Null: that of KUBECONFIG, the Pod's ServiceAccount, or ~/.kube/config. */
  readonly kubeconfig: string | null;
  /** Null: the current context of the kubeconfig. */
  readonly context: string | null;
  /** Empty: all. */
  readonly watchNamespaces: readonly string[];
  /** Null: all. */
  readonly watchNamespaceSelector: string | null;
  readonly watchSecrets: "referred" | "tls";
  /** `namespace/name`; null: none. */
  readonly publishService: string | null;
  readonly publishServiceClusterIp: boolean;
  /** IP addresses and host names; where there are any, the Service is not looked at. */
  readonly publishStatusAddress: readonly string[];
  readonly updateStatus: boolean;
  readonly updateStatusOnShutdown: boolean;
  /** The name of the Lease. */
  readonly electionId: string;
}

const path = text("FILE", /./, "the path of a kubeconfig file");
const contextName = text("NAME", /./, "the name of a context of the kubeconfig");
const selector = text("SELECTOR", /^[^\s].{0,999}$/, "a label selector, such as team=shop or !internal");
const host = text(
  "ADDRESS",
  /^(?:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*|[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*)$/,
  "an IP address or a host name",
);
const leaseName = text(
  "NAME",
  /^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?$/,
  "the name of a Lease, such as sluice-leader",
);

const reading = ["serve", "render"] as const;
const serving = ["serve"] as const;

export const clusterTable: { readonly [Field in keyof ClusterSettings]: Setting<ClusterSettings[Field]> } = {
  kubeconfig: {
    flag: "kubeconfig",
    configMap: null,
    type: optional(path),
    default: null,
    summary:
      "Kubeconfig of the cluster to read; empty takes the files in KUBECONFIG, else in a Pod its ServiceAccount, else ~/.kube/config.",
    commands: reading,
  },
  context: {
    flag: "context",
    configMap: null,
    type: optional(contextName),
    default: null,
    summary: "Context of the kubeconfig; empty is its current one.",
    commands: reading,
  },
  watchNamespaces: {
    flag: "watch-namespace",
    configMap: null,
    type: list(namespaceName),
    default: [],
    summary:
      "Serve the Ingresses of this namespace alone, for which Roles there are enough; empty is all. May be repeated.",
    commands: reading,
  },
  watchNamespaceSelector: {
    flag: "watch-namespace-selector",
    configMap: null,
    type: optional(selector),
    default: null,
    summary: "Serve the Ingresses of the namespaces whose labels match alone; empty is all.",
    commands: reading,
  },
  watchSecrets: {
    flag: "watch-secrets",
    configMap: null,
    type: choice("referred", "tls"),
    default: "referred",
    summary:
      "Which Secrets are read: referred is one watch for each that an Ingress of ours names, tls one for all of type kubernetes.io/tls.",
    commands: reading,
  },
  publishService: {
    flag: "publish-service",
    configMap: null,
    type: optional(namespacedName),
    default: null,
    summary: "Service whose addresses are written into the status of Ingresses; empty is none.",
    commands: serving,
  },
  publishServiceClusterIp: {
    flag: "publish-service-cluster-ip",
    configMap: null,
    type: toggle,
    default: false,
    summary: "Publish the cluster IPs of that Service when it has no other addresses.",
    commands: serving,
  },
  publishStatusAddress: {
    flag: "publish-status-address",
    configMap: null,
    type: list(host),
    default: [],
    summary:
      "IP address or host name to write into the status of Ingresses instead of those of a Service; empty is none. May be repeated.",
    commands: serving,
  },
  updateStatus: {
    flag: "update-status",
    configMap: null,
    type: toggle,
    default: true,
    summary: "Write the status of Ingresses; without, another controller may keep it.",
    commands: serving,
  },
  updateStatusOnShutdown: {
    flag: "update-status-on-shutdown",
    configMap: null,
    type: toggle,
    default: true,
    summary: "The last replica that leaves takes the addresses from the status of all Ingresses.",
    commands: serving,
  },
  electionId: {
    flag: "election-id",
    configMap: null,
    type: leaseName,
    default: "sluice-leader",
    summary: "Lease by which the replicas agree on the one that writes; it lies in their own namespace.",
    commands: serving,
  },
};
