/** What is known of a client by its TLS handshake. */
import type { X509Certificate } from "node:crypto";
import { distinguishedName } from "../../wire/distinguished-name.ts";

/** What the handshake of a connection has found out. */
export interface PeerTls {
  /** The client named a host in it. */
  readonly named: boolean;
  /** What was asked of the client, as demandKey gives it. */
  readonly demand: string | null;
  readonly certificate: ClientCertificate | null;
}

/** For connections whose handshake asked for nothing. */
export const namedPeer: PeerTls = { named: true, demand: null, certificate: null };
export const namelessPeer: PeerTls = { named: false, demand: null, certificate: null };

/** A certificate that a client has shown, and has the key of. */
export class ClientCertificate {
  /** Why it is not to be believed, by OpenSSL's code; null: it is. */
  readonly error: string | null;
  readonly #certificate: X509Certificate;
  #subject: string | null = null;
  #issuer: string | null = null;
  #escaped: string | null = null;

  constructor(certificate: X509Certificate, error: string | null) {
    this.#certificate = certificate;
    this.error = error;
  }

  get subject(): string {
    this.#subject ??= distinguishedName(this.#certificate.subject ?? "");
    return this.#subject;
  }

  get issuer(): string {
    this.#issuer ??= distinguishedName(this.#certificate.issuer ?? "");
    return this.#issuer;
  }

  /** PEM, percent-encoded. */
  get escaped(): string {
    this.#escaped ??= encodeURIComponent(this.#certificate.toString());
    return this.#escaped;
  }
}
