/** The settings that nginx.conf depends on, and those that stock nginx cannot follow, or not wholly. */
import type { CompressionSettings } from "../model/compression.ts";
import type { Configuration } from "./configuration.ts";
import type { TlsRenderSettings } from "./tls.ts";

/** By their names in Settings. */
export interface RenderSettings extends TlsRenderSettings, CompressionSettings {
  readonly bindAddress: string;
  readonly httpPort: number;
  readonly httpsPort: number;
  /** CIDRs. */
  readonly trustedProxies: readonly string[];
  readonly useProxyProtocol: boolean;
  /** CIDRs. */
  readonly proxyProtocolFrom: readonly string[];
  /** Milliseconds. */
  readonly proxyProtocolHeaderTimeout: number;
  readonly http2PriorKnowledge: boolean;
  /** Milliseconds. */
  readonly clientHeaderTimeout: number;
  readonly clientBodyTimeout: number;
  readonly keepAliveTimeout: number;
  readonly proxyConnectTimeout: number;
  readonly proxyReadTimeout: number;
  readonly proxySendTimeout: number;
  /** Bytes; 0: unlimited. */
  readonly proxyBodySize: number;
}

/** The reasons, for the head of nginx.conf and for whoever renders it. */
export function inexpressibleSettings(
  settings: RenderSettings,
  { namedHosts }: Pick<Configuration, "namedHosts">,
): readonly string[] {
  const reasons: string[] = [];
  if (settings.trustedProxies.length > 0 && (settings.useProxyProtocol || namedHosts.length > 0)) {
    reasons.push(
      "the address in X-Forwarded-For of a client that a PROXY protocol header tells of is not looked at: nginx takes the client's address from one of them",
    );
  }
  if (settings.useProxyProtocol && namedHosts.length > 0) {
    reasons.push(
      "the port that a PROXY protocol header before TLS says the client connected to is not told to upstreams: where TLS is passed through, nginx tells its own",
    );
  }
  if (settings.useProxyProtocol) {
    reasons.push(
      "a PROXY protocol header has to come in one piece, within client-header-timeout: in its http block nginx has no limit for it alone, such as proxy-protocol-header-timeout",
    );
  }
  if (settings.http2PriorKnowledge) {
    reasons.push(
      "HTTP/2 by prior knowledge is not spoken: before 1.25.1, nginx has HTTP/1.1 or that on a port in plain",
    );
  }
  if (settings.sslSessionTickets && settings.sslSessionTicketKey !== null) {
    reasons.push(
      "TLS sessions resume at this nginx alone, with a key that it makes at its start: that of ssl-session-ticket-key is shown nowhere",
    );
  }
  if (settings.enableBrotli) reasons.push("nothing is compressed with brotli: stock nginx has no module for it");
  if (settings.useGzip) reasons.push("no-transform keeps nothing from being compressed: nginx does not look at it");
  return reasons;
}
