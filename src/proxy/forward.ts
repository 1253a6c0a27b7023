/**
 * One request on its way to an upstream and the response on its way back: picks endpoints, sends the head and the body as
 * it comes, relays the response, and decides what a failure means. All bytes in both directions pass through here. Hot.
 */
import { BodyReader } from "../wire/body.ts";
import { chunkHeader } from "../wire/chunked.ts";
import { parseResponseHead, type ResponseHead } from "../wire/response-head.ts";
import { pickEndpoint } from "./balance.ts";
import type { Client } from "./client.ts";
import type { ConnectionOwner, UpstreamConnection } from "./connection.ts";
import { isReplayable, type RequestExchange } from "./exchange.ts";
import { type ProxyFailure, statusOf } from "./failure.ts";
import type { LiveRoute, Plane } from "./plane.ts";
import { replyStatus } from "./reply.ts";
import { editResponse } from "./response-edit.ts";
import { tunnel } from "./tunnel.ts";
import type { EndpointPool, LiveUpstream } from "./upstreams.ts";

/** Endpoints tried for one request, as ingress-nginx's proxy-next-upstream-tries. */
const triesAtMost = 3;
/** Bytes of an upstream's response head. */
const headAtMost = 65_536;
/**
 * A request that must not be sent twice takes no connection that lay idle longer, in milliseconds: common servers close
 * theirs after five seconds, and the close may cross with the request.
 */
const freshEnough = 4_000;
/** Body parts up to this many bytes are copied behind what precedes them, to leave in one write. */
const copyAtMost = 16_384;

export class Forward implements ConnectionOwner {
  readonly #plane: Plane;
  readonly #client: Client;
  readonly #exchange: RequestExchange;
  readonly #route: LiveRoute;
  readonly #upstream: LiveUpstream;
  readonly #tried: EndpointPool[] = [];
  #connection: UpstreamConnection | null = null;
  /** The request head, while it waits for the first part of the body to leave with it. */
  #heldHead = "";
  #bodyStarted = false;
  #requestDone: boolean;
  #response: "head" | "body" | "done" = "head";
  readonly #body = new BodyReader();
  readonly #passPart = (part: Buffer): void => this.#pass(part);
  #keepConnection = false;
  /** The start of a response head that came in pieces. */
  #headPieces: Buffer | null = null;
  #over = false;

  constructor(plane: Plane, client: Client, exchange: RequestExchange, route: LiveRoute, upstream: LiveUpstream) {
    this.#plane = plane;
    this.#client = client;
    this.#exchange = exchange;
    this.#route = route;
    this.#upstream = upstream;
    this.#requestDone = exchange.head.framing === "none";
  }

  /** Begins; the client is to give its body once resumeBody() is called. */
  start(): void {
    this.#tryNext(null);
  }

