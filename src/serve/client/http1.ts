/**
 * One client connection that speaks HTTP/1.1: reads heads and bodies, one exchange at a time (pipelined requests wait and
 * are answered in order), and writes the responses. What a request means is decided in proxy/handle.ts. Hot.
 */
import type { Socket } from "node:net";
import type { Client } from "../../proxy/client.ts";
import { type Peer, RequestExchange } from "../../proxy/exchange.ts";
import { handle } from "../../proxy/handle.ts";
import { replyStatus } from "../../proxy/reply.ts";
import { listenTo } from "../../proxy/socket/read-buffer.ts";
import { isFull } from "../../proxy/socket/write.ts";
import type { TunnelSide } from "../../proxy/tunnel.ts";
import type { UpstreamHalf } from "../../proxy/upstream-half.ts";
import { BodyReader } from "../../wire/body.ts";
import { reasonPhrase } from "../../wire/reasons.ts";
import { continueResponse, upgradeLines } from "../../wire/reply.ts";
import { RequestHead } from "../../wire/request-head.ts";
import type { ClientConnection, ClientSource, ConnectionHost } from "./connection-host.ts";
import { Input } from "./input.ts";
import { Patience } from "./patience.ts";
import { framingLines, ResponseWriter, statusLine } from "./response-writer.ts";

/** Bytes of pipelined requests that are read ahead of their turn. */
const aheadAtMost = 16_384;
/** A body that nobody wants is read to its end when at most this much of it is left; else the connection closes. */
const discardAtMost = 65_536;

export class Http1Connection implements Client, ClientConnection {
  readonly #host: ConnectionHost;
  readonly #source: ClientSource;
  readonly #socket: Socket;
  readonly #peer: Peer;
  readonly #writer: ResponseWriter;
  readonly #patience: Patience;
  readonly #input = new Input();
  readonly #body = new BodyReader();
  readonly #bodyPart = (part: Buffer): void => this.#passBody(part);
  #head = new RequestHead();
  #phase: "idle" | "head" | "exchange" | "closing" | "closed" = "idle";
  #exchange: RequestExchange | null = null;
  #forward: UpstreamHalf | null = null;
  #bodyWanted = false;
  #responseBegun = false;
  #responseDone = false;
  #keepAlive = false;
  #advancing = false;
  /** The upstream half still needs a part of the chunk received last. */
  #keepsPart = false;
  /** When the first byte of the head came, on the plane's clock. */
  #startedAt = 0;

