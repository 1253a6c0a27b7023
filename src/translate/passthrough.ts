/**
 * The hosts whose TLS connections are passed through (ssl-passthrough), and where to. A connection shows no path before
 * TLS, so a host is passed through as a whole: the oldest Ingress with a rule for it decides.
 */
import { quote } from "../features/feature.ts";
import { annotationKey } from "../features/registry.ts";
import type { Problem } from "../model/problem.ts";
import type { Backend, Passthrough } from "../model/snapshot.ts";
import type { Backends, Target } from "./backends.ts";
import { lostClaim } from "./conflicts.ts";
import { problemAt } from "./mistake.ts";
import type { Rules } from "./rules.ts";

export interface PassedHosts {
  readonly byHost: ReadonlyMap<string, Passthrough>;
  readonly problems: readonly Problem[];
}

/** `rules` oldest first; `idleTimeout` in milliseconds. */
export function passHosts(rules: readonly Rules[], backends: Backends, idleTimeout: number): PassedHosts {
  const byHost = new Map<string, Passthrough>();
  const problems: Problem[] = [];
  // Nothing is looked for where nobody asks for it.
  if (!rules.some(({ passthrough }) => passthrough)) return { byHost, problems };
  const oldest = new Map<string, Rules>();
  for (const each of rules) {
    for (const host of each.hosts.length === 0 ? [""] : each.hosts) {
      const owner = oldest.get(host) ?? each;
      oldest.set(host, owner);
      if (!each.passthrough) {
        if (owner.passthrough) problems.push(...lostTls(each, owner, host));
        continue;
      }
      const target = owner === each && host !== "" ? rootTarget(each, host) : null;
      if (target === null) problems.push(problemOf(each, owner, host));
      else byHost.set(host, { ...passthroughTo(each, target, backends), idleTimeout });
    }
  }
  return { byHost, problems };
}

/** Where "/" of the host leads, by a path of this Ingress or its default backend. */
function rootTarget(rules: Rules, host: string): Target | null {
  const root = rules.paths.find((path) => path.host === host && path.declared.path === "/" && path.refused === null);
  return root?.target ?? rules.defaultTarget;
}

function passthroughTo(
  { policy, closed, id, wish }: Rules,
  target: Target,
  backends: Backends,
): Omit<Passthrough, "idleTimeout"> {
  const { backend } = backends.resolve(target);
  const { sourceRange, timeouts } = policy;
  const { sendProxy } = wish.options;
  return {
    backend: closed === null ? backend : closedBackend(backend, closed),
    connectTimeout: timeouts.connect,
    ...(sendProxy === undefined ? {} : { sendProxy }),
    ...(sourceRange === undefined ? {} : { sourceRange }),
    ingress: id,
  };
}

function closedBackend(backend: Backend, reason: string): Backend {
  return { kind: "unavailable", reason, service: backend.kind === "notFound" ? null : backend.service };
}

function problemOf(rules: Rules, owner: Rules, host: string): Problem {
  const { ingress } = rules;
  const field = `metadata.annotations[${annotationKey(ingress.meta.annotations, "ssl-passthrough") ?? ""}]`;
  if (host === "") {
    const message = "TLS of a rule without a host is not passed through, for no server name leads to it; name the host";
    return problemAt(ingress, field, "TlsPassthrough", message);
  }
  const what = `TLS passthrough of host ${quote(host)}`;
  if (owner !== rules) {
    return lostClaim(ingress, field, { ingress: owner.ingress, field: "" }, "TlsPassthrough", what);
  }
  const message = `${what} leads nowhere, and TLS is ended here; add a path "/" to the host, or spec.defaultBackend`;
  return problemAt(ingress, field, "TlsPassthrough", message);
}

/** Told where an Ingress wants TLS for the host: one for plain HTTP alone, as of a certificate's challenge, loses nothing. */
function lostTls({ ingress }: Rules, owner: Rules, host: string): readonly Problem[] {
  return ingress.tls.flatMap(({ hosts }, index) => {
    const at = hosts.indexOf(host);
    if (at === -1) return [];
    const field = `spec.tls[${index}].hosts[${at}]`;
    const winner = { ingress: owner.ingress, field: "" };
    return [
      lostClaim(ingress, field, winner, "TlsPassthrough", `TLS to host ${quote(host)}, which is passed through,`),
    ];
  });
}
