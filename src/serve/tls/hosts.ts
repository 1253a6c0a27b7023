/**
 * How each server name is spoken to: exact name first, then the wildcard one label up, else the default. The choice is
 * replaced as a whole by a change; handshakes under way, and connections, keep what they began with.
 */
import { isDeepStrictEqual } from "node:util";
import type { SnapshotPatch } from "../../model/patch.ts";
import type { Authority, Handshake, PrivateKeys, TlsHost } from "../../model/snapshot.ts";
import type { TlsSettings } from "../../settings/tls.ts";
import { type EndDemand, type HandshakeListener, TlsEnd } from "./end.ts";
import type { KeyPair } from "./key-pair.ts";
import { handshakeOptions } from "./options.ts";

export interface TlsHostsParts {
  readonly settings: TlsSettings;
  /** For names that have no certificate. */
  readonly selfSigned: KeyPair;
  /** 48 bytes shared by all workers, so that a session started at one resumes at another. */
  readonly ticketKeys: Uint8Array;
  readonly listener: HandshakeListener;
  /** Hears of certificates that the TLS library refuses; names that have them are served with the default one. */
  readonly report: (fingerprints: readonly string[], reason: string) => void;
}

/** A server name as the client sent it, in the form that hosts are known by: lower case, without a last dot. */
export function bareServerName(sent: string): string {
  const name = sent.toLowerCase();
  return name.endsWith(".") ? name.slice(0, -1) : name;
}

type TlsPatch = Pick<SnapshotPatch, "certificates" | "authorities" | "tls" | "defaultCertificate">;

export class TlsHosts {
  readonly #parts: TlsHostsParts;
  #settings: TlsSettings;
  readonly #pairs = new Map<string, KeyPair>();
  readonly #authorities = new Map<string, Authority>();
  /** By what tells them apart: hosts that have it in common share one. */
  #ends = new Map<string, TlsEnd>();
  #byHost = new Map<string, TlsEnd>();
  #default: TlsEnd;
  #hosts: readonly TlsHost[] = [];
  #defaultCertificate: string | null = null;

  constructor(parts: TlsHostsParts) {
    this.#parts = parts;
    this.#settings = parts.settings;
    this.#default = this.#makeEnd([], {});
  }

  /** Takes over what a patch says; `keys` are those of the certificates that are new. */
  apply(patch: TlsPatch, keys: PrivateKeys): void {
    for (const authority of patch.authorities.set) this.#authorities.set(authority.fingerprint, authority);
    for (const { fingerprint, chain } of patch.certificates.set) {
      const key = keys.get(fingerprint);
      if (key !== undefined) this.#pairs.set(fingerprint, { chain, key });
    }
    const changed = patch.tls !== null || patch.authorities.set.length > 0;
    if (changed || patch.defaultCertificate !== this.#defaultCertificate) {
      this.#hosts = patch.tls ?? this.#hosts;
      this.#defaultCertificate = patch.defaultCertificate;
      this.#rebuild(this.#ends);
    }
    for (const fingerprint of patch.certificates.gone) this.#pairs.delete(fingerprint);
    for (const fingerprint of patch.authorities.gone) this.#authorities.delete(fingerprint);
  }

  /** Handshakes that begin from now on go by these settings. */
  configure(settings: TlsSettings): void {
    if (isDeepStrictEqual(settings, this.#settings)) return;
    this.#settings = settings;
    this.#rebuild(new Map());
  }

  /** For a bareServerName(); "" when the client sent none. */
  find(host: string): TlsEnd {
    const dot = host.indexOf(".");
    const found = this.#byHost.get(host) ?? (dot > 0 ? this.#byHost.get(`*${host.slice(dot)}`) : undefined);
    return found ?? this.#default;
  }

  /** `before`: those that may go on to be used. */
  #rebuild(before: ReadonlyMap<string, TlsEnd>): void {
    const ends = new Map<string, TlsEnd>();
    const end = (certificates: readonly string[], handshake: Handshake): TlsEnd => {
      const served = certificates.length > 0 ? certificates : [this.#defaultCertificate ?? ""];
      const usable = served.filter((fingerprint) => this.#pairs.has(fingerprint));
      const key = JSON.stringify([usable, handshake, this.#authorities.has(handshake.demand?.authority ?? "")]);
      const made = ends.get(key) ?? before.get(key) ?? this.#makeEnd(usable, handshake);
      ends.set(key, made);
      return made;
    };
    const everyOther = this.#hosts.find(({ host }) => host === "");
    this.#default = end(everyOther?.certificates ?? [], everyOther?.handshake ?? {});
    this.#byHost = new Map(
      this.#hosts.map(({ host, certificates, handshake }) => [host, end(certificates, handshake ?? {})]),
    );
    this.#ends = ends;
  }

  #makeEnd(fingerprints: readonly string[], handshake: Handshake): TlsEnd {
    const { ticketKeys, listener, selfSigned, report } = this.#parts;
    const pairsOf = (each: readonly string[]) => each.flatMap((fingerprint) => this.#pairs.get(fingerprint) ?? []);
    return new TlsEnd({
      choices: [pairsOf(fingerprints), pairsOf([this.#defaultCertificate ?? ""]), [selfSigned]],
      demand: this.#demand(handshake),
      options: handshakeOptions(this.#settings, handshake, ticketKeys),
      recordSize: this.#settings.sslBufferSize,
      listener,
      report: (reason) => report(fingerprints, reason),
    });
  }

  /** An authority that is not there vouches for nobody. */
  #demand({ demand }: Handshake): EndDemand | null {
    if (demand === undefined) return null;
    const { chain = "", revoked = null } = this.#authorities.get(demand.authority) ?? {};
    return { ...demand, chain, revoked };
  }
}