  constructor(host: ConnectionHost, source: ClientSource, peer: Peer) {
    const { socket } = source;
    this.#host = host;
    this.#source = source;
    this.#socket = socket;
    this.#peer = peer;
    this.#writer = new ResponseWriter(socket, () => this.#watchWrites());
    this.#patience = new Patience(host, socket, () => this.#expired());
    listenTo(source, (chunk) => this.#received(chunk));
    socket.on("drain", () => this.#drained());
    socket.on("end", () => this.#ended());
    // The close that follows an error tells all that there is to know.
    socket.on("error", () => {});
    socket.on("close", () => this.#closed());
    this.#patience.awaitHead();
  }

  /**
   * From now on every response is the last. An idle connection gets `ms` milliseconds for a request that is on its way:
   * closing at once would lose it.
   */
  drain(ms: number): void {
    if (this.#phase === "idle") this.#patience.awaitHead(ms);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  interim(status: number, lines: string): void {
    // HTTP/1.0 knows no interim responses (RFC 9110, 15.2).
    if (this.#head.minor === 1) this.#writer.interim(`HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n${lines}\r\n`);
  }

  sendContinue(): void {
    this.#writer.interim(continueResponse);
  }

  respond(status: number, reason: string, lines: string, length: number, bodiless: boolean): void {
    const head = this.#head;
    this.#responseBegun = true;
    const chunked = length === -1 && !bodiless && head.minor === 1;
    const delimited = length !== -1 || bodiless || chunked;
    this.#keepAlive = head.persistent && delimited && !this.#host.draining && this.#canReachNextRequest();
    const framing = framingLines(chunked, length, this.#keepAlive, head.minor);
    this.#writer.head(statusLine(status, reason), lines + framing, chunked, bodiless);
  }

  write(part: Buffer): boolean {
    return this.#writer.write(part);
  }

  writeText(text: string): void {
    this.#writer.writeText(text);
  }

  flush(): boolean {
    if (this.#writer.flush()) return true;
    this.#watch();
    return false;
  }

  end(trailers: string): void {
    if (this.#phase !== "exchange") return;
    this.#writer.end(trailers);
    this.#responseDone = true;
    this.#forward = null;
    const exchange = this.#exchange;
    if (exchange !== null) this.#host.plane.finished(exchange);
    if (!this.#keepAlive) this.#close();
    else if (this.#body.done) this.#nextExchange();
    else {
      this.#bodyWanted = true;
      this.#watch();
    }
    if (!this.#advancing) this.#advance();
  }

  abort(): void {
    const exchange = this.#exchange;
    if (exchange !== null && !this.#responseDone) this.#host.plane.finished(exchange);
    this.#responseDone = true;
    // What is pipelined behind it is not begun: nobody could be told the answer.
    this.#leave();
    this.#writer.cut();
    this.#socket.destroy();
  }

  resumeBody(): void {
    if (this.#bodyWanted) return;
    this.#bodyWanted = true;
    this.#watch();
    if (!this.#advancing) this.#advance();
  }

  switchProtocols(lines: string): TunnelSide {
    const socket = this.#socket;
    const { bytes, at } = this.#input;
    const early = bytes === null ? null : bytes.subarray(at);
    this.#leave();
    this.#writer.flush();
    socket.removeAllListeners("data").removeAllListeners("drain").removeAllListeners("end");
    socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines}${upgradeLines}\r\n`, "latin1");
    this.#host.tunnelOpened(socket);
    return { ...this.#source, early };
  }

  /** The connection is no longer ours, or no longer. */
  #leave(): void {
    this.#phase = "closed";
    this.#exchange = null;
    this.#forward = null;
    this.#input.clear();
    this.#patience.end();
  }

  #received(chunk: Buffer): boolean {
    if (this.#phase === "closing") return false;
    this.#keepsPart = false;
    this.#input.append(chunk);
    this.#advance();
    return this.#keepsPart || this.#input.bytes !== null;
  }

  /** Consumes what has been received as far as it goes. Never re-entered: what ends inside a turn is seen by its loop. */
  #advance(): void {
    this.#advancing = true;
    let going = true;
    while (going && this.#input.bytes !== null) {
      if (this.#phase === "exchange") going = !this.#body.done && this.#bodyWanted && this.#readBody(this.#input.bytes);
      else if (this.#phase === "closing" || this.#phase === "closed") going = false;
      // A client that asks and asks but takes no answers would fill the memory with them.
      else going = !isFull(this.#socket) && this.#readHead();
    }
    this.#advancing = false;
    this.#throttle();
  }

  /** Stops reading while a body is not wanted or too much waits for its turn, and goes on when that is over. */
  #throttle(): void {
    if (this.#phase === "closed") return;
    const { waiting } = this.#input;
    const stuck = this.#phase === "idle" || (this.#phase === "exchange" && (!this.#body.done || waiting > aheadAtMost));
    if (stuck && waiting > 0) this.#socket.pause();
    else if (this.#socket.isPaused()) this.#socket.resume();
  }

  #readHead(): boolean {
    const { plane } = this.#host;
    const fresh = this.#phase === "idle";
    if (fresh) {
      this.#phase = "head";
      this.#startedAt = plane.clock();
    }
    const found = this.#input.takeHead(this.#head);
    if (found === "nothing") this.#phase = "idle";
    // The limit is for the whole head, so that a byte now and then does not prolong it.
    else if (found === "part" && fresh) this.#patience.awaitHead();
    else if (typeof found === "number") this.#refuse(found);
    if (found !== "whole") return false;
    this.#begin();
    return true;
  }

  #begin(): void {
    const head = this.#head;
    const { plane } = this.#host;
    this.#phase = "exchange";
    this.#responseBegun = false;
    this.#responseDone = false;
    this.#bodyWanted = false;
    this.#body.start(head.framing, head.contentLength);
    this.#patience.end();
    const exchange = new RequestExchange(head, this.#peer, this.#startedAt);
    this.#exchange = exchange;
    const forward = handle(plane, this, exchange);
    if (forward === null) return;
    this.#forward = forward;
    forward.start();
  }

  #readBody(input: Buffer): boolean {
    const stop = this.#body.read(input, this.#input.at, this.#bodyPart);
    this.#input.consume(stop);
    // A part of it may have ended the exchange, being too large: what the client is to do next is settled then.
    if (this.#phase !== "exchange") return this.#phase === "idle";
    const forward = this.#forward;
    if (this.#body.error !== null) {
      if (forward === null) this.#close();
      else forward.clientFailed("bad-request-body", this.#body.error);
      return false;
    }
    if (!this.#body.done) {
      this.#watch();
      return false;
    }
    this.#watch();
    if (forward !== null) forward.requestEnd(this.#body.trailers);
    else if (this.#responseDone && this.#phase === "exchange") this.#nextExchange();
    return true;
  }

  #passBody(part: Buffer): void {
    const forward = this.#forward;
    if (forward === null) return;
    const takesMore = forward.requestBody(part);
    if (forward.keepsPart) this.#keepsPart = true;
    if (takesMore) return;
    this.#bodyWanted = false;
    this.#watch();
  }

  #watch(): void {
    this.#patience.during(this.#bodyWanted && !this.#body.done);
  }

  #nextExchange(): void {
    this.#exchange = null;
    this.#forward = null;
    this.#phase = "idle";
    this.#patience.awaitRequest();
    if (this.#host.draining && this.#input.bytes === null) this.#close();
  }

  /** Whether the rest of the request's body will be read, so that the next request can be found behind it. */
  #canReachNextRequest(): boolean {
    if (this.#body.done) return true;
    // A client that was told to wait may send the body or not: nobody knows where the next request begins.
    if (this.#head.expectContinue || this.#forward !== null) return false;
    return this.#body.framing === "length" && this.#body.remaining <= discardAtMost;
  }

  /** Answers what cannot be read as a request, and closes. */
  #refuse(status: number): void {
    const { plane } = this.#host;
    this.#head = new RequestHead();
    this.#phase = "exchange";
    this.#body.start("none", 0);
    this.#responseDone = false;
    this.#input.clear();
    this.#host.refused(status);
    this.#exchange = new RequestExchange(this.#head, this.#peer, this.#startedAt);
    this.#exchange.requestId = plane.newRequestId();
    replyStatus(plane, this, this.#exchange, status);
  }

  /** No more is read; what is written arrives, then the connection ends. */
  #close(): void {
    this.#phase = "closing";
    this.#exchange = null;
    this.#forward = null;
    this.#input.clear();
    this.#writer.flush();
    this.#socket.end();
    if (this.#socket.isPaused()) this.#socket.resume();
    this.#patience.linger();
  }

  #expired(): void {
    if (this.#phase === "idle") this.#close();
    else if (this.#phase === "head") this.#refuse(408);
    else if (this.#phase !== "exchange" || this.#forward === null) this.#socket.destroy();
    else if (this.#responseBegun) this.#forward.clientFailed("client-gone", "the client was too slow");
    else this.#forward.clientFailed("client-timeout", "the body came too slowly");
  }

  #drained(): void {
    this.#watchWrites();
    if (this.#phase === "exchange") this.#forward?.clientDrained();
    else if (this.#phase === "idle" && !this.#advancing) this.#advance();
  }

  /** The client has begun to take less than it is sent, or has caught up. */
  #watchWrites(): void {
    if (this.#phase === "idle") this.#patience.awaitRequest();
    else if (this.#phase === "exchange") this.#watch();
  }

  #ended(): void {
    // As nginx: a client that ends while it waits has given up; nobody is left to answer.
    if (this.#forward !== null) this.#forward.clientFailed("client-gone", "the client closed the connection");
    // While it is closing both have ended then: what is still to be sent ends the connection when it has been.
    else if (this.#phase !== "closing") this.#close();
  }

  #closed(): void {
    this.#patience.end();
    const phase = this.#phase;
    this.#phase = "closed";
    this.#host.connectionClosed(this);
    if (phase === "exchange") this.#forward?.clientFailed("client-gone", "the connection was reset");
  }
}
