/**
 * How metrics and the access log name a route. The main thread numbers the label sets of a Snapshot and the workers look
 * theirs up, so both must make them here.
 */

import type { Policy } from "../../model/policy.ts";
import type { Backend, Canary, Host, Route, Snapshot } from "../../model/snapshot.ts";
import type { RouteLabels } from "../../proxy/live-route.ts";

/** Requests that no host takes are counted under the host "". */
export const unmatchedHost: Host = { name: "", tls: false, routes: [], defaultRoute: null };

/** The route of requests that no other takes: to the default backend, whoever's it is. */
export function unmatchedRoute(backend: Backend, policy: Policy): Route {
  return {
    path: { kind: "prefix", path: "/" },
    backend,
    policy,
    closed: null,
    ingress: "",
    declaredPath: "",
  };
}

/** What a canary makes of a route: its own backend, under the name of its own Ingress. */
export function canaryRoute(route: Route, { ingress, backend }: Canary): Route {
  const { canaries: _, ...rest } = route;
  return { ...rest, ingress, backend };
}

export function routeLabels(host: Host, route: Route): RouteLabels {
  const { backend } = route;
  const service = backend.kind === "notFound" ? null : backend.service;
  const { namespace, name } = ingressParts(route.ingress);
  return {
    host: host.name,
    // The default backend belongs to no Ingress; its namespace is its Service's. Mostly both are one, and one text serves.
    namespace:
      service !== null && (namespace === "" || namespace === service.namespace) ? service.namespace : namespace,
    ingress: name,
    service: service?.name ?? "",
    port: service?.port ?? "",
    logged: null,
  };
}

interface IngressParts {
  readonly ingress: string;
  readonly namespace: string;
  readonly name: string;
}

/** The routes of one Ingress follow each other, so the last answer gives most of them one copy of the names. */
let lastParts: IngressParts = { ingress: "", namespace: "", name: "" };

function ingressParts(ingress: string): IngressParts {
  if (ingress === lastParts.ingress) return lastParts;
  const slash = ingress.indexOf("/");
  lastParts = { ingress, namespace: slash === -1 ? "" : ingress.slice(0, slash), name: ingress.slice(slash + 1) };
  return lastParts;
}

/** Labels do not depend on the policy. */
const anyPolicy: Policy = { timeouts: { connect: 1, read: 1, send: 1 } };

/** Every label set that the workers will look up for this Snapshot. */
export function* snapshotLabels(snapshot: Pick<Snapshot, "hosts" | "defaultBackend">): Generator<RouteLabels> {
  yield routeLabels(unmatchedHost, unmatchedRoute(snapshot.defaultBackend, anyPolicy));
  for (const host of snapshot.hosts) {
    for (const route of host.routes) {
      yield routeLabels(host, route);
      for (const canary of route.canaries ?? []) yield routeLabels(host, canaryRoute(route, canary));
    }
    if (host.defaultRoute !== null) yield routeLabels(host, host.defaultRoute);
  }
}
