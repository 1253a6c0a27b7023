/**
 * Reads the certificate chain and private key of a Secret and says what is wrong with them. node:crypto parses and
 * OpenSSL is asked to load the pair as a server would, so nothing that passes here fails where it is served.
 */
import { createHash, createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import { quote } from "../features/feature.ts";
import type { Secret } from "../sources/objects.ts";
import type { Mistake } from "./mistake.ts";

export interface KeyPair {
  /** SHA-256 over `chain`, lower-case hex. */
  readonly fingerprint: string;
  /** PEM, leaf first, in one spelling whatever stood between the blocks. */
  readonly chain: string;
  /** PEM, PKCS #8. Never part of a message. */
  readonly key: string;
  /** Of the key: "ec", "ed25519", "rsa" and so on. OpenSSL serves one certificate of each. */
  readonly keyType: string;
  /** DNS names of the leaf, lower case. */
  readonly names: readonly string[];
  /** Milliseconds since the epoch; the certificate is valid at both. */
  readonly notBefore: number;
  readonly notAfter: number;
}

const known = new WeakMap<Secret, KeyPair | Mistake>();

/** Parsed once for each Secret object, however many Ingresses name it. */
export function readKeyPair(secret: Secret): KeyPair | Mistake {
  let pair = known.get(secret);
  if (pair === undefined) {
    pair = read(secret);
    known.set(secret, pair);
  }
  return pair;
}

/** True when a client that asks for `host` accepts the certificate: by its DNS names, a wildcard standing for one label (RFC 9525). */
export function coversHost(pair: KeyPair, host: string): boolean {
  if (pair.names.includes(host)) return true;
  const dot = host.indexOf(".");
  return dot > 0 && pair.names.includes(`*${host.slice(dot)}`);
}

function read(secret: Secret): KeyPair | Mistake {
  const text = (name: string) => Buffer.from(secret.data.get(name) ?? []).toString("latin1");
  const [crt, pem] = [text("tls.crt"), text("tls.key")];
  for (const [name, value] of [
    ["tls.crt", crt],
    ["tls.key", pem],
  ] as const) {
    if (value.trim() === "") return invalid(secret, `has no ${quote(name)}`, "put the PEM text there");
  }
  const certificates = parseChain(crt);
  const leaf = certificates?.[0];
  if (certificates === null || leaf === undefined) {
    return invalid(secret, 'has no certificate in PEM form under "tls.crt"', "write the chain as PEM, the leaf first");
  }
  const key = parseKey(pem);
  if (key === null) {
    return invalid(secret, 'has no private key in PEM form without passphrase under "tls.key"', "write the key as PEM");
  }
  if (!leaf.checkPrivateKey(key)) return mismatch(secret, certificates, key);
  const chain = certificates.map((certificate) => certificate.toString()).join("");
  const canonicalKey = key.export({ type: "pkcs8", format: "pem" }).toString();
  const refused = refusal(chain, canonicalKey);
  if (refused !== null) return invalid(secret, `holds what TLS refuses (${refused})`, "issue the certificate anew");
  return {
    fingerprint: createHash("sha256").update(chain).digest("hex"),
    chain,
    key: canonicalKey,
    keyType: key.asymmetricKeyType ?? "",
    names: dnsNames(leaf),
    notBefore: leaf.validFromDate.getTime(),
    notAfter: leaf.validToDate.getTime(),
  };
}

/** Every certificate of the text; null when there is none or one does not parse. */
export function parseChain(text: string): readonly X509Certificate[] | null {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g);
  try {
    return blocks === null ? null : blocks.map((block) => new X509Certificate(block));
  } catch {
    return null;
  }
}

function parseKey(pem: string): KeyObject | null {
  try {
    return createPrivateKey(pem);
  } catch {
    return null;
  }
}

/** OpenSSL's reason, such as "ee key too small"; null when it takes the pair. Without `ca` it would load all root certificates. */
function refusal(cert: string, key: string): string | null {
  try {
    createSecureContext({ cert, key, ca: [] });
    return null;
  } catch (error) {
    return error instanceof Error && "reason" in error ? String(error.reason) : "unknown reason";
  }
}

/** The DNS entries of subjectAltName. Node quotes an entry that holds a comma or a quote: that is no DNS name, and skipped. */
function dnsNames(leaf: X509Certificate): readonly string[] {
  const entries = (leaf.subjectAltName ?? "").replace(/"(?:[^"\\]|\\.)*"/g, '""').split(", ");
  const names = entries.filter((entry) => entry.startsWith("DNS:") && !entry.includes('"'));
  return names.map((name) => name.slice("DNS:".length).toLowerCase());
}

function mismatch(secret: Secret, certificates: readonly X509Certificate[], key: KeyObject): Mistake {
  const position = certificates.findIndex((certificate) => certificate.checkPrivateKey(key));
  const what =
    position === -1
      ? "holds a certificate and a key that do not belong together; put both of one pair there"
      : `holds the key of certificate ${position + 1} of its chain; put that certificate first`;
  return { code: "CertificateMismatch", message: `Secret ${id(secret)} ${what}` };
}

function invalid(secret: Secret, what: string, remedy: string): Mistake {
  return { code: "CertificateInvalid", message: `Secret ${id(secret)} ${what}; ${remedy}` };
}

function id(secret: Secret): string {
  return quote(`${secret.meta.namespace}/${secret.meta.name}`);
}
