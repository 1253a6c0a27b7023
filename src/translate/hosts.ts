/**
 * Puts the rules of all Ingresses together into hosts with their routes in order of precedence, and finds the default
 * route of each host. Who wins a host and path is decided in conflicts.ts, what a backend means in backends.ts.
 */

import { quote } from "../features/feature.ts";
import { admitsNoMore, type ClientAuth } from "../model/client-auth.ts";
import { compareRegexSources } from "../model/path.ts";
import { compareText, type Problem } from "../model/problem.ts";
import type { Backend, Host, Passthrough, PathMatch, Route } from "../model/snapshot.ts";
import type { BackendMistake, Backends, Target } from "./backends.ts";
import { Claims, lostClaim } from "./conflicts.ts";
import { problemAt } from "./mistake.ts";
import type { RulePath } from "./rule-path.ts";
import type { Rules } from "./rules.ts";

/**
 * `rules` oldest first; `hasTls` says whether spec.tls of some Ingress lists the host, `passed` where TLS is passed through,
 * `clientAuth` what is asked of clients.
 */
export function buildHosts(
  rules: readonly Rules[],
  backends: Backends,
  hasTls: (host: string) => boolean,
  passed: ReadonlyMap<string, Passthrough>,
  clientAuth: (host: string) => ClientAuth | undefined,
): { readonly hosts: readonly Host[]; readonly problems: readonly Problem[] } {
  const builder = new HostBuilder(backends, clientAuth);
  for (const each of rules) builder.add(each);
  for (const each of rules) builder.addStandIns(each);
  return { hosts: builder.build(hasTls, passed), problems: builder.problems };
}

interface HostDraft {
  readonly routes: Route[];
  defaultRoute: Route | null;
}

class HostBuilder {
  readonly problems: Problem[] = [];
  readonly #backends: Backends;
  readonly #clientAuth: (host: string) => ClientAuth | undefined;
  readonly #claims = new Claims();
  readonly #drafts = new Map<string, HostDraft>();
  /** Of the oldest Ingress without rules: it serves whatever nothing else does, on every host. */
  #everywhere: { readonly route: Route; readonly rules: Rules } | null = null;

  constructor(backends: Backends, clientAuth: (host: string) => ClientAuth | undefined) {
    this.#backends = backends;
    this.#clientAuth = clientAuth;
  }

  add(rules: Rules): void {
    for (const host of rules.hosts) this.#draft(host);
    for (const path of rules.paths) if (path.refused === null) this.#addPath(rules, path);
    if (rules.defaultTarget !== null) this.#addDefault(rules, rules.defaultTarget);
  }

