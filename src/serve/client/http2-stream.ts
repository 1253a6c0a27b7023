/**
 * One request on an HTTP/2 stream: the head as one parser judges it, the body as it flows, the response in frames. It is
 * to HTTP/2 what http1.ts is to HTTP/1.1: both implement proxy/client.ts. Hot.
 */
import type { Client } from "../../proxy/client.ts";
import { type Peer, RequestExchange } from "../../proxy/exchange.ts";
import { handle } from "../../proxy/handle.ts";
import { replyStatus } from "../../proxy/reply.ts";
import type { TunnelSide } from "../../proxy/tunnel.ts";
import type { UpstreamHalf } from "../../proxy/upstream-half.ts";
import type { Borrower, LentDeadline } from "../../proxy/wheel.ts";
import type { FieldList } from "../../wire/http2/head-reader.ts";
import { errorCode } from "../../wire/http2/protocol.ts";
import type { Stream, StreamHandler } from "../../wire/http2/stream.ts";
import { linesOf } from "../../wire/http2-fields.ts";
import { RequestHead } from "../../wire/request-head.ts";
import { readTrailers } from "../../wire/trailers.ts";
import type { ConnectionHost } from "./connection-host.ts";
import { StreamSocket } from "./http2-socket.ts";

/** Bytes of a response that wait in this process for the client's window. */
const waitingAtMost = 65_536;
/**
 * Of all responses of a connection together, as far as each may have a little: a client that opens a hundred streams and no
 * window (CVE-2019-9517) is to cost little more than one that reads slowly.
 */
const sharedAtMost = 1_048_576;
const waitingAtLeast = 8_192;

/** A request as the one parser of all protocols has read it. */
export interface ReadRequest {
  /** Of its fields, those that are to be indexed on no further hop. */
  readonly neverIndexed: readonly string[];
  readonly head: RequestHead;
  /** An extended CONNECT (RFC 8441). */
  readonly webSocket: boolean;
  /** Other streams have the same: it is not to be filled again. */
  readonly shared: boolean;
}

/** The connection that a stream is of. */
export interface Http2Client {
  readonly host: ConnectionHost;
  readonly peer: Peer;
  /** A stream is over; `head`: may be filled again. */
  streamClosed(head: RequestHead | null): void;
}

export class Http2Exchange implements Client, StreamHandler, Borrower {
  readonly #connection: Http2Client;
  readonly #stream: Stream;
  /** null: nothing was ever waited for. */
  #deadline: LentDeadline | null = null;
  /** What may be filled again when the stream is over. */
  #head: RequestHead | null = null;
  #exchange: RequestExchange | null = null;
  #forward: UpstreamHalf | null = null;
  #begun = false;
  #bodiless = false;
  /** The client asks for a tunnel (RFC 8441), which it has not got yet. */
  #webSocket = false;
  #bodyEnded = false;
  #bodyFlows = false;
  /** The upstream was told to wait. */
  #full = false;

  constructor(connection: Http2Client, stream: Stream) {
    this.#connection = connection;
    this.#stream = stream;
    stream.handler = this;
  }

