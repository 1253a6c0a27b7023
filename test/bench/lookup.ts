/** What a search for a route costs by itself: host and path, in a router compiled for a site, without process or socket. */
import { performance } from "node:perf_hooks";
import type { Host } from "../../src/model/snapshot.ts";
import { compileTable } from "../../src/router/table.ts";
import { requestsOf, routesOf, type Site } from "./site.ts";

const searches = 500_000;

/** Microseconds a search; the best of three, for what disturbs only adds. Throws when a route is not found. */
export function lookupTime(site: Site): number {
  const table = compileTable({ hosts: hostsFor(site) }, ({ declaredPath }) => declaredPath);
  const asked = requestsOf(site, "all", null).map(({ host, target }) => ({ host, path: target.replace(/\?.*/, "") }));
  const times = Array.from({ length: 3 }, () => {
    let found = 0;
    const start = performance.now();
    for (let index = 0; index < searches; index++) {
      const request = asked[index % asked.length];
      if (request !== undefined && table.host(request.host)?.lookup(request.path) != null) found += 1;
    }
    if (found !== searches) throw new Error(`the router found ${found} of ${searches} routes`);
    return ((performance.now() - start) * 1000) / searches;
  });
  return Math.min(...times);
}

function hostsFor(site: Site): Host[] {
  const byHost = Map.groupBy(routesOf(site), ({ host }) => host);
  return [...byHost].map(([name, routes]) => ({
    name,
    tls: false,
    routes: routes.map(({ path }) => ({
      path: { kind: "prefix", path },
      backend: { kind: "notFound" },
      policy: { timeouts: { connect: 1, read: 1, send: 1 } },
      closed: null,
      ingress: "bench/bench",
      declaredPath: path,
    })),
    defaultRoute: null,
  }));
}
