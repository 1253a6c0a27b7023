/**
 * The self-signed certificate for names that have none of their own: made anew at every start, so that it can never be
 * mistaken for one that somebody issued.
 */
import forge from "node-forge";
import type { KeyPair } from "./tls/key-pair.ts";

const validDays = 365;

/** `now` in milliseconds since the epoch; `serial` is a positive hexadecimal number. */
export function makeDefaultCertificate(now: number, serial: string): KeyPair {
  const { privateKey, publicKey } = forge.pki.rsa.generateKeyPair({ bits: 2048 });
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = publicKey;
  certificate.serialNumber = `00${serial}`;
  certificate.validity.notBefore = new Date(now - 3_600_000);
  certificate.validity.notAfter = new Date(now + validDays * 86_400_000);
  const name = [
    { name: "organizationName", value: "Sluice" },
    { name: "commonName", value: "Sluice Default Certificate" },
  ];
  certificate.setSubject(name);
  certificate.setIssuer(name);
  certificate.setExtensions([
    { name: "basicConstraints", cA: false },
    { name: "keyUsage", digitalSignature: true, keyEncipherment: true },
    { name: "extKeyUsage", serverAuth: true },
    { name: "subjectAltName", altNames: [{ type: 2, value: "ingress.local" }] },
  ]);
  certificate.sign(privateKey, forge.md.sha256.create());
  return { chain: forge.pki.certificateToPem(certificate), key: forge.pki.privateKeyToPem(privateKey) };
}
