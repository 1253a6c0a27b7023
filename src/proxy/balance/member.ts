/**
 * An endpoint in one upstream, with what the choice among endpoints has to know of it. It stays the same object while the
 * endpoint stays in the upstream, however the others change.
 */
import type { EndpointPool } from "../upstream/endpoint-pool.ts";
import type { Load } from "./load.ts";

export class Member {
  readonly pool: EndpointPool;
  /** What all workers know of its load; null where nothing asks for that. */
  readonly load: Load | null;
  /** False: it failed checks or requests, and gets none while another can. */
  usable = true;
  /** When it came to the others, in milliseconds of the balancer's clock. */
  joinedAt = Number.NEGATIVE_INFINITY;
  /** When it was last told of that it fails, of the same clock. */
  toldAt = Number.NEGATIVE_INFINITY;

  constructor(pool: EndpointPool, load: Load | null) {
    this.pool = pool;
    this.load = load;
  }
}
