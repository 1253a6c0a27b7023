/**
 * The tries of one request: which endpoint is next, whether a failure allows another, and what a client is told when there
 * is none. The same for every protocol that upstreams speak.
 */
import type { Member } from "./balance/member.ts";
import type { Client } from "./client.ts";
import { isReplayable, type RequestExchange } from "./exchange.ts";
import { type ProxyFailure, statusOf } from "./failure.ts";
import type { LiveRoute } from "./live-route.ts";
import type { Plane } from "./plane.ts";
import { replyStatus } from "./reply.ts";
import type { EndpointPool } from "./upstream/endpoint-pool.ts";
import type { LiveUpstream } from "./upstream/live-upstream.ts";

/**
 * Endpoints tried for one request, as ingress-nginx's proxy-next-upstream-tries. One that refuses the connection at once
 * does not count: of a Service that is scaled down, several do so before anybody is told. But where all of a thousand do, a
 * request must not ask each.
 */
const triesAtMost = 3;
const refusalsAtMost = 7;
/** Milliseconds. */
const atOnce = 100;

export class Attempts {
  /** A part of the request's body has been given to an upstream: none of it is ever sent twice. */
  bodyStarted = false;
  /** The client has been given the head of a final response: no other can follow. */
  begun = false;
  readonly #plane: Plane;
  readonly #client: Client;
  readonly #exchange: RequestExchange;
  readonly #route: LiveRoute;
  readonly #upstream: LiveUpstream;
  readonly #tried: Member[] = [];
  #refused = 0;

  constructor(plane: Plane, client: Client, exchange: RequestExchange, route: LiveRoute, upstream: LiveUpstream) {
    this.#plane = plane;
    this.#client = client;
    this.#exchange = exchange;
    this.#route = route;
    this.#upstream = upstream;
  }

  /** An endpoint that this request has not tried, noted as its next try; null when there is none. Hot. */
  next(): EndpointPool | null {
    const exchange = this.#exchange;
    const upstream = this.#upstream;
    const member = upstream.balancer.pick(this.#tried, exchange);
    if (member === null) return null;
    const { pool } = member;
    this.#tried.push(member);
    if (upstream.watch !== null) {
      exchange.watched?.end();
      exchange.watched = upstream.watch.begin(member);
    }
    exchange.tries++;
    exchange.upstreamAddress = exchange.tries > 1 ? `${exchange.upstreamAddress}, ${pool.address}` : pool.address;
    exchange.upstreamStartedAt = this.#plane.clock();
    return pool;
  }

  /** The endpoint of the present try. */
  get present(): EndpointPool | null {
    return this.#tried.at(-1)?.pool ?? null;
  }

  /** Whether the request may be sent again after this failure, be it to the same endpoint. */
  mayRepeat(cause: ProxyFailure): boolean {
    if (cause.retry === "unsent") this.#route.series.connectFailure();
    const refused = cause.kind === "connect-refused" || cause.kind === "no-port";
    if (refused && this.#plane.clock() - this.#exchange.upstreamStartedAt < atOnce) this.#refused++;
    if (this.begun || this.bodyStarted || cause.retry === "never") return false;
    return cause.retry === "unsent" || isReplayable(this.#exchange.head);
  }

  /** Counting will not do: an endpoint that was tried may have left the upstream meanwhile. */
  hasAnother(): boolean {
    if (this.#exchange.tries - Math.min(this.#refused, refusalsAtMost) >= triesAtMost) return false;
    return this.#upstream.candidates.some((member) => !this.#tried.includes(member));
  }

  /** The try has failed in a way that tells of its endpoint. */
  failed(cause: ProxyFailure): void {
    this.#exchange.watched?.failed(cause);
  }

  /** The upstream's answer is complete. */
  answered(): void {
    const exchange = this.#exchange;
    exchange.upstreamDuration = this.#plane.clock() - exchange.upstreamStartedAt;
    this.#route.series.upstream(exchange.upstreamDuration / 1000);
    exchange.watched?.end();
  }

  /** No further try: the client gets a status, or a response cut short. */
  giveUp(cause: ProxyFailure): void {
    const exchange = this.#exchange;
    const status = statusOf(cause);
    exchange.watched?.end();
    if (exchange.upstreamStartedAt > 0) exchange.upstreamDuration = this.#plane.clock() - exchange.upstreamStartedAt;
    this.#plane.failed(exchange, cause);
    if (this.begun || cause.kind === "client-gone") {
      if (cause.kind === "client-gone") exchange.status = status;
      this.#client.abort();
      return;
    }
    // nginx logs what it answered in the upstream's place as the upstream's status too.
    if (cause.side === "upstream" && exchange.tries > 0) exchange.upstreamStatus = status;
    replyStatus(this.#plane, this.#client, exchange, status);
  }
}

/** A failure of an exchange under way, as opposed to one of connecting (connection.ts). */
export function failure(kind: ProxyFailure["kind"], side: ProxyFailure["side"], detail: string): ProxyFailure {
  const repeatable = kind === "closed-early" || kind === "read-timeout";
  return { kind, side, retry: repeatable ? "idempotent" : "never", detail };
}
