/**
 * One request on its way to an upstream: picks endpoints, sends the head and the body as it comes, and is the one place
 * that decides what a failure means: another try, a status, or a response cut short. Hot.
 */
import { chunkHeader, lastChunk } from "../wire/chunked.ts";
import { Attempts, failure } from "./attempts.ts";
import type { Client } from "./client.ts";
import { hasNoBody, isReplayable, type RequestExchange } from "./exchange.ts";
import type { ProxyFailure } from "./failure.ts";
import type { LiveRoute } from "./live-route.ts";
import type { Plane } from "./plane.ts";
import { ResponseRelay } from "./relay.ts";
import { writeText } from "./socket/native-stream.ts";
import { type TurnWriter, writeThisTurn } from "./socket/turn.ts";
import { isFull, writeTogether } from "./socket/write.ts";
import { tunnel } from "./tunnel.ts";
import type { ConnectionOwner, UpstreamConnection } from "./upstream/connection.ts";
import type { EndpointPool } from "./upstream/endpoint-pool.ts";
import type { LiveUpstream } from "./upstream/live-upstream.ts";
import { prefaceOf } from "./upstream/preface.ts";
import type { UpstreamHalf } from "./upstream-half.ts";

/**
 * A request that must not be sent twice takes no connection that lay idle longer, in milliseconds: common servers close
 * theirs after five seconds, and the close may cross with the request.
 */
const freshEnough = 4_000;

/** Bytes of a body that leave as text with their head; copying more costs as much as another write. */
const gatheredAtMost = 8_192;

export class Forward implements ConnectionOwner, UpstreamHalf, TurnWriter {
  readonly #plane: Plane;
  readonly #client: Client;
  readonly #exchange: RequestExchange;
  readonly #route: LiveRoute;
  readonly #relay: ResponseRelay;
  readonly #attempts: Attempts;
  readonly #chunked: boolean;
  keepsPart = false;
  /** null before the first, between two tries, and once the exchange with the upstream is over. */
  #connection: UpstreamConnection | null = null;
  /** The request as far as it is there, until it leaves at the end of this turn of the event loop: nothing of it has been sent. */
  #held = "";
  #holdsBody = false;
  /** The connection takes what is sent; until then all is held. */
  #open = false;
  #requestDone: boolean;

  constructor(plane: Plane, client: Client, exchange: RequestExchange, route: LiveRoute, upstream: LiveUpstream) {
    this.#plane = plane;
    this.#client = client;
    this.#exchange = exchange;
    this.#route = route;
    this.#relay = new ResponseRelay(plane, client, exchange, route);
    this.#attempts = new Attempts(plane, client, exchange, route, upstream);
    this.#chunked = exchange.head.framing === "chunked";
    this.#requestDone = hasNoBody(exchange.head);
  }

  start(): void {
    this.#tryNext();
  }

  requestBody(part: Buffer): boolean {
    const connection = this.#connection;
    if (connection === null) return true;
    this.#exchange.requestBytes += part.length;
    const limit = this.#route.bodyLimit;
    if (limit !== 0 && this.#exchange.requestBytes > limit) {
      this.#fail(failure("body-too-large", "client", `more than ${limit} bytes`));
      return true;
    }
    const small = part.length <= gatheredAtMost && this.#held.length <= gatheredAtMost;
    if (!this.#open || (small && this.#gathers(connection))) {
      const text = part.toString("latin1", 0, part.length);
      this.#held += this.#chunked ? `${chunkHeader(part.length)}${text}\r\n` : text;
      this.#holdsBody = true;
      this.keepsPart = false;
      return this.#open;
    }
    const before = this.#takeHeld();
    this.#attempts.bodyStarted = true;
    this.keepsPart = this.#chunked
      ? writeTogether(connection.socket, before + chunkHeader(part.length), part, "\r\n")
      : writeTogether(connection.socket, before, part, "");
    if (!isFull(connection.socket)) return true;
    this.#plane.wheel.arm(connection.deadline, this.#route.timeouts.send);
    return false;
  }

