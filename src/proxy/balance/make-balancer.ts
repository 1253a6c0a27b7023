/** The algorithm that the options of an upstream ask for. */
import type { BalanceOptions } from "../../model/balance.ts";
import type { Balancer, BalancerParts } from "./balancer.ts";
import { Ewma } from "./ewma.ts";
import { Hash } from "./hash.ts";
import { LeastConnections } from "./least-connections.ts";
import { RoundRobin } from "./round-robin.ts";

export function makeBalancer({ algorithm }: BalanceOptions, parts: BalancerParts): Balancer {
  switch (algorithm?.kind) {
    case undefined:
      return new RoundRobin(parts);
    case "ewma":
      return new Ewma(parts);
    case "least_conn":
      return new LeastConnections(parts);
    case "hash":
      return new Hash(algorithm, parts);
  }
}
