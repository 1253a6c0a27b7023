/**
 * What is to be written to the status of one Ingress, if anything. It never takes away what somebody else has written: an
 * Ingress that is not ours loses its addresses only if the API server has on record that we wrote them, and we alone; where
 * it keeps no record, if they are ours to the letter.
 */
import { type LoadBalancerAddress, sameAddresses } from "./addresses.ts";
import type { ObservedIngress } from "./observed.ts";

/** What Sluice has to say of all Ingresses. */
export interface Publication {
  /** Ours, as `namespace/name`; null: not known yet. */
  readonly served: ReadonlySet<string> | null;
  /** Where Sluice is reached; empty: nowhere at present; null: not known. */
  readonly addresses: readonly LoadBalancerAddress[] | null;
  /** The field manager under which we write. */
  readonly manager: string;
  /** The last replica leaves: no Ingress is served any more. */
  readonly leaving: boolean;
}

/** The addresses to write; null: nothing is to be written. */
export function decideStatus(
  key: string,
  observed: ObservedIngress,
  publication: Publication,
): readonly LoadBalancerAddress[] | null {
  const { served, addresses, leaving } = publication;
  if (served === null) return null;
  if (served.has(key) && !leaving) {
    // An address that could not be looked up is no reason to take back the one that was.
    if (addresses === null) return null;
    if (addresses.length > 0) return sameAddresses(observed.addresses, addresses) ? null : addresses;
  }
  return observed.addresses.length > 0 && isOurs(observed, publication) ? [] : null;
}

function isOurs({ addresses, writers }: ObservedIngress, publication: Publication): boolean {
  if (writers.length > 0) return writers.every((writer) => writer === publication.manager);
  return publication.addresses !== null && sameAddresses(addresses, publication.addresses);
}
