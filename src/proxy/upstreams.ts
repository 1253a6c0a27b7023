/**
 * Run-time state of upstreams: connection pools by endpoint, and what is known for the choice among endpoints by upstream.
 * It is kept beside the Snapshot by key and outlives its revisions, so a change of routes or of other endpoints costs no
 * connection.
 */
import type { Endpoint, Upstream } from "../model/snapshot.ts";
import { isOverTls, sentName, tlsName } from "../model/upstream-tls.ts";
import type { Offence } from "../wire/http2/protocol.ts";
import type { ClientTls, TlsOptions } from "./client-tls.ts";
import { type ConnectionOwner, UpstreamConnection } from "./connection.ts";
import { Http2Sessions } from "./http2-sessions.ts";
import { type BalanceParts, LiveUpstream } from "./live-upstream.ts";
import { samePreface } from "./preface.ts";
import type { TimingWheel } from "./wheel.ts";

/** What pools count, for the metrics. */
export interface PoolCounters {
  upstreamConnected(): void;
  upstreamParked(): void;
  upstreamReused(): void;
  upstreamClosed(idle: boolean): void;
  connectFailed(): void;
  http2Ended(side: "upstream", offence: Offence): void;
}

export interface PoolLimits {
  /** Idle connections kept an endpoint; what is beyond is closed when it has not been used again for a second. */
  readonly idle: number;
  /** Milliseconds that an idle connection is kept. */
  readonly idleTimeout: number;
  /** Requests on one connection, so that long-lived ones do not pin traffic to an endpoint for ever. */
  readonly requests: number;
}

/** Milliseconds that a connection is kept which is idle beyond the limit. */
const surplusTimeout = 1_000;

/** As ingress-nginx sets them: upstream-keepalive-connections, -timeout and -requests. */
export const defaultPoolLimits: PoolLimits = { idle: 320, idleTimeout: 60_000, requests: 10_000 };

/** One that only its own client can use is kept for that client's next request, in milliseconds, and not for its return. */
const privateIdleTimeout = 5_000;

export class EndpointPool {
  /** "10.0.0.1:8080" or "[fd00::1]:8080". */
  readonly address: string;
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  /** What TLS is spoken with; null: none is. */
  readonly security: TlsOptions | null;
  /** The version of the PROXY protocol that begins each connection; 0: none does. */
  readonly sendProxy: 0 | 1 | 2;
  readonly limits: PoolLimits;
  readonly wheel: TimingWheel;
  readonly counters: PoolCounters;
  readonly http2 = new Http2Sessions(this);
  /** TLS session of the last connection, so that the next handshake is short. */
  session: Buffer | null = null;
  /** Last used last; taken from the end, so that the rest can grow old and close. */
  readonly #idle: UpstreamConnection[] = [];
  /** No upstream names it any longer: connections in use finish, none is kept. */
  #retired = false;

  constructor(
    endpoint: Endpoint,
    security: TlsOptions | null,
    sendProxy: 0 | 1 | 2,
    limits: PoolLimits,
    wheel: TimingWheel,
    counters: PoolCounters,
  ) {
    this.host = endpoint.address;
    this.port = endpoint.port;
    this.address = endpoint.address.includes(":")
      ? `[${endpoint.address}]:${endpoint.port}`
      : `${endpoint.address}:${endpoint.port}`;
    this.tls = security !== null;
    this.security = security;
    this.sendProxy = sendProxy;
    this.limits = limits;
    this.wheel = wheel;
    this.counters = counters;
  }

  /**
   * A connection that was used before, or null. `youngerThan` is in milliseconds: one that lay idle longer is not given
   * out. A request that must not be sent twice asks for a young one, for servers close idle connections without warning.
   * `preface`: the bytes that a new one would begin with, as this one has.
   */
  takeIdle(youngerThan: number, preface: Buffer | null): UpstreamConnection | null {
    const connection =
      preface === null ? this.#idle.at(-1) : this.#idle.findLast((each) => samePreface(each.preface, preface));
    if (connection === undefined || this.wheel.now - connection.idleSince > youngerThan) return null;
    if (preface === null) this.#idle.pop();
    else this.forget(connection);
    this.counters.upstreamReused();
    return connection;
  }

  /** A new connection, still connecting; `connectTimeout` in milliseconds. */
  connect(connectTimeout: number, owner: ConnectionOwner, preface: Buffer | null): UpstreamConnection {
    return new UpstreamConnection(this, connectTimeout, owner, preface);
  }

  /** Takes back a connection whose exchange ended cleanly. */
  release(connection: UpstreamConnection): void {
    this.counters.upstreamParked();
    this.#idle.push(connection);
    if (this.#retired || connection.requests >= this.limits.requests) {
      connection.destroy();
      return;
    }
    // A burst that comes again and again would else open what it has just closed, at a hundred times the price of keeping it.
    if (this.#idle.length > this.limits.idle) this.wheel.arm(connection.deadline, surplusTimeout);
  }

  /** Milliseconds that an idle connection is kept. */
  get idleTimeout(): number {
    const { idleTimeout } = this.limits;
    return this.sendProxy === 0 ? idleTimeout : Math.min(idleTimeout, privateIdleTimeout);
  }

  /** Forgets an idle connection that died. */
  forget(connection: UpstreamConnection): void {
    const index = this.#idle.lastIndexOf(connection);
    if (index !== -1) this.#idle.splice(index, 1);
  }

  retire(): void {
    this.#retired = true;
    for (const connection of [...this.#idle]) connection.destroy();
    this.http2.close();
  }
}

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