  /** `read`: the request, or the status to refuse it with; `ended`: no body follows. */
  begin(read: ReadRequest | number, ended: boolean): void {
    if (typeof read === "number") {
      this.#refuse(read);
      return;
    }
    const { head } = read;
    if (!read.shared) this.#head = head;
    this.#webSocket = read.webSocket;
    if (head.framing === "length" && !this.#stream.expect(head.contentLength)) return;
    this.#bodyEnded = ended || head.framing === "none";
    const { plane } = this.#connection.host;
    const exchange = new RequestExchange(head, this.#connection.peer, plane.clock());
    this.#exchange = exchange;
    exchange.neverIndexed = read.neverIndexed;
    // The body flows once there is an upstream to take it.
    if (!ended) this.#stream.pause();
    const forward = handle(plane, this, exchange);
    if (forward === null) return;
    this.#forward = forward;
    forward.start();
  }

  interim(status: number, lines: string): void {
    this.#sendHead(status, lines, -1);
  }

  sendContinue(): void {
    this.interim(100, "");
  }

  respond(status: number, _reason: string, lines: string, length: number, bodiless: boolean): void {
    this.#begun = true;
    this.#bodiless = bodiless;
    // Of a stream both ways, where both may be silent for long: the upstream's time limit counts from now on.
    if (this.#bodyFlows && !this.#bodyEnded) this.#watch();
    // Its end goes into the same frame when nothing was written in between.
    this.#sendHead(this.#webSocket ? this.#withoutTunnel(status) : statusToSend(status), lines, length);
  }

  write(part: Buffer): boolean {
    if (!this.#bodiless) this.#stream.write(part);
    return false;
  }

  flush(): boolean {
    if (this.#stream.waiting < this.#waitingAtMost) return true;
    this.#full = true;
    this.#arm(this.#connection.host.limits.send);
    return false;
  }

  end(trailers: string): void {
    const stream = this.#stream;
    this.#finish();
    stream.end(this.#bodiless ? "" : trailers);
    if (stream.over) return;
    // A client that opens no window for what waits would keep it, and the stream, for ever.
    this.#arm(this.#connection.host.limits.send);
    // The rest of the body has nowhere to go.
    stream.resume();
    this.#askToStop();
  }

  abort(): void {
    this.#finish();
    // Never as an end: a client could take the part it has for the whole.
    this.#stream.reset(errorCode.internalError);
  }

  resumeBody(): void {
    if (this.#bodyEnded) return;
    this.#bodyFlows = true;
    this.#watch();
    this.#stream.resume();
  }

  switchProtocols(lines: string): TunnelSide {
    this.#giveBack();
    this.#forward = null;
    this.#exchange = null;
    // The tunnel tells the access log of it when it ends, which may be after this stream.
    this.#head = null;
    // RFC 8441, 5: the key and its answer belong to HTTP/1.1 alone.
    this.#sendHead(200, withoutLine(lines, "sec-websocket-accept"), -1);
    const socket = new StreamSocket(this.#stream, () => this.#connection.streamClosed(null));
    this.#connection.host.tunnelOpened(socket);
    return { socket, early: null };
  }

  head(): void {
    // Clients send no answers.
  }

  data(part: Buffer): void {
    if (this.#forward === null) return;
    const flows = this.#forward.requestBody(part);
    // It may have been too much of it, and the exchange be over.
    if (this.#forward === null) return;
    this.#bodyFlows = flows;
    this.#watch();
    if (!flows) this.#stream.pause();
  }

  ended(trailers: FieldList | null): void {
    this.#bodyEnded = true;
    if (this.#forward === null) return;
    this.#watch();
    const lines = trailers === null ? "" : readTrailers(`${linesOf(trailers.fields)}\r\n`).lines;
    this.#forward.requestEnd(lines);
  }

  progressed(): void {
    if (this.#forward === null) {
      // What is left of the response goes out as long as the client takes some of it now and then.
      this.#arm(this.#connection.host.limits.send);
      this.#askToStop();
      return;
    }
    // The upstream is asked for more before all has left.
    if (this.#full && this.#stream.waiting < this.#waitingAtMost / 2) {
      this.#full = false;
      this.#watch();
      this.#forward.clientDrained();
    } else this.#watch();
  }

  streamClosed(): void {
    this.#forward?.clientFailed("client-gone", "the stream was reset");
    this.#finish();
    this.#giveBack();
    this.#connection.streamClosed(this.#head);
  }

  expired(): void {
    if (this.#forward === null) this.#stream.reset(errorCode.cancel);
    else if (this.#begun) this.#forward.clientFailed("client-gone", "the client took the response too slowly");
    else this.#forward.clientFailed("client-timeout", "the body came too slowly");
  }

  get #waitingAtMost(): number {
    const share = sharedAtMost / this.#stream.session.streamCount;
    return Math.min(waitingAtMost, Math.max(waitingAtLeast, share));
  }

  /**
   * What a client is told of an answer that opens no tunnel: by any 2xx it would take it for the opening (RFC 8441, 5), and the
   * body for messages. Over HTTP/1.1 the same answer says so by not being a 101.
   */
  #withoutTunnel(status: number): number {
    if (status >= 300) return statusToSend(status);
    if (this.#exchange?.status === status) this.#exchange.status = 502;
    return 502;
  }

  #sendHead(status: number, lines: string, length: number): void {
    const stream = this.#stream;
    if (stream.over || stream.localEnded) return;
    const { encoder } = stream.session.sender;
    encoder.begin();
    encoder.field(":status", String(status));
    encoder.fieldLines(lines, this.#exchange?.answerNeverIndexed);
    if (length !== -1) encoder.field("content-length", String(length));
    stream.sendHead(encoder.finish(), false);
  }

  /** During an exchange the client may owe two things at once, to open its window and to send. */
  #watch(): void {
    const { limits } = this.#connection.host;
    if (this.#full) this.#arm(limits.send);
    else if (this.#bodyFlows && !this.#bodyEnded && !this.#begun) this.#arm(limits.body);
    else this.#deadline?.disarm();
  }

  /**
   * Tells a client that has the whole response to keep the rest of its body (RFC 9113, 8.1). Not with the same write: curl
   * 7.88, of which there is much, loses a response whose end comes in one record of TLS with the reset.
   */
  #askToStop(): void {
    const stream = this.#stream;
    if (stream.localEnded && !stream.over) setImmediate(() => stream.discard());
  }

  #arm(ms: number): void {
    const { wheel } = this.#connection.host.plane;
    this.#deadline ??= wheel.lend(this);
    wheel.arm(this.#deadline, ms);
  }

  #giveBack(): void {
    if (this.#deadline !== null) this.#connection.host.plane.wheel.giveBack(this.#deadline);
    this.#deadline = null;
  }

  #refuse(status: number): void {
    const { host, peer } = this.#connection;
    const { plane } = host;
    this.#bodyEnded = true;
    host.refused(status);
    const exchange = new RequestExchange(new RequestHead(), peer, plane.clock());
    exchange.requestId = plane.newRequestId();
    this.#exchange = exchange;
    replyStatus(plane, this, exchange, status);
    this.#stream.session.countMistake();
  }

  /** The exchange is over, as far as the upstream half and the access log go. */
  #finish(): void {
    const exchange = this.#exchange;
    this.#exchange = null;
    this.#forward = null;
    if (exchange !== null) this.#connection.host.plane.finished(exchange);
  }
}

/** Not every client takes a status above 599; it is to be taken for a 5xx (RFC 9110, 15). */
function statusToSend(status: number): number {
  return status > 599 ? 500 : status;
}

function withoutLine(lines: string, name: string): string {
  return lines
    .split("\r\n")
    .filter((line) => line !== "" && !line.toLowerCase().startsWith(`${name}:`))
    .map((line) => `${line}\r\n`)
    .join("");
}
