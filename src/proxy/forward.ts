/**
 * One request on its way to an upstream: picks endpoints, sends the head and the body as it comes, and is the one place
 * that decides what a failure means: another try, a status, or a response cut short. Hot.
 */
import { chunkHeader, lastChunk } from "../wire/chunked.ts";
import { pickEndpoint } from "./balance.ts";
import type { Client } from "./client.ts";
import type { ConnectionOwner, UpstreamConnection } from "./connection.ts";
import { isReplayable, type RequestExchange } from "./exchange.ts";
import { type ProxyFailure, statusOf } from "./failure.ts";
import type { LiveRoute, Plane } from "./plane.ts";
import { ResponseRelay } from "./relay.ts";
import { replyStatus } from "./reply.ts";
import { tunnel } from "./tunnel.ts";
import type { EndpointPool, LiveUpstream } from "./upstreams.ts";
import { writeTogether } from "./write.ts";

/** Endpoints tried for one request, as ingress-nginx's proxy-next-upstream-tries. */
const triesAtMost = 3;
/**
 * A request that must not be sent twice takes no connection that lay idle longer, in milliseconds: common servers close
 * theirs after five seconds, and the close may cross with the request.
 */
const freshEnough = 4_000;

export class Forward implements ConnectionOwner {
  readonly #plane: Plane;
  readonly #client: Client;
  readonly #exchange: RequestExchange;
  readonly #route: LiveRoute;
  readonly #upstream: LiveUpstream;
  readonly #relay: ResponseRelay;
  readonly #tried: EndpointPool[] = [];
  readonly #chunked: boolean;
  /** null before the first, between two tries, and once the exchange with the upstream is over. */
  #connection: UpstreamConnection | null = null;
  /** The request head, while it waits for the first part of the body to leave with it. */
  #heldHead = "";
  #bodyStarted = false;
  #requestDone: boolean;

  constructor(plane: Plane, client: Client, exchange: RequestExchange, route: LiveRoute, upstream: LiveUpstream) {
    this.#plane = plane;
    this.#client = client;
    this.#exchange = exchange;
    this.#route = route;
    this.#upstream = upstream;
    this.#relay = new ResponseRelay(plane, client, exchange, route);
    this.#chunked = exchange.head.framing === "chunked";
    this.#requestDone = exchange.head.framing === "none";
  }

  /** Begins; the client is to give its body once resumeBody() is called. */
  start(): void {
    this.#tryNext();
  }

