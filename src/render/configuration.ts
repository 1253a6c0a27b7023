/**
 * The shape of the rendered configuration before it becomes text: what the templates lay out, and what the tests compare
 * with the text read back.
 */
import type { Directive, NginxArg, NginxMap, NginxSplit } from "../features/feature.ts";
import type { Endpoint, Passthrough, StreamService } from "../model/snapshot.ts";

export interface Configuration {
  /** An upstream is reached through nginx's module for gRPC. */
  readonly speaksGrpc: boolean;
  /** A host asks clients for certificates, or tells upstreams that it does not. */
  readonly asksClients: boolean;
  readonly maps: readonly (NginxMap | NginxSplit)[];
  readonly upstreams: readonly UpstreamBlock[];
  readonly servers: readonly ServerBlock[];
  readonly streams: readonly StreamService[];
  /** Empty: no TLS is passed through, and the servers listen for HTTPS themselves. */
  readonly namedHosts: readonly NamedHost[];
}

export interface UpstreamBlock {
  readonly name: string;
  readonly comments: readonly string[];
  /** What stands before the endpoints. */
  readonly directives: readonly Directive[];
  /** Addresses with ports, at least one. */
  readonly endpoints: readonly string[];
}

export interface ServerBlock {
  readonly comments: readonly string[];
  /** null: the server for every name that no other server has. */
  readonly name: string | null;
  /** Paths of the certificates without extension, relative to nginx.conf; empty: the default certificate. */
  readonly certificates: readonly string[];
  /** Behind the certificates. */
  readonly directives: readonly Directive[];
  readonly locations: readonly LocationBlock[];
}

export interface LocationBlock {
  readonly comments: readonly string[];
  /** "=" and a path, "~*" and a regular expression, or a path alone. */
  readonly match: readonly NginxArg[];
  readonly directives: readonly Directive[];
}

/** A TCP or UDP service, or a host whose TLS is passed through, in the stream block. */
export interface StreamBlock {
  readonly comments: readonly string[];
  /** Its upstream, where it has one, and its server. */
  readonly directives: readonly Directive[];
}

/** One host of the Snapshot, for the choice by server name. */
export interface NamedHost {
  readonly name: string;
  /** null: its TLS is ended here, though a wildcard that is passed through covers its name. */
  readonly passed: { readonly passthrough: Passthrough; readonly endpoints: readonly Endpoint[] } | null;
}

/** Something of the Snapshot that nginx.conf does not hold, or holds differently. */
export interface Note {
  /** The Ingress as namespace/name; "" when it concerns none alone. */
  readonly ingress: string;
  /** "shop.example/cart", the place in the file. */
  readonly place: string;
  readonly reason: string;
}
