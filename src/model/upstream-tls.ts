/** TLS to upstreams as plain data, and what follows from it for whoever opens connections and for nginx.conf alike. */

/** What annotations ask of TLS to the upstreams. */
export interface UpstreamTls {
  /** The Secret that holds the certificate and the authorities, as namespace/name; null: none is named. */
  readonly secret: string | null;
  /** Fingerprint of the certificate that is shown to the upstream; null: none is. */
  readonly certificate: string | null;
  /** The upstream's certificate is verified. */
  readonly verify: boolean;
  /** Fingerprint of the authorities that it must come from; null: of none, so that no certificate passes. */
  readonly authority: string | null;
  /** Intermediate certificates, at most: as OpenSSL counts, neither the leaf nor the root is one. */
  readonly verifyDepth: number;
  /** The name that the certificate must be for and that is sent; null: see tlsName. */
  readonly name: string | null;
  /** Whether the name is sent (SNI, RFC 6066); null: nothing is said, see sentName. */
  readonly sendName: boolean | null;
  /** Those that are offered, ascending; empty: TLSv1.2 and TLSv1.3. */
  readonly protocols: readonly TlsVersion[];
  /** OpenSSL's cipher list, for versions before TLSv1.3; "": the library's own. */
  readonly ciphers: string;
}

export const tlsVersions = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] as const;
export type TlsVersion = (typeof tlsVersions)[number];

/** HTTP/1.1 plain and over TLS; HTTP/2 by prior knowledge and over TLS, which is what gRPC servers speak. */
export type UpstreamProtocol = "http" | "https" | "grpc" | "grpcs";

/** What of an upstream its name for TLS follows from. */
interface Named {
  readonly service: { readonly namespace: string; readonly name: string };
  readonly externalName: string | null;
  readonly options: { readonly tls?: UpstreamTls };
}

/** TLS is spoken to it. */
export function isOverTls(protocol: UpstreamProtocol): boolean {
  return protocol === "https" || protocol === "grpcs";
}

/** What the certificate of an upstream is for: by default the external name, or the name of the Service in the cluster. */
export function tlsName({ service, externalName, options }: Named): string {
  return options.tls?.name ?? externalName ?? `${service.name}.${service.namespace}.svc`;
}

/** The server name sent to it; null: none, as nginx does by default. An external name is sent unless that is forbidden. */
export function sentName(upstream: Named): string | null {
  const sends = upstream.options.tls?.sendName ?? upstream.externalName !== null;
  return sends ? tlsName(upstream) : null;
}
