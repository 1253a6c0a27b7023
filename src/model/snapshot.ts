/**
 * The Snapshot: everything that the router, nginx.conf and every report are functions of. It is plain data in a fixed
 * order (no Map, class, function or RegExp), so it prints, compares, crosses to a worker and serves as a golden file.
 * Compiled things (tries, regular expressions, masks, pools) belong to whoever consumes it.
 */
import type { BalanceOptions } from "./balance.ts";
import type { CanaryRule } from "./canary.ts";
import type { ClientAuth, Demand } from "./client-auth.ts";
import type { Policy, SourceRange } from "./policy.ts";
import type { UpstreamProtocol, UpstreamTls } from "./upstream-tls.ts";

export interface Snapshot {
  /** Ascending by name. The host named "" serves every name that no other host does. */
  readonly hosts: readonly Host[];
  /** Ascending by key. */
  readonly upstreams: readonly Upstream[];
  /** How server names are spoken to; ascending by host. Wildcards are `*.example.com`, "" is every other name. */
  readonly tls: readonly TlsHost[];
  /** Ascending by fingerprint. Private keys are kept apart, by the same fingerprint. */
  readonly certificates: readonly Certificate[];
  /** Those shown to upstreams; ascending by fingerprint. Private keys are kept apart here, too. */
  readonly clientCertificates: readonly Certificate[];
  /** Whose certificates are trusted, where one is verified; ascending by fingerprint. */
  readonly authorities: readonly Authority[];
  /** The TCP and UDP services; ascending by protocol and port. */
  readonly streams: readonly StreamService[];
  /** Answers a request whose host is unknown, or whose path no route of the chosen host matches. */
  readonly defaultBackend: Backend;
  /** Fingerprint of `--default-ssl-certificate`; null means the self-signed one. */
  readonly defaultCertificate: string | null;
}

export interface Host {
  /** Lower-case DNS name, `*.` and a DNS name, or "" for every name. */
  readonly name: string;
  /** True when an Ingress lists this host under spec.tls, so that a redirect to https leads somewhere. */
  readonly tls: boolean;
  /** In order of precedence: exact paths, then regular expressions, then prefixes; the longer path first, then by text. */
  readonly routes: readonly Route[];
  /** What a path that no route matches gets; null means the Snapshot's default backend. */
  readonly defaultRoute: Route | null;
  /** Whose certificates its clients need; absent: they need none. */
  readonly clientAuth?: ClientAuth;
  /** Where TLS connections to this host go as they are; absent: TLS is ended here. */
  readonly passthrough?: Passthrough;
}

export interface Passthrough {
  /** Other than an upstream: connections are closed. */
  readonly backend: Backend;
  /** Of one try, in milliseconds. */
  readonly connectTimeout: number;
  /** Without a byte in either direction, in milliseconds. */
  readonly idleTimeout: number;
  /** The version of the PROXY protocol that begins each connection to an endpoint; absent: none does. */
  readonly sendProxy?: 1 | 2;
  /** Whom connections are taken from; absent: everybody. */
  readonly sourceRange?: SourceRange;
  /** The Ingress that asks for it, as namespace/name. */
  readonly ingress: string;
}

export interface Route {
  readonly path: PathMatch;
  readonly backend: Backend;
  /** Backends that take some of the requests, in the order in which they are asked; absent: none. Each has another Ingress. */
  readonly canaries?: readonly Canary[];
  readonly policy: Policy;
  /** Why every request is refused with 503 (a guarding annotation has an invalid value); null when the route is open. */
  readonly closed: string | null;
  /** The Ingress that declared the route, as namespace/name, and the path as written there. */
  readonly ingress: string;
  readonly declaredPath: string;
}

/** An alternative to the backend of a route. */
export interface Canary {
  /** The Ingress that declares it, as namespace/name. */
  readonly ingress: string;
  readonly backend: Extract<Backend, { readonly kind: "upstream" }>;
  readonly rule: CanaryRule;
}

/**
 * exact and prefix hold the percent-decoded path; a prefix has no trailing slash unless it is "/". A regex holds the
 * source as written, without the leading ^: it is matched case-insensitively from the start of the path, open at the end.
 */
export type PathMatch =
  | { readonly kind: "exact"; readonly path: string }
  | { readonly kind: "prefix"; readonly path: string }
  | { readonly kind: "regex"; readonly source: string };

export type Backend =
  | { readonly kind: "upstream"; readonly upstream: string; readonly service: ServiceRef }
  /** The Service is missing, or has no such port: 503. */
  | { readonly kind: "unavailable"; readonly reason: string; readonly service: ServiceRef | null }
  /** The built-in 404 page. */
  | { readonly kind: "notFound" };

export interface ServiceRef {
  readonly namespace: string;
  readonly name: string;
  /** Port name or number as the Ingress writes it. */
  readonly port: string;
}

