/**
 * What one location does: the directives of its features, then the backend. The order is nginx's order of phases, in which
 * a `return` goes before access lists, so a backend that is no upstream is reached through try_files, which comes last.
 */
import type { Directive, NginxArg, NginxMap, NginxSplit } from "../features/feature.ts";
import { renderPolicy } from "../features/registry.ts";
import type { Backend, Route, Upstream } from "../model/snapshot.ts";
import { isOverTls } from "../model/upstream-tls.ts";
import { refuseDirective, refuseMap } from "./arguments.ts";
import { writeCanary } from "./canary.ts";
import { endpointAddress, ours, upstreamName } from "./names.ts";
import { refuseArgument } from "./quote.ts";
import { type TlsFiles, writeUpstreamTls } from "./upstream-tls.ts";

export interface RouteContext {
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly files: TlsFiles;
  /** An upstream is: clients may speak it, too. */
  readonly speaksGrpc: boolean;
}

export interface RouteText {
  readonly directives: readonly Directive[];
  readonly maps: readonly (NginxMap | NginxSplit)[];
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
  const backend = writeBackend(route, route.backend, context);
  const directives =
    route.closed === null
      ? [...speak(policy.directives.flatMap(guardRewrite), route.backend, context), ...backend.directives]
      : [...policy.directives.filter(({ name }) => name === "add_header"), unavailable];
  const maps = route.closed === null ? [...policy.maps, ...backend.maps] : policy.maps;
  const refused = firstRefusal(directives, maps);
  if (refused !== null) {
    // Without the directive a guard could be missing.
    return { directives: [unavailable], maps: [], inexact: [`closed, for an argument ${refused}`] };
  }
  const inexact =
    route.closed === null
      ? [...policy.inexpressible.map(({ reason }) => reason), ...unsaid(route.backend, context), ...backend.inexact]
      : [];
  return { directives, maps, inexact };
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

function firstRefusal(directives: readonly Directive[], maps: readonly (NginxMap | NginxSplit)[]): string | null {
  const refusals = [...directives.map(refuseDirective), ...maps.map(refuseMap)];
  return refusals.find((reason) => reason !== null) ?? null;
}

/** The directives for requests that no route takes. */
export function writeUnmatched(backend: Backend, context: RouteContext): readonly Directive[] {
  const { directives } = writeBackend(null, backend, context);
  return firstRefusal(directives, []) === null ? directives : [unavailable];
}

function writeBackend(route: Route | null, backend: Backend, context: RouteContext): RouteText {
  const plain = (directives: readonly Directive[]): RouteText => ({ directives, maps: [], inexact: [] });
  switch (backend.kind) {
    case "notFound":
      return plain([answer(404)]);
    case "unavailable":
      return plain([answer(503)]);
    case "upstream": {
      const upstream = context.upstreams.get(backend.upstream);
      if (upstream === undefined || !isUsable(upstream)) return plain([answer(503)]);
      const spokenAlike = (other: Upstream): boolean => sameSpeech(upstream, other, context);
      const chosen = writeCanary(route?.canaries ?? [], upstream, context.upstreams, { isUsable, spokenAlike });
      return { ...chosen, directives: speak(pass(upstream, chosen.upstream, context), backend, context) };
    }
  }
}

/** False: there is no block for the upstream, and its locations answer 503. */
export function isUsable({ key, endpoints }: Upstream): boolean {
  const hasEndpoint = endpoints.some((endpoint) => endpointAddress(endpoint) !== null);
  return hasEndpoint && refuseArgument(upstreamName(key)) === null;
}

/** Closes a location: goes before all access lists. */
export const unavailable: Directive = { name: "return", args: ["503"] };

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

/** One location can speak to both. */
function sameSpeech(a: Upstream, b: Upstream, context: RouteContext): boolean {
  return JSON.stringify(pass(a, "", context)) === JSON.stringify(pass(b, "", context));
}

/** `name` stands for the name of the upstream. */
function pass(upstream: Upstream, name: NginxArg, context: RouteContext): readonly Directive[] {
  const { protocol } = upstream;
  const target: Directive = { name: "proxy_pass", args: [joinArgs(`${protocol}://`, name)] };
  return isOverTls(protocol) ? [...writeUpstreamTls(upstream, context.files), target] : [target];
}

function joinArgs(text: string, arg: NginxArg): NginxArg {
  return typeof arg === "string" ? text + arg : "nginx" in arg ? [text, arg] : [text, ...arg];
}
