/**
 * What the peers of a workload route: hosts with a few paths each over a few Services, all of which lead to one backend. One
 * description, read by every peer's configuration and by the generators, so that all do the same work.
 */

export interface Site {
  readonly hosts: number;
  readonly paths: readonly string[];
  readonly services: number;
  /** What the upstream speaks: HTTP/1.1, or gRPC over HTTP/2 without TLS. */
  readonly protocol: "http" | "grpc";
  readonly workers: 1 | 2;
  /** That a peer must be able to hold. */
  readonly connections: number;
  /** Each EndpointSlice in a file of its own, so that it can be rewritten alone. */
  readonly slicePerFile: boolean;
}

export const usualSite: Site = {
  hosts: 10,
  paths: ["/", "/api/v1", "/assets", "/login"],
  services: 5,
  protocol: "http",
  workers: 1,
  connections: 4096,
  slicePerFile: false,
};

export interface SiteRoute {
  readonly host: string;
  readonly path: string;
  readonly service: string;
}

export function hostsOf(site: Site): string[] {
  return Array.from({ length: site.hosts }, (_, index) => `app-${index}.example.com`);
}

export function servicesOf(site: Site): string[] {
  return Array.from({ length: site.services }, (_, index) => `service-${index}`);
}

export function routesOf(site: Site): SiteRoute[] {
  return hostsOf(site).flatMap((host, hostIndex) =>
    site.paths.map((path, index) => ({
      host,
      path,
      service: `service-${(hostIndex * site.paths.length + index) % site.services}`,
    })),
  );
}

export interface SiteRequest {
  readonly host: string;
  readonly target: string;
}

/** What is asked for: below each route's path, of at most 40 routes, spread over all. */
export function requestsOf(site: Site, which: "all" | "first" | "last", file: string | null): SiteRequest[] {
  const routes = routesOf(site);
  const step = Math.max(1, Math.floor(routes.length / 40));
  const chosen = {
    all: () => routes.filter((_, index) => index % step === 0),
    first: () => routes.slice(0, 1),
    last: () => routes.slice(-1),
  }[which]();
  return chosen.map(({ host, path }) => ({
    host,
    target: `${path === "/" ? "" : path}${file === null ? "/items/12345?page=2" : `/${file}.bin`}`,
  }));
}
