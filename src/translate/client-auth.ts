/**
 * What the Secret of auth-tls-secret means for the clients of an Ingress: whose certificates are taken, and which are
 * revoked. What cannot be followed closes the routes of the Ingress, for what was to be protected would not be.
 */
import { createHash } from "node:crypto";
import { createSecureContext } from "node:tls";
import { quote } from "../features/feature.ts";
import { annotationKey } from "../features/registry.ts";
import type { ClientAuthWish } from "../features/traits.ts";
import type { ClientAuth } from "../model/client-auth.ts";
import type { ProblemCode } from "../model/problem.ts";
import { compileSearch } from "../router/search.ts";
import type { Secret } from "../sources/objects.ts";
import { readAuthorities } from "./authorities.ts";
import { type Mistake, problemAt } from "./mistake.ts";
import type { Rules } from "./rules.ts";
import type { ClientTrust } from "./trust.ts";

/** By the rules as they were read, while their Secret is the same object: what follows is then the same, too. */
const known = new WeakMap<Rules, { readonly secret: Secret | undefined; readonly rules: Rules }>();

/** The rules with what auth-tls-* asks for in place; the same rules where nothing is asked. */
export function withClientAuth(rules: Rules, secrets: ReadonlyMap<string, Secret>): Rules {
  const wish = rules.clientAuthWish;
  if (wish === null) return rules;
  const secret = wish.secret === null ? undefined : secrets.get(wish.secret);
  const before = known.get(rules);
  if (before !== undefined && before.secret === secret) return before.rules;
  const read = follow(rules, wish, secret);
  known.set(rules, { secret, rules: read });
  return read;
}

function follow(rules: Rules, wish: ClientAuthWish, secret: Secret | undefined): Rules {
  const { namespace } = rules.ingress.meta;
  const { secret: id, matchCn, ...asked } = wish;
  if (id === null) {
    const name = matchCn === null ? "auth-tls-verify-client" : "auth-tls-match-cn";
    const message = 'it needs certificates of authorities; name a Secret that has "ca.crt" with auth-tls-secret';
    return close(rules, name, "InvalidAnnotation", message);
  }
  if (!id.startsWith(`${namespace}/`)) {
    const message = `${quote(id)} is in another namespace; copy the Secret to namespace ${quote(namespace)} and name that one`;
    return close(rules, "auth-tls-secret", "InvalidAnnotation", message);
  }
  const pattern = matchCn === null ? null : compileSearch(matchCn);
  if (pattern !== null && "refused" in pattern) {
    const message = `${quote(matchCn ?? "")} is not a regular expression that Sluice can match: ${pattern.refused}`;
    return close(rules, "auth-tls-match-cn", "InvalidAnnotation", message);
  }
  if (secret === undefined) {
    const message = `Secret ${quote(id)} does not exist; create it, or correct the name`;
    return close(rules, "auth-tls-secret", "SecretNotFound", message);
  }
  const trust = readTrust(secret, id);
  if ("code" in trust) return close(rules, "auth-tls-secret", trust.code, trust.message);
  const clientAuth: ClientAuth = { ...asked, matchCn, authority: trust.fingerprint };
  return { ...rules, clientAuth, clientTrust: trust };
}

function readTrust(secret: Secret, id: string): ClientTrust | Mistake {
  const authorities = readAuthorities(secret);
  if ("code" in authorities) return authorities;
  const { fingerprint, chain } = authorities;
  if (!secret.data.has("ca.crl")) return { secret: id, fingerprint, chain, revoked: null };
  const revoked = readRevoked(Buffer.from(secret.data.get("ca.crl") ?? []).toString("latin1"), chain);
  if (revoked === null) {
    const message = `Secret ${quote(id)} has no revocation lists in PEM form under "ca.crl"; write one for each authority, or remove the key`;
    return { code: "CertificateInvalid", message };
  }
  return { secret: id, fingerprint: sha256(`${chain}\0${revoked}`), chain, revoked };
}

/** null when there is none, or one that OpenSSL does not read. */
function readRevoked(text: string, chain: string): string | null {
  const blocks = text.match(/-----BEGIN X509 CRL-----[^-]*-----END X509 CRL-----/g);
  if (blocks === null) return null;
  const revoked = blocks.map((block) => `${block}\n`);
  try {
    createSecureContext({ ca: chain, crl: revoked });
    return revoked.join("");
  } catch {
    return null;
  }
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function close(rules: Rules, name: string, code: ProblemCode, message: string): Rules {
  const key = annotationKey(rules.ingress.meta.annotations, name) ?? name;
  const problem = problemAt(rules.ingress, `metadata.annotations[${key}]`, code, `the paths answer 503: ${message}`);
  const reason = rules.closed ?? `annotation ${name} cannot be followed`;
  return { ...rules, closed: reason, problems: [...rules.problems, problem] };
}
