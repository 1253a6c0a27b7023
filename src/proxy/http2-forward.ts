/**
 * One request on its way to an upstream that speaks HTTP/2 (gRPC, or h2c by appProtocol), and its answer on the way back. It
 * is to HTTP/2 what forward.ts and relay.ts are to HTTP/1.1.
 */
import { type ClientHttp2Stream, constants } from "node:http2";
import { fieldMap, fieldsOf, linesOf } from "../wire/http2-fields.ts";
import { parseResponseHead } from "../wire/response-head.ts";
import { readTrailers } from "../wire/trailers.ts";
import { Attempts, failure } from "./attempts.ts";
import type { Client } from "./client.ts";
import { hasNoBody, type RequestExchange } from "./exchange.ts";
import type { ProxyFailure } from "./failure.ts";
import type { UpstreamSession } from "./http2-sessions.ts";
import type { LiveUpstream } from "./live-upstream.ts";
import type { LiveRoute, Plane } from "./plane.ts";
import { editResponse } from "./response-edit.ts";
import type { UpstreamHalf } from "./upstream-half.ts";
import type { EndpointPool } from "./upstreams.ts";
import { Deadline } from "./wheel.ts";

/** Bytes of a request that wait in this process for the upstream's window. */
const waitingAtMost = 65_536;
/** Bytes of all interim heads together: they are passed on at once, however slow the client. */
const interimAtMost = 65_536;

export class Http2Forward implements UpstreamHalf {
  readonly keepsPart = true;
  readonly #plane: Plane;
  readonly #client: Client;
  readonly #exchange: RequestExchange;
  readonly #route: LiveRoute;
  readonly #attempts: Attempts;
  readonly #deadline: Deadline;
  #pool: EndpointPool | null = null;
  #session: UpstreamSession | null = null;
  /** null before the first, between two tries, and once the exchange with the upstream is over. */
  #stream: ClientHttp2Stream | null = null;
  #requestDone: boolean;
  #sentTrailers = "";
  #refused = false;
  #receivedTrailers = "";
  #interim = 0;

  constructor(plane: Plane, client: Client, exchange: RequestExchange, route: LiveRoute, upstream: LiveUpstream) {
    this.#plane = plane;
    this.#client = client;
    this.#exchange = exchange;
    this.#route = route;
    this.#attempts = new Attempts(plane, client, exchange, route, upstream);
    this.#deadline = new Deadline(() => this.#expired());
    this.#requestDone = hasNoBody(exchange.head);
  }

  start(): void {
    this.#tryNext();
  }

  requestBody(part: Buffer): boolean {
    const stream = this.#stream;
    if (stream === null) return true;
    this.#exchange.requestBytes += part.length;
    const limit = this.#route.bodyLimit;
    if (limit !== 0 && this.#exchange.requestBytes > limit) {
      this.#fail(failure("body-too-large", "client", `more than ${limit} bytes`));
      return true;
    }
    this.#attempts.bodyStarted = true;
    // It has answered and reset the stream, and the answer is still to be read: the body has nowhere to go.
    if (stream.closed || stream.destroyed) return true;
    stream.write(part);
    if (stream.writableLength < waitingAtMost) return true;
    this.#plane.wheel.arm(this.#deadline, this.#route.timeouts.send);
    return false;
  }

  requestEnd(trailers: string): void {
    this.#requestDone = true;
    this.#sentTrailers = trailers;
    const stream = this.#stream;
    if (stream === null) return;
    stream.end();
    this.#plane.wheel.arm(this.#deadline, this.#route.timeouts.read);
  }

  clientFailed(kind: "client-gone" | "client-timeout" | "bad-request-body", detail: string): void {
    this.#fail(failure(kind, "client", detail));
  }

  clientDrained(): void {
    const stream = this.#stream;
    if (stream === null || !stream.isPaused()) return;
    this.#plane.wheel.arm(this.#deadline, this.#route.timeouts.read);
    stream.resume();
  }

