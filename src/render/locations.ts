/**
 * The locations of one host. nginx tries exact locations, then regular expressions in the order of the file, then the
 * longest prefix, which is the router's order too; what differs is that the router's prefixes end at path elements, so
 * each becomes two locations.
 */
import type { NginxMap } from "../features/feature.ts";
import { compareRegexSources, toBytes } from "../model/path.ts";
import type { Backend, Host, Route } from "../model/snapshot.ts";
import { compileRegex } from "../router/regex.ts";
import { parsePattern } from "../router/regex-syntax.ts";
import type { LocationBlock, Note } from "./configuration.ts";
import { toPcre } from "./pcre.ts";
import { refuseArgument } from "./quote.ts";
import { type RouteContext, writeBackend, writeRoute } from "./routes.ts";

export interface Locations {
  readonly locations: readonly LocationBlock[];
  readonly maps: readonly NginxMap[];
  /** What stands nowhere, and what stands differently, each once. */
  readonly missing: readonly Note[];
  readonly inexact: readonly Note[];
}

/** The locations of a host; those of a server without rules when it is null. `otherwise` answers what no route matches. */
export function writeLocations(host: Host | null, otherwise: Backend, context: RouteContext): Locations {
  return new HostLocations(host, otherwise, context).write();
}

interface RegexRoute {
  readonly route: Route;
  readonly source: string;
  /** As nginx reads it; null: it cannot be written. */
  readonly pcre: string | null;
  readonly test: (path: string) => boolean;
}

class HostLocations {
  readonly #host: Host | null;
  readonly #otherwise: Backend;
  readonly #context: RouteContext;
  readonly #exact = new Map<string, Route>();
  readonly #prefixes = new Map<string, Route>();
  readonly #regexes: RegexRoute[] = [];
  readonly #locations: LocationBlock[] = [];
  readonly #maps: NginxMap[] = [];
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
      this.#add(route, ["=", path], null);
    }
    for (const { route, pcre } of this.#regexes) {
      if (pcre !== null) {
        this.#add(route, ["~*", `^${pcre}`], pcre);
      }
    }
    for (const [path, route] of this.#prefixes) {
      if (path !== "/") {
        this.#addPrefix(path, route);
      }
    }
    this.#addRoot();
    return {
      locations: this.#locations,
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
    const refused = path.startsWith("/") ? refuseArgument(path) : "does not begin with a slash";
    if (refused !== null) {
      this.#missing.push(this.#note(route, `left out, for the path ${refused}`));
    } else if (!routes.has(path)) {
      routes.set(path, route);
    }
  }

  #sortRegex(route: Route, source: string): void {
    const parsed = parsePattern(source);
    const regex = compileRegex(source);
    if ("refused" in parsed || "refused" in regex) {
      // The router leaves it out as well, and translation has told the user.
      return;
    }
    const pcre = toPcre(parsed.pattern);
    const refused = refuseArgument(pcre);
    if (refused !== null) {
      this.#missing.push(this.#note(route, `left out, for the regular expression ${refused}`));
    }
    this.#regexes.push({ route, source, pcre: refused === null ? pcre : null, test: regex.test });
  }

  /**
   * nginx would answer the path without its slash with a redirect to the one with it, before it looks at any regular
   * expression; an exact location prevents that, and holds whatever the router chooses for this one path.
   */
  #addPrefix(path: string, route: Route): void {
    if (!this.#exact.has(path)) {
      const bytes = toBytes(path);
      const first = this.#regexes.find((regex) => regex.test(bytes));
      this.#add(first?.route ?? route, ["=", path], first?.pcre ?? null);
    }
    this.#add(route, [`${path}/`], null);
  }

  #addRoot(): void {
    const route = this.#prefixes.get("/") ?? this.#host?.defaultRoute ?? null;
    if (route === null) {
      this.#locations.push({ match: ["/"], comments: [], directives: writeBackend(this.#otherwise, this.#context) });
    } else {
      this.#add(route, ["/"], null);
    }
  }

  #add(route: Route, match: LocationBlock["match"], regex: string | null): void {
    const hostHasTls = this.#host?.tls ?? false;
    const { directives, maps, inexact } = writeRoute(route, { hostHasTls, regex }, this.#context);
    const comments = [`Ingress ${route.ingress}, path ${JSON.stringify(route.declaredPath)}`, ...inexact];
    this.#locations.push({ match, comments, directives });
    this.#maps.push(...maps);
    for (const reason of inexact) {
      const note = this.#note(route, reason);
      this.#inexact.set(JSON.stringify(note), note);
    }
  }

  #note(route: Route, reason: string): Note {
    return { ingress: route.ingress, place: `${this.#host?.name ?? ""}${route.declaredPath}`, reason };
  }
}
