/**
 * Decides which certificates each TLS host gets: that of the Secret which its oldest Ingress names, beside it those with
 * keys of other types, or the default one where the Secret cannot be used. One bad Secret is told on every Ingress that
 * names it and touches no other host.
 */

import { quote } from "../features/feature.ts";
import { compareText, type Problem } from "../model/problem.ts";
import type { Certificate, PrivateKeys, TlsHost } from "../model/snapshot.ts";
import type { Ingress, IngressTls, Secret } from "../sources/objects.ts";
import { type Claimant, lostClaim } from "./conflicts.ts";
import { coversHost, type KeyPair, readKeyPair } from "./key-pair.ts";
import { listed, type Mistake, problemAt, settingProblem } from "./mistake.ts";
import type { UpstreamTrust } from "./trust.ts";

export interface CertificateInput {
  /** Ours, oldest first. */
  readonly ingresses: readonly Ingress[];
  readonly secrets: ReadonlyMap<string, Secret>;
  /** `namespace/name`, or null. */
  readonly defaultSslCertificate: string | null;
  /** What upstreams are shown. */
  readonly trusts: readonly UpstreamTrust[];
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export interface CertificateChoice {
  readonly tls: readonly TlsHost[];
  readonly certificates: readonly Certificate[];
  /** Those shown to upstreams. */
  readonly clientCertificates: readonly Certificate[];
  /** Of both. */
  readonly keys: PrivateKeys;
  readonly defaultCertificate: string | null;
  /** True when an Ingress lists the host, or the wildcard over it, under spec.tls. */
  readonly hasTls: (host: string) => boolean;
  readonly problems: readonly Problem[];
  /** When the first certificate starts or stops being valid, in milliseconds since the epoch; null: never. */
  readonly recheckAt: number | null;
}

export function chooseCertificates(input: CertificateInput): CertificateChoice {
  const chooser = new CertificateChooser(input);
  for (const ingress of input.ingresses) {
    for (const [index, entry] of ingress.tls.entries()) chooser.add(ingress, entry, `spec.tls[${index}]`);
  }
  const defaultCertificate = chooser.chooseDefault(input.defaultSslCertificate);
  for (const { pair, secret } of input.trusts) if (pair !== null) chooser.addClient(pair, secret);
  return { ...chooser.choice(), defaultCertificate };
}

interface TlsClaimant extends Claimant {
  readonly secret: string | null;
}

/** A host as far as the Ingresses so far have said. */
interface Draft {
  readonly oldest: TlsClaimant;
  /** Covering the host, each of another key type. */
  readonly pairs: { readonly pair: KeyPair; readonly claimant: TlsClaimant }[];
  /** Every Secret that counts, usable or not. */
  readonly secrets: Set<string>;
}

class CertificateChooser {
  readonly #input: CertificateInput;
  readonly #drafts = new Map<string, Draft>();
  readonly #listed = new Set<string>();
  readonly #used: Pairs = new Map();
  readonly #clients: Pairs = new Map();
  readonly #problems: Problem[] = [];
  #recheckAt: number | null = null;

  constructor(input: CertificateInput) {
    this.#input = input;
  }

  add(ingress: Ingress, entry: IngressTls, field: string): void {
    const secret = entry.secretName === null ? null : `${ingress.meta.namespace}/${entry.secretName}`;
    const pair = secret === null ? null : this.#usablePair(secret);
    if (pair !== null && "code" in pair) {
      this.#problems.push(problemAt(ingress, `${field}.secretName`, pair.code, pair.message));
    }
    const usable = pair === null || "code" in pair ? null : pair;
    if (entry.hosts.length === 0) {
      this.#addRuleHosts(ingress, field, secret, usable);
      return;
    }
    for (const [index, host] of entry.hosts.entries()) {
      this.#listed.add(host);
      this.#addHost(host, { ingress, field: `${field}.hosts[${index}]`, secret }, usable);
    }
  }

  /** The certificate for unknown server names, and for hosts whose own cannot be used; null: the self-signed one. */
  chooseDefault(secret: string | null): string | null {
    if (secret === null) return null;
    const pair = this.#usablePair(secret);
    if (!("code" in pair)) return this.#use(pair, secret);
    this.#problems.push(
      settingProblem("default-ssl-certificate", `a self-signed certificate is served: ${pair.message}`),
    );
    return null;
  }

