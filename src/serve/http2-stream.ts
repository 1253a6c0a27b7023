/**
 * One request on an HTTP/2 stream: the head as one parser judges it, the body as it flows, the response in frames. It is
 * to HTTP/2 what http1.ts is to HTTP/1.1: both implement proxy/client.ts.
 */
import { randomBytes } from "node:crypto";
import { constants, type ServerHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";
import type { Client } from "../proxy/client.ts";
import { RequestExchange } from "../proxy/exchange.ts";
import { handle } from "../proxy/handle.ts";
import { replyStatus } from "../proxy/reply.ts";
import type { UpstreamHalf } from "../proxy/upstream-half.ts";
import { Deadline } from "../proxy/wheel.ts";
import { fieldMap, fieldsOf, linesOf } from "../wire/http2-fields.ts";
import { writeHttp1Head } from "../wire/http2-head.ts";
import { parseRequestHead, RequestHead } from "../wire/request-head.ts";
import { readTrailers } from "../wire/trailers.ts";
import type { Http2Connection } from "./http2.ts";

/** Bytes of a response that wait in this process for the client's window. */
const waitingAtMost = 65_536;

export class Http2Exchange implements Client {
  readonly #connection: Http2Connection;
  readonly #stream: ServerHttp2Stream;
  readonly #deadline: Deadline;
  #head: RequestHead;
  #exchange: RequestExchange | null = null;
  #forward: UpstreamHalf | null = null;
  #webSocket = false;
  #bodyEnded = false;
  #bodyFlows = false;
  #bodiless = false;
  #trailersSent = "";
  #trailersReceived = "";
  #failed = false;

  constructor(connection: Http2Connection, stream: ServerHttp2Stream, head: RequestHead) {
    this.#connection = connection;
    this.#stream = stream;
    this.#head = head;
    this.#deadline = new Deadline(() => this.#expired());
  }

  /** `raw` is the head as received, a flat list of names and values; `ended`: no body follows. */
  begin(raw: readonly string[], ended: boolean): void {
    const stream = this.#stream;
    const { plane } = this.#connection.host;
    stream.on("error", ignore);
    stream.on("drain", () => this.#drained());
    stream.on("close", () => this.#closed());
    // A reset without an error leaves what was not read, and with it the stream, where they are: no close follows.
    stream.on("aborted", () => {
      this.#forward?.clientFailed("client-gone", "the stream was reset");
      stream.resume();
    });
    const head = writeHttp1Head(raw, ended, () => randomBytes(16).toString("base64"));
    const error = "status" in head ? head : parseRequestHead(head.text, this.#head);
    if (error !== null) {
      this.#refuse(error.status);
      return;
    }
    this.#webSocket = "webSocket" in head && head.webSocket;
    this.#bodyEnded = ended || this.#head.framing === "none";
    const exchange = new RequestExchange(this.#head, this.#connection.peer, plane.clock());
    this.#exchange = exchange;
    const forward = handle(plane, this, exchange);
    if (forward === null) return;
    this.#forward = forward;
    if (!this.#bodyEnded) this.#receiveBody();
    forward.start();
  }

  interim(status: number, lines: string): void {
    if (!this.#gone) this.#stream.additionalHeaders({ ":status": status, ...fieldMap(lines) });
  }

  sendContinue(): void {
    this.interim(100, "");
  }

  respond(status: number, _reason: string, lines: string, length: number, bodiless: boolean): void {
    const stream = this.#stream;
    if (this.#gone) return;
    // node:http2 ends a 205 with its head.
    this.#bodiless = bodiless || length === 0 || status === 205;
    const headers = headersOf(
      statusToSend(status),
      length === -1 || status === 205 ? lines : `${lines}content-length: ${length}\r\n`,
    );
    // An upstream of HTTP/1.1 can send trailers only behind chunks; one of HTTP/2 behind a body of known length as well.
    const waitForTrailers = !this.#bodiless && (length === -1 || this.#upstreamMayTrail());
    if (waitForTrailers) stream.on("wantTrailers", () => stream.sendTrailers(fieldMap(this.#trailersSent)));
    stream.respond(headers, { endStream: this.#bodiless, waitForTrailers });
  }

  #upstreamMayTrail(): boolean {
    const protocol = this.#exchange?.route?.upstream?.protocol;
    return protocol === "grpc" || protocol === "grpcs";
  }

  write(part: Buffer): void {
    if (!this.#bodiless && !this.#gone) this.#stream.write(part);
  }

  flush(): boolean {
    if (this.#stream.writableLength < waitingAtMost) return true;
    const { plane, limits } = this.#connection.host;
    plane.wheel.arm(this.#deadline, limits.send);
    return false;
  }

  end(trailers: string): void {
    const stream = this.#stream;
    this.#trailersSent = trailers;
    this.#finish();
    if (!this.#bodiless) stream.end();
    // A client that opens no window for what waits would keep it, and the stream, for ever.
    const { plane, limits } = this.#connection.host;
    if (!stream.destroyed) plane.wheel.arm(this.#deadline, limits.send);
    // The rest of the body has nowhere to go; the client is told to keep it (RFC 9113, 8.1).
    if (!this.#bodyEnded) {
      // What came of it is dropped: a stream that holds unread bytes never closes.
      stream.resume();
      if (stream.writableFinished) stream.close(constants.NGHTTP2_NO_ERROR);
      else stream.once("finish", () => stream.close(constants.NGHTTP2_NO_ERROR));
    }
  }

  abort(): void {
    this.#finish();
    // Not close(): it would end the body first, and a client could take the part it has for the whole.
    this.#stream.destroy(new Error("the response was cut short"));
  }

  resumeBody(): void {
    if (this.#bodyEnded) return;
    this.#bodyFlows = true;
    this.#watch();
    this.#stream.resume();
  }

  switchProtocols(lines: string): { socket: Duplex; early: Buffer | null } {
    const stream = this.#stream;
    this.#deadline.disarm();
    this.#forward = null;
    this.#exchange = null;
    // The tunnel tells the access log of it when it ends, which may be after this stream.
    this.#head = new RequestHead();
    stream.removeAllListeners("data").removeAllListeners("drain").removeAllListeners("end");
    // RFC 8441, 5: the key and its answer belong to HTTP/1.1 alone.
    if (!this.#gone) stream.respond(headersOf(200, withoutLine(lines, "sec-websocket-accept")));
    this.#connection.host.tunnelOpened(stream);
    return { socket: stream, early: null };
  }

  #receiveBody(): void {
    const stream = this.#stream;
    stream.on("data", (chunk: Buffer) => {
      if (this.#forward === null) return;
      const flows = this.#forward.requestBody(chunk);
      // It may have been too much of it, and the exchange be over.
      if (this.#forward === null) return;
      this.#bodyFlows = flows;
      this.#watch();
      if (!flows) stream.pause();
    });
    stream.on("trailers", (_headers, _flags, raw: string[]) => {
      this.#trailersReceived = readTrailers(`${linesOf(raw)}\r\n`).lines;
    });
    stream.on("end", () => {
      this.#bodyEnded = true;
      if (this.#forward === null) return;
      this.#watch();
      this.#forward.requestEnd(this.#trailersReceived);
    });
    // It flows once there is an upstream to take it.
    if (!this.#bodyFlows) stream.pause();
  }

  /** During an exchange the client may owe two things at once, to open its window and to send. */
  #watch(): void {
    const { plane, limits } = this.#connection.host;
    if (this.#stream.writableNeedDrain) plane.wheel.arm(this.#deadline, limits.send);
    else if (this.#bodyFlows && !this.#bodyEnded) plane.wheel.arm(this.#deadline, limits.body);
    else this.#deadline.disarm();
  }

  /** The stream is over, though its close may still wait for what was not read. */
  get #gone(): boolean {
    return this.#stream.destroyed || this.#stream.closed;
  }

  #refuse(status: number): void {
    const { host, peer } = this.#connection;
    const { plane } = host;
    this.#head = new RequestHead();
    this.#failed = true;
    this.#bodyEnded = true;
    host.refused(status);
    const exchange = new RequestExchange(this.#head, peer, plane.clock());
    exchange.requestId = plane.newRequestId();
    this.#exchange = exchange;
    replyStatus(plane, this, exchange, status);
  }

  /** The exchange is over, as far as the upstream half and the access log go. */
  #finish(): void {
    const exchange = this.#exchange;
    this.#exchange = null;
    this.#forward = null;
    if (exchange !== null) this.#connection.host.plane.finished(exchange);
  }

  #expired(): void {
    if (this.#forward === null) this.#stream.close(constants.NGHTTP2_CANCEL);
    else if (this.#stream.headersSent)
      this.#forward.clientFailed("client-gone", "the client took the response too slowly");
    else this.#forward.clientFailed("client-timeout", "the body came too slowly");
  }

  #drained(): void {
    if (this.#forward === null) return;
    this.#watch();
    this.#forward.clientDrained();
  }

  #closed(): void {
    this.#deadline.disarm();
    this.#forward?.clientFailed("client-gone", "the stream was reset");
    this.#finish();
    // A reset by us for what the client sent counts as the client's; one by the client is limited by node:http2.
    const byMistake = this.#failed || this.#stream.rstCode === constants.NGHTTP2_PROTOCOL_ERROR;
    this.#connection.streamClosed(this.#head, byMistake);
  }
}

/** "Name: value\r\n" lines as the flat list of names and values that node:http2 takes. */
function headersOf(status: number, lines: string): string[] {
  return [":status", String(status), ...fieldsOf(lines)];
}

/** HTTP/2 by node:http2 has no more; what is above is to be taken for a 5xx (RFC 9110, 15). */
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

function ignore(): void {
  // The close that follows tells all that there is to know.
}
