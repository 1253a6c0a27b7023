/** What annotations say of an Ingress that is no part of a route's Policy: translate follows it, for it is of hosts or upstreams. */
import type { CanaryRule } from "../model/canary.ts";
import type { Verification } from "../model/client-auth.ts";
import type { Handshake, UpstreamOptions } from "../model/snapshot.ts";
import type { UpstreamProtocol } from "../model/upstream-tls.ts";

export interface Traits {
  /** ImplementationSpecific paths are regular expressions. */
  readonly useRegex: boolean;
  readonly backendProtocol: UpstreamProtocol;
  /** TLS connections to the hosts are not ended here. */
  readonly passthrough: boolean;
  /** This feature's fields alone; those of all features are taken together. */
  readonly upstreamOptions: UpstreamOptions;
  readonly canary: CanaryRule;
  readonly clientAuth: ClientAuthWish;
  readonly handshake: Omit<Handshake, "demand">;
}

/** What the annotations of an Ingress ask of the clients of its hosts. */
export interface ClientAuthWish {
  /** namespace/name; null: none is named, although something else asks for certificates. */
  readonly secret: string | null;
  readonly verify: Verification;
  readonly depth: number;
  readonly errorPage: string | null;
  readonly matchCn: string | null;
  readonly passCertificate: boolean;
}
