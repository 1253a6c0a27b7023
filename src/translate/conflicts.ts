/**
 * Who serves what two Ingresses claim: the older one, which is asked first. A claim is a host and path, a default backend or
 * a TLS host; the loser is told with the winner's name, because nothing else would explain why its rule does nothing.
 */
import type { Problem, ProblemCode } from "../model/problem.ts";
import type { Ingress } from "../sources/objects.ts";
import { problemAt } from "./mistake.ts";

export interface Claimant {
  readonly ingress: Ingress;
  /** The field that makes the claim. */
  readonly field: string;
}

/** Must be asked in order of age: the first to take a thing keeps it. */
export class Claims<C extends Claimant> {
  readonly #holders = new Map<string, C>();

  /** Null when `claimant` got it, else the one that holds it already. */
  take(thing: string, claimant: C): C | null {
    const holder = this.#holders.get(thing);
    if (holder !== undefined) return holder;
    this.#holders.set(thing, claimant);
    return null;
  }
}

/** Told on `field` of the loser. `what` reads as the subject: `path "/a" (Prefix) of host "a.example"`. */
export function lostClaim(loser: Ingress, field: string, winner: Claimant, code: ProblemCode, what: string): Problem {
  return problemAt(loser, field, code, `${what} ${explain(loser, winner)}`);
}

function explain(loser: Ingress, winner: Claimant): string {
  if (winner.ingress === loser) return `is declared before, at ${winner.field}; remove one of the two`;
  const { namespace, name, creationTimestamp } = winner.ingress.meta;
  const why =
    creationTimestamp < loser.meta.creationTimestamp
      ? "which is older"
      : "which is as old and comes first by namespace and name";
  return `belongs to Ingress ${namespace}/${name}, ${why}; remove it from one of the two`;
}
