/**
 * Reads one Ingress by itself: its policy from the annotations, and its rules as hosts and paths. Nothing here depends on
 * any other object, so the work is done once for each Ingress object and kept as long as the object lives.
 */

import type { FeatureDefaults } from "../features/feature.ts";
import { annotationKey, readPolicy } from "../features/registry.ts";
import type { ClientAuthWish } from "../features/traits.ts";
import type { CanaryRule } from "../model/canary.ts";
import type { ClientAuth } from "../model/client-auth.ts";
import type { Policy } from "../model/policy.ts";
import type { Problem } from "../model/problem.ts";
import type { Handshake, UpstreamOptions } from "../model/snapshot.ts";
import type { Ingress } from "../sources/objects.ts";
import { type Target, targetOf } from "./backends.ts";
import { problemAt } from "./mistake.ts";
import { readPath } from "./paths.ts";
import { onePolicy } from "./policies.ts";
import { pathField, RulePath } from "./rule-path.ts";
import type { ClientTrust, UpstreamTrust } from "./trust.ts";
import { type Wish, wishFor } from "./upstreams.ts";

export interface Rules {
  readonly ingress: Ingress;
  /** namespace/name */
  readonly id: string;
  readonly policy: Policy;
  /** How its upstreams are spoken to. */
  readonly wish: Wish;
  /** What of its Secret they need; null: nothing, or the Secret has not been read yet. */
  readonly trust: UpstreamTrust | null;
  /** TLS connections to its hosts are not ended here. */
  readonly passthrough: boolean;
  /** What is asked of the clients of its hosts; null: nothing. */
  readonly clientAuthWish: ClientAuthWish | null;
  /** The same, and whom it trusts, when the Secret could be read; null otherwise. */
  readonly clientAuth: ClientAuth | null;
  readonly clientTrust: ClientTrust | null;
  /** What the handshakes of its hosts have otherwise. */
  readonly handshake: Handshake;
  /** Why every route is closed; null when they are open. */
  readonly closed: string | null;
  /** Of spec.defaultBackend. */
  readonly defaultTarget: Target | null;
  /** The hosts of the rules, each once. */
  readonly hosts: readonly string[];
  readonly paths: readonly RulePath[];
  /** Which requests it takes from another Ingress; null: it is one of its own. */
  readonly canary: CanaryRule | null;
  /** Of its wish, what says how an endpoint is chosen. */
  readonly balanceOptions: UpstreamOptions;
  readonly problems: readonly Problem[];
}

export interface RuleSettings extends FeatureDefaults {
  readonly enableSslPassthrough: boolean;
}

const known = new WeakMap<Ingress, { readonly defaults: RuleSettings; readonly rules: Rules }>();

export function readRules(ingress: Ingress, defaults: RuleSettings): Rules {
  const before = known.get(ingress);
  if (before !== undefined && before.defaults === defaults) return before.rules;
  const rules = readOnce(ingress, defaults);
  known.set(ingress, { defaults, rules });
  return rules;
}

function readOnce(ingress: Ingress, defaults: RuleSettings): Rules {
  const { meta } = ingress;
  const { canary, problems, useRegex, balanceOptions, passthrough, ...read } = readPolicy(meta.annotations, defaults, {
    object: { kind: ingress.kind, namespace: meta.namespace, name: meta.name },
    ...(meta.origin === undefined ? {} : { origin: meta.origin }),
  });
  const policy = onePolicy(read.policy);
  const wish = wishFor(read.backendProtocol, read.upstreamOptions);
  const found = [...problems];
  const unasked = passthrough && canary === null && !defaults.enableSslPassthrough ? passthroughOff(ingress) : null;
  if (unasked !== null) found.push(unasked);
  const closed = unasked === null ? read.closed : (read.closed ?? "TLS passthrough is not enabled");
  const paths: RulePath[] = [];
  for (const [r, rule] of ingress.rules.entries()) {
    for (const [p, path] of (rule.paths ?? []).entries()) {
      const { match, refused, mistake } = readPath(path, { useRegex, rewrites: policy.rewrite !== undefined });
      if (mistake !== null) {
        found.push(problemAt(ingress, `${pathField(r, p)}.path`, mistake.code, mistake.message));
      }
      if (match === null) continue;
      paths.push(new RulePath(ingress, r, p, { match, refused }, targetOf(meta.namespace, path.backend, wish)));
    }
  }
  return {
    ingress,
    id: `${meta.namespace}/${meta.name}`,
    policy,
    wish,
    trust: null,
    passthrough: passthrough && unasked === null,
    clientAuthWish: read.clientAuth ?? null,
    clientAuth: null,
    clientTrust: null,
    handshake: read.handshake ?? {},
    closed,
    defaultTarget: ingress.defaultBackend === null ? null : targetOf(meta.namespace, ingress.defaultBackend, wish),
    hosts: [...new Set(ingress.rules.map((rule) => rule.host))],
    paths,
    canary,
    balanceOptions,
    problems: found,
  };
}

/** Whoever asks for it wants nobody between to see what is said: ending TLS here instead would be no substitute. */
function passthroughOff(ingress: Ingress): Problem {
  const key = annotationKey(ingress.meta.annotations, "ssl-passthrough") ?? "";
  const message =
    '"true" needs --enable-ssl-passthrough; the Ingress answers 503 until that is set, or the annotation is removed';
  return problemAt(ingress, `metadata.annotations[${key}]`, "UnsupportedAnnotation", message);
}
