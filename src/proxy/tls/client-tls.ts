/**
 * TLS to upstreams as connections need it: the certificates to show, the authorities to believe, and one SecureContext for
 * each set of options, for it costs milliseconds and memory to make.
 */
import { constants, type X509Certificate } from "node:crypto";
import {
  type ConnectionOptions,
  checkServerIdentity,
  createSecureContext,
  type SecureContext,
  type SecureVersion,
} from "node:tls";
import type { SnapshotPatch } from "../../model/patch.ts";
import type { PrivateKeys, Upstream } from "../../model/snapshot.ts";
import { isOverTls, sentName, tlsName, tlsVersions, type UpstreamTls } from "../../model/upstream-tls.ts";
import { intermediates, splitChain } from "./chain.ts";

/** What each connection of a pool is opened with. */
export type TlsOptions = Pick<
  ConnectionOptions,
  "secureContext" | "rejectUnauthorized" | "servername" | "checkServerIdentity"
>;

/** What a SecureContext is made of. */
type ContextOptions = Pick<UpstreamTls, "certificate" | "verify" | "authority" | "protocols" | "ciphers">;

/** Where no annotation says anything. */
const plainOptions: UpstreamTls = {
  secret: null,
  certificate: null,
  verify: false,
  authority: null,
  verifyDepth: 1,
  name: null,
  sendName: null,
  protocols: [],
  ciphers: "",
};

export class ClientTls {
  readonly #pairs = new Map<string, { readonly chain: string; readonly key: string }>();
  readonly #authorities = new Map<string, string>();
  /** By their options as text. Weak, so that pools alone decide how long one lives. */
  readonly #contexts = new Map<string, WeakRef<SecureContext>>();
  readonly #options = new WeakMap<Upstream, TlsOptions>();

  /** Takes over what is new in a patch; `keys` are those of its certificates. To be called before its upstreams are set. */
  add(patch: Pick<SnapshotPatch, "clientCertificates" | "authorities">, keys: PrivateKeys): void {
    for (const { fingerprint, chain } of patch.clientCertificates.set) {
      const key = keys.get(fingerprint);
      if (key !== undefined) this.#pairs.set(fingerprint, { chain, key });
    }
    for (const { fingerprint, chain } of patch.authorities.set) this.#authorities.set(fingerprint, chain);
  }

  /** Drops what a patch says is gone. To be called after its upstreams are set and removed. */
  drop(patch: Pick<SnapshotPatch, "clientCertificates" | "authorities">): void {
    for (const fingerprint of patch.clientCertificates.gone) this.#pairs.delete(fingerprint);
    for (const fingerprint of patch.authorities.gone) this.#authorities.delete(fingerprint);
    for (const [key, context] of this.#contexts) if (context.deref() === undefined) this.#contexts.delete(key);
  }

  /** For a pool of that upstream; null: it is spoken to in plain. Throws where the TLS library refuses the options. */
  optionsOf(upstream: Upstream): TlsOptions | null {
    if (!isOverTls(upstream.protocol)) return null;
    const before = this.#options.get(upstream);
    if (before !== undefined) return before;
    const tls = upstream.options.tls ?? plainOptions;
    const name = sentName(upstream);
    const options = {
      secureContext: this.#contextOf(tls),
      // As nginx does without proxy_ssl_verify: the backend's certificate is encryption, not identity.
      rejectUnauthorized: tls.verify,
      ...(name === null ? {} : { servername: name }),
      ...(tls.verify ? { checkServerIdentity: this.#checkOf(tls, tlsName(upstream)) } : {}),
    };
    this.#options.set(upstream, options);
    return options;
  }

  #contextOf({ certificate, verify, authority, protocols, ciphers }: ContextOptions): SecureContext {
    const key = JSON.stringify([certificate, verify && authority, protocols, ciphers]);
    const before = this.#contexts.get(key)?.deref();
    if (before !== undefined) return before;
    const pair = certificate === null ? undefined : this.#pairs.get(certificate);
    if (certificate !== null && pair === undefined) throw new Error("the key of its certificate is missing");
    const context = createSecureContext({
      // An empty list, for without one the library would load and believe all public authorities.
      ca: verify ? this.#authorityOf(authority) : [],
      ...(pair === undefined ? {} : { cert: pair.chain, key: pair.key }),
      ...(ciphers === "" ? {} : { ciphers: withLatest(ciphers) }),
      ...versions(protocols),
    });
    this.#contexts.set(key, new WeakRef(context));
    return context;
  }

  #authorityOf(fingerprint: string | null): string | [] {
    return (fingerprint === null ? undefined : this.#authorities.get(fingerprint)) ?? [];
  }

  #checkOf({ authority, verifyDepth }: UpstreamTls, name: string): NonNullable<TlsOptions["checkServerIdentity"]> {
    const chain = this.#authorityOf(authority);
    let trusted: readonly X509Certificate[] | null = null;
    return (_host, certificate) => {
      const refused = checkServerIdentity(name, certificate);
      if (refused !== undefined) return refused;
      trusted ??= typeof chain === "string" ? splitChain(chain) : [];
      return intermediates(certificate, trusted) <= verifyDepth ? undefined : tooLong();
    };
  }
}

/** With the code that OpenSSL has for it. */
function tooLong(): Error {
  return Object.assign(new Error("certificate chain too long"), { code: "CERT_CHAIN_TOO_LONG" });
}

/** Ciphers of TLSv1.3 are no part of nginx's list; Node would take their absence for a wish to do without that version. */
function withLatest(ciphers: string): string {
  const older = ciphers.split(":").filter((cipher) => !cipher.startsWith("TLS_"));
  return [...latestCiphers, ...older].join(":");
}

const latestCiphers = ["TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"];

const forbidding = {
  TLSv1: constants.SSL_OP_NO_TLSv1,
  "TLSv1.1": constants.SSL_OP_NO_TLSv1_1,
  "TLSv1.2": constants.SSL_OP_NO_TLSv1_2,
  "TLSv1.3": constants.SSL_OP_NO_TLSv1_3,
} as const;

/** Versions may be left out between others, which bounds alone cannot say. */
function versions(protocols: readonly SecureVersion[]): {
  minVersion?: SecureVersion;
  maxVersion?: SecureVersion;
  secureOptions?: number;
} {
  const [first, last] = [protocols[0], protocols.at(-1)];
  if (first === undefined || last === undefined) return { minVersion: "TLSv1.2", maxVersion: "TLSv1.3" };
  const forbidden = tlsVersions.filter((version) => !protocols.includes(version));
  const secureOptions = forbidden.reduce((bits, version) => bits | forbidding[version], 0);
  return { minVersion: first, maxVersion: last, secureOptions };
}
