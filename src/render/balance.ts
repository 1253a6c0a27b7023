/** How nginx chooses among the endpoints of an upstream: what it can do as Sluice does, and what it cannot. */
import type { Directive } from "../features/feature.ts";
import { hashKeyArgument } from "../features/hash-key.ts";
import type { UpstreamOptions } from "../model/snapshot.ts";

export function writeBalance({ algorithm }: UpstreamOptions): readonly Directive[] {
  switch (algorithm?.kind) {
    case undefined:
    case "ewma":
      return [];
    case "least_conn":
      return [{ name: "least_conn", args: [] }];
    case "hash":
      return [{ name: "hash", args: [hashKeyArgument(algorithm.key), "consistent"] }];
  }
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
      "load-balance: ewma is Lua in ingress-nginx, and stock nginx does not measure; the endpoints take turns",
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
