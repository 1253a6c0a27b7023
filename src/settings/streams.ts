/** The rows of the settings table for TCP and UDP services. */
import { namespacedName } from "./names.ts";
import type { Setting } from "./setting.ts";
import { duration, integer, optional, toggle } from "./value.ts";

export interface StreamSettings {
  /** `namespace/name`; null: there are no such services. */
  readonly tcpServicesConfigMap: string | null;
  readonly udpServicesConfigMap: string | null;
  /** Milliseconds. */
  readonly proxyStreamTimeout: number;
  readonly proxyStreamNextUpstream: boolean;
  /** Milliseconds; 0: no limit. */
  readonly proxyStreamNextUpstreamTimeout: number;
  /** 0: all endpoints. */
  readonly proxyStreamNextUpstreamTries: number;
  readonly proxyStreamResponses: number;
}

const reading = ["serve", "render"] as const;

export const streamTable: { readonly [Field in keyof StreamSettings]: Setting<StreamSettings[Field]> } = {
  tcpServicesConfigMap: {
    flag: "tcp-services-configmap",
    configMap: null,
    type: optional(namespacedName),
    default: null,
    summary: 'ConfigMap of TCP services to serve, with entries such as "5432": "shop/db:5432"; empty is none.',
    commands: reading,
  },
  udpServicesConfigMap: {
    flag: "udp-services-configmap",
    configMap: null,
    type: optional(namespacedName),
    default: null,
    summary: 'ConfigMap of UDP services to serve, with entries such as "53": "kube-system/kube-dns:53"; empty is none.',
    commands: reading,
  },
  proxyStreamTimeout: {
    flag: "proxy-stream-timeout",
    configMap: "proxy-stream-timeout",
    live: true,
    type: duration(1),
    default: 600_000,
    summary:
      "Time without a byte or datagram after which a connection or session of a TCP or UDP service ends, and one of TLS that is passed through.",
    commands: reading,
  },
  proxyStreamNextUpstream: {
    flag: "proxy-stream-next-upstream",
    configMap: "proxy-stream-next-upstream",
    live: true,
    type: toggle,
    default: true,
    summary: "Try another endpoint of a TCP service when one cannot be connected to.",
    commands: reading,
  },
  proxyStreamNextUpstreamTimeout: {
    flag: "proxy-stream-next-upstream-timeout",
    configMap: "proxy-stream-next-upstream-timeout",
    live: true,
    type: duration(0),
    default: 600_000,
    summary: "Time after which no further endpoint of a TCP service is tried; 0 is no limit.",
    commands: reading,
  },
  proxyStreamNextUpstreamTries: {
    flag: "proxy-stream-next-upstream-tries",
    configMap: "proxy-stream-next-upstream-tries",
    live: true,
    type: integer("COUNT", 0, 1000),
    default: 3,
    summary: "Endpoints of a TCP service tried for one connection; 0 is all.",
    commands: reading,
  },
  proxyStreamResponses: {
    flag: "proxy-stream-responses",
    configMap: "proxy-stream-responses",
    live: true,
    type: integer("COUNT", 0, 1_000_000),
    default: 1,
    summary:
      "Answers that a UDP service sends to each datagram; a session that has them all ends after 5 s of silence.",
    commands: reading,
  },
};
