/** Reads the certificates of authorities in a Secret ("ca.crt"), and says what is wrong with them. */
import { createHash } from "node:crypto";
import { createSecureContext } from "node:tls";
import { quote } from "../features/feature.ts";
import type { Secret } from "../sources/objects.ts";
import { parseChain } from "./key-pair.ts";
import type { Mistake } from "./mistake.ts";

export interface AuthorityChain {
  /** SHA-256 over `chain`, lower-case hex. */
  readonly fingerprint: string;
  /** PEM, in one spelling whatever stood between the blocks. */
  readonly chain: string;
}

const known = new WeakMap<Secret, AuthorityChain | Mistake>();

/** Parsed once for each Secret object, however many Ingresses name it. */
export function readAuthorities(secret: Secret): AuthorityChain | Mistake {
  let read = known.get(secret);
  if (read === undefined) {
    read = parse(secret);
    known.set(secret, read);
  }
  return read;
}

function parse(secret: Secret): AuthorityChain | Mistake {
  const text = Buffer.from(secret.data.get("ca.crt") ?? []).toString("latin1");
  if (text.trim() === "") return invalid(secret, 'has no "ca.crt"; put the certificates of the authorities there');
  const certificates = parseChain(text);
  if (certificates === null)
    return invalid(secret, 'has no certificates in PEM form under "ca.crt"; write them as PEM');
  const chain = certificates.map((certificate) => certificate.toString()).join("");
  try {
    createSecureContext({ ca: chain });
  } catch {
    return invalid(secret, 'has certificates under "ca.crt" that TLS refuses; issue them anew');
  }
  return { fingerprint: createHash("sha256").update(chain).digest("hex"), chain };
}

function invalid(secret: Secret, what: string): Mistake {
  const id = quote(`${secret.meta.namespace}/${secret.meta.name}`);
  return { code: "CertificateInvalid", message: `Secret ${id} ${what}` };
}