export interface Upstream {
  /** `namespace/service/port`, and behind it the protocol where that is not http, and a digest of the options where there are any. */
  readonly key: string;
  readonly protocol: UpstreamProtocol;
  readonly options: UpstreamOptions;
  readonly service: ServiceRef;
  /** Without duplicates, ascending by address and port. Empty: 503. */
  readonly endpoints: readonly Endpoint[];
  /** The DNS name of an ExternalName Service, sent to it as TLS server name (Host stays the client's); null for all others. */
  readonly externalName: string | null;
}

/**
 * What annotations ask of the upstreams behind an Ingress, as plain data: one field a feature, absent where it asks for
 * nothing. A Service that two Ingresses ask different things of is two upstreams.
 */
export interface UpstreamOptions extends BalanceOptions {
  /** The version of the PROXY protocol that begins each connection to an endpoint. */
  readonly sendProxy?: 1 | 2;
  /** The Service's own address stands for its endpoints, and the cluster's network chooses among them. */
  readonly serviceAddress?: true;
  /** Where TLS is spoken, and an annotation says something of it. */
  readonly tls?: UpstreamTls;
}

export const noOptions: UpstreamOptions = {};

export interface Endpoint {
  /** IPv4 or IPv6 address, without brackets. */
  readonly address: string;
  readonly port: number;
}

/** A port whose bytes go to the endpoints of a Service as they are, whatever they mean. */
export interface StreamService {
  readonly protocol: "tcp" | "udp";
  /** That clients connect to, or send to. No two services have the same protocol and port. */
  readonly port: number;
  /** With the port as the ConfigMap writes it. */
  readonly service: ServiceRef;
  /** Without duplicates, ascending by address and port. Empty: connections are closed at once, datagrams dropped. */
  readonly endpoints: readonly Endpoint[];
  /** The DNS name of an ExternalName Service; null for all others. */
  readonly externalName: string | null;
  /** `accept`: every connection begins with a PROXY header. `send`: the endpoint is sent one. Of UDP both are false. */
  readonly proxyProtocol: { readonly accept: boolean; readonly send: boolean };
  readonly limits: StreamLimits;
  /** The ConfigMap that declares it, as namespace/name. */
  readonly configMap: string;
}

/** Times in milliseconds. */
export interface StreamLimits {
  /** Of one try to connect. */
  readonly connectTimeout: number;
  /** Without a byte or a datagram in either direction. */
  readonly idleTimeout: number;
  /** Endpoints tried for one connection; 0: all. */
  readonly tries: number;
  /** Until no further endpoint is tried; 0: never. */
  readonly triesTimeout: number;
  /** UDP: answers that are expected to each datagram. */
  readonly responses: number;
}

export interface TlsHost {
  readonly host: string;
  /**
   * Fingerprints, one a key type, ascending by that. Empty: the default certificate (the Secret is missing, malformed,
   * mismatched or expired, or none is named).
   */
  readonly certificates: readonly string[];
  /** The Secrets named, as namespace/name, those of the oldest Ingress first. */
  readonly secrets: readonly string[];
  /** Absent: the handshake is that of all other hosts but for the certificates. */
  readonly handshake?: Handshake;
}

/** What the handshake of one host has otherwise; what is absent is as for all hosts. */
export interface Handshake {
  /** OpenSSL's list. */
  readonly ciphers?: string;
  /** Whose order of ciphers counts. */
  readonly preferServerCiphers?: boolean;
  /** What is asked of clients; absent: nothing. */
  readonly demand?: Demand;
}

export interface Certificate {
  /** SHA-256 over the PEM chain, in lower-case hex. */
  readonly fingerprint: string;
  /** The chain as PEM, leaf first. */
  readonly chain: string;
  /** DNS names of the leaf. */
  readonly names: readonly string[];
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
  /** The Secrets that hold it, as namespace/name, ascending. */
  readonly secrets: readonly string[];
}

/** Certificates of certificate authorities. */
export interface Authority {
  /** SHA-256 over the PEM text, in lower-case hex. */
  readonly fingerprint: string;
  /** One PEM block after the other, in the Secret's order. */
  readonly chain: string;
  /** Their revocation lists as PEM, one block after the other; absent: nothing is looked up. */
  readonly revoked?: string;
  /** The Secrets that hold them, as namespace/name, ascending. */
  readonly secrets: readonly string[];
}

/** Private keys as PEM by certificate fingerprint. Never printed, never part of a Snapshot. */
export type PrivateKeys = ReadonlyMap<string, string>;

export const emptySnapshot: Snapshot = {
  hosts: [],
  upstreams: [],
  tls: [],
  certificates: [],
  clientCertificates: [],
  authorities: [],
  streams: [],
  defaultBackend: { kind: "notFound" },
  defaultCertificate: null,
};