  /** A pair that is shown to upstreams. Whether it is expired is for them to judge. */
  addClient(pair: KeyPair, secret: string): void {
    note(this.#clients, pair, secret);
  }

  choice(): Omit<CertificateChoice, "defaultCertificate"> {
    const listed = this.#listed;
    return {
      tls: [...this.#drafts].map(([host, draft]) => tlsHost(host, draft)).sort(compareTlsHosts),
      certificates: certificatesOf(this.#used),
      clientCertificates: certificatesOf(this.#clients),
      keys: new Map([...this.#used, ...this.#clients].map(([fingerprint, { pair }]) => [fingerprint, pair.key])),
      hasTls: (host) => listed.has(host) || listed.has(wildcardOver(host)),
      problems: this.#problems,
      recheckAt: this.#recheckAt,
    };
  }

  /** An entry without hosts is for those hosts of the Ingress' rules that the certificate covers, as in ingress-nginx. */
  #addRuleHosts(ingress: Ingress, field: string, secret: string | null, pair: KeyPair | null): void {
    const hosts = [...new Set(ingress.rules.map((rule) => rule.host))];
    for (const host of hosts) this.#listed.add(host);
    const meant = hosts.filter((host) => host !== "" && (pair === null || coversHost(pair, host)));
    for (const host of meant) this.#addHost(host, { ingress, field, secret }, pair);
    if (pair !== null && meant.length === 0) {
      const message = `the certificate of Secret ${quote(secret ?? "")} covers no host of the rules, only ${names(pair)}; list the hosts under ${field}.hosts`;
      this.#problems.push(problemAt(ingress, field, "CertificateMismatch", message));
    }
  }

  #addHost(host: string, claimant: TlsClaimant, pair: KeyPair | null): void {
    const { ingress, field, secret } = claimant;
    const known = this.#drafts.get(host);
    if (known?.oldest.secret === secret || (secret !== null && known?.secrets.has(secret) === true)) return;
    const covered = pair !== null && coversHost(pair, host) ? pair : null;
    const winner = known === undefined ? null : rival(known, claimant, covered);
    if (winner !== null) {
      const what = `the certificate of host ${quote(host)}`;
      this.#problems.push(lostClaim(ingress, field, winner, "DuplicateTlsHost", what));
      return;
    }
    const draft = known ?? { oldest: claimant, pairs: [], secrets: new Set() };
    this.#drafts.set(host, draft);
    if (secret !== null) draft.secrets.add(secret);
    if (covered !== null && secret !== null) {
      this.#use(covered, secret);
      draft.pairs.push({ pair: covered, claimant });
    } else if (pair !== null) {
      const message = `the certificate of Secret ${quote(secret ?? "")} does not cover host ${quote(host)}, only ${names(pair)}; issue one that does`;
      this.#problems.push(problemAt(ingress, field, "CertificateMismatch", message));
    }
  }

  #use(pair: KeyPair, secret: string): string {
    note(this.#used, pair, secret);
    return pair.fingerprint;
  }

  /** The pair of the Secret if it can be served now; notes when that changes by time alone. */
  #usablePair(id: string): KeyPair | Mistake {
    const secret = this.#input.secrets.get(id);
    if (secret === undefined) {
      return { code: "SecretNotFound", message: `Secret ${quote(id)} does not exist; create it, or correct the name` };
    }
    const pair = readKeyPair(secret);
    if ("code" in pair) return pair;
    const { now } = this.#input;
    if (now > pair.notAfter) return expired(id, `expired at ${time(pair.notAfter)}`);
    this.#recheck(now < pair.notBefore ? pair.notBefore : pair.notAfter + 1);
    return now < pair.notBefore ? expired(id, `is not valid before ${time(pair.notBefore)}`) : pair;
  }

  #recheck(at: number): void {
    this.#recheckAt = Math.min(at, this.#recheckAt ?? at);
  }
}

/**
 * Who keeps a younger claimant from being served beside them; null: nobody. Certificates stand side by side when both can
 * be served, their keys are of different types, and both come from one namespace: nobody else is to speak for the host.
 */
function rival({ oldest, pairs }: Draft, claimant: TlsClaimant, pair: KeyPair | null): TlsClaimant | null {
  const sameNamespace = oldest.ingress.meta.namespace === claimant.ingress.meta.namespace;
  if (pair === null || pairs.length === 0 || !sameNamespace) return oldest;
  return pairs.find((other) => other.pair.keyType === pair.keyType)?.claimant ?? null;
}

/** By key type: OpenSSL goes by the client's order, and nginx.conf is to be the same each time. */
function tlsHost(host: string, { pairs, secrets }: Draft): TlsHost {
  const sorted = pairs.map(({ pair }) => pair).sort((a, b) => compareText(a.keyType, b.keyType));
  return { host, certificates: sorted.map(({ fingerprint }) => fingerprint), secrets: [...secrets] };
}

export function compareTlsHosts(a: TlsHost, b: TlsHost): number {
  return compareText(a.host, b.host);
}

/** By fingerprint, with the Secrets that hold the pair. */
type Pairs = Map<string, { readonly pair: KeyPair; readonly secrets: Set<string> }>;

function note(pairs: Pairs, pair: KeyPair, secret: string): void {
  const noted = pairs.get(pair.fingerprint);
  if (noted === undefined) pairs.set(pair.fingerprint, { pair, secrets: new Set([secret]) });
  else noted.secrets.add(secret);
}

function certificatesOf(pairs: Pairs): readonly Certificate[] {
  return [...pairs.values()]
    .sort((a, b) => compareText(a.pair.fingerprint, b.pair.fingerprint))
    .map(({ pair: { fingerprint, chain, names, notAfter }, secrets }) => {
      return { fingerprint, chain, names, notAfter, secrets: [...secrets].sort(compareText) };
    });
}

export function compareCertificates(a: Pick<Certificate, "fingerprint">, b: Pick<Certificate, "fingerprint">): number {
  return compareText(a.fingerprint, b.fingerprint);
}

function expired(id: string, what: string): Mistake {
  return { code: "CertificateExpired", message: `the certificate of Secret ${quote(id)} ${what}; renew it` };
}

function time(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

function names(pair: KeyPair): string {
  return pair.names.length === 0 ? "no DNS name at all" : listed(pair.names.map(quote));
}

function wildcardOver(host: string): string {
  const dot = host.indexOf(".");
  return dot === -1 ? host : `*${host.slice(dot)}`;
}
