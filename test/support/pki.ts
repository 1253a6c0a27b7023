/**
 * A certificate authority for tests: certificates with any names, dates, key type and issuer, made in about a millisecond
 * (ECDSA) so that suites need no files. node-forge builds the certificate; node:crypto makes the keys and signs, because
 * forge knows no ECDSA.
 */
import { createPrivateKey, generateKeyPairSync, type KeyObject, sign, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import forge from "node-forge";

export interface MadeCertificate {
  /** PEM: the leaf, then its intermediates; the root is left out. */
  readonly cert: string;
  /** PEM, PKCS #8. */
  readonly key: string;
  /** PEM of the root that a client must trust. */
  readonly ca: string;
  /** Common name of the subject. */
  readonly subject: string;
}

export interface CertificateOptions {
  /** Subject alternative names: DNS names, wildcards, IP addresses. The first is the common name too. Empty: no SAN at all. */
  readonly names: readonly string[];
  /** Common name where it is not the first of `names`. */
  readonly commonName?: string;
  /** Of the subject, before the common name. */
  readonly organization?: string;
  /** Default 2020-01-01. */
  readonly notBefore?: Date;
  /** Default 2049-01-01. */
  readonly notAfter?: Date;
  /** A certificate made with `isAuthority`, or "self" for a self-signed one. Default: one root for the whole process. */
  readonly issuer?: MadeCertificate | "self";
  readonly isAuthority?: boolean;
  readonly keyType?: KeyType;
}

type KeyType = "ec" | "rsa" | "rsa-1024" | "ed25519";

const certificateType = { begin: "-----BEGIN CERTIFICATE-----\n", end: "-----END CERTIFICATE-----\n" };
const signatureOids = { ec: "1.2.840.10045.4.3.2", rsa: "1.2.840.113549.1.1.11", ed25519: "1.3.101.112" };

let serial = 1;
let root: MadeCertificate | undefined;

/** The root that signs every certificate made without an issuer. */
export function testRoot(): MadeCertificate {
  root ??= makeCertificate({ names: [], commonName: "Test root", issuer: "self", isAuthority: true });
  return root;
}

export function makeCertificate(options: CertificateOptions): MadeCertificate {
  const keys = generateKeys(options.keyType ?? "ec");
  const subject = options.commonName ?? options.names[0] ?? "test";
  const issuer = options.issuer === "self" ? null : (options.issuer ?? testRoot());
  const pem = issue(options, subject, keys.publicKey, {
    name: issuer?.subject ?? subject,
    key: issuer === null ? keys.privateKey : createPrivateKey(issuer.key),
  });
  const intermediates = issuer === null || issuer.cert === issuer.ca ? "" : issuer.cert;
  return {
    cert: pem + intermediates,
    key: keys.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    ca: issuer?.ca ?? pem,
    subject,
  };
}

function issue(
  options: CertificateOptions,
  subject: string,
  publicKey: KeyObject,
  issuer: { readonly name: string; readonly key: KeyObject },
): string {
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = placeholderKey;
  certificate.serialNumber = `01${(serial++).toString(16).padStart(14, "0")}`;
  certificate.validity.notBefore = options.notBefore ?? new Date("2020-01-01T00:00:00Z");
  certificate.validity.notAfter = options.notAfter ?? new Date("2049-01-01T00:00:00Z");
  const { organization } = options;
  certificate.setSubject([
    ...(organization === undefined ? [] : [{ name: "organizationName", value: organization }]),
    { name: "commonName", value: subject },
  ]);
  certificate.setIssuer([{ name: "commonName", value: issuer.name }]);
  const authority = options.isAuthority === true;
  const altNames = options.names.map((name) => (isIP(name) !== 0 ? { type: 7, ip: name } : { type: 2, value: name }));
  certificate.setExtensions([
    { name: "basicConstraints", cA: authority, critical: true },
    authority
      ? { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true }
      : { name: "keyUsage", digitalSignature: true, keyEncipherment: true, critical: true },
    ...(altNames.length === 0 ? [] : [{ name: "subjectAltName", altNames }]),
  ]);
  certificate.siginfo.algorithmOid = signatureOid(issuer.key);
  certificate.signatureOid = signatureOid(issuer.key);

  // forge writes RSA keys and RSA algorithm identifiers only: put the real ones in their place (RFC 5280, section 4.1).
  certificate.signature = "";
  const [tbs] = sequence(forge.pki.certificateToAsn1(certificate));
  const algorithm = algorithmIdentifier(issuer.key);
  const fields = [...sequence(tbs)];
  fields[2] = algorithm;
  fields[6] = forge.asn1.fromDer(publicKey.export({ type: "spki", format: "der" }).toString("latin1"));
  const body = constructed(fields);
  const digest = issuer.key.asymmetricKeyType === "ed25519" ? null : "sha256";
  const signature = sign(digest, Buffer.from(forge.asn1.toDer(body).getBytes(), "latin1"), issuer.key);
  const signed = constructed([
    body,
    algorithm,
    forge.asn1.create(
      forge.asn1.Class.UNIVERSAL,
      forge.asn1.Type.BITSTRING,
      false,
      `\0${signature.toString("latin1")}`,
    ),
  ]);
  const base64 = Buffer.from(forge.asn1.toDer(signed).getBytes(), "latin1").toString("base64");
  return certificateType.begin + base64.replace(/(.{1,64})/g, "$1\n") + certificateType.end;
}

/** Takes the place of the public key until the real one is put there. */
const placeholderKey = forge.pki.setRsaPublicKey(new forge.jsbn.BigInteger("3"), new forge.jsbn.BigInteger("3"));

function generateKeys(type: KeyType): {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
} {
  switch (type) {
    case "ec":
      return generateKeyPairSync("ec", { namedCurve: "P-256" });
    case "rsa":
      return generateKeyPairSync("rsa", { modulusLength: 2048 });
    case "rsa-1024":
      return generateKeyPairSync("rsa", { modulusLength: 1024 });
    case "ed25519":
      return generateKeyPairSync("ed25519");
  }
}

function signatureOid(key: KeyObject): string {
  const type = key.asymmetricKeyType;
  return type === "ec" || type === "ed25519" ? signatureOids[type] : signatureOids.rsa;
}

function algorithmIdentifier(key: KeyObject): forge.asn1.Asn1 {
  const { Class, Type, create, oidToDer } = forge.asn1;
  const oid = create(Class.UNIVERSAL, Type.OID, false, oidToDer(signatureOid(key)).getBytes());
  // RSA wants a NULL parameter (RFC 4055, section 5); ECDSA and Ed25519 want none (RFC 5758, RFC 8410).
  const isRsa = signatureOid(key) === signatureOids.rsa;
  return constructed(isRsa ? [oid, create(Class.UNIVERSAL, Type.NULL, false, "")] : [oid]);
}

function constructed(parts: readonly forge.asn1.Asn1[]): forge.asn1.Asn1 {
  return forge.asn1.create(forge.asn1.Class.UNIVERSAL, forge.asn1.Type.SEQUENCE, true, [...parts]);
}

function sequence(node: forge.asn1.Asn1 | undefined): readonly forge.asn1.Asn1[] {
  if (node === undefined || typeof node.value === "string") throw new Error("an ASN.1 sequence was expected");
  return node.value;
}

/** PEM of the revocation list of an authority, with these certificates on it; "lapsed" is one that is no longer valid. */
export function makeRevocationList(
  issuer: MadeCertificate,
  revoked: readonly MadeCertificate[],
  state: "valid" | "lapsed" = "valid",
): string {
  const { Class, Type, create } = forge.asn1;
  const key = createPrivateKey(issuer.key);
  const time = (year: number) => create(Class.UNIVERSAL, Type.UTCTIME, false, `${year % 100}0101000000Z`);
  const [tbs] = sequence(forge.asn1.fromDer(new X509Certificate(issuer.cert).raw.toString("latin1")));
  const subject = sequence(tbs)[5];
  if (subject === undefined) throw new Error("a certificate without a subject");
  const entries = revoked.map(({ cert }) => {
    const serial = Buffer.from(new X509Certificate(cert).serialNumber, "hex").toString("latin1");
    return constructed([create(Class.UNIVERSAL, Type.INTEGER, false, serial), time(2020)]);
  });
  const body = constructed([
    create(Class.UNIVERSAL, Type.INTEGER, false, "\x01"),
    algorithmIdentifier(key),
    subject,
    time(2020),
    time(state === "valid" ? 2049 : 2021),
    ...(entries.length === 0 ? [] : [constructed(entries)]),
  ]);
  const signature = sign("sha256", Buffer.from(forge.asn1.toDer(body).getBytes(), "latin1"), key);
  const bits = create(Class.UNIVERSAL, Type.BITSTRING, false, `\0${signature.toString("latin1")}`);
  const list = forge.asn1.toDer(constructed([body, algorithmIdentifier(key), bits])).getBytes();
  const base64 = Buffer.from(list, "latin1")
    .toString("base64")
    .replace(/(.{1,64})/g, "$1\n");
  return `-----BEGIN X509 CRL-----\n${base64}-----END X509 CRL-----\n`;
}