  requestEnd(trailers: string): void {
    this.#requestDone = true;
    const connection = this.#connection;
    if (connection === null) return;
    const last = this.#chunked ? lastChunk(trailers) : "";
    if (!this.#open || this.#gathers(connection)) this.#held += last;
    else {
      const rest = this.#takeHeld() + last;
      if (rest !== "") connection.socket.write(rest, "latin1");
    }
    if (this.#open) this.#awaitResponse(connection);
  }

  clientFailed(kind: "client-gone" | "client-timeout" | "bad-request-body", detail: string): void {
    this.#fail(failure(kind, "client", detail));
  }

  clientDrained(): void {
    const connection = this.#connection;
    if (connection === null || !connection.socket.isPaused()) return;
    this.#plane.wheel.arm(connection.deadline, this.#route.timeouts.read);
    connection.socket.resume();
  }

  connected(): void {
    if (this.#connection !== null) this.#sendHead(this.#connection);
  }

  data(chunk: Buffer): boolean {
    const connection = this.#connection;
    if (connection === null) return false;
    if (this.#held !== "") {
      // It has been sent nothing yet: what it says answers no request of ours.
      this.#fail(failure("closed-early", "upstream", connection.pool.address));
      return false;
    }
    const relay = this.#relay;
    switch (relay.read(chunk)) {
      case "more":
        this.#readOn(connection);
        break;
      case "done":
        this.#endResponse(connection);
        break;
      case "upgrade":
        this.#switchProtocols(connection);
        break;
      case "bad":
        this.#fail(failure("bad-response", "upstream", `${connection.pool.address}: ${relay.error}`));
        break;
    }
    return relay.keeps;
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
    const sending = isFull(connection.socket);
    this.#fail(failure(sending ? "send-timeout" : "read-timeout", "upstream", connection.pool.address));
  }

  closed(cause: ProxyFailure): void {
    if (this.#connection !== null) this.#fail(cause);
  }

  /** Goes to the next endpoint that this request has not tried, by a kept connection where there is one. */
  #tryNext(): void {
    const pool = this.#attempts.next();
    if (pool === null) {
      this.#fail(failure("no-endpoint", "upstream", this.#route.labels.service));
      return;
    }
    const age = isReplayable(this.#exchange.head) ? Number.POSITIVE_INFINITY : freshEnough;
    const kept = pool.takeIdle(age, prefaceOf(pool, this.#exchange));
    if (kept === null) {
      this.#connect(pool);
      return;
    }
    kept.use(this);
    this.#connection = kept;
    this.#sendHead(kept);
  }

  #connect(pool: EndpointPool): void {
    this.#open = false;
    this.#holdHead();
    this.#connection = pool.connect(this.#route.timeouts.connect, this, prefaceOf(pool, this.#exchange));
  }

  #sendHead(connection: UpstreamConnection): void {
    this.#open = true;
    this.#holdHead();
    if (this.#requestDone) {
      if (connection.pool.tls) connection.socket.write(this.#takeHeld(), "latin1");
      else writeThisTurn(this);
      this.#awaitResponse(connection);
      return;
    }
    writeThisTurn(this);
    connection.expectEarlyAnswer();
    // The upstream owes nothing before it has the whole request; until then the client's own limit watches.
    connection.deadline.disarm();
    if (this.#exchange.head.expectContinue) this.#client.sendContinue();
    this.#client.resumeBody();
  }

  /** What is held for a connection that has gone is held for the next. */
  #holdHead(): void {
    if (this.#held === "") this.#held = this.#plane.requestHead(this.#exchange);
  }

  /** The head alone, where no part of the body came with it: the upstream may answer without the body. */
  writeGathered(): void {
    const connection = this.#connection;
    if (connection === null || !this.#open || this.#held === "") return;
    writeText(connection.socket, this.#takeHeld());
    if (this.#requestDone && isFull(connection.socket)) this.#awaitResponse(connection);
  }

  /**
   * Whether what comes now is to leave with what is held. Over TLS it leaves at once: Node tells only a turn later that such a
   * write is complete, and the answer would find the connection busy.
   */
  #gathers(connection: UpstreamConnection): boolean {
    return this.#held !== "" && !connection.pool.tls;
  }

  #takeHeld(): string {
    const text = this.#held;
    this.#held = "";
    if (this.#holdsBody) this.#attempts.bodyStarted = true;
    return text;
  }

  #awaitResponse(connection: UpstreamConnection): void {
    const { read, send } = this.#route.timeouts;
    if (isFull(connection.socket)) this.#plane.wheel.arm(connection.deadline, send);
    // Held up by a client that reads slowly, whose own limit watches.
    else if (connection.socket.isPaused()) connection.deadline.disarm();
    else this.#plane.wheel.arm(connection.deadline, read);
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
    this.#attempts.answered();
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
    tunnel(this.#plane, exchange, this.#route, side, { ...connection.detach(), early: this.#relay.rest });
  }

  /** The one place where a failure becomes another try, a status, or a response cut short. */
  #fail(cause: ProxyFailure): void {
    const connection = this.#connection;
    this.#connection = null;
    connection?.destroy();
    this.#attempts.begun = this.#relay.begun;
    // A kept connection that the endpoint closed as the request left says nothing about the endpoint.
    const same = connection !== null && isStale(connection, cause) ? this.#attempts.present : null;
    if (same === null) this.#attempts.failed(cause);
    // Of what is still held nothing has been sent, whatever it asks for.
    const unsent = same !== null && this.#held !== "";
    if (unsent || (this.#attempts.mayRepeat(cause) && (same !== null || this.#attempts.hasAnother()))) {
      this.#plane.counters.retried();
      this.#relay.restart();
      if (same === null) this.#tryNext();
      else this.#connect(same);
      return;
    }
    this.#attempts.giveUp(cause);
  }
}

function isStale(connection: UpstreamConnection, cause: ProxyFailure): boolean {
  return connection.reused && (cause.kind === "reset" || cause.kind === "closed-early");
}
