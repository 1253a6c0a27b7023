/**
 * Which ports of TCP and UDP services are this process's own. Its workers share them by SO_REUSEPORT; the first to want one
 * has it looked at whether somebody else has it already, which no worker's own socket would be told.
 */
import { streamKey } from "../../model/patch.ts";
import { findTaken, type StreamPlace } from "./find-ports.ts";

interface Claim {
  readonly workers: Set<number>;
  /** The code of the system's error; null: it is ours. */
  readonly taken: Promise<string | null>;
}

export class PortClaims {
  readonly #claims = new Map<string, Claim>();

  /** Resolves with null when that worker may listen there, by SO_REUSEPORT, and else with the code of the system's error. */
  async claim(worker: number, place: StreamPlace): Promise<string | null> {
    const key = keyOf(place);
    const claim = this.#claims.get(key) ?? { workers: new Set(), taken: findTaken(place) };
    this.#claims.set(key, claim);
    claim.workers.add(worker);
    const code = await claim.taken;
    // The next one looks again.
    if (code !== null && this.#claims.get(key) === claim) this.#claims.delete(key);
    return code;
  }

  /** That worker does not listen there any more. */
  release(worker: number, place: StreamPlace): void {
    const key = keyOf(place);
    const claim = this.#claims.get(key);
    if (claim !== undefined) this.#leave(worker, key, claim);
  }

  /** That worker has died. */
  releaseAll(worker: number): void {
    for (const [key, claim] of this.#claims) this.#leave(worker, key, claim);
  }

  #leave(worker: number, key: string, claim: Claim): void {
    claim.workers.delete(worker);
    // Not before it was looked: two who look at once would find each other.
    void claim.taken.then(() => {
      if (claim.workers.size === 0 && this.#claims.get(key) === claim) this.#claims.delete(key);
    });
  }
}

function keyOf(place: StreamPlace): string {
  return `${streamKey(place)} ${place.address}`;
}
