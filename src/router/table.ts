/**
 * The table of routes: from a Snapshot's hosts to "which route serves this host and path". Hosts whose object did not
 * change keep what was compiled for them, so a change costs what changed. What a match means is the caller's: it gives
 * the value that a lookup returns.
 */
import { toBytes } from "../model/path.ts";
import type { Host, Route, Snapshot } from "../model/snapshot.ts";
import { HostMap } from "./hosts.ts";
import { PathTree } from "./paths.ts";
import { compileRegex } from "./regex.ts";
import { type RegexRoute, RegexRoutes } from "./regex-routes.ts";

export interface TableHost<T> {
  /** As in the Snapshot: a DNS name, `*.` and a DNS name, or "". */
  readonly name: string;
  /** What it was compiled from. */
  readonly source: Host;
  /** The value of the route that matches, else of the host's default route, else null. `path` is as normaliseTarget gives it. */
  lookup(path: string): T | null;
}

export interface Table<T> {
  /** `name` is as normaliseHost gives it. Null when no host of the table serves it. */
  host(name: string): TableHost<T> | null;
}

/** The groups of a regex route for a path, [whole, $1, …]; null for a route that is no regular expression. */
export type Captures = (path: string) => readonly string[] | null;

export type RouteValue<T> = (route: Route, host: Host, captures: Captures) => T;

/**
 * Compiles the hosts of a Snapshot. `value` is called once for each route (and each default route) of each host that is
 * not the same object as in `previous`; hosts that are the same keep the values made then. When all are, `previous`
 * itself is returned.
 */
export function compileTable<T>(
  snapshot: Pick<Snapshot, "hosts">,
  value: RouteValue<T>,
  previous?: CompiledTable<T>,
): CompiledTable<T> {
  let same = previous !== undefined && previous.hosts.length === snapshot.hosts.length;
  const hosts = snapshot.hosts.map((host, index) => {
    const reused = previous?.reusable(host);
    same &&= reused !== undefined && reused === previous?.hosts[index];
    return reused ?? new CompiledHost(host, value);
  });
  return same && previous !== undefined ? previous : new CompiledTable(hosts);
}

export class CompiledTable<T> implements Table<T> {
  readonly hosts: readonly CompiledHost<T>[];
  readonly #byName = new HostMap<CompiledHost<T>>();

  constructor(hosts: readonly CompiledHost<T>[]) {
    this.hosts = hosts;
    for (const host of hosts) {
      this.#byName.add(host.name, host);
    }
  }

  host(name: string): TableHost<T> | null {
    return this.#byName.find(name);
  }

  /** What was compiled for this very object; undefined when it was another. */
  reusable(source: Host): CompiledHost<T> | undefined {
    const host = this.#byName.get(source.name);
    return host?.source === source ? host : undefined;
  }
}

class CompiledHost<T> implements TableHost<T> {
  readonly name: string;
  readonly source: Host;
  readonly #paths = new PathTree<T>();
  /** Null for most hosts, which pay nothing for it. */
  readonly #regexes: RegexRoutes<T> | null;
  readonly #otherwise: T | null;

  constructor(source: Host, value: RouteValue<T>) {
    this.name = source.name;
    this.source = source;
    const regexes: RegexRoute<T>[] = [];
    for (const route of source.routes) {
      const { path } = route;
      if (path.kind === "regex") {
        const regex = compileRegex(path.source);
        if (!("refused" in regex)) {
          regexes.push({ source: path.source, regex, value: value(route, source, regex.exec) });
        }
      } else {
        this.#paths.add(toBytes(path.path), { exact: path.kind === "exact", value: value(route, source, noCaptures) });
      }
    }
    this.#regexes = regexes.length === 0 ? null : new RegexRoutes(regexes);
    this.#otherwise = source.defaultRoute === null ? null : value(source.defaultRoute, source, noCaptures);
  }

  lookup(path: string): T | null {
    const literal = this.#paths.find(path);
    if (literal?.exact === true) {
      return literal.value;
    }
    const regex = this.#regexes === null ? null : this.#regexes.find(path);
    if (regex !== null) {
      return regex.value;
    }
    return literal === null ? this.#otherwise : literal.value;
  }
}

const noCaptures: Captures = () => null;
