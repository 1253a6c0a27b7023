/**
 * What one location does: the directives of its features, then the backend. The order is nginx's order of phases, in which
 * a `return` goes before access lists, so a backend that is no upstream is reached through try_files, which comes last.
 */
import type { Directive, NginxMap } from "../features/feature.ts";
import { renderPolicy } from "../features/registry.ts";
import type { Backend, Route, Upstream } from "../model/snapshot.ts";
import { isOverTls } from "../model/upstream-tls.ts";
import { refuseDirective, refuseMap } from "./arguments.ts";
import { endpointAddress, ours, upstreamName } from "./names.ts";
import { refuseArgument } from "./quote.ts";
import { type TlsFiles, writeUpstreamTls } from "./upstream-tls.ts";

export interface RouteContext {
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly files: TlsFiles;
}

export interface RouteText {
  readonly directives: readonly Directive[];
  readonly maps: readonly NginxMap[];
  /** What nginx does otherwise than the router, one sentence each. */
  readonly inexact: readonly string[];
}

export function writeRoute(
  route: Route,
  location: { readonly hostHasTls: boolean; readonly regex: string | null },
  context: RouteContext,
): RouteText {
  const { declaredPath } = route;
  const policy = renderPolicy(route.policy, { ...location, declaredPath, schemeVariable: "$sluice_proto" });
  const directives =
    route.closed === null
      ? [
          ...speak(policy.directives.flatMap(guardRewrite), route.backend, context),
          ...writeBackend(route.backend, context),
        ]
      : [...policy.directives.filter(({ name }) => name === "add_header"), unavailable];
  const refused = firstRefusal(directives, policy.maps);
  if (refused !== null) {
    // Without the directive a guard could be missing.
    return { directives: [unavailable], maps: [], inexact: [`closed, for an argument ${refused}`] };
  }
  const inexact =
    route.closed === null
      ? [...policy.inexpressible.map(({ reason }) => reason), ...unsaid(route.backend, context)]
      : [];
  return { directives, maps: policy.maps, inexact };
}

/**
 * A group of a path may bring dot segments into the rewritten one, and an upstream would leave the target by them
 * (`/api../admin` for `/api(.*)` and `/v1/$1`). Sluice refuses that; nginx has to be told to.
 */
function guardRewrite(directive: Directive): readonly Directive[] {
  const [pattern, target, flag] = directive.args;
  if (directive.name !== "rewrite" || flag !== "break" || pattern === undefined || target === undefined) {
    return [directive];
  }
  return [
    { name: "rewrite", args: [pattern, target] },
    { name: "if", args: [ours("($sluice_dot_segment)")], block: [{ name: "return", args: ["400"] }] },
    { name: "break", args: [] },
  ];
}

function firstRefusal(directives: readonly Directive[], maps: readonly NginxMap[]): string | null {
  const refusals = [...directives.map(refuseDirective), ...maps.map(refuseMap)];
  return refusals.find((reason) => reason !== null) ?? null;
}

/** The directives for requests that no route takes. */
export function writeUnmatched(backend: Backend, context: RouteContext): readonly Directive[] {
  const directives = writeBackend(backend, context);
  return firstRefusal(directives, []) === null ? directives : [unavailable];
}

function writeBackend(backend: Backend, context: RouteContext): readonly Directive[] {
  switch (backend.kind) {
    case "notFound":
      return [answer(404)];
    case "unavailable":
      return [answer(503)];
    case "upstream": {
      const upstream = context.upstreams.get(backend.upstream);
      return upstream === undefined || !isUsable(upstream)
        ? [answer(503)]
        : speak(pass(upstream, context), backend, context);
    }
  }
}

/** False: there is no block for the upstream, and its locations answer 503. */
export function isUsable({ key, endpoints }: Upstream): boolean {
  const hasEndpoint = endpoints.some((endpoint) => endpointAddress(endpoint) !== null);
  return hasEndpoint && refuseArgument(upstreamName(key)) === null;
}

const unavailable: Directive = { name: "return", args: ["503"] };

/** try_files wants a file to look for first; nothing is ever there. */
function answer(status: 404 | 503): Directive {
  return { name: "try_files", args: ["/sluice/none", `=${status}`] };
}

/** gRPC has a module of its own, whose directives are the proxy's by another name. */
function speak(directives: readonly Directive[], backend: Backend, context: RouteContext): readonly Directive[] {
  const upstream = backend.kind === "upstream" ? context.upstreams.get(backend.upstream) : undefined;
  if (upstream?.protocol !== "grpc" && upstream?.protocol !== "grpcs") {
    return directives;
  }
  return directives.map((directive) => ({ ...directive, name: directive.name.replace(/^proxy_/, "grpc_") }));
}

/** What the upstream asks for and nginx cannot do. */
function unsaid(backend: Backend, { upstreams }: RouteContext): readonly string[] {
  const upstream = backend.kind === "upstream" ? upstreams.get(backend.upstream) : undefined;
  if (upstream?.options.sendProxy === undefined) return [];
  return ["the upstream gets no header of the PROXY protocol: nginx sends one for TCP services alone"];
}

function pass(upstream: Upstream, context: RouteContext): readonly Directive[] {
  const { key, protocol } = upstream;
  const target: Directive = { name: "proxy_pass", args: [`${protocol}://${upstreamName(key)}`] };
  return isOverTls(protocol) ? [...writeUpstreamTls(upstream, context.files), target] : [target];
}