  /** A part of the request's body; false: wait for resumeBody() before the next. */
  requestBody(part: Buffer): boolean {
    const connection = this.#connection;
    if (connection === null) return true;
    this.#exchange.requestBytes += part.length;
    const limit = this.#route.bodyLimit;
    if (limit !== 0 && this.#exchange.requestBytes > limit) {
      this.#fail(failure("body-too-large", "client", `more than ${limit} bytes`));
      return true;
    }
    this.#bodyStarted = true;
    const before = this.#takeHead();
    if (this.#chunked) writeTogether(connection.socket, before + chunkHeader(part.length), part, "\r\n");
    else writeTogether(connection.socket, before, part, "");
    if (connection.socket.writableLength === 0) return true;
    this.#plane.wheel.arm(connection.deadline, this.#route.timeouts.send);
    return false;
  }

  /** The request's body is complete; `trailers` are header lines. */
  requestEnd(trailers: string): void {
    this.#requestDone = true;
    const connection = this.#connection;
    if (connection === null) return;
    const last = this.#takeHead() + (this.#chunked ? lastChunk(trailers) : "");
    if (last !== "") connection.socket.write(last, "latin1");
    this.#awaitResponse(connection);
  }

  /** The client has gone, was too slow, or sent a body that cannot be read. */
  clientFailed(kind: "client-gone" | "client-timeout" | "bad-request-body", detail: string): void {
    this.#fail(failure(kind, "client", detail));
  }

  /** The client takes bytes again. */
  clientDrained(): void {
    const connection = this.#connection;
    if (connection === null || !connection.socket.isPaused()) return;
    this.#plane.wheel.arm(connection.deadline, this.#route.timeouts.read);
    connection.socket.resume();
  }

  connected(): void {
    if (this.#connection !== null) this.#sendHead(this.#connection);
  }

  data(chunk: Buffer): void {
    const connection = this.#connection;
    if (connection === null) return;
    switch (this.#relay.read(chunk)) {
      case "more":
        this.#readOn(connection);
        return;
      case "done":
        this.#endResponse(connection);
        return;
      case "upgrade":
        this.#switchProtocols(connection);
        return;
      case "bad":
        this.#fail(failure("bad-response", "upstream", `${connection.pool.address}: ${this.#relay.error}`));
        return;
    }
  }

  ended(): void {
    const connection = this.#connection;
    if (connection === null) return;
    if (this.#relay.end()) this.#endResponse(connection);
    else this.#fail(failure("closed-early", "upstream", connection.pool.address));
  }

  drained(): void {
    const connection = this.#connection;
    if (connection === null) return;
    if (this.#requestDone) this.#awaitResponse(connection);
    else {
      connection.deadline.disarm();
      this.#client.resumeBody();
    }
  }

  expired(): void {
    const connection = this.#connection;
    if (connection === null) return;
    const sending = connection.socket.writableLength > 0;
    this.#fail(failure(sending ? "send-timeout" : "read-timeout", "upstream", connection.pool.address));
  }

  closed(cause: ProxyFailure): void {
    if (this.#connection === null) return;
    if (cause.retry === "unsent") this.#route.series.connectFailure();
    this.#fail(cause);
  }

  /** Goes to the next endpoint that this request has not tried, by a kept connection where there is one. */
  #tryNext(): void {
    const pool = pickEndpoint(this.#upstream, this.#tried);
    if (pool === null) {
      this.#fail(failure("no-endpoint", "upstream", this.#upstream.key));
      return;
    }
    const exchange = this.#exchange;
    this.#tried.push(pool);
    exchange.tries++;
    exchange.upstreamAddress = exchange.tries > 1 ? `${exchange.upstreamAddress}, ${pool.address}` : pool.address;
    exchange.upstreamStartedAt = this.#plane.clock();
    const kept = pool.takeIdle(isReplayable(exchange.head) ? Number.POSITIVE_INFINITY : freshEnough);
    if (kept === null) {
      this.#connect(pool);
      return;
    }
    kept.use(this);
    this.#connection = kept;
    this.#sendHead(kept);
  }

  #connect(pool: EndpointPool): void {
    this.#connection = pool.connect(this.#route.timeouts.connect, this);
  }

  #sendHead(connection: UpstreamConnection): void {
    const text = this.#plane.requestHead(this.#exchange);
    if (this.#requestDone) {
      connection.socket.write(text, "latin1");
      this.#awaitResponse(connection);
      return;
    }
    this.#heldHead = text;
    // The upstream owes nothing before it has the whole request; until then the client's own limit watches.
    connection.deadline.disarm();
    if (this.#exchange.head.expectContinue) this.#client.sendContinue();
    this.#client.resumeBody();
    // No part of the body was there yet: the upstream gets the head at once, for it may answer without the body.
    if (this.#heldHead !== "" && this.#connection === connection) connection.socket.write(this.#takeHead(), "latin1");
  }

  #takeHead(): string {
    const text = this.#heldHead;
    this.#heldHead = "";
    return text;
  }

  #awaitResponse(connection: UpstreamConnection): void {
    const { read, send } = this.#route.timeouts;
    this.#plane.wheel.arm(connection.deadline, connection.socket.writableLength === 0 ? read : send);
  }

  #readOn(connection: UpstreamConnection): void {
    // A write to the client may have ended it, and with it this exchange.
    if (this.#connection !== connection) return;
    if (!this.#relay.begun) return;
    if (this.#client.flush()) {
      this.#plane.wheel.arm(connection.deadline, this.#route.timeouts.read);
      return;
    }
    // The client's own limit for sending watches from here on; the upstream is not to blame for the wait.
    connection.socket.pause();
    connection.deadline.disarm();
  }

  #endResponse(connection: UpstreamConnection): void {
    this.#connection = null;
    const exchange = this.#exchange;
    exchange.upstreamDuration = this.#plane.clock() - exchange.upstreamStartedAt;
    this.#route.series.upstream(exchange.upstreamDuration / 1000);
    // Given back before the client is told, whose next, pipelined request may then take this very connection. After an
    // early answer the rest of the request's body has nowhere to go, and the connection no clean end.
    if (this.#requestDone && this.#relay.reusable && connection.socket.writableLength === 0) connection.release();
    else connection.destroy();
    this.#client.end(this.#relay.trailers);
  }

  #switchProtocols(connection: UpstreamConnection): void {
    this.#connection = null;
    const exchange = this.#exchange;
    exchange.status = 101;
    exchange.upstreamStatus = 101;
    const side = this.#client.switchProtocols(this.#plane.responseHead.forwarded);
    tunnel(this.#plane, exchange, this.#route, side, { socket: connection.detach(), early: this.#relay.rest });
  }

  /** The one place where a failure becomes another try, a status, or a response cut short. */
  #fail(cause: ProxyFailure): void {
    const connection = this.#connection;
    this.#connection = null;
    connection?.destroy();
    if (this.#mayRetry(cause)) {
      this.#plane.counters.retried();
      this.#relay.restart();
      this.#heldHead = "";
      // A kept connection that the endpoint closed as the request left says nothing about the endpoint.
      if (connection !== null && isStale(connection, cause)) {
        this.#connect(connection.pool);
        return;
      }
      if (this.#exchange.tries < triesAtMost && this.#tried.length < this.#upstream.endpoints.length) {
        this.#tryNext();
        return;
      }
    }
    this.#giveUp(cause);
  }

  #mayRetry(cause: ProxyFailure): boolean {
    if (this.#relay.begun || this.#bodyStarted) return false;
    switch (cause.retry) {
      case "never":
        return false;
      case "unsent":
        return true;
      case "idempotent":
        return isReplayable(this.#exchange.head);
    }
  }

  #giveUp(cause: ProxyFailure): void {
    const exchange = this.#exchange;
    const status = statusOf(cause);
    if (exchange.upstreamStartedAt > 0) exchange.upstreamDuration = this.#plane.clock() - exchange.upstreamStartedAt;
    this.#plane.failed(exchange, cause);
    if (this.#relay.begun || cause.kind === "client-gone") {
      if (cause.kind === "client-gone") exchange.status = status;
      this.#client.abort();
      return;
    }
    // nginx logs what it answered in the upstream's place as the upstream's status too.
    if (cause.side === "upstream" && exchange.tries > 0) exchange.upstreamStatus = status;
    replyStatus(this.#plane, this.#client, exchange, status);
  }
}

function isStale(connection: UpstreamConnection, cause: ProxyFailure): boolean {
  return connection.reused && (cause.kind === "reset" || cause.kind === "closed-early");
}

function failure(kind: ProxyFailure["kind"], side: ProxyFailure["side"], detail: string): ProxyFailure {
  const repeatable = kind === "closed-early" || kind === "read-timeout";
  return { kind, side, retry: repeatable ? "idempotent" : "never", detail };
}
