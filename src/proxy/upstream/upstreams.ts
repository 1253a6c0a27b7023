/**
 * Run-time state of upstreams: connection pools by endpoint, and what is known for the choice among endpoints by upstream.
 * It is kept beside the Snapshot by key and outlives its revisions, so a change of routes or of other endpoints costs no
 * connection.
 */
import type { Endpoint, Upstream } from "../../model/snapshot.ts";
import { isOverTls, sentName, tlsName } from "../../model/upstream-tls.ts";
import type { ClientTls } from "../tls/client-tls.ts";
import type { TimingWheel } from "../wheel.ts";
import { EndpointPool, type PoolLimits } from "./endpoint-pool.ts";
import type { PoolCounters } from "./live-endpoint.ts";
import { type BalanceParts, LiveUpstream } from "./live-upstream.ts";

interface SecurityParts {
  readonly tls: ClientTls;
  /** Hears of an upstream whose TLS options the library refuses: it has no endpoints then. */
  readonly refused: (upstream: string, reason: string) => void;
}

export class Upstreams {
  readonly #limits: PoolLimits;
  readonly #wheel: TimingWheel;
  readonly #counters: PoolCounters;
  readonly #balance: BalanceParts;
  readonly #security: SecurityParts;
  readonly #live = new Map<string, LiveUpstream>();
  readonly #source = new Map<string, Upstream>();
  readonly #pools = new Map<string, EndpointPool>();
  readonly #users = new Map<string, number>();

  constructor(
    limits: PoolLimits,
    wheel: TimingWheel,
    counters: PoolCounters,
    balance: BalanceParts,
    security: SecurityParts,
  ) {
    this.#limits = limits;
    this.#wheel = wheel;
    this.#counters = counters;
    this.#balance = balance;
    this.#security = security;
  }

  /** The upstream of that key, made empty when it is not known yet. */
  get(key: string): LiveUpstream {
    let upstream = this.#live.get(key);
    if (upstream === undefined) {
      upstream = new LiveUpstream(key, this.#balance);
      this.#live.set(key, upstream);
    }
    return upstream;
  }

  /** Replaces an upstream's endpoints; requests under way keep the connections they have. */
  set(next: Upstream): void {
    const upstream = this.#usable(next);
    const live = this.get(upstream.key);
    const before = this.#source.get(upstream.key);
    const pools = upstream.endpoints.map((endpoint) => this.#use(upstream, endpoint));
    live.set(upstream, pools);
    this.#source.set(upstream.key, upstream);
    if (before !== undefined) this.#leave(before);
  }

  /** Whether requests may go to an endpoint of an upstream, by what checks and requests have shown. */
  setUsable(key: string, address: string, usable: boolean): void {
    this.#live.get(key)?.setUsable(address, usable);
  }

  remove(key: string): void {
    const before = this.#source.get(key);
    const live = this.#live.get(key);
    live?.clear();
    this.#live.delete(key);
    this.#source.delete(key);
    if (before !== undefined) this.#leave(before);
  }

  /** Closes every idle connection, at shutdown. */
  close(): void {
    for (const pool of this.#pools.values()) pool.retire();
  }

  #usable(upstream: Upstream): Upstream {
    try {
      this.#security.tls.optionsOf(upstream);
      return upstream;
    } catch (error) {
      // translate has tried the certificate; what is refused nevertheless must not take the others along.
      this.#security.refused(upstream.key, error instanceof Error ? error.message : "refused");
      return { ...upstream, endpoints: [] };
    }
  }

  #use(upstream: Upstream, endpoint: Endpoint): EndpointPool {
    const key = poolKey(upstream, endpoint);
    let pool = this.#pools.get(key);
    if (pool === undefined) {
      const security = this.#security.tls.optionsOf(upstream);
      const { sendProxy = 0 } = upstream.options;
      pool = new EndpointPool(endpoint, security, sendProxy, this.#limits, this.#wheel, this.#counters);
      this.#pools.set(key, pool);
    }
    this.#users.set(key, (this.#users.get(key) ?? 0) + 1);
    return pool;
  }

  #leave(upstream: Upstream): void {
    for (const endpoint of upstream.endpoints) {
      const key = poolKey(upstream, endpoint);
      const left = (this.#users.get(key) ?? 1) - 1;
      if (left > 0) {
        this.#users.set(key, left);
        continue;
      }
      this.#users.delete(key);
      this.#pools.get(key)?.retire();
      this.#pools.delete(key);
    }
  }
}

/** Two Services in front of one endpoint share its connections; those that are spoken to in another way do not. */
function poolKey(upstream: Upstream, { address, port }: Endpoint): string {
  return `${mannerOf(upstream)} ${address} ${port}`;
}

const manners = new WeakMap<Upstream, string>();

/** Equal for upstreams whose connections are opened alike. */
function mannerOf(upstream: Upstream): string {
  let manner = manners.get(upstream);
  if (manner === undefined) {
    const { protocol, options } = upstream;
    const security = isOverTls(protocol) ? [options.tls ?? null, sentName(upstream), verifiedName(upstream)] : [];
    manner = JSON.stringify([protocol, options.sendProxy ?? 0, ...security]);
    manners.set(upstream, manner);
  }
  return manner;
}

function verifiedName(upstream: Upstream): string {
  return upstream.options.tls?.verify === true ? tlsName(upstream) : "";
}
