/**
 * Puts the paths of canaries beside the routes that they belong to: those of another Ingress of the same namespace with
 * the same host and path. A canary speaks to its upstream as the main Ingress does; only the choice among its endpoints
 * is its own. One of another namespace could take requests that its owner has no say in, and is refused.
 */
import { quote } from "../features/feature.ts";
import { joinOptions } from "../features/registry.ts";
import type { CanaryRule } from "../model/canary.ts";
import type { Problem } from "../model/problem.ts";
import type { Canary, Host, Route } from "../model/snapshot.ts";
import { compileSearch } from "../router/regex.ts";
import { type Backends, targetOf } from "./backends.ts";
import { problemAt } from "./mistake.ts";
import { pathClaim, type RulePath } from "./rule-path.ts";
import type { Rules } from "./rules.ts";
import type { Wish } from "./upstreams.ts";

/** `canaries` oldest first; `mains` are the Ingresses that `hosts` were built of. */
export function addCanaries(
  hosts: readonly Host[],
  mains: readonly Rules[],
  canaries: readonly Rules[],
  backends: Backends,
): { readonly hosts: readonly Host[]; readonly problems: readonly Problem[] } {
  if (canaries.length === 0) return { hosts, problems: [] };
  const adder = new CanaryAdder(hosts, mains, backends);
  for (const canary of canaries) adder.add(canary);
  return { hosts: adder.build(hosts), problems: adder.problems };
}

class CanaryAdder {
  readonly problems: Problem[] = [];
  readonly #backends: Backends;
  readonly #mains: ReadonlyMap<string, Rules>;
  readonly #routes = new Map<string, Route>();
  readonly #found = new Map<Route, Canary[]>();

  constructor(hosts: readonly Host[], mains: readonly Rules[], backends: Backends) {
    this.#backends = backends;
    this.#mains = new Map(mains.map((rules) => [rules.id, rules]));
    for (const { name, routes } of hosts) {
      for (const route of routes) {
        this.#routes.set(pathClaim(name, route.path), route);
        // A canary has no say in whether a path is a regular expression: one that is written alike is the same.
        if (route.path.kind === "regex") this.#routes.set(declaredClaim(name, route.declaredPath), route);
      }
    }
  }

  add(canary: Rules): void {
    const rule = this.#readRule(canary);
    if (rule === null) return;
    if (canary.defaultTarget !== null) {
      this.#tell(canary, "spec.defaultBackend", "a default backend can have no canary; write rules with paths");
    }
    for (const path of canary.paths) this.#addPath(canary, path, rule);
  }

  build(hosts: readonly Host[]): readonly Host[] {
    return hosts.map((host) => {
      if (!host.routes.some((route) => this.#found.has(route))) return host;
      const routes = host.routes.map((route) => {
        const canaries = this.#found.get(route);
        return canaries === undefined ? route : { ...route, canaries };
      });
      return { ...host, routes };
    });
  }

  #addPath(canary: Rules, path: RulePath, rule: CanaryRule): void {
    const { path: text, pathType, backend: declared } = path.declared;
    const written =
      pathType === "ImplementationSpecific" ? this.#routes.get(declaredClaim(path.host, text)) : undefined;
    const route = this.#routes.get(path.claim) ?? written;
    const what = `path ${quote(text)} (${pathType}) of ${path.host === "" ? "all other hosts" : `host ${quote(path.host)}`}`;
    const main = route === undefined ? undefined : this.#mains.get(route.ingress);
    if (route === undefined || main === undefined) {
      this.#tell(canary, `${path.field}.path`, `${what} is served by no other Ingress; write a host and path of one`);
      return;
    }
    if (main.ingress.meta.namespace !== canary.ingress.meta.namespace) {
      const remedy = "and a canary must be in the namespace of its main Ingress; move it there";
      this.#tell(canary, `${path.field}.path`, `${what} belongs to Ingress ${main.id}, ${remedy}`);
      return;
    }
    const target = targetOf(canary.ingress.meta.namespace, declared, wishOf(canary, main));
    const { backend, mistake } = this.#backends.resolve(target);
    if (mistake !== null) {
      const field = `${path.field}.backend.${mistake.field}`;
      this.problems.push(problemAt(canary.ingress, field, mistake.code, mistake.message));
    }
    if (backend.kind !== "upstream" || route.backend.kind !== "upstream") return;
    const canaries = this.#found.get(route) ?? [];
    canaries.push({ ingress: canary.id, backend, rule });
    this.#found.set(route, canaries);
  }

  /** The rule, without a pattern that cannot be matched. */
  #readRule({ ingress, canary }: Rules): CanaryRule | null {
    const pattern = canary?.header?.pattern ?? null;
    if (canary === null || canary.header === null || pattern === null) return canary;
    const compiled = compileSearch(pattern);
    if (!("refused" in compiled)) return canary;
    const key = Object.keys(ingress.meta.annotations).find((name) => name.endsWith("/canary-by-header-pattern"));
    const message = `${quote(pattern)} is not a regular expression that Sluice can match: ${compiled.refused}`;
    this.problems.push(problemAt(ingress, `metadata.annotations[${key}]`, "InvalidAnnotation", message));
    return { ...canary, header: { ...canary.header, pattern: null } };
  }

  #tell({ ingress }: Rules, field: string, message: string): void {
    this.problems.push(problemAt(ingress, field, "CanaryWithoutMain", message));
  }
}

const wishes = new WeakMap<Rules, { readonly main: Rules; readonly wish: Wish }>();

/** How a canary is spoken to. The same object as long as both Ingresses stay the same. */
function wishOf(canary: Rules, main: Rules): Wish {
  const before = wishes.get(canary);
  if (before?.main === main) return before.wish;
  const balance = new Set(Object.keys(main.balanceOptions));
  const spoken = Object.entries(main.wish.options).filter(([name]) => !balance.has(name));
  const options = joinOptions(Object.fromEntries(spoken), canary.balanceOptions);
  const wish: Wish = { protocol: main.wish.protocol, options };
  wishes.set(canary, { main, wish });
  return wish;
}

/** Of a path as it is written, where a canary cannot know what it means. */
function declaredClaim(host: string, path: string): string {
  return `declared\0${host}\0${path}`;
}
