/**
 * How metrics and the access log name a route. The main thread numbers the label sets of a Snapshot and the workers look
 * theirs up, so both must make them here.
 */
import type { Canary } from "../model/canary.ts";
import type { Policy } from "../model/policy.ts";
import type { Backend, Host, Route, Snapshot } from "../model/snapshot.ts";
import type { RouteLabels } from "../proxy/plane.ts";

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
  const slash = route.ingress.indexOf("/");
  return {
    host: host.name,
    // The default backend belongs to no Ingress; its namespace is its Service's.
    namespace: slash === -1 ? (service?.namespace ?? "") : route.ingress.slice(0, slash),
    ingress: route.ingress.slice(slash + 1),
    service: service?.name ?? "",
    port: service?.port ?? "",
  };
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