  /** A part of the request's body; false: wait for resumeBody() before the next. */
  requestBody(part: Buffer): boolean {
    const connection = this.#connection;
    if (connection === null || this.#over) return true;
    this.#exchange.requestBytes += part.length;
    const limit = this.#route.bodyLimit;
    if (limit !== 0 && this.#exchange.requestBytes > limit) {
      this.#fail(failure("body-too-large", "client", `more than ${limit} bytes`));
      return true;
    }
    this.#bodyStarted = true;
    if (this.#exchange.head.framing === "chunked") this.#sendChunk(connection, part);
    else this.#sendPart(connection, part);
    const { socket } = connection;
    if (socket.writableLength === 0) return true;
    this.#plane.wheel.arm(connection.deadline, this.#route.timeouts.send);
    return false;
  }

  /** The request's body is complete; `trailers` are header lines. */
  requestEnd(trailers: string): void {
    this.#requestDone = true;
    const connection = this.#connection;
    if (connection === null || this.#over) return;
    if (this.#exchange.head.framing === "chunked") {
      connection.socket.write(`${this.#takeHead()}0\r\n${trailers}\r\n`, "latin1");
    } else if (this.#heldHead !== "") connection.socket.write(this.#takeHead(), "latin1");
    this.#awaitResponse(connection);
    if (this.#response === "done") this.#finish(connection);
  }

  /** The client has gone, was too slow, or sent a body that cannot be read. */
  clientFailed(kind: "client-gone" | "client-timeout" | "bad-request-body", detail: string): void {
    if (!this.#over) this.#fail(failure(kind, "client", detail));
  }

  /** The client takes bytes again. */
  clientDrained(): void {
    const connection = this.#connection;
    if (connection === null || !connection.socket.isPaused()) return;
    this.#plane.wheel.arm(connection.deadline, this.#route.timeouts.read);
    connection.socket.resume();
  }

  connected(): void {
    const connection = this.#connection;
    if (connection !== null) this.#sendHead(connection);
  }

  data(chunk: Buffer): void {
    const connection = this.#connection;
    if (connection === null) return;
    this.#exchange.upstreamBytes += chunk.length;
    if (this.#response === "head") this.#readHead(connection, chunk);
    else if (this.#response === "body") this.#readBody(connection, chunk, 0);
    // A byte behind a complete response answers nothing; while the request's body is still on its way it may only mean trouble.
    else this.#keepConnection = false;
  }

  ended(): void {
    const connection = this.#connection;
    if (connection === null) return;
    this.#keepConnection = false;
    this.#body.end();
    if (this.#response === "body" && this.#body.done) this.#endResponse(connection);
    else if (this.#response !== "done") this.#fail(failure("closed-early", "upstream", connection.pool.address));
  }

  drained(): void {
    const connection = this.#connection;
    if (connection === null || this.#over) return;
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
    // An end without close framing that arrived before its close has been dealt with in ended().
    if (this.#over) return;
    if (cause.retry === "unsent") this.#route.series.connectFailure();
    this.#fail(cause);
  }

  /** Takes a used connection of an untried endpoint, or opens one. `again`: the endpoint to try once more, on a new connection. */
  #tryNext(again: EndpointPool | null): void {
    const exchange = this.#exchange;
    const pool = again ?? pickEndpoint(this.#upstream, this.#tried);
    if (pool === null) {
      this.#fail(failure("no-endpoint", "upstream", this.#upstream.key));
      return;
    }
    if (again === null) {
      this.#tried.push(pool);
      exchange.tries++;
    }
    exchange.upstreamAddress = exchange.tries > 1 ? `${exchange.upstreamAddress}, ${pool.address}` : pool.address;
    exchange.upstreamStartedAt = this.#plane.clock();
    const used =
      again === null ? pool.takeIdle(isReplayable(exchange.head) ? Number.POSITIVE_INFINITY : freshEnough) : null;
    if (used === null) {
      this.#connection = pool.connect(this.#route.timeouts.connect, this);
      return;
    }
    used.use(this);
    this.#connection = used;
    this.#sendHead(used);
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

  #awaitResponse(connection: UpstreamConnection): void {
    this.#plane.wheel.arm(
      connection.deadline,
      connection.socket.writableLength === 0 ? this.#route.timeouts.read : this.#route.timeouts.send,
    );
  }

  #takeHead(): string {
    const text = this.#heldHead;
    this.#heldHead = "";
    return text;
  }

  #sendPart(connection: UpstreamConnection, part: Buffer): void {
    if (this.#heldHead === "") connection.socket.write(part);
    else writeBehind(connection, this.#takeHead(), part, "");
  }

  #sendChunk(connection: UpstreamConnection, part: Buffer): void {
    writeBehind(connection, this.#takeHead() + chunkHeader(part.length), part, "\r\n");
  }

  #readHead(connection: UpstreamConnection, chunk: Buffer): void {
    let input = chunk;
    if (this.#headPieces !== null) input = Buffer.concat([this.#headPieces, chunk]);
    let from = 0;
    while (this.#response === "head") {
      const end = input.indexOf("\r\n\r\n", from, "latin1");
      if (end === -1 || end - from > headAtMost) {
        if (input.length - from > headAtMost) {
          this.#fail(failure("bad-response", "upstream", `${connection.pool.address}: the head is too large`));
          return;
        }
        this.#headPieces = from === 0 ? input : input.subarray(from);
        return;
      }
      const stop = end + 4;
      const head = this.#plane.responseHead;
      const error = parseResponseHead(input.toString("latin1", from, stop), this.#exchange.method, head);
      from = stop;
      if (error !== null) {
        this.#fail(failure("bad-response", "upstream", `${connection.pool.address}: ${error}`));
        return;
      }
      if (head.status === 101) {
        this.#switchProtocols(connection, input, from);
        return;
      }
      if (head.status >= 200) this.#beginResponse();
      // 100 was answered by ourselves, if it was asked for; the others are news for the client.
      else if (head.status !== 100) this.#client.interim(head.status, head.forwarded);
    }
    this.#headPieces = null;
    this.#readBody(connection, input, from);
  }

  #beginResponse(): void {
    const head = this.#plane.responseHead;
    const exchange = this.#exchange;
    exchange.upstreamStatus = head.status;
    exchange.status = head.status;
    this.#response = "body";
    this.#body.start(head.framing, head.contentLength);
    this.#keepConnection = head.persistent && head.framing !== "close";
    let lines = head.forwarded;
    if (!head.hasDate) lines += this.#plane.dateLine();
    if (!head.hasServer) lines += this.#plane.serverLine;
    const { response } = this.#route.hooks;
    if (response.length > 0) lines = editResponse(lines, response, exchange);
    this.#client.respond(head.status, head.reason, lines, announcedLength(head), head.framing === "none");
  }

  #readBody(connection: UpstreamConnection, input: Buffer, from: number): void {
    const body = this.#body;
    const stop = body.read(input, from, this.#passPart);
    if (this.#over) return;
    if (body.error !== null) {
      this.#fail(failure("bad-response", "upstream", `${connection.pool.address}: ${body.error}`));
    } else if (body.done) {
      // A byte behind the end of a response belongs to no answer of ours.
      if (stop < input.length) this.#keepConnection = false;
      this.#endResponse(connection);
    } else if (this.#client.flush()) this.#plane.wheel.arm(connection.deadline, this.#route.timeouts.read);
    else {
      // The client's own limit for sending watches from here on; the upstream is not to blame for the wait.
      connection.socket.pause();
      connection.deadline.disarm();
    }
  }

  #pass(part: Buffer): void {
    if (this.#over) return;
    this.#exchange.responseBytes += part.length;
    this.#client.write(part);
  }

  #endResponse(connection: UpstreamConnection): void {
    this.#response = "done";
    const exchange = this.#exchange;
    exchange.upstreamDuration = this.#plane.clock() - exchange.upstreamStartedAt;
    this.#route.series.upstream(exchange.upstreamDuration / 1000);
    // Released before the client is told: its next, pipelined request may then take this very connection.
    if (this.#requestDone) this.#finish(connection);
    else {
      // An early answer: the rest of the body has nowhere to go, and the connection no clean end.
      this.#over = true;
      this.#connection = null;
      connection.destroy();
    }
    this.#client.end(this.#body.trailers);
  }

  #finish(connection: UpstreamConnection): void {
    this.#over = true;
    this.#connection = null;
    if (this.#keepConnection && connection.socket.writableLength === 0) connection.release();
    else connection.destroy();
  }

  #switchProtocols(connection: UpstreamConnection, input: Buffer, from: number): void {
    const head = this.#plane.responseHead;
    if (this.#exchange.head.upgrade !== "websocket" || head.upgrade !== "websocket") {
      this.#fail(failure("bad-response", "upstream", `${connection.pool.address}: 101 that was not asked for`));
      return;
    }
    this.#over = true;
    this.#connection = null;
    const exchange = this.#exchange;
    exchange.status = 101;
    exchange.upstreamStatus = 101;
    const late = from < input.length ? input.subarray(from) : null;
    const side = this.#client.switchProtocols(head.forwarded);
    tunnel(this.#plane, exchange, this.#route, side, { socket: connection.detach(), early: late });
  }

  /** The one place where a failure becomes another try, a status, or an aborted response. */
  #fail(cause: ProxyFailure): void {
    const connection = this.#connection;
    this.#connection = null;
    connection?.destroy();
    const again = this.#retryTarget(cause, connection);
    if (again !== false) {
      this.#plane.counters.retried();
      this.#headPieces = null;
      this.#heldHead = "";
      this.#tryNext(again);
      return;
    }
    this.#over = true;
    const exchange = this.#exchange;
    const status = statusOf(cause);
    if (exchange.upstreamStartedAt > 0) exchange.upstreamDuration = this.#plane.clock() - exchange.upstreamStartedAt;
    this.#plane.failed(exchange, cause);
    if (this.#response !== "head" || cause.kind === "client-gone") {
      if (exchange.status === 0 || cause.kind === "client-gone") exchange.status = status;
      this.#client.abort();
      return;
    }
    // nginx logs what it answered in the upstream's place as the upstream's status too.
    if (cause.side === "upstream" && cause.kind !== "no-endpoint") exchange.upstreamStatus = status;
    replyStatus(this.#plane, this.#client, exchange, status);
  }

  /** The endpoint to try again on a new connection, null for another endpoint, false for no further try. */
  #retryTarget(cause: ProxyFailure, connection: UpstreamConnection | null): EndpointPool | null | false {
    if (cause.side === "client" || this.#response !== "head" || this.#bodyStarted || cause.kind === "no-endpoint")
      return false;
    if (cause.retry === "never") return false;
    if (cause.retry === "idempotent" && !isReplayable(this.#exchange.head)) return false;
    // A kept connection that the endpoint closed as the request left says nothing about the endpoint.
    if (connection?.reused === true && cause.kind !== "read-timeout" && cause.kind !== "send-timeout")
      return connection.pool;
    if (this.#exchange.tries >= triesAtMost) return false;
    return this.#tried.length < this.#upstream.endpoints.length ? null : false;
  }
}

function failure(kind: ProxyFailure["kind"], side: ProxyFailure["side"], detail: string): ProxyFailure {
  const repeatable = kind === "closed-early" || kind === "read-timeout";
  return { kind, side, retry: repeatable ? "idempotent" : "never", detail };
}

/** What Client.respond() is told: the length known beforehand, or -1. */
function announcedLength(head: ResponseHead): number {
  if (head.framing === "length") return head.contentLength;
  // The answer to HEAD and a 304 may announce the length that GET would have got; a 204 must not (RFC 9110, 8.6).
  return head.framing === "none" && head.status !== 204 ? head.announcedLength : -1;
}

/** Writes `before`, `part` and `after` as one, copying when the part is small. */
function writeBehind(connection: UpstreamConnection, before: string, part: Buffer, after: string): void {
  const { socket } = connection;
  if (part.length <= copyAtMost) {
    const whole = Buffer.allocUnsafe(before.length + part.length + after.length);
    whole.write(before, 0, "latin1");
    part.copy(whole, before.length);
    if (after !== "") whole.write(after, before.length + part.length, "latin1");
    socket.write(whole);
    return;
  }
  socket.cork();
  if (before !== "") socket.write(before, "latin1");
  socket.write(part);
  if (after !== "") socket.write(after, "latin1");
  socket.uncork();
}
