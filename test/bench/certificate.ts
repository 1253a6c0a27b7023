/** The certificate that all peers serve: ECDSA P-256, for every host of the sites, made anew for each run. */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface Certificate {
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
  readonly certificateFile: string;
  readonly keyFile: string;
  /** Both in one file, as HAProxy reads them. */
  readonly bothFile: string;
}

/** Runs openssl, and writes into the directory. */
export function makeCertificate(directory: string): Certificate {
  const [certificateFile, keyFile, bothFile] = ["tls.crt", "tls.key", "tls.pem"].map((name) =>
    join(directory, name),
  ) as [string, string, string];
  const subject = ["-subj", "/CN=*.example.com", "-addext", "subjectAltName=DNS:*.example.com"];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  execFileSync("openssl", ["req", "-x509", ...curve, ...subject, "-out", certificateFile, "-keyout", keyFile], {
    stdio: "pipe",
  });
  const [certificate, key] = [certificateFile, keyFile].map((file) => readFileSync(file, "utf8")) as [string, string];
  writeFileSync(bothFile, certificate + key, { mode: 0o600 });
  return { certificate, key, certificateFile, keyFile, bothFile };
}
