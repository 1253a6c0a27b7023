/** What a header of the PROXY protocol tells, whichever version it is written in. See proxy-protocol.ts. */

/** One end of a connection. */
export interface ConnectionEnd {
  /** IPv4, or IPv6 as RFC 5952 writes it; an IPv4 address mapped into IPv6 is given as IPv4. */
  readonly address: string;
  readonly port: number;
}

/** The two ends of the connection that is passed on: who opened it, and where. */
export interface ProxiedConnection {
  readonly source: ConnectionEnd;
  readonly destination: ConnectionEnd;
}

export type ProxyHeader =
  /** What has come may be the start of a header: ask again when there is more. Never said of 4096 bytes. */
  | { readonly kind: "incomplete" }
  /** Not a header, or one that breaks the specification. The reason is fixed text, completing "the header …". */
  | { readonly kind: "malformed"; readonly reason: string }
  /** `length` is the header's; the connection's own bytes begin behind it. */
  | ({ readonly kind: "proxied"; readonly length: number } & ProxiedConnection)
  /** The sender speaks for itself (LOCAL), or for somebody without an IP address: the socket's own ends count. */
  | { readonly kind: "local"; readonly length: number };
