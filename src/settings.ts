/**
 * Every setting once: its flag, the key of ingress-nginx's ConfigMap where it has one, its type, default and sentence, and
 * the commands that take it. The environment variable is SLUICE_ and the flag in capitals. The command line (settings/parse),
 * --help (settings/help) and docs/settings.md are made from this table, so none of them can differ from it.
 */
import type { CompressionSettings } from "./model/compression.ts";
import { type ClusterSettings, clusterTable } from "./settings/cluster.ts";
import { compressionTable } from "./settings/compression.ts";
import { type FrontSettings, frontTable } from "./settings/front.ts";
import { className, controllerName, namespacedName, servicePort } from "./settings/names.ts";
import { commandNames, type Setting } from "./settings/setting.ts";
import { type StreamSettings, streamTable } from "./settings/streams.ts";
import { type TlsSettings, tlsTable } from "./settings/tls.ts";
import {
  address,
  choice,
  duration,
  integer,
  list,
  network,
  optional,
  paths,
  port,
  size,
  toggle,
} from "./settings/value.ts";

export interface Settings extends ClusterSettings, FrontSettings, StreamSettings, TlsSettings, CompressionSettings {
  /** Empty: a cluster is read. Files and directories; "-" is standard input. */
  readonly manifests: readonly string[];
  /** `namespace/name` of the ConfigMap whose keys overrule flags and environment; null: none. */
  readonly configMapName: string | null;
  readonly profile: "spec";
  /** 0: any free port. */
  readonly httpPort: number;
  readonly httpsPort: number;
  readonly adminPort: number;
  /** "::" falls back to "0.0.0.0" where IPv6 is off. */
  readonly bindAddress: string;
  readonly adminAddress: string;
  /** 0: as many as the cores that the process may use. */
  readonly workers: number;
  readonly ingressClass: string;
  readonly controllerClass: string;
  readonly watchIngressWithoutClass: boolean;
  /** `namespace/name` or `namespace/name:port`; null: the built-in 404 page. */
  readonly defaultBackendService: string | null;
  /** `namespace/name`; null: self-signed. */
  readonly defaultSslCertificate: string | null;
  readonly allowExternalName: boolean;
  /** CIDRs. */
  readonly trustedProxies: readonly string[];
  /** Milliseconds, as all durations here; 0: at once. */
  readonly shutdownGracePeriod: number;
  readonly accessLogFormat: "json" | "nginx" | "off";
  /** Bytes; 0: unlimited. */
  readonly proxyBodySize: number;
  readonly proxyConnectTimeout: number;
  readonly proxyReadTimeout: number;
  readonly proxySendTimeout: number;
  readonly clientHeaderTimeout: number;
  readonly clientBodyTimeout: number;
  readonly keepAliveTimeout: number;
  readonly sslRedirect: boolean;
  readonly loadBalance: "round_robin" | "ewma" | "least_conn";
  readonly serviceUpstream: boolean;
  readonly logLevel: "debug" | "info" | "warn" | "error";
  readonly logFormat: "text" | "json";
}

const all = commandNames;
const running = ["serve", "demo"] as const;
const reading = ["serve", "render"] as const;

