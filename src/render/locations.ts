/**
 * The locations of one host. nginx tries exact locations, then regular expressions in the order of the file, then the
 * longest prefix, which is the router's order too; what differs is that the router's prefixes end at path elements, so
 * each becomes two locations.
 */
import type { NginxMap, NginxSplit } from "../features/feature.ts";
import { compareRegexSources, toBytes } from "../model/path.ts";
import type { Backend, Host, Route } from "../model/snapshot.ts";
import { parsePattern } from "../router/regex-syntax.ts";
import { compileTable } from "../router/table.ts";
import type { LocationBlock, Note } from "./configuration.ts";
import { withPages } from "./pages.ts";
import { toPcre } from "./pcre.ts";
import { refuseArgument } from "./quote.ts";
import { type RouteContext, writeRoute, writeUnmatched } from "./routes.ts";

export interface Locations {
  readonly locations: readonly LocationBlock[];
  readonly maps: readonly (NginxMap | NginxSplit)[];
  /** What stands nowhere, and what stands differently, each once. */
  readonly missing: readonly Note[];
  readonly inexact: readonly Note[];
}

/** The locations of a host; those of a server without rules when it is null. `otherwise` answers what no route matches. */
export function writeLocations(host: Host | null, otherwise: Backend, context: RouteContext): Locations {
  return new HostLocations(host, otherwise, context).write();
}

class HostLocations {
  readonly #host: Host | null;
  readonly #otherwise: Backend;
  readonly #context: RouteContext;
  readonly #exact = new Map<string, Route>();
  readonly #prefixes = new Map<string, Route>();
  readonly #regexes: { readonly route: Route; readonly source: string; readonly pcre: string }[] = [];
  readonly #locations: LocationBlock[] = [];
  readonly #maps: (NginxMap | NginxSplit)[] = [];
  readonly #missing: Note[] = [];
  readonly #inexact = new Map<string, Note>();

  constructor(host: Host | null, otherwise: Backend, context: RouteContext) {
    this.#host = host;
    this.#otherwise = otherwise;
    this.#context = context;
    for (const route of host?.routes ?? []) {
      this.#sort(route);
    }
    this.#regexes.sort((a, b) => compareRegexSources(a.source, b.source));
  }

  write(): Locations {
    for (const [path, route] of this.#exact) {
      this.#addExact(path, route);
    }
    this.#addSlashless();
    for (const { route, pcre } of this.#regexes) {
      this.#add(route, ["~*", `^${pcre}`]);
    }
    for (const [path, route] of this.#prefixes) {
      if (path !== "/") {
        this.#add(route, [`${path}/`]);
      }
    }
    this.#add(this.#prefixes.get("/") ?? this.#host?.defaultRoute ?? null, ["/"]);
    return {
      locations: withPages(this.#locations, this.#context.speaksGrpc),
      maps: this.#maps,
      missing: this.#missing,
      inexact: [...this.#inexact.values()],
    };
  }

  #sort(route: Route): void {
    const { path } = route;
    if (path.kind === "regex") {
      this.#sortRegex(route, path.source);
    } else if (path.kind === "exact") {
      this.#sortPath(this.#exact, path.path, route);
    } else {
      this.#sortPath(this.#prefixes, path.path === "/" ? "/" : path.path.replace(/\/$/, ""), route);
    }
  }

  /** The first route of a path keeps it, as in the router. */
  #sortPath(routes: Map<string, Route>, path: string, route: Route): void {
    const refused = refusePath(path);
    if (refused !== null) {
      this.#leaveOut(route, `the path ${refused}`);
    } else if (!routes.has(path)) {
      routes.set(path, route);
    }
  }

  #sortRegex(route: Route, source: string): void {
    const pcre = writeRegex(source);
    const refused = pcre === null ? null : refuseArgument(pcre);
    if (refused !== null) {
      this.#leaveOut(route, `the regular expression ${refused}`);
    } else if (pcre !== null) {
      this.#regexes.push({ route, source, pcre });
    }
  }

  /**
   * nginx answers a path whose location has a slash behind it with a redirect there, before it looks at any regular
   * expression; an exact location prevents that, and holds whatever the router chooses for this one path.
   */
  #addSlashless(): void {
    const paths = [...this.#prefixes.keys(), ...[...this.#exact.keys()].filter((path) => path.endsWith("/"))]
      .map((path) => path.replace(/\/$/, ""))
      .filter((path) => path !== "" && !this.#exact.has(path));
    if (paths.length === 0 || this.#host === null) {
      return;
    }
    const table = compileTable({ hosts: [this.#host] }, (route) => route).host(this.#host.name);
    for (const path of new Set(paths)) {
      this.#addExact(path, table?.lookup(toBytes(path)) ?? null);
    }
  }

  #addExact(path: string, route: Route | null): void {
    this.#add(route, ["=", path]);
  }

  /** null: the answer to what no route matches. */
  #add(route: Route | null, match: LocationBlock["match"]): void {
    if (route === null) {
      this.#locations.push({ match, comments: [], directives: writeUnmatched(this.#otherwise, this.#context) });
      return;
    }
    const regex = route.path.kind === "regex" ? writeRegex(route.path.source) : null;
    const hostHasTls = this.#host?.tls ?? false;
    const { directives, maps, inexact } = writeRoute(route, { hostHasTls, regex }, this.#context);
    const closed = route.closed === null ? [] : [`closed: ${route.closed}`];
    const comments = [`Ingress ${route.ingress}, path ${JSON.stringify(route.declaredPath)}`, ...closed, ...inexact];
    this.#locations.push({ match, comments, directives });
    this.#maps.push(...maps);
    for (const reason of inexact) {
      const note = this.#note(route, reason);
      this.#inexact.set(JSON.stringify(note), note);
    }
  }

  #leaveOut(route: Route, why: string): void {
    this.#missing.push(this.#note(route, `left out, for ${why}`));
  }

  #note(route: Route, reason: string): Note {
    return { ingress: route.ingress, place: `${this.#host?.name ?? ""}${route.declaredPath}`, reason };
  }
}

/** null: the router refuses it as well, and translation has told the user. */
function writeRegex(source: string): string | null {
  const parsed = parsePattern(source);
  return "refused" in parsed ? null : toPcre(parsed.pattern);
}

/** Why there can be no location of that name. */
function refusePath(path: string): string | null {
  if (!path.startsWith("/")) {
    return "does not begin with a slash";
  }
  if (/\/\/|\/\.\.?(?:\/|$)/.test(path)) {
    // The path of a request is matched without these, and locations of ours rely on that.
    return "has an empty or dot segment, which no request has";
  }
  return refuseArgument(path);
}
