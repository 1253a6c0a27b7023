/**
 * Which certificate a TLS client gets: by server name, exact first, then the wildcard one label up, else the default. The
 * choice is replaced as a whole by a change; handshakes under way keep the context they have.
 */
import { createSecureContext, type SecureContext } from "node:tls";
import type { SnapshotPatch } from "../model/patch.ts";
import type { PrivateKeys } from "../model/snapshot.ts";

/** A certificate chain and its key as PEM. */
export interface KeyPair {
  readonly chain: string;
  readonly key: string;
}

export class Certificates {
  /** For the server's own options, which serve clients that send no name. */
  readonly fallback: { readonly cert: string; readonly key: string };
  readonly #fallback: SecureContext;
  readonly #report: (fingerprint: string, reason: string) => void;
  /** Made once a certificate, for it costs milliseconds; kept while a Snapshot holds the certificate. */
  readonly #contexts = new Map<string, SecureContext>();
  /** null: the default, although a wildcard may cover the host, for its own certificate is missing and its owner is told so. */
  #byHost = new Map<string, SecureContext | null>();
  #default: SecureContext;

  /** `selfSigned` serves names that have no certificate; `report` hears of a certificate that the TLS library refuses. */
  constructor(selfSigned: KeyPair, report: (fingerprint: string, reason: string) => void) {
    this.fallback = { cert: selfSigned.chain, key: selfSigned.key };
    this.#fallback = createSecureContext(this.fallback);
    this.#default = this.#fallback;
    this.#report = report;
  }

  /** Takes over what a patch says of certificates; `keys` are those of the certificates that are new. */
  apply(patch: Pick<SnapshotPatch, "certificates" | "tls" | "defaultCertificate">, keys: PrivateKeys): void {
    for (const { fingerprint, chain } of patch.certificates.set) {
      const context = this.#create(fingerprint, chain, keys.get(fingerprint));
      if (context !== null) this.#contexts.set(fingerprint, context);
    }
    if (patch.tls !== null) {
      const byHost = new Map<string, SecureContext | null>();
      for (const { host, certificate } of patch.tls) {
        byHost.set(host, this.#contexts.get(certificate ?? "") ?? null);
      }
      this.#byHost = byHost;
    }
    this.#default = this.#contexts.get(patch.defaultCertificate ?? "") ?? this.#fallback;
    for (const fingerprint of patch.certificates.gone) this.#contexts.delete(fingerprint);
  }

  /** The context for a server name as the client sent it; "" when it sent none. */
  contextFor(serverName: string): SecureContext {
    const name = serverName.toLowerCase();
    const host = name.endsWith(".") ? name.slice(0, -1) : name;
    const exact = this.#byHost.get(host);
    if (exact !== undefined) return exact ?? this.#default;
    const dot = host.indexOf(".");
    const wildcard = dot > 0 ? this.#byHost.get(`*${host.slice(dot)}`) : undefined;
    return wildcard ?? this.#default;
  }

  #create(fingerprint: string, chain: string, key: string | undefined): SecureContext | null {
    if (key === undefined) return null;
    try {
      return createSecureContext({ cert: chain, key });
    } catch (error) {
      // translate has checked the pair; what only OpenSSL refuses (a weak key, say) must not take the others along.
      this.#report(fingerprint, error instanceof Error ? error.message : "refused");
      return null;
    }
  }
}
