/**
 * How the endpoint of a request is chosen: one small class an algorithm (make-balancer.ts has them all). All pass over the
 * endpoints that the request has tried.
 */
import type { Exchange } from "../../features/exchange.ts";
import type { Member } from "./member.ts";
import type { SlowStart } from "./slow-start.ts";

export interface Balancer {
  /** At every change: all members, and those of them that are to be chosen from. */
  update(members: readonly Member[], candidates: readonly Member[]): void;
  /** A candidate that is not in `tried`; null when there is none. Hot. */
  pick(tried: readonly Member[], exchange: Exchange): Member | null;
}

export interface BalancerParts {
  /** Monotonic milliseconds. */
  readonly clock: () => number;
  /** From 0 to just below 1. */
  readonly random: () => number;
  /** null: every endpoint has its full share from the start. */
  readonly slowStart: SlowStart | null;
}
