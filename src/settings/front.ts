/** The rows of the settings table for what comes before the first request of a connection. */
import type { Setting } from "./setting.ts";
import { duration, list, network, toggle } from "./value.ts";

export interface FrontSettings {
  readonly useProxyProtocol: boolean;
  /** CIDRs. */
  readonly proxyProtocolFrom: readonly string[];
  /** Milliseconds. */
  readonly proxyProtocolHeaderTimeout: number;
  readonly http2PriorKnowledge: boolean;
  readonly enableSslPassthrough: boolean;
}

const all = ["serve", "render", "demo"] as const;

export const frontTable: { readonly [Field in keyof FrontSettings]: Setting<FrontSettings[Field]> } = {
  useProxyProtocol: {
    flag: "use-proxy-protocol",
    configMap: "use-proxy-protocol",
    live: true,
    type: toggle,
    default: false,
    summary:
      "Every connection to the ports for HTTP and HTTPS begins with a PROXY protocol header, of version 1 or 2; those without one are closed.",
    commands: all,
  },
  proxyProtocolFrom: {
    flag: "proxy-protocol-from",
    configMap: null,
    live: true,
    type: list(network),
    default: [],
    summary:
      "Take the client's address from the PROXY protocol headers of peers in these networks; those of others are read and not believed. May be repeated.",
    commands: all,
  },
  proxyProtocolHeaderTimeout: {
    flag: "proxy-protocol-header-timeout",
    configMap: "proxy-protocol-header-timeout",
    live: true,
    type: duration(1),
    default: 5000,
    summary: "Time for a peer to send its PROXY protocol header.",
    commands: all,
  },
  http2PriorKnowledge: {
    flag: "http2-prior-knowledge",
    configMap: "http2-prior-knowledge",
    live: true,
    type: toggle,
    default: false,
    summary: "Speak HTTP/2 on the port for HTTP with clients that begin with it (h2c by prior knowledge).",
    commands: all,
  },
  enableSslPassthrough: {
    flag: "enable-ssl-passthrough",
    configMap: null,
    type: toggle,
    default: false,
    summary: "Pass TLS connections through to the Services of Ingresses with the annotation ssl-passthrough.",
    commands: all,
  },
};