  /** Closed routes in the place of paths that could not be read. They never stand in the way of a rule that could. */
  addStandIns(rules: Rules): void {
    for (const path of rules.paths) {
      if (path.refused === null) continue;
      const draft = this.#draft(path.host);
      const isRoot = path.match.kind === "prefix" && path.match.path === "/";
      if (isRoot && (draft.defaultRoute ?? this.#everywhere) !== null) continue;
      if (this.#claims.take(path.claim, path) !== null) continue;
      const service = path.target.kind === "service" ? path.target.ref : null;
      draft.routes.push(route(rules, path, { kind: "unavailable", reason: path.refused, service }, rules.closed));
    }
  }

  build(hasTls: (host: string) => boolean, passed: ReadonlyMap<string, Passthrough>): readonly Host[] {
    const names = [...this.#drafts.keys()].sort(compareText);
    return names.map((name) => {
      const { routes, defaultRoute } = this.#draft(name);
      const passthrough = passed.get(name);
      const auth = this.#clientAuth(name);
      return {
        name,
        tls: hasTls(name),
        routes: routes.sort(compareRoutes),
        defaultRoute: defaultRoute ?? this.#everywhereFor(name),
        ...(auth === undefined ? {} : { clientAuth: auth }),
        ...(passthrough === undefined ? {} : { passthrough }),
      };
    });
  }

  /** What an Ingress without rules serves on every host. */
  #everywhereFor(host: string): Route | null {
    if (this.#everywhere === null) return null;
    const { route, rules } = this.#everywhere;
    return withClosed(route, this.#closedOn(host, rules));
  }

  /** What an Ingress guards by client certificates is not to be had where clients are asked for less than it asks. */
  #closedOn(host: string, { closed, clientAuth: asked }: Rules): string | null {
    if (closed !== null || asked === null) return closed;
    const held = this.#clientAuth(host);
    if (held === asked) return null;
    if (held === undefined) return "its Ingress asks for client certificates, and this host does not";
    return admitsNoMore(held, asked) ? null : "its Ingress asks for other client certificates than this host does";
  }

  #addPath(rules: Rules, path: RulePath): void {
    const { backend, mistake } = this.#backends.resolve(path.target);
    if (mistake !== null) this.#tell(rules, `${path.field}.backend`, mistake);
    const winner = this.#claims.take(path.claim, path);
    if (winner === null) {
      const closed = this.#closedOn(path.host, rules);
      this.#draft(path.host).routes.push(route(rules, path, backend, closed));
      return;
    }
    const { path: text, pathType } = path.declared;
    const what = `path ${quote(text)} (${pathType}) of ${hostText(path.host)}`;
    this.problems.push(lostClaim(rules.ingress, `${path.field}.path`, winner, "DuplicatePath", what));
  }

  #addDefault(rules: Rules, target: Target): void {
    const claimant = { ingress: rules.ingress, field: "spec.defaultBackend" };
    const { backend, mistake } = this.#backends.resolve(target);
    if (mistake !== null) this.#tell(rules, claimant.field, mistake);
    const defaultRoute: Route = {
      path: { kind: "prefix", path: "/" },
      backend,
      policy: rules.policy,
      closed: rules.closed,
      ingress: rules.id,
      declaredPath: "",
    };
    const hosts = rules.hosts.length === 0 ? [""] : rules.hosts;
    for (const host of hosts) {
      const winner = this.#claims.take(`default\0${host}`, claimant);
      if (winner === null) {
        this.#draft(host).defaultRoute = withClosed(defaultRoute, this.#closedOn(host, rules));
        if (rules.hosts.length === 0) this.#everywhere = { route: defaultRoute, rules };
      } else {
        const what = `the default backend of ${hostText(host)}`;
        this.problems.push(lostClaim(rules.ingress, claimant.field, winner, "DuplicatePath", what));
      }
    }
  }

  #tell(rules: Rules, field: string, mistake: BackendMistake): void {
    this.problems.push(problemAt(rules.ingress, `${field}.${mistake.field}`, mistake.code, mistake.message));
  }

  #draft(host: string): HostDraft {
    let draft = this.#drafts.get(host);
    if (draft === undefined) {
      draft = { routes: [], defaultRoute: null };
      this.#drafts.set(host, draft);
    }
    return draft;
  }
}

/** Exact paths, then regular expressions, then prefixes: the order of stock nginx, so that both match alike. */
export function compareRoutes(a: Route, b: Route): number {
  return (
    precedence[a.path.kind] - precedence[b.path.kind] ||
    (a.path.kind === "regex" ? compareRegexSources(text(a.path), text(b.path)) : compareLiterals(a.path, b.path))
  );
}

const precedence = { exact: 0, regex: 1, prefix: 2 } as const;

function compareLiterals(a: PathMatch, b: PathMatch): number {
  return text(b).length - text(a).length || compareText(text(a), text(b));
}

function text(match: PathMatch): string {
  return match.kind === "regex" ? match.source : match.path;
}

function route(rules: Rules, path: RulePath, backend: Backend, closed: string | null): Route {
  const { policy, id } = rules;
  const before = path.route;
  if (before?.backend === backend && before.policy === policy && before.closed === closed) return before;
  const made: Route = { path: path.match, backend, policy, closed, ingress: id, declaredPath: path.declared.path };
  path.route = made;
  return made;
}

function withClosed(route: Route, closed: string | null): Route {
  return closed === route.closed ? route : { ...route, closed };
}

function hostText(host: string): string {
  return host === "" ? "all other hosts" : `host ${quote(host)}`;
}
