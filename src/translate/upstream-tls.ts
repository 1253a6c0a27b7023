/**
 * What the Secret of proxy-ssl-secret means for the upstreams of an Ingress: the certificate that is shown, and whom to
 * believe. A Secret that cannot be used closes the routes of the Ingress, for what was to be protected would not be.
 */

import { quote } from "../features/feature.ts";
import { annotationKey } from "../features/registry.ts";
import { compareText, type Problem, type ProblemCode } from "../model/problem.ts";
import { type Authority, noOptions } from "../model/snapshot.ts";
import { isOverTls } from "../model/upstream-tls.ts";
import type { Secret } from "../sources/objects.ts";
import { type AuthorityChain, readAuthorities } from "./authorities.ts";
import { targetOf } from "./backends.ts";
import { readKeyPair } from "./key-pair.ts";
import { type Mistake, problemAt } from "./mistake.ts";
import type { Rules } from "./rules.ts";
import type { ClientTrust, UpstreamTrust } from "./trust.ts";
import type { Wish } from "./upstreams.ts";

interface Read {
  readonly secret: Secret | undefined;
  readonly rules: Rules;
}

/** By the rules as they were read, while their Secret is the same object: what follows is then the same, too. */
const known = new WeakMap<Rules, Read>();

/** The rules with everything in place that proxy-ssl-* asks for; the same rules where nothing is asked. */
export function withUpstreamTls(rules: Rules, secrets: ReadonlyMap<string, Secret>): Rules {
  const { tls } = rules.wish.options;
  if (tls === undefined) return rules;
  const secret = tls.secret === null ? undefined : secrets.get(tls.secret);
  const before = known.get(rules);
  if (before !== undefined && before.secret === secret) return before.rules;
  const read = isOverTls(rules.wish.protocol) ? readTrust(rules, secret) : withoutTls(rules);
  known.set(rules, { secret, rules: read });
  return read;
}

/** Of what each Ingress needs to know upstreams and clients by, ascending by fingerprint. */
export function authoritiesOf(
  upstreams: Iterable<UpstreamTrust>,
  clients: Iterable<ClientTrust>,
): readonly Authority[] {
  const used = new Map<
    string,
    { readonly chain: string; readonly revoked: string | null; readonly secrets: Set<string> }
  >();
  const add = (secret: string, { fingerprint, chain }: AuthorityChain, revoked: string | null): void => {
    const known = used.get(fingerprint);
    if (known === undefined) used.set(fingerprint, { chain, revoked, secrets: new Set([secret]) });
    else known.secrets.add(secret);
  };
  for (const { secret, authorities } of upstreams) if (authorities !== null) add(secret, authorities, null);
  for (const trust of clients) add(trust.secret, trust, trust.revoked);
  return [...used]
    .map(([fingerprint, { chain, revoked, secrets }]) => ({
      fingerprint,
      chain,
      ...(revoked === null ? {} : { revoked }),
      secrets: [...secrets].sort(compareText),
    }))
    .sort((a, b) => compareText(a.fingerprint, b.fingerprint));
}

function readTrust(rules: Rules, secret: Secret | undefined): Rules {
  const { tls } = rules.wish.options;
  if (tls === undefined) return rules;
  const id = tls.secret;
  if (id === null) {
    if (!tls.verify) return rules;
    return closed(rules, "proxy-ssl-verify", "InvalidAnnotation", {
      message: '"on" needs certificates of authorities; name a Secret that has "ca.crt" with proxy-ssl-secret',
    });
  }
  if (!id.startsWith(`${rules.ingress.meta.namespace}/`)) {
    return closed(rules, "proxy-ssl-secret", "InvalidAnnotation", {
      message: `${quote(id)} is in another namespace; copy the Secret to namespace ${quote(rules.ingress.meta.namespace)} and name that one`,
    });
  }
  if (secret === undefined) {
    return closed(rules, "proxy-ssl-secret", "SecretNotFound", {
      message: `Secret ${quote(id)} does not exist; create it, or correct the name`,
    });
  }
  const trust = readSecret(secret, id, tls.verify);
  if ("code" in trust) return closed(rules, "proxy-ssl-secret", trust.code, trust);
  const options = {
    ...rules.wish.options,
    tls: {
      ...tls,
      certificate: trust.pair?.fingerprint ?? null,
      authority: trust.authorities?.fingerprint ?? null,
    },
  };
  return { ...withWish(rules, { ...rules.wish, options }), trust };
}

function readSecret(secret: Secret, id: string, verify: boolean): UpstreamTrust | Mistake {
  const hasPair = secret.data.has("tls.crt") || secret.data.has("tls.key");
  const pair = hasPair ? readKeyPair(secret) : null;
  if (pair !== null && "code" in pair) return pair;
  // Without verification nobody asks for authorities, and what is wrong with them harms nobody.
  const authorities = verify || pair === null ? readAuthorities(secret) : null;
  if (authorities !== null && "code" in authorities) return authorities;
  return { secret: id, pair, authorities: verify ? authorities : null };
}

/** Plain connections have no certificates: whoever asks for some is told that none are looked at. */
function withoutTls(rules: Rules): Rules {
  const { tls: _unused, ...others } = rules.wish.options;
  const options = Object.keys(others).length === 0 ? noOptions : others;
  const protocol = rules.wish.protocol === "grpc" ? "GRPC" : "HTTP";
  const remedy = protocol === "GRPC" ? "GRPCS" : "HTTPS";
  const { annotations } = rules.ingress.meta;
  const name = asked.find((each) => annotationKey(annotations, each) !== null) ?? "proxy-ssl-secret";
  const message = `does nothing, for the upstreams are spoken to in plain ${protocol}; set backend-protocol to ${quote(remedy)}, or remove it`;
  const problem = annotationProblem(rules, name, "ConflictingAnnotation", message);
  return { ...withWish(rules, { ...rules.wish, options }), problems: [...rules.problems, problem] };
}

/** The one that is told, where several are set. */
const asked = [
  "proxy-ssl-verify",
  "proxy-ssl-secret",
  "proxy-ssl-name",
  "proxy-ssl-server-name",
  "proxy-ssl-protocols",
  "proxy-ssl-ciphers",
] as const;

function closed(rules: Rules, name: string, code: ProblemCode, { message }: Pick<Mistake, "message">): Rules {
  const problem = annotationProblem(rules, name, code, `the paths answer 503: ${message}`);
  const reason = rules.closed ?? `annotation ${name} cannot be followed`;
  return { ...rules, closed: reason, problems: [...rules.problems, problem] };
}

function annotationProblem({ ingress }: Rules, name: string, code: ProblemCode, message: string): Problem {
  const key = annotationKey(ingress.meta.annotations, name) ?? name;
  return problemAt(ingress, `metadata.annotations[${key}]`, code, message);
}

function withWish(rules: Rules, wish: Wish): Rules {
  const { ingress } = rules;
  const { namespace } = ingress.meta;
  return {
    ...rules,
    wish,
    defaultTarget: ingress.defaultBackend === null ? null : targetOf(namespace, ingress.defaultBackend, wish),
    paths: rules.paths.map((path) => path.withTarget(targetOf(namespace, path.declared.backend, wish))),
  };
}
