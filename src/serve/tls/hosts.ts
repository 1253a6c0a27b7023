/**
 * How each server name is spoken to: exact name first, then the wildcard one label up, else the default. The choice is
 * replaced as a whole by a change; handshakes under way, and connections, keep what they began with.
 */
import { isDeepStrictEqual } from "node:util";
import type { SnapshotPatch } from "../../model/patch.ts";
import type { Handshake, PrivateKeys, TlsHost } from "../../model/snapshot.ts";
import type { TlsSettings } from "../../settings/tls.ts";
import { type HandshakeListener, TlsEnd } from "./end.ts";
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

export class TlsHosts {
  readonly #parts: TlsHostsParts;
  #settings: TlsSettings;
  readonly #pairs = new Map<string, KeyPair>();
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
  apply(patch: Pick<SnapshotPatch, "certificates" | "tls" | "defaultCertificate">, keys: PrivateKeys): void {
    for (const { fingerprint, chain } of patch.certificates.set) {
      const key = keys.get(fingerprint);
      if (key !== undefined) this.#pairs.set(fingerprint, { chain, key });
    }
    if (patch.tls !== null || patch.defaultCertificate !== this.#defaultCertificate) {
      this.#hosts = patch.tls ?? this.#hosts;
      this.#defaultCertificate = patch.defaultCertificate;
      this.#rebuild(this.#ends);
    }
    for (const fingerprint of patch.certificates.gone) this.#pairs.delete(fingerprint);
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
      const key = JSON.stringify([usable, handshake]);
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
      options: handshakeOptions(this.#settings, handshake, ticketKeys),
      recordSize: this.#settings.sslBufferSize,
      listener,
      report: (reason) => report(fingerprints, reason),
    });
  }
}