/** In the order in which help and the reference list them. */
export const settingsTable: { readonly [Field in keyof Settings]: Setting<Settings[Field]> } = {
  manifests: {
    flag: "manifests",
    configMap: null,
    type: paths,
    default: [],
    summary:
      "Read Kubernetes objects from this file or directory, recursively, and watch it, and from no cluster; - is standard input. May be repeated.",
    commands: reading,
  },
  ...clusterTable,
  configMapName: {
    flag: "configmap",
    configMap: null,
    type: optional(namespacedName),
    default: null,
    summary: "ConfigMap with settings under the names of ingress-nginx, which overrule flags; empty is none.",
    commands: reading,
  },
  httpPort: {
    flag: "http-port",
    configMap: null,
    type: port,
    default: 8080,
    summary: "Port for HTTP; 0 takes any free port.",
    commands: all,
  },
  httpsPort: {
    flag: "https-port",
    configMap: null,
    type: port,
    default: 8443,
    summary: "Port for HTTPS; 0 takes any free port.",
    commands: all,
  },
  adminPort: {
    flag: "admin-port",
    configMap: null,
    type: port,
    default: 10254,
    summary: "Port for /healthz, /readyz, /metrics, /snapshot, /problems and /endpoints; 0 takes any free port.",
    commands: running,
  },
  bindAddress: {
    flag: "bind-address",
    configMap: "bind-address",
    type: address,
    default: "::",
    summary: "Address that HTTP, HTTPS, TCP and UDP services listen on; :: is every address, IPv4 too.",
    commands: all,
  },
  adminAddress: {
    flag: "admin-address",
    configMap: null,
    type: address,
    default: "127.0.0.1",
    summary: "Address that the admin port listens on; the container image sets :: so that probes reach it.",
    commands: running,
  },
  workers: {
    flag: "workers",
    configMap: "worker-processes",
    type: integer("COUNT", 0, 1024),
    default: 0,
    summary: "Worker threads that proxy; 0 is one for each core that the process may use.",
    commands: running,
  },
  profile: {
    flag: "profile",
    configMap: null,
    type: choice("spec"),
    default: "spec",
    summary: "Routing rules to follow: spec is the Ingress specification to the letter.",
    commands: all,
  },
  ingressClass: {
    flag: "ingress-class",
    configMap: null,
    type: className,
    default: "sluice",
    summary: "Ingresses of this class are served even where no IngressClass object of that name exists.",
    commands: all,
  },
  controllerClass: {
    flag: "controller-class",
    configMap: null,
    type: controllerName,
    default: "sluice.dev/ingress-controller",
    summary: "An IngressClass whose spec.controller is this belongs to Sluice.",
    commands: all,
  },
  watchIngressWithoutClass: {
    flag: "watch-ingress-without-class",
    configMap: null,
    type: toggle,
    default: false,
    summary: "Serve the Ingresses that name no class, too.",
    commands: all,
  },
  defaultBackendService: {
    flag: "default-backend-service",
    configMap: null,
    type: optional(servicePort),
    default: null,
    summary: "Service that answers what no rule matches; empty is the built-in 404 page.",
    commands: all,
  },
  defaultSslCertificate: {
    flag: "default-ssl-certificate",
    configMap: null,
    type: optional(namespacedName),
    default: null,
    summary: "TLS Secret for hosts without a certificate of their own; empty is a self-signed certificate.",
    commands: all,
  },
  allowExternalName: {
    flag: "allow-external-name",
    configMap: null,
    type: toggle,
    default: true,
    summary: "Proxy to Services of type ExternalName.",
    commands: all,
  },
  trustedProxies: {
    flag: "trusted-proxies",
    configMap: "proxy-real-ip-cidr",
    live: true,
    type: list(network),
    default: [],
    summary:
      "Take the client's address and scheme from the X-Forwarded headers of peers in these networks; empty trusts nobody. May be repeated.",
    commands: all,
  },
  ...frontTable,
  sslRedirect: {
    flag: "ssl-redirect",
    configMap: "ssl-redirect",
    live: true,
    type: toggle,
    default: false,
    summary: "Redirect HTTP to HTTPS for hosts that have TLS, where the Ingress does not say otherwise.",
    commands: all,
  },
  loadBalance: {
    flag: "load-balance",
    configMap: "load-balance",
    live: true,
    type: choice("round_robin", "ewma", "least_conn"),
    default: "round_robin",
    summary: "How an endpoint is chosen, where the Ingress does not say otherwise.",
    commands: all,
  },
  serviceUpstream: {
    flag: "service-upstream",
    configMap: "service-upstream",
    live: true,
    type: toggle,
    default: false,
    summary:
      "Send requests to the cluster IP of a Service, not to its endpoints, where the Ingress does not say otherwise.",
    commands: all,
  },
  proxyBodySize: {
    flag: "proxy-body-size",
    configMap: "proxy-body-size",
    live: true,
    type: size,
    default: 1024 ** 2,
    summary: "Largest request body, where the Ingress does not say otherwise; 0 is unlimited.",
    commands: all,
  },
  proxyConnectTimeout: {
    flag: "proxy-connect-timeout",
    configMap: "proxy-connect-timeout",
    live: true,
    type: duration(1),
    default: 5000,
    summary: "Time to connect to an upstream, where the Ingress does not say otherwise.",
    commands: all,
  },
  proxyReadTimeout: {
    flag: "proxy-read-timeout",
    configMap: "proxy-read-timeout",
    live: true,
    type: duration(1),
    default: 60_000,
    summary: "Time between two reads from an upstream, where the Ingress does not say otherwise.",
    commands: all,
  },
  proxySendTimeout: {
    flag: "proxy-send-timeout",
    configMap: "proxy-send-timeout",
    live: true,
    type: duration(1),
    default: 60_000,
    summary: "Time between two writes to an upstream, where the Ingress does not say otherwise.",
    commands: all,
  },
  clientHeaderTimeout: {
    flag: "client-header-timeout",
    configMap: "client-header-timeout",
    live: true,
    type: duration(1),
    default: 10_000,
    summary: "Time for a client to send the head of a request.",
    commands: all,
  },
  clientBodyTimeout: {
    flag: "client-body-timeout",
    configMap: "client-body-timeout",
    live: true,
    type: duration(1),
    default: 60_000,
    summary:
      "Time between two parts of a request's body, also while it is answered; on a stream of HTTP/2, until the answer begins.",
    commands: all,
  },
  keepAliveTimeout: {
    flag: "keep-alive-timeout",
    configMap: "keep-alive",
    live: true,
    type: duration(1),
    default: 75_000,
    summary: "Time that an idle connection of a client stays open.",
    commands: all,
  },
  ...tlsTable,
  ...streamTable,
  shutdownGracePeriod: {
    flag: "shutdown-grace-period",
    configMap: "worker-shutdown-timeout",
    live: true,
    type: duration(0),
    default: 30_000,
    summary: "Time that requests and tunnels have to end after SIGTERM; 0 ends them at once.",
    commands: ["serve"],
  },
  accessLogFormat: {
    flag: "access-log-format",
    configMap: "access-log-format",
    live: true,
    type: choice("json", "nginx", "off"),
    default: "json",
    summary: "One line a request on standard output: JSON, ingress-nginx's format, or none.",
    commands: running,
  },
  ...compressionTable,
  logLevel: {
    flag: "log-level",
    configMap: null,
    type: choice("debug", "info", "warn", "error"),
    default: "info",
    summary: "Least severity of the events told on standard error.",
    commands: all,
  },
  logFormat: {
    flag: "log-format",
    configMap: null,
    type: choice("text", "json"),
    default: "text",
    summary: "How events on standard error are written.",
    commands: all,
  },
};
