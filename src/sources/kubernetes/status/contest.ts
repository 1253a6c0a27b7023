/**
 * When to give up on the status of one Ingress: because somebody else writes it again after us, writes too fast for us, or
 * because the API server refuses what we write. Two controllers that each insist would write for ever. It is taken up again
 * when the Ingress changes, or when there is something else to say.
 */
import type { Clock } from "../clock.ts";
import { type LoadBalancerAddress, sameAddresses } from "./addresses.ts";
import type { ObservedIngress } from "./observed.ts";

/** Writes of the same addresses to one Ingress, each of them undone, within `memory`. */
const mostWrites = 3;
/** Milliseconds. People may well undo a write now and then. */
const memory = 600_000;

const mostConflicts = 3;

interface Effort {
  readonly uid: string;
  readonly generation: number;
  readonly addresses: readonly LoadBalancerAddress[];
  /** When they were written. */
  readonly writes: number[];
  /** In a row. */
  conflicts: number;
  /** What has to change first; null: nothing. */
  given: "generation" | { readonly resourceVersion: string } | null;
  /** Somebody has been told that it is given up. */
  told: boolean;
}

export class Contest {
  readonly #clock: Clock;
  readonly #efforts = new Map<string, Effort>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True while these addresses are not to be written to the Ingress as it is. */
  isLost(key: string, observed: ObservedIngress, addresses: readonly LoadBalancerAddress[]): boolean {
    const effort = this.#efforts.get(key);
    if (effort === undefined || effort.given === null || !isSame(effort, observed, addresses)) return false;
    return effort.given === "generation" || effort.given.resourceVersion === observed.resourceVersion;
  }

  /** True the first time that it is asked about what is lost. */
  isNews(key: string): boolean {
    const effort = this.#efforts.get(key);
    if (effort === undefined || effort.told) return false;
    effort.told = true;
    return true;
  }

  /** They have been written; for the last time, perhaps. */
  written(key: string, observed: ObservedIngress, addresses: readonly LoadBalancerAddress[]): void {
    const effort = this.#effort(key, observed, addresses);
    const now = this.#clock.elapsed();
    while ((effort.writes[0] ?? now) < now - memory) effort.writes.shift();
    effort.writes.push(now);
    effort.conflicts = 0;
    effort.given = effort.writes.length >= mostWrites ? "generation" : null;
    effort.told = false;
  }

  /** The Ingress had changed in between; true when that was once too often. */
  conflicted(key: string, observed: ObservedIngress, addresses: readonly LoadBalancerAddress[]): boolean {
    const effort = this.#effort(key, observed, addresses);
    effort.conflicts += 1;
    if (effort.conflicts < mostConflicts) return false;
    effort.conflicts = 0;
    effort.given = { resourceVersion: observed.resourceVersion };
    effort.told = true;
    return true;
  }

  /** The API server does not take them. */
  refused(key: string, observed: ObservedIngress, addresses: readonly LoadBalancerAddress[]): void {
    const effort = this.#effort(key, observed, addresses);
    effort.given = "generation";
    effort.told = true;
  }

  /** The Ingress is gone. */
  drop(key: string): void {
    this.#efforts.delete(key);
  }

  forget(): void {
    this.#efforts.clear();
  }

  #effort(key: string, observed: ObservedIngress, addresses: readonly LoadBalancerAddress[]): Effort {
    const before = this.#efforts.get(key);
    if (before !== undefined && isSame(before, observed, addresses)) return before;
    const { uid, generation } = observed;
    const effort: Effort = { uid, generation, addresses, writes: [], conflicts: 0, given: null, told: false };
    this.#efforts.set(key, effort);
    return effort;
  }
}

function isSame(effort: Effort, observed: ObservedIngress, addresses: readonly LoadBalancerAddress[]): boolean {
  return (
    effort.uid === observed.uid &&
    effort.generation === observed.generation &&
    sameAddresses(effort.addresses, addresses)
  );
}
