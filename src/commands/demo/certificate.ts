/** The certificate of the demo's HTTPS hosts: self-signed, so that a client needs just this one file to trust it. */
import { generateKeyPairSync, randomBytes } from "node:crypto";
import forge from "node-forge";
import type { DemoCertificate } from "./manifests.ts";

const validDays = 30;

/** `now` in milliseconds since the epoch. */
export function makeDemoCertificate(hosts: readonly string[], now: number): DemoCertificate {
  // The keys are node:crypto's: forge takes seconds for what takes it milliseconds.
  const keys = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const key = keys.privateKey.export({ type: "pkcs1", format: "pem" }).toString();
  const publicKey = keys.publicKey.export({ type: "spki", format: "pem" }).toString();
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(publicKey);
  certificate.serialNumber = `01${randomBytes(8).toString("hex")}`;
  certificate.validity.notBefore = new Date(now - 3_600_000);
  certificate.validity.notAfter = new Date(now + validDays * 86_400_000);
  const name = [{ name: "commonName", value: hosts[0] ?? "" }];
  certificate.setSubject(name);
  certificate.setIssuer(name);
  certificate.setExtensions([
    { name: "basicConstraints", cA: false },
    { name: "keyUsage", digitalSignature: true, keyEncipherment: true },
    { name: "extKeyUsage", serverAuth: true },
    { name: "subjectAltName", altNames: hosts.map((value) => ({ type: 2, value })) },
  ]);
  certificate.sign(forge.pki.privateKeyFromPem(key), forge.md.sha256.create());
  return { certificate: forge.pki.certificateToPem(certificate), key };
}
