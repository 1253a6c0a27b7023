/** How nginx chooses among the endpoints of an upstream: what it can do as Sluice does, and what it cannot. */
import type { Directive } from "../features/feature.ts";
import { hashKeyArgument } from "../features/hash-key.ts";
import type { Upstream, UpstreamOptions } from "../model/snapshot.ts";

/** `name` is that of the upstream's block. */
export function writeBalance({ options: { algorithm }, endpoints }: Upstream, name: string): readonly Directive[] {
  switch (algorithm?.kind) {
    case undefined:
      return [];
    case "ewma":
      return [shared(name, endpoints.length), { name: "random", args: ["two", "least_conn"] }];
    case "least_conn":
      return [shared(name, endpoints.length), { name: "least_conn", args: [] }];
    case "hash":
      return [{ name: "hash", args: [hashKeyArgument(algorithm.key), "consistent"] }];
  }
}

/**
 * Memory in which nginx's workers count what is under way together, as Sluice's do. An endpoint takes about half a KiB; what is
 * not used of it costs nothing, and nginx refuses less than eight pages, which are 64 KiB each on some machines.
 */
function shared(name: string, endpoints: number): Directive {
  return { name: "zone", args: [name, `${Math.max(512, endpoints)}k`] };
}

/** What nginx does otherwise, one sentence each. */
export function balanceDifferences({
  algorithm,
  slowStart,
  ejection,
  healthCheck,
}: UpstreamOptions): readonly string[] {
  const differences: string[] = [];
  if (algorithm?.kind === "ewma") {
    differences.push(
      "load-balance: ewma is Lua in ingress-nginx, and stock nginx does not measure; of two endpoints drawn at random the one with fewer requests under way is taken",
    );
  }
  if (algorithm?.kind === "hash" && algorithm.subset !== null) {
    differences.push("upstream-hash-by-subset: nginx has no subsets; each key leads to one endpoint");
  }
  if (slowStart !== undefined)
    differences.push("slow-start: slow_start is part of NGINX Plus; new endpoints have their full share at once");
  if (ejection !== undefined) {
    differences.push(
      "outlier-ejection: max_fails counts in each worker by itself, and not in a row; no endpoint is left out",
    );
  }
  if (healthCheck !== undefined)
    differences.push("health-check: health_check is part of NGINX Plus; no endpoint is asked");
  return differences;
}