  #tryNext(): void {
    const pool = this.#attempts.next();
    if (pool === null) this.#fail(failure("no-endpoint", "upstream", this.#route.labels.service));
    else this.#send(pool);
  }

  #send(pool: EndpointPool): void {
    this.#pool = pool;
    const session = pool.http2.take(this.#route.timeouts.connect);
    this.#session = session;
    let stream: ClientHttp2Stream;
    try {
      stream = session.request(this.#head(), this.#requestDone);
    } catch (error) {
      const reason = error instanceof Error ? error.message : "refused";
      this.#fail({ kind: "reset", side: "upstream", retry: "unsent", detail: `${pool.address}: ${reason}` });
      return;
    }
    this.#stream = stream;
    this.#listen(stream);
    if (this.#requestDone) this.#plane.wheel.arm(this.#deadline, this.#route.timeouts.read);
    else if (session.established) this.#askForBody();
    else stream.once("ready", () => this.#stream === stream && this.#askForBody());
  }

  #askForBody(): void {
    if (this.#exchange.head.expectContinue) this.#client.sendContinue();
    this.#client.resumeBody();
  }

  #head(): string[] {
    const exchange = this.#exchange;
    const { head } = exchange;
    const fields = [
      ":method",
      head.method,
      ":scheme",
      this.#pool?.tls === true ? "https" : "http",
      ":authority",
      head.authority,
      ":path",
      exchange.upstreamTarget,
    ];
    for (const field of fieldsOf(this.#plane.forwardedLines(exchange))) fields.push(field);
    if (head.framing === "length") fields.push("content-length", String(head.contentLength));
    // The only value that HTTP/2 allows, and one that gRPC servers insist on (RFC 9113, 8.2.2).
    if (head.value("te")?.toLowerCase().includes("trailers") === true) fields.push("te", "trailers");
    return fields;
  }

  #listen(stream: ClientHttp2Stream): void {
    const mine = (work: () => void) => (): void => {
      if (this.#stream === stream) work();
    };
    stream.on("response", (_headers, flags, raw: string[]) =>
      mine(() => this.#begin(raw, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0))(),
    );
    stream.on("headers", (headers, _flags, raw: string[]) =>
      mine(() => this.#tellInterim(Number(headers[":status"]), raw))(),
    );
    stream.on("data", (chunk: Buffer) => mine(() => this.#data(stream, chunk))());
    stream.on("trailers", (_headers, _flags, raw: string[]) => {
      this.#receivedTrailers = readTrailers(`${linesOf(raw)}\r\n`).lines;
    });
    stream.on(
      "end",
      mine(() => this.#end(stream)),
    );
    stream.on(
      "drain",
      mine(() => this.#drained()),
    );
    stream.on("wantTrailers", () => stream.sendTrailers(fieldMap(this.#sentTrailers)));
    stream.on("error", ignore);
    stream.on(
      "close",
      mine(() => this.#closed(stream)),
    );
  }

  #tellInterim(status: number, raw: readonly string[]): void {
    if (this.#attempts.begun || !(status > 100 && status < 200)) return;
    const lines = linesOf(raw);
    this.#interim += lines.length + 32;
    const head = this.#plane.responseHead;
    const error =
      this.#interim > interimAtMost
        ? "too many interim responses"
        : parseResponseHead(`HTTP/1.1 ${status} \r\n${lines}\r\n`, this.#exchange.method, head);
    if (error === null) this.#client.interim(status, head.forwarded);
    else this.#fail(failure("bad-response", "upstream", `${this.#pool?.address}: ${error}`));
  }

  #begin(raw: readonly string[], ended: boolean): void {
    const exchange = this.#exchange;
    const head = this.#plane.responseHead;
    const status = Number(raw[raw.indexOf(":status") + 1]);
    // One parser judges the fields of every upstream, whatever protocol it speaks.
    const error = parseResponseHead(`HTTP/1.1 ${status} \r\n${linesOf(raw)}\r\n`, exchange.method, head);
    if (error !== null) {
      this.#fail(failure("bad-response", "upstream", `${this.#pool?.address}: ${error}`));
      return;
    }
    this.#attempts.begun = true;
    exchange.status = status;
    exchange.upstreamStatus = status;
    exchange.watched?.answers(status);
    let lines = head.forwarded;
    if (!head.hasDate) lines += this.#plane.dateLine();
    if (!head.hasServer) lines += this.#plane.serverLine;
    const { response } = this.#route.hooks;
    if (response.length > 0) lines = editResponse(lines, response, exchange);
    const bodiless = ended || head.framing === "none";
    const length = head.framing === "length" ? head.contentLength : head.announcedLength;
    this.#client.respond(status, head.reason, lines, status === 204 ? -1 : length, bodiless);
    this.#alive();
  }

  #data(stream: ClientHttp2Stream, chunk: Buffer): void {
    const exchange = this.#exchange;
    exchange.upstreamBytes += chunk.length;
    exchange.responseBytes += chunk.length;
    this.#client.write(chunk);
    if (this.#client.flush()) {
      this.#alive();
      return;
    }
    stream.pause();
    this.#deadline.disarm();
  }

  #end(stream: ClientHttp2Stream): void {
    // A stream that is reset ends too; what it was then is for its close to say.
    if (!this.#attempts.begun || (stream.rstCode !== undefined && stream.rstCode !== constants.NGHTTP2_NO_ERROR))
      return;
    this.#stream = null;
    this.#deadline.disarm();
    this.#attempts.answered();
    if (!this.#requestDone) stream.close(constants.NGHTTP2_CANCEL);
    this.#client.end(this.#receivedTrailers);
  }

  #drained(): void {
    this.#alive();
    if (!this.#requestDone) this.#client.resumeBody();
  }

  #alive(): void {
    this.#plane.wheel.arm(this.#deadline, this.#route.timeouts.read);
  }

  #expired(): void {
    const sending = (this.#stream?.writableLength ?? 0) > 0;
    this.#fail(failure(sending ? "send-timeout" : "read-timeout", "upstream", this.#pool?.address ?? ""));
  }

  #closed(stream: ClientHttp2Stream): void {
    const session = this.#session;
    const address = this.#pool?.address ?? "";
    if (session?.timedOut === true) {
      this.#fail({
        kind: "connect-timeout",
        side: "upstream",
        retry: "unsent",
        detail: `${address}: no connection in time`,
      });
    } else if (session?.established === false) {
      this.#fail({ kind: "connect-refused", side: "upstream", retry: "unsent", detail: `${address}: no connection` });
    } else if (stream.rstCode === constants.NGHTTP2_REFUSED_STREAM) {
      // RFC 9113, 8.7: the endpoint says that it has not begun to work on it.
      this.#fail({ kind: "refused-stream", side: "upstream", retry: "unsent", detail: address });
    } else {
      this.#fail({
        kind: "reset",
        side: "upstream",
        retry: "idempotent",
        detail: `${address}: reset (${stream.rstCode})`,
      });
    }
  }

  #fail(cause: ProxyFailure): void {
    const stream = this.#stream;
    this.#stream = null;
    this.#deadline.disarm();
    if (stream !== null && !stream.closed) stream.close(constants.NGHTTP2_CANCEL);
    // Complete for the protocol, but not read to its end: it would keep its place in the connection for ever.
    else stream?.destroy();
    // An endpoint that is full on this connection says nothing against another connection, once.
    const same = cause.kind === "refused-stream" && !this.#refused ? this.#pool : null;
    this.#refused = same !== null;
    if (same === null) this.#attempts.failed(cause);
    if (this.#attempts.mayRepeat(cause) && (same !== null || this.#attempts.hasAnother())) {
      this.#plane.counters.retried();
      if (same === null) this.#tryNext();
      else this.#send(same);
      return;
    }
    this.#attempts.giveUp(cause);
  }
}

function ignore(): void {
  // The close that follows tells all that there is to know.
}
