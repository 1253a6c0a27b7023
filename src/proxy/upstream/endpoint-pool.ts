/** The connections to one endpoint: those that lie idle, and what a new one is opened with. */
import type { Endpoint } from "../../model/snapshot.ts";
import type { TlsOptions } from "../tls/client-tls.ts";
import type { TimingWheel } from "../wheel.ts";
import { type ConnectionOwner, type ConnectionPool, UpstreamConnection } from "./connection.ts";
import { Http2Sessions } from "./http2-sessions.ts";
import type { PoolCounters } from "./live-endpoint.ts";
import { samePreface } from "./preface.ts";

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

export class EndpointPool implements ConnectionPool {
  readonly address: string;
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  readonly security: TlsOptions | null;
  readonly sendProxy: 0 | 1 | 2;
  readonly limits: PoolLimits;
  readonly wheel: TimingWheel;
  readonly counters: PoolCounters;
  readonly http2 = new Http2Sessions(this);
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
